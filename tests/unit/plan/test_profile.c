/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "device/device.h"
#include "plan/probe.h"
#include "plan/profile_loop.h"

static ftl_profile_row row_of(int32_t kind, int32_t threads, const char *name, double median)
{
    ftl_profile_row r = { .kind = kind,
                          .dtype = FTL_DTYPE_F32,
                          .threads = threads,
                          .n = 5,
                          .median = median,
                          .min = median * 0.99,
                          .max = median };
    snprintf(r.name, sizeof r.name, "%s", name);
    return r;
}

static void put(ftl_profile *p, ftl_profile_row row)
{
    assert_ok(ftl_profile_put(p, &row));
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void put_replaces_the_row_with_the_same_key(void **state)
{
    (void)state;
    ftl_profile *p;
    assert_ok(ftl_profile_create(&p));
    put(p, row_of(FTL_PROFILE_READ, 1, "L1", 1e9));
    put(p, row_of(FTL_PROFILE_READ, 2, "L1", 2e9));
    ftl_profile_row again = row_of(FTL_PROFILE_READ, 1, "L1", 3e9);
    again.dim[0] = 999; /* another working set of the same level */
    put(p, again);
    ftl_profile_row gemm = row_of(FTL_PROFILE_GEMM, 1, "a", 1e9);
    put(p, gemm);
    gemm.dim[0] = 5;
    put(p, gemm);
    assert_int_equal(p->n_rows, 4);
    assert_true(ftl_profile_get(p, &again)->median == 3e9);
    ftl_profile_destroy(p);
}

static void every_kind_has_its_name_and_unit(void **state)
{
    (void)state;
    for (int32_t k = FTL_PROFILE_PEAK; k <= FTL_PROFILE_LEARNED; k++) {
        assert_int_equal(ftl_profile_kind_from_name(ftl_profile_kind_name(k)), k);
        assert_true(*ftl_profile_kind_unit(k) != 0);
    }
    assert_int_equal(ftl_profile_kind_from_name("no such kind"), 0);
    assert_string_equal(ftl_profile_kind_name(-1), "unknown");
    assert_true(ftl_profile_is_rate(FTL_PROFILE_PEAK));
    assert_false(ftl_profile_is_rate(FTL_PROFILE_LATENCY));
}

static void samples_become_median_and_spread(void **state)
{
    (void)state;
    double samples[] = { 5, 1, 3, 2, 100 };
    ftl_profile_row r = { .kind = FTL_PROFILE_PEAK };
    ftl_profile_row_set(&r, samples, 5);
    assert_true(r.n == 5 && r.median == 3 && r.min == 1 && r.max == 100 && r.mad == 2);
}

/* ---- physics ------------------------------------------------------------------------------- */

static void a_product_above_the_peak_is_a_fault(void **state)
{
    (void)state;
    ftl_profile *p;
    assert_ok(ftl_profile_create(&p));
    put(p, row_of(FTL_PROFILE_PEAK, 1, "", 100e9));
    put(p, row_of(FTL_PROFILE_PEAK, 2, "", 200e9));
    put(p, row_of(FTL_PROFILE_GEMM, 1, "", 104e9)); /* within 5 % */
    put(p, row_of(FTL_PROFILE_GEMM, 2, "", 215e9));
    put(p, row_of(FTL_PROFILE_CONV, 1, "", 106e9));
    assert_int_equal(ftl_profile_check_floor(p), 2);
    assert_int_equal(p->rows[2].flags, 0);
    assert_int_equal(p->rows[3].flags, FTL_PROFILE_FAULT);
    assert_non_null(strstr(p->rows[3].note, "108 % of the peak"));
    assert_int_equal(p->rows[4].flags, FTL_PROFILE_FAULT);
    assert_non_null(strstr(p->why_faults, "2 figures are impossible"));
    p->rows[3].median = 190e9; /* the mark goes with its cause */
    p->rows[4].median = 90e9;
    assert_int_equal(ftl_profile_check_floor(p), 0);
    assert_string_equal(p->why_faults, "");
    assert_int_equal(p->rows[3].flags, 0);
    ftl_profile_destroy(p);
}

static void memory_above_the_caches_is_a_fault(void **state)
{
    (void)state;
    ftl_profile *p;
    assert_ok(ftl_profile_create(&p));
    put(p, row_of(FTL_PROFILE_READ, 1, "L1", 100e9));
    put(p, row_of(FTL_PROFILE_READ, 1, "L2", 120e9)); /* odd, not impossible */
    put(p, row_of(FTL_PROFILE_READ, 1, "memory", 130e9));
    put(p, row_of(FTL_PROFILE_STREAM, 1, "add", 200e9));
    put(p, row_of(FTL_PROFILE_STREAM, 1, "gelu", 20e9));
    assert_int_equal(ftl_profile_check_floor(p), 2);
    assert_int_equal(p->rows[2].flags, FTL_PROFILE_FAULT);
    assert_int_equal(p->rows[3].flags, FTL_PROFILE_FAULT);
    ftl_profile_destroy(p);
}

static void what_is_no_positive_number_is_a_fault(void **state)
{
    (void)state;
    static const double bad[] = { 0, -1, NAN, INFINITY };
    for (size_t i = 0; i < 4; i++) {
        ftl_profile *p;
        assert_ok(ftl_profile_create(&p));
        put(p, row_of(FTL_PROFILE_STEP, 1, "", bad[i]));
        assert_int_equal(ftl_profile_check_floor(p), 1);
        ftl_profile_destroy(p);
    }
}

/* ---- the loop, on made-up figures ---------------------------------------------------------- */

typedef struct script {
    double now_s, row_s; /* a measurement takes row_s */
    const double *references;
    int n_references, reference, n_measured;
    double gemm; /* every GEMM row after the first measurement of it */
    int cancel_at, fail_at;
} script;

static ftl_status scripted_reference(void *context, double *figure)
{
    script *s = context;
    const int at = s->reference < s->n_references ? s->reference : s->n_references - 1;
    *figure = s->references[at];
    s->reference++;
    return FTL_OK;
}

static ftl_status scripted_measure(void *context, ftl_profile_row *row, double seconds)
{
    script *s = context;
    (void)seconds;
    s->now_s += s->row_s;
    s->n_measured++;
    if (s->n_measured == s->cancel_at) ftl_cancel_request();
    if (s->n_measured == s->fail_at) return FTL_ENOMEM;
    if (row->kind == FTL_PROFILE_CONV) return FTL_EUNSUPPORTED;
    double samples[5];
    const double base = row->kind == FTL_PROFILE_PEAK   ? 100
                        : row->kind == FTL_PROFILE_GEMM ? s->gemm
                                                        : 10 + s->n_measured;
    for (int i = 0; i < 5; i++) samples[i] = base;
    ftl_profile_row_set(row, samples, 5);
    return FTL_OK;
}

static double scripted_now(void *context)
{
    return ((script *)context)->now_s;
}

enum { MANY = 20 };
static size_t many_rows(ftl_profile_row *rows)
{
    for (int i = 0; i < MANY; i++) {
        rows[i] = (ftl_profile_row){
            .kind = FTL_PROFILE_STREAM, .dtype = FTL_DTYPE_F32, .threads = 1, .dim = { i + 1, 1 }
        };
        snprintf(rows[i].name, sizeof rows[i].name, "add");
    }
    return MANY;
}

static ftl_status run_script(ftl_profile *p, script *s, const ftl_profile_row *rows, size_t n,
                             double budget)
{
    const ftl_profile_runner r = { .context = s,
                                   .reference = scripted_reference,
                                   .measure = scripted_measure,
                                   .now_s = scripted_now };
    return ftl_profile_loop(p, &r, rows, n, budget);
}

static size_t n_marked(const ftl_profile *p, uint32_t flag)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_rows; i++) n += (p->rows[i].flags & flag) != 0;
    return n;
}

