/* SPDX-License-Identifier: Apache-2.0 */
/* The main job: plan, measure the best few and the default in turn, correct the model, check the
 * winner's numbers.
 *
 *   plan --best few + baseline--> sessions on one weight store --rounds A B C A B C--> medians
 *        --per-node times--> what the cost model learns --> stored with the profile
 */
#include <malloc.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/eval.h"
#include "device/meter.h"
#include "fettle/run.h"
#include "plan/plan_internal.h"
#include "plan/profile.h"
#include "run/session_internal.h"

enum { MOST_MEASURED = 4, ROUNDS = 5, MOST_RUNS = 400, NODE_RUNS = 5 };
/* Together a round of all candidates; long enough that a timer tick is noise. */
static const double round_seconds = 0.25, most_seconds = 12;

typedef struct contender {
    int32_t candidate; /* index in the plan */
    ftl_session *session;
    double *seconds; /* of all runs */
    int32_t n;
} contender;

typedef struct fitting {
    ftl_plan_box *box;
    ftl_model *model;
    const ftl_plan_options *options;
    ftl_device *device;
    ftl_weight_store *store;
    contender contenders[MOST_MEASURED];
    int32_t n;
} fitting;

static void report(const fitting *f, const char *what, double done)
{
    if (f->options->progress) f->options->progress(f->options->progress_arg, what, done);
}

/* ---- sessions ------------------------------------------------------------------------------ */

static void report_load(void *arg, uint64_t done, uint64_t total)
{
    report(arg, "loading weights", total ? (double)done / (double)total : 1);
}

static ftl_status add_contender(fitting *f, int32_t candidate)
{
    contender *c = &f->contenders[f->n];
    for (int32_t i = 0; i < f->n; i++)
        if (f->contenders[i].candidate == candidate) return FTL_OK;
    *c = (contender){ .candidate = candidate };
    c->seconds = ftl_calloc(MOST_RUNS, sizeof *c->seconds);
    if (!c->seconds) return ftl_fail(FTL_ENOMEM, "no memory to measure");
    const ftl_session_options o =
        ftl_candidate_session(&f->box->candidates[candidate], f->model, f->options);
    const ftl_status s =
        ftl_session_create_on(&c->session, f->model, f->device, f->store, &o, report_load, f);
    if (s != FTL_OK) {
        ftl_free(c->seconds);
        return s;
    }
    f->n++;
    return ftl_session_set_random_inputs(c->session, f->options->seed);
}

/* The default, and the best by prediction as far as they might still be the best: their low end
 * lies under the high end of the best. */
static ftl_status pick_contenders(fitting *f)
{
    const ftl_plan *plan = &f->box->plan;
    ftl_status last = FTL_OK;
    for (int32_t k = -1; k < plan->n_candidates && f->n < MOST_MEASURED; k++) {
        const int32_t i = k < 0 ? plan->baseline : k;
        if (i < 0 || !plan->candidates[i].fits) continue;
        const ftl_status s = add_contender(f, i);
        if (s == FTL_ENOFIT || s == FTL_ENOMEM) last = s; /* no room for it beside the others */
        else FTL_TRY(s);
    }
    return f->n > 0 ? FTL_OK : last;
}

static void drop_contenders(fitting *f)
{
    for (int32_t i = 0; i < f->n; i++) {
        ftl_session_destroy(f->contenders[i].session);
        ftl_free(f->contenders[i].seconds);
    }
    f->n = 0;
}

/* ---- measuring ----------------------------------------------------------------------------- */

static ftl_status run_for(contender *c, double seconds)
{
    double spent = 0;
    do {
        double one;
        FTL_TRY(ftl_cancel_check());
        FTL_TRY(ftl_session_run(c->session, &one));
        if (c->n < MOST_RUNS) c->seconds[c->n++] = one;
        spent += one;
    } while (spent < seconds && c->n < MOST_RUNS);
    return FTL_OK;
}

