/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients against central differences in f64: every row that has a rule, then random graphs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/emit.h"
#include "core/grad.h"
#include "core/op.h"
#include "support/graphs.h"

#define ADD(row, ...) FTL_ADD(g, row, NULL, __VA_ARGS__)

enum { MAX_IN = 4, MAX_COUNT = 64 };

/* Ops that stood in a graph that was checked; the last test looks whether one is missing. */
static bool is_checked[FTL_OP_COUNT];

/* sum(y * r) with a fixed random r, so that every element of y has a slope of its own. */
static int32_t loss_of(ftl_graph *g, int32_t y)
{
    double r[MAX_COUNT * 4];
    const ftl_tensor_desc d = ftl_emit_desc(g, y);
    assert_ok(ftl_graph_status(g));
    assert_true(ftl_desc_count_checked(&d) <= (int64_t)(sizeof r / sizeof *r));
    ftl_test_random(r, ftl_desc_count_checked(&d), 99, 0.5, 1.5);
    const int32_t weighted = ADD(mul, y, ftl_graph_const(g, &d, r));
    return ftl_emit_reduce(g, FTL_OP_reduce_sum, weighted, ftl_axis_mask(0, d.rank), 0);
}

/* Compares the gradient of every element of every input; destroys the graph. */
static void check_gradients(ftl_graph *g, const int32_t *in, int n_in, int32_t y, double low,
                            double high, const char *what)
{
    static double x[MAX_IN][MAX_COUNT], got[MAX_IN][MAX_COUNT];
    const int32_t loss = loss_of(g, y);
    const ftl_graph_view *v = ftl_graph_get_view(g);
    for (int32_t i = 0; i < v->n_nodes; i++) is_checked[v->nodes[i].op] = true;
    int32_t d[MAX_IN];
    assert_ok(ftl_graph_gradients(g, loss, in, n_in, d));
    const void *given[MAX_IN];
    double value, ends[4];
    void *out[MAX_IN + 1] = { &value };
    ftl_graph_output(g, "loss", loss);
    for (int i = 0; i < n_in; i++) {
        const ftl_tensor_desc desc = ftl_emit_desc(g, in[i]), d_desc = ftl_emit_desc(g, d[i]);
        assert_true(ftl_desc_equal(&desc, &d_desc));
        ftl_test_random(x[i], ftl_desc_count_checked(&desc), (uint64_t)i + 1, low, high);
        ftl_graph_output(g, "d", d[i]);
        given[i] = x[i];
        out[i + 1] = got[i];
    }
    ftl_test_eval(g, given, out);
    static double ignored[MAX_IN][MAX_COUNT];
    void *again[MAX_IN + 1] = { &value, ignored[0], ignored[1], ignored[2], ignored[3] };
    for (int i = 0; i < n_in; i++) {
        const ftl_tensor_desc desc = ftl_emit_desc(g, in[i]);
        for (int64_t k = 0; k < ftl_desc_count_checked(&desc); k++) {
            const double old = x[i][k], h = 1e-4;
            static const int at[4] = { -2, -1, 1, 2 };
            for (int side = 0; side < 4; side++) {
                x[i][k] = old + at[side] * h;
                ftl_test_eval(g, given, again);
                ends[side] = value;
            }
            x[i][k] = old;
            /* Five-point stencil, error of order h^4. */
            const double want = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * h);
            ftl_test_assert_close_f64(&got[i][k], &want, 1, 2e-8, what);
        }
    }
    ftl_graph_destroy(g);
}

typedef struct grad_case {
    const char *what;
    ftl_op op; /* one node of it, where build is NULL */
    int32_t (*build)(ftl_graph *g, const int32_t *in);
    int n_in;
    double low, high;
    ftl_tensor_desc in[MAX_IN];
} grad_case;

