/* SPDX-License-Identifier: Apache-2.0 */
/* The waiting scheme: each event is a 32-bit word that changes.  A waiter spins on it, at first
 * alone and then with yields, then counts itself into `sleepers` and sleeps in futex(2).  Whoever
 * changes the word looks at `sleepers` afterwards and makes the system call only if somebody
 * sleeps. Both orders are sequentially consistent, so one of the two always sees the other; the
 * kernel compares the word once more before it sleeps.  (Franke, Russell, Kirkwood 2002, "Fuss,
 * futexes and furwocks".)  The barrier is the central sense-reversing one of Mellor-Crummey and
 * Scott 1991, with a counter of phases in place of the sense.
 * The yields matter where the system puts two threads on one CPU for a while: each barrier then
 * costs 2 us instead of the whole spinning time. */
#include "base/pool.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"

enum {
    LINE = 128, /* bytes: two cache lines, since the prefetcher of x86 fetches pairs */
    DEFAULT_SPIN_NS = 50 * 1000,
    PURE_SPIN_NS = 1000, /* without sched_yield() */
    SPINS_PER_CLOCK = 16,
    YIELDS = 4
};

/* A word to wait for, and the number of those who sleep on it, on a line of their own. */
typedef struct event {
    _Alignas(LINE) _Atomic uint32_t word;
    _Atomic uint32_t sleepers;
} event;

typedef struct worker {
    ftl_pool *pool;
    pthread_t thread;
    int index;
} worker;

struct ftl_pool {
    event start;                             /* word: number of runs begun          */
    event done;                              /* word: workers still at work         */
    event phase;                             /* word: number of barriers passed     */
    _Alignas(LINE) _Atomic uint32_t arrived; /* threads at the barrier              */
    _Alignas(LINE) _Atomic int64_t next;     /* next chunk to hand out              */
    _Alignas(LINE) ftl_pool_task task;       /* written before `start`, read after  */
    void *arg;
    bool is_stopping, is_running;
    int n_threads, n_started; /* n_started: workers that exist, without the caller */
    int64_t spin_ns;
    size_t bytes;
    worker workers[];
};

static void futex_wait(_Atomic uint32_t *word, uint32_t old)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
}

