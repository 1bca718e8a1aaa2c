/* SPDX-License-Identifier: Apache-2.0 */
/* cost_model.h - seconds of a program, from what a device can do.
 * One model for measured and for catalogue devices: a node takes
 *
 *     max(flops / peak, bytes / bandwidth of its working set) / efficiency of its class + step
 *
 * and a program the sum plus the cost of a run.  The efficiency is what shapes of that class reach
 * of their bound; its scatter, and that of whole programs, give the interval.
 * Source of the bound: Williams, Waterman and Patterson 2009, doi 10.1145/1498765.1498785. */
#ifndef FTL_PLAN_COST_MODEL_H
#define FTL_PLAN_COST_MODEL_H

#include "core/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ftl_work_class {
    FTL_WORK_GEMM,       /* products with at least 8 rows                     */
    FTL_WORK_GEMV,       /* fewer rows: streams the weights                    */
    FTL_WORK_CONV_1X1,   /* stride 1, no padding: a plain product              */
    FTL_WORK_CONV_3X3,   /* and other small windows                            */
    FTL_WORK_CONV_LARGE, /* 5x5 and up, strided stems                          */
    FTL_WORK_CONV_GROUPED,
    FTL_WORK_CONV_DEPTHWISE,
    FTL_WORK_ATTENTION,
    FTL_WORK_POOL,
    FTL_WORK_NORM, /* norms, softmax, reductions                         */
    FTL_WORK_ELEMENTWISE,
    FTL_WORK_MOVE, /* transpose, concat, gather, ...                     */
    FTL_WORK_N
} ftl_work_class;

enum { FTL_LEVELS = 4 }; /* L1, L2, L3, memory */

/* What a device does with a number of threads; all measured, or all from a data sheet. */
typedef struct ftl_rates {
    uint32_t n_threads;             /* 0: not a CPU                                       */
    double flops_per_s;             /* peak f32 of all threads together                   */
    double bytes_per_s[FTL_LEVELS]; /* read bandwidth of all threads together, by level   */
    double level_bytes[FTL_LEVELS]; /* a working set up to this lives in the level; the last: inf */
    double step_s, run_s;           /* per node, per run                                  */
    double efficiency[FTL_WORK_N];  /* 0 .. 1 of the bound                                */
    double scatter[FTL_WORK_N]; /* standard deviation of ln(time / prediction) of single nodes */
    double common_scatter;      /* the same of whole programs, what nodes share       */
} ftl_rates;

typedef struct ftl_cost_estimate {
    double seconds, low_s, high_s;       /* 90 % between low and high */
    double flops_s, bytes_s, overhead_s; /* how the seconds divide    */
} ftl_cost_estimate;

ftl_work_class ftl_work_class_of(const ftl_graph *graph, const ftl_node *node);
const char *ftl_work_class_name(ftl_work_class work);
/* Efficiencies and scatter that the classes have on CPUs measured so far; the rest zero.  A profile
 * replaces what it knows. */
void ftl_rates_default(ftl_rates *rates);
/* One node of a bound graph.  bound_s: without the efficiency; may be NULL. */
double ftl_cost_node(const ftl_rates *rates, const ftl_graph *graph, const ftl_node *node,
                     double *bound_s);
/* A whole slice. */
void ftl_cost_graph(const ftl_rates *rates, const ftl_graph *graph, ftl_cost_estimate *out);

#ifdef __cplusplus
}
#endif
#endif
