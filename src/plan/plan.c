/* SPDX-License-Identifier: Apache-2.0 */
/* Candidates, their price, and the choice. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/text.h"
#include "plan/plan_internal.h"

enum { MOST_THREAD_COUNTS = 16, MOST_BATCHES = 8, MOST_CANDIDATES = 256 };
static const double quick_seconds = 2, first_use_seconds = 10;

/* Where a candidate runs and what its numbers rest on. */
typedef struct machine {
    const char *device;         /* spelling for the plan      */
    const char *name;           /* "this machine", a path, a chip */
    const char *source;         /* of predictions             */
    const ftl_profile *profile; /* measured, or NULL        */
    const ftl_chip *chip;       /* data sheet, or NULL      */
    uint64_t memory_bytes;      /* that may be used; 0: unknown */
    uint32_t n_cores;
} machine;

typedef struct planning {
    ftl_plan_box *box;
    const ftl_model *model;
    const ftl_plan_options *options;
    ftl_device *device; /* whose programs are priced */
} planning;

/* ---- the object ---------------------------------------------------------------------------- */

static ftl_status no_memory(void)
{
    return ftl_fail(FTL_ENOMEM, "no memory for a plan");
}

static const char *keep_text(ftl_plan_box *box, const char *text)
{
    const char *copy = ftl_arena_strdup(&box->arena, text);
    return copy ? copy : "";
}

void ftl_plan_destroy(ftl_plan *plan)
{
    if (!plan) return;
    ftl_plan_box *box = ftl_plan_box_of(plan);
    ftl_profile_destroy(box->profile);
    ftl_arena_deinit(&box->arena);
    ftl_free(box);
}

const char *ftl_goal_name(ftl_goal goal)
{
    static const char *const names[] = { "latency", "throughput", "energy", "memory" };
    return names[goal];
}

static ftl_status box_create(ftl_plan_box **out, const ftl_model *model,
                             const ftl_plan_options *options)
{
    const ftl_model_info *info = ftl_model_get_info(model);
    ftl_plan_box *box = *out = ftl_calloc(1, sizeof *box);
    if (!box) return no_memory();
    box->plan = (ftl_plan){ .struct_size = sizeof box->plan,
                            .has_weights = info->has_weights,
                            .goal = options->goal,
                            .n_weights = info->n_weights,
                            .chosen = -1,
                            .baseline = -1,
                            .output_error = -1 };
    box->plan.model = keep_text(box, info->spelling);
    box->room = MOST_CANDIDATES;
    box->candidates = ftl_arena_array(&box->arena, MOST_CANDIDATES, sizeof *box->candidates);
    box->spare = ftl_arena_array(&box->arena, MOST_CANDIDATES, sizeof *box->spare);
    box->plan.candidates = box->candidates;
    return box->candidates && box->spare ? FTL_OK : no_memory();
}

/* ---- passed over --------------------------------------------------------------------------- */

static ftl_status pass_over(ftl_plan_box *box, const char *device, const char *why)
{
    ftl_passed_over *rows =
        ftl_arena_array(&box->arena, (size_t)box->plan.n_passed_over + 1, sizeof *rows);
    if (!rows) return no_memory();
    if (box->plan.n_passed_over)
        memcpy(rows, box->plan.passed_over, (size_t)box->plan.n_passed_over * sizeof *rows);
    rows[box->plan.n_passed_over++] =
        (ftl_passed_over){ keep_text(box, device), keep_text(box, why) };
    box->plan.passed_over = rows;
    return FTL_OK;
}

/* The first device of the list "a,b" that opens; "auto" is every backend in its order.  What was
 * passed over is named with the reason. */
