/* SPDX-License-Identifier: Apache-2.0 */
/* Plans on a made-up machine, given as an exported profile, so that every choice is known. */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "fettle/fettle.h"
#include "plan/profile.h"

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

/* Four cores; arithmetic doubles with each doubling of threads, memory does not. */
static const char *made_up_machine(void)
{
    static char path[512];
    ftl_profile *p;
    assert_ok(ftl_profile_create(&p));
    p->threads = 4;
    snprintf(p->device, sizeof p->device, "cpu");
    snprintf(p->machine, sizeof p->machine, "made up");
    for (int32_t t = 1; t <= 4; t *= 2) {
        put(p, FTL_PROFILE_PEAK, t, "", 100e9 * t, 0);
        put(p, FTL_PROFILE_READ, t, "L2", 200e9 * t, 256 << 10);
        put(p, FTL_PROFILE_READ, t, "memory", 20e9, 256 << 20);
        put(p, FTL_PROFILE_STEP, t, "", 1e-6, 0);
        put(p, FTL_PROFILE_LAUNCH, t, "", 1e-6 * t, 0);
    }
    snprintf(path, sizeof path, "%s", ftl_test_temp("machine.json"));
    assert_ok(ftl_profile_export(p, path));
    ftl_profile_destroy(p);
    return path;
}

static ftl_plan *plan_for(const char *model_name, ftl_plan_options *o)
{
    ftl_model *model;
    ftl_plan *plan;
    assert_ok(ftl_model_open(&model, model_name));
    assert_ok(ftl_plan_create(&plan, model, o));
    ftl_model_close(model);
    return plan;
}

static void more_threads_win_where_arithmetic_binds(void **s)
{
    (void)s;
    const char *on = made_up_machine();
    ftl_plan_options o = FTL_PLAN_OPTIONS_INIT;
    o.on = &on;
    o.n_on = 1;
    ftl_plan *plan = plan_for("@linear-1000", &o);
    assert_int_equal(plan->n_candidates, 3);
    assert_int_equal(plan->chosen, 0);
    assert_int_equal(plan->candidates[0].n_threads, 4);
    assert_int_equal(plan->candidates[0].batch, 64);
    assert_int_equal(plan->candidates[plan->baseline].n_threads, 4);
    for (int32_t i = 0; i < 3; i++) {
        const ftl_prediction *p = &plan->candidates[i].predicted;
        assert_true(p->latency_low_s < p->latency_s && p->latency_s < p->latency_high_s);
        assert_true(p->latency_high_s / p->latency_low_s <= 3.5);
        assert_true(p->memory_bytes > 4000000 && p->memory_bytes < 20000000);
        assert_true(isnan(p->energy_j));
    }
    assert_true(plan->flops > 1.27e8 && plan->flops < 1.3e8);
    ftl_plan_destroy(plan);
}

static void limits_are_kept_and_named(void **s)
{
    (void)s;
    const char *on = made_up_machine();
    ftl_plan_options o = FTL_PLAN_OPTIONS_INIT;
    o.on = &on;
    o.n_on = 1;
    o.max_memory_bytes = 5000000;
    ftl_plan *plan = plan_for("@linear-1000", &o);
    assert_int_equal(plan->chosen, -1);
    assert_false(plan->candidates[0].fits);
    assert_int_equal(plan->candidates[0].missing_bytes,
                     plan->candidates[0].predicted.memory_bytes - 5000000);
    assert_non_null(strstr(plan->candidates[0].reason, "5.00 MB"));
    ftl_plan_destroy(plan);
    o.max_memory_bytes = 0;
    o.max_latency_s = 1e-9;
    plan = plan_for("@linear-1000", &o);
    assert_int_equal(plan->chosen, -1);
    assert_int_equal(plan->candidates[0].missing_bytes, 0);
    assert_non_null(strstr(plan->candidates[0].reason, "allowed"));
    ftl_plan_destroy(plan);
}

/* A path is any bytes, JSON is UTF-8; and a machine may be named twice. */
static void a_path_that_is_no_utf8_is_written_all_the_same(void **s)
{
    (void)s;
    char path[512], *text;
    ftl_profile *p;
    assert_ok(ftl_profile_import(&p, made_up_machine()));
    snprintf(path, sizeof path, "%s", ftl_test_temp("made\xff.json"));
    assert_ok(ftl_profile_export(p, path));
    ftl_profile_destroy(p);
    const char *on[] = { path, path };
    ftl_plan_options o = FTL_PLAN_OPTIONS_INIT;
    o.on = on;
    o.n_on = 2;
    ftl_plan *plan = plan_for("@linear-1000", &o);
    assert_int_equal(plan->n_candidates, 6);
    assert_ok(ftl_plan_json(&text, plan));
    assert_non_null(strstr(text, "made?.json"));
    ftl_text_free(text);
    ftl_plan_destroy(plan);
}

/* The batch is a dim like others: given as one, it is the batch of the candidates too. */
static void a_batch_given_as_a_dim_counts(void **s)
{
    (void)s;
    const char *on = made_up_machine();
    const ftl_session_dim dim = { .name = "batch", .value = 7 };
    ftl_plan_options o = FTL_PLAN_OPTIONS_INIT;
    o.on = &on;
    o.n_on = 1;
    o.goal = FTL_GOAL_THROUGHPUT;
    o.dims = &dim;
    o.n_dims = 1;
    ftl_plan *plan = plan_for("@linear-1000", &o);
    assert_int_equal(plan->n_candidates, 3); /* nothing else is tried */
    for (int32_t i = 0; i < 3; i++) assert_int_equal(plan->candidates[i].batch, 7);
    ftl_plan_destroy(plan);
}

