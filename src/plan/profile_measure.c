/* SPDX-License-Identifier: Apache-2.0 */
/* Which rows a profile has, and how each is measured: what the hardware can do by the backend's
 * extension "bench", everything else by ordinary programs, so that any backend is measured.
 * Rules: a warm-up, at least 5 repetitions, median and spread, random data. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/log.h"
#include "device/sysfs.h"
#include "device/topology.h"
#include "plan/probe.h"
#include "plan/profile_loop.h"

enum { QUEUES = 4, SAMPLES_MOST = 9, SAMPLES_LEAST = 5, ROWS_MOST = 512 };
static const double quick_s = 5, full_s = 40; /* with overtime and power: under 10 and 60 */

typedef struct measuring {
    ftl_device *device;
    const ftl_bench_extension *bench; /* NULL: the backend has none */
    ftl_queue *queues[QUEUES];        /* each with another number of threads */
    ftl_queue *last;                  /* for numbers that come once          */
    ftl_probe *reference;             /* without `bench`                     */
    uint32_t n_samples;
    int32_t threads; /* all */
} measuring;

/* ---- figures ------------------------------------------------------------------------------- */

static ftl_status queue_for(measuring *m, int32_t threads, ftl_queue **out)
{
    for (int i = 0; i < QUEUES; i++) {
        if (!m->queues[i]) FTL_TRY(ftl_queue_create(&m->queues[i], m->device, (uint32_t)threads));
        *out = m->queues[i];
        if (ftl_queue_threads(*out) == (uint32_t)threads) return FTL_OK;
        if (!m->bench && i == 0) return FTL_OK; /* threads of its own choice */
    }
    ftl_queue_destroy(m->last);
    m->last = NULL;
    FTL_TRY(ftl_queue_create(&m->last, m->device, (uint32_t)threads));
    *out = m->last;
    return FTL_OK;
}

static ftl_status measure_hardware(measuring *m, ftl_queue *queue, ftl_profile_row *row,
                                   double seconds)
{
    static const ftl_bench_what what[] = {
        [FTL_PROFILE_PEAK] = FTL_BENCH_PEAK,       [FTL_PROFILE_READ] = FTL_BENCH_READ,
        [FTL_PROFILE_WRITE] = FTL_BENCH_WRITE,     [FTL_PROFILE_COPY] = FTL_BENCH_COPY,
        [FTL_PROFILE_TRIAD] = FTL_BENCH_TRIAD,     [FTL_PROFILE_LATENCY] = FTL_BENCH_LATENCY,
        [FTL_PROFILE_FORK] = FTL_BENCH_FORK,       [FTL_PROFILE_WAKE] = FTL_BENCH_WAKE,
        [FTL_PROFILE_BARRIER] = FTL_BENCH_BARRIER,
    };
    double samples[SAMPLES_MOST];
    const ftl_bench_job job = { .struct_size = sizeof job,
                                .what = what[row->kind],
                                .dtype = row->dtype,
                                .bytes = (uint64_t)row->dim[0],
                                .seconds = seconds / (m->n_samples + 2),
                                .n_samples = m->n_samples };
    FTL_TRY(m->bench->measure(queue, &job, samples));
    ftl_profile_row_set(row, samples, m->n_samples);
    return FTL_OK;
}

/* Seconds of one run of the row's program into samples. */
static ftl_status time_program(measuring *m, ftl_queue *queue, ftl_profile_row *row, double seconds,
                               double *samples)
{
    ftl_graph *graph;
    ftl_probe *probe = NULL;
    FTL_TRY(ftl_probe_graph(&graph, row));
    ftl_status s = ftl_probe_create(&probe, m->device, queue, graph);
    ftl_graph_destroy(graph);
    if (s == FTL_OK) {
        row->flops = ftl_probe_flops(probe);
        row->bytes = ftl_probe_bytes(probe);
        s = ftl_probe_measure(probe, seconds / (m->n_samples + 2), samples, m->n_samples);
    }
    ftl_probe_destroy(probe);
    return s;
}

