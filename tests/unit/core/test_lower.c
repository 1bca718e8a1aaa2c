/* SPDX-License-Identifier: Apache-2.0 */
/* Decompositions of layers and of training, in f64 against the formulas written out. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/emit.h"
#include "core/op.h"
#include "support/graphs.h"

static const double tight = 1e-13;

/* One node over f64 inputs of these shapes; returns the number of results. */
static int64_t run(ftl_op op, const ftl_attr *attr, int32_t n_in, const ftl_tensor_desc *desc,
                   const void *const *data, double *out)
{
    ftl_graph *g = ftl_test_graph();
    int32_t in[6];
    const void *given[6];
    int32_t n_given = 0;
    for (int32_t i = 0; i < n_in; i++) {
        in[i] = data[i] ? ftl_test_input(g, desc[i]) : -1;
        if (data[i]) given[n_given++] = data[i];
    }
    const int32_t y = ftl_graph_add(g, op, attr, in, n_in);
    assert_ok(ftl_graph_status(g));
    const ftl_tensor_desc d = ftl_emit_desc(g, y);
    ftl_test_eval_one(g, y, given, out);
    return ftl_desc_count_checked(&d);
}

/* ---- activations --------------------------------------------------------------------------- */

static double act_by_hand(ftl_act act, double x, double alpha, double beta)
{
    switch (act) {
    case FTL_ACT_NONE: return x;
    case FTL_ACT_RELU: return x > 0 ? x : 0;
    case FTL_ACT_CLIP: return x < alpha ? alpha : x > beta ? beta : x;
    case FTL_ACT_LEAKY_RELU: return x < 0 ? alpha * x : x;
    case FTL_ACT_ELU: return x < 0 ? alpha * expm1(x) : x;
    case FTL_ACT_SELU: return beta * (x < 0 ? alpha * expm1(x) : x);
    case FTL_ACT_SIGMOID: return 0.5 + 0.5 * tanh(x / 2);
    case FTL_ACT_TANH: return tanh(x);
    case FTL_ACT_SILU: return x * (0.5 + 0.5 * tanh(x / 2));
    case FTL_ACT_GELU: return x * 0.5 * erfc(-x / sqrt(2));
    case FTL_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case FTL_ACT_HARD_SIGMOID: return fmin(fmax(alpha * x + beta, 0), 1);
    case FTL_ACT_HARD_SWISH: return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    case FTL_ACT_SOFTPLUS: return x > 30 ? x : log1p(exp(x));
    case FTL_ACT_COUNT: break;
    }
    fail();
    return 0;
}

static const double act_points[] = { -700, -40, -4,   -3, -1.5, -0.25, -1e-3, 0,
                                     1e-3, 0.4, 1.25, 3,  4,    40,    700 };
enum { N_ACT_POINTS = sizeof act_points / sizeof *act_points };

static void activations(void **unused)
{
    (void)unused;
    const ftl_tensor_desc desc = DESC(F64, N_ACT_POINTS);
    for (int act = 0; act < FTL_ACT_COUNT; act++) {
        ftl_attr attr = ftl_attr_blank();
        attr.act = (ftl_attr_act){ act, 0.25f, 0.75f };
        double got[N_ACT_POINTS], want[N_ACT_POINTS];
        for (int i = 0; i < N_ACT_POINTS; i++)
            want[i] = act_by_hand((ftl_act)act, act_points[i], 0.25, 0.75);
        run(FTL_OP_activation, &attr, 1, &desc, (const void *[]){ act_points }, got);
        char what[32];
        snprintf(what, sizeof what, "activation %d", act);
        ftl_test_assert_close_f64(got, want, N_ACT_POINTS, tight, what);
    }
}

static void relu_keeps_nan(void **unused)
{
    (void)unused;
    const ftl_tensor_desc desc = DESC(F64, 1);
    ftl_attr attr = ftl_attr_blank();
    attr.act.kind = FTL_ACT_RELU;
    const double x = NAN;
    double got = 0;
    run(FTL_OP_activation, &attr, 1, &desc, (const void *[]){ &x }, &got);
    assert_true(isnan(got));
}

