/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "format/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ftl_image image, small = { 0 };
    float out[3 * 8 * 8];
    ftl_image_layout layout = FTL_IMAGE_LAYOUT_INIT;
    layout.width = layout.height = 8;
    if (ftl_image_parse(&image, data, size, "fuzz.image") == FTL_OK &&
        image.width * image.height < 1 << 20 && ftl_image_resize(&small, &image, 9, 7) == FTL_OK &&
        ftl_image_to_chw(out, &small, &layout) != FTL_OK)
        __builtin_trap();
    ftl_image_deinit(&small);
    ftl_image_deinit(&image);
    return 0;
}
