/* SPDX-License-Identifier: Apache-2.0 */
#include "format_test.h"

#include <string.h>

#include "base/file.h"
#include "format/image.h"
#include "image_vectors.h"

static ftl_status parse(const void *data, size_t size, const char *name)
{
    ftl_image image;
    const ftl_status s = ftl_image_parse(&image, data, size, name);
    ftl_image_deinit(&image);
    return s;
}

static void assert_image(const ftl_image *image, int64_t width, int64_t height, const uint8_t *rgb)
{
    assert_int_equal(image->width, width);
    assert_int_equal(image->height, height);
    assert_memory_equal(image->rgb, rgb, (size_t)(width * height * 3));
}

static void png_pixels(void **state)
{
    (void)state;
    ftl_image image;
    assert_ok(ftl_image_parse(&image, png_rgb, sizeof png_rgb, "a.png"));
    assert_image(&image, 13, 9, rgb_pixels);
    ftl_image_deinit(&image);
    assert_ok(ftl_image_parse(&image, png_rgba, sizeof png_rgba, "a.png"));
    assert_image(&image, 13, 9, rgb_pixels); /* alpha dropped, not mixed */
    ftl_image_deinit(&image);
    assert_ok(ftl_image_parse(&image, png_palette, sizeof png_palette, "a.png"));
    assert_image(&image, 13, 9, png_palette_rgb);
    ftl_image_deinit(&image);
    assert_ok(ftl_image_parse(&image, png_gray, sizeof png_gray, "a.png"));
    for (int i = 0; i < 16 * 16 * 3; i++)
        assert_int_equal(image.rgb[i], (i / 3 / 16 + i / 3 % 16) * 8);
    ftl_image_deinit(&image);
}

static void jpeg_pixels(void **state)
{
    (void)state;
    ftl_image image;
    assert_ok(ftl_image_parse(&image, jpeg_rgb, sizeof jpeg_rgb, "a.jpg"));
    assert_int_equal(image.width * image.height, 256);
    /* Pillow brings its own libjpeg-turbo: the inverse transforms may round differently. */
    for (size_t i = 0; i < sizeof jpeg_rgb_pixels; i++)
        assert_in_range(image.rgb[i] - jpeg_rgb_pixels[i] + 2, 0, 4);
    ftl_image_deinit(&image);
    assert_ok(
        ftl_image_parse(&image, jpeg_gray_progressive, sizeof jpeg_gray_progressive, "a.jpg"));
    for (int i = 0; i < 256; i++) {
        assert_in_range(image.rgb[i * 3] - (i / 16 + i % 16) * 8 + 8, 0, 16);
        assert_int_equal(image.rgb[i * 3], image.rgb[i * 3 + 2]);
    }
    ftl_image_deinit(&image);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    ftl_image image;
    assert_fails(FTL_EUNSUPPORTED, ftl_image_parse(&image, "GIF89a", 6, "a.gif"));
    assert_fails(FTL_ENOTFOUND, ftl_image_read(&image, ftl_test_temp("absent.png")));
    /* IHDR claims 60000 x 60000; the CRC of the changed chunk is right. */
    static const uint8_t huge[] = {
        0x89, 'P',  'N',  'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I',  'H',  'D',  'R', 0,
        0,    0xea, 0x60, 0,   0,    0xea, 0x60, 8,    2, 0, 0, 0,  0x0f, 0xb0, 0xe2, 0x15
    };
    assert_int_not_equal(ftl_image_parse(&image, huge, sizeof huge, "huge.png"), FTL_OK);
    assert_fails(FTL_EUNSUPPORTED, ftl_image_create(&image, 60000, 60000, "huge.png"));
    assert_sentence("100 megapixels");
    uint8_t jpeg[sizeof jpeg_rgb];
    memcpy(jpeg, jpeg_rgb, sizeof jpeg);
    for (size_t i = 0; i + 9 < sizeof jpeg; i++)
        if (jpeg[i] == 0xff && jpeg[i + 1] == 0xc0) memset(jpeg + i + 5, 0xea, 4);
    assert_fails(FTL_EUNSUPPORTED, parse(jpeg, sizeof jpeg, "huge.jpg"));
    assert_sentence("60138 x 60138");
}