static void an_unknown_activation_is_refused(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    ftl_attr attr = ftl_attr_blank();
    attr.act.kind = FTL_ACT_COUNT;
    const int32_t x = ftl_test_input(g, DESC(F64, 1));
    const int32_t y = FTL_ADD(g, activation, &attr, x);
    if (y >= 0) ftl_graph_output(g, "y", y);
    const double in = 0;
    double out;
    assert_fails(FTL_EINVAL, ftl_eval_graph(g, (const void *[]){ &in }, (void *[]){ &out }));
    ftl_graph_destroy(g);
}

/* ---- products ------------------------------------------------------------------------------ */

static void linear_with_all_and_nothing(void **unused)
{
    (void)unused;
    enum { B = 2, T = 3, K = 4, N = 5 };
    double x[B * T * K], w[N * K], bias[N], residual[B * T * N], got[B * T * N], want[B * T * N];
    ftl_test_random(x, B * T * K, 1, -1, 1);
    ftl_test_random(w, N * K, 2, -1, 1);
    ftl_test_random(bias, N, 3, -1, 1);
    ftl_test_random(residual, B * T * N, 4, -1, 1);
    const ftl_tensor_desc desc[4] = { DESC(F64, B, T, K), DESC(F64, N, K), DESC(F64, N),
                                      DESC(F64, B, T, N) };
    for (int mask = 0; mask < 4; mask++) {
        ftl_attr attr = ftl_attr_blank();
        attr.act.kind = mask & 1 ? FTL_ACT_SILU : FTL_ACT_NONE;
        for (int i = 0; i < B * T * N; i++) {
            double sum = (mask & 1 ? bias[i % N] : 0) + (mask & 2 ? residual[i] : 0);
            for (int k = 0; k < K; k++) sum += x[i / N * K + k] * w[i % N * K + k];
            want[i] = act_by_hand((ftl_act)attr.act.kind, sum, 0, 0);
        }
        const void *data[4] = { x, w, mask & 1 ? bias : NULL, mask & 2 ? residual : NULL };
        run(FTL_OP_linear, &attr, 4, desc, data, got);
        ftl_test_assert_close_f64(got, want, B * T * N, tight, "linear");
    }
    const ftl_tensor_desc vector[2] = { DESC(F64, K), DESC(F64, N, K) };
    const ftl_attr plain = ftl_attr_blank();
    assert_int_equal(run(FTL_OP_linear, &plain, 2, vector, (const void *[]){ x, w }, got), N);
    for (int n = 0; n < N; n++) {
        double sum = 0;
        for (int k = 0; k < K; k++) sum += x[k] * w[n * K + k];
        ftl_test_assert_close_f64(&got[n], &sum, 1, tight, "linear of a vector");
    }
}

/* A 1 x 1 convolution is a product over channels. */
static void conv_adds_bias_residual_and_activation(void **unused)
{
    (void)unused;
    enum { C = 3, O = 4, P = 6 };
    double x[C * P], w[O * C], bias[O], residual[O * P], got[O * P], want[O * P];
    ftl_test_random(x, C * P, 1, -1, 1);
    ftl_test_random(w, O * C, 2, -1, 1);
    ftl_test_random(bias, O, 3, -1, 1);
    ftl_test_random(residual, O * P, 4, -1, 1);
    ftl_attr attr = ftl_attr_blank();
    attr.conv = (ftl_attr_conv){
        .stride = { 1, 1 }, .dilation = { 1, 1 }, .groups = 1, .act = { .kind = FTL_ACT_RELU }
    };
    const ftl_tensor_desc desc[4] = { DESC(F64, 1, C, 2, 3), DESC(F64, O, C, 1, 1), DESC(F64, O),
                                      DESC(F64, 1, O, 2, 3) };
    for (int i = 0; i < O * P; i++) {
        double sum = bias[i / P] + residual[i];
        for (int c = 0; c < C; c++) sum += x[c * P + i % P] * w[i / P * C + c];
        want[i] = fmax(sum, 0);
    }
    run(FTL_OP_conv, &attr, 4, desc, (const void *[]){ x, w, bias, residual }, got);
    ftl_test_assert_close_f64(got, want, O * P, tight, "conv");
}

