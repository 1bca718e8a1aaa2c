/* SPDX-License-Identifier: Apache-2.0 */
/* memplan.h - where every intermediate lives, decided before anything is allocated.
 * Idea: lifetimes from an order of the nodes, placement of the large and long-lived first into the
 * lowest gap that fits; several orders and placements are tried, the smallest peak wins, and it
 * is reported beside its lower bound, the largest sum of bytes that are live at once.
 * Views: the output of a reshape shares its input's bytes.
 * In place: an output may take the memory of an input that dies with the node, if the backend
 * says so; concatenation may be written in place: its inputs are placed inside its output.
 * State: an aliased output is written into the state's own cell when every read of the old value
 * comes before; otherwise through the workspace and a copy, which the plan names.
 * Source: Pisarchyk & Lee 2020, arXiv 2001.03288 (greedy by size); Lee et al. 2019. */
#ifndef FTL_CORE_MEMPLAN_H
#define FTL_CORE_MEMPLAN_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ftl_place_kind {
    FTL_PLACE_SOURCE,    /* the bytes of tensor `index`: a source or a constant                   */
    FTL_PLACE_OUTPUT,    /* the cell of output `index`                                            */
    FTL_PLACE_WORKSPACE, /* workspace + offset                                                    */
    FTL_PLACE_NONE       /* never needed                                                          */
};
typedef struct ftl_place {
    enum ftl_place_kind kind;
    int32_t index;
    size_t offset; /* of the first byte: from the workspace's start or inside the output's cell */
} ftl_place;

typedef struct ftl_memplan_options {
    uint32_t struct_size;
    size_t alignment; /* of every offset; 0: 64 */
    /* True when output `o` of the node may lie where input `i` lies (same bytes). NULL: never. */
    bool (*may_overwrite)(const ftl_graph *graph, const ftl_node *node, int32_t o, int32_t i);
    /* Extra bytes the node needs while it runs (per-thread scratch). NULL: none. */
    size_t (*scratch_bytes)(void *arg, const ftl_graph *graph, int32_t node);
    void *arg;
    bool concat_in_place; /* leading axes of 1 before the concat axis: inputs live in the output;
                             the node still runs unless all do, and skips those that lie right  */
} ftl_memplan_options;

/* Copies to make after all nodes ran: an output that could not be written where it belongs. */
typedef struct ftl_memplan_copy {
    int32_t tensor, output;
} ftl_memplan_copy;

typedef struct ftl_memplan {
    int32_t n_tensors, n_nodes, n_copies;
    int32_t *order;         /* execution order of the nodes */
    ftl_place *place;       /* of each tensor               */
    size_t *scratch_offset; /* of each node's scratch in the workspace */
    bool *is_elided;        /* node does nothing: its inputs already lie where the output does */
    ftl_memplan_copy *copies;
    size_t workspace_bytes, lower_bound_bytes;
    ftl_arena arena;
} ftl_memplan;

/* FTL_ENOMEM, FTL_EINVAL (overflow).  deinit accepts an all-zero plan. */
ftl_status ftl_memplan_init(ftl_memplan *plan, const ftl_graph *graph,
                            const ftl_memplan_options *options) FTL_MUST_USE;
void ftl_memplan_deinit(ftl_memplan *plan);

#ifdef __cplusplus
}
#endif
#endif