static void a_quiet_machine_is_measured_once(void **state)
{
    (void)state;
    static const double references[] = { 100, 95, 99, 93 }; /* within 10 % */
    ftl_profile_row rows[MANY];
    script s = { .row_s = 0.01, .references = references, .n_references = 4 };
    ftl_profile *p;
    assert_ok(ftl_profile_create(&p));
    assert_ok(run_script(p, &s, rows, many_rows(rows), 60));
    assert_int_equal(s.n_measured, MANY);
    assert_int_equal(p->n_rows, MANY);
    assert_int_equal(n_marked(p, FTL_PROFILE_DISTURBED), 0);
    assert_false(p->is_disturbed);
    assert_true(fabs(p->drift - 0.07) < 1e-9);
    ftl_profile_destroy(p);
}

static void a_passing_disturbance_is_measured_again(void **state)
{
    (void)state;
    /* Something between groups 1 and 2 of 3; both get a second look at the end. */
    static const double references[] = { 100, 60, 99, 100, 97, 98, 99, 99 };
    ftl_profile_row rows[MANY];
    script s = { .row_s = 0.01, .references = references, .n_references = 8 };
    ftl_profile *p;
    assert_ok(ftl_profile_create(&p));
    assert_ok(run_script(p, &s, rows, many_rows(rows), 60));
    assert_int_equal(s.n_measured, MANY + 2 * FTL_LOOP_GROUP);
    assert_int_equal(n_marked(p, FTL_PROFILE_DISTURBED), 0);
    /* Of two looks the faster one: figures rise with their number. */
    assert_true(p->rows[0].median == 10 + MANY + 1);
    assert_true(fabs(p->drift - 0.4) < 1e-9);
    ftl_profile_destroy(p);
}