/* ---- norms --------------------------------------------------------------------------------- */

static void means(void **unused)
{
    (void)unused;
    const double x[6] = { 1, 2, 3, 4, 5, 9 };
    double got[6];
    const ftl_tensor_desc desc = DESC(F64, 2, 3);
    ftl_attr attr = ftl_attr_blank();
    attr.reduce.axes = 1;
    run(FTL_OP_reduce_mean, &attr, 1, &desc, (const void *[]){ x }, got);
    ftl_test_assert_close_f64(got, (const double[]){ 2.5, 3.5, 6 }, 3, tight, "mean of columns");
    attr.reduce = (ftl_attr_reduce){ .axes = 3, .keep = 1 };
    assert_int_equal(run(FTL_OP_reduce_mean, &attr, 1, &desc, (const void *[]){ x }, got), 1);
    ftl_test_assert_close_f64(got, (const double[]){ 4 }, 1, tight, "mean of all");
}

static void lrn_over_channels(void **unused)
{
    (void)unused;
    enum { B = 2, C = 7, P = 4 };
    double x[B * C * P], got[B * C * P], want[B * C * P];
    ftl_test_random(x, B * C * P, 1, -2, 2);
    const ftl_tensor_desc desc = DESC(F64, B, C, 2, 2);
    for (int size = 1; size <= 16; size += 3) { /* 4, 10, 16: even, and wider than C */
        ftl_attr attr = ftl_attr_blank();
        attr.lrn = (ftl_attr_lrn){ .size = size, .alpha = 0.3, .beta = 0.75, .bias = 2 };
        for (int i = 0; i < B * C * P; i++) {
            const int c = i / P % C;
            double sum = 0;
            for (int k = c - (size - 1) / 2; k <= c + size / 2; k++)
                if (k >= 0 && k < C) sum += pow(x[i + (k - c) * P], 2);
            want[i] = x[i] / pow(2 + 0.3 / size * sum, 0.75);
        }
        run(FTL_OP_lrn, &attr, 1, &desc, (const void *[]){ x }, got);
        ftl_test_assert_close_f64(got, want, B * C * P, tight, "lrn");
    }
}

static void batch_norm_of_any_rank(void **unused)
{
    (void)unused;
    enum { B = 2, C = 3, P = 4 };
    double x[B * C * P], s[C], b[C], m[C], v[C], got[B * C * P], want[B * C * P];
    ftl_test_random(x, B * C * P, 1, -2, 2);
    ftl_test_random(s, C, 2, 0.5, 2);
    ftl_test_random(b, C, 3, -1, 1);
    ftl_test_random(m, C, 4, -1, 1);
    ftl_test_random(v, C, 5, 0.1, 2);
    ftl_attr attr = ftl_attr_blank();
    attr.norm.eps = 1e-2;
    const ftl_tensor_desc shapes[3] = { DESC(F64, B, C), DESC(F64, B, C, P),
                                        DESC(F64, B, C, 2, 2) };
    for (int r = 0; r < 3; r++) {
        const int inner = r ? P : 1;
        const ftl_tensor_desc c = DESC(F64, C), desc[5] = { shapes[r], c, c, c, c };
        for (int i = 0; i < B * C * inner; i++) {
            const int k = i / inner % C;
            want[i] = (x[i] - m[k]) / sqrt(v[k] + 1e-2) * s[k] + b[k];
        }
        run(FTL_OP_batch_norm, &attr, 5, desc, (const void *[]){ x, s, b, m, v }, got);
        ftl_test_assert_close_f64(got, want, B * C * inner, tight, "batch_norm");
    }
}

