/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of small presets: right numbers on every device, dims, limits, and no memory. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/eval.h"
#include "core/init.h"
#include "fettle/run.h"
#include "fettle/session.h"
#include "model/model_internal.h"
#include "support/test.h"

enum { SEED = 5, INPUT_SEED = 9 };

static ftl_model *open_model(const char *name)
{
    ftl_model *model;
    assert_ok(ftl_model_open(&model, name));
    return model;
}

static ftl_session_options options_of(const char *device, int64_t batch)
{
    ftl_session_options o = FTL_SESSION_OPTIONS_INIT;
    o.device = device;
    o.batch = batch;
    o.seed = SEED;
    return o;
}

static void *array_of(const ftl_tensor_desc *desc)
{
    void *data = calloc(1, ftl_desc_bytes_checked(desc) + 1);
    assert_non_null(data);
    return data;
}

/* ---- numbers ------------------------------------------------------------------------------- */

enum { MOST = 32 };

/* The model as it is bound, evaluated with the same seeded weights and inputs. */
static float *evaluate(const ftl_model *model, const ftl_dim_value *dims, int32_t n_dims, size_t *n)
{
    ftl_graph *g;
    assert_ok(ftl_model_bind(&g, model, dims, n_dims));
    const ftl_graph_view *v = ftl_graph_get_view(g);
    void *in[MOST] = { NULL };
    assert_true(v->n_sources <= MOST && v->n_outputs == 1);
    for (int32_t i = 0; i < v->n_sources; i++) {
        const ftl_tensor *t = &v->tensors[v->sources[i]];
        in[i] = array_of(&t->desc);
        ftl_init_fill(t, t->kind == FTL_TENSOR_WEIGHT ? SEED : INPUT_SEED, in[i]);
    }
    const ftl_tensor_desc *d = &v->tensors[v->outputs[0].tensor].desc;
    float *want = array_of(d);
    *n = (size_t)ftl_desc_count_checked(d);
    assert_ok(ftl_eval_graph(g, (const void *const *)in, (void *const[]){ want }));
    for (int32_t i = 0; i < v->n_sources; i++) free(in[i]);
    ftl_graph_destroy(g);
    return want;
}

static void check_numbers(const char *name, const char *device, int64_t batch)
{
    ftl_model *model = open_model(name);
    const ftl_dim_value dim = { "batch", batch };
    size_t n;
    float *want = evaluate(model, &dim, 1, &n);
    ftl_session_options o = options_of(device, batch);
    ftl_session *s;
    assert_ok(ftl_session_create(&s, model, &o));
    assert_int_equal(ftl_session_n_outputs(s), 1);
    const ftl_tensor_desc *d = ftl_session_output_desc(s, 0);
    assert_int_equal(ftl_desc_count_checked(d), n);
    assert_int_equal(d->dim[0], batch);
    float *got = array_of(d);
    for (int run = 0; run < 2; run++) {
        double seconds = -1;
        assert_ok(ftl_session_set_random_inputs(s, INPUT_SEED));
        assert_ok(ftl_session_run(s, &seconds));
        assert_true(seconds >= 0);
        assert_ok(ftl_session_get_output(s, 0, got, n * sizeof *got));
        ftl_test_assert_close_f32(got, want, n, 1e-5, name);
    }
    free(got);
    free(want);
    ftl_session_destroy(s);
    ftl_model_close(model);
}

static void outputs_equal_the_evaluator_on_cpu(void **unused)
{
    (void)unused;
    check_numbers("@linear-1000", "cpu", 3);
    check_numbers("@keras-mlp", "cpu", 1);
    check_numbers("@keras-mlp", "cpu", 5);
}

static void outputs_equal_the_evaluator_on_fake(void **unused)
{
    (void)unused;
    check_numbers("@linear-1000", "fake", 2);
    check_numbers("@keras-mlp", "fake", 2);
}

/* ---- the interface ------------------------------------------------------------------------- */