static void a_lasting_disturbance_is_marked(void **state)
{
    (void)state;
    /* Quiet until the second group, then slow for good. */
    static const double references[] = { 100, 99, 70 };
    ftl_profile_row rows[MANY];
    script s = { .row_s = 0.01, .references = references, .n_references = 3 };
    ftl_profile *p;
    assert_ok(ftl_profile_create(&p));
    assert_ok(run_script(p, &s, rows, many_rows(rows), 60));
    assert_true(p->is_disturbed);
    assert_int_equal(n_marked(p, FTL_PROFILE_DISTURBED), MANY - FTL_LOOP_GROUP);
    assert_int_equal(p->rows[0].flags, 0);
    ftl_profile_destroy(p);
}

static void a_slow_start_is_noticed_at_the_end(void **state)
{
    (void)state;
    static const double references[] = { 50, 50, 50, 100 };
    ftl_profile_row rows[MANY];
    script s = { .row_s = 0.01, .references = references, .n_references = 4 };
    ftl_profile *p;
    assert_ok(ftl_profile_create(&p));
    assert_ok(run_script(p, &s, rows, many_rows(rows), 60));
    assert_int_equal(s.n_measured, 2 * MANY);
    assert_int_equal(n_marked(p, FTL_PROFILE_DISTURBED), 0);
    ftl_profile_destroy(p);
    /* The same without time for a second look. */
    s = (script){ .row_s = 1, .references = references, .n_references = 4 };
    assert_ok(ftl_profile_create(&p));
    assert_ok(run_script(p, &s, rows, MANY, MANY));
    assert_int_equal(s.n_measured, MANY + MANY % FTL_LOOP_GROUP); /* the last group is short */
    assert_true(p->rows[0].flags & FTL_PROFILE_DISTURBED);
    ftl_profile_destroy(p);
}

static void the_budget_ends_the_list(void **state)
{
    (void)state;
    static const double references[] = { 100 };
    ftl_profile_row rows[MANY];
    script s = { .row_s = 1, .references = references, .n_references = 1 };
    ftl_profile *p;
    assert_ok(ftl_profile_create(&p));
    assert_ok(run_script(p, &s, rows, many_rows(rows), 10));
    assert_in_range(p->n_rows, 9, 12);
    ftl_profile_destroy(p);
}

