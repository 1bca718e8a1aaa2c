/* SPDX-License-Identifier: Apache-2.0 */
/* The PJRT caller against XLA's CPU plug-in, which FETTLE_TEST_PJRT_CPU names (xla_cpu_pjrt.so of
 * the PyPI package xla-cpu-pjrt).  Programs are checked against loops in plain C. */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backend/pjrt/pjrt_api.h"
#include "backend/pjrt/pjrt_internal.h"
#include "base/alloc.h"

static const char *path;
static ftl_pjrt_client *client; /* two devices */
static char probe_report[256];

static ftl_pjrt_program *compile_on(uint32_t device, const char *text, const ftl_pjrt_shape *params,
                                    size_t n_params)
{
    ftl_pjrt_program *program;
    const ftl_pjrt_compile_options o = { sizeof o, device, params, n_params };
    assert_ok(ftl_pjrt_compile(&program, client, text, strlen(text), &o));
    return program;
}

static ftl_pjrt_buffer *put(const ftl_pjrt_shape *shape, const void *data)
{
    ftl_pjrt_buffer *buffer;
    assert_ok(ftl_pjrt_buffer_upload(&buffer, client, 0, shape, data, NULL));
    return buffer;
}

static void assert_text(const char *part)
{
    if (strstr(ftl_error_text(), part)) return;
    print_error("\"%s\" does not say \"%s\"\n", ftl_error_text(), part);
    fail();
}

/* The same numbers on every run, between -1 and 1. */
static float noise(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(int32_t)*seed / 2147483648.0f;
}

static void probe_says_it_works(void **state)
{
    (void)state;
    assert_non_null(strstr(probe_report, "cpu, "));
    assert_non_null(strstr(probe_report, "works"));
}

static void plugin_and_devices_are_described(void **state)
{
    (void)state;
    const ftl_pjrt_plugin_info *info = ftl_pjrt_plugin_peek_info(client->plugin);
    assert_int_equal(info->api_major, 0);
    assert_in_range(info->api_minor, 57, 1000);
    assert_int_equal(info->stablehlo_current[0], 1);
    assert_in_range(info->n_entries, 97, 1000);
    const ftl_pjrt_client_info c = ftl_pjrt_client_peek_info(client);
    assert_string_equal(c.platform, "cpu");
    assert_int_equal(c.n_devices, 2);
    assert_int_equal(ftl_pjrt_device_peek_info(client, 1)->id, 1);
    assert_true(ftl_pjrt_device_peek_info(client, 0)->kind[0] != 0);
    ftl_pjrt_memory memory;
    assert_fails(FTL_EUNSUPPORTED, ftl_pjrt_device_memory(&memory, client, 0));
    assert_int_equal(memory.used_bytes, -1);
}

/* A size of 8 makes the plug-in say which size it was built with, before it reads on.
 * GetCompiledMemoryStats is left out: 0.81 checks the size of another struct there. */
