/* SPDX-License-Identifier: Apache-2.0 */
/* A pass may change everything but the result: graphs are evaluated before and after, and what
 * should have melted away is counted. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/eval.h"
#include "core/init.h"
#include "core/pass.h"

typedef struct net {
    ftl_graph *g;
    int32_t n_weights;
} net;

static int32_t weight(net *n, const char *name, int32_t rank, const int64_t *dim, float low,
                      float span)
{
    ftl_tensor_desc d = { .dtype = FTL_DTYPE_F32, .rank = rank };
    memcpy(d.dim, dim, (size_t)rank * sizeof *dim);
    n->n_weights++;
    return ftl_graph_weight(n->g, name, &d, NULL,
                            (ftl_init){ FTL_INIT_UNIFORM, .scale = span, .offset = low });
}

static int32_t input(net *n, const char *name, int32_t rank, const int64_t *dim)
{
    ftl_tensor_desc d = { .dtype = FTL_DTYPE_F32, .rank = rank };
    memcpy(d.dim, dim, (size_t)rank * sizeof *dim);
    return ftl_graph_input(n->g, name, &d);
}

static int32_t batch_norm(net *n, const char *prefix, int32_t x, int64_t channels)
{
    char name[4][32];
    int32_t w[4];
    for (int i = 0; i < 4; i++) {
        snprintf(name[i], sizeof name[i], "%s%d", prefix, i);
        w[i] = weight(n, name[i], 1, &channels, i == 3 ? 0.5f : -1.0f, i == 3 ? 1.0f : 2.0f);
    }
    const ftl_attr a = { .norm = { .eps = 1e-5 } };
    return FTL_ADD(n->g, batch_norm, &a, x, w[0], w[1], w[2], w[3]);
}

static int32_t relu(net *n, int32_t x)
{
    const ftl_attr a = { .act = { .kind = FTL_ACT_RELU } };
    return FTL_ADD(n->g, activation, &a, x);
}

static const ftl_attr conv3 = {
    .conv = { .stride = { 1, 1 }, .dilation = { 1, 1 }, .pad = { 1, 1, 1, 1 }, .groups = 1 }
};

/* conv -> bn -> relu -> conv -> bn -> (+ x) -> relu, a residual block as exporters write it. */
static net residual_block(void)
{
    net n = { 0 };
    assert_ok(ftl_graph_create(&n.g, "block", true));
    const int64_t dx[] = { 2, 4, 5, 6 }, dw[] = { 4, 4, 3, 3 };
    const int32_t x = input(&n, "x", 4, dx);
    int32_t y = FTL_ADD(n.g, conv2d, &conv3, x, weight(&n, "w1", 4, dw, -1, 2));
    y = relu(&n, batch_norm(&n, "a", y, 4));
    y = FTL_ADD(n.g, conv2d, &conv3, y, weight(&n, "w2", 4, dw, -1, 2));
    y = batch_norm(&n, "b", y, 4);
    ftl_graph_output(n.g, "y", relu(&n, FTL_ADD(n.g, add, NULL, y, x)));
    assert_ok(ftl_graph_status(n.g));
    return n;
}

/* matmul with a [K, N] weight, bias, silu written out, a scale and shift behind a bn and a conv. */
static net mixed_net(void)
{
    net n = { 0 };
    assert_ok(ftl_graph_create(&n.g, "mixed", true));
    const int64_t dx[] = { 3, 5 }, dw[] = { 5, 7 }, db[] = { 1, 7 };
    int32_t y = FTL_ADD(n.g, matmul, NULL, input(&n, "x", 2, dx), weight(&n, "w", 2, dw, -1, 2));
    y = FTL_ADD(n.g, add, NULL, y, weight(&n, "b", 2, db, -1, 2));
    y = FTL_ADD(n.g, mul, NULL, y, FTL_ADD(n.g, sigmoid, NULL, y));
    ftl_graph_output(n.g, "y", y);
    const int64_t di[] = { 1, 4, 3, 3 }, dk[] = { 6, 4, 3, 3 }, dc[] = { 6, 1, 1 },
                  d4[] = { 4, 1, 1 };
    int32_t z = batch_norm(&n, "n", input(&n, "i", 4, di), 4);
    z = FTL_ADD(n.g, mul, NULL, z, weight(&n, "s", 3, d4, -1, 2));
    z = FTL_ADD(n.g, add, NULL, weight(&n, "t", 3, d4, -1, 2), z);
    z = relu(&n, z);
    z = FTL_ADD(n.g, conv2d, &conv3, z, weight(&n, "k", 4, dk, -1, 2));
    z = FTL_ADD(n.g, mul, NULL, z, weight(&n, "u", 3, dc, -1, 2));
    z = FTL_ADD(n.g, add, NULL, z, weight(&n, "v", 3, dc, -1, 2));
    ftl_graph_output(n.g, "z", z);
    assert_ok(ftl_graph_status(n.g));
    return n;
}

