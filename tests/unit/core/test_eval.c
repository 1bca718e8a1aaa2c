/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "core/emit.h"
#include "core/op.h"
#include "support/graphs.h"

/* ---- elementwise --------------------------------------------------------------------------- */

static void every_row_is_known_or_lowered(void **unused)
{
    (void)unused;
    for (int op = 0; op < FTL_OP_COUNT; op++)
        assert_int_equal(ftl_eval_knows((ftl_op)op), ftl_op_get_info((ftl_op)op)->lower == NULL);
}

/* One row on two arrays of n elements of any type. */
static void run2(ftl_op op, ftl_tensor_desc a, ftl_tensor_desc b, const void *x, const void *y,
                 void *out)
{
    ftl_graph *g = ftl_test_graph();
    const int32_t in[2] = { ftl_test_input(g, a), ftl_test_input(g, b) };
    ftl_test_eval_one(g, ftl_graph_add(g, op, NULL, in, 2), (const void *[]){ x, y }, out);
}

static void two_inputs_broadcast_as_in_numpy(void **unused)
{
    (void)unused;
    float a[2 * 1 * 3], b[4 * 1], got[2 * 4 * 3], want[2 * 4 * 3];
    for (int i = 0; i < 6; i++) a[i] = (float)i + 0.5f;
    for (int i = 0; i < 4; i++) b[i] = (float)(i * i) - 2.25f;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 4; j++)
            for (int k = 0; k < 3; k++) want[(i * 4 + j) * 3 + k] = a[i * 3 + k] - b[j];
    run2(FTL_OP_sub, DESC(F32, 2, 1, 3), DESC(F32, 4, 1), a, b, got);
    assert_memory_equal(got, want, sizeof want);
    run2(FTL_OP_sub, DESC(F32, 4, 1), DESC(F32, 2, 1, 3), b, a, got);
    for (int i = 0; i < 24; i++) assert_true(got[i] == -want[i]);
}

static void float_rows_are_the_c_library(void **unused)
{
    (void)unused;
    enum { N = 64 };
    double x[N], y[N], got[N], want[N];
    ftl_test_random(x, N, 1, 0.1, 4);
    ftl_test_random(y, N, 2, -3, 3);
    static const ftl_op ops[] = { FTL_OP_add, FTL_OP_mul, FTL_OP_div, FTL_OP_pow, FTL_OP_mod };
    for (size_t o = 0; o < sizeof ops / sizeof *ops; o++) {
        for (int i = 0; i < N; i++) {
            const double all[5] = { x[i] + y[i], x[i] * y[i], x[i] / y[i], pow(x[i], y[i]),
                                    fmod(x[i], y[i]) };
            want[i] = all[o];
        }
        run2(ops[o], DESC(F64, N), DESC(F64, N), x, y, got);
        ftl_test_assert_close_f64(got, want, N, 0, ftl_op_get_info(ops[o])->name);
    }
}

static double unary_by_hand(ftl_op op, double x)
{
    switch (op) {
    case FTL_OP_neg: return -x;
    case FTL_OP_abs: return x < 0 ? -x : x;
    case FTL_OP_sign: return x < 0 ? -1 : x > 0 ? 1 : x;
    case FTL_OP_floor: return floor(x);
    case FTL_OP_ceil: return ceil(x);
    case FTL_OP_round: return nearbyint(x);
    case FTL_OP_exp: return exp(x);
    case FTL_OP_log: return log(x);
    case FTL_OP_sqrt: return sqrt(x);
    case FTL_OP_rsqrt: return 1 / sqrt(x);
    case FTL_OP_tanh: return tanh(x);
    case FTL_OP_sigmoid: return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
    case FTL_OP_erf: return erf(x);
    case FTL_OP_sin: return sin(x);
    case FTL_OP_cos: return cos(x);
    default: fail(); return 0;
    }
}