static void struct_sizes_are_those_of_the_plugin(void **state)
{
    (void)state;
    static const struct {
        ftl_pjrt_function function;
        size_t bytes;
    } rows[] = {
        { FTL_PJRT_ERROR_CODE, 28 },
        { FTL_PJRT_PLUGIN_INITIALIZE, sizeof(ftl_pjrt_head) },
        { FTL_PJRT_PLUGIN_ATTRIBUTES, sizeof(ftl_pjrt_args_attributes) },
        { FTL_PJRT_EVENT_DESTROY, sizeof(ftl_pjrt_args_handle) },
        { FTL_PJRT_EVENT_IS_READY, 25 },
        { FTL_PJRT_EVENT_AWAIT, sizeof(ftl_pjrt_args_handle) },
        { FTL_PJRT_CLIENT_CREATE, sizeof(ftl_pjrt_args_client_create) },
        { FTL_PJRT_CLIENT_DESTROY, sizeof(ftl_pjrt_args_handle) },
        { FTL_PJRT_CLIENT_PLATFORM_NAME, sizeof(ftl_pjrt_args_text) },
        { FTL_PJRT_CLIENT_PLATFORM_VERSION, sizeof(ftl_pjrt_args_text) },
        { FTL_PJRT_CLIENT_DEVICES, sizeof(ftl_pjrt_args_array) },
        { FTL_PJRT_CLIENT_COMPILE, sizeof(ftl_pjrt_args_compile) },
        { FTL_PJRT_CLIENT_UPLOAD, sizeof(ftl_pjrt_args_upload) },
        { FTL_PJRT_DESCRIPTION_ID, 28 },
        { FTL_PJRT_DESCRIPTION_ATTRIBUTES, sizeof(ftl_pjrt_args_values) },
        { FTL_PJRT_DESCRIPTION_KIND, sizeof(ftl_pjrt_args_text) },
        { FTL_PJRT_DEVICE_DESCRIPTION, sizeof(ftl_pjrt_args_get) },
        { FTL_PJRT_DEVICE_MEMORY_STATS, 185 },
        { FTL_PJRT_EXECUTABLE_DESTROY, sizeof(ftl_pjrt_args_handle) },
        { FTL_PJRT_EXECUTABLE_N_OUTPUTS, sizeof(ftl_pjrt_args_get) },
        { FTL_PJRT_EXECUTABLE_COSTS, sizeof(ftl_pjrt_args_values) },
        { FTL_PJRT_EXECUTABLE_SERIALIZE, sizeof(ftl_pjrt_args_serialize) },
        { FTL_PJRT_LOADED_DESTROY, sizeof(ftl_pjrt_args_handle) },
        { FTL_PJRT_LOADED_EXECUTABLE, sizeof(ftl_pjrt_args_get) },
        { FTL_PJRT_LOADED_EXECUTE, sizeof(ftl_pjrt_args_execute) },
        { FTL_PJRT_EXECUTABLE_LOAD, 64 },
        { FTL_PJRT_BUFFER_DESTROY, sizeof(ftl_pjrt_args_handle) },
        { FTL_PJRT_BUFFER_DEVICE_BYTES, sizeof(ftl_pjrt_args_get) },
        { FTL_PJRT_BUFFER_DELETE, sizeof(ftl_pjrt_args_handle) },
        { FTL_PJRT_BUFFER_IS_DELETED, 25 },
        { FTL_PJRT_BUFFER_DOWNLOAD, sizeof(ftl_pjrt_args_download) },
        { FTL_PJRT_BUFFER_READY, sizeof(ftl_pjrt_args_get) },
        { FTL_PJRT_EXECUTABLE_OUTPUT_TYPES, sizeof(ftl_pjrt_args_array) },
        { FTL_PJRT_EXECUTABLE_OUTPUT_DIMS, sizeof(ftl_pjrt_args_output_dims) },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        void *args[40] = { NULL };
        char want[64];
        snprintf(want, sizeof want, "size: expected %zu, got 8", rows[i].bytes);
        assert_fails(FTL_EINVAL, ftl_pjrt_call(client->plugin, rows[i].function, args, 8));
        assert_text(want);
    }
}