static void throughput_tries_larger_batches(void **s)
{
    (void)s;
    const char *on = made_up_machine();
    ftl_plan_options o = FTL_PLAN_OPTIONS_INIT;
    o.on = &on;
    o.n_on = 1;
    o.goal = FTL_GOAL_THROUGHPUT;
    ftl_plan *plan = plan_for("@keras-mlp", &o);
    assert_true(plan->candidates[0].batch > 1); /* the weights are read once for all samples */
    for (int32_t i = 1; i < plan->n_candidates; i++)
        assert_true(plan->candidates[i - 1].predicted.throughput_per_s >=
                    plan->candidates[i].predicted.throughput_per_s);
    ftl_plan_destroy(plan);
}

static void chips_of_the_catalogue_are_ranked(void **s)
{
    (void)s;
    const char *on[] = { "cpu:raspberry-pi-5", "gpu:h200", "gpu:rtx-4090" };
    ftl_plan_options o = FTL_PLAN_OPTIONS_INIT;
    o.on = on;
    o.n_on = 3;
    ftl_plan *plan = plan_for("@resnet50", &o);
    assert_int_equal(plan->n_candidates, 3);
    assert_string_equal(plan->candidates[2].device, "cpu:raspberry-pi-5");
    assert_non_null(strstr(plan->candidates[0].predicted.source, "data sheet"));
    assert_false(isnan(plan->candidates[0].predicted.energy_j));
    ftl_plan_destroy(plan);
    ftl_model *model;
    assert_ok(ftl_model_open(&model, "@resnet50"));
    /* The maker of this one states no bandwidth: the others are ranked all the same. */
    const char *some[] = { "npu:ascend-910b", "gpu:h200" };
    o.on = some;
    o.n_on = 2;
    assert_ok(ftl_plan_create(&plan, model, &o));
    assert_int_equal(plan->n_candidates, 1);
    assert_string_equal(plan->passed_over[plan->n_passed_over - 1].device, "npu:ascend-910b");
    ftl_plan_destroy(plan);
    const char *wrong = "gpu:h20000";
    o.on = &wrong;
    o.n_on = 1;
    assert_fails(FTL_ENOTFOUND, ftl_plan_create(&plan, model, &o));
    assert_null(plan);
    ftl_model_close(model);
}

static void a_saved_plan_says_what_to_run(void **s)
{
    (void)s;
    const char *on = made_up_machine();
    ftl_plan_options o = FTL_PLAN_OPTIONS_INIT;
    o.on = &on;
    o.n_on = 1;
    o.batch = 7;
    ftl_plan *plan = plan_for("@linear-1000", &o);
    char path[512];
    snprintf(path, sizeof path, "%s", ftl_test_temp("plan.json"));
    assert_ok(ftl_plan_save(plan, path));
    ftl_saved_plan saved;
    assert_ok(ftl_plan_load(&saved, path));
    assert_string_equal(saved.model, "@linear-1000");
    assert_int_equal(saved.n_threads, plan->candidates[0].n_threads);
    assert_int_equal(saved.batch, 7);
    ftl_plan_destroy(plan);
    o.max_memory_bytes = 1000;
    plan = plan_for("@linear-1000", &o);
    assert_ok(ftl_plan_save(plan, path));
    assert_fails(FTL_EFORMAT, ftl_plan_load(&saved, path));
    ftl_plan_destroy(plan);
    assert_fails(FTL_EFORMAT, ftl_plan_load(&saved, on));
    assert_fails(FTL_ENOTFOUND, ftl_plan_load(&saved, "/nonexistent/plan.json"));
}

static void every_failing_allocation_is_reported(void **s)
{
    (void)s;
    const char *on = "cpu:raspberry-pi-5";
    ftl_model *model;
    assert_ok(ftl_model_open(&model, "@keras-mlp"));
    ftl_plan_options o = FTL_PLAN_OPTIONS_INIT;
    o.on = &on;
    o.n_on = 1;
    ftl_plan *plan = NULL;
    ftl_alloc_fail_at(0, false);
    assert_ok(ftl_plan_create(&plan, model, &o));
    const uint64_t n_requests = ftl_alloc_fail_at(0, false);
    ftl_plan_destroy(plan);
    assert_true(n_requests > 100);
    for (uint64_t n = 1; n <= n_requests; n++) {
        ftl_alloc_fail_at(n, false);
        const ftl_status status = ftl_plan_create(&plan, model, &o);
        ftl_alloc_fail_at(0, false);
        ftl_plan_destroy(plan);
        /* A device that cannot be opened is passed over, and the plan may do without it. */
        assert_true(status == FTL_OK || status == FTL_ENOMEM || status == FTL_ENOTFOUND);
    }
    ftl_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_threads_win_where_arithmetic_binds),
        cmocka_unit_test(limits_are_kept_and_named),
        cmocka_unit_test(a_path_that_is_no_utf8_is_written_all_the_same),
        cmocka_unit_test(a_batch_given_as_a_dim_counts),
        cmocka_unit_test(throughput_tries_larger_batches),
        cmocka_unit_test(chips_of_the_catalogue_are_ranked),
        cmocka_unit_test(a_saved_plan_says_what_to_run),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return ftl_test_run(tests);
}