/* In turn, so that a disturbance hits all; the order turns round every other time. */
static ftl_status run_rounds(fitting *f)
{
    const int64_t began = ftl_clock_ns();
    for (int32_t i = 0; i < f->n; i++) { /* warm-up: pages, caches, clocks */
        FTL_TRY(ftl_session_run(f->contenders[i].session, NULL));
        FTL_TRY(ftl_session_run(f->contenders[i].session, NULL));
    }
    for (int32_t r = 0; r < ROUNDS; r++) {
        for (int32_t i = 0; i < f->n; i++) {
            report(f, "measuring the best candidates",
                   (double)(r * f->n + i) / (double)(ROUNDS * f->n));
            FTL_TRY(run_for(&f->contenders[r % 2 ? f->n - 1 - i : i], round_seconds));
        }
        if ((double)(ftl_clock_ns() - began) * 1e-9 > most_seconds && r >= 1) break;
    }
    return FTL_OK;
}

static void take_measurements(fitting *f)
{
    for (int32_t i = 0; i < f->n; i++) {
        contender *c = &f->contenders[i];
        ftl_candidate *candidate = &f->box->candidates[c->candidate];
        const ftl_stats stats = ftl_stats_of(c->seconds, (size_t)c->n);
        ftl_measurement *m = &candidate->measured;
        *m = (ftl_measurement){ .latency_s = stats.median,
                                .n = c->n,
                                .energy_j = NAN,
                                .throughput_per_s = (double)candidate->batch / stats.median };
        m->p10_s = ftl_stats_quantile(c->seconds, (size_t)c->n, 0.1);
        m->p90_s = ftl_stats_quantile(c->seconds, (size_t)c->n, 0.9);
        /* A quiet machine repeats a program within a few percent. */
        m->is_disturbed = stats.mad > 0.15 * stats.median;
        candidate->is_measured = true;
    }
}

/* Joules of one run, where a meter can tell.  The profile may be of a day on which there was one:
 * a meter that fails now costs the figure, not the fit. */
static ftl_status measure_energy(fitting *f, contender *one)
{
    const ftl_profile_power *power = &f->box->profile->power;
    ftl_candidate *c = &f->box->candidates[one->candidate];
    if (!power->is_available) return FTL_OK;
    ftl_meter_options o = { .struct_size = sizeof o, .command = f->options->power_meter };
    ftl_meter *meter = NULL;
    ftl_energy reading;
    int64_t runs = 0;
    ftl_status s = ftl_meter_open(&meter, &o);
    if (s == FTL_OK) s = ftl_meter_start(meter);
    const int64_t began = ftl_clock_ns();
    ftl_status run = FTL_OK;
    while (s == FTL_OK && run == FTL_OK && ftl_clock_ns() - began < 3000000000) {
        run = ftl_cancel_check();
        if (run == FTL_OK) run = ftl_session_run(one->session, NULL);
        runs++;
    }
    if (s == FTL_OK && run == FTL_OK) s = ftl_meter_stop(meter, &reading);
    ftl_meter_close(meter);
    FTL_TRY(run);
    if (s != FTL_OK) {
        ftl_log(FTL_LOG_WARNING, "fit", "energy was not measured: %s", ftl_error_text());
        return FTL_OK;
    }
    c->measured.energy_j = (reading.joules - power->idle_w * reading.seconds) / (double)runs;
    return FTL_OK;
}

/* ---- what was learned ---------------------------------------------------------------------- */

static ftl_status learn_from(fitting *f, contender *c)
{
    const ftl_session_node *rows;
    int32_t n;
    const ftl_measurement *whole = &f->box->candidates[c->candidate].measured;
    if (whole->is_disturbed) return FTL_OK; /* noise teaches nothing */
    if (ftl_session_profile(c->session, NODE_RUNS, &rows, &n) != FTL_OK) return FTL_OK;
    /* Single nodes were timed in a few runs of their own: their sum is made that of the many. */
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += rows[i].seconds;
    const double scale = sum > 0 ? whole->latency_s / sum : 1;
    const ftl_prepared *prepared = ftl_session_get_prepared(c->session);
    const ftl_graph_view *v = ftl_graph_get_view(prepared->slice);
    ftl_rates rates;
    FTL_TRY(ftl_rates_from_profile(&rates, f->box->profile, prepared->n_threads));
    ftl_rates_sample *samples = ftl_calloc((size_t)n + 1, sizeof *samples);
    if (!samples) return ftl_fail(FTL_ENOMEM, "no memory to learn from a run");
    for (int32_t i = 0; i < n; i++) {
        samples[i].work = ftl_work_class_of(prepared->slice, &v->nodes[i]);
        ftl_cost_node(&rates, prepared->slice, &v->nodes[i], &samples[i].bound_s);
        samples[i].seconds = rows[i].seconds * scale - rates.step_s;
        if (f->box->plan.n_nodes == n && c->candidate == f->box->plan.chosen)
            f->box->nodes[i].measured_s = rows[i].seconds * scale;
    }
    const ftl_status s = ftl_rates_learn(f->box->profile, prepared->n_threads, samples, (size_t)n);
    ftl_free(samples);
    return s;
}

