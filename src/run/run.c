/* SPDX-License-Identifier: Apache-2.0 */
/* One job: model, device and session are made ready, the inputs set, the runs timed, the outputs
 * taken.  Everything that the result points to lives in its arena, so the session is gone when the
 * job is done. */
#include "fettle/run.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "run/pick.h"
#include "run/run_internal.h"
#include "run/session_internal.h"

enum { NODE_RUNS = 5 };

ftl_status ftl_run_no_memory(const ftl_run_job *job)
{
    const char *name = job->result.model;
    return ftl_fail(FTL_ENOMEM, "no memory to run %s", name ? name : "a model");
}

ftl_status ftl_run_keep(ftl_run_job *job, const char **out, const char *text)
{
    const char *copy = ftl_arena_strdup(&job->arena, text ? text : "");
    if (!copy) return ftl_run_no_memory(job);
    *out = copy;
    return FTL_OK;
}

static void report(const ftl_run_job *job, const char *what, double done)
{
    if (job->options->progress) job->options->progress(job->options->progress_arg, what, done);
}

static void report_load(void *arg, uint64_t done, uint64_t total)
{
    report(arg, "loading weights", total ? (double)done / (double)total : 1);
}

/* ---- what is asked for --------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* A plan fills in what the caller left open. */
static ftl_status read_plan(ftl_run_job *job, const char **model)
{
    ftl_saved_plan saved;
    if (!job->options->plan) return FTL_OK;
    FTL_TRY(ftl_plan_load(&saved, job->options->plan));
    if (!*model) FTL_TRY(ftl_run_keep(job, model, saved.model));
    else if (strcmp(base_name(*model), base_name(saved.model)) != 0)
        ftl_log(FTL_LOG_WARNING, "run", "%s was made for %s, not for %s", job->options->plan,
                saved.model, *model);
    if (!job->session.device) FTL_TRY(ftl_run_keep(job, &job->session.device, saved.device));
    if (!job->session.n_threads) job->session.n_threads = saved.n_threads;
    if (!job->session.batch) job->session.batch = saved.batch;
    return FTL_OK;
}

static ftl_status note_passed_over(void *arg, const char *device, const char *why)
{
    ftl_run_job *job = arg;
    ftl_run_result *r = &job->result;
    ftl_passed_over *rows =
        ftl_arena_array(&job->arena, (size_t)r->n_passed_over + 1, sizeof *rows);
    if (!rows) return ftl_run_no_memory(job);
    if (r->n_passed_over) memcpy(rows, r->passed_over, (size_t)r->n_passed_over * sizeof *rows);
    FTL_TRY(ftl_run_keep(job, &rows[r->n_passed_over].device, device));
    FTL_TRY(ftl_run_keep(job, &rows[r->n_passed_over].why, why));
    r->passed_over = rows;
    r->n_passed_over++;
    return FTL_OK;
}

/* ---- timing -------------------------------------------------------------------------------- */

/* With one run that run is timed, cold as it is; with more, one goes before them. */
static ftl_status time_runs(ftl_run_job *job)
{
    const int32_t n = job->options->n_runs > 0 ? job->options->n_runs : 1;
    ftl_run_result *r = &job->result;
    double *seconds = ftl_calloc((size_t)n, sizeof *seconds);
    if (!seconds) return ftl_run_no_memory(job);
    ftl_status s = n > 1 ? ftl_session_run(job->runner, NULL) : FTL_OK;
    for (int32_t i = 0; s == FTL_OK && i < n; i++) {
        s = ftl_cancel_check();
        if (s == FTL_OK) s = ftl_session_run(job->runner, &seconds[i]);
        report(job, "running", (double)(i + 1) / n);
    }
    if (s == FTL_OK) {
        r->n_runs = n;
        r->p50_s = ftl_stats_of(seconds, (size_t)n).median; /* sorts */
        ftl_stats_percentile(&r->p10_s, seconds, (size_t)n, 0.10);
        ftl_stats_percentile(&r->p90_s, seconds, (size_t)n, 0.90);
        ftl_stats_percentile(&r->p99_s, seconds, (size_t)n, 0.99);
    }
    ftl_free(seconds);
    return s;
}

