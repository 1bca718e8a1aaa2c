/* SPDX-License-Identifier: Apache-2.0 */
/* The host in one struct: this file joins the parts and works out what this process may use. */
#include "device/topology_internal.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "device/cgroup.h"
#include "device/sysfs.h"

static void allow(ftl_topology *t, unsigned long cpu)
{
    if (cpu < FTL_TOPOLOGY_CPUS) t->allowed[cpu / 64] |= (uint64_t)1 << (cpu % 64);
}

/* "0-3,8,10-11" as in Cpus_allowed_list and cpu/present. */
static void allow_list(ftl_topology *t, const char *text)
{
    while (*text >= '0' && *text <= '9') {
        char *end = NULL;
        const unsigned long first = strtoul(text, &end, 10);
        const unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;
        for (unsigned long i = first; i <= last && i < FTL_TOPOLOGY_CPUS; i++) allow(t, i);
        text = *end == ',' ? end + 1 : end;
    }
}

static void read_allowed_live(ftl_topology *t)
{
    /* The kernel's mask may be wider than cpu_set_t; uint64_t words have its layout on the
     * little-endian machines that fettle runs on. */
    cpu_set_t *set = (cpu_set_t *)(void *)t->allowed;
    if (sched_getaffinity(0, sizeof t->allowed, set) == 0) return;
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    for (long i = 0; i < n; i++) allow(t, (unsigned long)i);
}

static void read_allowed(ftl_topology *t, const char *root)
{
    char text[8192];
    if (root[0] == 0) {
        read_allowed_live(t);
    } else if (ftl_sysfs_text(text, sizeof text, root, "/proc/self/status")) {
        const char *list = strstr(text, "Cpus_allowed_list:");
        if (list) allow_list(t, list + strcspn(list, "0123456789"));
    } else if (ftl_sysfs_text(text, sizeof text, root, "/sys/devices/system/cpu/present")) {
        allow_list(t, text);
    }
    for (size_t i = 0; i < FTL_TOPOLOGY_CPUS / 64; i++)
        t->n_allowed_cpus += (uint32_t)__builtin_popcountll(t->allowed[i]);
}

/* "MemTotal:       16000000 kB" */
static uint64_t meminfo_bytes(const char *text, const char *key)
{
    const char *line = strstr(text, key);
    if (!line) return 0;
    const uint64_t kib = strtoull(line + strlen(key), NULL, 10);
    return kib < UINT64_MAX / 1024 ? kib * 1024 : 0;
}

static void read_memory(ftl_topology *t, const char *root)
{
    char text[4096];
    if (!ftl_sysfs_text(text, sizeof text, root, "/proc/meminfo")) return;
    t->memory_total_bytes = meminfo_bytes(text, "MemTotal:");
    t->memory_available_bytes = meminfo_bytes(text, "MemAvailable:");
}

static void apply_limits(ftl_topology *t, const ftl_cgroup_limits *limits)
{
    t->cpu_quota = limits->cpu_quota;
    t->memory_limit_bytes = limits->memory_limit_bytes;
    /* A limit above the memory that there is limits nothing. */
    if (t->memory_total_bytes && t->memory_limit_bytes >= t->memory_total_bytes)
        t->memory_limit_bytes = 0;
    /* The kernel's node files miss memory that a virtual machine was given later. */
    if (t->n_numa_nodes == 1 && t->memory_total_bytes)
        t->numa_nodes[0].memory_bytes = t->memory_total_bytes;
    t->usable_cpus = t->n_allowed_cpus ? t->n_allowed_cpus : 1;
    if (t->cpu_quota > 0 && ceil(t->cpu_quota) < t->usable_cpus)
        t->usable_cpus = (uint32_t)ceil(t->cpu_quota);
    t->memory_usable_bytes = t->memory_available_bytes;
    if (t->memory_limit_bytes && limits->memory_free_bytes < t->memory_usable_bytes)
        t->memory_usable_bytes = limits->memory_free_bytes;
}

void ftl_topology_update_memory(ftl_topology *topology, const char *root)
{
    ftl_cgroup_limits limits;
    read_memory(topology, root);
    ftl_cgroup_read(&limits, root);
    apply_limits(topology, &limits);
}

ftl_status ftl_topology_create(ftl_topology **out, const char *root)
{
    *out = NULL;
    ftl_topology *t = ftl_calloc(1, sizeof *t);
    if (!t) return ftl_fail(FTL_ENOMEM, "no memory for the description of this machine");
    t->battery_percent = -1;
    ftl_status s = ftl_topology_read_host(t, root);
    read_allowed(t, root);
    read_memory(t, root);
    ftl_cgroup_limits limits;
    ftl_cgroup_read(&limits, root);
    if (s == FTL_OK) s = ftl_topology_read_hwloc(t, root);
    if (s != FTL_OK) {
        ftl_topology_destroy(t);
        return s;
    }
    apply_limits(t, &limits);
    *out = t;
    return FTL_OK;
}

void ftl_topology_destroy(ftl_topology *topology)
{
    if (!topology) return;
    ftl_free(topology->cores);
    ftl_free(topology);
}

const ftl_cpu_cache *ftl_topology_cache(const ftl_topology *topology, uint32_t level)
{
    const ftl_cpu_cache *best = NULL;
    for (uint32_t i = 0; i < topology->n_caches; i++) {
        const ftl_cpu_cache *c = &topology->caches[i];
        if (c->level != level) continue;
        if (!best || c->bytes * c->n_instances > best->bytes * best->n_instances) best = c;
    }
    return best;
}

bool ftl_topology_is_allowed(const ftl_topology *topology, int32_t cpu)
{
    return cpu >= 0 && cpu < FTL_TOPOLOGY_CPUS &&
           (topology->allowed[cpu / 64] >> (cpu % 64) & 1) != 0;
}
