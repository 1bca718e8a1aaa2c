/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "fettle/run.h"
#include "fettle/text.h"
#include "format/npy.h"
#include "run/pick.h"

static ftl_run_options small_job(void)
{
    ftl_run_options o = FTL_RUN_OPTIONS_INIT;
    o.model = "@linear-1000";
    o.session.batch = 2;
    o.session.n_threads = 1;
    return o;
}

static ftl_run_result *ran(const ftl_run_options *o)
{
    ftl_run_result *r;
    assert_ok(ftl_run(&r, o));
    assert_non_null(r);
    return r;
}

/* ---- results ------------------------------------------------------------------------------- */

static void percentiles_are_nan_with_too_few_runs(void **state)
{
    (void)state;
    ftl_run_options o = small_job();
    ftl_run_result *r = ran(&o);
    assert_int_equal(r->n_runs, 1);
    assert_true(r->p50_s > 0 && isnan(r->p10_s) && isnan(r->p90_s) && isnan(r->p99_s));
    ftl_run_destroy(r);
    o.n_runs = 100;
    r = ran(&o);
    assert_int_equal(r->n_runs, 100);
    assert_true(r->p10_s <= r->p50_s && r->p50_s <= r->p90_s && r->p90_s <= r->p99_s);
    ftl_run_destroy(r);
}

static void written_output_is_what_a_session_gives(void **state)
{
    (void)state;
    char folder[512], path[600];
    snprintf(folder, sizeof folder, "%s/a/b", ftl_test_temp("run"));
    ftl_run_options o = small_job();
    o.output_folder = folder;
    o.session.seed = 7;
    ftl_run_result *r = ran(&o);
    assert_int_equal(r->n_outputs, 1);
    snprintf(path, sizeof path, "%s/y.npy", folder);
    assert_string_equal(r->outputs[0].file, path);
    assert_string_equal(r->inputs[0].source, "random");
    assert_false(r->has_weights);
    assert_int_equal(r->batch, 2);
    ftl_run_destroy(r);

    static float y[2][1000];
    ftl_model *model;
    ftl_session *session;
    assert_ok(ftl_model_open(&model, "@linear-1000"));
    assert_ok(ftl_session_create(&session, model, &o.session));
    assert_ok(ftl_session_set_random_inputs(session, 7));
    assert_ok(ftl_session_run(session, NULL));
    assert_ok(ftl_session_get_output(session, 0, y, sizeof y));
    ftl_session_destroy(session);
    ftl_model_close(model);
    ftl_host_tensor tensor;
    assert_ok(ftl_npy_read(&tensor, path));
    assert_int_equal(tensor.bytes, sizeof y);
    assert_memory_equal(tensor.data, y, sizeof y);
    ftl_host_tensor_deinit(&tensor);
}

static void scores_become_probabilities(void **state)
{
    (void)state;
    ftl_run_options o = small_job();
    o.n_top = 1000;
    ftl_run_result *r = ran(&o);
    assert_int_equal(r->n_classes, 1000);
    assert_true(r->is_softmax_applied);
    double sum = 0;
    for (int32_t i = 0; i < 1000; i++) {
        sum += r->classes[i].probability;
        assert_true(i == 0 || r->classes[i].probability <= r->classes[i - 1].probability);
    }
    assert_true(fabs(sum - 1) < 1e-9);
    ftl_run_destroy(r);
    o.model = "@keras-mlp"; /* ends in a softmax of its own */
    r = ran(&o);
    assert_false(r->is_softmax_applied);
    ftl_run_destroy(r);
}

/* ---- inputs -------------------------------------------------------------------------------- */

static const char *write_npy(const char *name, ftl_dtype dtype, int64_t rows, double value)
{
    static char path[512];
    const ftl_tensor_desc d = { .dtype = dtype, .rank = 2, .dim = { rows, 1000 } };
    ftl_host_tensor t;
    void *data;
    snprintf(path, sizeof path, "%s", ftl_test_temp(name));
    assert_ok(ftl_host_tensor_create(&t, "x", &d, &data));
    for (int64_t i = 0; i < rows * 1000; i++) {
        if (dtype == FTL_DTYPE_F64) ((double *)data)[i] = value;
        else if (dtype == FTL_DTYPE_I32) ((int32_t *)data)[i] = (int32_t)value;
        else ((float *)data)[i] = (float)value;
    }
    assert_ok(ftl_npy_write(path, &t));
    ftl_host_tensor_deinit(&t);
    return path;
}

static void the_batch_comes_from_the_file(void **state)
{
    (void)state;
    ftl_run_options o = small_job();
    const char *input = write_npy("x5.npy", FTL_DTYPE_F32, 5, 0.5);
    o.session.batch = 0;
    o.inputs = &input;
    o.n_inputs = 1;
    ftl_run_result *r = ran(&o);
    assert_int_equal(r->batch, 5);
    assert_int_equal(r->outputs[0].desc.dim[0], 5);
    assert_string_equal(r->inputs[0].source, "file");
    ftl_run_destroy(r);
    o.session.batch = 4;
    assert_fails(FTL_EINVAL, ftl_run(&r, &o));
    assert_null(r);
    assert_non_null(strstr(ftl_error_text(), "f32[5,1000]"));
}