static ftl_status open_device(planning *p, const char **spelling)
{
    const char *asked = p->options->device ? p->options->device : "auto";
    char name[512];
    if (strcmp(asked, "auto") == 0) {
        for (int32_t i = 0; ftl_backend_at(i); i++) {
            ftl_device *d = NULL;
            ftl_device_info info = { 0 };
            const char *backend = ftl_backend_at(i)->name;
            ftl_status s = ftl_device_open(&d, ftl_backend_at(i), NULL);
            if (s == FTL_OK) s = ftl_device_get_info(d, &info);
            const bool is_emulated = s == FTL_OK && (info.caps & FTL_CAP_EMULATED);
            if (s == FTL_OK && !is_emulated && !p->device) {
                p->device = d;
                *spelling = backend;
                continue;
            }
            ftl_device_close(d);
            if (!is_emulated)
                FTL_TRY(pass_over(p->box, backend,
                                  s == FTL_OK ? "another stands before it" : ftl_error_text()));
        }
        return p->device ? FTL_OK : ftl_fail(FTL_ENOTFOUND, "no device can be used");
    }
    for (const char *at = asked; *at && !p->device;) {
        const size_t length = strcspn(at, ",");
        if (length == 0 || length >= sizeof name)
            return ftl_fail(FTL_EINVAL, "device \"%s\" is no list of names", asked);
        memcpy(name, at, length);
        name[length] = 0;
        at += length + (at[length] == ',');
        const ftl_status s = ftl_device_open_name(&p->device, name, NULL);
        if (s != FTL_OK && !*at && p->box->plan.n_passed_over == 0) return s;
        if (s != FTL_OK) FTL_TRY(pass_over(p->box, name, ftl_error_text()));
        *spelling = keep_text(p->box, name);
    }
    return p->device ? FTL_OK
                     : ftl_fail(FTL_ENOTFOUND, "none of \"%s\" can be used: %s", asked,
                                p->box->plan.passed_over[0].why);
}

/* ---- profiles ------------------------------------------------------------------------------ */

typedef struct bench_bridge {
    const ftl_plan_options *options;
} bench_bridge;

static void report_bench(void *user, double done, const char *what)
{
    const ftl_plan_options *o = ((const bench_bridge *)user)->options;
    (void)what;
    if (o->progress) o->progress(o->progress_arg, "measuring this machine", done);
}

/* The stored profile of this machine and device, else a short one. */
static ftl_status get_profile(planning *p, const char *device)
{
    const ftl_plan_options *o = p->options;
    if (p->box->profile) return FTL_OK; /* "here" may be named twice */
    if (o->cache_folder &&
        ftl_profile_find(&p->box->profile, o->cache_folder, "latest") == FTL_OK &&
        strcmp(p->box->profile->device, device) == 0)
        return FTL_OK;
    ftl_profile_destroy(p->box->profile);
    p->box->profile = NULL;
    bench_bridge bridge = { o };
    ftl_bench_options b = FTL_BENCH_OPTIONS_INIT;
    b.device = device;
    b.is_quick = true;
    b.seconds = o->is_quick ? quick_seconds : first_use_seconds;
    b.cache_folder = o->cache_folder;
    b.power_meter_command = o->power_meter;
    b.progress = report_bench;
    b.user = &bridge;
    return ftl_bench(&p->box->profile, NULL, &b);
}

static const char *profile_source(ftl_plan_box *box, const ftl_profile *profile)
{
    char day[32] = "?";
    const time_t t = (time_t)profile->time_s;
    struct tm parts;
    if (gmtime_r(&t, &parts)) strftime(day, sizeof day, "%Y-%m-%d", &parts);
    const char *text =
        ftl_arena_printf(&box->arena, "%sprofile of %s", profile->is_quick ? "short " : "", day);
    return text ? text : "";
}

/* ---- one candidate ------------------------------------------------------------------------- */

static void set_energy(ftl_plan_box *box, const machine *m, ftl_prediction *out)
{
    out->energy_j = NAN;
    out->energy_source = "";
    if (m->profile && m->profile->power.is_available) {
        const double watts = m->profile->power.active_w - m->profile->power.idle_w;
        out->energy_j = watts * out->latency_s;
        const char *text =
            ftl_arena_printf(&box->arena, "%s, idle subtracted", m->profile->power.method);
        out->energy_source = text ? text : "";
    } else if (m->profile) {
        out->energy_source = keep_text(box, m->profile->power.why); /* outlives the profile */
    } else if (m->chip && m->chip->tdp_w > 0) {
        /* Chips under inference load draw a good half of what they may. */
        static const double of_tdp = 0.6;
        out->energy_j = m->chip->tdp_w * of_tdp * out->latency_s;
        out->energy_source = "catalogue power model";
    } else {
        out->energy_source = "the data sheet states no power";
    }
}

