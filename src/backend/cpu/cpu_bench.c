/* SPDX-License-Identifier: Apache-2.0 */
/* What the CPU can do at best: the extension "bench".
 * All threads of the queue's pool work between two barriers; thread 0 looks at the clock, so that
 * a figure is that of the slowest.  Each thread has a slice of the working set of its own, and
 * writes it first, so that it lies in memory near to it.  Every result ends in `sink`. */
#include "backend/cpu/cpu_bench.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/cpu_internal.h"
#include "backend/cpu/cpu_program.h"
#include "base/alloc.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/rng.h"
#include "device/device.h"

enum { LINE = 64, LINE_FLOATS = LINE / 4, WAKES = 4, FILL_FLOATS = 16384 };
static const int64_t ASLEEP_NS = 1000000; /* well past the time that a waiting thread spins */

typedef struct slot {
    float state[FTL_BENCH_STATE];
    volatile float sink; /* what nobody reads would not be computed */
    float pad[LINE_FLOATS - 1];
} slot;

typedef struct bench {
    const ftl_bench_job *job;
    const ftl_bench_kernels *kernels;
    ftl_pool *pool;
    int n_threads, n_arrays;
    float *data;
    size_t data_bytes, slots_bytes;
    int64_t floats_each; /* of one array in one thread's slice */
    slot *slots;
    int64_t passes;
    int64_t begin_ns, end_ns;
    void *chain;
} bench;

/* ---- work of one thread -------------------------------------------------------------------- */

static void stream_pass(const bench *b, slot *s, float *mine)
{
    const ftl_bench_kernels *k = b->kernels;
    const int64_t n = b->floats_each;
    switch (b->job->what) {
    case FTL_BENCH_READ: s->sink = k->read(mine, n); break;
    case FTL_BENCH_WRITE: k->write(mine, s->sink, n); break;
    case FTL_BENCH_COPY: k->copy(mine, mine + n, n); break;
    default: k->triad(mine, mine + n, mine + 2 * n, 0.37f, n); break;
    }
    __asm__ __volatile__("" ::: "memory"); /* a pass may not be taken for the one before */
}

static void work_task(void *arg, int thread, int n_threads)
{
    bench *b = arg;
    slot *s = &b->slots[thread];
    float *mine = b->data + (int64_t)thread * b->n_arrays * b->floats_each;
    (void)n_threads;
    ftl_pool_barrier(b->pool, thread);
    if (thread == 0) b->begin_ns = ftl_clock_ns();
    if (b->job->what == FTL_BENCH_PEAK) {
        b->kernels->peak(s->state, b->passes);
        s->sink = s->state[0];
    } else if (b->job->what == FTL_BENCH_BARRIER) {
        for (int64_t p = 0; p < b->passes; p++) ftl_pool_barrier(b->pool, thread);
    } else {
        for (int64_t p = 0; p < b->passes; p++) stream_pass(b, s, mine);
    }
    ftl_pool_barrier(b->pool, thread);
    if (thread == 0) b->end_ns = ftl_clock_ns();
}

static void fill_task(void *arg, int thread, int n_threads)
{
    bench *b = arg;
    slot *s = &b->slots[thread];
    const ftl_rng rng = { .seed = 1, .id = (uint64_t)thread };
    (void)n_threads;
    ftl_rng_fill_uniform_f32(rng, 0, s->state, FTL_BENCH_STATE, -1, 1);
    s->sink = s->state[0];
    const int64_t n = b->floats_each * b->n_arrays;
    float *mine = b->data + (int64_t)thread * n;
    const int64_t first = n < FILL_FLOATS ? n : FILL_FLOATS;
    ftl_rng_fill_uniform_f32(rng, FTL_BENCH_STATE, mine, (size_t)first, -1, 1);
    for (int64_t p = first; p < n; p += first)
        memcpy(mine + p, mine, (size_t)(n - p < first ? n - p : first) * sizeof *mine);
}

static void empty_task(void *arg, int thread, int n_threads)
{
    (void)n_threads;
    ((bench *)arg)->slots[thread].sink = (float)thread;
}

/* ---- one sample: seconds that `passes` took ------------------------------------------------ */

static double chase_seconds(bench *b)
{
    void **at = b->chain;
    const int64_t begin = ftl_clock_ns();
    for (int64_t p = 0; p < b->passes; p++) at = *at;
    const int64_t end = ftl_clock_ns();
    b->chain = at;
    return (double)(end - begin) * 1e-9;
}

static double fork_seconds(bench *b)
{
    int64_t sum = 0;
    for (int64_t p = 0; p < b->passes; p++) {
        if (b->job->what == FTL_BENCH_WAKE) ftl_clock_sleep(ASLEEP_NS);
        const int64_t begin = ftl_clock_ns();
        ftl_pool_run(b->pool, empty_task, b);
        sum += ftl_clock_ns() - begin;
    }
    return (double)sum * 1e-9;
}

static double sample_seconds(bench *b)
{
    switch (b->job->what) {
    case FTL_BENCH_LATENCY: return chase_seconds(b);
    case FTL_BENCH_FORK:
    case FTL_BENCH_WAKE: return fork_seconds(b);
    default: ftl_pool_run(b->pool, work_task, b); return (double)(b->end_ns - b->begin_ns) * 1e-9;
    }
}

/* What a sample of `seconds` means, in the unit of job->what. */
static double figure(const bench *b, double seconds)
{
    const double passes = (double)b->passes;
    switch (b->job->what) {
    case FTL_BENCH_PEAK: return passes * b->kernels->peak_flops * b->n_threads / seconds;
    case FTL_BENCH_READ:
    case FTL_BENCH_WRITE:
    case FTL_BENCH_COPY:
    case FTL_BENCH_TRIAD:
        return passes * (double)b->floats_each * sizeof(float) * b->n_arrays * b->n_threads /
               seconds;
    default: return seconds / passes;
    }
}

