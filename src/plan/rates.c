/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/rates.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plan/profile.h"

static const char *const level_names[FTL_LEVELS] = { "L1", "L2", "L3", "memory" };

/* ---- rows ---------------------------------------------------------------------------------- */

static bool is_usable(const ftl_profile_row *row)
{
    return !(row->flags & FTL_PROFILE_FAULT) && row->median > 0 && isfinite(row->median);
}

/* Median of the row of a kind with so many threads; the name may be NULL.  0: no such row. */
static double find_row(const ftl_profile *p, int32_t kind, int32_t threads, const char *name)
{
    for (size_t i = 0; i < p->n_rows; i++) {
        const ftl_profile_row *r = &p->rows[i];
        const bool is_typed = kind != FTL_PROFILE_PEAK || r->dtype == FTL_DTYPE_F32;
        if (r->kind == kind && r->threads == threads && is_typed && is_usable(r) &&
            (!name || strcmp(r->name, name) == 0))
            return r->median;
    }
    return 0;
}

/* The rate at a number of threads between 1 and all: linear between what was measured. */
static double rate_at(const ftl_profile *p, int32_t kind, uint32_t threads, const char *name)
{
    const double exact = find_row(p, kind, (int32_t)threads, name);
    const double one = find_row(p, kind, 1, name), all = find_row(p, kind, p->threads, name);
    if (exact > 0 || one <= 0) return exact > 0 ? exact : all;
    if (all <= 0 || p->threads <= 1) return one;
    const double share = (double)(threads - 1) / (double)(p->threads - 1);
    return one + (all - one) * (share < 1 ? share : 1);
}

static double working_set(const ftl_profile *p, const char *name)
{
    for (size_t i = 0; i < p->n_rows; i++)
        if (p->rows[i].kind == FTL_PROFILE_READ && strcmp(p->rows[i].name, name) == 0)
            return (double)p->rows[i].dim[0];
    return 0;
}

/* ---- efficiencies -------------------------------------------------------------------------- */

/* The threads whose rows speak for a candidate: its own, or the nearest that were measured. */
static int32_t speaking_threads(const ftl_profile *p, uint32_t n_threads)
{
    return n_threads <= 1 || p->threads <= 1 ? 1 : p->threads;
}

static bool class_of_row(const ftl_profile_row *r, ftl_work_class *out)
{
    if (r->kind == FTL_PROFILE_GEMM) {
        *out = r->dim[0] < 8 ? FTL_WORK_GEMV : FTL_WORK_GEMM;
        return true;
    }
    if (r->kind == FTL_PROFILE_CONV) {
        const int64_t kernel = r->dim[5], stride = r->dim[6], groups = r->dim[7];
        if (groups > 1)
            *out = groups == r->dim[1] ? FTL_WORK_CONV_DEPTHWISE : FTL_WORK_CONV_GROUPED;
        else if (kernel == 1 && stride == 1) *out = FTL_WORK_CONV_1X1;
        else *out = kernel > 3 ? FTL_WORK_CONV_LARGE : FTL_WORK_CONV_3X3;
        return true;
    }
    if (r->kind != FTL_PROFILE_STREAM) return false;
    static const struct {
        const char *name;
        ftl_work_class work;
    } names[] = { { "add", FTL_WORK_ELEMENTWISE },  { "relu", FTL_WORK_ELEMENTWISE },
                  { "gelu", FTL_WORK_ELEMENTWISE }, { "batch_norm", FTL_WORK_ELEMENTWISE },
                  { "softmax", FTL_WORK_NORM },     { "layer_norm", FTL_WORK_NORM },
                  { "reduce_mean", FTL_WORK_NORM }, { "max_pool2d", FTL_WORK_POOL },
                  { "avg_pool2d", FTL_WORK_POOL },  { "transpose", FTL_WORK_MOVE },
                  { "concat", FTL_WORK_MOVE },      { "attention", FTL_WORK_ATTENTION } };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(r->name, names[i].name) == 0) {
            *out = names[i].work;
            return true;
        }
    return false;
}

