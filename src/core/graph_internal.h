/* SPDX-License-Identifier: Apache-2.0 */
/* graph_internal.h - what the files of core/ share about graphs and others need not know. */
#ifndef FTL_CORE_GRAPH_INTERNAL_H
#define FTL_CORE_GRAPH_INTERNAL_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FTL_MAX_OUTPUTS = 4 };

/* A dim of an unbound graph that is not a number: a name, or a combination of two dims. */
typedef enum ftl_dim_kind { FTL_DIM_NAME, FTL_DIM_MUL, FTL_DIM_ADD, FTL_DIM_DIV } ftl_dim_kind;
typedef struct ftl_dim_expr {
    ftl_dim_kind kind;
    const char *name;
    int64_t a, b;
} ftl_dim_expr;

bool ftl_dim_is_named(int64_t dim);
/* The expression behind a named dim; NULL when it is none of this graph. */
const ftl_dim_expr *ftl_graph_dim_expr(const ftl_graph *graph, int64_t dim);
/* False on overflow or division by zero. */
bool ftl_dim_combine(ftl_dim_kind kind, int64_t a, int64_t b, int64_t *out);

void ftl_graph_set_id(ftl_graph *graph, int32_t tensor, uint64_t id);

/* mark[t] is true for each tensor that weights and constants alone decide; grown on demand while a
 * graph is built (n: how many are decided so far). */
typedef struct ftl_weight_only {
    bool *mark;
    int32_t n, room;
} ftl_weight_only;
ftl_status ftl_weight_only_update(ftl_weight_only *w, const ftl_graph *graph) FTL_MUST_USE;
/* How often each tensor is read by nodes; outputs count as two.  Owner: the caller, ftl_free. */
ftl_status ftl_graph_count_uses(int32_t **out, const ftl_graph *graph) FTL_MUST_USE;

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
