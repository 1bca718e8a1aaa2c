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

#ifdef __cplusplus
}
#endif
#endif