static void linear_bias_relu_is_right(void **state)
{
    (void)state;
    static const char text[] =
        "module {\n"
        "func.func public @main(%x: tensor<16x100xf32>, %w: tensor<100x50xf32>, %b: tensor<50xf32>)"
        " -> (tensor<16x50xf32>) {\n"
        "%0 = \"stablehlo.dot_general\"(%x, %w) {dot_dimension_numbers = #stablehlo.dot<"
        "lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>} : "
        "(tensor<16x100xf32>, tensor<100x50xf32>) -> tensor<16x50xf32>\n"
        "%1 = \"stablehlo.broadcast_in_dim\"(%b) {broadcast_dimensions = array<i64: 1>} : "
        "(tensor<50xf32>) -> tensor<16x50xf32>\n"
        "%2 = \"stablehlo.add\"(%0, %1) : (tensor<16x50xf32>, tensor<16x50xf32>) -> "
        "tensor<16x50xf32>\n"
        "%3 = \"stablehlo.constant\"() {value = dense<0.0> : tensor<16x50xf32>} : () -> "
        "tensor<16x50xf32>\n"
        "%4 = \"stablehlo.maximum\"(%2, %3) : (tensor<16x50xf32>, tensor<16x50xf32>) -> "
        "tensor<16x50xf32>\n"
        "\"func.return\"(%4) : (tensor<16x50xf32>) -> ()\n}\n}\n";
    enum { M = 16, K = 100, N = 50 };
    static float x[M * K], w[K * N], b[N], want[M * N], got[M * N];
    uint32_t seed = 1;
    for (int i = 0; i < M * K; i++) x[i] = noise(&seed);
    for (int i = 0; i < K * N; i++) w[i] = noise(&seed);
    for (int i = 0; i < N; i++) b[i] = noise(&seed);
    for (int m = 0; m < M; m++)
        for (int n = 0; n < N; n++) {
            double sum = b[n];
            for (int k = 0; k < K; k++) sum += (double)x[m * K + k] * w[k * N + n];
            want[m * N + n] = sum > 0 ? (float)sum : 0;
        }
    const ftl_pjrt_shape params[3] = { { FTL_PJRT_F32, 2, { M, K } },
                                       { FTL_PJRT_F32, 2, { K, N } },
                                       { FTL_PJRT_F32, 1, { N } } };
    ftl_pjrt_program *program = compile_on(0, text, params, 3);
    ftl_pjrt_buffer *in[3] = { put(&params[0], x), put(&params[1], w), put(&params[2], b) };
    ftl_pjrt_buffer *out = NULL;
    const ftl_pjrt_run run = { sizeof run, in, 3, &out, 1, NULL, 0, NULL };
    assert_ok(ftl_pjrt_execute(program, &run));
    assert_ok(ftl_pjrt_buffer_download(out, got, sizeof got, NULL));
    ftl_test_assert_close_f32(got, want, M * N, 1e-6, "linear, bias, relu");

    const ftl_pjrt_program_info *info = ftl_pjrt_program_peek_info(program);
    assert_int_equal(info->argument_bytes, 4 * (M * K + K * N + N));
    assert_int_equal(info->output_bytes, 4 * M * N);
    assert_int_equal(info->alias_bytes, 0);
    assert_true(info->flops >= 2.0 * M * K * N && info->flops < 2.2 * M * K * N);
    assert_true(info->bytes_accessed >= 4.0 * (M * K + K * N + N));
    const ftl_pjrt_shape *shape = ftl_pjrt_program_peek_output(program, 0);
    assert_true(shape->type == FTL_PJRT_F32 && shape->dims[0] == M && shape->dims[1] == N);

    ftl_pjrt_buffer *swapped[3] = { in[1], in[0], in[2] }; /* would run, and return garbage */
    const ftl_pjrt_run wrong = { sizeof wrong, swapped, 3, &out, 1, NULL, 0, NULL };
    assert_fails(FTL_EINVAL, ftl_pjrt_execute(program, &wrong));
    for (int i = 0; i < 3; i++) ftl_pjrt_buffer_destroy(in[i]);
    ftl_pjrt_buffer_destroy(out);
    ftl_pjrt_program_destroy(program);
}

static const char cache_text[] =
    "module {\n"
    "func.func public @main(%c: tensor<2x8x4xf32> {tf.aliasing_output = 0 : i32}, "
    "%u: tensor<2x1x4xf32>, %pos: tensor<i32>) -> (tensor<2x8x4xf32>) {\n"
    "%z = \"stablehlo.constant\"() {value = dense<0> : tensor<i32>} : () -> tensor<i32>\n"
    "%n = \"stablehlo.dynamic_update_slice\"(%c, %u, %z, %pos, %z) : (tensor<2x8x4xf32>, "
    "tensor<2x1x4xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<2x8x4xf32>\n"
    "\"func.return\"(%n) : (tensor<2x8x4xf32>) -> ()\n}\n}\n";