/* The store is a help, not a duty: what cannot be kept is said and forgotten. */
static void keep_profile(const fitting *f)
{
    ftl_profile_store *store = NULL;
    if (!f->options->cache_folder) return;
    ftl_status s = ftl_profile_store_open(&store, f->options->cache_folder, false);
    if (s == FTL_OK) s = ftl_profile_store_save(store, f->box->profile);
    ftl_profile_store_close(store);
    if (s != FTL_OK)
        ftl_log(FTL_LOG_WARNING, "fit", "what was learned is not kept: %s", ftl_error_text());
}

static ftl_status learn(fitting *f)
{
    for (int32_t i = 0; i < f->n; i++) FTL_TRY(learn_from(f, &f->contenders[i]));
    keep_profile(f);
    return FTL_OK;
}

/* ---- the winner's numbers ------------------------------------------------------------------ */

/* Largest difference over the largest value, of two outputs of f32; infinite where one of them is
 * not finite and the other is something else. */
static double worst_difference(const float *a, const float *b, int64_t n)
{
    double worst = 0, scale = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) {
            const bool is_same = (isnan(a[i]) && isnan(b[i])) || (isinf(a[i]) && a[i] == b[i]);
            if (!is_same) return INFINITY;
            continue;
        }
        const double d = fabs((double)a[i] - (double)b[i]);
        if (d > worst) worst = d;
        if (fabs((double)b[i]) > scale) scale = fabs((double)b[i]);
    }
    return scale > 0 ? worst / scale : worst;
}

/* Every contender computes the same thing from the same inputs: the winner against the default. */
static ftl_status check_numbers(fitting *f, contender *winner, contender *other)
{
    const ftl_tensor_desc *d = ftl_session_output_desc(winner->session, 0);
    const ftl_tensor_desc *e = ftl_session_output_desc(other->session, 0);
    if (winner == other || !d || !e || !ftl_desc_equal(d, e) || d->dtype != FTL_DTYPE_F32)
        return FTL_OK;
    const size_t bytes = ftl_desc_bytes_checked(d);
    float *a = ftl_alloc(bytes + 1), *b = ftl_alloc(bytes + 1); /* + 1: it may be empty */
    ftl_status s = a && b ? FTL_OK : ftl_fail(FTL_ENOMEM, "no memory to compare outputs");
    if (s == FTL_OK) s = ftl_session_get_output(winner->session, 0, a, bytes);
    if (s == FTL_OK) s = ftl_session_get_output(other->session, 0, b, bytes);
    if (s == FTL_OK) f->box->plan.output_error = worst_difference(a, b, ftl_desc_count_checked(d));
    ftl_free(a);
    ftl_free(b);
    return s;
}

/* ---- memory -------------------------------------------------------------------------------- */

