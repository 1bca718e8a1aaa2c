/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <dirent.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/pool.h"

enum { MOST_THREADS = 16, STEPS = 300, CHUNKS = 1000 };

static ftl_pool *new_pool(int n_threads)
{
    ftl_pool_options o = FTL_POOL_OPTIONS_INIT;
    o.n_threads = n_threads;
    ftl_pool *pool;
    assert_ok(ftl_pool_create(&pool, &o));
    assert_non_null(pool);
    return pool;
}

/* Threads of this process by the kernel's count. */
static int count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    int n = 0;
    for (const struct dirent *e; (e = readdir(tasks));)
        if (e->d_name[0] != '.') n++;
    closedir(tasks);
    return n;
}

typedef struct tally {
    ftl_pool *pool;
    int calls[MOST_THREADS]; /* plain memory: the pool's order must protect it */
    int step[MOST_THREADS][STEPS];
    _Atomic int wrong;
    int chunk_done[CHUNKS];
} tally;

static void count_call(void *arg, int thread, int n_threads)
{
    tally *t = arg;
    if (n_threads != ftl_pool_threads(t->pool)) atomic_fetch_add(&t->wrong, 1);
    t->calls[thread]++;
}

static void every_thread_runs_once_per_run(void **state)
{
    (void)state;
    for (int n = 1; n <= MOST_THREADS; n += n < 4 ? 1 : 4) {
        tally t = { .pool = new_pool(n) };
        for (int run = 1; run <= 50; run++) {
            ftl_pool_run(t.pool, count_call, &t);
            for (int i = 0; i < MOST_THREADS; i++) assert_int_equal(t.calls[i], i < n ? run : 0);
        }
        assert_int_equal(t.wrong, 0);
        ftl_pool_destroy(t.pool);
    }
}

/* Each step writes its own cell, passes the barrier and reads those of all others. */
static void step_task(void *arg, int thread, int n_threads)
{
    tally *t = arg;
    for (int s = 0; s < STEPS; s++) {
        t->step[thread][s] = s + 1;
        ftl_pool_barrier(t->pool, thread);
        for (int i = 0; i < n_threads; i++)
            if (t->step[i][s] != s + 1) atomic_fetch_add(&t->wrong, 1);
    }
}

static void barrier_separates_steps_also_with_too_many_threads(void **state)
{
    (void)state;
    static const int counts[] = { 1, 2, 3, 5, MOST_THREADS };
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        tally *t = calloc(1, sizeof *t);
        assert_non_null(t);
        t->pool = new_pool(counts[c]);
        ftl_pool_run(t->pool, step_task, t);
        assert_int_equal(t->wrong, 0);
        for (int i = 0; i < counts[c]; i++) assert_int_equal(t->step[i][STEPS - 1], STEPS);
        ftl_pool_destroy(t->pool);
        free(t);
    }
}

/* Thread 1 comes much too late, so the others are asleep when it does. */
static void late_task(void *arg, int thread, int n_threads)
{
    if (thread == 1) nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
    step_task(arg, thread, n_threads);
    if (thread == 1) nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
}

static void sleepers_are_woken(void **state)
{
    (void)state;
    ftl_pool_options o = FTL_POOL_OPTIONS_INIT;
    o.n_threads = 3;
    for (int mode = 0; mode < 2; mode++) {
        o.spin_ns = mode ? -1 : 1000;
        tally *t = calloc(1, sizeof *t);
        assert_non_null(t);
        assert_ok(ftl_pool_create(&t->pool, &o));
        for (int run = 0; run < 5; run++) {
            nanosleep(&(struct timespec){ .tv_nsec = 2000000 },
                      NULL); /* the workers sleep by now */
            memset(t->step, 0, sizeof t->step);
            ftl_pool_run(t->pool, late_task, t);
            assert_int_equal(t->step[1][STEPS - 1], STEPS);
        }
        assert_int_equal(t->wrong, 0);
        ftl_pool_destroy(t->pool);
        free(t);
    }
}

static void do_chunk(void *arg, int64_t chunk, int thread)
{
    tally *t = arg;
    t->chunk_done[chunk]++;
    t->calls[thread]++;
}

static void chunks_are_done_once_each(void **state)
{
    (void)state;
    static const int64_t sizes[] = { 0, 1, 2, 17, CHUNKS };
    for (int n = 1; n <= 5; n++) {
        ftl_pool *pool = new_pool(n);
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            tally t = { .pool = pool };
            ftl_pool_chunks(pool, sizes[s], do_chunk, &t);
            int sum = 0;
            for (int i = 0; i < MOST_THREADS; i++) sum += t.calls[i];
            assert_int_equal(sum, sizes[s]);
            for (int64_t i = 0; i < CHUNKS; i++) assert_int_equal(t.chunk_done[i], i < sizes[s]);
        }
        ftl_pool_destroy(pool);
    }
}