static void an_impossible_figure_gets_a_second_look(void **state)
{
    (void)state;
    static const double references[] = { 100 };
    const ftl_profile_row rows[] = { row_of(FTL_PROFILE_PEAK, 1, "", 0),
                                     row_of(FTL_PROFILE_GEMM, 1, "", 0) };
    script s = { .row_s = 0.01, .references = references, .n_references = 1, .gemm = 130 };
    ftl_profile *p;
    assert_ok(ftl_profile_create(&p));
    assert_ok(run_script(p, &s, rows, 2, 60));
    assert_int_equal(s.n_measured, 4); /* product and peak, twice each */
    assert_int_equal(n_marked(p, FTL_PROFILE_FAULT), 1);
    ftl_profile_destroy(p);
}

static void what_the_device_lacks_is_left_out(void **state)
{
    (void)state;
    static const double references[] = { 100 };
    const ftl_profile_row rows[] = { row_of(FTL_PROFILE_PEAK, 1, "", 0),
                                     row_of(FTL_PROFILE_CONV, 1, "", 0) };
    script s = { .references = references, .n_references = 1 };
    ftl_profile *p;
    assert_ok(ftl_profile_create(&p));
    assert_ok(run_script(p, &s, rows, 2, 60));
    assert_int_equal(p->n_rows, 1);
    ftl_profile_destroy(p);
}

static void failures_and_interrupts_end_the_loop(void **state)
{
    (void)state;
    static const double references[] = { 100 };
    ftl_profile_row rows[MANY];
    many_rows(rows);
    script s = { .references = references, .n_references = 1, .fail_at = 3 };
    ftl_profile *p;
    assert_ok(ftl_profile_create(&p));
    assert_int_equal(run_script(p, &s, rows, MANY, 60), FTL_ENOMEM);
    s = (script){ .references = references, .n_references = 1, .cancel_at = 3 };
    assert_int_equal(run_script(p, &s, rows, MANY, 60), FTL_ECANCELED);
    assert_int_equal(s.n_measured, 3);
    ftl_cancel_reset();
    ftl_profile_destroy(p);
}

/* ---- on the CPU ---------------------------------------------------------------------------- */

static void wanted_rows_and_the_basics_come_within_a_budget(void **state)
{
    (void)state;
    ftl_device *device;
    ftl_profile *p;
    const ftl_profile_row wanted[] = {
        { .kind = FTL_PROFILE_GEMM, .dtype = FTL_DTYPE_F32, .threads = 1, .dim = { 8, 64, 64 } },
    };
    assert_ok(ftl_device_open_name(&device, "cpu", NULL));
    assert_ok(ftl_profile_create(&p));
    assert_ok(ftl_profile_identify(p, device, "cpu"));
    ftl_profile_options o = FTL_PROFILE_OPTIONS_INIT;
    o.n_threads = 1;
    o.is_quick = true;
    o.seconds = 1;
    o.wanted = wanted;
    o.n_wanted = 1;
    assert_ok(ftl_profile_measure(p, device, &o));
    const ftl_profile_row peak = { .kind = FTL_PROFILE_PEAK, .dtype = FTL_DTYPE_F32, .threads = 1 };
    const ftl_profile_row *r = ftl_profile_get(p, &peak);
    assert_non_null(r);
    assert_true(r->n >= 5 && r->median > 1e8 && r->min <= r->median && r->median <= r->max);
    const size_t n = p->n_rows;
    assert_true(n >= 3);
    o.keeps_present = true;
    o.seconds = 20; /* what the budget left out before, and nothing else */
    assert_ok(ftl_profile_measure(p, device, &o));
    assert_non_null(ftl_profile_get(p, &wanted[0]));
    assert_true(ftl_profile_get(p, &wanted[0])->flops >= 2 * 8 * 64 * 64);
    ftl_profile_destroy(p);
    ftl_device_close(device);
}

static void a_test_double_is_not_measured(void **state)
{
    (void)state;
    ftl_device *device;
    ftl_profile *p;
    assert_ok(ftl_device_open_name(&device, "fake", NULL));
    assert_ok(ftl_profile_create(&p));
    assert_fails(FTL_EUNSUPPORTED, ftl_profile_measure(p, device, NULL));
    ftl_profile_destroy(p);
    ftl_device_close(device);
}