static const char *limit_of(const ftl_cost_estimate *e)
{
    if (e->overhead_s > e->flops_s && e->overhead_s > e->bytes_s) return "overhead";
    return e->flops_s >= e->bytes_s ? "arithmetic" : "memory bandwidth";
}

/* Why a candidate is out, in a sentence; "" when it is in. */
static ftl_status judge(planning *p, const machine *m, ftl_candidate *c)
{
    const ftl_plan_options *o = p->options;
    ftl_plan_box *box = p->box;
    uint64_t limit = m->memory_bytes;
    if (o->max_memory_bytes && (!limit || o->max_memory_bytes < limit)) limit = o->max_memory_bytes;
    c->reason = "";
    c->fits = !limit || c->predicted.memory_bytes <= limit;
    char need[32], have[32];
    if (!c->fits) {
        c->missing_bytes = c->predicted.memory_bytes - limit;
        const char *text =
            ftl_arena_printf(&box->arena, "needs %s of %s",
                             ftl_text_bytes(need, sizeof need, (double)c->predicted.memory_bytes),
                             ftl_text_bytes(have, sizeof have, (double)limit));
        if (!text) return no_memory();
        c->reason = text;
    } else if (o->max_latency_s > 0 && c->predicted.latency_s > o->max_latency_s) {
        c->fits = false;
        const char *text =
            ftl_arena_printf(&box->arena, "takes %s, %s are allowed",
                             ftl_text_seconds(need, sizeof need, c->predicted.latency_s),
                             ftl_text_seconds(have, sizeof have, o->max_latency_s));
        if (!text) return no_memory();
        c->reason = text;
    }
    return FTL_OK;
}

static ftl_status add_candidate(planning *p, const machine *m, const ftl_prepared *prepared,
                                int64_t batch, uint32_t n_threads)
{
    ftl_plan_box *box = p->box;
    if (box->plan.n_candidates == box->room) return FTL_OK; /* enough to choose from */
    ftl_rates rates;
    FTL_TRY(m->chip ? ftl_rates_from_chip(&rates, m->chip)
                    : ftl_rates_from_profile(&rates, m->profile, n_threads));
    ftl_cost_estimate e;
    ftl_cost_graph(&rates, prepared->slice, &e);
    ftl_session_memory memory;
    FTL_TRY(ftl_prepared_memory(prepared, &memory));
    ftl_candidate *c = &box->candidates[box->plan.n_candidates];
    *c = (ftl_candidate){ .device = m->device,
                          .machine = m->name,
                          .n_threads = n_threads,
                          .batch = batch,
                          .dtype = "f32",
                          .layout = "packed" };
    c->predicted = (ftl_prediction){ .latency_s = e.seconds,
                                     .latency_low_s = e.low_s,
                                     .latency_high_s = e.high_s,
                                     .throughput_per_s = (double)batch / e.seconds,
                                     .memory_bytes = memory.total_bytes,
                                     .method = "predicted",
                                     .source = m->source,
                                     .limit = limit_of(&e) };
    set_energy(box, m, &c->predicted);
    FTL_TRY(judge(p, m, c));
    box->plan.n_candidates++;
    return FTL_OK;
}

/* ---- what is tried ------------------------------------------------------------------------- */

/* The batch that was given, as such or as a named dim; 0: none was. */
static int64_t asked_batch(const planning *p)
{
    const ftl_model_info *info = ftl_model_get_info(p->model);
    int64_t batch = p->options->batch;
    for (int32_t i = 0; info->batch_dim && i < p->options->n_dims; i++) /* dims win, as in run */
        if (strcmp(p->options->dims[i].name, info->batch_dim) == 0)
            batch = p->options->dims[i].value;
    return batch > 0 ? batch : 0;
}

