/* SPDX-License-Identifier: Apache-2.0 */
/* run_internal.h - the pieces of one job, each in a file of its own. */
#ifndef FTL_RUN_RUN_INTERNAL_H
#define FTL_RUN_RUN_INTERNAL_H

#include "base/arena.h"
#include "fettle/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A result and what it points to. */
typedef struct ftl_run_job {
    ftl_run_result result; /* first: the public handle is a pointer to it */
    ftl_arena arena;
    const ftl_run_options *options; /* until ftl_run() returns */
    ftl_session_options session;    /* with what the plan and the inputs say */
    ftl_model *model;
    ftl_session *runner;
} ftl_run_job;

/* run_inputs.c: the batch that the inputs ask for where nothing else says one; then every input
 * of the session from a file, the picture or the seed. */
ftl_status ftl_run_infer_batch(ftl_run_job *job) FTL_MUST_USE;
ftl_status ftl_run_set_inputs(ftl_run_job *job) FTL_MUST_USE;

/* run_outputs.c: lists every output and writes it where a folder is named; then the classes. */
ftl_status ftl_run_take_outputs(ftl_run_job *job) FTL_MUST_USE;

/* Text into the job's arena.  FTL_ENOMEM. */
ftl_status ftl_run_keep(ftl_run_job *job, const char **out, const char *text) FTL_MUST_USE;
ftl_status ftl_run_no_memory(const ftl_run_job *job);

#ifdef __cplusplus
}
#endif
#endif
