/* SPDX-License-Identifier: Apache-2.0 */
/* op.h - what ops.def says of each op, as a table of rules.  Immutable. */
#ifndef FTL_CORE_OP_H
#define FTL_CORE_OP_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Work of one node at its bound shapes.  Bytes count each input and output once. */
typedef struct ftl_op_cost {
    double flops; /* a multiply-add is two; a transcendental counts as 1 */
    double bytes_read, bytes_written;
} ftl_op_cost;

/* Host values of the graph's PARAM tensors at one run, or all NULL when not known yet: then rules
 * that depend on them count the largest. Index: tensor. */
typedef struct ftl_param_values {
    const int64_t *const *of_tensor;
} ftl_param_values;

/* Writes n_out descs.  Input descs are bound.  A refusal is FTL_EINVAL with a sentence. */
typedef ftl_status (*ftl_infer_fn)(const ftl_graph *graph, const ftl_node *node,
                                   ftl_tensor_desc *out);
typedef void (*ftl_cost_fn)(const ftl_graph *graph, const ftl_node *node,
                            const ftl_param_values *params, ftl_op_cost *out);
/* Emits nodes into `graph` that compute the gradient of every differentiable input of a node of
 * the same graph.  d_out: gradient of each output or -1; d_in: filled, -1 where there is none. */
typedef ftl_status (*ftl_grad_fn)(ftl_graph *graph, const ftl_node *node, const int32_t *d_out,
                                  int32_t *d_in);
/* Emits the same computation with other rows into `graph`; `node` has inputs of `graph` already.
 * out: the n_out results. */
typedef ftl_status (*ftl_lower_fn)(ftl_graph *graph, const ftl_node *node, int32_t *out);

typedef struct ftl_op_info {
    const char *name;
    int32_t in_min, in_max, n_out;
    const char *attributes; /* member of ftl_attr, "none" */
    size_t attr_bytes;      /* of that member */
    ftl_infer_fn infer;
    ftl_cost_fn cost;
    ftl_grad_fn gradient; /* NULL: NONDIFF */
    ftl_lower_fn lower;   /* NULL: PRIMITIVE */
} ftl_op_info;

const ftl_op_info *ftl_op_get_info(ftl_op op);
/* FTL_OP_COUNT when there is no such op. */
ftl_op ftl_op_from_name(const char *name);

/* Of a bound graph. */
void ftl_node_cost(const ftl_graph *graph, const ftl_node *node, const ftl_param_values *params,
                   ftl_op_cost *out);
void ftl_graph_cost(const ftl_graph *graph, const ftl_param_values *params, ftl_op_cost *out);

/* Shape of a node's outputs, from its inputs' (used by ftl_graph_add). */
ftl_status ftl_node_infer(const ftl_graph *graph, const ftl_node *node,
                          ftl_tensor_desc *out) FTL_MUST_USE;
/* NumPy's broadcast of two shapes; dtype of a.  False when they do not fit. */
bool ftl_desc_broadcast(const ftl_tensor_desc *a, const ftl_tensor_desc *b, ftl_tensor_desc *out);

#ifdef __cplusplus
}
#endif
#endif