static const ftl_pjrt_shape cache_params[3] = { { FTL_PJRT_F32, 3, { 2, 8, 4 } },
                                                { FTL_PJRT_F32, 3, { 2, 1, 4 } },
                                                { FTL_PJRT_I32, 0, { 0 } } };

static void donated_cache_is_written_in_place(void **state)
{
    (void)state;
    float want[2 * 8 * 4] = { 0 }, got[2 * 8 * 4], row[2 * 4];
    uint32_t seed = 2;
    ftl_pjrt_program *program = compile_on(0, cache_text, cache_params, 3);
    assert_int_equal(ftl_pjrt_program_peek_info(program)->alias_bytes, sizeof want);
    ftl_pjrt_buffer *cache = put(&cache_params[0], want);
    for (int32_t pos = 0; pos < 8; pos++) {
        for (int i = 0; i < 8; i++) row[i] = noise(&seed);
        for (int h = 0; h < 2; h++) memcpy(want + h * 32 + pos * 4, row + h * 4, 16);
        ftl_pjrt_buffer *in[3] = { cache, put(&cache_params[1], row), put(&cache_params[2], &pos) };
        const ftl_pjrt_run run = { sizeof run, in, 3, &cache, 1, NULL, 0, NULL };
        assert_ok(ftl_pjrt_execute(program, &run));
        ftl_pjrt_buffer_destroy(in[1]);
        ftl_pjrt_buffer_destroy(in[2]);
    }
    assert_ok(ftl_pjrt_buffer_download(cache, got, sizeof got, NULL));
    assert_memory_equal(got, want, sizeof got);
    ftl_pjrt_buffer_destroy(cache);
    ftl_pjrt_program_destroy(program);
}

static void kept_argument_survives_and_donated_one_does_not(void **state)
{
    (void)state;
    static const float zeros[64];
    const int32_t pos = 1;
    const int64_t keep[1] = { 0 };
    float got[64];
    bool is_deleted;
    ftl_pjrt_program *program = compile_on(0, cache_text, cache_params, 3);
    ftl_pjrt_buffer *out = NULL, *in[3] = { put(&cache_params[0], zeros),
                                            put(&cache_params[1], (float[8]){ 1, 1, 1, 1 }),
                                            put(&cache_params[2], &pos) };
    ftl_pjrt_run run = { sizeof run, in, 3, &out, 1, keep, 1, NULL };
    assert_ok(ftl_pjrt_execute(program, &run));
    assert_ok(ftl_pjrt_buffer_is_deleted(&is_deleted, in[0]));
    assert_false(is_deleted);
    assert_ok(ftl_pjrt_buffer_download(in[0], got, sizeof got, NULL));
    assert_memory_equal(got, zeros, sizeof got);
    run.n_keep = 0;
    assert_ok(ftl_pjrt_execute(program, &run));
    assert_ok(ftl_pjrt_buffer_is_deleted(&is_deleted, in[0]));
    assert_true(is_deleted);
    assert_fails(FTL_EINVAL, ftl_pjrt_execute(program, &run));
    assert_text("deleted or donated");
    assert_ok(ftl_pjrt_buffer_download(out, got, sizeof got, NULL));
    assert_true(got[4] == 1 && got[0] == 0);
    for (int i = 0; i < 3; i++) ftl_pjrt_buffer_destroy(in[i]);
    ftl_pjrt_buffer_destroy(out);
    ftl_pjrt_program_destroy(program);
}

