/* SPDX-License-Identifier: Apache-2.0 */
/* profile_loop.h - the order of measuring: a budget, a reference loop that notices a disturbance,
 * and a second look at what physics forbids.  Clock and figures come through `ftl_profile_runner`,
 * so that a test can make them up. */
#ifndef FTL_PLAN_PROFILE_LOOP_H
#define FTL_PLAN_PROFILE_LOOP_H

#include "plan/profile.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_profile_runner {
    void *context;
    /* A figure that only the machine's state changes; more is better. */
    ftl_status (*reference)(void *context, double *figure);
    /* Fills the figures of `row` within about `seconds`.  FTL_EUNSUPPORTED leaves the row out. */
    ftl_status (*measure)(void *context, ftl_profile_row *row, double seconds);
    double (*now_s)(void *context);
    ftl_bench_progress progress; /* or NULL */
    void *user;
} ftl_profile_runner;

enum { FTL_LOOP_GROUP = 8 }; /* rows between two looks at the reference */

/* Measures rows[n] in order and puts them into the profile; what stands behind the end of the
 * budget is left out.  A group of rows is disturbed when the reference before or after it is 10 %
 * below the best one: it is measured again once after the others, for up to a quarter of the budget
 * more, and marked if that does not help. */
ftl_status ftl_profile_loop(ftl_profile *profile, const ftl_profile_runner *runner,
                            const ftl_profile_row *rows, size_t n, double seconds) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