/* f16, bf16, f32 and f64 give the f64 result rounded once. */
static void one_input_rows_round_once(void **unused)
{
    (void)unused;
    static const double x[] = { -2.5, -1.5, -0.5, -0.0, 0,        0.5,       1,  1.5,
                                2.5,  3,    7.25, -40,  INFINITY, -INFINITY, NAN };
    enum { N = sizeof x / sizeof *x };
    static const ftl_dtype types[] = { FTL_DTYPE_F16, FTL_DTYPE_BF16, FTL_DTYPE_F32,
                                       FTL_DTYPE_F64 };
    for (ftl_op op = FTL_OP_neg; op <= FTL_OP_cos; op++)
        for (size_t t = 0; t < 4; t++) {
            uint64_t in[N], out[N], rounded;
            const ftl_tensor_desc desc = { .dtype = types[t], .rank = 1, .dim = { N } };
            for (int i = 0; i < N; i++) ftl_element_set(types[t], in, i, x[i]);
            ftl_graph *g = ftl_test_graph();
            const int32_t input = ftl_test_input(g, desc);
            ftl_test_eval_one(g, ftl_graph_add(g, op, NULL, &input, 1), (const void *[]){ in },
                              out);
            for (int i = 0; i < N; i++) {
                ftl_element_set(types[t], &rounded, 0, unary_by_hand(op, x[i]));
                const double want = ftl_element_get(types[t], &rounded, 0);
                const double got = ftl_element_get(types[t], out, i);
                ftl_test_assert_close_f64(&got, &want, 1, types[t] == FTL_DTYPE_F64 ? 1e-15 : 0,
                                          ftl_op_get_info(op)->name);
            }
        }
}

static void nan_wins_in_max_and_min(void **unused)
{
    (void)unused;
    const float x[4] = { NAN, 1, NAN, 2 }, y[4] = { 1, NAN, NAN, 3 };
    float got[4];
    run2(FTL_OP_max, DESC(F32, 4), DESC(F32, 4), x, y, got);
    assert_true(isnan(got[0]) && isnan(got[1]) && isnan(got[2]) && got[3] == 3);
    run2(FTL_OP_min, DESC(F32, 4), DESC(F32, 4), x, y, got);
    assert_true(isnan(got[0]) && isnan(got[1]) && isnan(got[2]) && got[3] == 2);
}

/* ---- integers ------------------------------------------------------------------------------ */

typedef struct int_case {
    ftl_op op;
    int64_t a, b, want;
} int_case;

