/* SPDX-License-Identifier: Apache-2.0 */
/* Watts from a command of the user's: a wall meter's script, ipmitool, a smart plug.  It is run
 * again for each reading, by sh -c in a process group of its own, so that a stuck one can be ended
 * with all it started. */
#include "device/meter_source.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

extern char **environ;

enum { ANSWER_BYTES = 256 };
#define TIMEOUT_NS (2 * 1000000000ll)
/* More than any machine that one person measures draws; catches milliwatts. */
#define WATTS_MAX 1e6

struct command {
    char *text;
};

/* stdin and stderr are /dev/null, stdout the pipe. */
static int spawn(pid_t *pid, const char *text, int write_end)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGTERM);
    sigaddset(&usual, SIGPIPE);
    int error = posix_spawn_file_actions_init(&files);
    if (error) return error;
    error = posix_spawnattr_init(&attributes);
    if (error) {
        posix_spawn_file_actions_destroy(&files);
        return error;
    }
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    error = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    if (!error) error = posix_spawn_file_actions_adddup2(&files, write_end, 1);
    if (!error) error = posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    char *arguments[] = { "sh", "-c", (char *)text, NULL };
    if (!error) error = posix_spawn(pid, "/bin/sh", &files, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

static int left_ms(int64_t deadline_ns)
{
    const int64_t left = deadline_ns - ftl_clock_ns();
    return left > 0 ? (int)(left / 1000000) + 1 : 0;
}

/* Until the end of the file; what does not fit is dropped.  false: the time is over. */
static bool read_answer(char answer[ANSWER_BYTES], int fd, int64_t deadline_ns)
{
    size_t n = 0;
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        const int ready = poll(&p, 1, left_ms(deadline_ns));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return false;
        char part[ANSWER_BYTES];
        const ssize_t got = read(fd, part, sizeof part);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        const size_t room = ANSWER_BYTES - 1 - n;
        const size_t taken = (size_t)got < room ? (size_t)got : room;
        memcpy(answer + n, part, taken);
        n += taken;
        answer[n] = 0;
    }
    return true;
}

/* The exit status, or -1 when it had to be ended. */
static int wait_end(pid_t pid, int64_t deadline_ns)
{
    int status = 0;
    for (;;) {
        const pid_t done = waitpid(pid, &status, WNOHANG);
        if (done == pid) return status;
        /* A program that ignores SIGCHLD has no status to give: the answer must do. */
        if (done < 0 && errno != EINTR) return 0;
        if (left_ms(deadline_ns) == 0) break;
        const struct timespec pause = { .tv_nsec = 500000 };
        nanosleep(&pause, NULL);
    }
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return -1;
}

/* "123.4", "123.4 W", "123.4 Watts" and nothing else. */
static ftl_status parse_watts(double *watts, const char *answer, const char *text)
{
    char *end = NULL;
    *watts = strtod(answer, &end);
    const bool is_number = end != answer;
    while (*end == ' ') end++;
    if (strncasecmp(end, "watts", 5) == 0) end += 5;
    else if (*end == 'W' || *end == 'w') end++;
    end += strspn(end, " \t\r\n");
    if (!is_number || *end != 0)
        return ftl_fail(FTL_EFORMAT,
                        "the command '%.80s' printed '%.40s': it must print one number, the watts",
                        text, answer);
    if (!isfinite(*watts) || *watts < 0 || *watts > WATTS_MAX)
        return ftl_fail(FTL_EFORMAT,
                        "the command '%.80s' printed %g, which cannot be watts (0 to %g)", text,
                        *watts, WATTS_MAX);
    return FTL_OK;
}

static ftl_status command_read(double *value, void *state)
{
    const struct command *c = state;
    int ends[2];
    *value = 0;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return ftl_fail(FTL_EIO, "no pipe to the power command: %s", strerror(errno));
    pid_t pid = 0;
    const int64_t deadline_ns = ftl_clock_ns() + TIMEOUT_NS;
    const int error = spawn(&pid, c->text, ends[1]);
    close(ends[1]);
    if (error) {
        close(ends[0]);
        return ftl_fail(FTL_EIO, "cannot start the power command '%.80s': %s", c->text,
                        strerror(error));
    }
    char answer[ANSWER_BYTES] = "";
    const bool is_read = read_answer(answer, ends[0], deadline_ns);
    close(ends[0]);
    const int status = wait_end(pid, is_read ? deadline_ns : 0);
    if (!is_read || status == -1)
        return ftl_fail(FTL_ETIMEOUT,
                        "the power command '%.80s' took more than 2 s: it must print the watts at "
                        "once",
                        c->text);
    answer[strcspn(answer, "\r\n")] = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return ftl_fail(FTL_EIO, "the power command '%.80s' failed with %s %d: try it in a shell",
                        c->text, WIFEXITED(status) ? "status" : "signal",
                        WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return parse_watts(value, answer, c->text);
}

static void command_close(void *state)
{
    struct command *c = state;
    if (!c) return;
    ftl_free(c->text);
    ftl_free(c);
}

static ftl_status command_open(void **state, char *method, const ftl_meter_options *options)
{
    (void)method;
    *state = NULL;
    struct command *c = ftl_calloc(1, sizeof *c);
    if (c) c->text = ftl_strdup(options->command);
    if (!c || !c->text) {
        command_close(c);
        return ftl_fail(FTL_ENOMEM, "no memory for the power command");
    }
    *state = c;
    return FTL_OK;
}

const ftl_meter_source ftl_meter_command = {
    .method = "command",
    .covers = "what it measures",
    .use = FTL_METER_FOR_COMMAND,
    .period_ns = 250 * 1000000ll, /* each reading starts a process, which takes power itself */
    .resolution_s = 0.5,
    .open = command_open,
    .read = command_read,
    .close = command_close,
};
