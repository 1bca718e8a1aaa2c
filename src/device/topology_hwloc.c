/* SPDX-License-Identifier: Apache-2.0 */
/* Cores, caches and NUMA nodes from hwloc, live or from a recorded hwloc.xml. */
#include "device/topology_internal.h"

#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "device/sysfs.h"

/* hwloc keeps what it knows of a kind as pairs of text; 0 when the name is absent. */
static uint32_t info_u32(const struct hwloc_info_s *infos, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(infos[i].name, name) == 0) return (uint32_t)strtoul(infos[i].value, NULL, 10);
    return 0;
}

/* hwloc counts kinds from the slowest; here 0 is the fastest. */
static int kind_of(hwloc_topology_t h, const ftl_topology *t, hwloc_const_cpuset_t cpus)
{
    const int rank = hwloc_cpukinds_get_by_cpuset(h, cpus, 0);
    return rank < 0 || rank >= (int)t->n_kinds ? 0 : (int)t->n_kinds - 1 - rank;
}

static void name_kinds(ftl_topology *t)
{
    static const char *const three[] = { "performance", "middle", "efficient" };
    if (t->n_kinds == 2) {
        ftl_sysfs_copy(t->kinds[0].name, sizeof t->kinds[0].name, three[0]);
        ftl_sysfs_copy(t->kinds[1].name, sizeof t->kinds[1].name, three[2]);
    }
    for (uint32_t i = 0; t->n_kinds > 2 && i < t->n_kinds; i++) {
        const uint32_t which = i == 0 ? 0 : i + 1 == t->n_kinds ? 2 : 1;
        ftl_sysfs_copy(t->kinds[i].name, sizeof t->kinds[i].name, three[which]);
    }
}

static void read_kinds(ftl_topology *t, hwloc_topology_t h)
{
    const int n = hwloc_cpukinds_get_nr(h, 0);
    /* Kinds whose order hwloc cannot tell (efficiency -1) are as good as one kind. */
    int efficiency = -1;
    const bool is_ranked = n > 1 && n <= FTL_TOPOLOGY_KINDS &&
                           hwloc_cpukinds_get_info(h, 0, NULL, &efficiency, NULL, NULL, 0) == 0 &&
                           efficiency >= 0;
    t->n_kinds = is_ranked ? (uint32_t)n : 1;
    for (uint32_t i = 0; i < t->n_kinds && n > 0; i++) {
        unsigned n_infos = 0;
        struct hwloc_info_s *infos = NULL;
        if (hwloc_cpukinds_get_info(h, t->n_kinds - 1 - i, NULL, NULL, &n_infos, &infos, 0) == 0)
            t->kinds[i].max_mhz = info_u32(infos, n_infos, "FrequencyMaxMHz");
    }
    for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(h, HWLOC_OBJ_CORE, o));)
        t->kinds[kind_of(h, t, o->cpuset)].n_cores++;
    for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(h, HWLOC_OBJ_PU, o));)
        t->kinds[kind_of(h, t, o->cpuset)].n_cpus++;
    name_kinds(t);
}

static void add_cache(ftl_topology *t, uint32_t level, hwloc_obj_t o)
{
    const struct hwloc_cache_attr_s *a = &o->attr->cache;
    const uint32_t n_cpus = (uint32_t)hwloc_bitmap_weight(o->cpuset);
    for (uint32_t i = 0; i < t->n_caches; i++) {
        ftl_cpu_cache *c = &t->caches[i];
        if (c->level != level || c->bytes != a->size || c->n_cpus_each != n_cpus) continue;
        c->n_instances++;
        return;
    }
    if (t->n_caches == FTL_TOPOLOGY_CACHES) return;
    t->caches[t->n_caches++] = (ftl_cpu_cache){ .bytes = a->size,
                                                .level = level,
                                                .n_instances = 1,
                                                .n_cpus_each = n_cpus,
                                                .line_bytes = a->linesize };
}

static void read_caches(ftl_topology *t, hwloc_topology_t h)
{
    static const hwloc_obj_type_t types[] = { HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE,
                                              HWLOC_OBJ_L3CACHE, HWLOC_OBJ_L4CACHE };
    for (uint32_t i = 0; i < sizeof types / sizeof types[0]; i++)
        for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(h, types[i], o));)
            if (o->attr->cache.size) add_cache(t, i + 1, o);
}

static void read_numa(ftl_topology *t, hwloc_topology_t h)
{
    for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(h, HWLOC_OBJ_NUMANODE, o));) {
        if (t->n_numa_nodes == FTL_TOPOLOGY_NUMA) return;
        t->numa_nodes[t->n_numa_nodes++] =
            (ftl_numa_node){ .memory_bytes = o->attr->numanode.local_memory,
                             .os_index = (int32_t)o->os_index,
                             .n_cpus = (uint32_t)hwloc_bitmap_weight(o->cpuset) };
    }
}

