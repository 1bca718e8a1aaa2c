/* SPDX-License-Identifier: Apache-2.0 */
/* The atomic writer of file.h, and the list of its temporaries for the signal handler.
 * A slot of that list goes FREE -> BUSY (name is written) -> LIVE -> FREE; the handler moves LIVE
 * to BUSY while it reads the name, and back.  Nothing in the handler waits or allocates. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

enum { BUFFER_BYTES = 64 * 1024, MOST_OPEN = 64, TRIES = 100 };

enum { FREE, BUSY, LIVE };
static struct temporary {
    atomic_int state;
    char path[PATH_MAX];
} temporaries[MOST_OPEN];

struct ftl_file_writer {
    int fd;
    struct temporary *temporary; /* NULL: written directly          */
    ftl_status failed;           /* the first failure               */
    int failed_errno;            /* and its reason                  */
    uint64_t bytes;              /* taken from the caller           */
    size_t used;                 /* of the buffer                   */
    char path[PATH_MAX];         /* the final name, links resolved  */
    char buffer[BUFFER_BYTES];
};

int ftl_file_remove_temporaries(void)
{
    int n = 0;
    const int saved_errno = errno;
    for (int i = 0; i < MOST_OPEN; i++) {
        int state = LIVE;
        if (!atomic_compare_exchange_strong(&temporaries[i].state, &state, BUSY)) continue;
        if (unlink(temporaries[i].path) == 0) n++;
        atomic_store(&temporaries[i].state, LIVE);
    }
    errno = saved_errno;
    return n;
}

static struct temporary *claim_slot(void)
{
    for (int i = 0; i < MOST_OPEN; i++) {
        int state = FREE;
        if (atomic_compare_exchange_strong(&temporaries[i].state, &state, BUSY))
            return &temporaries[i];
    }
    return NULL;
}

static void release_slot(struct temporary *t)
{
    if (!t) return;
    int state = LIVE;
    while (!atomic_compare_exchange_strong(&t->state, &state, FREE)) {
        state = LIVE; /* a handler on another thread reads the name */
        sched_yield();
    }
}

/* Length of the folder's part of the path, 0 for the current folder. */
static int folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return !slash ? 0 : slash == path ? 1 : (int)(slash - path);
}

/* The sentence for a refused write. */
static ftl_status say_refused(const char *path, int error)
{
    const int n = folder_length(path);
    const char *folder = n ? path : ".";
    const int shown = n ? n : 1;
    switch (error) {
    case ENOSPC:
        return ftl_fail(FTL_EIO,
                        "cannot write %s: the disk is full; free some space or choose another "
                        "folder",
                        path);
    case EDQUOT:
        return ftl_fail(FTL_EIO,
                        "cannot write %s: your disk quota is used up; free some space or choose "
                        "another folder",
                        path);
    case EROFS:
    case EACCES:
    case EPERM:
        return ftl_fail(FTL_EIO,
                        "cannot write %s: the folder %.*s is not writable (%s); choose another "
                        "folder",
                        path, shown, folder, strerror(error));
    case ENOENT:
        return ftl_fail(FTL_EIO, "cannot write %s: the folder %.*s does not exist; make it first",
                        path, shown, folder);
    default: return ftl_fail(FTL_EIO, "cannot write %s: %s", path, strerror(error));
    }
}

/* Makes the temporary next to w->path. */
static ftl_status open_temporary(ftl_file_writer *w, mode_t mode, bool has_mode)
{
    static atomic_uint counter;
    struct temporary *t = claim_slot();
    if (!t)
        return ftl_fail(FTL_ENOMEM, "cannot write %s: %d files are being written already", w->path,
                        MOST_OPEN);
    int error = EEXIST;
    /* Names of an earlier process with our number may lie around. */
    for (int i = 0; i < TRIES && error == EEXIST; i++) {
        const unsigned number = atomic_fetch_add(&counter, 1);
        const int n =
            snprintf(t->path, sizeof t->path, "%s.tmp.%ld.%u", w->path, (long)getpid(), number);
        if (n < 0 || (size_t)n >= sizeof t->path) {
            error = ENAMETOOLONG;
            break;
        }
        w->fd = open(t->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        error = w->fd < 0 ? errno : 0;
    }
    if (error) {
        atomic_store(&t->state, FREE);
        return say_refused(w->path, error);
    }
    w->temporary = t;
    atomic_store(&t->state, LIVE);
    if (has_mode) (void)!fchmod(w->fd, mode & 0777); /* another owner's file: ours is as good */
    return FTL_OK;
}

static ftl_status open_target(ftl_file_writer *w, const char *path)
{
    struct stat info;
    const bool exists = stat(path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode))
        return ftl_fail(FTL_EINVAL, "cannot write %s: it is a folder; name a file in it", path);
    if (exists && !S_ISREG(info.st_mode)) {
        snprintf(w->path, sizeof w->path, "%s", path);
        w->fd = open(path, O_WRONLY | O_CLOEXEC);
        return w->fd < 0 ? say_refused(path, errno) : FTL_OK;
    }
    /* rename() would replace a link itself. */
    if (!exists || !realpath(path, w->path)) snprintf(w->path, sizeof w->path, "%s", path);
    return open_temporary(w, exists ? info.st_mode : 0, exists);
}

