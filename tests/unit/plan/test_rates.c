/* SPDX-License-Identifier: Apache-2.0 */
/* The cost model on a made-up machine of round numbers, where every answer can be worked out by
 * hand, and what it learns from runs. */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plan/profile.h"
#include "plan/rates.h"

static void put(ftl_profile *p, int32_t kind, int32_t threads, const char *name, double median,
                int64_t size)
{
    ftl_profile_row r = { .kind = kind,
                          .dtype = FTL_DTYPE_F32,
                          .threads = threads,
                          .n = 5,
                          .median = median,
                          .min = median,
                          .max = median,
                          .dim = { size } };
    snprintf(r.name, sizeof r.name, "%s", name);
    assert_ok(ftl_profile_put(p, &r));
}

/* 100 GFLOP/s a core of two; 10 GB/s of memory for one, 16 for two; 1 us a step, 10 us a run. */
static ftl_profile *round_machine(void)
{
    ftl_profile *p;
    assert_ok(ftl_profile_create(&p));
    p->threads = 2;
    for (int32_t t = 1; t <= 2; t++) {
        put(p, FTL_PROFILE_PEAK, t, "", 100e9 * t, 0);
        put(p, FTL_PROFILE_READ, t, "L1", 400e9 * t, 16 << 10);
        put(p, FTL_PROFILE_READ, t, "L2", 200e9 * t, 256 << 10);
        put(p, FTL_PROFILE_READ, t, "L3", 100e9 * t, 4 << 20);
        put(p, FTL_PROFILE_READ, t, "memory", t == 1 ? 10e9 : 16e9, 256 << 20);
        put(p, FTL_PROFILE_STEP, t, "", 1e-6, 0);
        put(p, FTL_PROFILE_LAUNCH, t, "", 10e-6, 0);
    }
    return p;
}

/* y = x w^T, x [m, k], w [n, k]. */
static ftl_graph *product(int64_t m, int64_t n, int64_t k)
{
    ftl_graph *g;
    assert_ok(ftl_graph_create(&g, "product", true));
    const ftl_tensor_desc x = { FTL_DTYPE_F32, 2, { m, k } }, w = { FTL_DTYPE_F32, 2, { n, k } };
    const int32_t y = FTL_ADD(g, linear, NULL, ftl_graph_input(g, "x", &x),
                              ftl_graph_weight(g, "w", &w, NULL, (ftl_init){ 0 }));
    ftl_graph_output(g, "y", y);
    assert_ok(ftl_graph_status(g));
    return g;
}

static void a_product_is_bound_by_arithmetic_or_by_memory(void **s)
{
    (void)s;
    ftl_profile *p = round_machine();
    ftl_rates one, two;
    assert_ok(ftl_rates_from_profile(&one, p, 1));
    assert_ok(ftl_rates_from_profile(&two, p, 2));
    one.efficiency[FTL_WORK_GEMM] = two.efficiency[FTL_WORK_GEMM] = 0.5;
    one.efficiency[FTL_WORK_GEMV] = two.efficiency[FTL_WORK_GEMV] = 1;
    ftl_graph *g = product(1000, 1000, 1000);
    ftl_cost_estimate e;
    ftl_cost_graph(&one, g, &e); /* 2e9 flop / 1e11 / 0.5 + 1 us + 10 us */
    assert_float_equal(e.seconds, 0.040011, 1e-9);
    assert_true(e.flops_s > e.bytes_s);
    ftl_cost_graph(&two, g, &e);
    assert_float_equal(e.seconds, 0.020011, 1e-9);
    assert_true(e.low_s < e.seconds && e.seconds < e.high_s);
    ftl_graph_destroy(g);
    g = product(1, 8000, 8000); /* 256 MB of weights at 10 GB/s */
    ftl_cost_graph(&one, g, &e);
    assert_true(e.bytes_s > e.flops_s);
    assert_float_equal(e.seconds, (8000.0 * 8000 + 16000) * 4 / 10e9 + 11e-6, 1e-9);
    ftl_graph_destroy(g);
    ftl_profile_destroy(p);
}