/* Evaluates a graph whose sources are filled by their ids, the prologue's weights included. */
static void evaluate(const ftl_graph *g, const ftl_graph *prologue, float **out)
{
    const ftl_graph_view *v = ftl_graph_get_view(g);
    const ftl_graph_view *p = prologue ? ftl_graph_get_view(prologue) : NULL;
    void *derived[16] = { 0 };
    if (prologue) {
        const void *in[32];
        for (int32_t i = 0; i < p->n_sources; i++) {
            const ftl_tensor *t = &p->tensors[p->sources[i]];
            void *data = calloc(1, ftl_desc_bytes_checked(&t->desc));
            ftl_init_fill(t, 1, data);
            in[i] = data;
        }
        for (int32_t i = 0; i < p->n_outputs; i++)
            derived[i] = calloc(1, ftl_desc_bytes_checked(&p->tensors[p->outputs[i].tensor].desc));
        assert_ok(ftl_eval_graph(prologue, in, derived));
        for (int32_t i = 0; i < p->n_sources; i++) free((void *)(uintptr_t)in[i]);
    }
    const void *in[32];
    void *results[4];
    for (int32_t i = 0; i < v->n_sources; i++) {
        const ftl_tensor *t = &v->tensors[v->sources[i]];
        const int32_t o = ftl_prologue_output(prologue, t);
        void *data = calloc(1, ftl_desc_bytes_checked(&t->desc));
        if (o >= 0) memcpy(data, derived[o], ftl_desc_bytes_checked(&t->desc));
        else ftl_init_fill(t, 1, data);
        in[i] = data;
    }
    for (int32_t i = 0; i < v->n_outputs; i++)
        results[i] = out[i] =
            calloc(1, ftl_desc_bytes_checked(&v->tensors[v->outputs[i].tensor].desc));
    assert_ok(ftl_eval_graph(g, in, results));
    for (int32_t i = 0; i < v->n_sources; i++) free((void *)(uintptr_t)in[i]);
    for (int i = 0; i < 16; i++) free(derived[i]);
}

static void check_same(const ftl_graph *a, const ftl_graph *b, const ftl_graph *prologue)
{
    float *want[4], *got[4];
    const ftl_graph_view *v = ftl_graph_get_view(a);
    evaluate(a, NULL, want);
    evaluate(b, prologue, got);
    for (int32_t i = 0; i < v->n_outputs; i++) {
        const int64_t n = ftl_desc_count_checked(&v->tensors[v->outputs[i].tensor].desc);
        ftl_test_assert_close_f32(got[i], want[i], (size_t)n, 3e-6, v->outputs[i].name);
        free(want[i]);
        free(got[i]);
    }
}

static int32_t count_op(const ftl_graph *g, ftl_op op)
{
    const ftl_graph_view *v = ftl_graph_get_view(g);
    int32_t n = 0;
    for (int32_t i = 0; i < v->n_nodes; i++) n += v->nodes[i].op == op;
    return n;
}

static void a_residual_block_becomes_two_convolutions(void **s)
{
    (void)s;
    const net n = residual_block();
    ftl_graph *optimized, *prologue, *rest;
    assert_ok(ftl_pass_optimize(&optimized, n.g));
    assert_ok(ftl_graph_check(optimized));
    check_same(n.g, optimized, NULL);
    assert_ok(ftl_graph_split_prologue(&prologue, &rest, optimized));
    assert_ok(ftl_graph_check(prologue));
    assert_ok(ftl_graph_check(rest));
    assert_int_equal(ftl_graph_get_view(rest)->n_nodes, 2);
    assert_int_equal(count_op(rest, FTL_OP_conv), 2);
    const ftl_node *last = &ftl_graph_get_view(rest)->nodes[1];
    assert_int_equal(last->n_in, 4);
    assert_int_equal(last->attr.conv.act.kind, FTL_ACT_RELU);
    check_same(n.g, rest, prologue);
    ftl_graph_destroy(prologue);
    ftl_graph_destroy(rest);
    ftl_graph_destroy(optimized);
    ftl_graph_destroy(n.g);
}

static void scales_biases_and_silu_melt(void **s)
{
    (void)s;
    const net n = mixed_net();
    ftl_graph *optimized, *prologue, *rest;
    assert_ok(ftl_pass_optimize(&optimized, n.g));
    assert_ok(ftl_graph_split_prologue(&prologue, &rest, optimized));
    check_same(n.g, rest, prologue);
    assert_int_equal(count_op(rest, FTL_OP_linear), 1);
    assert_int_equal(count_op(rest, FTL_OP_batch_norm), 1);
    assert_int_equal(count_op(rest, FTL_OP_conv), 1);
    assert_int_equal(count_op(rest, FTL_OP_add) + count_op(rest, FTL_OP_mul), 0);
    ftl_graph_destroy(prologue);
    ftl_graph_destroy(rest);
    ftl_graph_destroy(optimized);
    ftl_graph_destroy(n.g);
}