static void check_cases(const grad_case *cases, size_t n)
{
    for (size_t c = 0; c < n; c++) {
        ftl_graph *g = ftl_test_graph();
        int32_t in[MAX_IN];
        for (int i = 0; i < cases[c].n_in; i++) in[i] = ftl_test_input(g, cases[c].in[i]);
        const int32_t y = cases[c].build ? cases[c].build(g, in)
                                         : ftl_graph_add(g, cases[c].op, NULL, in, cases[c].n_in);
        check_gradients(g, in, cases[c].n_in, y, cases[c].low, cases[c].high, cases[c].what);
    }
}
#define CHECK(cases) check_cases(cases, sizeof(cases) / sizeof *(cases))

/* ---- elementwise --------------------------------------------------------------------------- */

static void two_inputs(void **unused)
{
    (void)unused;
#define CASES(row, low, high)                                                                      \
    { #row, FTL_OP_##row, NULL, 2, low, high, { DESC(F64, 2, 3), DESC(F64, 2, 3) } },              \
        { #row " broadcast",                                                                       \
          FTL_OP_##row,                                                                            \
          NULL,                                                                                    \
          2,                                                                                       \
          low,                                                                                     \
          high,                                                                                    \
          { DESC(F64, 2, 1, 3), DESC(F64, 4, 1) } },                                               \
    {                                                                                              \
#row " by a scalar", FTL_OP_##row, NULL, 2, low, high,                                     \
        {                                                                                          \
            DESC(F64, 2, 3), DESC0(F64)                                                            \
        }                                                                                          \
    }
    static const grad_case cases[] = { CASES(add, -2, 2),  CASES(sub, -2, 2), CASES(mul, -2, 2),
                                       CASES(div, 0.5, 2), CASES(max, -2, 2), CASES(min, -2, 2),
                                       CASES(pow, 0.5, 2) };
    CHECK(cases);
}

static void one_input(void **unused)
{
    (void)unused;
#define CASE(row, low, high)                                                                       \
    {                                                                                              \
#row, FTL_OP_##row, NULL, 1, low, high,                                                    \
        {                                                                                          \
            DESC(F64, 3, 4)                                                                        \
        }                                                                                          \
    }
    static const grad_case cases[] = {
        CASE(neg, -2, 2),   CASE(abs, -2, 2),    CASE(exp, -2, 2),  CASE(log, 0.2, 3),
        CASE(sqrt, 0.2, 3), CASE(rsqrt, 0.2, 3), CASE(tanh, -2, 2), CASE(sigmoid, -3, 3),
        CASE(erf, -2, 2),   CASE(sin, -4, 4),    CASE(cos, -4, 4),  CASE(keep, -2, 2),
    };
    CHECK(cases);
}

static int32_t build_select(ftl_graph *g, const int32_t *in)
{
    return ADD(select, ADD(less, in[0], in[1]), ADD(mul, in[0], in[0]), in[1]);
}

static int32_t build_convert(ftl_graph *g, const int32_t *in)
{
    return ftl_emit_mul(
        g, FTL_ADD(g, convert, &(ftl_attr){ .convert.dtype = FTL_DTYPE_F64 }, in[0]), 3);
}

static void select_and_convert(void **unused)
{
    (void)unused;
    static const grad_case cases[] = {
        { "select", FTL_OP_COUNT, build_select, 2, -2, 2, { DESC(F64, 2, 3), DESC(F64, 3) } },
        { "convert", FTL_OP_COUNT, build_convert, 1, -2, 2, { DESC(F64, 3) } },
    };
    CHECK(cases);
}

/* Inputs that straddle every corner of the piecewise ones. */
static void activations(void **unused)
{
    (void)unused;
    for (int act = 0; act < FTL_ACT_COUNT; act++) {
        ftl_graph *g = ftl_test_graph();
        ftl_attr attr = ftl_attr_blank();
        attr.act = (ftl_attr_act){ act, 0.25f, 0.75f };
        const int32_t x = ftl_test_input(g, DESC(F64, 8, 6));
        char what[32];
        snprintf(what, sizeof what, "activation %d", act);
        check_gradients(g, &x, 1, FTL_ADD(g, activation, &attr, x), -5, 5, what);
    }
}

/* ---- movement ------------------------------------------------------------------------------ */

static int32_t build_shapes(ftl_graph *g, const int32_t *in)
{
    const int32_t flat = ftl_emit_reshape(g, in[0], 2, (const int64_t[]){ 4, 6 });
    const int32_t turned = ftl_emit_transpose(g, flat, (const int32_t[]){ 1, 0 });
    const int32_t wide = ftl_emit_reshape(g, turned, 3, (const int64_t[]){ 1, 6, 4 });
    return ftl_emit_broadcast(g, wide, 3, (const int64_t[]){ 3, 6, 4 });
}

static int32_t build_transpose(ftl_graph *g, const int32_t *in)
{
    return ftl_emit_transpose(g, in[0], (const int32_t[]){ 2, 0, 1 });
}

static int32_t build_slice(ftl_graph *g, const int32_t *in)
{
    ftl_attr attr = ftl_attr_blank();
    attr.slice = (ftl_attr_slice){ { 1, 0, 1 }, { 2, 3, 4 }, { 1, 2, 2 } };
    return FTL_ADD(g, slice, &attr, in[0]);
}

static int32_t build_empty_slice(ftl_graph *g, const int32_t *in)
{
    const int32_t nothing = ftl_emit_slice(g, in[0], 0, 1, 1, 1);
    return ftl_emit_concat(g, (const int32_t[]){ nothing, in[0] }, 2, 0);
}

static int32_t build_reverse(ftl_graph *g, const int32_t *in)
{
    ftl_attr attr = ftl_attr_blank();
    attr.reduce.axes = 5;
    return FTL_ADD(g, reverse, &attr, in[0]);
}

static int32_t build_pad(ftl_graph *g, const int32_t *in)
{
    ftl_attr attr = ftl_attr_blank();
    attr.pad = (ftl_attr_pad){ { 1, 0, 2 }, { 0, 1, 1 }, { 0, 1, 2 }, 5 };
    return FTL_ADD(g, pad, &attr, in[0]);
}

static int32_t build_concat(ftl_graph *g, const int32_t *in)
{
    return ftl_emit_concat(g, (const int32_t[]){ in[0], in[1], in[0] }, 3, 1);
}

static int32_t indices(ftl_graph *g)
{
    static const int32_t values[5] = { 2, 0, 2, 9, -4 }; /* repeated, and clamped on both sides */
    const ftl_tensor_desc desc = DESC(I32, 5);
    return ftl_graph_const(g, &desc, values);
}

static int32_t build_gather_0(ftl_graph *g, const int32_t *in)
{
    return ftl_emit_gather(g, in[0], indices(g), 0);
}

static int32_t build_gather_1(ftl_graph *g, const int32_t *in)
{
    const int32_t column = ftl_emit_reshape(g, indices(g), 2, (const int64_t[]){ 5, 1 });
    return ftl_emit_gather(g, in[0], column, 1);
}

static void movement(void **unused)
{
    (void)unused;
    static const grad_case cases[] = {
        { "reshape, broadcast", FTL_OP_COUNT, build_shapes, 1, -2, 2, { DESC(F64, 2, 3, 4) } },
        { "transpose", FTL_OP_COUNT, build_transpose, 1, -2, 2, { DESC(F64, 2, 3, 4) } },
        { "slice", FTL_OP_COUNT, build_slice, 1, -2, 2, { DESC(F64, 2, 3, 4) } },
        { "empty slice", FTL_OP_COUNT, build_empty_slice, 1, -2, 2, { DESC(F64, 3, 4) } },
        { "reverse", FTL_OP_COUNT, build_reverse, 1, -2, 2, { DESC(F64, 2, 3, 4) } },
        { "pad", FTL_OP_COUNT, build_pad, 1, -2, 2, { DESC(F64, 2, 3, 4) } },
        { "concat",
          FTL_OP_COUNT,
          build_concat,
          2,
          -2,
          2,
          { DESC(F64, 2, 3, 2), DESC(F64, 2, 1, 2) } },
        { "gather of rows", FTL_OP_COUNT, build_gather_0, 1, -2, 2, { DESC(F64, 3, 4) } },
        { "gather of columns", FTL_OP_COUNT, build_gather_1, 1, -2, 2, { DESC(F64, 2, 4, 3) } },
    };
    CHECK(cases);
}

/* ---- reductions and products --------------------------------------------------------------- */

static void reductions(void **unused)
{
    (void)unused;
    static const ftl_op ops[3] = { FTL_OP_reduce_sum, FTL_OP_reduce_max, FTL_OP_reduce_mean };
    for (int o = 0; o < 3; o++)
        for (uint32_t axes = 0; axes < 8; axes++) {
            ftl_graph *g = ftl_test_graph();
            const int32_t x = ftl_test_input(g, DESC(F64, 2, 3, 4));
            const int32_t y = ftl_emit_reduce(g, ops[o], x, axes, axes & 1);
            check_gradients(g, &x, 1, y, -2, 2, ftl_op_get_info(ops[o])->name);
        }
}

static void the_largest_share_the_gradient(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, DESC(F64, 4));
    int32_t d;
    assert_ok(ftl_graph_gradients(g, ftl_emit_reduce(g, FTL_OP_reduce_max, x, 1, 0), &x, 1, &d));
    const double in[4] = { 1, 3, 2, 3 }, want[4] = { 0, 0.5, 0, 0.5 };
    double got[4];
    ftl_test_eval_one(g, d, (const void *[]){ in }, got);
    assert_memory_equal(got, want, sizeof want);
}