static void wake(event *e)
{
    if (atomic_load(&e->sleepers) != 0)
        syscall(SYS_futex, &e->word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static inline void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory"); /* yield is a no-op on most cores */
#endif
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool has_changed(event *e, uint32_t old)
{
    return atomic_load_explicit(&e->word, memory_order_acquire) != old;
}

/* Returns when e->word is no longer `old`. */
static void wait_change(event *e, uint32_t old, int64_t spin_ns)
{
    if (has_changed(e, old)) return;
    const int64_t begin = spin_ns > 0 ? now_ns() : 0;
    for (int64_t spent_ns = 0; spent_ns < spin_ns; spent_ns = now_ns() - begin) {
        for (int i = 0; i < SPINS_PER_CLOCK; i++) {
            pause_cpu();
            if (has_changed(e, old)) return;
        }
        /* Whoever is awaited may stand in the queue of this very CPU. */
        if (spent_ns > PURE_SPIN_NS) sched_yield();
    }
    for (int i = 0; i < YIELDS; i++) {
        sched_yield();
        if (has_changed(e, old)) return;
    }
    atomic_fetch_add(&e->sleepers, 1);
    while (atomic_load(&e->word) == old) futex_wait(&e->word, old);
    atomic_fetch_sub(&e->sleepers, 1);
}

static void *worker_main(void *arg)
{
    const worker *w = arg;
    ftl_pool *pool = w->pool;
    for (uint32_t seen = 0;; seen++) {
        wait_change(&pool->start, seen, pool->spin_ns);
        if (pool->is_stopping) return NULL;
        pool->task(pool->arg, w->index, pool->n_threads);
        if (atomic_fetch_sub(&pool->done.word, 1) == 1) wake(&pool->done);
    }
}

/* One worker, pinned to `cpu` unless that is negative, with all signals left to the main thread. */
static ftl_status start_worker(ftl_pool *pool, int index, int cpu)
{
    worker *w = &pool->workers[index - 1];
    *w = (worker){ .pool = pool, .index = index };
    pthread_attr_t attr;
    int error = pthread_attr_init(&attr);
    if (error) return ftl_fail(FTL_ENOMEM, "no memory to start thread %d", index);
    if (cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        error = pthread_attr_setaffinity_np(&attr, sizeof set, &set);
    }
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (!error) error = pthread_create(&w->thread, &attr, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (error == EINVAL && cpu >= 0)
        return ftl_fail(FTL_EINVAL,
                        "thread %d cannot be pinned to CPU %d: this process may not use it; "
                        "choose CPUs of its affinity mask",
                        index, cpu);
    if (error)
        return ftl_fail(FTL_ENOMEM, "cannot start thread %d of %d: %s; use fewer threads", index,
                        pool->n_threads, strerror(error));
    pool->n_started++;
    return FTL_OK;
}

static ftl_status check_options(const ftl_pool_options *o, int n_threads)
{
    if (n_threads < 1 || n_threads > FTL_POOL_MAX_THREADS)
        return ftl_fail(FTL_EINVAL, "a pool of %d threads: the number must be 1 to %d", n_threads,
                        FTL_POOL_MAX_THREADS);
    for (int i = 0; o && o->cpus && i < n_threads; i++)
        if (o->cpus[i] < 0 || o->cpus[i] >= CPU_SETSIZE)
            return ftl_fail(FTL_EINVAL, "thread %d on CPU %d: the number must be 0 to %d", i,
                            o->cpus[i], CPU_SETSIZE - 1);
    return FTL_OK;
}

ftl_status ftl_pool_create(ftl_pool **out, const ftl_pool_options *options)
{
    *out = NULL;
    const int n = options && options->n_threads ? options->n_threads : 1;
    FTL_TRY(check_options(options, n));
    /* Pages, since malloc does not align to LINE. */
    const size_t bytes = sizeof(ftl_pool) + (size_t)(n - 1) * sizeof(worker);
    ftl_pool *pool = ftl_pages_alloc(bytes);
    if (!pool) return ftl_fail(FTL_ENOMEM, "no memory for a pool of %d threads", n);
    pool->bytes = bytes;
    pool->n_threads = n;
    pool->spin_ns = options ? options->spin_ns : 0;
    if (pool->spin_ns == 0) pool->spin_ns = n > ftl_thread_cpus() ? -1 : DEFAULT_SPIN_NS;
    for (int i = 1; i < n; i++) {
        const ftl_status s = start_worker(pool, i, options->cpus ? options->cpus[i] : -1);
        if (s != FTL_OK) {
            ftl_pool_destroy(pool);
            return s;
        }
    }
    *out = pool;
    return FTL_OK;
}

void ftl_pool_destroy(ftl_pool *pool)
{
    if (!pool) return;
    pool->is_stopping = true;
    atomic_fetch_add(&pool->start.word, 1);
    wake(&pool->start);
    for (int i = 0; i < pool->n_started; i++) pthread_join(pool->workers[i].thread, NULL);
    ftl_pages_free(pool, pool->bytes);
}

int ftl_pool_threads(const ftl_pool *pool)
{
    return pool ? pool->n_threads : 1;
}

void ftl_pool_run(ftl_pool *pool, ftl_pool_task task, void *arg)
{
    if (!pool || pool->n_threads == 1) {
        task(arg, 0, 1);
        return;
    }
    assert(!pool->is_running && "a task must not start another run of its own pool");
    pool->is_running = true;
    pool->task = task;
    pool->arg = arg;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->done.word, (uint32_t)pool->n_threads - 1, memory_order_relaxed);
    atomic_fetch_add(&pool->start.word, 1);
    wake(&pool->start);
    task(arg, 0, pool->n_threads);
    for (uint32_t left; (left = atomic_load_explicit(&pool->done.word, memory_order_acquire)) != 0;)
        wait_change(&pool->done, left, pool->spin_ns);
    pool->is_running = false;
}

void ftl_pool_barrier(ftl_pool *pool, int thread)
{
    if (!pool || pool->n_threads == 1) return;
    assert(thread >= 0 && thread < pool->n_threads);
    (void)thread;
    /* The phase cannot move on before this thread has arrived. */
    const uint32_t phase = atomic_load_explicit(&pool->phase.word, memory_order_relaxed);
    const uint32_t before = atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel);
    if (before + 1 < (uint32_t)pool->n_threads) {
        wait_change(&pool->phase, phase, pool->spin_ns);
        return;
    }
    atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store(&pool->phase.word, phase + 1);
    wake(&pool->phase);
}

static void take_chunks(ftl_pool *pool, int thread, int64_t n, ftl_pool_chunk chunk, void *arg)
{
    for (int64_t c; (c = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed)) < n;)
        chunk(arg, c, thread);
}

void ftl_pool_share(ftl_pool *pool, int thread, int64_t n_chunks, ftl_pool_chunk chunk, void *arg)
{
    if (!pool || pool->n_threads == 1) {
        for (int64_t c = 0; c < n_chunks; c++) chunk(arg, c, thread);
        return;
    }
    take_chunks(pool, thread, n_chunks, chunk, arg);
    ftl_pool_barrier(pool, thread); /* also sets the counter back to 0 */
}

typedef struct chunk_job {
    ftl_pool *pool;
    int64_t n_chunks;
    ftl_pool_chunk chunk;
    void *arg;
} chunk_job;

static void chunk_task(void *arg, int thread, int n_threads)
{
    (void)n_threads;
    const chunk_job *job = arg;
    take_chunks(job->pool, thread, job->n_chunks, job->chunk, job->arg);
}

void ftl_pool_chunks(ftl_pool *pool, int64_t n_chunks, ftl_pool_chunk chunk, void *arg)
{
    if (!pool || pool->n_threads == 1 || n_chunks <= 1) {
        for (int64_t c = 0; c < n_chunks; c++) chunk(arg, c, 0);
        return;
    }
    chunk_job job = { pool, n_chunks, chunk, arg };
    ftl_pool_run(pool, chunk_task, &job);
}

ftl_status ftl_thread_pin(int cpu)
{
    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return ftl_fail(FTL_EINVAL, "CPU %d: the number must be 0 to %d", cpu, CPU_SETSIZE - 1);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        return ftl_fail(FTL_EINVAL, "this thread cannot be pinned to CPU %d: %s", cpu,
                        strerror(errno));
    return FTL_OK;
}

int ftl_thread_cpus(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
    const long n = sysconf(_SC_NPROCESSORS_ONLN); /* more than CPU_SETSIZE of them */
    return n > 0 ? (int)n : 1;
}