/* Seconds that a shape row took, and its bound by the rates. */
static void time_row(const ftl_profile_row *r, const ftl_rates *rates, double *seconds,
                     double *bound)
{
    const double amount = r->kind == FTL_PROFILE_STREAM ? r->bytes : r->flops;
    int level = 0;
    while (level < FTL_LEVELS - 1 &&
           (rates->bytes_per_s[level] <= 0 || r->bytes > rates->level_bytes[level]))
        level++;
    const double by_bytes =
        rates->bytes_per_s[level] > 0 ? r->bytes / rates->bytes_per_s[level] : 0;
    const double by_flops = rates->flops_per_s > 0 ? r->flops / rates->flops_per_s : 0;
    *seconds = amount / r->median;
    *bound = by_flops > by_bytes ? by_flops : by_bytes;
}

typedef struct logs { /* of bound / seconds */
    double sum, squares;
    double n;
} logs;

static void take_log(logs *l, double value)
{
    if (!(value > 0) || !isfinite(value)) return;
    l->sum += log(value);
    l->squares += log(value) * log(value);
    l->n++;
}

static void settle(const logs *l, double floor, double *efficiency, double *scatter)
{
    if (l->n < 1) return;
    const double mean = l->sum / l->n;
    const double variance = l->n > 1 ? (l->squares - l->n * mean * mean) / (l->n - 1) : 0;
    *efficiency = exp(mean) < 1.5 ? exp(mean) : 1.5; /* over 1 by noise, not by more */
    const double deviation = sqrt(variance > 0 ? variance : 0);
    *scatter = deviation > floor ? deviation : floor;
}

static void take_efficiencies(ftl_rates *rates, const ftl_profile *p, uint32_t n_threads)
{
    enum { LEAST_LEARNED = 2 };
    const int32_t threads = speaking_threads(p, n_threads);
    logs of_class[FTL_WORK_N] = { 0 };
    for (size_t i = 0; i < p->n_rows; i++) {
        const ftl_profile_row *r = &p->rows[i];
        ftl_work_class work;
        double seconds, bound;
        if (r->threads != threads || !is_usable(r) || !class_of_row(r, &work)) continue;
        time_row(r, rates, &seconds, &bound);
        seconds -= rates->run_s;
        if (seconds > 0) take_log(&of_class[work], bound / seconds);
    }
    for (int w = 0; w < FTL_WORK_N; w++)
        settle(&of_class[w], 0.1, &rates->efficiency[w], &rates->scatter[w]);
    for (size_t i = 0; i < p->n_rows; i++) { /* what runs taught counts more than shapes */
        const ftl_profile_row *r = &p->rows[i];
        if (r->kind != FTL_PROFILE_LEARNED || r->threads != threads || r->n < LEAST_LEARNED)
            continue;
        for (int w = 0; w < FTL_WORK_N; w++)
            if (strcmp(r->name, ftl_work_class_name((ftl_work_class)w)) == 0) {
                rates->efficiency[w] = r->median;
                rates->scatter[w] = r->mad > 0.1 ? r->mad : 0.1;
            }
    }
}

ftl_status ftl_rates_from_profile(ftl_rates *out, const ftl_profile *profile, uint32_t n_threads)
{
    ftl_rates_default(out);
    out->n_threads = n_threads;
    out->flops_per_s = rate_at(profile, FTL_PROFILE_PEAK, n_threads, NULL);
    double last = 0;
    for (int level = 0; level < FTL_LEVELS; level++) {
        out->bytes_per_s[level] = rate_at(profile, FTL_PROFILE_READ, n_threads, level_names[level]);
        const double here = working_set(profile, level_names[level]);
        double next = 0;
        for (int k = level + 1; k < FTL_LEVELS && next <= 0; k++)
            next = working_set(profile, level_names[k]);
        out->level_bytes[level] = next > 0 && here > 0 ? sqrt(here * next) : INFINITY;
        if (out->bytes_per_s[level] > 0) last = out->bytes_per_s[level];
    }
    if (out->bytes_per_s[FTL_LEVELS - 1] <= 0) out->bytes_per_s[FTL_LEVELS - 1] = last;
    if (out->flops_per_s <= 0 || last <= 0)
        return ftl_fail(FTL_EINVAL,
                        "the profile of %s has no f32 peak or no bandwidth for %u "
                        "threads; measure it again: fettle bench",
                        profile->device, n_threads);
    const int32_t threads = speaking_threads(profile, n_threads);
    out->step_s = find_row(profile, FTL_PROFILE_STEP, threads, NULL);
    out->run_s = find_row(profile, FTL_PROFILE_LAUNCH, threads, NULL);
    if (out->step_s <= 0) out->step_s = 1e-6;
    if (out->run_s <= 0) out->run_s = 2e-6;
    take_efficiencies(out, profile, n_threads);
    return FTL_OK;
}