static void inputs_and_outputs_are_named_and_checked(void **unused)
{
    (void)unused;
    ftl_model *model = open_model("@linear-1000");
    const ftl_session_options o = options_of("cpu", 0);
    ftl_session *s;
    assert_ok(ftl_session_create(&s, model, &o));
    assert_int_equal(ftl_session_n_inputs(s), 1);
    assert_non_null(ftl_session_input_name(s, 0));
    assert_non_null(ftl_session_output_name(s, 0));
    assert_null(ftl_session_input_name(s, 1));
    assert_null(ftl_session_input_name(s, -1));
    assert_null(ftl_session_input_desc(s, 1));
    assert_null(ftl_session_output_name(s, 1));
    assert_null(ftl_session_output_desc(s, -1));
    assert_int_equal(ftl_session_input_desc(s, 0)->dim[0], 64);
    assert_true(ftl_session_n_threads(s) >= 1);
    static float x[64 * 1000];
    assert_ok(ftl_session_set_input(s, 0, x, sizeof x));
    assert_fails(FTL_EINVAL, ftl_session_set_input(s, 0, x, sizeof x - 4));
    assert_non_null(strstr(ftl_error_text(), ftl_session_input_name(s, 0)));
    assert_fails(FTL_EINVAL, ftl_session_set_input(s, 1, x, sizeof x));
    assert_fails(FTL_EINVAL, ftl_session_get_output(s, 0, x, 4));
    assert_fails(FTL_EINVAL, ftl_session_get_output(s, 7, x, sizeof x));
    ftl_session_destroy(s);
    ftl_session_destroy(NULL);
    ftl_model_close(model);
}

static void dims_are_taken_or_refused_by_name(void **unused)
{
    (void)unused;
    ftl_model *model = open_model("@linear-1000");
    ftl_session *s;
    ftl_session_options o = options_of("cpu", 0);
    const ftl_session_dim seven = { "batch", 7 }, wrong = { "breadth", 7 };
    o.dims = &seven;
    o.n_dims = 1;
    assert_ok(ftl_session_create(&s, model, &o));
    assert_int_equal(ftl_session_input_desc(s, 0)->dim[0], 7);
    ftl_session_destroy(s);
    o.batch = 3; /* the dim that is named goes before the batch */
    assert_ok(ftl_session_create(&s, model, &o));
    assert_int_equal(ftl_session_input_desc(s, 0)->dim[0], 7);
    ftl_session_destroy(s);
    o.dims = &wrong;
    assert_fails(FTL_EINVAL, ftl_session_create(&s, model, &o));
    assert_null(s);
    assert_non_null(strstr(ftl_error_text(), "breadth"));
    assert_non_null(strstr(ftl_error_text(), "batch")); /* the dims that there are */
    o.n_dims = 0;
    o.batch = -1;
    assert_fails(FTL_EINVAL, ftl_session_create(&s, model, &o));
    assert_null(s);
    o.batch = 0;
    o.device = "nope";
    assert_fails(FTL_ENOTFOUND, ftl_session_create(&s, model, &o));
    assert_null(s);
    ftl_model_close(model);
}

static void what_does_not_fit_is_said_before_loading(void **unused)
{
    (void)unused;
    ftl_model *model = open_model("@vgg16");
    ftl_session_options o = options_of("cpu", 0);
    ftl_session_memory memory;
    assert_ok(ftl_session_predict_memory(&memory, model, &o));
    o.max_memory_bytes = memory.total_bytes - 1;
    ftl_session *s;
    ftl_peak peak;
    const int64_t live = ftl_alloc_live();
    ftl_peak_start(&peak);
    assert_fails(FTL_ENOFIT, ftl_session_create(&s, model, &o));
    assert_null(s);
    assert_non_null(strstr(ftl_error_text(), "missing"));
    assert_int_equal(ftl_alloc_live(), live);
    /* Half a gigabyte of weights was not touched. */
    assert_true(ftl_peak_bytes(&peak) < 16 << 20);
    ftl_model_close(model);
}

static void prediction_is_the_same_before_and_after(void **unused)
{
    (void)unused;
    ftl_model *model = open_model("@keras-mlp");
    const ftl_session_options o = options_of("cpu", 4);
    ftl_session_memory before = { 0 }, after = { 0 };
    ftl_session *s;
    assert_ok(ftl_session_predict_memory(&before, model, &o));
    assert_ok(ftl_session_create(&s, model, &o));
    ftl_session_get_memory(s, &after);
    assert_memory_equal(&before, &after, sizeof before);
    assert_true(before.total_bytes >= before.weights_bytes + before.io_bytes);
    assert_int_equal(before.mapped_bytes, 0);
    ftl_session_destroy(s);
    ftl_model_close(model);
}

