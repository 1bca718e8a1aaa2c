/* SPDX-License-Identifier: Apache-2.0 */
/* Trying a plug-in in a child process.  The child writes one message into a pipe: a status and a
 * line of text.  What it prints on stderr goes into a second pipe, of which the last line is kept:
 * a plug-in that aborts says there why. */
#include "backend/pjrt/pjrt_api.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "backend/pjrt/pjrt_internal.h"
#include "base/clock.h"

typedef struct message {
    int32_t status;
    char text[700]; /* small enough for one atomic write into a pipe */
} message;

typedef struct probe {
    pid_t pid;
    int result_fd, noise_fd; /* -1: closed */
    message result;
    size_t result_bytes;
    char noise[400]; /* tail of what the child printed */
    size_t noise_bytes;
} probe;

static int64_t now_ms(void)
{
    return ftl_clock_ns() / 1000000;
}

/* ---- in the child ---- */

static ftl_status run_add(ftl_pjrt_client *client)
{
    static const char text[] =
        "module {\n  func.func public @main(%a: tensor<2x3xf32>) -> (tensor<2x3xf32>) {\n"
        "    %r = \"stablehlo.add\"(%a, %a) : (tensor<2x3xf32>, tensor<2x3xf32>) -> "
        "tensor<2x3xf32>\n"
        "    \"func.return\"(%r) : (tensor<2x3xf32>) -> ()\n  }\n}\n";
    static const float data[6] = { 1, 2, 3, 4, 5, 6 };
    const ftl_pjrt_shape shape = { FTL_PJRT_F32, 2, { 2, 3 } };
    const ftl_pjrt_compile_options options = { sizeof options, 0, &shape, 1 };
    ftl_pjrt_program *program = NULL;
    ftl_pjrt_buffer *in = NULL, *out = NULL;
    float got[6] = { 0 };
    ftl_status s = ftl_pjrt_compile(&program, client, text, sizeof text - 1, &options);
    if (s == FTL_OK) s = ftl_pjrt_buffer_upload(&in, client, 0, &shape, data, NULL);
    if (s == FTL_OK) {
        const ftl_pjrt_run run = { sizeof run, &in, 1, &out, 1, NULL, 0, NULL };
        s = ftl_pjrt_execute(program, &run);
    }
    if (s == FTL_OK) s = ftl_pjrt_buffer_download(out, got, sizeof got, NULL);
    for (int i = 0; s == FTL_OK && i < 6; i++)
        if (got[i] != 2 * data[i])
            s = ftl_fail(FTL_EINTERNAL, "%g + %g gave %g: this plug-in computes wrongly", data[i],
                         data[i], got[i]);
    ftl_pjrt_buffer_destroy(out);
    ftl_pjrt_buffer_destroy(in);
    ftl_pjrt_program_destroy(program);
    return s;
}

static ftl_status try_plugin(const char *path, char *text, size_t text_bytes)
{
    const int64_t start_ms = now_ms();
    ftl_pjrt_plugin *plugin;
    ftl_pjrt_client *client;
    FTL_TRY(ftl_pjrt_plugin_open(&plugin, path));
    FTL_TRY(ftl_pjrt_client_create(&client, plugin, NULL, 0));
    const ftl_status s = run_add(client);
    if (s == FTL_OK) {
        const ftl_pjrt_plugin_info *info = ftl_pjrt_plugin_peek_info(plugin);
        const int64_t *v = info->stablehlo_current;
        snprintf(text, text_bytes,
                 "%s, %zu x %s, PJRT API %d.%d, StableHLO %lld.%lld.%lld, works (%lld ms)",
                 client->platform, client->n_devices, client->device_infos[0].kind, info->api_major,
                 info->api_minor, (long long)v[0], (long long)v[1], (long long)v[2],
                 (long long)(now_ms() - start_ms));
    }
    ftl_pjrt_client_destroy(client);
    return s;
}

static void run_child(const char *path, pid_t parent, int result_fd, int noise_fd)
    __attribute__((noreturn));
static void run_child(const char *path, pid_t parent, int result_fd, int noise_fd)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a parent that is killed takes the child with it */
    if (getppid() != parent) _exit(1);
    dup2(noise_fd, STDOUT_FILENO);
    dup2(noise_fd, STDERR_FILENO);
    message m = { 0 };
    m.status = try_plugin(path, m.text, sizeof m.text);
    if (m.status != FTL_OK) snprintf(m.text, sizeof m.text, "%s", ftl_error_text());
    const ssize_t n = write(result_fd, &m, sizeof m);
    _exit(n == (ssize_t)sizeof m ? 0 : 1); /* no destructors: plug-ins hang or crash in them */
}

/* ---- in the parent ---- */

static ftl_status start(probe *p, const char *path)
{
    int result[2], noise[2];
    if (pipe2(result, O_CLOEXEC))
        return ftl_fail(FTL_EIO, "no pipe to try %s: %s", path, strerror(errno));
    if (pipe2(noise, O_CLOEXEC)) {
        close(result[0]);
        close(result[1]);
        return ftl_fail(FTL_EIO, "no pipe to try %s: %s", path, strerror(errno));
    }
    fflush(NULL); /* else the child's copy of pending output might be written twice */
    const pid_t parent = getpid();
    p->pid = fork();
    if (p->pid == 0) run_child(path, parent, result[1], noise[1]);
    const int error = errno;
    close(result[1]);
    close(noise[1]);
    p->result_fd = result[0];
    p->noise_fd = noise[0];
    if (p->pid > 0) return FTL_OK;
    close(result[0]);
    close(noise[0]);
    return ftl_fail(FTL_EIO, "no process to try %s: %s", path, strerror(error));
}