/* gelu as exporters write it: two orders of the factors, erf(x / sqrt 2) and erf(x * 0.7071). */
static void gelu_written_out_becomes_one_activation(void **s)
{
    (void)s;
    for (int order = 0; order < 2; order++) {
        net n = { 0 };
        assert_ok(ftl_graph_create(&n.g, "gelu", true));
        const int64_t dx[] = { 3, 7 };
        const int32_t x = input(&n, "x", 2, dx);
        const int32_t half = ftl_graph_const_scalar(n.g, FTL_DTYPE_F32, 0.5);
        const int32_t one = ftl_graph_const_scalar(n.g, FTL_DTYPE_F32, 1);
        const int32_t root =
            ftl_graph_const_scalar(n.g, FTL_DTYPE_F32, order ? 0.70710678 : 1.41421356);
        const int32_t scaled =
            order ? FTL_ADD(n.g, mul, NULL, x, root) : FTL_ADD(n.g, div, NULL, x, root);
        const int32_t sum = FTL_ADD(n.g, add, NULL, one, FTL_ADD(n.g, erf, NULL, scaled));
        const int32_t y = order ? FTL_ADD(n.g, mul, NULL, FTL_ADD(n.g, mul, NULL, x, half), sum)
                                : FTL_ADD(n.g, mul, NULL, FTL_ADD(n.g, mul, NULL, x, sum), half);
        ftl_graph_output(n.g, "y", y);
        ftl_graph *optimized;
        assert_ok(ftl_pass_optimize(&optimized, n.g));
        assert_int_equal(ftl_graph_get_view(optimized)->n_nodes, 1);
        assert_int_equal(count_op(optimized, FTL_OP_activation), 1);
        check_same(n.g, optimized, NULL);
        ftl_graph_destroy(optimized);
        ftl_graph_destroy(n.g);
    }
}

static void what_others_read_is_not_absorbed(void **s)
{
    (void)s;
    net n = { 0 };
    assert_ok(ftl_graph_create(&n.g, "shared", true));
    const int64_t dx[] = { 1, 4, 5, 5 }, dw[] = { 4, 4, 3, 3 };
    const int32_t y =
        FTL_ADD(n.g, conv2d, &conv3, input(&n, "x", 4, dx), weight(&n, "w", 4, dw, -1, 2));
    ftl_graph_output(n.g, "raw", y);
    ftl_graph_output(n.g, "bent", relu(&n, y));
    ftl_graph *optimized;
    assert_ok(ftl_pass_optimize(&optimized, n.g));
    assert_int_equal(ftl_graph_get_view(optimized)->n_nodes, 2);
    check_same(n.g, optimized, NULL);
    ftl_graph_destroy(optimized);
    ftl_graph_destroy(n.g);
}

static void constants_fold_and_keep_is_a_wall(void **s)
{
    (void)s;
    net n = { 0 };
    assert_ok(ftl_graph_create(&n.g, "fold", true));
    const int64_t dx[] = { 3 };
    const int32_t two = ftl_graph_const_scalar(n.g, FTL_DTYPE_F32, 2);
    const int32_t four = FTL_ADD(n.g, mul, NULL, two, two);
    const int32_t wall = FTL_ADD(n.g, keep, NULL, two);
    const int32_t x = input(&n, "x", 1, dx);
    ftl_graph_output(n.g, "y", FTL_ADD(n.g, add, NULL, FTL_ADD(n.g, mul, NULL, x, four), wall));
    ftl_graph *folded;
    assert_ok(ftl_pass_fold(&folded, n.g, 1024));
    assert_int_equal(ftl_graph_get_view(folded)->n_nodes, 3);
    assert_int_equal(count_op(folded, FTL_OP_keep), 1);
    check_same(n.g, folded, NULL);
    ftl_graph_destroy(folded);
    ftl_graph_destroy(n.g);
}

static void derived_weights_have_the_same_id_in_two_programs(void **s)
{
    (void)s;
    const net a = residual_block(), b = residual_block();
    ftl_graph *pa, *ra, *pb, *rb, *oa, *ob;
    assert_ok(ftl_pass_optimize(&oa, a.g));
    assert_ok(ftl_pass_optimize(&ob, b.g));
    assert_ok(ftl_graph_split_prologue(&pa, &ra, oa));
    assert_ok(ftl_graph_split_prologue(&pb, &rb, ob));
    const ftl_graph_view *va = ftl_graph_get_view(ra), *vb = ftl_graph_get_view(rb);
    for (int32_t i = 0; i < va->n_sources; i++)
        assert_int_equal(va->tensors[va->sources[i]].id, vb->tensors[vb->sources[i]].id);
    ftl_graph *all[] = { pa, ra, pb, rb, oa, ob, a.g, b.g };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) ftl_graph_destroy(all[i]);
}