static void layer_and_rms_norm(void **unused)
{
    (void)unused;
    enum { ROWS = 3, WIDTH = 8 };
    double x[ROWS * WIDTH], s[WIDTH], b[WIDTH], got[ROWS * WIDTH], want[ROWS * WIDTH];
    ftl_test_random(x, ROWS * WIDTH, 1, -2, 5);
    ftl_test_random(s, WIDTH, 2, 0.5, 2);
    ftl_test_random(b, WIDTH, 3, -1, 1);
    ftl_attr attr = ftl_attr_blank();
    attr.norm = (ftl_attr_norm){ .eps = 1e-3, .axis = 1 };
    const ftl_tensor_desc inner = DESC(F64, 2, 4),
                          desc[3] = { DESC(F64, ROWS, 2, 4), inner, inner };
    for (int is_rms = 0; is_rms < 2; is_rms++)
        for (int mask = 0; mask < 4; mask++) {
            if (is_rms && mask & 2) continue;
            for (int r = 0; r < ROWS; r++) {
                double mean = 0, square = 0;
                for (int i = 0; i < WIDTH && !is_rms; i++) mean += x[r * WIDTH + i] / WIDTH;
                for (int i = 0; i < WIDTH; i++) square += pow(x[r * WIDTH + i] - mean, 2) / WIDTH;
                for (int i = 0; i < WIDTH; i++)
                    want[r * WIDTH + i] =
                        (x[r * WIDTH + i] - mean) / sqrt(square + 1e-3) * (mask & 1 ? s[i] : 1) +
                        (mask & 2 ? b[i] : 0);
            }
            const void *data[3] = { x, mask & 1 ? s : NULL, mask & 2 ? b : NULL };
            run(is_rms ? FTL_OP_rms_norm : FTL_OP_layer_norm, &attr, is_rms ? 2 : 3, desc, data,
                got);
            ftl_test_assert_close_f64(got, want, ROWS * WIDTH, tight, is_rms ? "rms" : "layer");
        }
}

static void softmax_over_any_axis(void **unused)
{
    (void)unused;
    double x[24], got[24], logs[24], want[24], want_logs[24];
    ftl_test_random(x, 24, 1, -3, 800);
    const ftl_tensor_desc desc = DESC(F64, 2, 3, 4);
    static const int size[3] = { 2, 3, 4 }, step[3] = { 12, 4, 1 };
    for (int axis = 0; axis < 3; axis++) {
        for (int i = 0; i < 24; i++) {
            const int first = i - i / step[axis] % size[axis] * step[axis];
            double sum = 0; /* of exp(x_k - x_i), which needs no maximum */
            for (int k = 0; k < size[axis]; k++) sum += exp(x[first + k * step[axis]] - x[i]);
            want[i] = 1 / sum;
            want_logs[i] = isfinite(sum) ? -log(sum) : -INFINITY;
        }
        ftl_attr attr = ftl_attr_blank();
        attr.norm.axis = axis;
        run(FTL_OP_softmax, &attr, 1, &desc, (const void *[]){ x }, got);
        ftl_test_assert_close_f64(got, want, 24, tight, "softmax");
        run(FTL_OP_log_softmax, &attr, 1, &desc, (const void *[]){ x }, logs);
        for (int i = 0; i < 24; i++)
            if (isfinite(want_logs[i]))
                ftl_test_assert_close_f64(&logs[i], &want_logs[i], 1, tight, "log_softmax");
    }
}

static void softmax_of_infinities(void **unused)
{
    (void)unused;
    const double x[3][3] = { { -INFINITY, -INFINITY, -INFINITY },
                             { -INFINITY, 5, -INFINITY },
                             { NAN, 1, 2 } };
    double got[9];
    const ftl_tensor_desc desc = DESC(F64, 3, 3);
    ftl_attr attr = ftl_attr_blank();
    attr.norm.axis = 1;
    run(FTL_OP_softmax, &attr, 1, &desc, (const void *[]){ x }, got);
    for (int i = 0; i < 6; i++) assert_true(got[i] == (i == 4 ? 1 : 0));
    assert_true(isnan(got[6]) && isnan(got[7]) && isnan(got[8]));
    run(FTL_OP_log_softmax, &attr, 1, &desc, (const void *[]){ x }, got);
    for (int i = 0; i < 6; i++) assert_true(got[i] == (i == 4 ? 0 : -INFINITY));
}