static void integers_of_64_bits_are_exact(void **unused)
{
    (void)unused;
    const int64_t big = ((int64_t)1 << 53) + 1;
    const int_case cases[] = {
        { FTL_OP_add, big, big, 2 * big },
        { FTL_OP_sub, big, 1, big - 1 },
        { FTL_OP_mul, big, 3, big * 3 },
        { FTL_OP_div, big, 1, big },
        { FTL_OP_div, -7, 2, -3 },
        { FTL_OP_div, 7, 0, 0 },
        { FTL_OP_div, INT64_MIN, -1, INT64_MIN },
        { FTL_OP_mod, -7, 2, -1 },
        { FTL_OP_mod, 7, 0, 7 },
        { FTL_OP_mod, INT64_MIN, -1, 0 },
        { FTL_OP_max, big, big - 1, big },
        { FTL_OP_min, -big, -big + 1, -big },
        { FTL_OP_pow, -3, 3, -27 },
        { FTL_OP_pow, 2, -1, 0 },
        { FTL_OP_pow, -1, -3, -1 },
        { FTL_OP_pow, 5, 0, 1 },
        { FTL_OP_add, INT64_MAX, 1, INT64_MIN },
        { FTL_OP_and, 12, 10, 8 },
        { FTL_OP_or, 12, 10, 14 },
        { FTL_OP_xor, 12, 10, 6 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t got;
        run2(cases[i].op, DESC0(I64), DESC0(I64), &cases[i].a, &cases[i].b, &got);
        if (got != cases[i].want)
            print_error("%s(%lld, %lld) gave %lld\n", ftl_op_get_info(cases[i].op)->name,
                        (long long)cases[i].a, (long long)cases[i].b, (long long)got);
        assert_true(got == cases[i].want);
    }
}

static void small_and_unsigned_integers(void **unused)
{
    (void)unused;
    const int8_t a[3] = { 127, -128, -7 }, b[3] = { 1, -1, 3 };
    int8_t got[3];
    run2(FTL_OP_add, DESC(I8, 3), DESC(I8, 3), a, b, got);
    assert_true(got[0] == -128 && got[1] == 127 && got[2] == -4);
    run2(FTL_OP_div, DESC(I8, 3), DESC(I8, 3), a, b, got);
    assert_true(got[0] == 127 && got[1] == -128 && got[2] == -2);
    const uint64_t u = UINT64_MAX, v = 2;
    uint64_t big;
    run2(FTL_OP_div, DESC0(U64), DESC0(U64), &u, &v, &big);
    assert_true(big == UINT64_MAX / 2);
    run2(FTL_OP_max, DESC0(U64), DESC0(U64), &u, &v, &big);
    assert_true(big == UINT64_MAX);
    const uint8_t p[4] = { 0, 0, 1, 1 }, q[4] = { 0, 1, 0, 1 };
    uint8_t truth[4];
    run2(FTL_OP_xor, DESC(BOOL, 4), DESC(BOOL, 4), p, q, truth);
    assert_memory_equal(truth, ((uint8_t[]){ 0, 1, 1, 0 }), 4);
}

static void comparisons(void **unused)
{
    (void)unused;
    const int64_t a[3] = { ((int64_t)1 << 53) + 1, -1, 5 }, b[3] = { (int64_t)1 << 53, 0, 5 };
    uint8_t got[3];
    run2(FTL_OP_equal, DESC(I64, 3), DESC(I64, 3), a, b, got);
    assert_memory_equal(got, ((uint8_t[]){ 0, 0, 1 }), 3);
    run2(FTL_OP_less, DESC(I64, 3), DESC(I64, 3), a, b, got);
    assert_memory_equal(got, ((uint8_t[]){ 0, 1, 0 }), 3);
    run2(FTL_OP_less_equal, DESC(I64, 3), DESC(I64, 3), a, b, got);
    assert_memory_equal(got, ((uint8_t[]){ 0, 1, 1 }), 3);
    const float x[3] = { NAN, 1, -0.0f }, y[3] = { NAN, 2, 0 };
    run2(FTL_OP_equal, DESC(F32, 3), DESC(F32, 3), x, y, got);
    assert_memory_equal(got, ((uint8_t[]){ 0, 0, 1 }), 3);
    run2(FTL_OP_less_equal, DESC(F32, 3), DESC(F32, 3), x, y, got);
    assert_memory_equal(got, ((uint8_t[]){ 0, 1, 1 }), 3);
}

static void conversions(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, DESC(I64, 3));
    ftl_graph_output(g, "a", ftl_emit_convert(g, x, FTL_DTYPE_I32));
    ftl_graph_output(g, "b", ftl_emit_convert(g, x, FTL_DTYPE_U64));
    ftl_graph_output(g, "c", ftl_emit_convert(g, x, FTL_DTYPE_BOOL));
    ftl_graph_output(g, "d",
                     ftl_emit_convert(g, ftl_emit_convert(g, x, FTL_DTYPE_U64), FTL_DTYPE_I64));
    const int64_t in[3] = { INT64_MAX, -5, 0 };
    int32_t a[3];
    uint64_t b[3];
    uint8_t c[3];
    int64_t d[3];
    FTL_TEST_EVAL(g, ((void *[]){ a, b, c, d }), in);
    assert_true(a[0] == INT32_MAX && a[1] == -5 && a[2] == 0);
    assert_true(b[0] == INT64_MAX && b[1] == 0 && b[2] == 0);
    assert_memory_equal(c, ((uint8_t[]){ 1, 1, 0 }), 3);
    assert_true(d[0] == INT64_MAX && d[1] == 0);
    ftl_graph_destroy(g);
}

static void rows_refuse_types_they_do_not_have(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, DESC(F32, 2));
    ftl_graph_output(g, "y", FTL_ADD(g, and, NULL, x, x));
    const float in[2] = { 1, 2 };
    float out[2];
    /* Refused by the shape rule or, where that lets it through, by the evaluator. */
    ftl_status s = ftl_graph_status(g);
    if (s == FTL_OK) s = ftl_eval_graph(g, (const void *[]){ in }, (void *[]){ out });
    assert_fails(FTL_EINVAL, s);
    ftl_graph_destroy(g);
}

