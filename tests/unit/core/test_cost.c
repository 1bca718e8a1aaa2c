/* SPDX-License-Identifier: Apache-2.0 */
/* Costs against numbers worked out by hand. */
#include <stdlib.h>

#include "core/emit.h"
#include "core/op.h"
#include "support/graphs.h"

static ftl_op_cost cost_of_last(const ftl_graph *g, const ftl_param_values *params)
{
    const ftl_graph_view *v = ftl_graph_get_view(g);
    ftl_op_cost cost;
    assert_ok(ftl_graph_status(g));
    ftl_node_cost(g, &v->nodes[v->n_nodes - 1], params, &cost);
    return cost;
}

static void assert_cost(ftl_graph *g, double flops, double bytes_read, double bytes_written)
{
    const ftl_op_cost c = cost_of_last(g, NULL);
    if (c.flops != flops || c.bytes_read != bytes_read || c.bytes_written != bytes_written)
        print_error("%s: %g flops, %g read, %g written\n",
                    ftl_op_get_info(ftl_graph_get_view(g)->nodes[0].op)->name, c.flops,
                    c.bytes_read, c.bytes_written);
    assert_true(c.flops == flops && c.bytes_read == bytes_read && c.bytes_written == bytes_written);
    ftl_graph_destroy(g);
}

static void elementwise_and_views(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    int32_t x = ftl_test_input(g, DESC(F32, 4, 5)), y = ftl_test_input(g, DESC(F32, 5));
    FTL_ADD(g, add, NULL, x, y);
    assert_cost(g, 20, 80 + 20, 80);
    g = ftl_test_graph();
    x = ftl_test_input(g, DESC(BF16, 4, 5));
    FTL_ADD(g, exp, NULL, x);
    assert_cost(g, 20, 40, 40);
    g = ftl_test_graph();
    x = ftl_test_input(g, DESC(F32, 4, 5));
    ftl_emit_reshape(g, x, 1, (const int64_t[]){ 20 });
    assert_cost(g, 0, 0, 0);
}

static void copies_read_what_they_write(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    int32_t x = ftl_test_input(g, DESC(F32, 100, 5));
    ftl_emit_slice(g, x, 0, 10, 12, 1);
    assert_cost(g, 0, 40, 40);
    g = ftl_test_graph();
    x = ftl_test_input(g, DESC(F32, 5));
    ftl_emit_broadcast(g, x, 2, (const int64_t[]){ 100, 5 });
    assert_cost(g, 0, 20, 2000);
    g = ftl_test_graph();
    ftl_emit_iota(g, FTL_DTYPE_I32, 7);
    assert_cost(g, 0, 0, 28);
}

static void gather_and_scatter_touch_rows(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    int32_t table = ftl_test_input(g, DESC(F32, 1000, 8)), i = ftl_test_input(g, DESC(I32, 3));
    ftl_emit_gather(g, table, i, 0);
    assert_cost(g, 0, 3 * 32 + 12, 3 * 32);
    g = ftl_test_graph();
    table = ftl_test_input(g, DESC(F32, 2, 8));
    i = ftl_test_input(g, DESC(I32, 100));
    ftl_emit_gather(g, table, i, 0); /* rows come again from the cache */
    assert_cost(g, 0, 64 + 400, 3200);
    for (int add = 0; add < 2; add++) {
        g = ftl_test_graph();
        ftl_attr attr = ftl_attr_blank();
        attr.scatter.add = add;
        table = ftl_test_input(g, DESC(F32, 1000, 8));
        i = ftl_test_input(g, DESC(I32, 3));
        FTL_ADD(g, scatter, &attr, table, i, ftl_test_input(g, DESC(F32, 3, 8)));
        assert_cost(g, add ? 24 : 0, 12 + 96 + (add ? 96 : 0), 96);
    }
    g = ftl_test_graph();
    table = ftl_test_input(g, DESC(F16, 1000, 2, 4));
    const int32_t rows = ftl_test_input(g, DESC(F16, 3, 2, 4));
    FTL_ADD(g, kv_write, NULL, table, rows, ftl_test_input(g, DESC(I32, 3)));
    assert_cost(g, 0, 48 + 12, 48);
}

