/* SPDX-License-Identifier: Apache-2.0 */
/* eval.h - what every primitive means, written as plainly as possible.
 * Used for constant folding, for weight-only parts of a graph, as the `fake` backend, and as the
 * judge of every kernel: a graph whose float tensors are f64 is evaluated exactly enough (all
 * arithmetic is in double, rounded once to the output's type).  Slow; no threads.  Thread-safe. */
#ifndef FTL_CORE_EVAL_H
#define FTL_CORE_EVAL_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* True when the op is a primitive that ftl_eval_node knows. */
bool ftl_eval_knows(ftl_op op);
/* One primitive node of a bound graph.  in, out: row-major host arrays of the node's descs; no
 * overlap.  FTL_EUNSUPPORTED: not a primitive (lower it first).  FTL_ENOMEM. */
ftl_status ftl_eval_node(const ftl_graph *graph, const ftl_node *node, const void *const *in,
                         void *const *out) FTL_MUST_USE;
/* A whole bound graph of primitives and composites (these are lowered on the way).
 * in: one array a source in slice order (NULL: the weight's own data); out: one array an output,
 * caller's memory.  The array of a state may be both in and out; nothing else overlaps. */
ftl_status ftl_eval_graph(const ftl_graph *graph, const void *const *in,
                          void *const *out) FTL_MUST_USE;
/* A copy of a bound graph in which every f32/f16/bf16 tensor is f64; weight data is dropped. */
ftl_status ftl_graph_widen(ftl_graph **out, const ftl_graph *graph) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