static int32_t first_allowed(const ftl_topology *t, hwloc_const_cpuset_t cpus)
{
    for (int i = hwloc_bitmap_first(cpus); i >= 0; i = hwloc_bitmap_next(cpus, i))
        if (ftl_topology_is_allowed(t, i)) return i;
    return -1;
}

/* Fastest kind first, then by number: a stable order whatever qsort does. */
static int compare_cores(const void *a, const void *b)
{
    const ftl_cpu_core *x = a, *y = b;
    return x->kind != y->kind ? (x->kind > y->kind) - (x->kind < y->kind)
                              : (x->cpu > y->cpu) - (x->cpu < y->cpu);
}

static ftl_status read_cores(ftl_topology *t, hwloc_topology_t h)
{
    const int n = hwloc_get_nbobjs_by_type(h, HWLOC_OBJ_CORE);
    /* ARM virtual machines may list CPUs without cores: then each CPU is one. */
    const hwloc_obj_type_t type = n > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    const int count = n > 0 ? n : hwloc_get_nbobjs_by_type(h, HWLOC_OBJ_PU);
    if (count <= 0) return FTL_OK;
    t->n_cores = (uint32_t)count;
    t->cores = ftl_calloc((size_t)count, sizeof *t->cores);
    if (!t->cores) return ftl_fail(FTL_ENOMEM, "no memory for the list of %d cores", count);
    for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(h, type, o));) {
        const int32_t cpu = first_allowed(t, o->cpuset);
        if (cpu < 0 || t->n_usable_cores == (size_t)count) continue;
        const hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(h, HWLOC_OBJ_PACKAGE, o);
        t->cores[t->n_usable_cores++] = (ftl_cpu_core){
            .cpu = cpu,
            .kind = kind_of(h, t, o->cpuset),
            .package = package ? (int32_t)package->logical_index : 0,
            .numa_node = o->nodeset ? hwloc_bitmap_first(o->nodeset) : -1,
        };
    }
    if (t->n_usable_cores > 1) qsort(t->cores, t->n_usable_cores, sizeof *t->cores, compare_cores);
    return FTL_OK;
}

/* hwloc gave nothing: every allowed CPU counts as a core. */
static ftl_status cores_without_hwloc(ftl_topology *t)
{
    t->n_cpus = t->n_cores = t->n_allowed_cpus;
    t->n_kinds = 1;
    t->kinds[0].n_cores = t->kinds[0].n_cpus = t->n_allowed_cpus;
    t->kinds[0].max_mhz = t->max_mhz;
    if (t->n_allowed_cpus == 0) return FTL_OK;
    t->cores = ftl_calloc(t->n_allowed_cpus, sizeof *t->cores);
    if (!t->cores)
        return ftl_fail(FTL_ENOMEM, "no memory for the list of %u cores", t->n_allowed_cpus);
    for (int32_t i = 0; i < FTL_TOPOLOGY_CPUS; i++)
        if (ftl_topology_is_allowed(t, i))
            t->cores[t->n_usable_cores++] = (ftl_cpu_core){ .cpu = i, .numa_node = -1 };
    return FTL_OK;
}

static bool load(hwloc_topology_t h, const char *root)
{
    if (root[0]) {
        char path[FTL_SYSFS_PATH];
        const int n = snprintf(path, sizeof path, "%s/hwloc.xml", root);
        if (n < 0 || n >= (int)sizeof path || hwloc_topology_set_xml(h, path) != 0) return false;
    }
    /* CPUs that a cpuset forbids still belong to the machine; `allowed` says what is ours. */
    if (hwloc_topology_set_flags(h, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) != 0) return false;
    return hwloc_topology_load(h) == 0;
}

ftl_status ftl_topology_read_hwloc(ftl_topology *t, const char *root)
{
    hwloc_topology_t h;
    if (hwloc_topology_init(&h) != 0) return cores_without_hwloc(t);
    if (!load(h, root) || hwloc_get_nbobjs_by_type(h, HWLOC_OBJ_PU) <= 0) {
        hwloc_topology_destroy(h);
        return cores_without_hwloc(t);
    }
    const int packages = hwloc_get_nbobjs_by_type(h, HWLOC_OBJ_PACKAGE);
    t->n_packages = packages > 0 ? (uint32_t)packages : 0;
    t->n_cpus = (uint32_t)hwloc_get_nbobjs_by_type(h, HWLOC_OBJ_PU);
    read_kinds(t, h);
    read_caches(t, h);
    read_numa(t, h);
    const ftl_status s = read_cores(t, h);
    hwloc_topology_destroy(h);
    if (t->n_kinds == 1 && t->kinds[0].max_mhz == 0) t->kinds[0].max_mhz = t->max_mhz;
    return s;
}