/* In bf16 the sums run in f32: a mean of 1000 ones is 1, and no element is far off. */
static void low_precision_is_rounded_once(void **unused)
{
    (void)unused;
    enum { N = 1000 };
    static uint16_t x[N], got[N];
    for (int i = 0; i < N; i++) x[i] = ftl_f32_to_bf16(1.0f + (float)(i % 2));
    ftl_attr attr = ftl_attr_blank();
    attr.norm.eps = 0;
    ftl_graph *g = ftl_test_graph();
    int32_t in = ftl_test_input(g, DESC(BF16, N));
    ftl_test_eval_one(g, FTL_ADD(g, layer_norm, &attr, in), (const void *[]){ x }, got);
    for (int i = 0; i < N; i++) assert_true(ftl_bf16_to_f32(got[i]) == (i % 2 ? 1.0f : -1.0f));
    g = ftl_test_graph();
    in = ftl_test_input(g, DESC(BF16, N));
    attr = ftl_attr_blank();
    attr.reduce.axes = 1;
    ftl_test_eval_one(g, FTL_ADD(g, reduce_mean, &attr, in), (const void *[]){ x }, got);
    assert_true(ftl_bf16_to_f32(got[0]) == 1.5f);
    g = ftl_test_graph();
    in = ftl_test_input(g, DESC(F16, N));
    for (int i = 0; i < N; i++) x[i] = ftl_f32_to_f16(2.0f);
    ftl_test_eval_one(g, ftl_emit_softmax(g, FTL_OP_softmax, in, 0), (const void *[]){ x }, got);
    for (int i = 0; i < N; i++) assert_true(got[i] == ftl_f32_to_f16(1.0f / N));
}

/* ---- training ------------------------------------------------------------------------------ */

enum { BATCH = 4, CLASSES = 3 };
static const int32_t labels[BATCH] = { 2, 0, -1, 3 }; /* the last two are no classes */

static void cross_entropy_and_its_gradient(void **unused)
{
    (void)unused;
    double x[BATCH * CLASSES], d[BATCH] = { 1, 0.5, 7, 7 }, loss[BATCH], want[BATCH] = { 0 };
    double grad[BATCH * CLASSES], want_grad[BATCH * CLASSES] = { 0 };
    ftl_test_random(x, BATCH * CLASSES, 1, -3, 3);
    for (int b = 0; b < 2; b++) {
        double sum = 0;
        for (int c = 0; c < CLASSES; c++) sum += exp(x[b * CLASSES + c]);
        want[b] = log(sum) - x[b * CLASSES + labels[b]];
        for (int c = 0; c < CLASSES; c++)
            want_grad[b * CLASSES + c] =
                d[b] * (exp(x[b * CLASSES + c]) / sum - (c == labels[b] ? 1 : 0));
    }
    const ftl_tensor_desc desc[3] = { DESC(F64, BATCH, CLASSES), DESC(I32, BATCH),
                                      DESC(F64, BATCH) };
    const ftl_attr attr = ftl_attr_blank();
    run(FTL_OP_softmax_cross_entropy, &attr, 2, desc, (const void *[]){ x, labels }, loss);
    ftl_test_assert_close_f64(loss, want, BATCH, tight, "loss");
    run(FTL_OP_softmax_cross_entropy_grad, &attr, 3, desc, (const void *[]){ x, labels, d }, grad);
    ftl_test_assert_close_f64(grad, want_grad, BATCH * CLASSES, tight, "gradient of the loss");
}