ftl_status ftl_file_writer_open(ftl_file_writer **out, const char *path)
{
    *out = NULL;
    const size_t n = strlen(path);
    if (n == 0 || n >= PATH_MAX)
        return ftl_fail(FTL_EINVAL, "a file name of %zu bytes to write to", n);
    ftl_file_writer *w = ftl_alloc(sizeof *w);
    if (!w) return ftl_fail(FTL_ENOMEM, "no memory to write %s", path);
    w->fd = -1;
    w->temporary = NULL;
    w->failed = FTL_OK;
    w->failed_errno = 0;
    w->bytes = 0;
    w->used = 0;
    const ftl_status s = open_target(w, path);
    if (s != FTL_OK) {
        ftl_file_writer_abort(w);
        return s;
    }
    *out = w;
    return FTL_OK;
}

static ftl_status fail_with(ftl_file_writer *w, int error)
{
    if (w->failed == FTL_OK) {
        w->failed = FTL_EIO;
        w->failed_errno = error;
    }
    return say_refused(w->path, w->failed_errno);
}

static ftl_status write_out(ftl_file_writer *w, const char *data, size_t bytes)
{
    while (bytes > 0) {
        const ssize_t n = write(w->fd, data, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_with(w, errno);
        data += n;
        bytes -= (size_t)n;
    }
    return FTL_OK;
}

static ftl_status flush(ftl_file_writer *w)
{
    const size_t n = w->used;
    w->used = 0;
    return write_out(w, w->buffer, n);
}

ftl_status ftl_file_writer_write(ftl_file_writer *w, const void *data, size_t bytes)
{
    if (w->failed != FTL_OK) return fail_with(w, 0);
    if (bytes == 0) return FTL_OK;
    w->bytes += bytes;
    if (bytes > sizeof w->buffer - w->used) FTL_TRY(flush(w));
    if (bytes >= sizeof w->buffer) return write_out(w, data, bytes);
    memcpy(w->buffer + w->used, data, bytes);
    w->used += bytes;
    return FTL_OK;
}

ftl_status ftl_file_writer_printf(ftl_file_writer *w, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0) return fail_with(w, EILSEQ);
    if ((size_t)n < sizeof text) return ftl_file_writer_write(w, text, (size_t)n);
    char *all = ftl_alloc((size_t)n + 1);
    if (!all) {
        w->failed = FTL_EIO;
        w->failed_errno = ENOMEM;
        return ftl_fail(FTL_ENOMEM, "no memory to write %s", w->path);
    }
    va_start(args, format);
    vsnprintf(all, (size_t)n + 1, format, args);
    va_end(args);
    const ftl_status s = ftl_file_writer_write(w, all, (size_t)n);
    ftl_free(all);
    return s;
}

uint64_t ftl_file_writer_bytes(const ftl_file_writer *writer)
{
    return writer->bytes;
}

/* The rename itself is lost in a power cut unless the folder is synced.  A folder that cannot be
 * opened or synced (some network file systems) does not make the new file wrong. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const int n = folder_length(path);
    snprintf(folder, sizeof folder, "%.*s", n ? n : 1, n ? path : ".");
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

ftl_status ftl_file_writer_commit(ftl_file_writer *w)
{
    ftl_status s = w->failed != FTL_OK ? fail_with(w, 0) : flush(w);
    if (s == FTL_OK && w->temporary && fsync(w->fd) != 0 && errno != EINVAL && errno != ENOTSUP)
        s = fail_with(w, errno);
    /* close() reports late failures of network file systems. */
    if (close(w->fd) != 0 && errno != EINTR && s == FTL_OK) s = fail_with(w, errno);
    w->fd = -1;
    if (s == FTL_OK && w->temporary) {
        if (rename(w->temporary->path, w->path) == 0) {
            release_slot(w->temporary);
            w->temporary = NULL;
            sync_folder(w->path);
        } else {
            s = fail_with(w, errno);
        }
    }
    ftl_file_writer_abort(w);
    return s;
}

void ftl_file_writer_abort(ftl_file_writer *w)
{
    if (!w) return;
    if (w->fd >= 0) close(w->fd);
    if (w->temporary) {
        unlink(w->temporary->path);
        release_slot(w->temporary);
    }
    ftl_free(w);
}

ftl_status ftl_file_write_all(const char *path, const void *data, size_t bytes)
{
    ftl_file_writer *w;
    FTL_TRY(ftl_file_writer_open(&w, path));
    const ftl_status s = ftl_file_writer_write(w, data, bytes);
    if (s != FTL_OK) {
        ftl_file_writer_abort(w);
        return s;
    }
    return ftl_file_writer_commit(w);
}
