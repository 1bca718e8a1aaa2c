/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "fettle/catalogue.h"

static const ftl_chip *found(const char *name)
{
    const ftl_chip *chip;
    assert_ok(ftl_catalogue_find(&chip, name));
    assert_non_null(chip);
    return chip;
}

/* 0: not stated; otherwise between what the smallest and the largest chips have. */
static void check_range(const ftl_chip *chip, const char *what, double x, double least, double most)
{
    if (x == 0 || (x >= least && x <= most)) return;
    print_error("%s: %s is %g, outside %g ... %g\n", chip->name, what, x, least, most);
    fail();
}

static void every_row_is_plausible(void **state)
{
    (void)state;
    int32_t n = 0;
    for (const ftl_chip *chip; (chip = ftl_catalogue_at(n)) != NULL; n++) {
        check_range(chip, "f32", chip->f32_flops_per_s, 1e11, 2e14);
        check_range(chip, "f16", chip->f16_flops_per_s, 1e12, 5e15);
        check_range(chip, "i8", chip->i8_ops_per_s, 1e12, 1e16);
        check_range(chip, "memory", (double)chip->memory_bytes, 0x1p30, 0x1p43);
        check_range(chip, "bandwidth", chip->memory_bytes_per_s, 1e10, 1e13);
        check_range(chip, "host link", chip->host_bytes_per_s, 4e8, 1e12);
        check_range(chip, "peer link", chip->peer_bytes_per_s, 1e10, 2e12);
        check_range(chip, "power", chip->tdp_w, 5, 1500);
        check_range(chip, "cores", chip->n_cores, 1, 400);
        assert_true(chip->memory_bytes > 0 && chip->n_cores > 0);
        assert_true(chip->f32_flops_per_s > 0 || chip->f16_flops_per_s > 0);
        assert_true(strlen(chip->source) > 10 && strlen(chip->title) > 3 && *chip->link);
        /* A sparse peak taken for a dense one, or a wrong power of ten, breaks these ratios. */
        if (chip->f32_flops_per_s > 0 && chip->f16_flops_per_s > 0)
            check_range(chip, "f16 over f32", chip->f16_flops_per_s / chip->f32_flops_per_s, 2, 33);
        if (chip->f16_flops_per_s > 0 && chip->i8_ops_per_s > 0)
            check_range(chip, "i8 over f16", chip->i8_ops_per_s / chip->f16_flops_per_s, 1, 4);
        const double peak = chip->f16_flops_per_s > chip->f32_flops_per_s ? chip->f16_flops_per_s
                                                                          : chip->f32_flops_per_s;
        if (chip->memory_bytes_per_s > 0)
            check_range(chip, "flop a byte", peak / chip->memory_bytes_per_s, 3, 1000);
        if (chip->tdp_w > 0) check_range(chip, "flop a joule", peak / chip->tdp_w, 3e9, 3e12);
    }
    assert_true(n > 80);
}

static void names_are_unique_and_begin_with_their_kind(void **state)
{
    (void)state;
    static const char *const kinds[] = { "gpu", "tpu", "npu", "cpu" };
    for (int32_t i = 0; ftl_catalogue_at(i); i++) {
        const ftl_chip *chip = ftl_catalogue_at(i);
        int n_kinds = 0;
        for (size_t k = 0; k < 4; k++) n_kinds += strcmp(chip->kind, kinds[k]) == 0;
        assert_int_equal(n_kinds, 1);
        assert_memory_equal(chip->name, chip->kind, 3);
        assert_int_equal(chip->name[3], ':');
        for (int32_t j = 0; j < i; j++) {
            assert_true(strcasecmp(ftl_catalogue_at(j)->name + 4, chip->name + 4) != 0);
            assert_true(strcasecmp(ftl_catalogue_at(j)->title, chip->title) != 0);
        }
    }
    assert_null(ftl_catalogue_at(-1));
}