static void products(void **unused)
{
    (void)unused;
    static const ftl_tensor_desc left[3][2] = {
        { DESC(F64, 2, 3), DESC(F64, 3, 2) },
        { DESC(F64, 2, 1, 2, 3), DESC(F64, 2, 1, 3, 2) },
        { DESC(F64, 2, 3), DESC(F64, 3, 2) },
    };
    static const ftl_tensor_desc right[3][2] = {
        { DESC(F64, 3, 4), DESC(F64, 4, 3) },
        { DESC(F64, 3, 3, 4), DESC(F64, 3, 4, 3) },
        { DESC(F64, 2, 3, 4), DESC(F64, 2, 4, 3) },
    };
    for (int shape = 0; shape < 3; shape++)
        for (int flags = 0; flags < 4; flags++) {
            ftl_graph *g = ftl_test_graph();
            const int32_t in[2] = { ftl_test_input(g, left[shape][flags & 1]),
                                    ftl_test_input(g, right[shape][flags >> 1]) };
            check_gradients(g, in, 2, ftl_emit_matmul(g, in[0], in[1], flags & 1, flags >> 1), -1,
                            1, "matmul");
        }
}

static void linear_of_every_activation(void **unused)
{
    (void)unused;
    static const ftl_tensor_desc desc[4] = { DESC(F64, 2, 2, 3), DESC(F64, 4, 3), DESC(F64, 4),
                                             DESC(F64, 2, 2, 4) };
    for (int act = 0; act < FTL_ACT_COUNT; act++)
        for (int n_in = 2; n_in <= 4; n_in++) {
            ftl_graph *g = ftl_test_graph();
            ftl_attr attr = ftl_attr_blank();
            attr.act = (ftl_attr_act){ act, 0.25f, 0.75f };
            int32_t in[4];
            for (int i = 0; i < n_in; i++) in[i] = ftl_test_input(g, desc[i]);
            const int32_t y = ftl_graph_add(g, FTL_OP_linear, &attr, in, n_in);
            check_gradients(g, in, n_in, y, -1.5, 1.5, "linear");
        }
}