static ftl_status measure_program(measuring *m, ftl_queue *queue, ftl_profile_row *row,
                                  double seconds)
{
    double samples[SAMPLES_MOST], single[SAMPLES_MOST];
    FTL_TRY(time_program(m, queue, row, seconds, samples));
    if (row->kind == FTL_PROFILE_STEP) { /* a long chain less a chain of one node */
        ftl_profile_row one = { .kind = FTL_PROFILE_LAUNCH, .dtype = row->dtype };
        FTL_TRY(time_program(m, queue, &one, seconds, single));
        const double launch = ftl_stats_of(single, m->n_samples).median;
        for (uint32_t i = 0; i < m->n_samples; i++)
            samples[i] = (samples[i] - launch) / (FTL_PROBE_CHAIN - 1);
    }
    const double amount = row->kind == FTL_PROFILE_STREAM ? row->bytes : row->flops;
    if (ftl_profile_is_rate(row->kind))
        for (uint32_t i = 0; i < m->n_samples; i++) samples[i] = amount / samples[i];
    if (row->kind == FTL_PROFILE_LAUNCH || row->kind == FTL_PROFILE_STEP)
        row->flops = row->bytes = 0;
    ftl_profile_row_set(row, samples, m->n_samples);
    return FTL_OK;
}

/* Bandwidth of a device that has no extension: a reduction reads, a negation copies. */
static ftl_status measure_by_stream(measuring *m, ftl_queue *queue, ftl_profile_row *row,
                                    double seconds)
{
    const bool is_read = row->kind == FTL_PROFILE_READ;
    if ((!is_read && row->kind != FTL_PROFILE_COPY) || strcmp(row->name, "memory") != 0)
        return ftl_fail(FTL_EUNSUPPORTED, "the backend has no measurement of %s",
                        ftl_profile_kind_name(row->kind));
    enum { COLUMNS = 4096 };
    const int64_t rows = row->dim[0] / (is_read ? 4 : 8) / COLUMNS;
    ftl_profile_row stream = { .kind = FTL_PROFILE_STREAM,
                               .dtype = row->dtype,
                               .threads = row->threads,
                               .dim = { rows > 0 ? rows : 1, COLUMNS } };
    ftl_sysfs_copy(stream.name, sizeof stream.name, is_read ? "reduce_sum" : "neg");
    FTL_TRY(measure_program(m, queue, &stream, seconds));
    row->n = stream.n;
    row->median = stream.median;
    row->mad = stream.mad;
    row->min = stream.min;
    row->max = stream.max;
    return FTL_OK;
}

static ftl_status measure(void *context, ftl_profile_row *row, double seconds)
{
    measuring *m = context;
    ftl_queue *queue;
    FTL_TRY(queue_for(m, row->threads, &queue));
    ftl_status s;
    if (row->kind >= FTL_PROFILE_LAUNCH) s = measure_program(m, queue, row, seconds);
    else if (m->bench) s = measure_hardware(m, queue, row, seconds);
    else s = measure_by_stream(m, queue, row, seconds);
    if (s == FTL_EUNSUPPORTED) ftl_log(FTL_LOG_INFO, "bench", "%s", ftl_error_text());
    return s;
}

/* The arithmetic of one core: it lives in registers, so only the clock and other users of the core
 * move it. */