/* ---- set-up -------------------------------------------------------------------------------- */

/* A cycle through all lines in random order (Sattolo 1986), so that no prefetcher guesses. */
static void make_chain(bench *b)
{
    const int64_t n = (int64_t)(b->data_bytes / LINE);
    char *base = (char *)b->data;
    const ftl_rng rng = { .seed = 2, .id = 0 };
    for (int64_t i = 0; i < n; i++) *(int64_t *)(base + i * LINE) = i;
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = ftl_rng_below(rng, (uint64_t)i, (uint32_t)i);
        int64_t *a = (int64_t *)(base + i * LINE), *c = (int64_t *)(base + j * LINE);
        const int64_t swap = *a;
        *a = *c;
        *c = swap;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t next = *(int64_t *)(base + i * LINE);
        *(void **)(base + i * LINE) = base + next * LINE;
    }
    b->chain = base;
}

static ftl_status set_up(bench *b)
{
    static const int arrays[] = { [FTL_BENCH_READ] = 1,
                                  [FTL_BENCH_WRITE] = 1,
                                  [FTL_BENCH_COPY] = 2,
                                  [FTL_BENCH_TRIAD] = 3,
                                  [FTL_BENCH_BARRIER] = 0 };
    const ftl_bench_job *j = b->job;
    b->n_arrays = arrays[j->what];
    if (b->n_arrays > 0) {
        const int64_t parts = (int64_t)b->n_arrays * b->n_threads * FTL_BENCH_STEP;
        b->floats_each = (int64_t)(j->bytes / sizeof(float)) / parts * FTL_BENCH_STEP;
        if (b->floats_each < FTL_BENCH_STEP) b->floats_each = FTL_BENCH_STEP;
    }
    b->data_bytes = j->what == FTL_BENCH_LATENCY
                        ? (size_t)(j->bytes < 2 * LINE ? 2 * LINE : j->bytes / LINE * LINE)
                        : (size_t)(b->floats_each * b->n_arrays * b->n_threads) * sizeof(float);
    b->slots_bytes = (size_t)b->n_threads * sizeof(slot);
    b->slots = ftl_pages_alloc(b->slots_bytes);
    b->data = b->slots ? ftl_pages_alloc(b->data_bytes) : NULL;
    if (!b->data) return ftl_fail(FTL_ENOMEM, "no %zu bytes for a measurement", b->data_bytes);
    if (j->what == FTL_BENCH_LATENCY) make_chain(b);
    else ftl_pool_run(b->pool, fill_task, b);
    return FTL_OK;
}

/* The number of passes that take about job->seconds; finding it is the warm-up too. */
static ftl_status find_passes(bench *b)
{
    const double wanted = b->job->seconds > 1e-5 ? b->job->seconds : 1e-5;
    b->passes = 1;
    if (b->job->what == FTL_BENCH_WAKE) {
        b->passes = WAKES;
        fork_seconds(b);
        return FTL_OK;
    }
    for (;;) {
        FTL_TRY(ftl_cancel_check());
        const double seconds = sample_seconds(b);
        if (seconds >= wanted / 4) {
            const double passes = (double)b->passes * wanted / seconds;
            b->passes = passes > 1 ? (int64_t)passes : 1;
            return FTL_OK;
        }
        b->passes *= 2;
    }
}

static ftl_status measure(ftl_queue *queue, const ftl_bench_job *job, double *samples)
{
    const cpu_device *device = (const cpu_device *)queue->device;
    bench b = { .job = job,
                .kernels = ftl_bench_kernels_get(device->isa),
                .pool = ((cpu_queue *)queue)->pool,
                .n_threads = (int)ftl_queue_threads(queue) };
    if ((unsigned)job->what > FTL_BENCH_BARRIER)
        return ftl_fail(FTL_EUNSUPPORTED, "the CPU has no measurement number %d", (int)job->what);
    if (job->what == FTL_BENCH_PEAK && job->dtype != FTL_DTYPE_F32)
        return ftl_fail(FTL_EUNSUPPORTED, "the CPU backend computes in f32 only");
    ftl_status s = set_up(&b);
    if (s == FTL_OK) s = find_passes(&b);
    for (uint32_t i = 0; s == FTL_OK && i < job->n_samples; i++) {
        samples[i] = figure(&b, sample_seconds(&b));
        s = ftl_cancel_check();
    }
    ftl_pages_free(b.data, b.data_bytes);
    ftl_pages_free(b.slots, b.slots_bytes);
    return s;
}

const ftl_bench_extension ftl_cpu_bench_extension = { .measure = measure };

/* ---- kernels ------------------------------------------------------------------------------- */

extern const ftl_bench_kernels ftl_bench_f32_any;
#if defined(__x86_64__)
extern const ftl_bench_kernels ftl_bench_f32_avx2, ftl_bench_f32_avx512;
#elif defined(__aarch64__)
extern const ftl_bench_kernels ftl_bench_f32_neon;
#endif

const ftl_bench_kernels *ftl_bench_kernels_get(uint32_t isa)
{
    static const ftl_bench_kernels *const best_first[] = {
#if defined(__x86_64__)
        &ftl_bench_f32_avx512,
        &ftl_bench_f32_avx2,
#elif defined(__aarch64__)
        &ftl_bench_f32_neon,
#endif
        &ftl_bench_f32_any,
    };
    size_t i = 0;
    while ((best_first[i]->isa & isa) != best_first[i]->isa) i++;
    return best_first[i];
}