static int64_t first_batch(const planning *p)
{
    const ftl_model_info *info = ftl_model_get_info(p->model);
    if (asked_batch(p)) return asked_batch(p);
    for (int32_t i = 0; info->batch_dim && i < info->n_dims; i++)
        if (strcmp(info->dims[i].name, info->batch_dim) == 0 && info->dims[i].default_value > 0)
            return info->dims[i].default_value;
    return 1;
}

static int32_t list_batches(const planning *p, int64_t *out)
{
    const ftl_plan_options *o = p->options;
    const int64_t given = first_batch(p);
    const bool may_vary = asked_batch(p) == 0 && ftl_model_get_info(p->model)->batch_dim &&
                          (o->goal == FTL_GOAL_THROUGHPUT || o->goal == FTL_GOAL_ENERGY);
    int32_t n = 0;
    out[n++] = given;
    for (int64_t b = given; may_vary && n < 5 && b <= INT32_MAX / 2;) out[n++] = b *= 2;
    return n;
}

/* 1, 2, 4, ... and one a core. */
static int32_t list_threads(const planning *p, const machine *m, uint32_t *out)
{
    int32_t n = 0;
    if (m->chip) {
        out[n++] = m->n_cores;
    } else if (p->options->n_threads) {
        out[n++] = p->options->n_threads;
    } else {
        for (uint32_t t = 1; t < m->n_cores && n < MOST_THREAD_COUNTS - 1; t *= 2) out[n++] = t;
        out[n++] = m->n_cores;
    }
    return n;
}

static ftl_status prepare_batch(ftl_prepared *out, const planning *p, int64_t batch)
{
    ftl_session_options o = FTL_SESSION_OPTIONS_INIT;
    /* A batch that was asked for and cannot be had is refused by ftl_prepare_dims(). */
    const bool has_batch = ftl_model_get_info(p->model)->batch_dim || p->options->batch > 0;
    o.batch = has_batch ? batch : 0;
    o.dims = p->options->dims;
    o.n_dims = p->options->n_dims;
    ftl_dim_value *dims = ftl_calloc((size_t)o.n_dims + 1, sizeof *dims);
    int32_t n_dims = 0;
    if (!dims) return no_memory();
    ftl_status s = ftl_prepare_dims(dims, &n_dims, p->model, &o);
    if (s == FTL_OK) s = ftl_prepared_init(out, p->model, p->device, dims, n_dims);
    ftl_free(dims);
    return s;
}

static ftl_status try_machines(planning *p, const machine *machines, int32_t n_machines)
{
    int64_t batches[MOST_BATCHES];
    const int32_t n_batches = list_batches(p, batches);
    for (int32_t b = 0; b < n_batches; b++) {
        ftl_prepared prepared = { 0 };
        ftl_status s = prepare_batch(&prepared, p, batches[b]);
        for (int32_t k = 0; s == FTL_OK && k < n_machines; k++) {
            uint32_t threads[MOST_THREAD_COUNTS];
            const int32_t n_threads = list_threads(p, &machines[k], threads);
            for (int32_t t = 0; s == FTL_OK && t < n_threads; t++) {
                s = ftl_cancel_check();
                /* A chip's program is priced from the graph; its memory from one thread's. */
                if (s == FTL_OK)
                    s = ftl_prepared_compile(&prepared, machines[k].chip ? 1 : threads[t], NULL);
                if (s == FTL_OK)
                    s = add_candidate(p, &machines[k], &prepared, batches[b],
                                      machines[k].chip ? 0 : threads[t]);
            }
        }
        ftl_prepared_deinit(&prepared);
        FTL_TRY(s);
    }
    return FTL_OK;
}

/* ---- the choice ---------------------------------------------------------------------------- */