static void select_broadcasts_all_three(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    const int32_t c = ftl_test_input(g, DESC(BOOL, 2, 1)), x = ftl_test_input(g, DESC(F32, 3)),
                  y = ftl_test_input(g, DESC0(F32));
    const uint8_t which[2] = { 1, 0 };
    const float xs[3] = { 1, 2, 3 }, ys = 9, want[6] = { 1, 2, 3, 9, 9, 9 };
    float got[6];
    ftl_test_eval_one(g, FTL_ADD(g, select, NULL, c, x, y), (const void *[]){ which, xs, &ys },
                      got);
    assert_memory_equal(got, want, sizeof want);
}

/* ---- reductions ---------------------------------------------------------------------------- */

static double reduced(ftl_op op, double acc, double x)
{
    switch (op) {
    case FTL_OP_reduce_sum: return acc + x;
    case FTL_OP_reduce_prod: return acc * x;
    case FTL_OP_reduce_max: return fmax(acc, x);
    default: return fmin(acc, x);
    }
}

static void reductions_over_every_set_of_axes(void **unused)
{
    (void)unused;
    static const ftl_op ops[4] = { FTL_OP_reduce_sum, FTL_OP_reduce_prod, FTL_OP_reduce_max,
                                   FTL_OP_reduce_min };
    static const double start[4] = { 0, 1, -INFINITY, INFINITY };
    const int64_t dim[3] = { 2, 3, 4 };
    double x[24], got[24], want[24];
    ftl_test_random(x, 24, 3, -2, 2);
    for (uint32_t axes = 0; axes < 8; axes++)
        for (int o = 0; o < 4; o++) {
            for (int i = 0; i < 24; i++) want[i] = start[o];
            for (int i = 0; i < 24; i++) {
                const int64_t index[3] = { i / 12, i / 4 % 3, i % 4 };
                int64_t to = 0;
                for (int a = 0; a < 3; a++)
                    if (!(axes >> a & 1)) to = to * dim[a] + index[a];
                want[to] = reduced(ops[o], want[to], x[i]);
            }
            ftl_graph *g = ftl_test_graph();
            const int32_t in = ftl_test_input(g, DESC(F64, 2, 3, 4));
            const int32_t y = ftl_emit_reduce(g, ops[o], in, axes, o & 1);
            const ftl_tensor_desc d = ftl_emit_desc(g, y);
            ftl_test_eval_one(g, y, (const void *[]){ x }, got);
            ftl_test_assert_close_f64(got, want, ftl_desc_count_checked(&d), 1e-15, "reduce");
        }
}

static void reductions_of_nothing_and_of_integers(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    const int32_t none = ftl_test_input(g, DESC(F32, 0, 2)), x = ftl_test_input(g, DESC(I64, 3));
    const int32_t few = ftl_test_input(g, DESC(I8, 0));
    ftl_graph_output(g, "a", ftl_emit_reduce(g, FTL_OP_reduce_max, none, 1, 0));
    ftl_graph_output(g, "b", ftl_emit_reduce(g, FTL_OP_reduce_prod, none, 1, 0));
    ftl_graph_output(g, "c", ftl_emit_reduce(g, FTL_OP_reduce_sum, x, 1, 0));
    ftl_graph_output(g, "d", ftl_emit_reduce(g, FTL_OP_reduce_max, few, 1, 0));
    ftl_graph_output(g, "e", ftl_emit_reduce(g, FTL_OP_reduce_min, few, 1, 0));
    const int64_t in[3] = { (int64_t)1 << 53, 1, 1 };
    float a[2], b[2];
    int64_t c;
    int8_t d, e;
    FTL_TEST_EVAL(g, ((void *[]){ a, b, &c, &d, &e }), in, in, in);
    assert_true(a[0] == -INFINITY && a[1] == -INFINITY && b[0] == 1 && b[1] == 1);
    assert_true(c == ((int64_t)1 << 53) + 2 && d == INT8_MIN && e == INT8_MAX);
    ftl_graph_destroy(g);
}

static void arg_max_takes_the_first_and_nan_wins(void **unused)
{
    (void)unused;
    const float x[3][4] = { { 1, 3, 3, 2 }, { 5, NAN, 9, NAN }, { -INFINITY, -INFINITY, -1, -1 } };
    ftl_graph *g = ftl_test_graph();
    ftl_attr attr = ftl_attr_blank();
    attr.axis.axis = 1;
    int32_t got[4];
    int32_t in = ftl_test_input(g, DESC(F32, 3, 4));
    ftl_test_eval_one(g, FTL_ADD(g, arg_max, &attr, in), (const void *[]){ x }, got);
    assert_true(got[0] == 1 && got[1] == 1 && got[2] == 2);
    g = ftl_test_graph();
    attr.axis.axis = 0;
    in = ftl_test_input(g, DESC(F32, 3, 4));
    ftl_test_eval_one(g, FTL_ADD(g, arg_max, &attr, in), (const void *[]){ x }, got);
    assert_true(got[0] == 1 && got[1] == 1 && got[2] == 1 && got[3] == 1);
}

