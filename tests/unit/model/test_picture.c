/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <png.h>
#include <stdio.h>
#include <string.h>

#include "model/picture.h"

/* A PNG of w x h pixels, 3 bytes each; the path is valid until the next call. */
static const char *png_file(const char *name, const uint8_t *rgb, uint32_t w, uint32_t h)
{
    const char *path = ftl_test_temp(name);
    png_image image = {
        .version = PNG_IMAGE_VERSION, .width = w, .height = h, .format = PNG_FORMAT_RGB
    };
    assert_true(png_image_write_to_file(&image, path, 0, rgb, 0, NULL));
    return path;
}

static ftl_image_prep prep_of(int32_t width, int32_t height)
{
    return (ftl_image_prep){ .is_image = true,
                             .width = width,
                             .height = height,
                             .channels = 3,
                             .scale = 0.5f,
                             .mean = { 1, 2, 3 },
                             .std = { 1, 2, 4 } };
}

static const uint8_t two_by_two[12] = {
    10, 20, 30, 40, 50,  60, /* first row: two pixels */
    70, 80, 90, 2,  100, 8,
};

static void pixels_become_planes(void **state)
{
    (void)state;
    const char *path = png_file("a.png", two_by_two, 2, 2);
    const ftl_image_prep prep = prep_of(2, 2);
    float got[12];
    assert_ok(ftl_picture_read(got, 12, path, &prep));
    /* (byte / 2 - mean) / std, red plane first */
    static const float want[12] = { 4, 19, 34, 0, 4, 11.5f, 19, 24, 3, 6.75f, 10.5f, 0.25f };
    assert_memory_equal(got, want, sizeof want);
}

static void bgr_puts_blue_first(void **state)
{
    (void)state;
    const char *path = png_file("b.png", two_by_two, 2, 2);
    ftl_image_prep prep = prep_of(2, 2);
    prep.is_bgr = true;
    float got[12];
    assert_ok(ftl_picture_read(got, 12, path, &prep));
    assert_float_equal(got[0], 14, 0);  /* blue 30 by the first mean */
    assert_float_equal(got[8], 0.5, 0); /* red 10 by the third       */
}

static void one_channel_is_luma(void **state)
{
    (void)state;
    static const uint8_t gray[3] = { 100, 100, 100 };
    const char *path = png_file("c.png", gray, 1, 1);
    ftl_image_prep prep = prep_of(1, 1);
    prep.channels = 1;
    float got[1];
    assert_ok(ftl_picture_read(got, 1, path, &prep));
    assert_float_equal(got[0], 49, 0);
}

/* 4 x 2, the left half 0, the right half 200: squeezed to 2 x 2 both halves are there; with the
 * shorter side kept at 2 the middle two columns are cut out, which are 0 and 200 as well; of
 * columns 0, 80, 120, 200 the two differ. */
static void squeezing_and_cropping_differ(void **state)
{
    (void)state;
    static const uint8_t columns[4] = { 0, 80, 120, 200 };
    uint8_t rgb[2 * 4 * 3];
    for (int i = 0; i < 8; i++) memset(rgb + 3 * i, columns[i % 4], 3);
    const char *path = png_file("d.png", rgb, 4, 2);
    ftl_image_prep prep = prep_of(2, 2);
    prep.mean[0] = 0;
    float got[12];
    prep.resize_shorter = 2;
    assert_ok(ftl_picture_read(got, 12, path, &prep));
    assert_float_equal(got[0], 40, 0);
    assert_float_equal(got[1], 60, 0);
    prep.resize_shorter = 0;
    assert_ok(ftl_picture_read(got, 12, path, &prep));
    /* A triangle of half-width 2 over pixel centers at distances 0.5, 0.5, 1.5 (the fourth, 2.5, is
     * outside) of output center 1: weights 3/7, 3/7, 1/7 -> 51.43, rounded to a byte. */
    assert_float_equal(got[0], 51 * 0.5, 0);
    assert_float_equal(got[1], 149 * 0.5, 0);
}

static void what_cannot_be_read_is_refused(void **state)
{
    (void)state;
    float got[12];
    ftl_image_prep prep = prep_of(2, 2);
    assert_fails(FTL_ENOTFOUND, ftl_picture_read(got, 12, ftl_test_temp("none.png"), &prep));
    const char *path = png_file("e.png", two_by_two, 2, 2);
    assert_fails(FTL_EINVAL, ftl_picture_read(got, 11, path, &prep));
    prep.channels = 2;
    assert_fails(FTL_EINVAL, ftl_picture_read(got, 8, path, &prep));
    prep = (ftl_image_prep){ 0 };
    assert_fails(FTL_EINVAL, ftl_picture_read(got, 12, path, &prep));
    assert_non_null(strstr(ftl_error_text(), "takes no picture"));
}