/* ---- data sheets --------------------------------------------------------------------------- */

ftl_status ftl_rates_from_chip(ftl_rates *out, const ftl_chip *chip)
{
    /* What good programs reach of a data sheet: cuBLAS 0.81 of an H100's bf16 peak at 8192^3
     * (pranjalssh/fast.cu), less on smaller shapes; llama.cpp streams 0.68-0.88 of the bandwidth
     * for weights of 4 GB and more (llmfit's community results). */
    static const double of_peak = 0.7, of_bandwidth = 0.8;
    ftl_rates_default(out);
    const bool is_cpu = strcmp(chip->kind, "cpu") == 0;
    const double peak = chip->f32_flops_per_s > 0 ? chip->f32_flops_per_s : chip->f16_flops_per_s;
    if (peak <= 0 || chip->memory_bytes_per_s <= 0)
        return ftl_fail(FTL_EUNSUPPORTED, "the data sheet of %s states no peak or no bandwidth",
                        chip->title);
    out->n_threads = is_cpu ? chip->n_cores : 0;
    out->flops_per_s = peak * of_peak;
    for (int level = 0; level < FTL_LEVELS; level++) {
        out->bytes_per_s[level] = chip->memory_bytes_per_s * of_bandwidth;
        out->level_bytes[level] = INFINITY;
    }
    /* A kernel launch on an accelerator against a barrier on a CPU. */
    out->step_s = is_cpu ? 2e-6 : 4e-6;
    out->run_s = is_cpu ? 5e-6 : 20e-6;
    out->common_scatter = 0.4;
    return FTL_OK;
}

/* ---- learning ------------------------------------------------------------------------------ */

/* The class's row as it is, or an empty one. */
static ftl_profile_row learned_row(const ftl_profile *p, ftl_work_class work, int32_t threads)
{
    ftl_profile_row row = { .kind = FTL_PROFILE_LEARNED,
                            .dtype = FTL_DTYPE_F32,
                            .threads = threads,
                            .dim = { (int64_t)work + 1 } };
    const ftl_profile_row *old = ftl_profile_get(p, &row);
    if (old) return *old;
    snprintf(row.name, sizeof row.name, "%s", ftl_work_class_name(work));
    return row;
}

/* A clock that was read late books a node's time on its neighbor: what is much faster than its
 * bound is such a reading. */
static bool is_possible(const ftl_rates_sample *sample)
{
    return sample->bound_s > 0 && sample->seconds > 0.7 * sample->bound_s;
}

ftl_status ftl_rates_learn(ftl_profile *profile, uint32_t n_threads,
                           const ftl_rates_sample *samples, size_t n)
{
    /* Nodes: one run moves what is known by half at most, and old runs fade. */
    enum { MOST_FRESH = 50, MOST_WEIGHT = 150 };
    const int32_t threads = speaking_threads(profile, n_threads);
    for (int w = 0; w < FTL_WORK_N; w++) {
        /* Sums weighed by seconds: a class is right when its share of a program is. */
        double bound = 0, seconds = 0, squares = 0, weight = 0;
        size_t count = 0;
        for (size_t i = 0; i < n; i++) {
            if ((int)samples[i].work != w || !is_possible(&samples[i])) continue;
            bound += samples[i].bound_s;
            seconds += samples[i].seconds;
            count++;
        }
        if (count == 0) continue;
        const double efficiency = bound / seconds;
        for (size_t i = 0; i < n; i++) {
            if ((int)samples[i].work != w || !is_possible(&samples[i])) continue;
            const double off = log(samples[i].bound_s / samples[i].seconds / efficiency);
            squares += samples[i].seconds * off * off;
            weight += samples[i].seconds;
        }
        ftl_profile_row r = learned_row(profile, (ftl_work_class)w, threads);
        const double old = r.n, fresh = count < MOST_FRESH ? (double)count : MOST_FRESH;
        const double sum = old + fresh;
        const double before = r.median > 0 ? log(r.median) : 0;
        r.median = exp((before * old + log(efficiency) * fresh) / sum);
        if (r.median > 1.5) r.median = 1.5;
        r.mad = sqrt((r.mad * r.mad * old + squares / weight * fresh) / sum);
        r.min = r.max = r.median;
        r.n = (uint32_t)(sum < MOST_WEIGHT ? sum : MOST_WEIGHT);
        FTL_TRY(ftl_profile_put(profile, &r));
    }
    return FTL_OK;
}