static const char argmax_text[] =
    "module {\n"
    "func.func public @main(%x: tensor<4x10xf32>) -> (tensor<4xf32>, tensor<4xi32>) {\n"
    "%i = \"stablehlo.iota\"() {iota_dimension = 1 : i64} : () -> tensor<4x10xi32>\n"
    "%ninf = \"stablehlo.constant\"() {value = dense<0xFF800000> : tensor<f32>} : () -> "
    "tensor<f32>\n"
    "%zero = \"stablehlo.constant\"() {value = dense<0> : tensor<i32>} : () -> tensor<i32>\n"
    "%r:2 = \"stablehlo.reduce\"(%x, %i, %ninf, %zero) ({\n"
    "^bb0(%av: tensor<f32>, %ai: tensor<i32>, %bv: tensor<f32>, %bi: tensor<i32>):\n"
    "%gt = \"stablehlo.compare\"(%av, %bv) {comparison_direction = #stablehlo<comparison_direction "
    "GT>} : (tensor<f32>, tensor<f32>) -> tensor<i1>\n"
    "%eq = \"stablehlo.compare\"(%av, %bv) {comparison_direction = #stablehlo<comparison_direction "
    "EQ>} : (tensor<f32>, tensor<f32>) -> tensor<i1>\n"
    "%lt = \"stablehlo.compare\"(%ai, %bi) {comparison_direction = #stablehlo<comparison_direction "
    "LT>} : (tensor<i32>, tensor<i32>) -> tensor<i1>\n"
    "%tie = \"stablehlo.and\"(%eq, %lt) : (tensor<i1>, tensor<i1>) -> tensor<i1>\n"
    "%a = \"stablehlo.or\"(%gt, %tie) : (tensor<i1>, tensor<i1>) -> tensor<i1>\n"
    "%mv = \"stablehlo.select\"(%a, %av, %bv) : (tensor<i1>, tensor<f32>, tensor<f32>) -> "
    "tensor<f32>\n"
    "%mi = \"stablehlo.select\"(%a, %ai, %bi) : (tensor<i1>, tensor<i32>, tensor<i32>) -> "
    "tensor<i32>\n"
    "\"stablehlo.return\"(%mv, %mi) : (tensor<f32>, tensor<i32>) -> ()\n"
    "}) {dimensions = array<i64: 1>} : (tensor<4x10xf32>, tensor<4x10xi32>, tensor<f32>, "
    "tensor<i32>) -> (tensor<4xf32>, tensor<4xi32>)\n"
    "\"func.return\"(%r#0, %r#1) : (tensor<4xf32>, tensor<4xi32>) -> ()\n}\n}\n";

static void argmax_takes_the_first_of_equals(void **state)
{
    (void)state;
    const ftl_pjrt_shape shape = { FTL_PJRT_F32, 2, { 4, 10 } };
    float x[40], value[4];
    int32_t index[4], want[4];
    uint32_t seed = 3;
    for (int i = 0; i < 40; i++) x[i] = noise(&seed);
    x[3] = x[7] = 2;                             /* a tie                      */
    for (int i = 10; i < 20; i++) x[i] = -1e30f; /* nothing but equals         */
    x[29] = 5;                                   /* the last one               */
    for (int r = 0; r < 4; r++) {
        want[r] = 0;
        for (int c = 1; c < 10; c++)
            if (x[r * 10 + c] > x[r * 10 + want[r]]) want[r] = c;
    }
    ftl_pjrt_program *program = compile_on(0, argmax_text, &shape, 1);
    assert_int_equal(ftl_pjrt_program_n_outputs(program), 2);
    assert_int_equal(ftl_pjrt_program_peek_output(program, 1)->type, FTL_PJRT_I32);
    ftl_pjrt_buffer *in = put(&shape, x), *out[2] = { NULL, NULL };
    ftl_pjrt_event *done, *copied;
    const ftl_pjrt_run run = { sizeof run, &in, 1, out, 2, NULL, 0, &done };
    assert_ok(ftl_pjrt_execute(program, &run));
    assert_ok(ftl_pjrt_event_wait(done, INT64_C(10000000000)));
    ftl_pjrt_event_destroy(done);
    assert_ok(ftl_pjrt_buffer_download(out[0], value, sizeof value, NULL));
    assert_ok(ftl_pjrt_buffer_download(out[1], index, sizeof index, &copied));
    assert_ok(ftl_pjrt_event_wait(copied, -1));
    ftl_pjrt_event_destroy(copied);
    assert_memory_equal(index, want, sizeof want);
    for (int r = 0; r < 4; r++) assert_true(value[r] == x[r * 10 + want[r]]);
    ftl_pjrt_buffer_destroy(in);
    ftl_pjrt_buffer_destroy(out[0]);
    ftl_pjrt_buffer_destroy(out[1]);
    ftl_pjrt_program_destroy(program);
}

