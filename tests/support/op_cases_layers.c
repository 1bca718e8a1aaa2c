/* SPDX-License-Identifier: Apache-2.0 */
/* Builders of the rows that are layers.  Weights are of kind WEIGHT, so that a backend may pack
 * them. */
#include "support/op_cases.h"

#include <math.h>

#include "core/emit.h"

static int32_t input(ftl_op_build *b, int32_t rank, const int64_t *dim)
{
    return ftl_op_source(b, FTL_TENSOR_INPUT, b->of->dtype, rank, dim);
}

static int32_t weight(ftl_op_build *b, int32_t rank, const int64_t *dim)
{
    return ftl_op_source(b, FTL_TENSOR_WEIGHT, b->of->dtype, rank, dim);
}

static int32_t positive(ftl_op_build *b, int32_t rank, const int64_t *dim)
{
    return ftl_op_source_range(b, FTL_TENSOR_WEIGHT, b->of->dtype, rank, dim, 0.1, 2);
}

static void result(ftl_op_build *b, int32_t tensor)
{
    ftl_graph_output(b->graph, "y", tensor);
}

/* 0: plain; 1: both transposed; 2: leading axes broadcast; 3: a batch with a transposed and b
 * transposed; 4: a batch by a matrix; 5: a row by a column; 6: a product of depth 0. */
void ftl_build_matmul(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    int32_t x, y;
    attr.matmul.trans_a = b->of->variant == 1 || b->of->variant == 3;
    attr.matmul.trans_b = attr.matmul.trans_a;
    switch (b->of->variant) {
    case 1:
        x = input(b, FTL_DIMS(33, 17));
        y = input(b, FTL_DIMS(20, 33));
        break;
    case 2:
        x = input(b, FTL_DIMS(3, 1, 5, 7));
        y = input(b, FTL_DIMS(2, 7, 6));
        break;
    case 3:
        x = input(b, FTL_DIMS(2, 7, 5));
        y = input(b, FTL_DIMS(6, 7));
        break;
    case 4:
        x = input(b, FTL_DIMS(2, 3, 5, 7));
        y = weight(b, FTL_DIMS(7, 6));
        break;
    case 5:
        x = input(b, FTL_DIMS(1, 129));
        y = input(b, FTL_DIMS(129, 1));
        break;
    case 6:
        x = input(b, FTL_DIMS(3, 0));
        y = input(b, FTL_DIMS(0, 4));
        break;
    default:
        x = input(b, FTL_DIMS(17, 65));
        y = weight(b, FTL_DIMS(65, 20));
        break;
    }
    result(b, FTL_ADD(b->graph, matmul, &attr, x, y));
}

/* Bit 0: bias; bit 1: residual and gelu; 4: a vector. */
void ftl_build_linear(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    const bool is_vector = b->of->variant == 4;
    const int32_t x = is_vector ? input(b, FTL_DIMS(33)) : input(b, FTL_DIMS(2, 5, 33));
    const int32_t w = weight(b, FTL_DIMS(19, 33));
    int32_t in[4] = { x, w, -1, -1 };
    if (b->of->variant & 1) in[2] = weight(b, FTL_DIMS(19));
    if (b->of->variant & 2) in[3] = input(b, FTL_DIMS(2, 5, 19));
    attr.act.kind = b->of->variant & 2 ? FTL_ACT_GELU : FTL_ACT_RELU;
    result(b, ftl_graph_add(b->graph, FTL_OP_linear, &attr, in, 4));
}

/* 0: 1x1; 1: 3x3 with uneven pads and bias; 2: groups, stride and dilation; 3: depthwise. */
void ftl_build_conv(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    ftl_attr_conv *a = &attr.conv;
    const int v = b->of->variant;
    *a = (ftl_attr_conv){ .stride = { 1, 1 }, .dilation = { 1, 1 }, .groups = 1 };
    if (v == 1) a->pad[0] = 1, a->pad[1] = 2, a->pad[3] = 1;
    if (v == 2) {
        a->stride[0] = 2;
        a->stride[1] = 3;
        a->dilation[1] = 2;
        a->groups = 2;
    }
    if (v == 3) a->groups = 6, a->pad[0] = a->pad[2] = 1;
    const int64_t k = v == 0 ? 1 : 3;
    const int32_t x = input(b, FTL_DIMS(2, 6, 9, 11));
    int32_t in[4] = { x, weight(b, FTL_DIMS(v == 3 ? 6 : 8, 6 / a->groups, k, k)), -1, -1 };
    if (b->of->op == FTL_OP_conv) {
        a->act.kind = v == 2 ? FTL_ACT_SILU : FTL_ACT_RELU;
        if (v != 0) in[2] = weight(b, FTL_DIMS(v == 3 ? 6 : 8));
        if (v == 0) in[3] = input(b, FTL_DIMS(2, 8, 9, 11));
    }
    result(b, ftl_graph_add(b->graph, b->of->op, &attr, in, b->of->op == FTL_OP_conv ? 4 : 2));
}