static void shapes_of_the_profile_set_the_efficiency(void **s)
{
    (void)s;
    ftl_profile *p = round_machine();
    ftl_profile_row r = { .kind = FTL_PROFILE_GEMM,
                          .dtype = FTL_DTYPE_F32,
                          .threads = 1,
                          .n = 5,
                          .dim = { 1024, 1024, 1024 },
                          .flops = 2e9,
                          .bytes = 12e6 };
    r.median = r.min = r.max = 1.0 / (1 / 80e9 + 10e-6 / 2e9); /* 80 % behind the run's 10 us */
    assert_ok(ftl_profile_put(p, &r));
    ftl_rates rates;
    assert_ok(ftl_rates_from_profile(&rates, p, 1));
    assert_float_equal(rates.efficiency[FTL_WORK_GEMM], 0.8, 1e-6);
    r.flags = FTL_PROFILE_FAULT; /* faster than physics: never used */
    r.median = 1e12;
    assert_ok(ftl_profile_put(p, &r));
    assert_ok(ftl_rates_from_profile(&rates, p, 1));
    assert_true(rates.efficiency[FTL_WORK_GEMM] <= 1);
    ftl_profile_destroy(p);
}

static void a_profile_without_a_peak_is_refused(void **s)
{
    (void)s;
    ftl_profile *p;
    ftl_rates rates;
    assert_ok(ftl_profile_create(&p));
    p->threads = 1;
    put(p, FTL_PROFILE_READ, 1, "memory", 10e9, 256 << 20);
    assert_fails(FTL_EINVAL, ftl_rates_from_profile(&rates, p, 1));
    assert_non_null(strstr(ftl_error_text(), "fettle bench"));
    ftl_profile_destroy(p);
}

/* A machine whose convolutions run at a third of the bound: after a run the next prediction is
 * right, and after runs that scatter the interval is wide. */
static void runs_teach_the_next_prediction(void **s)
{
    (void)s;
    ftl_profile *p = round_machine();
    ftl_rates_sample samples[20];
    for (int i = 0; i < 20; i++)
        samples[i] = (ftl_rates_sample){ FTL_WORK_CONV_3X3, 1e-3, i % 2 ? 3e-3 : 3.2e-3 };
    assert_ok(ftl_rates_learn(p, 1, samples, 20));
    ftl_rates rates;
    assert_ok(ftl_rates_from_profile(&rates, p, 1));
    assert_float_equal(rates.efficiency[FTL_WORK_CONV_3X3], 1 / 3.1, 1e-3);
    const double calm = rates.scatter[FTL_WORK_CONV_3X3];
    for (int i = 0; i < 20; i++) samples[i].seconds = i % 2 ? 1e-3 : 9e-3;
    assert_ok(ftl_rates_learn(p, 1, samples, 20));
    assert_ok(ftl_rates_from_profile(&rates, p, 1));
    assert_true(rates.scatter[FTL_WORK_CONV_3X3] > 2 * calm);
    /* Another class and another thread count keep what they had. */
    ftl_rates fresh;
    ftl_rates_default(&fresh);
    assert_float_equal(rates.efficiency[FTL_WORK_POOL], fresh.efficiency[FTL_WORK_POOL], 1e-12);
    assert_ok(ftl_rates_from_profile(&rates, p, 2));
    assert_float_equal(rates.efficiency[FTL_WORK_CONV_3X3], fresh.efficiency[FTL_WORK_CONV_3X3],
                       1e-12);
    ftl_profile_destroy(p);
}

static void data_sheets_give_wide_intervals(void **s)
{
    (void)s;
    const ftl_chip *chip;
    ftl_rates rates;
    ftl_cost_estimate e;
    assert_ok(ftl_catalogue_find(&chip, "gpu:h200"));
    assert_ok(ftl_rates_from_chip(&rates, chip));
    ftl_graph *g = product(1024, 1024, 1024);
    ftl_cost_graph(&rates, g, &e);
    assert_true(e.seconds > 2.147e9 / chip->f32_flops_per_s);
    assert_true(e.high_s / e.low_s > 2);
    ftl_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_is_bound_by_arithmetic_or_by_memory),
        cmocka_unit_test(shapes_of_the_profile_set_the_efficiency),
        cmocka_unit_test(a_profile_without_a_peak_is_refused),
        cmocka_unit_test(runs_teach_the_next_prediction),
        cmocka_unit_test(data_sheets_give_wide_intervals),
    };
    return ftl_test_run(tests);
}
