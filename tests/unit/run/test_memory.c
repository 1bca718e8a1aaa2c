/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that a session says it needs beside what the process really takes.
 *     test_memory MODEL[:THREADS[:BATCH]]...        a preset's name without @, or a path with a /
 * Each case runs in a child of its own, whose peak is VmHWM less VmRSS before the model is opened.
 * Allowed: 2 %, or 20 MiB where that is more. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fettle/run.h"
#include "fettle/session.h"
#include "support/test.h"

typedef struct outcome {
    ftl_session_memory memory;
    uint64_t peak_bytes;
    char sentence[256]; /* "" : all went well */
} outcome;

static ftl_status open_and_run(outcome *o, const char *name, uint32_t n_threads, int64_t batch)
{
    ftl_session_options options = FTL_SESSION_OPTIONS_INIT;
    options.n_threads = n_threads;
    options.batch = batch;
    ftl_model *model = NULL;
    ftl_session *session = NULL;
    ftl_status s = ftl_model_open(&model, name);
    if (s == FTL_OK) s = ftl_session_create(&session, model, &options);
    if (s == FTL_OK) s = ftl_session_set_random_inputs(session, 1);
    for (int run = 0; s == FTL_OK && run < 2; run++) s = ftl_session_run(session, NULL);
    if (s == FTL_OK) ftl_session_get_memory(session, &o->memory);
    ftl_session_destroy(session);
    ftl_model_close(model);
    return s;
}

/* In the child: measures and writes an outcome into the pipe. */
static void be_child(int pipe_end, const char *name, uint32_t n_threads, int64_t batch)
{
    outcome o = { .peak_bytes = 0 };
    ftl_peak peak;
    ftl_peak_start(&peak);
    if (open_and_run(&o, name, n_threads, batch) != FTL_OK)
        snprintf(o.sentence, sizeof o.sentence, "%s", ftl_error_text());
    o.peak_bytes = ftl_peak_bytes(&peak);
    _exit(write(pipe_end, &o, sizeof o) == (ssize_t)sizeof o ? 0 : 1);
}

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

/* true: within the promise. */
static bool check_case(const char *spelling)
{
    char text[512] = "@";
    unsigned threads = 1;
    long long batch = 0;
    if (sscanf(spelling, "%500[^:]:%u:%lld", text + 1, &threads, &batch) < 1) return false;
    const char *name = strchr(spelling, '/') ? text + 1 : text;
    int ends[2];
    outcome o;
    if (pipe(ends) != 0) return false;
    const pid_t child = fork();
    if (child < 0) return false;
    if (child == 0) be_child(ends[1], name, threads, batch);
    close(ends[1]);
    const bool is_whole = read(ends[0], &o, sizeof o) == (ssize_t)sizeof o;
    close(ends[0]);
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0 || !is_whole) {
        printf("# %s: the child ended with %d\n", spelling, status);
        return false;
    }
    if (o.sentence[0]) {
        printf("# %s: %s\n", spelling, o.sentence);
        return false;
    }
    const double off = mib(o.memory.total_bytes) - mib(o.peak_bytes);
    const double allowed = fmax(20, 0.02 * mib(o.peak_bytes));
    printf(
        "# %s: predicted %.1f MiB, peak %.1f MiB, off %+.1f MiB (%+.1f %%), allowed %.1f; weights "
        "%.1f, io %.1f, workspace %.1f, overhead %.1f, load extra %.1f\n",
        spelling, mib(o.memory.total_bytes), mib(o.peak_bytes), off, 100 * off / mib(o.peak_bytes),
        allowed, mib(o.memory.weights_bytes), mib(o.memory.io_bytes), mib(o.memory.workspace_bytes),
        mib(o.memory.overhead_bytes), mib(o.memory.load_extra_bytes));
    return fabs(off) <= allowed;
}

int main(int argc, char **argv)
{
    ftl_peak peak;
    ftl_peak_start(&peak);
    if (ftl_peak_bytes(&peak) == 0) ftl_test_skip("the system does not say what is resident");
    int n_failed = 0;
    for (int i = 1; i < argc; i++) {
        const bool is_ok = check_case(argv[i]);
        n_failed += !is_ok;
        printf("%s %d - %s\n", is_ok ? "ok" : "not ok", i, argv[i]);
        fflush(stdout);
    }
    printf("1..%d\n", argc - 1);
    return n_failed ? 1 : 0;
}
