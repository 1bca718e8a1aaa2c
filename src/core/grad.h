/* SPDX-License-Identifier: Apache-2.0 */
/* grad.h - reverse-mode differentiation on the graph.
 * Idea: walk the nodes backwards, ask each row of ops.def for its gradient, add up where a tensor
 * is read more than once.  Gradients are ordinary nodes, so any backend trains.
 * Source: Griewank & Walther, Evaluating Derivatives, 2nd ed., ch. 3. */
#ifndef FTL_CORE_GRAD_H
#define FTL_CORE_GRAD_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Appends to the bound graph the nodes that compute d loss / d wanted[i].
 * loss: a scalar (rank 0, float).  d_out[i]: the gradient's tensor; a constant 0 where loss does
 * not depend on it.  FTL_EUNSUPPORTED: names the node on the way that is NONDIFF.  The nodes carry
 * the names of those that they differentiate; the scope is empty afterwards. */
ftl_status ftl_graph_gradients(ftl_graph *graph, int32_t loss, const int32_t *wanted,
                               int32_t n_wanted, int32_t *d_out) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
