/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "format/detect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ftl_format format = ftl_format_detect_bytes(data, size, "fuzz");
    if (ftl_format_need_read(format, "fuzz") == FTL_OK && !ftl_format_is_read(format))
        __builtin_trap();
    return 0;
}