/* Several steps with a fresh gradient each, with and without decay. */
static void adam_is_algorithm_1(void **unused)
{
    (void)unused;
    enum { N = 5 };
    const double rate = 0.01, b1 = 0.9, b2 = 0.999, eps = 1e-8;
    for (int decays = 0; decays < 2; decays++) {
        const double decay = decays ? 0.1 : 0;
        double w[N], m[N] = { 0 }, v[N] = { 0 }, g[N], want[3][N] = { { 0 } };
        ftl_test_random(w, N, 1, -1, 1);
        memcpy(want[0], w, sizeof w);
        ftl_graph *graph = ftl_test_graph();
        ftl_attr attr = ftl_attr_blank();
        attr.adam = (ftl_attr_adam){ b1, b2, eps, decay };
        int32_t in[6];
        for (int i = 0; i < 4; i++) in[i] = ftl_test_input(graph, DESC(F64, N));
        in[4] = ftl_test_input(graph, DESC0(F64));
        in[5] = ftl_test_input(graph, DESC0(I32));
        const int32_t first = ftl_graph_add(graph, FTL_OP_adam, &attr, in, 6);
        for (int i = 0; i < 3; i++) ftl_graph_output(graph, "", first + i);
        for (int32_t t = 1; t <= 4; t++) {
            ftl_test_random(g, N, (uint64_t)t + 10, -1, 1);
            for (int i = 0; i < N; i++) {
                want[1][i] = b1 * want[1][i] + (1 - b1) * g[i];
                want[2][i] = b2 * want[2][i] + (1 - b2) * g[i] * g[i];
                const double mh = want[1][i] / (1 - pow(b1, t)), vh = want[2][i] / (1 - pow(b2, t));
                want[0][i] -= rate * (mh / (sqrt(vh) + eps) + decay * want[0][i]);
            }
            FTL_TEST_EVAL(graph, ((void *[]){ w, m, v }), w, g, m, v, &rate, &t);
            ftl_test_assert_close_f64(w, want[0], N, 1e-12, "weight");
            ftl_test_assert_close_f64(m, want[1], N, tight, "first moment");
            ftl_test_assert_close_f64(v, want[2], N, tight, "second moment");
        }
        ftl_graph_destroy(graph);
    }
}

/* The first step of f32 moves by the rate: 1 - beta^1 must not lose its digits. */
static void adam_in_f32_keeps_its_digits(void **unused)
{
    (void)unused;
    ftl_graph *graph = ftl_test_graph();
    ftl_attr attr = ftl_attr_blank();
    attr.adam = (ftl_attr_adam){ 0.9, 0.9999, 0, 0 };
    int32_t in[6];
    for (int i = 0; i < 5; i++) in[i] = ftl_test_input(graph, DESC0(F32));
    in[5] = ftl_test_input(graph, DESC0(I32));
    const float w = 0, g = 0.3f, zero = 0, rate = 1;
    const int32_t step = 1;
    float got;
    ftl_test_eval_one(graph, ftl_graph_add(graph, FTL_OP_adam, &attr, in, 6),
                      (const void *[]){ &w, &g, &zero, &zero, &rate, &step }, &got);
    assert_true(fabs(got + 1.0) < 3e-7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations),
        cmocka_unit_test(relu_keeps_nan),
        cmocka_unit_test(an_unknown_activation_is_refused),
        cmocka_unit_test(linear_with_all_and_nothing),
        cmocka_unit_test(conv_adds_bias_residual_and_activation),
        cmocka_unit_test(means),
        cmocka_unit_test(lrn_over_channels),
        cmocka_unit_test(batch_norm_of_any_rank),
        cmocka_unit_test(layer_and_rms_norm),
        cmocka_unit_test(softmax_over_any_axis),
        cmocka_unit_test(softmax_of_infinities),
        cmocka_unit_test(low_precision_is_rounded_once),
        cmocka_unit_test(cross_entropy_and_its_gradient),
        cmocka_unit_test(adam_is_algorithm_1),
        cmocka_unit_test(adam_in_f32_keeps_its_digits),
    };
    return ftl_test_run(tests);
}