/* Loads and runs the winner once more, alone: peak resident memory above what was there before. */
static ftl_status measure_memory(fitting *f)
{
    ftl_candidate *c = &f->box->candidates[f->box->plan.chosen];
    const ftl_session_options o = ftl_candidate_session(c, f->model, f->options);
    ftl_session *session = NULL;
    ftl_peak peak;
    drop_contenders(f);
    ftl_weight_store_destroy(f->store);
    f->store = NULL;
    malloc_trim(0); /* what was freed must not hide what is allocated now */
    ftl_peak_start(&peak);
    FTL_TRY(ftl_weight_store_create(&f->store, f->device, f->options->seed));
    ftl_status s =
        ftl_session_create_on(&session, f->model, f->device, f->store, &o, report_load, f);
    if (s == FTL_OK) s = ftl_session_set_random_inputs(session, f->options->seed);
    if (s == FTL_OK) s = ftl_session_run(session, NULL);
    if (s == FTL_OK) c->measured.memory_bytes = ftl_peak_bytes(&peak);
    ftl_session_destroy(session);
    return s;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static contender *contender_of(fitting *f, int32_t candidate)
{
    for (int32_t i = 0; i < f->n; i++)
        if (f->contenders[i].candidate == candidate) return &f->contenders[i];
    return NULL;
}

/* Indices follow their candidates when the plan is sorted again. */
static void rank_again(fitting *f)
{
    ftl_candidate before[MOST_MEASURED];
    for (int32_t i = 0; i < f->n; i++) before[i] = f->box->candidates[f->contenders[i].candidate];
    ftl_plan_rank(f->box);
    for (int32_t i = 0; i < f->n; i++)
        for (int32_t k = 0; k < f->box->plan.n_candidates; k++) {
            const ftl_candidate *c = &f->box->candidates[k];
            if (c->n_threads == before[i].n_threads && c->batch == before[i].batch &&
                c->is_measured)
                f->contenders[i].candidate = k;
        }
}

static void set_gain(ftl_plan *plan)
{
    if (plan->chosen < 0 || plan->baseline < 0) return;
    const ftl_candidate *best = &plan->candidates[plan->chosen];
    const ftl_candidate *base = &plan->candidates[plan->baseline];
    if (!best->is_measured || !base->is_measured) return;
    if (plan->goal == FTL_GOAL_ENERGY &&
        (isnan(best->measured.energy_j) || isnan(base->measured.energy_j)))
        return; /* a gain is measured or it is none */
    const ftl_goal goal = plan->goal == FTL_GOAL_MEMORY ? FTL_GOAL_LATENCY : plan->goal;
    plan->gain = ftl_candidate_score(base, goal) / ftl_candidate_score(best, goal);
}

/* The winner may be another than the one that the plan described: its rows and its flops. */
static ftl_status describe_winner(fitting *f, const contender *winner)
{
    const ftl_prepared *prepared = ftl_session_get_prepared(winner->session);
    ftl_rates rates;
    FTL_TRY(ftl_rates_from_profile(&rates, f->box->profile, prepared->n_threads));
    return ftl_plan_list_nodes(f->box, prepared->slice, &rates);
}

static ftl_status measure_all(fitting *f)
{
    const char *device = f->box->candidates[f->box->plan.chosen].device;
    FTL_TRY(ftl_device_open_name(&f->device, device, NULL));
    FTL_TRY(ftl_weight_store_create(&f->store, f->device, f->options->seed));
    FTL_TRY(pick_contenders(f));
    FTL_TRY(run_rounds(f));
    take_measurements(f);
    rank_again(f);
    contender *winner = contender_of(f, f->box->plan.chosen);
    contender *base = contender_of(f, f->box->plan.baseline);
    if (winner && base) FTL_TRY(check_numbers(f, winner, base));
    if (winner) FTL_TRY(describe_winner(f, winner));
    if (winner) FTL_TRY(measure_energy(f, winner));
    if (base && base != winner && f->options->goal == FTL_GOAL_ENERGY)
        FTL_TRY(measure_energy(f, base));
    set_gain(&f->box->plan);
    FTL_TRY(learn(f));
    return measure_memory(f);
}

ftl_status ftl_fit(ftl_plan **out, ftl_model *model, const ftl_plan_options *options)
{
    *out = NULL;
    if (options->n_on > 0)
        return ftl_fail(FTL_EINVAL, "fit runs on this machine; plan --on prices others");
    ftl_plan *plan = NULL;
    FTL_TRY(ftl_plan_create(&plan, model, options));
    fitting f = { .box = ftl_plan_box_of(plan), .model = model, .options = options };
    f.box->is_fit = true;
    ftl_status s = FTL_OK;
    if (plan->chosen >= 0) s = measure_all(&f);
    drop_contenders(&f);
    ftl_weight_store_destroy(f.store);
    ftl_device_close(f.device);
    if (s != FTL_OK) {
        ftl_plan_destroy(plan);
        return s;
    }
    *out = plan;
    return FTL_OK;
}
