/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, and folders.  The writer is in file_writer.c. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

enum { FIRST_READ = 64 * 1024 };

/* An open descriptor of something that is no folder. */
static ftl_status open_read(int *fd, struct stat *info, const char *path)
{
    *fd = -1;
    const int f = open(path, O_RDONLY | O_CLOEXEC);
    if (f < 0 && (errno == ENOENT || errno == ENOTDIR))
        return ftl_fail(FTL_ENOTFOUND, "%s: no such file", path);
    if (f < 0) return ftl_fail(FTL_EIO, "cannot open %s: %s", path, strerror(errno));
    if (fstat(f, info) != 0) {
        const int error = errno;
        close(f);
        return ftl_fail(FTL_EIO, "cannot examine %s: %s", path, strerror(error));
    }
    if (S_ISDIR(info->st_mode)) {
        close(f);
        return ftl_fail(FTL_EINVAL, "%s is a folder: name a file in it", path);
    }
    *fd = f;
    return FTL_OK;
}

ftl_status ftl_file_map(ftl_file *out, const char *path)
{
    static const unsigned char nothing[1] = { 0 };
    *out = (ftl_file){ 0 };
    struct stat info;
    /* Opening a pipe would wait for its writer, so it is refused before. */
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
        return ftl_fail(FTL_EINVAL, "%s is no regular file: copy its content into one", path);
    int fd;
    FTL_TRY(open_read(&fd, &info, path));
    ftl_status s = FTL_OK;
    if (info.st_size == 0) {
        out->data = nothing;
    } else if ((uintmax_t)info.st_size > SIZE_MAX / 2) {
        s = ftl_fail(FTL_EUNSUPPORTED, "%s is too large for this machine's addresses", path);
    } else {
        const size_t size = (size_t)info.st_size;
        void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED)
            s = ftl_fail(errno == ENOMEM ? FTL_ENOMEM : FTL_EIO, "cannot map %s: %s", path,
                         strerror(errno));
        else *out = (ftl_file){ data, size };
    }
    close(fd);
    return s;
}

void ftl_file_unmap(ftl_file *file)
{
    if (file->size > 0) munmap((void *)(uintptr_t)file->data, file->size);
    *file = (ftl_file){ 0 };
}

/* Reads to the end.  Room doubles, so that a pipe without a size is read in one go. */
static ftl_status read_open(char **out, size_t *size, int fd, size_t room, size_t limit,
                            const char *path)
{
    size_t used = 0;
    char *text = ftl_alloc(room + 1);
    if (!text) return ftl_fail(FTL_ENOMEM, "no memory to read %s", path);
    for (;;) {
        const ssize_t got = read(fd, text + used, room - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            const int error = errno;
            ftl_free(text);
            return ftl_fail(FTL_EIO, "cannot read %s: %s", path, strerror(error));
        }
        if (got == 0) break;
        used += (size_t)got;
        if (used > limit) {
            ftl_free(text);
            return ftl_fail(FTL_EFORMAT, "%s has more than %zu bytes, the most that is read here",
                            path, limit);
        }
        if (used < room) continue;
        room = room > SIZE_MAX / 4 ? SIZE_MAX / 2 : room * 2;
        char *larger = ftl_realloc(text, room + 1);
        if (!larger) {
            ftl_free(text);
            return ftl_fail(FTL_ENOMEM, "no memory to read %s", path);
        }
        text = larger;
    }
    text[used] = 0;
    *out = text;
    if (size) *size = used;
    return FTL_OK;
}

ftl_status ftl_file_read_all(char **out, size_t *size, const char *path, size_t limit_bytes)
{
    *out = NULL;
    if (size) *size = 0;
    struct stat info;
    int fd;
    FTL_TRY(open_read(&fd, &info, path));
    ftl_status s;
    if (S_ISREG(info.st_mode) && (uintmax_t)info.st_size > limit_bytes) {
        s = ftl_fail(FTL_EFORMAT, "%s has %jd bytes; at most %zu are read here", path,
                     (intmax_t)info.st_size, limit_bytes);
    } else {
        /* One byte more than the size, to meet the end without a second allocation. */
        const size_t room = S_ISREG(info.st_mode) ? (size_t)info.st_size + 1 : FIRST_READ;
        s = read_open(out, size, fd, room, limit_bytes, path);
    }
    close(fd);
    return s;
}

ftl_status ftl_file_make_folders(const char *path)
{
    char part[PATH_MAX];
    const size_t n = strlen(path);
    if (n == 0 || n >= sizeof part) return ftl_fail(FTL_EINVAL, "a folder name of %zu bytes", n);
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != 0) continue;
        const char kept = part[i];
        part[i] = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
            /* A parent on a read-only or foreign file system may refuse and yet be there. */
            const int error = errno;
            struct stat info;
            if (stat(part, &info) != 0 || !S_ISDIR(info.st_mode))
                return ftl_fail(FTL_EIO, "cannot make the folder %s: %s", part, strerror(error));
        }
        part[i] = kept;
    }
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return ftl_fail(FTL_EIO, "cannot make the folder %s: a file of that name is there", path);
    return FTL_OK;
}

ftl_status ftl_file_cache_folder(char *out, size_t size, const char *home,
                                 const char *xdg_cache_home)
{
    if (size > 0) out[0] = 0;
    int n;
    if (xdg_cache_home && xdg_cache_home[0] == '/')
        n = snprintf(out, size, "%s/fettle", xdg_cache_home);
    else if (home && home[0] == '/') n = snprintf(out, size, "%s/.cache/fettle", home);
    else
        return ftl_fail(FTL_ENOTFOUND,
                        "no place for stored measurements: neither XDG_CACHE_HOME nor HOME "
                        "is an absolute path; set one of them");
    if (n < 0 || (size_t)n >= size) {
        if (size > 0) out[0] = 0;
        return ftl_fail(FTL_EINVAL, "the cache folder's path is longer than %zu bytes", size);
    }
    return FTL_OK;
}