/* ---- whole graphs -------------------------------------------------------------------------- */

static void outputs_may_be_sources_constants_and_repeated(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    const ftl_tensor_desc desc = DESC(F32, 2);
    const int32_t s = ftl_graph_state(g, "s", &desc, (ftl_init){ 0 });
    const int32_t c = ftl_graph_const_scalar(g, FTL_DTYPE_F32, 3);
    const int32_t y = FTL_ADD(g, mul, NULL, s, c);
    FTL_ADD(g, exp, NULL, y); /* read by nobody */
    ftl_graph_output(g, "c", c);
    ftl_graph_output(g, "old", s);
    ftl_graph_output_state(g, s, y);
    ftl_graph_output(g, "again", y);
    float state[2] = { 1, 2 }, constant, old[2], again[2];
    /* The state's array is read and written: both see whole values. */
    FTL_TEST_EVAL(g, ((void *[]){ &constant, old, state, again }), state);
    assert_true(constant == 3 && state[0] == 3 && state[1] == 6 && again[1] == 6);
    ftl_graph_destroy(g);
}

/* States that move along in place, and an old value that goes out after its state was renewed. */
static void states_may_change_places(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    const ftl_tensor_desc desc = DESC0(F32);
    const int32_t a = ftl_graph_state(g, "a", &desc, (ftl_init){ 0 });
    const int32_t b = ftl_graph_state(g, "b", &desc, (ftl_init){ 0 });
    const int32_t c = ftl_graph_state(g, "c", &desc, (ftl_init){ 0 });
    ftl_graph_output_state(g, a, b);
    ftl_graph_output_state(g, b, a);
    ftl_graph_output_state(g, c, FTL_ADD(g, add, NULL, a, c));
    ftl_graph_output(g, "old", c);
    float x[3] = { 1, 2, 3 }, old;
    FTL_TEST_EVAL(g, ((void *[]){ &x[0], &x[1], &x[2], &old }), &x[0], &x[1], &x[2]);
    assert_true(x[0] == 2 && x[1] == 1 && x[2] == 4 && old == 3);
    ftl_graph_destroy(g);
}

static void missing_data_and_unbound_graphs_are_refused(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    float out;
    ftl_graph_output(g, "y", FTL_ADD(g, exp, NULL, ftl_test_input(g, DESC0(F32))));
    assert_fails(FTL_EINVAL, ftl_eval_graph(g, (const void *[]){ NULL }, (void *[]){ &out }));
    ftl_graph_destroy(g);
    assert_ok(ftl_graph_create(&g, "unbound", false));
    assert_fails(FTL_EINVAL, ftl_eval_graph(g, NULL, NULL));
    ftl_graph_destroy(g);
}

static void composites_are_no_primitives(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, DESC(F32, 2));
    ftl_emit_softmax(g, FTL_OP_softmax, x, 0);
    const float in[2] = { 0 };
    float out[2];
    assert_fails(FTL_EUNSUPPORTED, ftl_eval_node(g, &ftl_graph_get_view(g)->nodes[0],
                                                 (const void *[]){ in }, (void *[]){ out }));
    ftl_graph_destroy(g);
}

/* Softmax of a product: lowering, constants, several values alive. */
static ftl_graph *little_net(void)
{
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, DESC(F32, 3, 4)), w = ftl_test_input(g, DESC(F32, 5, 4));
    ftl_attr act = ftl_attr_blank();
    act.act.kind = FTL_ACT_GELU;
    const int32_t h = FTL_ADD(g, linear, &act, x, w);
    ftl_graph_output(g, "y", ftl_emit_softmax(g, FTL_OP_softmax, ftl_emit_add(g, h, 0.25), 1));
    assert_ok(ftl_graph_status(g));
    return g;
}