static void nodes_are_timed_where_the_device_can(void **unused)
{
    (void)unused;
    ftl_model *model = open_model("@keras-mlp");
    ftl_session_options o = options_of("cpu", 1);
    ftl_session *s;
    const ftl_session_node *rows;
    int32_t n;
    assert_ok(ftl_session_create(&s, model, &o));
    assert_ok(ftl_session_profile(s, 0, &rows, &n));
    assert_true(n >= 2);
    for (int32_t i = 0; i < n; i++) assert_true(rows[i].op[0] && rows[i].seconds == 0);
    assert_ok(ftl_session_profile(s, 3, &rows, &n));
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += rows[i].seconds;
    assert_true(sum > 0);
    ftl_session_destroy(s);
    o.device = "fake";
    assert_ok(ftl_session_create(&s, model, &o));
    assert_ok(ftl_session_profile(s, 0, &rows, &n));
    assert_fails(FTL_EUNSUPPORTED, ftl_session_profile(s, 3, &rows, &n));
    assert_true(rows == NULL && n == 0);
    ftl_session_destroy(s);
    ftl_model_close(model);
}

/* ---- no memory ----------------------------------------------------------------------------- */

static ftl_status create_and_run(const char *device, ftl_model *model)
{
    const ftl_session_options o = options_of(device, 1);
    ftl_session *s;
    const ftl_status status = ftl_session_create(&s, model, &o);
    if (status != FTL_OK) {
        assert_null(s);
        return status;
    }
    ftl_status run = ftl_session_set_random_inputs(s, 1);
    if (run == FTL_OK) run = ftl_session_run(s, NULL);
    ftl_session_destroy(s);
    return run;
}

/* Every request would take minutes: each of the first hundred, then every seventh. */
static void fail_allocations(const char *device)
{
    ftl_model *model = open_model("@linear-1000");
    assert_ok(create_and_run(device, model));
    const int64_t live = ftl_alloc_live();
    ftl_alloc_fail_at(0, false);
    assert_ok(create_and_run(device, model));
    const uint64_t n = ftl_alloc_fail_at(0, false);
    int n_failed = 0, n_tried = 0;
    for (uint64_t nth = 1; nth <= n; nth += nth < 100 ? 1 : 7, n_tried++) {
        ftl_alloc_fail_at(nth, nth % 2 == 0);
        const ftl_status s = create_and_run(device, model);
        ftl_alloc_fail_at(0, false);
        if (s != FTL_OK && s != FTL_ENOMEM)
            print_error("request %d: %s (%s)\n", (int)nth, ftl_error_text(), ftl_error_place());
        assert_true(s == FTL_OK || s == FTL_ENOMEM);
        n_failed += s != FTL_OK;
        if (ftl_alloc_live() != live) print_error("request %d of %d leaks\n", (int)nth, (int)n);
        assert_int_equal(ftl_alloc_live(), live);
    }
    print_message("# %s: %d of %d failing requests (of %d) made the session fail\n", device,
                  n_failed, n_tried, (int)n);
    assert_true(n_failed > n_tried / 2);
    ftl_model_close(model);
}

static void every_failing_allocation_is_a_status(void **unused)
{
    (void)unused;
    fail_allocations("cpu");
}

static void every_failing_allocation_is_a_status_on_fake(void **unused)
{
    (void)unused;
    fail_allocations("fake");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_equal_the_evaluator_on_cpu),
        cmocka_unit_test(outputs_equal_the_evaluator_on_fake),
        cmocka_unit_test(inputs_and_outputs_are_named_and_checked),
        cmocka_unit_test(dims_are_taken_or_refused_by_name),
        cmocka_unit_test(what_does_not_fit_is_said_before_loading),
        cmocka_unit_test(prediction_is_the_same_before_and_after),
        cmocka_unit_test(nodes_are_timed_where_the_device_can),
        cmocka_unit_test(every_failing_allocation_is_a_status),
        cmocka_unit_test(every_failing_allocation_is_a_status_on_fake),
    };
    return ftl_test_run(tests);
}
