/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h - a fixed team of threads that runs one function on all of them at once.
 * Idea: fork and join.  The caller is thread 0; the others wait, spinning for a short while and
 * then asleep on a futex.  Inside a task ftl_pool_barrier() separates the steps of a program, so
 * that many small kernels cost one fork and a barrier each.
 *
 * All threads are made by create; no other call makes one.  A pool is used by one caller at a time,
 * tasks must not call ftl_pool_run() or ftl_pool_chunks() again, and a pool does not survive
 * fork().  What thread A wrote before a barrier, a join or a fork, thread B sees after it.
 * A NULL pool is a valid team of the caller alone, as is one with n_threads 1. */
#ifndef FTL_BASE_POOL_H
#define FTL_BASE_POOL_H

#include <stdint.h>
#include <stddef.h>

#include "fettle/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FTL_POOL_MAX_THREADS = 1024 };

typedef struct ftl_pool ftl_pool;

typedef struct ftl_pool_options {
    size_t struct_size;
    int n_threads;   /* with the caller, 1 ... FTL_POOL_MAX_THREADS; 0 gives 1                  */
    const int *cpus; /* NULL, or n_threads numbers: thread i > 0 is pinned to cpus[i]; cpus[0]
                        is the caller's, who may pin itself by ftl_thread_pin().  Copied.      */
    int64_t spin_ns; /* how long a waiting thread spins before it sleeps; 0: 50 us, or none where
                        there are more threads than CPUs; below 0: none                        */
} ftl_pool_options;
#define FTL_POOL_OPTIONS_INIT                                                                      \
    {                                                                                              \
        .struct_size = sizeof(ftl_pool_options)                                                    \
    }

/* Runs on thread `thread` of 0 ... n_threads - 1; 0 is the caller of ftl_pool_run(). */
typedef void (*ftl_pool_task)(void *arg, int thread, int n_threads);
/* Does chunk `chunk` of 0 ... n_chunks - 1 on thread `thread`. */
typedef void (*ftl_pool_chunk)(void *arg, int64_t chunk, int thread);

/* options may be NULL.  FTL_EINVAL: a count or a CPU number outside its range, or a CPU that this
 * process may not use.  FTL_ENOMEM: the system gives no more threads or memory. */
FTL_MUST_USE ftl_status ftl_pool_create(ftl_pool **out, const ftl_pool_options *options);
/* Joins all threads.  NULL and half-built pools are fine. */
void ftl_pool_destroy(ftl_pool *pool);

/* Number of threads with the caller, at least 1. */
int ftl_pool_threads(const ftl_pool *pool);

/* Runs task(arg, i, n) on every thread i and returns when all are done. */
void ftl_pool_run(ftl_pool *pool, ftl_pool_task task, void *arg);

/* Inside a task: waits until every thread of the pool has come here.  Every thread must pass the
 * same number of barriers; `thread` is the task's own. */
void ftl_pool_barrier(ftl_pool *pool, int thread);

/* Does chunks 0 ... n_chunks - 1, each once, handed out by a counter to whoever is free; returns
 * when all are done.  From outside a task. */
void ftl_pool_chunks(ftl_pool *pool, int64_t n_chunks, ftl_pool_chunk chunk, void *arg);
/* The same from inside a task: every thread calls it with the same n_chunks; it ends with a
 * barrier. */
void ftl_pool_share(ftl_pool *pool, int thread, int64_t n_chunks, ftl_pool_chunk chunk, void *arg);

/* Moves the calling thread to one CPU.  FTL_EINVAL: no such CPU, or not ours to use. */
FTL_MUST_USE ftl_status ftl_thread_pin(int cpu);
/* Number of CPUs that this process may run on (its affinity mask), at least 1. */
int ftl_thread_cpus(void);

#ifdef __cplusplus
}
#endif
#endif