/* 0: 2x2 by 2; 1: 3x3 by 2 with pads; 2: dilation, uneven pads of which a part counts. */
void ftl_build_pool(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    ftl_attr_pool *a = &attr.pool;
    const int v = b->of->variant;
    for (int i = 0; i < 2; i++) {
        a->kernel[i] = v ? 3 - (v == 2 && i) : 2;
        a->stride[i] = 2;
        a->dilation[i] = v == 2 ? 1 + i : 1;
    }
    for (int i = 0; v && i < 4; i++) a->pad[i] = v == 2 && i == 2 ? 2 : 1;
    for (int i = 0; v == 2 && i < 4; i++) a->count_pad[i] = 1;
    const int32_t x = input(b, FTL_DIMS(2, 3, 8, 9));
    result(b, ftl_graph_add(b->graph, b->of->op, &attr, &x, 1));
}

/* variant: the size of the window. */
void ftl_build_lrn(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    attr.lrn = (ftl_attr_lrn){ .size = b->of->variant, .alpha = 1e-2, .beta = 0.75, .bias = 2 };
    result(b, FTL_ADD(b->graph, lrn, &attr, input(b, FTL_DIMS(2, 7, 3, 5))));
}

/* 1: [B, C] alone. */
void ftl_build_batch_norm(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    attr.norm.eps = 1e-5;
    const int32_t x = b->of->variant ? input(b, FTL_DIMS(5, 7)) : input(b, FTL_DIMS(2, 7, 3, 5));
    const int32_t scale = weight(b, FTL_DIMS(7)), bias = weight(b, FTL_DIMS(7)),
                  mean = weight(b, FTL_DIMS(7)), variance = positive(b, FTL_DIMS(7));
    result(b, FTL_ADD(b->graph, batch_norm, &attr, x, scale, bias, mean, variance));
}

/* layer_norm and rms_norm: how many of scale and bias there are; the last two axes with both. */
void ftl_build_norm(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    const int32_t n = b->of->variant;
    attr.norm.eps = 1e-5;
    attr.norm.axis = n == 2 ? 1 : 2;
    int32_t in[3] = { input(b, FTL_DIMS(4, 3, 33)), -1, -1 };
    for (int32_t i = 0; i < n; i++)
        in[1 + i] = n == 2 ? weight(b, FTL_DIMS(3, 33)) : weight(b, FTL_DIMS(33));
    result(b, ftl_graph_add(b->graph, b->of->op, &attr, in, 1 + n));
}

/* 0: last axis; 1: a middle axis; 2: rows with -inf, one of nothing else. */
void ftl_build_softmax(ftl_op_build *b)
{
    static const double rows[] = { 1,         2,         -INFINITY, 3, -INFINITY, -INFINITY,
                                   -INFINITY, -INFINITY, 0,         1, 2,         3 };
    ftl_attr attr = ftl_attr_blank();
    attr.norm.axis = b->of->variant == 1 ? 1 : 2;
    const int32_t x = b->of->variant == 2
                          ? ftl_op_source_list(b, b->of->dtype, FTL_DIMS(1, 3, 4), rows, 12)
                          : input(b, FTL_DIMS(3, 41, 5));
    result(b, ftl_graph_add(b->graph, b->of->op, &attr, &x, 1));
}

/* 0: halves; 1: pairs; 2: a part of the head; 3: frequencies given. */
void ftl_build_rope(ftl_op_build *b)
{
    static const double where[] = { 0, 1, 17, 100, 5 };
    ftl_attr attr = ftl_attr_blank();
    attr.rope.theta = 10000;
    attr.rope.interleaved = b->of->variant == 1;
    attr.rope.n_rot = b->of->variant == 2 ? 6 : 0;
    int32_t in[3] = { input(b, FTL_DIMS(5, 2, 16)), -1, -1 };
    in[1] = ftl_op_source_list(b, FTL_DTYPE_I32, FTL_DIMS(5), where, 5);
    if (b->of->variant == 3)
        in[2] = ftl_op_source_range(b, FTL_TENSOR_WEIGHT, b->of->dtype, FTL_DIMS(8), 0.001, 1);
    result(b, ftl_graph_add(b->graph, FTL_OP_rope, &attr, in, b->of->variant == 3 ? 3 : 2));
}

