/* SPDX-License-Identifier: Apache-2.0 */
/* PNG through libpng's simplified interface, which keeps its setjmp to itself.  Decoded as RGBA, so
 * that no background is mixed in; the alpha is dropped, as Pillow's convert("RGB") does.  16-bit
 * files are taken as sRGB.  libpng's own few hundred KB do not go through ftl_alloc. */
#include "format/image.h"

#include <string.h>
#include <png.h>

#include "base/alloc.h"

static ftl_status png_failed(png_image *png, const char *name)
{
    ftl_status s = FTL_EFORMAT;
    if (strstr(png->message, "memory")) s = FTL_ENOMEM;
    s = ftl_fail(s, "%s: damaged PNG: %s", name, png->message);
    png_image_free(png);
    return s;
}

ftl_status ftl_image_parse_png(ftl_image *out, const void *data, size_t size, const char *name)
{
    *out = (ftl_image){ 0 };
    /* libpng is content without the end mark; a copy that broke off just before it is not whole. */
    if (!memmem(data, size, "IEND\xae\x42\x60\x82", 8))
        return ftl_fail(FTL_EFORMAT,
                        "%s: byte %zu: the PNG ends without its IEND chunk, so it is cut short",
                        name, size);
    png_image png = { .version = PNG_IMAGE_VERSION };
    if (!png_image_begin_read_from_memory(&png, data, size)) return png_failed(&png, name);
    png.format = PNG_FORMAT_RGBA;
    png.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
    ftl_status s = ftl_image_create(out, png.width, png.height, name);
    const size_t n = s == FTL_OK ? (size_t)png.width * png.height : 0;
    uint8_t *rgba = s == FTL_OK ? ftl_alloc(n * 4) : NULL;
    if (s == FTL_OK && !rgba) s = ftl_fail(FTL_ENOMEM, "%s: no memory to decode it", name);
    if (s == FTL_OK && !png_image_finish_read(&png, NULL, rgba, 0, NULL))
        s = png_failed(&png, name);
    for (size_t i = 0; s == FTL_OK && i < n; i++) memcpy(out->rgb + i * 3, rgba + i * 4, 3);
    png_image_free(&png);
    ftl_free(rgba);
    if (s != FTL_OK) ftl_image_deinit(out);
    return s;
}