/* ---- recipes ------------------------------------------------------------------------------- */

static ftl_tensor_desc input_of(int64_t c, int64_t h, int64_t w)
{
    return (ftl_tensor_desc){ FTL_DTYPE_F32, 4, { -1, c, h, w } };
}

static void shapes_are_guessed(void **state)
{
    (void)state;
    ftl_tensor_desc desc = input_of(3, 224, 224);
    ftl_image_prep p = ftl_picture_prep_guess(&desc);
    assert_true(p.is_image);
    assert_int_equal(p.width, 224);
    assert_int_equal(p.resize_shorter, 256);
    assert_float_equal(p.mean[0], 0.485, 1e-6);
    assert_non_null(strstr(p.source, "guessed"));
    desc = input_of(1, 28, 20);
    p = ftl_picture_prep_guess(&desc);
    assert_true(p.is_image);
    assert_int_equal(p.height, 28);
    assert_int_equal(p.width, 20);
    assert_int_equal(p.resize_shorter, 0);
    assert_float_equal(p.std[0], 1, 0);
    desc = input_of(3, -1, -1);
    assert_int_equal(ftl_picture_prep_guess(&desc).height, 224);
    desc = input_of(4, 224, 224);
    assert_false(ftl_picture_prep_guess(&desc).is_image);
    desc = input_of(3, 0, 224);
    assert_false(ftl_picture_prep_guess(&desc).is_image);
    desc = input_of(3, (int64_t)1 << 40, 224);
    assert_false(ftl_picture_prep_guess(&desc).is_image);
    desc = (ftl_tensor_desc){ FTL_DTYPE_F32, 2, { 1, 3 } };
    assert_false(ftl_picture_prep_guess(&desc).is_image);
}

static void metadata_replaces_the_guess(void **state)
{
    (void)state;
    const ftl_tensor_desc desc = input_of(3, -1, -1);
    ftl_image_prep p = ftl_picture_prep_guess(&desc);
    const ftl_picture_metadata m = { .size = "32x48", .scale = "0.5", .mean = "1,2,3", .std = "4" };
    assert_ok(ftl_picture_prep_apply(&p, &m, &desc, "m.onnx"));
    assert_int_equal(p.width, 32);
    assert_int_equal(p.height, 48);
    assert_int_equal(p.channels, 3);
    assert_int_equal(p.resize_shorter, 0);
    assert_float_equal(p.scale, 0.5, 0);
    assert_float_equal(p.mean[2], 3, 0);
    assert_float_equal(p.std[1], 4, 0);
    assert_string_equal(p.source, "model metadata");
    const ftl_image_prep before = p;
    assert_ok(ftl_picture_prep_apply(&p, &(ftl_picture_metadata){ 0 }, &desc, "m.onnx"));
    assert_memory_equal(&p, &before, sizeof p);
}

static void lying_metadata_is_refused(void **state)
{
    (void)state;
    const ftl_tensor_desc desc = input_of(3, 28, 28);
    const ftl_picture_metadata bad[] = {
        { .size = "28" },     { .size = "28x" },      { .size = "0x28" },   { .size = "-5x28" },
        { .size = "28x28 " }, { .size = "99999x28" }, { .size = "32x28" },  { .channels = "2" },
        { .channels = "1" },  { .scale = "" },        { .scale = "1,1,1" }, { .scale = "nan" },
        { .mean = "1,2" },    { .mean = "1,2,3,4" },  { .mean = "1,,3" },   { .mean = "inf" },
        { .std = "0" },       { .std = "1,-1,1" },    { .std = "x" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ftl_image_prep p = ftl_picture_prep_guess(&desc), before = p;
        const ftl_status s = ftl_picture_prep_apply(&p, &bad[i], &desc, "m.onnx");
        if (s != FTL_EFORMAT) fail_msg("row %zu gave %s", i, ftl_status_name(s));
        assert_non_null(strstr(ftl_error_text(), "m.onnx"));
        assert_memory_equal(&p, &before, sizeof p);
    }
    const ftl_tensor_desc rows = { FTL_DTYPE_F32, 2, { -1, 3 } };
    ftl_image_prep p = { 0 };
    assert_fails(FTL_EFORMAT, ftl_picture_prep_apply(&p, &(ftl_picture_metadata){ .size = "28x28" },
                                                     &rows, "m"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_become_planes),
        cmocka_unit_test(bgr_puts_blue_first),
        cmocka_unit_test(one_channel_is_luma),
        cmocka_unit_test(squeezing_and_cropping_differ),
        cmocka_unit_test(what_cannot_be_read_is_refused),
        cmocka_unit_test(shapes_are_guessed),
        cmocka_unit_test(metadata_replaces_the_guess),
        cmocka_unit_test(lying_metadata_is_refused),
    };
    return ftl_test_run(tests);
}