static void every_stream_is_a_graph(void **state)
{
    (void)state;
    static const char *const names[] = { "add",        "concat",     "neg",        "gelu",
                                         "relu",       "softmax",    "layer_norm", "transpose",
                                         "reduce_sum", "max_pool2d", "avg_pool2d", "attention" };
    ftl_graph *g;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ftl_profile_row r = row_of(FTL_PROFILE_STREAM, 1, names[i], 0);
        r.dim[0] = 16;
        r.dim[1] = 256;
        assert_ok(ftl_probe_graph(&g, &r));
        ftl_graph_destroy(g);
    }
    ftl_profile_row bad = row_of(FTL_PROFILE_STREAM, 1, "nothing", 0);
    bad.dim[0] = bad.dim[1] = 1;
    assert_fails(FTL_EUNSUPPORTED, ftl_probe_graph(&g, &bad));
    bad = row_of(FTL_PROFILE_GEMM, 1, "", 0);
    assert_fails(FTL_EINVAL, ftl_probe_graph(&g, &bad));
    bad = row_of(FTL_PROFILE_CONV, 1, "", 0);
    for (int i = 0; i < 8; i++) bad.dim[i] = 3;
    bad.dim[7] = 2; /* does not divide the channels */
    assert_fails(FTL_EINVAL, ftl_probe_graph(&g, &bad));
}

/* Failing each allocation of a probe in turn: a status, and nothing is lost (ASan looks). */
static void a_probe_survives_any_failing_allocation(void **state)
{
    (void)state;
    ftl_device *device;
    ftl_queue *queue;
    ftl_profile_row r = row_of(FTL_PROFILE_GEMM, 1, "", 0);
    r.dim[0] = r.dim[1] = r.dim[2] = 32;
    assert_ok(ftl_device_open_name(&device, "cpu", NULL));
    assert_ok(ftl_queue_create(&queue, device, 1));
    ftl_status s = FTL_ENOMEM;
    for (uint64_t nth = 1; s != FTL_OK; nth++) {
        ftl_graph *g = NULL;
        ftl_probe *probe = NULL;
        ftl_alloc_fail_at(nth, false);
        s = ftl_probe_graph(&g, &r);
        if (s == FTL_OK) s = ftl_probe_create(&probe, device, queue, g);
        ftl_alloc_fail_at(0, false);
        ftl_probe_destroy(probe);
        ftl_graph_destroy(g);
        assert_true(s == FTL_OK || s == FTL_ENOMEM);
        assert_true(nth < 1000);
    }
    ftl_queue_destroy(queue);
    ftl_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_replaces_the_row_with_the_same_key),
        cmocka_unit_test(every_kind_has_its_name_and_unit),
        cmocka_unit_test(samples_become_median_and_spread),
        cmocka_unit_test(a_product_above_the_peak_is_a_fault),
        cmocka_unit_test(memory_above_the_caches_is_a_fault),
        cmocka_unit_test(what_is_no_positive_number_is_a_fault),
        cmocka_unit_test(a_quiet_machine_is_measured_once),
        cmocka_unit_test(a_passing_disturbance_is_measured_again),
        cmocka_unit_test(a_lasting_disturbance_is_marked),
        cmocka_unit_test(a_slow_start_is_noticed_at_the_end),
        cmocka_unit_test(the_budget_ends_the_list),
        cmocka_unit_test(an_impossible_figure_gets_a_second_look),
        cmocka_unit_test(what_the_device_lacks_is_left_out),
        cmocka_unit_test(failures_and_interrupts_end_the_loop),
        cmocka_unit_test(wanted_rows_and_the_basics_come_within_a_budget),
        cmocka_unit_test(a_test_double_is_not_measured),
        cmocka_unit_test(every_stream_is_a_graph),
        cmocka_unit_test(a_probe_survives_any_failing_allocation),
    };
    return ftl_test_run(tests);
}