static ftl_status reference(void *context, double *figure)
{
    enum { LOOKS = 5 };
    measuring *m = context;
    ftl_queue *queue;
    double samples[LOOKS];
    FTL_TRY(queue_for(m, 1, &queue));
    if (m->bench) {
        const ftl_bench_job job = { .struct_size = sizeof job,
                                    .what = FTL_BENCH_PEAK,
                                    .dtype = FTL_DTYPE_F32,
                                    .seconds = 2e-3,
                                    .n_samples = LOOKS };
        FTL_TRY(m->bench->measure(queue, &job, samples));
    } else {
        if (!m->reference) {
            ftl_profile_row row = { .kind = FTL_PROFILE_GEMM,
                                    .dtype = FTL_DTYPE_F32,
                                    .dim = { 256, 256, 256 } };
            ftl_graph *graph;
            FTL_TRY(ftl_probe_graph(&graph, &row));
            const ftl_status s = ftl_probe_create(&m->reference, m->device, queue, graph);
            ftl_graph_destroy(graph);
            if (s != FTL_OK) return s;
        }
        FTL_TRY(ftl_probe_measure(m->reference, 2e-3, samples, LOOKS));
        for (int i = 0; i < LOOKS; i++) samples[i] = 1 / samples[i];
    }
    *figure = ftl_stats_of(samples, LOOKS).median;
    return FTL_OK;
}

static double now_s(void *context)
{
    (void)context;
    return (double)ftl_clock_ns() * 1e-9;
}

/* ---- the list of rows ---------------------------------------------------------------------- */

typedef struct list {
    ftl_profile_row *rows;
    size_t n;
    const ftl_profile *has; /* rows to leave out, or NULL */
    int32_t threads;
} list;

static void add(list *l, int32_t kind, int32_t threads, const char *name, const int64_t *dim)
{
    ftl_profile_row row = { .kind = kind, .dtype = FTL_DTYPE_F32, .threads = threads };
    ftl_sysfs_copy(row.name, sizeof row.name, name);
    if (dim) memcpy(row.dim, dim, sizeof row.dim);
    if (l->n < ROWS_MOST && !(l->has && ftl_profile_get(l->has, &row))) l->rows[l->n++] = row;
}

/* With one thread and with all. */
static void add_both(list *l, int32_t kind, const char *name, const int64_t *dim)
{
    add(l, kind, 1, name, dim);
    if (l->threads > 1) add(l, kind, l->threads, name, dim);
}

typedef struct level {
    const char *name;
    uint64_t bytes_one, bytes_all; /* working sets for one thread and for all */
} level;

/* Half of each cache, so that the set stays in it; for memory several times the last cache. */
static int find_levels(level out[4], bool is_quick, int32_t threads)
{
    static const char *const names[] = { "L1", "L2", "L3" };
    enum { LEAST_MEMORY = 64 << 20 };
    ftl_topology *t = NULL;
    int n = 0;
    uint64_t last = 0, free_bytes = 0;
    if (ftl_topology_create(&t, "") == FTL_OK) {
        for (uint32_t i = 1; i <= 3; i++) {
            const ftl_cpu_cache *c = ftl_topology_cache(t, i);
            if (!c || c->bytes == 0) continue;
            const uint64_t shared_by = c->n_cpus_each > 1 ? c->n_cpus_each : 1;
            uint64_t instances = ((uint64_t)threads + shared_by - 1) / shared_by;
            if (instances > c->n_instances) instances = c->n_instances;
            out[n++] = (level){ names[i - 1], c->bytes / 2, c->bytes / 2 * instances };
            last = c->bytes * c->n_instances;
        }
        free_bytes = t->memory_usable_bytes;
    }
    ftl_topology_destroy(t);
    uint64_t memory = is_quick ? last * 5 / 2 : last * 4;
    if (memory < LEAST_MEMORY) memory = LEAST_MEMORY;
    if (free_bytes > 0 && memory > free_bytes / 8) memory = free_bytes / 8;
    out[n++] = (level){ "memory", memory, memory };
    return n;
}

static void add_level(list *l, int32_t kind, const level *at)
{
    const int64_t one[FTL_PROFILE_DIMS] = { (int64_t)at->bytes_one };
    const int64_t all[FTL_PROFILE_DIMS] = { (int64_t)at->bytes_all };
    add(l, kind, 1, at->name, one);
    if (l->threads > 1 && kind != FTL_PROFILE_LATENCY) add(l, kind, l->threads, at->name, all);
}

