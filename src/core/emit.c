/* SPDX-License-Identifier: Apache-2.0 */
#include "core/emit.h"

#include <string.h>

ftl_attr ftl_attr_blank(void)
{
    ftl_attr attr;
    memset(&attr, 0, sizeof attr);
    return attr;
}

ftl_tensor_desc ftl_emit_desc(const ftl_graph *graph, int32_t tensor)
{
    const ftl_tensor_desc *desc = ftl_graph_peek_desc(graph, tensor);
    return desc ? *desc : (ftl_tensor_desc){ 0 };
}

int32_t ftl_emit_input(const ftl_node *node, int32_t i)
{
    return i < node->n_in ? node->in[i] : -1;
}

ftl_dtype ftl_emit_wide_dtype(ftl_dtype dtype)
{
    return dtype == FTL_DTYPE_F16 || dtype == FTL_DTYPE_BF16 ? FTL_DTYPE_F32 : dtype;
}

int32_t ftl_emit_wide(ftl_graph *graph, int32_t x)
{
    return ftl_emit_convert(graph, x, ftl_emit_wide_dtype(ftl_emit_desc(graph, x).dtype));
}

int32_t ftl_emit_number(ftl_graph *graph, int32_t like, double value)
{
    const ftl_tensor_desc *desc = ftl_graph_peek_desc(graph, like);
    return desc ? ftl_graph_const_scalar(graph, desc->dtype, value) : -1;
}

int32_t ftl_emit_add(ftl_graph *graph, int32_t x, double value)
{
    return FTL_ADD(graph, add, NULL, x, ftl_emit_number(graph, x, value));
}

int32_t ftl_emit_mul(ftl_graph *graph, int32_t x, double value)
{
    return FTL_ADD(graph, mul, NULL, x, ftl_emit_number(graph, x, value));
}

int32_t ftl_emit_select_else(ftl_graph *graph, int32_t c, int32_t x, double value)
{
    return FTL_ADD(graph, select, NULL, c, x, ftl_emit_number(graph, x, value));
}

int32_t ftl_emit_select_then(ftl_graph *graph, int32_t c, double value, int32_t x)
{
    return FTL_ADD(graph, select, NULL, c, ftl_emit_number(graph, x, value), x);
}

int32_t ftl_emit_full(ftl_graph *graph, const ftl_tensor_desc *desc, double value)
{
    const int32_t scalar = ftl_graph_const_scalar(graph, desc->dtype, value);
    return ftl_emit_broadcast(graph, scalar, desc->rank, desc->dim);
}

int32_t ftl_emit_convert(ftl_graph *graph, int32_t x, ftl_dtype dtype)
{
    if (ftl_emit_desc(graph, x).dtype == dtype) return x;
    ftl_attr attr = ftl_attr_blank();
    attr.convert.dtype = dtype;
    return FTL_ADD(graph, convert, &attr, x);
}

static bool has_shape(const ftl_graph *graph, int32_t x, int32_t rank, const int64_t *dim)
{
    const ftl_tensor_desc d = ftl_emit_desc(graph, x);
    return d.rank == rank && memcmp(d.dim, dim, (size_t)rank * sizeof *dim) == 0;
}

static ftl_attr shape_attr(int32_t rank, const int64_t *dim)
{
    ftl_attr attr = ftl_attr_blank();
    attr.shape.rank = rank;
    for (int32_t i = 0; i < rank; i++) attr.shape.dim[i] = dim[i];
    return attr;
}

int32_t ftl_emit_reshape(ftl_graph *graph, int32_t x, int32_t rank, const int64_t *dim)
{
    if (x < 0 || has_shape(graph, x, rank, dim)) return x;
    const ftl_attr attr = shape_attr(rank, dim);
    return FTL_ADD(graph, reshape, &attr, x);
}

int32_t ftl_emit_broadcast(ftl_graph *graph, int32_t x, int32_t rank, const int64_t *dim)
{
    if (x < 0 || has_shape(graph, x, rank, dim)) return x;
    const ftl_attr attr = shape_attr(rank, dim);
    return FTL_ADD(graph, broadcast, &attr, x);
}

int32_t ftl_emit_transpose(ftl_graph *graph, int32_t x, const int32_t *perm)
{
    const int32_t rank = ftl_emit_desc(graph, x).rank;
    bool moves = false;
    ftl_attr attr = ftl_attr_blank();
    for (int32_t i = 0; i < rank; i++) {
        attr.perm.perm[i] = perm[i];
        moves = moves || perm[i] != i;
    }
    return moves ? FTL_ADD(graph, transpose, &attr, x) : x;
}

int32_t ftl_emit_slice(ftl_graph *graph, int32_t x, int32_t axis, int64_t start, int64_t limit,
                       int64_t step)
{
    const ftl_tensor_desc d = ftl_emit_desc(graph, x);
    if (start == 0 && limit == d.dim[axis] && step == 1) return x;
    ftl_attr attr = ftl_attr_blank();
    for (int32_t i = 0; i < d.rank; i++) {
        attr.slice.start[i] = i == axis ? start : 0;
        attr.slice.limit[i] = i == axis ? limit : d.dim[i];
        attr.slice.step[i] = i == axis ? step : 1;
    }
    return FTL_ADD(graph, slice, &attr, x);
}

int32_t ftl_emit_reduce(ftl_graph *graph, ftl_op op, int32_t x, uint32_t axes, int32_t keep)
{
    ftl_attr attr = ftl_attr_blank();
    attr.reduce = (ftl_attr_reduce){ .axes = axes, .keep = keep };
    return ftl_graph_add(graph, op, &attr, &x, 1);
}

int32_t ftl_emit_iota(ftl_graph *graph, ftl_dtype dtype, int64_t n)
{
    ftl_attr attr = shape_attr(1, &n);
    attr.shape.dtype = dtype;
    return ftl_graph_add(graph, FTL_OP_iota, &attr, NULL, 0);
}

int32_t ftl_emit_gather(ftl_graph *graph, int32_t x, int32_t indices, int32_t axis)
{
    ftl_attr attr = ftl_attr_blank();
    attr.axis.axis = axis;
    return FTL_ADD(graph, gather, &attr, x, indices);
}

int32_t ftl_emit_concat(ftl_graph *graph, const int32_t *in, int32_t n_in, int32_t axis)
{
    if (n_in == 1) return in[0];
    ftl_attr attr = ftl_attr_blank();
    attr.axis.axis = axis;
    return ftl_graph_add(graph, FTL_OP_concat, &attr, in, n_in);
}

int32_t ftl_emit_matmul(ftl_graph *graph, int32_t a, int32_t b, int32_t trans_a, int32_t trans_b)
{
    ftl_attr attr = ftl_attr_blank();
    attr.matmul = (ftl_attr_matmul){ .trans_a = trans_a, .trans_b = trans_b };
    return FTL_ADD(graph, matmul, &attr, a, b);
}

int32_t ftl_emit_softmax(ftl_graph *graph, ftl_op op, int32_t x, int32_t axis)
{
    ftl_attr attr = ftl_attr_blank();
    attr.norm.axis = axis;
    return ftl_graph_add(graph, op, &attr, &x, 1);
}

uint32_t ftl_axis_mask(int32_t from, int32_t to)
{
    uint32_t mask = 0;
    for (int32_t i = from; i < to; i++) mask |= 1u << i;
    return mask;
}
