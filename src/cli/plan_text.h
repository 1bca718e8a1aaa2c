/* SPDX-License-Identifier: Apache-2.0 */
/* plan_text.h - what plan and fit share: flags into options, and a plan for people. */
#ifndef FTL_CLI_PLAN_TEXT_H
#define FTL_CLI_PLAN_TEXT_H

#include "cli/cli.h"
#include "cli/out.h"
#include "fettle/plan.h"

/* The flags that both verbs take; a verb's own struct begins with this. */
typedef struct ftl_cli_plan_values {
    const char *device, *goal, *power_meter, *output, *on;
    int64_t batch, threads, seed;
    uint64_t max_memory;
    double max_latency, max_error;
    ftl_cli_words dims;
    bool json, quick, verbose, list;
} ftl_cli_plan_values;

/* Rows for an option table. */
#define FTL_CLI_PLAN_OPTIONS                                                                           \
    { "--device",                                                                                      \
      'd',                                                                                             \
      FTL_CLI_TEXT,                                                                                    \
      "D",                                                                                             \
      "auto, cpu, pjrt:PATH, or a list: the first that works",                                         \
      offsetof(ftl_cli_plan_values, device) },                                                         \
        { "--for",                                                                                     \
          0,                                                                                           \
          FTL_CLI_TEXT,                                                                                \
          "GOAL",                                                                                      \
          "latency (default), throughput, energy or memory",                                           \
          offsetof(ftl_cli_plan_values, goal) },                                                       \
        { "--batch", 'b', FTL_CLI_COUNT, "N", "samples a run", offsetof(ftl_cli_plan_values, batch) }, \
        { "--threads",                                                                                 \
          't',                                                                                         \
          FTL_CLI_COUNT,                                                                               \
          "N",                                                                                         \
          "instead of trying several",                                                                 \
          offsetof(ftl_cli_plan_values, threads) },                                                    \
        { "--dim",                                                                                     \
          0,                                                                                           \
          FTL_CLI_LIST,                                                                                \
          "NAME=N",                                                                                    \
          "another named dim of the model, such as tokens",                                            \
          offsetof(ftl_cli_plan_values, dims) },                                                       \
        { "--max-memory",                                                                              \
          0,                                                                                           \
          FTL_CLI_BYTES,                                                                               \
          "SIZE",                                                                                      \
          "peak that is allowed, such as 2G",                                                          \
          offsetof(ftl_cli_plan_values, max_memory) },                                                 \
        { "--max-latency",                                                                             \
          0,                                                                                           \
          FTL_CLI_SECONDS,                                                                             \
          "TIME",                                                                                      \
          "of one run, such as 20ms",                                                                  \
          offsetof(ftl_cli_plan_values, max_latency) },                                                \
        { "--max-error",                                                                               \
          0,                                                                                           \
          FTL_CLI_NUMBER,                                                                              \
          "E",                                                                                         \
          "largest error of the output, of its scale",                                                 \
          offsetof(ftl_cli_plan_values, max_error) },                                                  \
        { "--quick",                                                                                   \
          'q',                                                                                         \
          FTL_CLI_FLAG,                                                                                \
          NULL,                                                                                        \
          "measure for 2 seconds where no profile is stored",                                          \
          offsetof(ftl_cli_plan_values, quick) },                                                      \
        { "--verbose",     'v',                                                                        \
          FTL_CLI_FLAG,    NULL,                                                                       \
          "a row a layer", offsetof(ftl_cli_plan_values, verbose) },                                   \
        { "--output",                                                                                  \
          'o',                                                                                         \
          FTL_CLI_TEXT,                                                                                \
          "PATH",                                                                                      \
          "write the plan there as JSON",                                                              \
          offsetof(ftl_cli_plan_values, output) },                                                     \
    {                                                                                                  \
        "--json", 0, FTL_CLI_FLAG, NULL, "one JSON object on stdout",                                  \
            offsetof(ftl_cli_plan_values, json)                                                        \
    }

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
/* The candidates, at most `most`. */
void ftl_cli_plan_candidates(const ftl_plan *plan, int most);
/* Rows a layer, and who was passed over. */
void ftl_cli_plan_nodes(const ftl_plan *plan);
void ftl_cli_plan_passed_over(const ftl_plan *plan);
/* "does not fit" with what is missing; for a plan in which nothing was chosen. */
int ftl_cli_plan_no_fit(const ftl_plan *plan);

#endif