/* What every prediction needs, most important first. */
static void add_basics(list *l, bool is_quick)
{
    level levels[4];
    const int n = find_levels(levels, is_quick, l->threads);
    add_both(l, FTL_PROFILE_PEAK, "", NULL);
    for (int i = n - 1; i >= 0; i--) add_level(l, FTL_PROFILE_READ, &levels[i]);
    add_both(l, FTL_PROFILE_LAUNCH, "", NULL);
    add_both(l, FTL_PROFILE_STEP, "", NULL);
    if (l->threads > 1) {
        add(l, FTL_PROFILE_FORK, l->threads, "", NULL);
        add(l, FTL_PROFILE_BARRIER, l->threads, "", NULL);
    }
    add_level(l, FTL_PROFILE_COPY, &levels[n - 1]);
}

/* The rest of what `fettle bench` shows. */
static void add_details(list *l, bool is_quick)
{
    level levels[4];
    const int n = find_levels(levels, is_quick, l->threads);
    if (l->threads > 1) add(l, FTL_PROFILE_WAKE, l->threads, "", NULL);
    for (int i = n - 2; i >= 0; i--) add_level(l, FTL_PROFILE_COPY, &levels[i]);
    if (is_quick) {
        add_level(l, FTL_PROFILE_LATENCY, &levels[0]);
        add_level(l, FTL_PROFILE_LATENCY, &levels[n - 1]);
        return;
    }
    for (int i = n - 1; i >= 0; i--) {
        add_level(l, FTL_PROFILE_LATENCY, &levels[i]);
        add_level(l, FTL_PROFILE_WRITE, &levels[i]);
        add_level(l, FTL_PROFILE_TRIAD, &levels[i]);
    }
}

/* Shapes of real networks; the quick ones first. */
typedef struct shape {
    int32_t kind;
    bool is_quick;
    const char *name;
    int64_t dim[FTL_PROFILE_DIMS];
} shape;
static const shape shapes[] = {
    { FTL_PROFILE_GEMM, true, "linear-1000", { 64, 1000, 1000 } },
    { FTL_PROFILE_GEMM, true, "bert projection", { 128, 768, 768 } },
    { FTL_PROFILE_GEMM, true, "bert ffn", { 128, 3072, 768 } },
    { FTL_PROFILE_GEMM, true, "classifier", { 1, 1000, 2048 } },
    { FTL_PROFILE_CONV, true, "resnet stem", { 1, 3, 224, 224, 64, 7, 2, 1 } },
    { FTL_PROFILE_CONV, true, "resnet 56", { 1, 64, 56, 56, 64, 3, 1, 1 } },
    { FTL_PROFILE_CONV, true, "resnet 14", { 1, 256, 14, 14, 256, 3, 1, 1 } },
    { FTL_PROFILE_CONV, true, "resnet 56", { 1, 256, 56, 56, 64, 1, 1, 1 } },
    { FTL_PROFILE_CONV, true, "resnet 14", { 1, 1024, 14, 14, 256, 1, 1, 1 } },
    { FTL_PROFILE_CONV, true, "mobilenet", { 1, 144, 56, 56, 144, 3, 1, 144 } },
    { FTL_PROFILE_STREAM, true, "add", { 784, 512 } },
    { FTL_PROFILE_STREAM, true, "softmax", { 1536, 128 } },
    { FTL_PROFILE_STREAM, true, "layer_norm", { 128, 768 } },
    { FTL_PROFILE_STREAM, true, "max_pool2d", { 64, 112 * 112 } },
    { FTL_PROFILE_STREAM, true, "concat", { 64, 56 * 56 } },
    { FTL_PROFILE_GEMM, false, "alexnet fc", { 1, 4096, 4096 } },
    { FTL_PROFILE_GEMM, false, "few rows", { 16, 4096, 1024 } },
    { FTL_PROFILE_GEMM, false, "vit projection", { 197, 768, 768 } },
    { FTL_PROFILE_GEMM, false, "bert ffn", { 128, 768, 3072 } },
    { FTL_PROFILE_GEMM, false, "square", { 1024, 1024, 1024 } },
    { FTL_PROFILE_CONV, false, "resnet 28", { 1, 128, 28, 28, 128, 3, 1, 1 } },
    { FTL_PROFILE_CONV, false, "resnet 7", { 1, 512, 7, 7, 512, 3, 1, 1 } },
    { FTL_PROFILE_CONV, false, "resnet 7", { 1, 2048, 7, 7, 512, 1, 1, 1 } },
    { FTL_PROFILE_CONV, false, "resnet 28", { 1, 256, 56, 56, 512, 1, 2, 1 } },
    { FTL_PROFILE_CONV, false, "densenet 28", { 1, 256, 28, 28, 128, 1, 1, 1 } },
    { FTL_PROFILE_CONV, false, "densenet 14", { 1, 128, 14, 14, 32, 3, 1, 1 } },
    { FTL_PROFILE_CONV, false, "vgg 224", { 1, 64, 224, 224, 64, 3, 1, 1 } },
    { FTL_PROFILE_CONV, false, "alexnet", { 1, 96, 27, 27, 256, 5, 1, 1 } },
    { FTL_PROFILE_CONV, false, "mobilenet", { 1, 32, 112, 112, 32, 3, 1, 32 } },
    { FTL_PROFILE_CONV, false, "mobilenet", { 1, 384, 14, 14, 384, 3, 1, 384 } },
    { FTL_PROFILE_CONV, false, "batch of 8", { 8, 256, 14, 14, 256, 3, 1, 1 } },
    { FTL_PROFILE_STREAM, false, "gelu", { 128, 3072 } },
    { FTL_PROFILE_STREAM, false, "relu", { 784, 512 } },
    { FTL_PROFILE_STREAM, false, "avg_pool2d", { 64, 56 * 56 } },
    { FTL_PROFILE_STREAM, false, "transpose", { 768, 128 } },
    { FTL_PROFILE_STREAM, false, "attention", { 128, 768 } },
};