/* Keeps the tail, from which the last line is shown. */
static void add_noise(probe *p, const char *data, size_t n)
{
    const size_t room = sizeof p->noise - 1;
    if (n >= room) {
        data += n - room;
        n = room;
    }
    if (p->noise_bytes + n > room) {
        const size_t excess = p->noise_bytes + n - room;
        memmove(p->noise, p->noise + excess, p->noise_bytes - excess);
        p->noise_bytes -= excess;
    }
    memcpy(p->noise + p->noise_bytes, data, n);
    p->noise_bytes += n;
    p->noise[p->noise_bytes] = 0;
}

static void close_fd(int *fd)
{
    close(*fd);
    *fd = -1;
}

static void read_result(probe *p)
{
    char *at = (char *)&p->result + p->result_bytes;
    const ssize_t n = read(p->result_fd, at, sizeof p->result - p->result_bytes);
    if (n > 0) p->result_bytes += (size_t)n;
    if (n == 0 || p->result_bytes == sizeof p->result) close_fd(&p->result_fd);
}

static void read_noise(probe *p)
{
    char data[512];
    const ssize_t n = read(p->noise_fd, data, sizeof data);
    if (n > 0) add_noise(p, data, (size_t)n);
    if (n == 0) close_fd(&p->noise_fd);
}

/* True when the child reported or closed its end; false when the time is up. */
static bool listen_to(probe *p, int64_t timeout_ms)
{
    const int64_t end_ms = now_ms() + timeout_ms;
    while (p->result_fd >= 0) {
        const int64_t left_ms = end_ms - now_ms();
        if (left_ms <= 0) return false;
        struct pollfd fds[2] = { { p->result_fd, POLLIN, 0 }, { p->noise_fd, POLLIN, 0 } };
        if (poll(fds, 2, left_ms > 60000 ? 60000 : (int)left_ms) <= 0) continue;
        if (fds[1].revents) read_noise(p);
        if (fds[0].revents) read_result(p);
    }
    return true;
}

/* What was still in the pipe when the child ended. */
static void drain_noise(probe *p)
{
    while (p->noise_fd >= 0) {
        struct pollfd fd = { p->noise_fd, POLLIN, 0 };
        if (poll(&fd, 1, 0) <= 0) return;
        read_noise(p);
    }
}

static const char *last_line(probe *p)
{
    while (p->noise_bytes && strchr("\n\r ", p->noise[p->noise_bytes - 1]))
        p->noise[--p->noise_bytes] = 0;
    const char *line = strrchr(p->noise, '\n');
    return line ? line + 1 : p->noise;
}

static ftl_status judge(probe *p, const char *path, int64_t timeout_ms, bool is_late, int status,
                        double cpu_s, char *report, size_t report_bytes)
{
    if (p->result_bytes == sizeof p->result) {
        p->result.text[sizeof p->result.text - 1] = 0;
        if (p->result.status == FTL_OK) {
            snprintf(report, report_bytes, "%s", p->result.text);
            return FTL_OK;
        }
        return ftl_fail((ftl_status)p->result.status, "%s", p->result.text);
    }
    const char *line = last_line(p);
    if (is_late)
        return ftl_fail(FTL_ETIMEOUT,
                        "%s gave no answer in %.1f s (%.1f s of processor time%s) and was stopped",
                        path, (double)timeout_ms * 1e-3, cpu_s,
                        cpu_s < 0.05 ? ": it waits, perhaps for the network" : "");
    if (WIFSIGNALED(status))
        return ftl_fail(FTL_ELOST, "%s died of signal %d (%s) while it was tried%s%s", path,
                        WTERMSIG(status), strsignal(WTERMSIG(status)), *line ? ": " : "", line);
    return ftl_fail(FTL_ELOST, "%s ended the process with exit code %d while it was tried%s%s",
                    path, WEXITSTATUS(status), *line ? ": " : "", line);
}

ftl_status ftl_pjrt_probe(const char *path, int64_t timeout_ms, char *report, size_t report_bytes)
{
    if (report_bytes) report[0] = 0;
    if (!path || timeout_ms <= 0)
        return ftl_fail(FTL_EINVAL, "trying a plug-in needs its path and a time limit over 0 ms");
    probe p = { 0 };
    FTL_TRY(start(&p, path));
    const bool is_late = !listen_to(&p, timeout_ms);
    if (is_late) kill(p.pid, SIGKILL);
    int status = 0;
    struct rusage usage = { 0 };
    while (wait4(p.pid, &status, 0, &usage) < 0 && errno == EINTR) continue;
    drain_noise(&p);
    if (p.result_fd >= 0) close_fd(&p.result_fd);
    if (p.noise_fd >= 0) close_fd(&p.noise_fd);
    const double cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    return judge(&p, path, timeout_ms, is_late, status, cpu_s, report, report_bytes);
}
