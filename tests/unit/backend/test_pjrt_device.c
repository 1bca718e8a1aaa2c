/* SPDX-License-Identifier: Apache-2.0 */
/* Whole models through the backend on XLA's CPU plug-in (FETTLE_TEST_PJRT_CPU), judged by the
 * evaluator: forward, many training steps with donated state, the cache on disk. */
#include "support/test.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/rng.h"
#include "core/eval.h"
#include "device/device.h"
#include "support/cases.h"

enum { MOST = 32 };

static ftl_device *device;

/* A model on the device, and the same numbers for the evaluator. */
typedef struct rig {
    ftl_graph *graph, *legal;
    ftl_queue *queue;
    ftl_program *program;
    int32_t n_in, n_out;
    ftl_buffer *in[MOST], *out[MOST];
    void *host_in[MOST], *host_out[MOST];
} rig;

static const ftl_tensor *source(const rig *r, int32_t i)
{
    const ftl_graph_view *v = ftl_graph_get_view(r->legal);
    return &v->tensors[v->sources[i]];
}

static const ftl_tensor_desc *output_desc(const rig *r, int32_t i)
{
    const ftl_graph_view *v = ftl_graph_get_view(r->legal);
    return &v->tensors[v->outputs[i].tensor].desc;
}

/* The state whose new value output i is, or -1. */
static int32_t state_of(const rig *r, int32_t i)
{
    const ftl_graph_view *v = ftl_graph_get_view(r->legal);
    for (int32_t a = 0; a < v->n_aliases; a++)
        if (v->aliases[a].output == i) return ftl_graph_source_index(r->legal, v->aliases[a].state);
    return -1;
}

static void put(rig *r, int32_t i)
{
    assert_ok(ftl_buffer_upload(r->queue, r->in[i], r->host_in[i],
                                ftl_desc_bytes_checked(&source(r, i)->desc)));
}

static void fill(rig *r, int32_t i)
{
    const ftl_tensor_desc *d = &source(r, i)->desc;
    const int64_t n = ftl_desc_count_checked(d);
    for (int64_t k = 0; k < n; k++) {
        float u;
        ftl_rng_fill_uniform_f32((ftl_rng){ 3, (uint64_t)i }, (uint64_t)k, &u, 1, -1, 1);
        ftl_element_set(d->dtype, r->host_in[i], k, (double)u);
    }
    put(r, i);
}

/* Takes the graph. */
static void rig_up(rig *r, ftl_graph *graph, const ftl_compile_options *options)
{
    *r = (rig){ .graph = graph };
    assert_ok(ftl_device_legalize(&r->legal, device, graph));
    assert_ok(ftl_queue_create(&r->queue, device, 0));
    assert_ok(ftl_program_compile(&r->program, device, r->legal, options));
    r->n_in = ftl_graph_get_view(r->legal)->n_sources;
    r->n_out = ftl_graph_get_view(r->legal)->n_outputs;
    assert_in_range(r->n_in, 1, MOST);
    assert_in_range(r->n_out, 1, MOST);
    for (int32_t i = 0; i < r->n_in; i++) {
        const ftl_tensor_desc *d = &source(r, i)->desc;
        r->host_in[i] = ftl_calloc(1, ftl_desc_bytes_checked(d));
        assert_non_null(r->host_in[i]);
        assert_ok(ftl_buffer_create(&r->in[i], device, d));
    }
    for (int32_t i = 0; i < r->n_out; i++) {
        r->host_out[i] = ftl_calloc(1, ftl_desc_bytes_checked(output_desc(r, i)));
        assert_non_null(r->host_out[i]);
        const int32_t state = state_of(r, i);
        if (state >= 0) r->out[i] = r->in[state];
        else assert_ok(ftl_buffer_create(&r->out[i], device, output_desc(r, i)));
    }
}

static void rig_down(rig *r)
{
    for (int32_t i = 0; i < r->n_out; i++) {
        if (state_of(r, i) < 0) ftl_buffer_destroy(r->out[i]);
        ftl_free(r->host_out[i]);
    }
    for (int32_t i = 0; i < r->n_in; i++) {
        ftl_buffer_destroy(r->in[i]);
        ftl_free(r->host_in[i]);
    }
    ftl_program_destroy(r->program);
    ftl_queue_destroy(r->queue);
    ftl_graph_destroy(r->legal);
    ftl_graph_destroy(r->graph);
}