static void add_shapes(list *l, const ftl_profile_options *o)
{
    for (size_t i = 0; o->wanted && i < o->n_wanted; i++) {
        const ftl_profile_row *w = &o->wanted[i];
        if (w->threads > 0) add(l, w->kind, w->threads, w->name, w->dim);
        else add_both(l, w->kind, w->name, w->dim);
    }
    for (size_t i = 0; !o->wanted && i < sizeof shapes / sizeof shapes[0]; i++)
        if (shapes[i].is_quick || !o->is_quick)
            add_both(l, shapes[i].kind, shapes[i].name, shapes[i].dim);
}

/* ---- power --------------------------------------------------------------------------------- */

typedef struct power_work {
    ftl_probe *probe;
    double seconds;
} power_work;

static ftl_status work_hard(void *context)
{
    const power_work *w = context;
    const int64_t end = ftl_clock_ns() + (int64_t)(w->seconds * 1e9);
    do {
        FTL_TRY(ftl_probe_run(w->probe));
        FTL_TRY(ftl_cancel_check());
    } while (ftl_clock_ns() < end);
    return FTL_OK;
}

/* Idle, then the square product with all threads, for as long as meters need. */
static ftl_status measure_power(ftl_profile *p, measuring *m, const ftl_profile_options *o)
{
    ftl_meter_report report;
    FTL_TRY(ftl_meter_probe(&report, o->meter));
    bool has_meter = false;
    for (uint32_t i = 0; i < report.count; i++) has_meter |= report.items[i].is_available;
    if (!has_meter) { /* nothing need run to say that */
        ftl_meter_explain(p->power.why, sizeof p->power.why, &report);
        return FTL_OK;
    }
    if (o->progress) o->progress(o->user, 1, "power: idle, then busy");
    ftl_queue *queue;
    ftl_graph *graph;
    const ftl_profile_row row = { .kind = FTL_PROFILE_GEMM,
                                  .dtype = FTL_DTYPE_F32,
                                  .dim = { 1024, 1024, 1024 } };
    power_work work = { .seconds = o->is_quick ? 1.2 : 5 };
    FTL_TRY(queue_for(m, m->threads, &queue));
    FTL_TRY(ftl_probe_graph(&graph, &row));
    ftl_status s = ftl_probe_create(&work.probe, m->device, queue, graph);
    ftl_graph_destroy(graph);
    ftl_power power = { 0 };
    if (s == FTL_OK) s = ftl_power_measure(&power, o->meter, 2, work_hard, &work);
    ftl_probe_destroy(work.probe);
    if (s != FTL_OK) return s;
    p->power = (ftl_profile_power){ .is_available = power.is_available,
                                    .idle_w = power.idle_w,
                                    .active_w = power.active_w,
                                    .seconds = power.seconds };
    ftl_sysfs_copy(p->power.method, sizeof p->power.method, power.method);
    ftl_sysfs_copy(p->power.covers, sizeof p->power.covers, power.covers);
    ftl_sysfs_copy(p->power.why, sizeof p->power.why, power.why);
    return FTL_OK;
}