double ftl_candidate_score(const ftl_candidate *c, ftl_goal goal)
{
    const double seconds = c->is_measured ? c->measured.latency_s : c->predicted.latency_s;
    const double latency = isnan(seconds) ? INFINITY : seconds; /* sorting needs an order */
    const double energy = c->is_measured && !isnan(c->measured.energy_j) ? c->measured.energy_j
                                                                         : c->predicted.energy_j;
    switch (goal) {
    case FTL_GOAL_LATENCY: return latency;
    case FTL_GOAL_THROUGHPUT: return latency / (double)c->batch;
    case FTL_GOAL_ENERGY: return (isnan(energy) ? latency : energy) / (double)c->batch;
    case FTL_GOAL_MEMORY: break;
    }
    /* Pages decide; among equals the faster one. */
    return (double)(c->predicted.memory_bytes >> 12) + latency / (latency + 1);
}

/* qsort has no argument: the goal goes along in the rows. */
typedef struct ranked {
    double score;
    int32_t index;
    bool fits, is_measured;
} ranked;

static int compare_ranked(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->fits != y->fits) return x->fits ? -1 : 1;
    if (x->is_measured != y->is_measured) return x->is_measured ? -1 : 1;
    if (x->score < y->score || x->score > y->score) return x->score < y->score ? -1 : 1;
    return x->index - y->index;
}

void ftl_plan_rank(ftl_plan_box *box)
{
    ranked rows[MOST_CANDIDATES];
    ftl_candidate *sorted = box->spare;
    const int32_t n = box->plan.n_candidates;
    int32_t baseline = -1;
    for (int32_t i = 0; i < n; i++)
        rows[i] = (ranked){ ftl_candidate_score(&box->candidates[i], box->plan.goal), i,
                            box->candidates[i].fits, box->candidates[i].is_measured };
    qsort(rows, (size_t)n, sizeof *rows, compare_ranked);
    for (int32_t i = 0; i < n; i++) {
        sorted[i] = box->candidates[rows[i].index];
        if (rows[i].index == box->plan.baseline) baseline = i;
    }
    box->spare = box->candidates;
    box->candidates = sorted;
    box->plan.candidates = sorted;
    box->plan.baseline = baseline;
    box->plan.chosen = n > 0 && box->candidates[0].fits ? 0 : -1;
}

/* One thread a core, batch as given. */
static void find_baseline(planning *p, const machine *here)
{
    const int64_t batch = first_batch(p);
    for (int32_t i = 0; i < p->box->plan.n_candidates; i++) {
        const ftl_candidate *c = &p->box->candidates[i];
        if (strcmp(c->machine, here->name) == 0 && c->batch == batch &&
            (c->n_threads == here->n_cores || p->options->n_threads))
            p->box->plan.baseline = i;
    }
}

ftl_status ftl_plan_list_nodes(ftl_plan_box *box, const ftl_graph *slice, const ftl_rates *rates)
{
    const ftl_graph_view *v = ftl_graph_get_view(slice);
    ftl_plan_node *nodes = ftl_arena_array(&box->arena, (size_t)v->n_nodes + 1, sizeof *nodes);
    if (!nodes) return no_memory();
    box->plan.flops = 0;
    for (int32_t n = 0; n < v->n_nodes; n++) {
        ftl_op_cost cost;
        ftl_node_cost(slice, &v->nodes[n], NULL, &cost);
        nodes[n] =
            (ftl_plan_node){ .op = ftl_op_get_info(v->nodes[n].op)->name,
                             .name = keep_text(box, v->nodes[n].name),
                             .flops = cost.flops,
                             .bytes = cost.bytes_read + cost.bytes_written,
                             .predicted_s = ftl_cost_node(rates, slice, &v->nodes[n], NULL) };
        box->plan.flops += cost.flops;
    }
    box->nodes = nodes;
    box->plan.nodes = nodes;
    box->plan.n_nodes = v->n_nodes;
    return FTL_OK;
}