static void resize_is_pillows(void **state)
{
    (void)state;
    const ftl_image from = { 13, 9, (uint8_t *)(uintptr_t)rgb_pixels };
    ftl_image out;
    assert_ok(ftl_image_resize(&out, &from, 5, 4));
    assert_image(&out, 5, 4, rgb_5x4);
    ftl_image_deinit(&out);
    assert_ok(ftl_image_resize(&out, &from, 20, 12));
    assert_image(&out, 20, 12, rgb_20x12);
    ftl_image_deinit(&out);
    assert_ok(ftl_image_resize(&out, &from, 6, 15));
    assert_image(&out, 6, 15, rgb_6x15);
    ftl_image_deinit(&out);
    assert_ok(ftl_image_resize(&out, &from, 13, 9));
    assert_image(&out, 13, 9, rgb_pixels);
    ftl_image_deinit(&out);
    assert_ok(ftl_image_resize_shorter(&out, &from, 4));
    assert_true(out.width == 5 && out.height == 4);
    ftl_image_deinit(&out);
    assert_fails(FTL_EINVAL, ftl_image_resize_shorter(&out, &from, 0));
    assert_fails(FTL_EFORMAT, ftl_image_resize(&out, &from, 0, 4));
}

static void crop_and_normalise(void **state)
{
    (void)state;
    const ftl_image from = { 13, 9, (uint8_t *)(uintptr_t)rgb_pixels };
    ftl_image_layout l = FTL_IMAGE_LAYOUT_INIT;
    float out[3 * 13 * 11];
    l.width = 5;
    l.height = 3;
    l.mean[1] = 0.5f;
    l.std[1] = 0.25f;
    assert_ok(ftl_image_to_chw(out, &from, &l));
    /* Crop starts at x = 4, y = 3. */
    const uint8_t *p = rgb_pixels + (3 * 13 + 4) * 3;
    assert_true(out[0] == (float)p[0] * (1.0f / 255));
    assert_true(out[15] == ((float)p[1] * (1.0f / 255) - 0.5f) / 0.25f);
    l.is_bgr = 1;
    assert_ok(ftl_image_to_chw(out, &from, &l));
    assert_true(out[0] == (float)p[2] * (1.0f / 255));
    l.n_channels = 1;
    l.scale = 1;
    l.width = 13;
    l.height = 9;
    assert_ok(ftl_image_to_chw(out, &from, &l));
    for (int i = 0; i < 13 * 9; i++) assert_true(out[i] == (float)luma[i]);
    l.height = 11; /* one black line above and below */
    assert_ok(ftl_image_to_chw(out, &from, &l));
    assert_true(out[0] == 0 && out[13] == (float)luma[0] && out[13 * 11 - 1] == 0);
    l.std[0] = 0;
    assert_fails(FTL_EINVAL, ftl_image_to_chw(out, &from, &l));
    l.std[0] = 1;
    l.n_channels = 2;
    assert_fails(FTL_EINVAL, ftl_image_to_chw(out, &from, &l));
}

static void tortures(void **state)
{
    (void)state;
    torture_truncated(parse, png_rgb, sizeof png_rgb, sizeof png_rgb);
    torture_truncated(parse, jpeg_rgb, sizeof jpeg_rgb, sizeof jpeg_rgb);
    torture_truncated(parse, jpeg_gray_progressive, sizeof jpeg_gray_progressive,
                      sizeof jpeg_gray_progressive);
    torture_flipped(parse, png_palette, sizeof png_palette);
    torture_flipped(parse, jpeg_gray_progressive, sizeof jpeg_gray_progressive);
    torture_no_memory(parse, png_rgb, sizeof png_rgb);
    torture_no_memory(parse, jpeg_rgb, sizeof jpeg_rgb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_pixels),
        cmocka_unit_test(jpeg_pixels),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(resize_is_pillows),
        cmocka_unit_test(crop_and_normalise),
        cmocka_unit_test(tortures),
    };
    return ftl_test_run(tests);
}