/* ---- all ----------------------------------------------------------------------------------- */

static ftl_status measure_all(ftl_profile *p, measuring *m, const ftl_profile_options *o)
{
    list l = { .has = o->keeps_present ? p : NULL, .threads = m->threads };
    l.rows = ftl_calloc(ROWS_MOST, sizeof *l.rows);
    if (!l.rows) return ftl_fail(FTL_ENOMEM, "no memory for the list of measurements");
    add_basics(&l, o->is_quick);
    add_shapes(&l, o);
    if (!o->wanted) add_details(&l, o->is_quick);
    const ftl_profile_runner runner = { .context = m,
                                        .reference = reference,
                                        .measure = measure,
                                        .now_s = now_s,
                                        .progress = o->progress,
                                        .user = o->user };
    const double budget = o->seconds > 0 ? o->seconds : o->is_quick ? quick_s : full_s;
    ftl_status s = l.n > 0 ? ftl_profile_loop(p, &runner, l.rows, l.n, budget) : FTL_OK;
    ftl_free(l.rows);
    if (s == FTL_OK && o->meter) s = measure_power(p, m, o);
    return s;
}

ftl_status ftl_profile_measure(ftl_profile *profile, ftl_device *device,
                               const ftl_profile_options *options)
{
    const ftl_profile_options none = FTL_PROFILE_OPTIONS_INIT;
    const ftl_profile_options *o = options ? options : &none;
    ftl_device_info info;
    FTL_TRY(ftl_device_get_info(device, &info));
    if (info.caps & FTL_CAP_EMULATED)
        return ftl_fail(FTL_EUNSUPPORTED, "%s is a test double: its speed means nothing",
                        info.name);
    if (info.caps & FTL_CAP_COMPILE_ONLY)
        return ftl_fail(FTL_EUNSUPPORTED, "%s only compiles: it cannot be measured", info.name);
    measuring m = { .device = device,
                    .bench = ftl_device_extension(device, "bench"),
                    .n_samples = o->is_quick || o->wanted ? SAMPLES_LEAST : SAMPLES_MOST };
    const double start = now_s(NULL);
    ftl_status s = ftl_queue_create(&m.queues[0], device, (uint32_t)o->n_threads);
    if (s == FTL_OK) {
        m.threads = (int32_t)ftl_queue_threads(m.queues[0]);
        profile->threads = m.threads;
        profile->is_quick = o->is_quick;
        s = measure_all(profile, &m, o);
    }
    ftl_probe_destroy(m.reference);
    for (int i = 0; i < QUEUES; i++) ftl_queue_destroy(m.queues[i]);
    ftl_queue_destroy(m.last);
    profile->seconds = now_s(NULL) - start;
    return s;
}