/* Per-layer rows of the best candidate, and the smallest change when nothing fits. */
static ftl_status describe_best(planning *p, const machine *machines, int32_t n_machines)
{
    if (p->box->plan.n_candidates == 0) return FTL_OK;
    const ftl_candidate *best = &p->box->candidates[0];
    const machine *m = &machines[0];
    for (int32_t i = 0; i < n_machines; i++)
        if (strcmp(machines[i].name, best->machine) == 0) m = &machines[i];
    ftl_rates rates;
    ftl_prepared prepared = { 0 };
    FTL_TRY(m->chip ? ftl_rates_from_chip(&rates, m->chip)
                    : ftl_rates_from_profile(&rates, m->profile, best->n_threads));
    FTL_TRY(prepare_batch(&prepared, p, best->batch));
    const ftl_status s = ftl_plan_list_nodes(p->box, prepared.slice, &rates);
    ftl_prepared_deinit(&prepared);
    return s;
}

/* "batch 4 would fit", into the reason of the first candidate, or nothing smaller. */
static ftl_status suggest_smaller(planning *p)
{
    ftl_candidate *c = &p->box->candidates[0];
    int64_t batch = c->batch / 2;
    const char *text = NULL;
    for (; batch >= 1 && ftl_model_get_info(p->model)->batch_dim && !text; batch /= 2) {
        ftl_prepared prepared = { 0 };
        ftl_session_memory memory;
        ftl_status s = prepare_batch(&prepared, p, batch);
        if (s == FTL_OK) s = ftl_prepared_compile(&prepared, 1, NULL);
        if (s == FTL_OK) s = ftl_prepared_memory(&prepared, &memory);
        ftl_prepared_deinit(&prepared);
        FTL_TRY(s);
        if (memory.total_bytes <= c->predicted.memory_bytes - c->missing_bytes)
            text = ftl_arena_printf(&p->box->arena, "%s; --batch %lld --threads 1 would fit",
                                    c->reason, (long long)batch);
    }
    if (!text)
        text = ftl_arena_printf(&p->box->arena, "%s; %s", c->reason,
                                ftl_model_get_info(p->model)->batch_dim
                                    ? "no smaller batch would fit"
                                    : "the model's batch is fixed");
    if (!text) return no_memory();
    c->reason = text;
    return FTL_OK;
}

/* ---- machines ------------------------------------------------------------------------------ */

static ftl_status this_machine(planning *p, machine *m, const char *device)
{
    ftl_device_info info;
    ftl_queue *queue = NULL;
    FTL_TRY(ftl_device_get_info(p->device, &info));
    FTL_TRY(ftl_queue_create(&queue, p->device, 0));
    const uint32_t cores = ftl_queue_threads(queue);
    ftl_queue_destroy(queue);
    FTL_TRY(get_profile(p, device));
    *m = (machine){ .device = device,
                    .name = "this machine",
                    .profile = p->box->profile,
                    .source = profile_source(p->box, p->box->profile),
                    .memory_bytes = info.free_bytes,
                    .n_cores = cores };
    return FTL_OK;
}

/* A profile by path, or a chip of the catalogue.  *owned: the profile that was read, or NULL. */
static ftl_status other_machine(planning *p, machine *m, const char *spelling, ftl_profile **owned)
{
    const ftl_chip *chip = NULL;
    const bool is_path = strchr(spelling, '/') || strstr(spelling, ".json");
    *owned = NULL;
    if (!is_path) {
        FTL_TRY(ftl_catalogue_find(&chip, spelling));
        ftl_rates rates;
        FTL_TRY(ftl_rates_from_chip(&rates, chip)); /* FTL_EUNSUPPORTED: passed over */
        const char *source =
            ftl_arena_printf(&p->box->arena, "data sheet: %s%s", chip->title,
                             chip->f32_flops_per_s > 0 ? "" : " (f16 peak, it states no f32)");
        *m = (machine){ .device = chip->name,
                        .name = chip->name,
                        .source = source ? source : "",
                        .chip = chip,
                        .memory_bytes = chip->memory_bytes,
                        .n_cores = chip->n_cores };
        return FTL_OK;
    }
    FTL_TRY(ftl_profile_import(owned, spelling));
    *m = (machine){ .device = keep_text(p->box, (*owned)->device),
                    .name = keep_text(p->box, spelling),
                    .profile = *owned,
                    .source = profile_source(p->box, *owned),
                    .n_cores = (uint32_t)((*owned)->threads > 0 ? (*owned)->threads : 1) };
    return FTL_OK;
}