static int32_t build_softmax(ftl_graph *g, const int32_t *in)
{
    return ftl_emit_softmax(g, FTL_OP_softmax, in[0], 1);
}

static int32_t build_loss(ftl_graph *g, const int32_t *in)
{
    static const int32_t labels[3] = { 1, 3, -1 };
    const ftl_tensor_desc desc = DESC(I32, 3);
    return ADD(softmax_cross_entropy, in[0], ftl_graph_const(g, &desc, labels));
}

static void softmax_and_loss(void **unused)
{
    (void)unused;
    static const grad_case cases[] = {
        { "softmax", FTL_OP_COUNT, build_softmax, 1, -2, 2, { DESC(F64, 2, 3, 4) } },
        { "softmax_cross_entropy", FTL_OP_COUNT, build_loss, 1, -2, 2, { DESC(F64, 3, 4) } },
    };
    CHECK(cases);
}

/* ---- graphs -------------------------------------------------------------------------------- */

/* One more f64[3,4] from two that there are; nothing grows so steep that differences fail. */
static int32_t grow(ftl_graph *g, unsigned choice, int32_t a, int32_t b)
{
    static const int32_t swap[2] = { 1, 0 };
    switch (choice % 10) {
    case 0: return ADD(add, a, b);
    case 1: return ADD(mul, a, b);
    case 2: return ADD(sub, a, ADD(tanh, b));
    case 3: return ADD(div, a, ftl_emit_add(g, ADD(mul, b, b), 1));
    case 4: return ADD(sigmoid, a);
    case 5: return ADD(sin, ADD(add, a, b));
    case 6: return ADD(tanh, ftl_emit_matmul(g, ftl_emit_matmul(g, a, b, 0, 1), b, 0, 0));
    case 7: return ftl_emit_softmax(g, FTL_OP_softmax, a, (int32_t)(choice / 10 % 2));
    case 8: return ADD(sub, a, ftl_emit_reduce(g, FTL_OP_reduce_mean, b, 1u << choice / 10 % 2, 1));
    default:
        return ftl_emit_transpose(
            g,
            ftl_emit_slice(
                g, ftl_emit_transpose(g, ftl_emit_concat(g, (int32_t[]){ a, b }, 2, 0), swap), 1, 2,
                5, 1),
            swap);
    }
}

