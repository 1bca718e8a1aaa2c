/* SPDX-License-Identifier: Apache-2.0 */
/* pass.h - bound graph in, better bound graph out.
 * Every pass writes a new graph (owner: the caller) and leaves the old one as it was; sources keep
 * their ids, outputs and aliases keep their order.  `keep` nodes are walls.  Thread-safe. */
#ifndef FTL_CORE_PASS_H
#define FTL_CORE_PASS_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Copies node after node; `emit` may write something else instead.
 * emit: node has its inputs in the new graph already; writes the n_out results to `out` and sets
 * *done, or leaves *done false for a plain copy. */
typedef ftl_status (*ftl_rewrite_fn)(void *arg, ftl_graph *to, const ftl_node *node,
                                     int32_t old_index, int32_t *out, bool *done);
ftl_status ftl_graph_rewrite(ftl_graph **out, const ftl_graph *graph, ftl_rewrite_fn emit,
                             void *arg) FTL_MUST_USE;

/* Nodes whose results reach no output go; weights that nothing reads too when `drop_sources`.
 * Inputs, parameters and state are the interface and stay. */
ftl_status ftl_pass_dead(ftl_graph **out, const ftl_graph *graph, bool drop_sources) FTL_MUST_USE;
/* Nodes whose inputs are all CONST become CONST when the result has at most `max_bytes`. */
ftl_status ftl_pass_fold(ftl_graph **out, const ftl_graph *graph, size_t max_bytes) FTL_MUST_USE;
/* batch_norm, bias, residual and activation into linear and conv; matmul with a weight becomes
 * linear; mul/add chains by per-channel weights fold into conv.  Scales go into the weights by
 * weight-only nodes, which ftl_graph_split_prologue() takes out. */
ftl_status ftl_pass_fuse(ftl_graph **out, const ftl_graph *graph) FTL_MUST_USE;
/* All of them until nothing changes: the graph a backend is given before legalizing. */
ftl_status ftl_pass_optimize(ftl_graph **out, const ftl_graph *graph) FTL_MUST_USE;

/* Nodes that depend on weights and constants alone move into `prologue`, which is run once when
 * the model is loaded; its outputs are weights of `rest` (same names; id: a hash of what computes
 * them, so that programs of one model share them).  *prologue is NULL when there is none. */
ftl_status ftl_graph_split_prologue(ftl_graph **prologue, ftl_graph **rest,
                                    const ftl_graph *graph) FTL_MUST_USE;

/* Output of the prologue that computes this weight of the rest; -1: it comes from the model. */
int32_t ftl_prologue_output(const ftl_graph *prologue, const ftl_tensor *weight);

/* Maps tensors of one graph to those of a copy while nodes are emitted one by one. */
typedef struct ftl_graph_map {
    const ftl_graph *from;
    ftl_graph *to;
    int32_t *tensor; /* of `from` -> of `to`, -1: not yet; owner: this struct */
} ftl_graph_map;
/* Creates `to` (bound as `from` is) and copies every source, or those tensors whose `wanted` is
 * true.  deinit leaves `to` alone; after a failure of init call ftl_graph_map_drop(). */
ftl_status ftl_graph_map_init(ftl_graph_map *map, const ftl_graph *from,
                              const bool *wanted) FTL_MUST_USE;
void ftl_graph_map_deinit(ftl_graph_map *map);
/* Frees the map and `to`; returns `status`. */
ftl_status ftl_graph_map_drop(ftl_graph_map *map, ftl_status status);
/* The tensor in `to`; constants are copied when first asked for. */
int32_t ftl_graph_map_get(ftl_graph_map *map, int32_t tensor);
/* Emits the same node with mapped inputs. */
void ftl_graph_map_node(ftl_graph_map *map, const ftl_node *node);
/* Copies outputs and aliases and hands `to` out; on failure destroys it. */
ftl_status ftl_graph_map_finish(ftl_graph_map *map, ftl_graph **out) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