/* All that --on names, or this machine; those of which too little is known are passed over. */
static ftl_status list_machines(planning *p, const char *device, machine *machines,
                                ftl_profile **owned, int32_t *n_machines)
{
    const ftl_plan_options *o = p->options;
    *n_machines = 0;
    if (o->n_on <= 0) {
        FTL_TRY(this_machine(p, &machines[0], device));
        *n_machines = 1;
        return FTL_OK;
    }
    for (int32_t i = 0; i < o->n_on; i++) {
        machine *m = &machines[*n_machines];
        const ftl_status s = strcmp(o->on[i], "here") == 0
                                 ? this_machine(p, m, device)
                                 : other_machine(p, m, o->on[i], &owned[i]);
        if (s == FTL_OK) (*n_machines)++;
        else if (s == FTL_EUNSUPPORTED) FTL_TRY(pass_over(p->box, o->on[i], ftl_error_text()));
        else return s;
    }
    if (*n_machines == 0)
        return ftl_fail(FTL_EUNSUPPORTED, "none of the machines can be priced: %s",
                        p->box->plan.passed_over[p->box->plan.n_passed_over - 1].why);
    return FTL_OK;
}

static ftl_status make_plan(planning *p)
{
    const ftl_plan_options *o = p->options;
    const char *device = "cpu";
    FTL_TRY(open_device(p, &device));
    const int32_t n = o->n_on > 0 ? o->n_on : 1;
    machine *machines = ftl_calloc((size_t)n, sizeof *machines);
    ftl_profile **owned = ftl_calloc((size_t)n, sizeof(ftl_profile *));
    ftl_status s = machines && owned ? FTL_OK : no_memory();
    int32_t n_machines = 0;
    if (s == FTL_OK) s = list_machines(p, device, machines, owned, &n_machines);
    if (s == FTL_OK) s = try_machines(p, machines, n_machines);
    if (s == FTL_OK) {
        find_baseline(p, &machines[0]);
        ftl_plan_rank(p->box);
        s = describe_best(p, machines, n_machines);
    }
    if (s == FTL_OK && p->box->plan.chosen < 0 && p->box->plan.n_candidates > 0 &&
        p->box->candidates[0].missing_bytes > 0)
        s = suggest_smaller(p);
    for (int32_t i = 0; owned && i < n; i++) ftl_profile_destroy(owned[i]);
    ftl_free(owned);
    ftl_free(machines);
    return s;
}

ftl_status ftl_plan_create(ftl_plan **out, ftl_model *model, const ftl_plan_options *options)
{
    planning p = { .model = model, .options = options };
    *out = NULL;
    ftl_status s = box_create(&p.box, model, options);
    if (s == FTL_OK) s = make_plan(&p);
    ftl_device_close(p.device);
    if (s != FTL_OK) {
        ftl_plan_destroy(p.box ? &p.box->plan : NULL);
        return s;
    }
    *out = &p.box->plan;
    return FTL_OK;
}

ftl_session_options ftl_candidate_session(const ftl_candidate *candidate, const ftl_model *model,
                                          const ftl_plan_options *options)
{
    ftl_session_options o = FTL_SESSION_OPTIONS_INIT;
    o.device = candidate->device;
    o.n_threads = candidate->n_threads;
    o.batch = ftl_model_get_info(model)->batch_dim ? candidate->batch : 0; /* 0: it is fixed */
    o.dims = options->dims;
    o.n_dims = options->n_dims;
    o.seed = options->seed;
    o.max_memory_bytes = options->max_memory_bytes;
    return o;
}