/* 0.5 as [1,1,1] gives a [2,3] an axis more, which the activation would lose. */
static void a_constant_with_axes_of_its_own_keeps_the_shape(void **s)
{
    (void)s;
    net n = { 0 };
    assert_ok(ftl_graph_create(&n.g, "gelu", true));
    const int32_t x = input(&n, "x", 2, (const int64_t[]){ 2, 3 });
    const float half = 0.5f;
    const ftl_tensor_desc d = { .dtype = FTL_DTYPE_F32, .rank = 3, .dim = { 1, 1, 1 } };
    const int32_t root = ftl_graph_const_scalar(n.g, FTL_DTYPE_F32, 1.41421356);
    const int32_t one = ftl_graph_const_scalar(n.g, FTL_DTYPE_F32, 1);
    const int32_t erf = FTL_ADD(n.g, erf, NULL, FTL_ADD(n.g, div, NULL, x, root));
    const int32_t inner = FTL_ADD(n.g, mul, NULL, x, FTL_ADD(n.g, add, NULL, erf, one));
    const int32_t y = FTL_ADD(n.g, mul, NULL, inner, ftl_graph_const(n.g, &d, &half));
    ftl_graph_output(n.g, "y", y);
    ftl_graph *fused;
    assert_ok(ftl_pass_optimize(&fused, n.g));
    const ftl_graph_view *v = ftl_graph_get_view(fused);
    assert_true(
        ftl_desc_equal(&v->tensors[v->outputs[0].tensor].desc, ftl_graph_peek_desc(n.g, y)));
    ftl_graph_destroy(fused);
    ftl_graph_destroy(n.g);
}

/* 100 doublings have 2^100 paths back to the weight; the two results differ in their first step
 * alone, and must not be taken for the same weight. */
static void deep_recipes_end_and_stay_apart(void **s)
{
    (void)s;
    net n = { 0 };
    assert_ok(ftl_graph_create(&n.g, "deep", true));
    const int64_t dim = 4;
    const int32_t x = input(&n, "x", 1, &dim), w = weight(&n, "w", 1, &dim, 0, 1);
    int32_t a = FTL_ADD(n.g, neg, NULL, w), b = FTL_ADD(n.g, abs, NULL, w);
    for (int i = 0; i < 100; i++) {
        a = FTL_ADD(n.g, max, NULL, a, a);
        b = FTL_ADD(n.g, max, NULL, b, b);
    }
    ftl_graph_output(n.g, "y", FTL_ADD(n.g, add, NULL, FTL_ADD(n.g, mul, NULL, x, a), b));
    ftl_graph *prologue, *rest;
    assert_ok(ftl_graph_split_prologue(&prologue, &rest, n.g));
    assert_int_equal(ftl_graph_get_view(prologue)->n_outputs, 2);
    assert_int_equal(ftl_graph_get_view(rest)->n_sources, 3); /* x and two weights */
    ftl_graph_destroy(prologue);
    ftl_graph_destroy(rest);
    ftl_graph_destroy(n.g);
}

static void every_failing_allocation_is_reported(void **s)
{
    (void)s;
    const net n = residual_block();
    for (uint64_t k = 1;; k++) {
        ftl_graph *optimized = NULL, *prologue = NULL, *rest = NULL;
        ftl_alloc_fail_at(k, false);
        ftl_status status = ftl_pass_optimize(&optimized, n.g);
        if (status == FTL_OK) status = ftl_graph_split_prologue(&prologue, &rest, optimized);
        ftl_alloc_fail_at(0, false);
        ftl_graph_destroy(optimized);
        ftl_graph_destroy(prologue);
        ftl_graph_destroy(rest);
        if (status == FTL_OK) break;
        assert_int_equal(status, FTL_ENOMEM);
        assert_true(k < 100000);
    }
    ftl_graph_destroy(n.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_residual_block_becomes_two_convolutions),
        cmocka_unit_test(scales_biases_and_silu_melt),
        cmocka_unit_test(gelu_written_out_becomes_one_activation),
        cmocka_unit_test(what_others_read_is_not_absorbed),
        cmocka_unit_test(constants_fold_and_keep_is_a_wall),
        cmocka_unit_test(derived_weights_have_the_same_id_in_two_programs),
        cmocka_unit_test(a_constant_with_axes_of_its_own_keeps_the_shape),
        cmocka_unit_test(deep_recipes_end_and_stay_apart),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return ftl_test_run(tests);
}