static void run(rig *r, const int64_t *host_params, ftl_event **done)
{
    const ftl_run_args args = {
        .struct_size = sizeof args, .inputs = r->in, .outputs = r->out, .host_params = host_params
    };
    assert_ok(ftl_program_run(r->program, r->queue, &args, done));
}

static void evaluate(rig *r)
{
    assert_ok(ftl_eval_graph(r->graph, (const void *const *)r->host_in, r->host_out));
}

static void assert_output(rig *r, int32_t i, double tolerance, const char *what)
{
    const ftl_tensor_desc *d = output_desc(r, i);
    const size_t bytes = ftl_desc_bytes_checked(d);
    float *got = ftl_alloc(bytes);
    assert_non_null(got);
    assert_int_equal(d->dtype, FTL_DTYPE_F32);
    assert_ok(ftl_buffer_download(r->queue, r->out[i], got, bytes));
    ftl_test_assert_close_f32(got, r->host_out[i], bytes / sizeof(float), tolerance, what);
    ftl_free(got);
}

static ftl_graph *mlp(int64_t batch)
{
    const ftl_case_mlp size = { .batch = batch, .n_in = 100, .hidden = 64, .classes = 10 };
    ftl_graph *g;
    assert_ok(ftl_case_keras_mlp(&g, &size));
    return g;
}

static void an_mlp_gives_the_same_numbers(void **state)
{
    (void)state;
    rig r;
    ftl_event *done;
    ftl_program_info info;
    rig_up(&r, mlp(16), NULL);
    for (int32_t i = 0; i < r.n_in; i++) fill(&r, i);
    run(&r, NULL, &done);
    assert_ok(ftl_event_wait(done, 60000000000));
    ftl_event_destroy(done);
    evaluate(&r);
    assert_output(&r, 0, 1e-6, "y");
    assert_ok(ftl_program_get_info(r.program, &info));
    assert_int_equal(info.workspace_bytes, 0);
    assert_true(info.flops >= 2.0 * 16 * (100 * 64 + 64 * 10));
    assert_true(info.peak_bytes >= 4 * (16 * 100 + 100 * 64 + 64 * 10));
    rig_down(&r);
}

static void adam_steps_in_place_stay_together(void **state)
{
    (void)state;
    const ftl_case_mlp size = { .batch = 8,
                                .n_in = 20,
                                .hidden = 16,
                                .classes = 5,
                                .adam = { .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-7 } };
    rig r;
    ftl_graph *g;
    assert_ok(ftl_case_mlp_adam_step(&g, &size));
    rig_up(&r, g, NULL);
    fill(&r, FTL_CASE_ADAM_X);
    for (int32_t b = 0; b < 8; b++) ((int32_t *)r.host_in[FTL_CASE_ADAM_LABELS])[b] = b % 5;
    put(&r, FTL_CASE_ADAM_LABELS);
    for (int32_t i = FTL_CASE_ADAM_W1; i < FTL_CASE_ADAM_SOURCES; i += 3) fill(&r, i);
    float first = 0;
    for (int32_t step = 1; step <= 20; step++) {
        const float rate = 0.01f;
        int64_t params[2] = { 0, step };
        memcpy(&params[0], &rate, sizeof rate);
        memcpy(r.host_in[FTL_CASE_ADAM_RATE], &rate, sizeof rate);
        memcpy(r.host_in[FTL_CASE_ADAM_STEP], &step, sizeof step);
        put(&r, FTL_CASE_ADAM_RATE);
        put(&r, FTL_CASE_ADAM_STEP);
        run(&r, params, NULL);
        evaluate(&r);
        assert_output(&r, 0, 1e-4, "loss");
        if (step == 1) first = *(float *)r.host_out[0];
        for (int32_t i = 0; i < r.n_out; i++)
            if (state_of(&r, i) >= 0)
                memcpy(r.host_in[state_of(&r, i)], r.host_out[i],
                       ftl_desc_bytes_checked(output_desc(&r, i)));
    }
    for (int32_t i = 0; i < r.n_out; i++) assert_output(&r, i, 2e-3, "state after 20 steps");
    assert_true(*(float *)r.host_out[0] < 0.7f * first); /* it learns */
    ftl_program_info info;
    assert_ok(ftl_program_get_info(r.program, &info));
    assert_true(info.alias_bytes >= 3 * 4 * (20 * 16 + 16 * 5)); /* weights and moments in place */
    rig_down(&r);
}

