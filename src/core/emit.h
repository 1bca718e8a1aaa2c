/* SPDX-License-Identifier: Apache-2.0 */
/* emit.h - short forms of builder calls, for rules that write many nodes (lower*.c, grad*.c).
 * Bound graphs only.  As everywhere in the builder: -1 in gives -1 out, the failure stays in the
 * graph.  Descs come by value, because a builder call may move the graph's arrays. */
#ifndef FTL_CORE_EMIT_H
#define FTL_CORE_EMIT_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Every byte zero, as attr.h wants it; `= { 0 }` clears only the first member of the union. */
ftl_attr ftl_attr_blank(void);

/* All zero for -1. */
ftl_tensor_desc ftl_emit_desc(const ftl_graph *graph, int32_t tensor);
/* Input i of the node, or -1 where it is absent. */
int32_t ftl_emit_input(const ftl_node *node, int32_t i);
/* f16 and bf16 are computed in f32, all else in itself. */
ftl_dtype ftl_emit_wide_dtype(ftl_dtype dtype);
/* x in that type. */
int32_t ftl_emit_wide(ftl_graph *graph, int32_t x);

/* A scalar of the type of `like`. */
int32_t ftl_emit_number(ftl_graph *graph, int32_t like, double value);
/* x + value and x * value, value in the type of x. */
int32_t ftl_emit_add(ftl_graph *graph, int32_t x, double value);
int32_t ftl_emit_mul(ftl_graph *graph, int32_t x, double value);
/* c ? x : value and c ? value : x. */
int32_t ftl_emit_select_else(ftl_graph *graph, int32_t c, int32_t x, double value);
int32_t ftl_emit_select_then(ftl_graph *graph, int32_t c, double value, int32_t x);
/* A tensor of one value. */
int32_t ftl_emit_full(ftl_graph *graph, const ftl_tensor_desc *desc, double value);

/* These give x itself where nothing changes. */
int32_t ftl_emit_convert(ftl_graph *graph, int32_t x, ftl_dtype dtype);
int32_t ftl_emit_reshape(ftl_graph *graph, int32_t x, int32_t rank, const int64_t *dim);
int32_t ftl_emit_broadcast(ftl_graph *graph, int32_t x, int32_t rank, const int64_t *dim);
int32_t ftl_emit_transpose(ftl_graph *graph, int32_t x, const int32_t *perm);
/* Elements start, start + step, ... below limit of one axis. */
int32_t ftl_emit_slice(ftl_graph *graph, int32_t x, int32_t axis, int64_t start, int64_t limit,
                       int64_t step);

int32_t ftl_emit_reduce(ftl_graph *graph, ftl_op op, int32_t x, uint32_t axes, int32_t keep);
int32_t ftl_emit_iota(ftl_graph *graph, ftl_dtype dtype, int64_t n); /* rank 1: 0, 1, ... n - 1 */
int32_t ftl_emit_gather(ftl_graph *graph, int32_t x, int32_t indices, int32_t axis);
int32_t ftl_emit_concat(ftl_graph *graph, const int32_t *in, int32_t n_in, int32_t axis);
int32_t ftl_emit_matmul(ftl_graph *graph, int32_t a, int32_t b, int32_t trans_a, int32_t trans_b);
int32_t ftl_emit_softmax(ftl_graph *graph, ftl_op op, int32_t x, int32_t axis);
/* Mask of axes [from, to). */
uint32_t ftl_axis_mask(int32_t from, int32_t to);

/* act(x), with the other rows. */
int32_t ftl_emit_act(ftl_graph *graph, int32_t x, const ftl_attr_act *act);
/* d * act'(x). */
int32_t ftl_emit_act_grad(ftl_graph *graph, int32_t x, int32_t d, const ftl_attr_act *act);

#ifdef __cplusplus
}
#endif
#endif
