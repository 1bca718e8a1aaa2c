/* SPDX-License-Identifier: Apache-2.0 */
/* plan_text.h - what plan and fit share: flags into options, and a plan for people. */
#ifndef FTL_CLI_PLAN_TEXT_H
#define FTL_CLI_PLAN_TEXT_H

#include "cli/cli.h"
#include "cli/out.h"
#include "fettle/plan.h"

/* What the flags of plan_options.def, and those of one verb alone, fill. */
typedef struct ftl_cli_plan_values {
    const char *device, *goal, *power_meter, *output, *on;
    int64_t batch, threads, seed;
    uint64_t max_memory;
    double max_latency, max_error;
    ftl_cli_words dims;
    bool json, quick, verbose, list;
} ftl_cli_plan_values;

/* What the values say as options of the library.  dims and on: the caller's room, borrowed by the
 * options.  False: wrong use, said already. */
enum { FTL_CLI_MOST_ON = 32 };
typedef struct ftl_cli_plan_room {
    ftl_session_dim dims[FTL_CLI_WORDS];
    char names[FTL_CLI_WORDS][64];
    const char *on[FTL_CLI_MOST_ON];
    char on_text[2048];
    ftl_cli_progress progress;
} ftl_cli_plan_room;
bool ftl_cli_plan_fill(ftl_plan_options *options, const ftl_cli_plan_values *values,
                       const ftl_cli_context *context, ftl_cli_plan_room *room);

/* "tokens=128"; `name` is the caller's room for "tokens".  False: wrong use, said already. */
bool ftl_cli_take_dim(ftl_session_dim *dim, char *name, size_t size, const char *word);

/* "resnet50: 25.6 M weights, seeded random ones; ..." */
void ftl_cli_plan_head(const ftl_plan *plan);
/* "1.23 ms (1.05-1.50)", the interval in the same unit.  Returns out. */
char *ftl_cli_plan_time(char *out, size_t size, const ftl_prediction *prediction);
/* The candidates, at most `most`. */
void ftl_cli_plan_candidates(const ftl_plan *plan, int most);
/* Rows a layer; who was passed over, with the first half of the reason. */
void ftl_cli_plan_nodes(const ftl_plan *plan);
void ftl_cli_plan_passed_over(const ftl_plan *plan);
/* "does not fit" with what is missing; for a plan in which nothing was chosen. */
int ftl_cli_plan_no_fit(const ftl_plan *plan);

#endif
