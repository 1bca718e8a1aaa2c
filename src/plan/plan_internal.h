/* SPDX-License-Identifier: Apache-2.0 */
/* plan_internal.h - a plan while it is made, and what fit/ needs to finish one. */
#ifndef FTL_PLAN_PLAN_INTERNAL_H
#define FTL_PLAN_PLAN_INTERNAL_H

#include "fettle/bench.h"
#include "fettle/plan.h"
#include "plan/prepare.h"
#include "plan/rates.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The public struct comes first: a ftl_plan * of ours is a ftl_plan_box *. */
typedef struct ftl_plan_box {
    ftl_plan plan;
    ftl_arena arena;           /* strings and arrays of the plan */
    ftl_candidate *candidates; /* the plan's, writable           */
    ftl_candidate *spare;      /* as many: where they are sorted */
    ftl_plan_node *nodes;
    int32_t room;
    bool is_fit;
    ftl_profile *profile; /* of this machine; owned; NULL when only other machines were asked for */
} ftl_plan_box;

static inline ftl_plan_box *ftl_plan_box_of(ftl_plan *plan)
{
    return (ftl_plan_box *)plan;
}

/* What the goal asks to be small, of the prediction or, once there, the measurement. */
double ftl_candidate_score(const ftl_candidate *candidate, ftl_goal goal);
/* Best first; chosen and baseline follow their candidates.  Measured ones stand before others. */
void ftl_plan_rank(ftl_plan_box *box);
const char *ftl_goal_name(ftl_goal goal);
/* Rows of the chosen candidate's program, predicted. */
ftl_status ftl_plan_list_nodes(ftl_plan_box *box, const ftl_graph *slice,
                               const ftl_rates *rates) FTL_MUST_USE;
/* Session options of a candidate. */
ftl_session_options ftl_candidate_session(const ftl_candidate *candidate, const ftl_model *model,
                                          const ftl_plan_options *options);

#ifdef __cplusplus
}
#endif
#endif