/* Several shared loops in one run: round r must see round r - 1 complete. */
static void share_task(void *arg, int thread, int n_threads)
{
    (void)n_threads;
    tally *t = arg;
    for (int round = 1; round <= 20; round++) {
        ftl_pool_share(t->pool, thread, CHUNKS, do_chunk, t);
        for (int i = 0; i < CHUNKS; i++)
            if (t->chunk_done[i] != round) atomic_fetch_add(&t->wrong, 1);
        ftl_pool_barrier(t->pool, thread);
    }
}

static void shared_loops_follow_each_other_inside_a_run(void **state)
{
    (void)state;
    for (int n = 1; n <= 4; n++) {
        tally t = { .pool = new_pool(n) };
        ftl_pool_run(t.pool, share_task, &t);
        assert_int_equal(t.wrong, 0);
        assert_int_equal(t.chunk_done[CHUNKS - 1], 20);
        ftl_pool_destroy(t.pool);
    }
}

static void threads_are_made_by_create_alone(void **state)
{
    (void)state;
    const int before = count_threads();
    ftl_pool *one = new_pool(1);
    assert_int_equal(count_threads(), before);
    ftl_pool *four = new_pool(4);
    assert_int_equal(count_threads(), before + 3);
    tally t = { .pool = four };
    for (int i = 0; i < 20; i++) {
        ftl_pool_run(four, count_call, &t);
        ftl_pool_chunks(four, 100, do_chunk, &t);
        assert_int_equal(count_threads(), before + 3);
    }
    ftl_pool_destroy(four);
    ftl_pool_destroy(one);
    tally alone = { .pool = NULL };
    ftl_pool_run(NULL, count_call, &alone);
    ftl_pool_chunks(NULL, 3, do_chunk, &alone);
    ftl_pool_barrier(NULL, 0);
    assert_int_equal(alone.calls[0], 4);
    assert_int_equal(ftl_pool_threads(NULL), 1);
}

static void bad_options_and_no_memory_are_refused(void **state)
{
    (void)state;
    ftl_pool *pool = (ftl_pool *)1;
    ftl_pool_options o = FTL_POOL_OPTIONS_INIT;
    o.n_threads = -1;
    assert_fails(FTL_EINVAL, ftl_pool_create(&pool, &o));
    assert_null(pool);
    o.n_threads = FTL_POOL_MAX_THREADS + 1;
    assert_fails(FTL_EINVAL, ftl_pool_create(&pool, &o));
    o.n_threads = 2;
    const int negative[] = { 0, -7 }, absent[] = { 0, 1023 };
    o.cpus = negative;
    assert_fails(FTL_EINVAL, ftl_pool_create(&pool, &o));
    o.cpus = absent;
    assert_fails(FTL_EINVAL, ftl_pool_create(&pool, &o));
    assert_non_null(strstr(ftl_error_text(), "1023"));
    o.cpus = NULL;
    ftl_alloc_fail_at(1, false);
    assert_fails(FTL_ENOMEM, ftl_pool_create(&pool, &o));
    ftl_alloc_fail_at(0, false);
    assert_null(pool);
    ftl_pool_destroy(NULL);
    assert_fails(FTL_EINVAL, ftl_thread_pin(-1));
    assert_true(ftl_thread_cpus() >= 1);
}

static void where_task(void *arg, int thread, int n_threads)
{
    (void)n_threads;
    unsigned cpu = 0;
    ((int *)arg)[thread] = getcpu(&cpu, NULL) == 0 ? (int)cpu : -1;
}

static void pinned_workers_run_where_told(void **state)
{
    (void)state;
    cpu_set_t allowed;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        const int cpus[] = { cpu, cpu, cpu };
        ftl_pool_options o = FTL_POOL_OPTIONS_INIT;
        o.n_threads = 3;
        o.cpus = cpus;
        ftl_pool *pool;
        assert_ok(ftl_pool_create(&pool, &o));
        int seen[3] = { -2, -2, -2 };
        ftl_pool_run(pool, where_task, seen);
        assert_int_equal(seen[1], cpu);
        assert_int_equal(seen[2], cpu);
        ftl_pool_destroy(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_thread_runs_once_per_run),
        cmocka_unit_test(barrier_separates_steps_also_with_too_many_threads),
        cmocka_unit_test(sleepers_are_woken),
        cmocka_unit_test(chunks_are_done_once_each),
        cmocka_unit_test(shared_loops_follow_each_other_inside_a_run),
        cmocka_unit_test(threads_are_made_by_create_alone),
        cmocka_unit_test(bad_options_and_no_memory_are_refused),
        cmocka_unit_test(pinned_workers_run_where_told),
    };
    return ftl_test_run(tests);
}
