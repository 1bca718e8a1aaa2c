/* SPDX-License-Identifier: Apache-2.0 */
/* Reading /proc and /sys below a root prefix: open, one read, trim. */
#include "device/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

/* More entries than this in one folder is no hardware that fettle knows. */
enum { NAMES_MAX = 4096 };

static bool make_path(char path[FTL_SYSFS_PATH], const char *root, const char *format, va_list args)
{
    const int a = snprintf(path, FTL_SYSFS_PATH, "%s", root);
    if (a < 0 || a >= FTL_SYSFS_PATH) {
        errno = ENAMETOOLONG;
        return false;
    }
    const int b = vsnprintf(path + a, (size_t)(FTL_SYSFS_PATH - a), format, args);
    if (b < 0 || b >= FTL_SYSFS_PATH - a) {
        errno = ENAMETOOLONG;
        return false;
    }
    return true;
}

void ftl_sysfs_copy(char *to, size_t bytes, const char *from)
{
    const size_t n = strnlen(from, bytes - 1);
    memcpy(to, from, n);
    to[n] = 0;
}

static void trim_end(char *text)
{
    size_t n = strlen(text);
    while (n > 0 && strchr(" \t\r\n", text[n - 1])) text[--n] = 0;
}

static bool read_path(char *text, size_t bytes, const char *path)
{
    text[0] = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t n = 0;
    ssize_t got = 0;
    while (n < bytes - 1 && (got = read(fd, text + n, bytes - 1 - n)) != 0) {
        if (got > 0) n += (size_t)got;
        if (got < 0 && errno != EINTR) break;
    }
    const int error = errno;
    close(fd);
    text[n] = 0;
    trim_end(text);
    errno = error;
    return got >= 0;
}

bool ftl_sysfs_text(char *text, size_t bytes, const char *root, const char *format, ...)
{
    char path[FTL_SYSFS_PATH];
    va_list args;
    va_start(args, format);
    const bool is_path = make_path(path, root, format, args);
    va_end(args);
    text[0] = 0;
    return is_path && read_path(text, bytes, path);
}

bool ftl_sysfs_u64(uint64_t *out, const char *root, const char *format, ...)
{
    char path[FTL_SYSFS_PATH], text[64];
    *out = 0;
    va_list args;
    va_start(args, format);
    const bool is_path = make_path(path, root, format, args);
    va_end(args);
    if (!is_path || !read_path(text, sizeof text, path)) return false;
    if (text[0] < '0' || text[0] > '9') {
        errno = EINVAL;
        return false;
    }
    char *end = NULL;
    errno = 0;
    const unsigned long long value =
        strtoull(text, &end, text[0] == '0' && (text[1] | 32) == 'x' ? 16 : 10);
    if (errno != 0 || *end != 0) {
        errno = EINVAL;
        return false;
    }
    *out = value;
    return true;
}

bool ftl_sysfs_exists(const char *root, const char *format, ...)
{
    char path[FTL_SYSFS_PATH];
    va_list args;
    va_start(args, format);
    const bool is_path = make_path(path, root, format, args);
    va_end(args);
    return is_path && access(path, F_OK) == 0;
}

static bool read_target(char *text, size_t bytes, const char *path)
{
    const ssize_t n = readlink(path, text, bytes - 1);
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

bool ftl_sysfs_target(char *text, size_t bytes, const char *root, const char *format, ...)
{
    char path[FTL_SYSFS_PATH];
    va_list args;
    va_start(args, format);
    const bool is_path = make_path(path, root, format, args);
    va_end(args);
    text[0] = 0;
    return is_path && read_target(text, bytes, path);
}

bool ftl_sysfs_link(char *text, size_t bytes, const char *root, const char *format, ...)
{
    char path[FTL_SYSFS_PATH], target[FTL_SYSFS_PATH];
    va_list args;
    va_start(args, format);
    const bool is_path = make_path(path, root, format, args);
    va_end(args);
    text[0] = 0;
    if (!is_path || !read_target(target, sizeof target, path)) return false;
    const char *slash = strrchr(target, '/');
    ftl_sysfs_copy(text, bytes, slash ? slash + 1 : target);
    return text[0] != 0;
}

static int compare_names(const void *a, const void *b)
{
    return strverscmp(a, b);
}

static ftl_status add_name(ftl_sysfs_names *out, size_t *capacity, const char *name)
{
    if (out->count == *capacity) {
        const size_t more = *capacity ? *capacity * 2 : 16;
        void *grown = ftl_realloc(out->names, more * sizeof *out->names);
        if (!grown)
            return ftl_fail(FTL_ENOMEM, "no memory for the list of %zu names of a system folder",
                            more);
        out->names = grown;
        *capacity = more;
    }
    ftl_sysfs_copy(out->names[out->count++], FTL_SYSFS_NAME, name);
    return FTL_OK;
}

ftl_status ftl_sysfs_list(ftl_sysfs_names *out, const char *prefix, const char *root,
                          const char *format, ...)
{
    *out = (ftl_sysfs_names){ 0 };
    char path[FTL_SYSFS_PATH];
    va_list args;
    va_start(args, format);
    const bool is_path = make_path(path, root, format, args);
    va_end(args);
    DIR *folder = is_path ? opendir(path) : NULL;
    if (!folder) return FTL_OK;
    size_t capacity = 0;
    ftl_status s = FTL_OK;
    const struct dirent *entry;
    while (s == FTL_OK && out->count < NAMES_MAX && (entry = readdir(folder))) {
        /* A name that does not fit would be cut and point elsewhere. */
        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= FTL_SYSFS_NAME) continue;
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0) continue;
        s = add_name(out, &capacity, entry->d_name);
    }
    closedir(folder);
    if (s != FTL_OK) {
        ftl_sysfs_names_deinit(out);
        return s;
    }
    if (out->count > 1) qsort(out->names, out->count, sizeof *out->names, compare_names);
    return FTL_OK;
}

void ftl_sysfs_names_deinit(ftl_sysfs_names *names)
{
    if (!names) return;
    ftl_free(names->names);
    *names = (ftl_sysfs_names){ 0 };
}