/* Copies of the rows: theirs go with the session. */
static ftl_status time_nodes(ftl_run_job *job)
{
    const ftl_session_node *rows;
    int32_t n;
    if (!job->options->times_nodes) return FTL_OK;
    FTL_TRY(ftl_session_profile(job->runner, NODE_RUNS, &rows, &n));
    ftl_session_node *copy = ftl_arena_array(&job->arena, (size_t)n + 1, sizeof *copy);
    if (!copy) return ftl_run_no_memory(job);
    for (int32_t i = 0; i < n; i++) {
        copy[i] = rows[i];
        FTL_TRY(ftl_run_keep(job, &copy[i].op, rows[i].op));
        FTL_TRY(ftl_run_keep(job, &copy[i].name, rows[i].name));
    }
    job->result.nodes = copy;
    job->result.n_nodes = n;
    return FTL_OK;
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* Extent of the batch dim, given or by default; 0: there is none. */
static int64_t batch_of(const ftl_run_job *job)
{
    const ftl_model_info *info = ftl_model_get_info(job->model);
    if (!info->batch_dim) return 0;
    if (job->session.batch) return job->session.batch;
    for (int32_t i = 0; i < job->session.n_dims; i++)
        if (strcmp(job->session.dims[i].name, info->batch_dim) == 0)
            return job->session.dims[i].value;
    for (int32_t i = 0; i < info->n_dims; i++)
        if (strcmp(info->dims[i].name, info->batch_dim) == 0) return info->dims[i].default_value;
    return 0;
}

static ftl_status open_model(ftl_run_job *job)
{
    const char *name = job->options->model;
    FTL_TRY(read_plan(job, &name));
    FTL_TRY(ftl_model_open(&job->model, name));
    /* A plan counts samples where the batch is fixed too; only a user's own wish is refused. */
    if (!job->options->session.batch && !ftl_model_get_info(job->model)->batch_dim)
        job->session.batch = 0;
    FTL_TRY(ftl_run_keep(job, &job->result.model, name));
    job->result.has_weights = ftl_model_get_info(job->model)->has_weights;
    FTL_TRY(ftl_run_infer_batch(job));
    job->result.batch = batch_of(job);
    job->result.seed = job->session.seed;
    return FTL_OK;
}

static ftl_status use_session(ftl_run_job *job, const ftl_peak *peak)
{
    ftl_run_result *r = &job->result;
    ftl_session_memory memory;
    ftl_session_get_memory(job->runner, &memory);
    r->memory_predicted_bytes = memory.total_bytes;
    r->n_threads = ftl_session_n_threads(job->runner);
    FTL_TRY(ftl_run_set_inputs(job));
    FTL_TRY(time_runs(job));
    FTL_TRY(ftl_run_take_outputs(job));
    r->memory_peak_bytes = ftl_peak_bytes(peak); /* timing nodes is no part of a run */
    return time_nodes(job);
}

static ftl_status run_job(ftl_run_job *job)
{
    ftl_device *device = NULL;
    ftl_weight_store *store = NULL;
    char name[FTL_PICK_NAME];
    ftl_peak peak;
    ftl_peak_start(&peak);
    ftl_status s = open_model(job);
    if (s == FTL_OK && job->options->output_folder) /* before minutes are spent on the run */
        s = ftl_file_make_folders(job->options->output_folder);
    if (s == FTL_OK) s = ftl_pick_device(&device, name, job->session.device, note_passed_over, job);
    if (s == FTL_OK) s = ftl_run_keep(job, &job->result.device, name);
    if (s == FTL_OK) s = ftl_weight_store_create(&store, device, job->session.seed);
    if (s == FTL_OK)
        s = ftl_session_create_on(&job->runner, job->model, device, store, &job->session,
                                  report_load, job);
    if (s == FTL_OK) s = use_session(job, &peak);
    ftl_session_destroy(job->runner);
    ftl_weight_store_destroy(store);
    ftl_device_close(device);
    ftl_model_close(job->model);
    return s;
}

ftl_status ftl_run(ftl_run_result **out, const ftl_run_options *options)
{
    *out = NULL;
    ftl_run_job *job = ftl_calloc(1, sizeof *job);
    if (!job)
        return ftl_fail(FTL_ENOMEM, "no memory to run %s",
                        options->model ? options->model : "a model");
    job->options = options;
    job->session = options->session;
    job->result = (ftl_run_result){ .struct_size = sizeof job->result,
                                    .p10_s = NAN,
                                    .p50_s = NAN,
                                    .p90_s = NAN,
                                    .p99_s = NAN,
                                    .picture = "",
                                    .softmax_why = "" };
    const ftl_status s = run_job(job);
    job->options = NULL;
    job->model = NULL;
    job->runner = NULL;
    if (s != FTL_OK) {
        ftl_run_destroy(&job->result);
        return s;
    }
    *out = &job->result;
    return FTL_OK;
}

void ftl_run_destroy(ftl_run_result *result)
{
    if (!result) return;
    ftl_run_job *job = (ftl_run_job *)result; /* its first member */
    ftl_arena_deinit(&job->arena);
    ftl_free(job);
}