void ftl_build_kv_write(ftl_op_build *b)
{
    static const double slots[] = { 4, -1, 0, 8, 3 };
    const int32_t pool = input(b, FTL_DIMS(9, 2, 4)), rows = input(b, FTL_DIMS(5, 2, 4));
    const int32_t slot = ftl_op_source_list(b, FTL_DTYPE_I32, FTL_DIMS(5), slots, 5);
    result(b, FTL_ADD(b->graph, kv_write, NULL, pool, rows, slot));
}

/* Pools of 6 blocks of 4 rows.  0: two sequences, grouped heads, causal, a token of no sequence;
 * 1: one sequence; 2: a window and a cap; 3: all see all. */
void ftl_build_attention(ftl_op_build *b)
{
    static const double table[] = { 5, 2, 0, 1, 3, 4 }, sequence[] = { 0, 0, 1, 1, -1 },
                        first[] = { 0 }, position[] = { 5, 6, 0, 8, 0 }, length[] = { 7, 9 };
    ftl_attr attr = ftl_attr_blank();
    ftl_attr_attention *a = &attr.attention;
    const int v = b->of->variant;
    a->block_size = 4;
    a->is_causal = v != 3;
    if (v == 2) a->window = 3, a->soft_cap = 5;
    if (v == 3) a->scale = 0.25;
    const int64_t n_sequences = v == 1 ? 1 : 2;
    int32_t in[7] = { input(b, FTL_DIMS(5, 4, 8)), input(b, FTL_DIMS(24, 2, 8)),
                      input(b, FTL_DIMS(24, 2, 6)) };
    in[3] = ftl_op_source_list(b, FTL_DTYPE_I32, FTL_DIMS(n_sequences, 3), table, 6);
    in[4] = ftl_op_source_list(b, FTL_DTYPE_I32, FTL_DIMS(5), v == 1 ? first : sequence,
                               v == 1 ? 1 : 5);
    in[5] = ftl_op_source_list(b, FTL_DTYPE_I32, FTL_DIMS(5), position, 5);
    in[6] = ftl_op_source_list(b, FTL_DTYPE_I32, FTL_DIMS(n_sequences), length, 2);
    result(b, ftl_graph_add(b->graph, FTL_OP_attention, &attr, in, 7));
}

/* A label outside is no class. */
void ftl_build_cross_entropy(ftl_op_build *b)
{
    static const double labels[] = { 0, 9, 3, -1, 10, 3 };
    int32_t in[3] = { input(b, FTL_DIMS(6, 10)) };
    in[1] = ftl_op_source_list(b, FTL_DTYPE_I32, FTL_DIMS(6), labels, 6);
    const bool is_grad = b->of->op == FTL_OP_softmax_cross_entropy_grad;
    if (is_grad) in[2] = input(b, FTL_DIMS(6));
    result(b, ftl_graph_add(b->graph, b->of->op, NULL, in, is_grad ? 3 : 2));
}

/* 0: the first step; 1: a later one, with decay of the weights. */
void ftl_build_adam(ftl_op_build *b)
{
    static const double steps[] = { 1, 1000 };
    ftl_attr attr = ftl_attr_blank();
    attr.adam = (ftl_attr_adam){
        .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = b->of->variant ? 0.01 : 0
    };
    int32_t in[6] = { input(b, FTL_DIMS(7, 9)), input(b, FTL_DIMS(7, 9)), input(b, FTL_DIMS(7, 9)),
                      positive(b, FTL_DIMS(7, 9)) };
    in[4] = ftl_op_source_range(b, FTL_TENSOR_INPUT, FTL_DTYPE_F32, 0, NULL, 1e-3, 1e-2);
    in[5] = ftl_op_source_list(b, FTL_DTYPE_I32, 0, NULL, &steps[b->of->variant], 1);
    const int32_t w = ftl_graph_add(b->graph, FTL_OP_adam, &attr, in, 6);
    for (int32_t i = 0; i < 3; i++) result(b, w < 0 ? -1 : w + i);
}