static void random_graphs(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        enum { STEPS = 6 };
        double draws[3 * STEPS];
        ftl_test_random(draws, 3 * STEPS, seed, 0, 1);
        ftl_graph *g = ftl_test_graph();
        int32_t t[2 + STEPS];
        for (int i = 0; i < 2; i++) t[i] = ftl_test_input(g, DESC(F64, 3, 4));
        for (int s = 0; s < STEPS; s++)
            t[2 + s] = grow(g, (unsigned)(draws[3 * s] * 20), t[(int)(draws[3 * s + 1] * (2 + s))],
                            t[(int)(draws[3 * s + 2] * (2 + s))]);
        char what[32];
        snprintf(what, sizeof what, "random graph %d", (int)seed);
        check_gradients(g, t, 2, t[1 + STEPS], -1, 1, what);
    }
}

static void what_the_loss_does_not_see_gets_zero(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, DESC(F64, 2)), aside = ftl_test_input(g, DESC(F64, 2, 2));
    const int32_t y = ftl_emit_mul(g, x, 3), loss = ftl_emit_reduce(g, FTL_OP_reduce_sum, y, 1, 0);
    ADD(floor, aside);
    const int32_t wanted[4] = { aside, y, loss, x };
    int32_t d[4];
    assert_ok(ftl_graph_gradients(g, loss, wanted, 4, d));
    for (int i = 0; i < 4; i++) ftl_graph_output(g, "d", d[i]);
    const double in[4] = { 1, 2, 3, 4 };
    double zero[4], dy[2], dloss, dx[2];
    FTL_TEST_EVAL(g, ((void *[]){ zero, dy, &dloss, dx }), in, in);
    for (int i = 0; i < 4; i++) assert_true(zero[i] == 0);
    assert_true(dy[0] == 1 && dy[1] == 1 && dloss == 1 && dx[0] == 3 && dx[1] == 3);
    ftl_graph_destroy(g);
}