static void every_type_comes_back_as_it_went(void **state)
{
    (void)state;
    static const int32_t types[] = { FTL_PJRT_BOOL, FTL_PJRT_I8,     FTL_PJRT_I16,     FTL_PJRT_I32,
                                     FTL_PJRT_I64,  FTL_PJRT_U8,     FTL_PJRT_U16,     FTL_PJRT_U32,
                                     FTL_PJRT_U64,  FTL_PJRT_F16,    FTL_PJRT_F32,     FTL_PJRT_F64,
                                     FTL_PJRT_BF16, FTL_PJRT_F8E5M2, FTL_PJRT_F8E4M3FN };
    uint8_t data[3 * 5 * 8], got[3 * 5 * 8];
    for (size_t i = 0; i < sizeof data; i++) data[i] = i % 2; /* valid as bool too */
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const ftl_pjrt_shape shapes[] = { { types[i], 2, { 3, 5 } },
                                          { types[i], 0, { 0 } },
                                          { types[i], 2, { 0, 5 } },
                                          { types[i], 8, { 1, 1, 3, 1, 5, 1, 1, 1 } } };
        for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
            size_t bytes;
            ftl_pjrt_event *sent;
            ftl_pjrt_buffer *buffer;
            assert_ok(ftl_pjrt_shape_bytes(&bytes, &shapes[k]));
            assert_ok(ftl_pjrt_buffer_upload(&buffer, client, 0, &shapes[k], data, &sent));
            memset(got, 0xee, sizeof got);
            assert_ok(ftl_pjrt_buffer_download(buffer, got, bytes, NULL));
            assert_memory_equal(got, data, bytes);
            if (bytes < sizeof got) assert_int_equal(got[bytes], 0xee);
            assert_ok(ftl_pjrt_event_wait(sent, -1));
            ftl_pjrt_event_destroy(sent);
            ftl_pjrt_buffer_destroy(buffer);
        }
    }
}

static const char add_text[] =
    "module {\nfunc.func public @main(%a: tensor<2x3xf32>) -> (tensor<2x3xf32>) {\n"
    "%r = \"stablehlo.add\"(%a, %a) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>\n"
    "\"func.return\"(%r) : (tensor<2x3xf32>) -> ()\n}\n}\n";
static const ftl_pjrt_shape add_shape = { FTL_PJRT_F32, 2, { 2, 3 } };
static const float add_data[6] = { 1, 2, 3, 4, 5, 6 };

static void second_device_runs_its_own_program(void **state)
{
    (void)state;
    float got[6];
    ftl_pjrt_program *program = compile_on(1, add_text, &add_shape, 1);
    ftl_pjrt_buffer *near = put(&add_shape, add_data), *far, *out = NULL;
    assert_ok(ftl_pjrt_buffer_upload(&far, client, 1, &add_shape, add_data, NULL));
    ftl_pjrt_run run = { sizeof run, &near, 1, &out, 1, NULL, 0, NULL };
    assert_fails(FTL_EINVAL, ftl_pjrt_execute(program, &run));
    assert_text("another device");
    run.args = &far;
    assert_ok(ftl_pjrt_execute(program, &run));
    assert_ok(ftl_pjrt_buffer_download(out, got, sizeof got, NULL));
    for (int i = 0; i < 6; i++) assert_true(got[i] == 2 * add_data[i]);
    ftl_pjrt_buffer_destroy(near);
    ftl_pjrt_buffer_destroy(far);
    ftl_pjrt_buffer_destroy(out);
    ftl_pjrt_program_destroy(program);
}

