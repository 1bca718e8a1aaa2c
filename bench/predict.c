/* SPDX-License-Identifier: Apache-2.0 */
/* predict - how right the predictions are: the presets x batch 1 and 8 x one thread and all, from a
 * profile that saw none of them, against what the machine then does.
 *
 *     build/bench/predict [--quick] [PRESET...]
 *
 * One row a case; at the end the mean error, the share of measurements inside the interval, and the
 * median width of the intervals.  Memory is peak resident memory above what was there before. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fettle/fettle.h"

enum { MOST_RUNS = 200, MOST_CASES = 64 };
static const double case_seconds = 1.5;

typedef struct outcome {
    double off, width; /* measured / predicted - 1; high / low */
    bool is_inside;
} outcome;

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, compare_doubles);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* Median seconds of a run, and peak bytes. */
static ftl_status measure(ftl_model *model, int64_t batch, uint32_t threads, double *seconds,
                          uint64_t *bytes)
{
    static double times[MOST_RUNS];
    ftl_session_options o = FTL_SESSION_OPTIONS_INIT;
    o.batch = batch;
    o.n_threads = threads;
    ftl_session *session = NULL;
    ftl_peak peak;
    int n = 0;
    ftl_peak_start(&peak);
    ftl_status s = ftl_session_create(&session, model, &o);
    if (s == FTL_OK) s = ftl_session_set_random_inputs(session, 1);
    for (int i = 0; s == FTL_OK && i < 2; i++) s = ftl_session_run(session, NULL);
    for (double spent = 0; s == FTL_OK && n < MOST_RUNS && (n < 5 || spent < case_seconds);) {
        s = ftl_session_run(session, &times[n]);
        spent += times[n++];
    }
    *bytes = ftl_peak_bytes(&peak);
    if (s == FTL_OK) *seconds = median(times, n);
    ftl_session_destroy(session);
    return s;
}

static ftl_status run_case(const char *profile, const char *preset, int64_t batch, uint32_t threads,
                           outcome *out)
{
    ftl_model *model = NULL;
    ftl_plan *plan = NULL;
    double seconds = 0;
    uint64_t bytes = 0;
    char spelling[64], a[32], b[32], c[32], d[32];
    snprintf(spelling, sizeof spelling, "@%s", preset);
    ftl_plan_options o = FTL_PLAN_OPTIONS_INIT;
    o.on = &profile;
    o.n_on = 1;
    o.batch = batch;
    o.n_threads = threads;
    ftl_status s = ftl_model_open(&model, spelling);
    if (s == FTL_OK) s = ftl_plan_create(&plan, model, &o);
    if (s == FTL_OK) s = measure(model, batch, threads, &seconds, &bytes);
    if (s == FTL_OK) {
        const ftl_prediction *p = &plan->candidates[0].predicted;
        *out = (outcome){ seconds / p->latency_s - 1, p->latency_high_s / p->latency_low_s,
                          seconds >= p->latency_low_s && seconds <= p->latency_high_s };
        printf("%-13s %3lld %3u %10s %10s %+5.0f %% %-3s %9s %9s %+4.0f %%\n", preset,
               (long long)batch, threads, ftl_text_seconds(a, sizeof a, p->latency_s),
               ftl_text_seconds(b, sizeof b, seconds), out->off * 100,
               out->is_inside ? "in" : "OUT", ftl_text_bytes(c, sizeof c, (double)p->memory_bytes),
               ftl_text_bytes(d, sizeof d, (double)bytes),
               ((double)bytes / (double)p->memory_bytes - 1) * 100);
        fflush(stdout);
    }
    ftl_plan_destroy(plan);
    ftl_model_close(model);
    return s;
}

static ftl_status write_profile(const char *path, bool is_quick, uint32_t *threads)
{
    ftl_profile *profile = NULL;
    ftl_bench_options o = FTL_BENCH_OPTIONS_INIT;
    o.is_quick = is_quick;
    ftl_status s = ftl_bench(&profile, NULL, &o);
    if (s == FTL_OK) s = ftl_profile_export(profile, path);
    if (s == FTL_OK) *threads = (uint32_t)profile->threads;
    ftl_profile_destroy(profile);
    return s;
}

static void summarize(const outcome *cases, int n)
{
    double widths[MOST_CASES], sum = 0;
    int n_inside = 0;
    for (int i = 0; i < n; i++) {
        widths[i] = cases[i].width;
        sum += fabs(cases[i].off);
        n_inside += cases[i].is_inside;
    }
    if (n > 0)
        printf("%d cases: mean error %.0f %%, %.0f %% inside the interval, its median width "
               "%.2f\n",
               n, sum / n * 100, 100.0 * n_inside / n, median(widths, n));
}

int main(int argc, char **argv)
{
    static outcome cases[MOST_CASES];
    char path[64];
    uint32_t all = 1;
    int n = 0, first = 1;
    const bool is_quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    first += is_quick;
    snprintf(path, sizeof path, "/tmp/fettle-predict-%d.json", (int)getpid());
    ftl_status s = write_profile(path, is_quick, &all);
    printf("%-13s %3s %3s %10s %10s %7s %-3s %9s %9s %6s\n", "PRESET", "B", "THR", "PREDICTED",
           "MEASURED", "OFF", "", "MEMORY", "MEASURED", "OFF");
    for (int i = 0; s == FTL_OK; i++) {
        const char *preset =
            first < argc ? (first + i < argc ? argv[first + i] : NULL) : ftl_preset_name(i);
        if (!preset) break;
        for (int64_t batch = 1; s == FTL_OK && batch <= 8; batch += 7)
            for (uint32_t t = 1; s == FTL_OK && t <= all && n<MOST_CASES; t += all> 1 ? all - 1 : 1)
                s = run_case(path, preset, batch, t, &cases[n++]);
    }
    unlink(path);
    if (s != FTL_OK) {
        fprintf(stderr, "predict: %s\n", ftl_error_text());
        return 1;
    }
    summarize(cases, n);
    return 0;
}