static void other_types_are_converted_when_nothing_is_lost(void **state)
{
    (void)state;
    ftl_run_options o = small_job();
    ftl_run_result *r;
    const char *input = write_npy("f64.npy", FTL_DTYPE_F64, 2, 0.1); /* rounded, as floats are */
    o.inputs = &input;
    o.n_inputs = 1;
    ftl_run_destroy(ran(&o));
    input = write_npy("i32.npy", FTL_DTYPE_I32, 2, 3);
    ftl_run_destroy(ran(&o));
    input = write_npy("i32.npy", FTL_DTYPE_I32, 2, 16777217); /* no f32 */
    assert_fails(FTL_EINVAL, ftl_run(&r, &o));
    assert_non_null(strstr(ftl_error_text(), "no exact f32"));
    o.model = "@bert-base"; /* its input is i32 */
    o.session.batch = 1;
    char named[600];
    snprintf(named, sizeof named, "input_ids=%s", write_npy("f.npy", FTL_DTYPE_F32, 1, 0.5));
    input = named;
    const ftl_session_dim tokens = { "tokens", 1000 };
    o.session.dims = &tokens;
    o.session.n_dims = 1;
    assert_int_not_equal(ftl_run(&r, &o), FTL_OK);
}

/* ---- devices, memory ----------------------------------------------------------------------- */

typedef struct notes {
    int n;
    char last[256];
} notes;

static ftl_status take_note(void *arg, const char *device, const char *why)
{
    notes *n = arg;
    n->n++;
    snprintf(n->last, sizeof n->last, "%s: %s", device, why);
    return FTL_OK;
}

static void the_first_device_that_works_is_picked(void **state)
{
    (void)state;
    char name[FTL_PICK_NAME];
    ftl_device *device;
    notes n = { 0 };
    assert_ok(ftl_pick_device(&device, name, "quantum,cpu,fake", take_note, &n));
    assert_string_equal(name, "cpu");
    assert_int_equal(n.n, 1);
    assert_memory_equal(n.last, "quantum: ", 9);
    ftl_device_close(device);
    assert_ok(ftl_pick_device(&device, name, NULL, take_note, &n));
    assert_string_equal(name, "cpu");
    ftl_device_close(device);
    assert_ok(ftl_pick_device(&device, name, "auto", take_note, &n));
    assert_string_not_equal(name, "fake");
    ftl_device_close(device);
    static const char *const bad[] = { "", ",", ",cpu", "quantum", "quantum,none" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        device = (ftl_device *)1;
        assert_true(ftl_pick_device(&device, name, bad[i], take_note, &n) != FTL_OK);
        assert_null(device);
    }
}

static void the_peak_is_seen_after_it_has_passed(void **state)
{
    (void)state;
    enum { BYTES = 64 << 20 };
    ftl_peak peak;
    ftl_peak_start(&peak);
    if (peak.resident_bytes == 0) return; /* the system does not say */
    char *memory = ftl_pages_alloc(BYTES);
    assert_non_null(memory);
    memset(memory, 1, BYTES);
    ftl_pages_free(memory, BYTES);
    const uint64_t seen = ftl_peak_bytes(&peak);
    assert_in_range(seen, BYTES - (2 << 20), BYTES + (8 << 20));
}

/* Each request for memory in turn fails: a status, no leak (asan), and it works afterwards. */
static void every_failing_request_is_survived(void **state)
{
    (void)state;
    ftl_run_options o = small_job();
    o.n_top = 3;
    o.output_folder = ftl_test_temp("lost");
    uint64_t n = 1;
    for (;; n++) {
        ftl_run_result *r = (ftl_run_result *)1;
        char *json = NULL;
        ftl_alloc_fail_at(n, false);
        ftl_status s = ftl_run(&r, &o);
        if (s == FTL_OK) s = ftl_run_json(&json, r);
        const uint64_t requests = ftl_alloc_fail_at(0, false);
        ftl_run_destroy(r);
        ftl_text_free(json);
        if (s == FTL_OK && requests < n) break;
        if (s != FTL_OK) assert_true(*ftl_error_text());
        assert_true(s == FTL_OK || s == FTL_ENOMEM);
    }
    assert_true(n > 50);
    ftl_run_destroy(ran(&o));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_nan_with_too_few_runs),
        cmocka_unit_test(written_output_is_what_a_session_gives),
        cmocka_unit_test(scores_become_probabilities),
        cmocka_unit_test(the_batch_comes_from_the_file),
        cmocka_unit_test(other_types_are_converted_when_nothing_is_lost),
        cmocka_unit_test(the_first_device_that_works_is_picked),
        cmocka_unit_test(the_peak_is_seen_after_it_has_passed),
        cmocka_unit_test(every_failing_request_is_survived),
    };
    return ftl_test_run(tests);
}