static void the_chips_people_ask_for_are_there(void **state)
{
    (void)state;
    static const char *const names[] = { "gpu:h100",
                                         "gpu:h100-pcie",
                                         "gpu:h200",
                                         "gpu:h20",
                                         "gpu:a100",
                                         "gpu:a100-40gb",
                                         "gpu:a800",
                                         "gpu:b200",
                                         "gpu:l4",
                                         "gpu:l40s",
                                         "gpu:rtx-2060",
                                         "gpu:rtx-3090",
                                         "gpu:rtx-4090",
                                         "gpu:rtx-5090",
                                         "gpu:rx-7900-xtx",
                                         "gpu:mi300x",
                                         "gpu:arc-b580",
                                         "tpu:v4",
                                         "tpu:v5e",
                                         "tpu:v5p",
                                         "tpu:v6e",
                                         "tpu:7x",
                                         "npu:ascend-310p",
                                         "npu:ascend-910b",
                                         "npu:ascend-910c",
                                         "cpu:epyc-9654",
                                         "cpu:epyc-7763",
                                         "cpu:xeon-8480",
                                         "cpu:kunpeng-920",
                                         "cpu:ryzen-7-7840u",
                                         "cpu:core-i7-12700h",
                                         "cpu:raspberry-pi-5",
                                         "gpu:rtx-4060-laptop",
                                         "gpu:rtx-5090-laptop" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_string_equal(found(names[i])->name, names[i]);
    assert_ptr_equal(found("H200"), found("gpu:h200"));
    assert_ptr_equal(found("GPU:RTX-4090"), found("rtx-4090"));
}

/* Numbers that NVIDIA, AMD and Raspberry Pi print themselves, against what was computed. */
static void computed_peaks_agree_with_white_papers(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double f32, f16, i8;
    } printed[] = {
        { "gpu:rtx-2080", 10.1e12, 40.3e12, 161.1e12 }, /* Turing white paper, table 1, reference */
        { "gpu:rtx-3090", 35.6e12, 71e12, 284e12 },     /* GA102 white paper, table 9 */
        { "gpu:rtx-4090", 82.6e12, 165.2e12, 660.6e12 }, /* Ada white paper, table 2 */
        { "gpu:rtx-5090", 104.8e12, 209.5e12, 838e12 },  /* RTX Blackwell white paper */
        { "cpu:raspberry-pi-5", 153.6e9, 0, 0 },
    };
    for (size_t i = 0; i < sizeof printed / sizeof printed[0]; i++) {
        const ftl_chip *chip = found(printed[i].name);
        assert_true(chip->f32_flops_per_s / printed[i].f32 > 0.99 &&
                    chip->f32_flops_per_s / printed[i].f32 < 1.01);
        if (printed[i].f16 == 0) continue;
        assert_true(chip->f16_flops_per_s / printed[i].f16 > 0.99 &&
                    chip->f16_flops_per_s / printed[i].f16 < 1.01);
        assert_true(chip->i8_ops_per_s / printed[i].i8 > 0.99 &&
                    chip->i8_ops_per_s / printed[i].i8 < 1.01);
    }
}

static void a_wrong_name_gets_the_nearest(void **state)
{
    (void)state;
    const ftl_chip *chip = (const ftl_chip *)1;
    assert_fails(FTL_ENOTFOUND, ftl_catalogue_find(&chip, "gpu:rtx-4900"));
    assert_null(chip);
    assert_non_null(strstr(ftl_error_text(), "gpu:rtx-4090"));
    assert_fails(FTL_ENOTFOUND, ftl_catalogue_find(&chip, "mi300"));
    assert_non_null(strstr(ftl_error_text(), "mi300x"));
    assert_fails(FTL_ENOTFOUND, ftl_catalogue_find(&chip, ""));
    assert_fails(FTL_ENOTFOUND, ftl_catalogue_find(&chip, "a quantum computer"));
    assert_non_null(strstr(ftl_error_text(), "--catalogue"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_plausible),
        cmocka_unit_test(names_are_unique_and_begin_with_their_kind),
        cmocka_unit_test(the_chips_people_ask_for_are_there),
        cmocka_unit_test(computed_peaks_agree_with_white_papers),
        cmocka_unit_test(a_wrong_name_gets_the_nearest),
    };
    return ftl_test_run(tests);
}