static void products(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    int32_t a = ftl_test_input(g, DESC(F32, 2, 3, 4)), b = ftl_test_input(g, DESC(F32, 4, 5));
    ftl_emit_matmul(g, a, b, 0, 0);
    assert_cost(g, 2 * 2 * 3 * 4 * 5, 96 + 80, 120);
    g = ftl_test_graph();
    a = ftl_test_input(g, DESC(F32, 4, 3));
    b = ftl_test_input(g, DESC(F32, 4, 5));
    ftl_emit_matmul(g, a, b, 1, 0);
    assert_cost(g, 2 * 3 * 4 * 5, 48 + 80, 60);
    /* @linear-1000: 64 x 1000 x 1000 with bias */
    g = ftl_test_graph();
    a = ftl_test_input(g, DESC(F32, 64, 1000));
    b = ftl_test_input(g, DESC(F32, 1000, 1000));
    ftl_attr relu = ftl_attr_blank();
    relu.act.kind = FTL_ACT_RELU;
    FTL_ADD(g, linear, &relu, a, b, ftl_test_input(g, DESC(F32, 1000)));
    assert_cost(g, 128e6 + 2 * 64e3, 256e3 + 4e6 + 4e3, 256e3);
    /* First layer of AlexNet: 11 x 11, stride 4, 3 -> 64 channels, 55 x 55 */
    g = ftl_test_graph();
    ftl_attr conv = ftl_attr_blank();
    conv.conv = (ftl_attr_conv){ .stride = { 4, 4 },
                                 .dilation = { 1, 1 },
                                 .pad = { 2, 2, 2, 2 },
                                 .groups = 1,
                                 .act = { .kind = FTL_ACT_RELU } };
    a = ftl_test_input(g, DESC(F32, 1, 3, 224, 224));
    b = ftl_test_input(g, DESC(F32, 64, 3, 11, 11));
    FTL_ADD(g, conv, &conv, a, b, ftl_test_input(g, DESC(F32, 64)));
    const double out = 64 * 55 * 55;
    assert_cost(g, out * (2 * 363 + 2), 4.0 * (3 * 224 * 224 + 64 * 363 + 64), 4 * out);
}

static void windows_norms_reductions(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    ftl_attr attr = ftl_attr_blank();
    attr.pool = (ftl_attr_pool){ .kernel = { 3, 3 }, .stride = { 2, 2 }, .dilation = { 1, 1 } };
    int32_t x = ftl_test_input(g, DESC(F32, 1, 2, 7, 7));
    FTL_ADD(g, max_pool2d, &attr, x);
    assert_cost(g, 9 * 2 * 9, 4 * 98, 4 * 18);
    g = ftl_test_graph();
    x = ftl_test_input(g, DESC(F32, 10, 4));
    ftl_emit_softmax(g, FTL_OP_softmax, x, 1);
    assert_cost(g, 200, 160, 160);
    g = ftl_test_graph();
    x = ftl_test_input(g, DESC(F32, 10, 4));
    ftl_emit_reduce(g, FTL_OP_reduce_sum, x, 2, 0);
    assert_cost(g, 40, 160, 40);
}

static void adam_reads_four_and_writes_three(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    int32_t in[6];
    for (int i = 0; i < 4; i++) in[i] = ftl_test_input(g, DESC(F32, 10));
    in[4] = ftl_test_input(g, DESC0(F32));
    in[5] = ftl_test_input(g, DESC0(I32));
    const ftl_attr attr = ftl_attr_blank();
    ftl_graph_add(g, FTL_OP_adam, &attr, in, 6);
    assert_cost(g, 130, 4 * 40 + 8, 3 * 40);
}

/* Hq 4, Hkv 2, D 3, Dv 5, blocks of 2; a pair of token and key costs 4 * (6 + 5 + 10) = 84 flops,
 * a row of the pools 2 * (3 + 5) * 4 = 64 bytes. */
