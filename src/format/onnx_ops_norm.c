/* SPDX-License-Identifier: Apache-2.0 */
/* Norms and softmax. */
#include <math.h>

#include "core/op.h"
#include "format/onnx_op.h"

#define ADD(row, ...) FTL_ADD(c->g, row, NULL, __VA_ARGS__)

/* ---- with stored statistics ---------------------------------------------------------------- */

void ftl_onnx_op_batch_norm(ftl_onnx_call *c)
{
    int32_t in[5];
    const ftl_tensor_desc d = ftl_onnx_desc(c, 0);
    ftl_attr attr = ftl_attr_blank();
    attr.norm.eps = ftl_onnx_attr_float(c, "epsilon", 1e-5f);
    if (ftl_onnx_attr_int(c, "training_mode", 0) != 0 || ftl_onnx_attr_int(c, "spatial", 1) == 0)
        ftl_onnx_refuse(c, FTL_EUNSUPPORTED,
                        "training_mode or spatial=0 is set; only inference by channel is imported");
    /* From opset 15 on the statistics may be wider than the input. */
    const ftl_dtype dtype = ftl_onnx_desc(c, 3).dtype;
    for (size_t i = 0; i < 5; i++) in[i] = ftl_emit_convert(c->g, ftl_onnx_in(c, i), dtype);
    if (ftl_onnx_failed(c)) return;
    const int32_t y = ftl_graph_add(c->g, FTL_OP_batch_norm, &attr, in, 5);
    c->out[0] = ftl_emit_convert(c->g, y, d.dtype);
}

void ftl_onnx_op_lrn(ftl_onnx_call *c)
{
    ftl_attr attr = ftl_attr_blank();
    attr.lrn.size = ftl_onnx_attr_i32(c, "size", 0, 1, INT32_MAX);
    attr.lrn.alpha = ftl_onnx_attr_float(c, "alpha", 1e-4f);
    attr.lrn.beta = ftl_onnx_attr_float(c, "beta", 0.75f);
    attr.lrn.bias = ftl_onnx_attr_float(c, "bias", 1);
    if (!ftl_onnx_failed(c)) c->out[0] = FTL_ADD(c->g, lrn, &attr, ftl_onnx_in(c, 0));
}

/* ---- with their own ------------------------------------------------------------------------ */

/* x normalised over axes from `axis` on, without scale and bias. */
static int32_t normalised(ftl_onnx_call *c, int32_t x, int32_t axis, double eps)
{
    ftl_attr attr = ftl_attr_blank();
    attr.norm = (ftl_attr_norm){ .eps = eps, .axis = axis };
    return FTL_ADD(c->g, layer_norm, &attr, x);
}

/* True when a tensor has just the axes of x from `axis` on. */
static bool has_tail(const ftl_onnx_call *c, int32_t tensor, const ftl_tensor_desc *x, int32_t axis)
{
    const ftl_tensor_desc d = ftl_emit_desc(c->g, tensor);
    bool fits = d.rank == x->rank - axis && d.dtype == x->dtype;
    for (int32_t i = 0; fits && i < d.rank; i++) fits = d.dim[i] == x->dim[axis + i];
    return fits;
}

/* The optional outputs: mean, and 1 / deviation, which stay as 1 along the axes. */
static void layer_norm_statistics(ftl_onnx_call *c, int32_t x, int32_t axis, double eps)
{
    if (!ftl_onnx_wants(c, 1) && !ftl_onnx_wants(c, 2)) return;
    const uint32_t axes = ftl_axis_mask(axis, ftl_emit_desc(c->g, x).rank);
    x = ftl_emit_wide(c->g, x);
    const int32_t mean = ftl_emit_reduce(c->g, FTL_OP_reduce_mean, x, axes, 1);
    const int32_t centered = ADD(sub, x, mean);
    const int32_t variance =
        ftl_emit_reduce(c->g, FTL_OP_reduce_mean, ADD(mul, centered, centered), axes, 1);
    c->out[1] = mean;
    if (c->node->n_outputs > 2) c->out[2] = ADD(rsqrt, ftl_emit_add(c->g, variance, eps));
}

void ftl_onnx_op_layer_norm(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0), scale = ftl_onnx_in(c, 1), bias = ftl_onnx_in(c, 2);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const double eps = ftl_onnx_attr_float(c, "epsilon", 1e-5f);
    const int32_t axis = ftl_onnx_axis(c, ftl_onnx_attr_int(c, "axis", -1), d.rank);
    if (ftl_onnx_failed(c)) return;
    ftl_attr attr = ftl_attr_blank();
    attr.norm = (ftl_attr_norm){ .eps = eps, .axis = axis };
    if (has_tail(c, scale, &d, axis) && (bias < 0 || has_tail(c, bias, &d, axis))) {
        c->out[0] = bias < 0 ? FTL_ADD(c->g, layer_norm, &attr, x, scale)
                             : FTL_ADD(c->g, layer_norm, &attr, x, scale, bias);
    } else {
        c->out[0] = ADD(mul, normalised(c, x, axis, eps), scale);
        if (bias >= 0) c->out[0] = ADD(add, c->out[0], bias);
    }
    layer_norm_statistics(c, x, axis, eps);
}