static void every_failing_allocation_is_reported(void **unused)
{
    (void)unused;
    ftl_graph *g = little_net();
    float x[12] = { 1, 2 }, w[20] = { 3, 4 }, want[15], got[15];
    FTL_TEST_EVAL(g, ((void *[]){ want }), x, w);
    ftl_status s = FTL_ENOMEM;
    int n = 0;
    while (s == FTL_ENOMEM) {
        ftl_alloc_fail_at((uint64_t)++n, false);
        s = ftl_eval_graph(g, (const void *[]){ x, w }, (void *[]){ got });
        ftl_alloc_fail_at(0, false);
    }
    assert_ok(s);
    assert_true(n > 20);
    assert_memory_equal(got, want, sizeof want);
    s = FTL_ENOMEM;
    ftl_graph *wide = NULL;
    for (n = 1; s == FTL_ENOMEM; n++) {
        ftl_alloc_fail_at((uint64_t)n, false);
        s = ftl_graph_widen(&wide, g);
        ftl_alloc_fail_at(0, false);
        assert_true((s == FTL_OK) == (wide != NULL));
    }
    assert_ok(s);
    ftl_graph_destroy(wide);
    ftl_graph_destroy(g);
}

static void widened_graphs_keep_names_and_ids(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph(), *wide;
    const ftl_tensor_desc half = DESC(BF16, 3), whole = DESC(I32, 3);
    const int32_t x = ftl_graph_weight(g, "w", &half, "abcdef", (ftl_init){ 0 });
    const int32_t i = ftl_graph_input(g, "i", &whole);
    const int32_t f = ftl_emit_convert(g, ftl_emit_convert(g, i, FTL_DTYPE_F16), FTL_DTYPE_BF16);
    const int32_t n = ftl_emit_iota(g, FTL_DTYPE_BF16, 3);
    ftl_graph_output(g, "y",
                     ftl_emit_mul(g, FTL_ADD(g, add, NULL, FTL_ADD(g, add, NULL, x, f), n), 0.1));
    assert_ok(ftl_graph_status(g));
    assert_ok(ftl_graph_widen(&wide, g));
    const ftl_tensor *source = ftl_graph_peek(wide, ftl_graph_find_source(wide, "w"));
    assert_true(source && source->desc.dtype == FTL_DTYPE_F64 && source->data == NULL);
    assert_true(source->id == ftl_graph_peek(g, x)->id);
    assert_string_equal(ftl_graph_get_view(wide)->outputs[0].name, "y");
    const double w[3] = { 1 + 0x1p-30, 2, 3 };
    const int32_t ids[3] = { 100001, 0, 1 };
    double got[3];
    FTL_TEST_EVAL(wide, ((void *[]){ got }), w, ids);
    /* The constant is what bf16 makes of 0.1; nothing else is rounded. */
    const double tenth = (double)ftl_bf16_to_f32(ftl_f32_to_bf16(0.1f));
    const double want[3] = { (w[0] + 100001) * tenth, 3 * tenth, 6 * tenth };
    ftl_test_assert_close_f64(got, want, 3, 1e-16, "widened");
    ftl_graph_destroy(wide);
    ftl_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_known_or_lowered),
        cmocka_unit_test(two_inputs_broadcast_as_in_numpy),
        cmocka_unit_test(float_rows_are_the_c_library),
        cmocka_unit_test(one_input_rows_round_once),
        cmocka_unit_test(nan_wins_in_max_and_min),
        cmocka_unit_test(integers_of_64_bits_are_exact),
        cmocka_unit_test(small_and_unsigned_integers),
        cmocka_unit_test(comparisons),
        cmocka_unit_test(conversions),
        cmocka_unit_test(rows_refuse_types_they_do_not_have),
        cmocka_unit_test(select_broadcasts_all_three),
        cmocka_unit_test(reductions_over_every_set_of_axes),
        cmocka_unit_test(reductions_of_nothing_and_of_integers),
        cmocka_unit_test(arg_max_takes_the_first_and_nan_wins),
        cmocka_unit_test(outputs_may_be_sources_constants_and_repeated),
        cmocka_unit_test(states_may_change_places),
        cmocka_unit_test(missing_data_and_unbound_graphs_are_refused),
        cmocka_unit_test(composites_are_no_primitives),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(widened_graphs_keep_names_and_ids),
    };
    return ftl_test_run(tests);
}