static void bad_text_gives_the_line(void **state)
{
    (void)state;
    ftl_pjrt_program *program;
    const ftl_pjrt_compile_options o = { sizeof o, 0, &add_shape, 1 };
    const char bad[] = "module {\n  func.func public @main(%a: tensor<2x3xf32>) -> () {\n"
                       "    %r = \"stablehlo.add\"(%a, %b) : (tensor<2x3xf32>";
    assert_fails(FTL_EINTERNAL, ftl_pjrt_compile(&program, client, bad, strlen(bad), &o));
    assert_null(program);
    assert_text("compiling for cpu (StableHLO 1.");
    assert_text("error:");
    assert_fails(FTL_EINTERNAL, ftl_pjrt_compile(&program, client, "", 0, &o));
    const ftl_pjrt_compile_options far = { sizeof far, 2, &add_shape, 1 };
    assert_fails(FTL_EINVAL, ftl_pjrt_compile(&program, client, add_text, strlen(add_text), &far));
}

static void serialized_program_runs_after_loading(void **state)
{
    (void)state;
    uint8_t *blob;
    size_t n;
    float got[6];
    ftl_pjrt_program *loaded, *program = compile_on(0, add_text, &add_shape, 1);
    const ftl_pjrt_compile_options o = { sizeof o, 0, &add_shape, 1 };
    assert_ok(ftl_pjrt_program_serialize(&blob, &n, program));
    ftl_pjrt_program_destroy(program);
    blob[n - 1] ^= 1;
    assert_fails(FTL_EFORMAT,
                 ftl_pjrt_program_load(&loaded, client, add_text, strlen(add_text), &o, blob, n));
    blob[n - 1] ^= 1;
    assert_ok(ftl_pjrt_program_load(&loaded, client, add_text, strlen(add_text), &o, blob, n));
    ftl_free(blob);
    ftl_pjrt_buffer *in = put(&add_shape, add_data), *out = NULL;
    const ftl_pjrt_run run = { sizeof run, &in, 1, &out, 1, NULL, 0, NULL };
    assert_ok(ftl_pjrt_execute(loaded, &run));
    assert_ok(ftl_pjrt_buffer_download(out, got, sizeof got, NULL));
    for (int i = 0; i < 6; i++) assert_true(got[i] == 2 * add_data[i]);
    ftl_pjrt_buffer_destroy(in);
    ftl_pjrt_buffer_destroy(out);
    ftl_pjrt_program_destroy(loaded);
}

int main(void)
{
    path = getenv("FETTLE_TEST_PJRT_CPU");
    if (!path || !*path)
        ftl_test_skip("set FETTLE_TEST_PJRT_CPU to xla_cpu_pjrt.so of the PyPI package "
                      "xla-cpu-pjrt");
    /* before the plug-in starts threads in this process */
    const ftl_status s = ftl_pjrt_probe(path, 60000, probe_report, sizeof probe_report);
    ftl_pjrt_plugin *plugin;
    const ftl_pjrt_option two = { .name = "cpu_device_count",
                                  .kind = FTL_PJRT_VALUE_INTEGER,
                                  .integer = 2 };
    if (s != FTL_OK || ftl_pjrt_plugin_open(&plugin, path) != FTL_OK ||
        ftl_pjrt_client_create(&client, plugin, &two, 1) != FTL_OK) {
        printf("Bail out! %s\n", ftl_error_text());
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probe_says_it_works),
        cmocka_unit_test(plugin_and_devices_are_described),
        cmocka_unit_test(struct_sizes_are_those_of_the_plugin),
        cmocka_unit_test(linear_bias_relu_is_right),
        cmocka_unit_test(donated_cache_is_written_in_place),
        cmocka_unit_test(kept_argument_survives_and_donated_one_does_not),
        cmocka_unit_test(argmax_takes_the_first_of_equals),
        cmocka_unit_test(every_type_comes_back_as_it_went),
        cmocka_unit_test(second_device_runs_its_own_program),
        cmocka_unit_test(bad_text_gives_the_line),
        cmocka_unit_test(serialized_program_runs_after_loading),
    };
    const int failed = ftl_test_run(tests);
    ftl_pjrt_client_destroy(client);
    return failed;
}