static void rows_without_a_rule_are_named(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, DESC(F64, 2));
    ftl_graph_set_scope(g, "block7/round");
    const int32_t y = ADD(floor, x), loss = ftl_emit_reduce(g, FTL_OP_reduce_sum, y, 1, 0);
    int32_t d = 5;
    assert_fails(FTL_EUNSUPPORTED, ftl_graph_gradients(g, loss, &x, 1, &d));
    assert_int_equal(d, -1);
    assert_non_null(strstr(ftl_error_text(), "floor"));
    assert_non_null(strstr(ftl_error_text(), "block7/round"));
    /* From behind it there is no obstacle, and integers carry no gradient. */
    assert_ok(ftl_graph_gradients(g, loss, &y, 1, &d));
    const int32_t whole = ftl_emit_convert(g, x, FTL_DTYPE_I32);
    const int32_t back = ftl_emit_convert(g, whole, FTL_DTYPE_F64);
    assert_ok(ftl_graph_gradients(g, ftl_emit_reduce(g, FTL_OP_reduce_sum, back, 1, 0), &x, 1, &d));
    assert_fails(FTL_EINVAL, ftl_graph_gradients(g, loss, &whole, 1, &d));
    assert_fails(FTL_EINVAL, ftl_graph_gradients(g, y, &x, 1, &d));
    assert_fails(FTL_EINVAL, ftl_graph_gradients(g, -1, &x, 1, &d));
    ftl_graph_destroy(g);
}

static void every_failing_allocation_is_reported(void **unused)
{
    (void)unused;
    ftl_status s = FTL_ENOMEM;
    int n = 0;
    while (s == FTL_ENOMEM) {
        ftl_graph *g = ftl_test_graph();
        const int32_t x = ftl_test_input(g, DESC(F64, 2, 3)),
                      w = ftl_test_input(g, DESC(F64, 4, 3));
        ftl_attr attr = ftl_attr_blank();
        attr.act.kind = FTL_ACT_GELU_TANH;
        const int32_t loss = loss_of(g, FTL_ADD(g, linear, &attr, x, w));
        int32_t d;
        ftl_alloc_fail_at((uint64_t)++n, false);
        s = ftl_graph_gradients(g, loss, &w, 1, &d);
        ftl_alloc_fail_at(0, false);
        assert_true((s == FTL_OK) == (d >= 0));
        ftl_graph_destroy(g);
    }
    assert_ok(s);
    assert_true(n > 3);
}

static void every_row_with_a_rule_was_checked(void **unused)
{
    (void)unused;
    for (int op = 0; op < FTL_OP_COUNT; op++)
        if (ftl_op_get_info((ftl_op)op)->gradient && !is_checked[op]) {
            print_error("%s has a gradient rule and no test\n", ftl_op_get_info((ftl_op)op)->name);
            fail();
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_inputs),
        cmocka_unit_test(one_input),
        cmocka_unit_test(select_and_convert),
        cmocka_unit_test(activations),
        cmocka_unit_test(movement),
        cmocka_unit_test(reductions),
        cmocka_unit_test(the_largest_share_the_gradient),
        cmocka_unit_test(products),
        cmocka_unit_test(linear_of_every_activation),
        cmocka_unit_test(softmax_and_loss),
        cmocka_unit_test(random_graphs),
        cmocka_unit_test(what_the_loss_does_not_see_gets_zero),
        cmocka_unit_test(rows_without_a_rule_are_named),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(every_row_with_a_rule_was_checked),
    };
    return ftl_test_run(tests);
}