static ftl_graph *attention_graph(int64_t tokens, int64_t sequences, int32_t window, int32_t *in)
{
    ftl_graph *g = ftl_test_graph();
    ftl_attr attr = ftl_attr_blank();
    attr.attention = (ftl_attr_attention){ .is_causal = 1, .window = window, .block_size = 2 };
    in[0] = ftl_test_input(g, DESC(F32, tokens, 4, 3));
    in[1] = ftl_test_input(g, DESC(F32, 64, 2, 3));
    in[2] = ftl_test_input(g, DESC(F32, 64, 2, 5));
    in[3] = ftl_test_input(g, DESC(I32, sequences, 8));
    in[4] = ftl_test_input(g, DESC(I32, tokens));
    in[5] = ftl_test_input(g, DESC(I32, tokens));
    in[6] = ftl_test_input(g, DESC(I32, sequences));
    ftl_graph_add(g, FTL_OP_attention, &attr, in, 7);
    return g;
}

static void attention_without_values_counts_the_largest(void **unused)
{
    (void)unused;
    int32_t in[7];
    /* Two tokens of two sequences with 16 keys each. */
    assert_cost(attention_graph(2, 2, 0, in), 2 * 16 * 84, 2 * 16 * 64 + 96 + (16 + 2 + 2 + 2) * 4,
                2 * 4 * 5 * 4);
    /* A window of 3 */
    assert_cost(attention_graph(2, 2, 3, in), 2 * 3 * 84, 2 * 3 * 64 + 96 + 22 * 4, 160);
}

static void attention_counts_what_its_tokens_see(void **unused)
{
    (void)unused;
    static const int64_t seq[5] = { 1, 1, 1, -1, 0 }, positions[5] = { 3, 4, 5, 0, 9 },
                         lengths[2] = { 10, 6 };
    const double rest = 5 * 48 + (16 + 5 + 5 + 2) * 4; /* q, table, sequences, positions, lengths */
    static const int32_t windows[2] = { 0, 2 };
    static const double pairs[2] = { 4 + 5 + 6 + 10, 4 * 2 }, rows[2] = { 6 + 10, 4 + 2 };
    for (int w = 0; w < 2; w++) {
        int32_t in[7];
        ftl_graph *g = attention_graph(5, 2, windows[w], in);
        const int64_t *of_tensor[16] = { NULL };
        assert_true(ftl_graph_get_view(g)->n_tensors <= 16);
        of_tensor[in[4]] = seq;
        of_tensor[in[5]] = positions;
        of_tensor[in[6]] = lengths;
        const ftl_param_values params = { of_tensor };
        const ftl_op_cost c = cost_of_last(g, &params);
        assert_true(c.flops == pairs[w] * 84);
        assert_true(c.bytes_read == rows[w] * 64 + rest);
        const ftl_param_values nothing = { NULL };
        assert_true(cost_of_last(g, &nothing).flops > c.flops);
        ftl_graph_destroy(g);
    }
}

static void a_graph_costs_the_sum_of_its_nodes(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, DESC(F32, 4, 4));
    FTL_ADD(g, exp, NULL, ftl_emit_matmul(g, x, x, 0, 0));
    ftl_op_cost c;
    ftl_graph_cost(g, NULL, &c);
    assert_true(c.flops == 128 + 16 && c.bytes_read == 128 + 64 && c.bytes_written == 64 + 64);
    ftl_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise_and_views),
        cmocka_unit_test(copies_read_what_they_write),
        cmocka_unit_test(gather_and_scatter_touch_rows),
        cmocka_unit_test(products),
        cmocka_unit_test(windows_norms_reductions),
        cmocka_unit_test(adam_reads_four_and_writes_three),
        cmocka_unit_test(attention_without_values_counts_the_largest),
        cmocka_unit_test(attention_counts_what_its_tokens_see),
        cmocka_unit_test(a_graph_costs_the_sum_of_its_nodes),
    };
    return ftl_test_run(tests);
}
