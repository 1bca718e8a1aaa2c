/* SPDX-License-Identifier: Apache-2.0 */
/* Control group limits: /proc/self/mountinfo says where a hierarchy is mounted and which part of
 * it, /proc/self/cgroup where this process sits; then every level up to the mount is read. */
#include "device/cgroup.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/sysfs.h"

enum hierarchy { V2, V1_CPU, V1_MEMORY, N_HIERARCHIES };

/* Version 1 writes "no limit" as the largest multiple of the page size below 2^63. */
#define NO_LIMIT ((uint64_t)1 << 62)

struct mount {
    bool is_found;
    char top[256];   /* which folder of the hierarchy is seen at `point`, "/" for all of it */
    char point[256]; /* where, without the recorded machine's root                          */
    char own[256];   /* the own group inside the hierarchy                                  */
};

/* Whether `word` is one of the comma-separated words of `list`. */
static bool has_word(const char *list, const char *word)
{
    const size_t n = strlen(word);
    for (const char *p = list; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == 0)) return true;
    return false;
}

static FILE *open_file(const char *root, const char *path)
{
    char full[FTL_SYSFS_PATH];
    const int n = snprintf(full, sizeof full, "%s%s", root, path);
    return n > 0 && n < (int)sizeof full ? fopen(full, "re") : NULL;
}

/* One line without its newline; the rest of a longer line is dropped. */
static bool next_line(FILE *file, char *line, size_t bytes)
{
    if (!fgets(line, (int)bytes, file)) return false;
    const size_t n = strcspn(line, "\n");
    if (line[n] == 0)
        for (int c = 0; c != '\n' && c != EOF;) c = fgetc(file);
    line[n] = 0;
    return true;
}

static void set_mount(struct mount *m, const char *top, const char *point)
{
    if (m->is_found) return;
    m->is_found = true;
    ftl_sysfs_copy(m->top, sizeof m->top, top);
    ftl_sysfs_copy(m->point, sizeof m->point, point);
}

/* "36 35 98:0 /top /point rw,noatime shared:1 - cgroup cgroup rw,cpu,cpuacct" */
static void read_mounts(struct mount mounts[N_HIERARCHIES], const char *root)
{
    FILE *file = open_file(root, "/proc/self/mountinfo");
    if (!file) {
        set_mount(&mounts[V2], "/", "/sys/fs/cgroup");
        return;
    }
    char line[4096], top[256], point[256], type[32], options[256];
    while (next_line(file, line, sizeof line)) {
        const char *tail = strstr(line, " - cgroup");
        if (!tail || sscanf(line, "%*s %*s %*s %255s %255s", top, point) != 2) continue;
        if (sscanf(tail, " - %31s %*s %255s", type, options) != 2) continue;
        if (strcmp(type, "cgroup2") == 0) set_mount(&mounts[V2], top, point);
        if (strcmp(type, "cgroup") != 0) continue;
        if (has_word(options, "cpu")) set_mount(&mounts[V1_CPU], top, point);
        if (has_word(options, "memory")) set_mount(&mounts[V1_MEMORY], top, point);
    }
    fclose(file);
}

/* "4:memory:/user.slice" of version 1, "0::/user.slice" of version 2 */
static void read_own_groups(struct mount mounts[N_HIERARCHIES], const char *root)
{
    FILE *file = open_file(root, "/proc/self/cgroup");
    if (!file) return;
    char line[1024];
    while (next_line(file, line, sizeof line)) {
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        controllers++;
        *path++ = 0;
        if (strlen(path) >= sizeof mounts[0].own) continue;
        if (*controllers == 0) ftl_sysfs_copy(mounts[V2].own, sizeof mounts[V2].own, path);
        if (has_word(controllers, "cpu"))
            ftl_sysfs_copy(mounts[V1_CPU].own, sizeof mounts[V1_CPU].own, path);
        if (has_word(controllers, "memory"))
            ftl_sysfs_copy(mounts[V1_MEMORY].own, sizeof mounts[V1_MEMORY].own, path);
    }
    fclose(file);
}

/* The part of m->own below the mount point.  A container without its own namespace sees the
 * host's path in /proc/self/cgroup but only its own folder mounted: the top is cut off then. */