/* A state that comes back as it was, and an output that is an input. */
static void what_passes_through_is_kept(void **state)
{
    (void)state;
    const ftl_tensor_desc desc = { .dtype = FTL_DTYPE_F32, .rank = 1, .dim = { 5 } };
    ftl_graph *g;
    rig r;
    assert_ok(ftl_graph_create(&g, "", true));
    const int32_t s = ftl_graph_state(g, "s", &desc, (ftl_init){ 0 });
    const int32_t x = ftl_graph_input(g, "x", &desc);
    ftl_graph_output(g, "x", x);
    ftl_graph_output(g, "sum", FTL_ADD(g, add, NULL, s, x));
    ftl_graph_output_state(g, s, s);
    rig_up(&r, g, NULL);
    fill(&r, 0);
    fill(&r, 1);
    for (int i = 0; i < 3; i++) {
        run(&r, NULL, NULL);
        evaluate(&r);
        for (int32_t k = 0; k < 3; k++) assert_output(&r, k, 0, "pass");
    }
    rig_down(&r);
}

/* ---- cache --------------------------------------------------------------------------------- */

static int n_loaded, n_warnings;

static void count_log(void *user, ftl_log_level level, const char *module, const char *text)
{
    (void)user;
    (void)module;
    n_loaded += strncmp(text, "compiled program from", 21) == 0;
    n_warnings += level <= FTL_LOG_WARNING;
}

static void assert_mlp_works(const char *folder)
{
    const ftl_compile_options options = { .struct_size = sizeof options, .cache_dir = folder };
    rig r;
    rig_up(&r, mlp(4), &options);
    for (int32_t i = 0; i < r.n_in; i++) fill(&r, i);
    run(&r, NULL, NULL);
    evaluate(&r);
    assert_output(&r, 0, 1e-6, "y");
    rig_down(&r);
}

static void compiled_programs_come_back_from_disk(void **state)
{
    (void)state;
    char folder[512], pattern[600];
    glob_t found;
    snprintf(folder, sizeof folder, "%s", ftl_test_temp("a/b"));
    snprintf(pattern, sizeof pattern, "%s/pjrt-*.bin", folder);
    n_loaded = n_warnings = 0;
    ftl_log_set(count_log, NULL, FTL_LOG_DEBUG);
    assert_mlp_works(folder);
    assert_int_equal(n_loaded, 0);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    assert_mlp_works(folder);
    assert_int_equal(n_loaded, 1);
    assert_int_equal(n_warnings, 0);
    assert_ok(ftl_file_write_all(found.gl_pathv[0], "FTLPJRT1 damaged", 16));
    assert_mlp_works(folder); /* compiled anew, and written anew */
    assert_int_equal(n_loaded, 1);
    assert_int_equal(n_warnings, 1);
    assert_mlp_works(folder);
    assert_int_equal(n_loaded, 2);
    globfree(&found);
    assert_mlp_works("/proc/nothing"); /* a folder that cannot be: a warning, and it works */
    assert_int_equal(n_warnings, 2);
    ftl_log_set(NULL, NULL, FTL_LOG_WARNING);
}

static void the_device_is_described(void **state)
{
    (void)state;
    ftl_device_info info;
    uint32_t n;
    const ftl_device_options options = { .struct_size = sizeof options,
                                         .library = getenv("FETTLE_TEST_PJRT_CPU") };
    assert_ok(ftl_device_get_info(device, &info));
    assert_non_null(strstr(info.name, "cpu"));
    assert_true(info.caps & FTL_CAP_ASYNC);
    assert_true(info.dtype_mask & 1u << FTL_DTYPE_BF16);
    assert_ok(ftl_backend_find("pjrt")->count(&n, &options));
    assert_in_range(n, 1, 64);
}

int main(void)
{
    const char *library = getenv("FETTLE_TEST_PJRT_CPU");
    if (!library || !*library) ftl_test_skip("FETTLE_TEST_PJRT_CPU names no plug-in");
    const ftl_device_options options = { .struct_size = sizeof options, .library = library };
    if (ftl_device_open_name(&device, "pjrt", &options) != FTL_OK) {
        print_error("%s\n", ftl_error_text());
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_device_is_described),
        cmocka_unit_test(an_mlp_gives_the_same_numbers),
        cmocka_unit_test(adam_steps_in_place_stay_together),
        cmocka_unit_test(what_passes_through_is_kept),
        cmocka_unit_test(compiled_programs_come_back_from_disk),
    };
    const int failed = ftl_test_run(tests);
    ftl_device_close(device);
    return failed;
}