/* [n] -> [n, 1, 1, ...]: broadcasts along the channels of a tensor of `rank` axes */
static int32_t by_channel(ftl_onnx_call *c, int32_t tensor, int32_t rank)
{
    int64_t dim[FTL_MAX_RANK] = { ftl_emit_desc(c->g, tensor).dim[0] };
    for (int32_t i = 1; i < rank - 1; i++) dim[i] = 1;
    return ftl_emit_reshape(c->g, tensor, rank - 1, dim);
}

/* Each of `groups` groups of channels is normalised on its own: [B, groups, rest] */
static void group_norm(ftl_onnx_call *c, int64_t groups)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const double eps = ftl_onnx_attr_float(c, "epsilon", 1e-5f);
    if (d.rank < 3 || groups < 1 || d.dim[1] % groups || d.dim[1] == 0)
        ftl_onnx_refuse(c, FTL_EFORMAT, "channels do not divide into %lld groups",
                        (long long)groups);
    if (ftl_onnx_failed(c)) return;
    const int64_t rows[3] = { d.dim[0], groups, ftl_onnx_product(c, &d, 1, d.rank) / groups };
    const int32_t flat = normalised(c, ftl_emit_reshape(c->g, x, 3, rows), 2, eps);
    int32_t scale = ftl_onnx_in(c, 1), bias = ftl_onnx_in(c, 2);
    if (ftl_emit_desc(c->g, scale).dim[0] == d.dim[1]) {
        const int32_t y = ftl_emit_reshape(c->g, flat, d.rank, d.dim);
        c->out[0] =
            ADD(add, ADD(mul, y, by_channel(c, scale, d.rank)), by_channel(c, bias, d.rank));
        return;
    }
    /* Opset 18: one scale a group. */
    const int32_t y = ADD(add, ADD(mul, flat, by_channel(c, scale, 3)), by_channel(c, bias, 3));
    c->out[0] = ftl_emit_reshape(c->g, y, d.rank, d.dim);
}

void ftl_onnx_op_group_norm(ftl_onnx_call *c)
{
    group_norm(c, ftl_onnx_attr_int(c, "num_groups", 0));
}

void ftl_onnx_op_instance_norm(ftl_onnx_call *c)
{
    group_norm(c, ftl_onnx_desc(c, 0).dim[1]);
}

/* (x - mean) / (deviation + 1e-9), as the function body of the specification has it. */
void ftl_onnx_op_mean_variance_norm(ftl_onnx_call *c)
{
    const int32_t in = ftl_onnx_in(c, 0), x = ftl_emit_wide(c->g, in);
    int64_t axes[FTL_MAX_RANK] = { 0, 2, 3 };
    const int32_t given = ftl_onnx_attr_ints(c, "axes", axes, FTL_MAX_RANK);
    const uint32_t mask =
        ftl_onnx_axis_mask(c, axes, given < 0 ? 3 : given, ftl_emit_desc(c->g, x).rank);
    const int32_t centered = ADD(sub, x, ftl_emit_reduce(c->g, FTL_OP_reduce_mean, x, mask, 1));
    const int32_t variance =
        ftl_emit_reduce(c->g, FTL_OP_reduce_mean, ADD(mul, centered, centered), mask, 1);
    const int32_t y = ADD(div, centered, ftl_emit_add(c->g, ADD(sqrt, variance), 1e-9));
    c->out[0] = ftl_emit_convert(c->g, y, ftl_emit_desc(c->g, in).dtype);
}

/* x / |x|_p along the axis; a row of zeros stays as it is. */
void ftl_onnx_op_lp_norm(ftl_onnx_call *c)
{
    const int32_t in = ftl_onnx_in(c, 0), x = ftl_emit_wide(c->g, in);
    const int32_t p = ftl_onnx_attr_i32(c, "p", 2, 1, 2);
    const uint32_t axes =
        1u << ftl_onnx_axis(c, ftl_onnx_attr_int(c, "axis", -1), ftl_emit_desc(c->g, x).rank);
    const int32_t power = p == 1 ? ADD(abs, x) : ADD(mul, x, x);
    const int32_t sum = ftl_emit_reduce(c->g, FTL_OP_reduce_sum, power, axes, 1);
    const int32_t norm = p == 1 ? sum : ADD(sqrt, sum);
    const int32_t is_zero = ADD(equal, norm, ftl_emit_number(c->g, norm, 0));
    const int32_t y = ADD(div, x, ftl_emit_select_then(c->g, is_zero, 1, norm));
    c->out[0] = ftl_emit_convert(c->g, y, ftl_emit_desc(c->g, in).dtype);
}

/* Before opset 13 all axes from `axis` on are one row. */
void ftl_onnx_op_softmax(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const bool is_row = c->opset < 13;
    const int32_t axis = ftl_onnx_axis(c, ftl_onnx_attr_int(c, "axis", is_row ? 1 : -1), d.rank);
    if (ftl_onnx_failed(c)) return;
    const int32_t flat = is_row && axis < d.rank - 1 ? ftl_onnx_join(c, x, axis, d.rank) : x;
    const int32_t y = ftl_emit_softmax(c->g, (ftl_op)c->row->arg, flat, axis);
    c->out[0] = ftl_emit_reshape(c->g, y, d.rank, d.dim);
}