static const char *below_mount(const struct mount *m)
{
    const size_t n = strcmp(m->top, "/") == 0 ? 0 : strlen(m->top);
    if (strstr(m->own, "..") || strncmp(m->own, m->top, n) != 0) return "";
    const char *rest = m->own + n;
    return rest[0] == '/' && rest[1] ? rest : "";
}

static void limit_cpu(ftl_cgroup_limits *out, double quota, double period)
{
    if (quota <= 0 || period <= 0) return;
    const double cpus = quota / period;
    if (out->cpu_quota == 0 || cpus < out->cpu_quota) out->cpu_quota = cpus;
}

/* Value behind `key` in a memory.stat, 0 when absent. */
static uint64_t stat_value(const char *root, const char *folder, const char *key)
{
    char text[8192];
    if (!ftl_sysfs_text(text, sizeof text, root, "%s/memory.stat", folder)) return 0;
    const size_t n = strlen(key);
    for (const char *p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        if (strncmp(p, key, n) == 0 && p[n] == ' ') return strtoull(p + n, NULL, 10);
    return 0;
}

static void limit_memory(ftl_cgroup_limits *out, uint64_t limit, uint64_t used, uint64_t inactive)
{
    if (limit >= NO_LIMIT) return;
    if (out->memory_limit_bytes == 0 || limit < out->memory_limit_bytes)
        out->memory_limit_bytes = limit;
    const uint64_t working = used > inactive ? used - inactive : 0;
    const uint64_t left = limit > working ? limit - working : 0;
    if (left < out->memory_free_bytes) out->memory_free_bytes = left;
}

static void read_level_v2(ftl_cgroup_limits *out, const char *root, const char *folder)
{
    char text[128];
    double quota = 0, period = 0;
    if (ftl_sysfs_text(text, sizeof text, root, "%s/cpu.max", folder) &&
        sscanf(text, "%lf %lf", &quota, &period) == 2)
        limit_cpu(out, quota, period);
    /* memory.high does not kill, but beyond it the kernel stalls the process. */
    uint64_t limit = NO_LIMIT, value = 0, used = 0;
    if (ftl_sysfs_u64(&value, root, "%s/memory.max", folder)) limit = value;
    if (ftl_sysfs_u64(&value, root, "%s/memory.high", folder) && value < limit) limit = value;
    ftl_sysfs_u64(&used, root, "%s/memory.current", folder);
    limit_memory(out, limit, used, stat_value(root, folder, "inactive_file"));
}

static void read_level_v1(ftl_cgroup_limits *out, const char *root, const char *folder)
{
    uint64_t quota = 0, period = 0, limit = 0, used = 0;
    /* The quota is -1 where there is none, which is no number here. */
    if (ftl_sysfs_u64(&quota, root, "%s/cpu.cfs_quota_us", folder) &&
        ftl_sysfs_u64(&period, root, "%s/cpu.cfs_period_us", folder))
        limit_cpu(out, (double)quota, (double)period);
    if (!ftl_sysfs_u64(&limit, root, "%s/memory.limit_in_bytes", folder)) return;
    ftl_sysfs_u64(&used, root, "%s/memory.usage_in_bytes", folder);
    limit_memory(out, limit, used, stat_value(root, folder, "total_inactive_file"));
}

static void read_hierarchy(ftl_cgroup_limits *out, const struct mount *m, const char *root,
                           bool is_v2)
{
    char folder[sizeof m->point + sizeof m->own];
    snprintf(folder, sizeof folder, "%s%s", m->point, below_mount(m));
    const size_t top = strlen(m->point);
    for (;;) {
        if (is_v2) read_level_v2(out, root, folder);
        else read_level_v1(out, root, folder);
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < top) break;
        *slash = 0;
    }
}

void ftl_cgroup_read(ftl_cgroup_limits *out, const char *root)
{
    *out = (ftl_cgroup_limits){ .memory_free_bytes = UINT64_MAX };
    struct mount mounts[N_HIERARCHIES] = { 0 };
    read_mounts(mounts, root);
    read_own_groups(mounts, root);
    for (int i = 0; i < N_HIERARCHIES; i++)
        if (mounts[i].is_found) read_hierarchy(out, &mounts[i], root, i == V2);
    const struct mount *named = mounts[V2].own[1] ? &mounts[V2] : &mounts[V1_MEMORY];
    ftl_sysfs_copy(out->path, sizeof out->path, named->own);
}
