/* SPDX-License-Identifier: Apache-2.0 */
/* topology.h - what the host is: cores, caches, memory, and how much of it this process may use.
 * Idea: filled once from hwloc, /proc and /sys, then never changed, so it is shared freely
 * (immutable).  0, "" and -1 mean "the system does not say": no missing file makes it fail.
 * A machine that is not at hand is replayed from a folder: <root>/proc/..., <root>/sys/... and
 * <root>/hwloc.xml, as lstopo writes it (tests/profiles/README.md).  HWLOC_FSROOT would do for
 * the last as well, but it is a setting of the whole process, so it is not used. */
#ifndef FTL_DEVICE_TOPOLOGY_H
#define FTL_DEVICE_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    FTL_TOPOLOGY_CPUS = 8192, /* NR_CPUS of the largest distribution kernels (x86 MAXSMP) */
    FTL_TOPOLOGY_KINDS = 8,
    FTL_TOPOLOGY_CACHES = 16,
    FTL_TOPOLOGY_NUMA = 64
};

typedef enum ftl_power_source {
    FTL_POWER_UNKNOWN, /* no power supply is listed: desktops, servers, virtual machines */
    FTL_POWER_MAINS,
    FTL_POWER_BATTERY
} ftl_power_source;

/* Cores that differ in speed; kind 0 is the fastest. */
typedef struct ftl_cpu_kind {
    char name[24]; /* "performance", "efficient", "" when there is one kind only   */
    uint32_t n_cores, n_cpus;
    uint32_t max_mhz; /* 0: not readable                                              */
} ftl_cpu_kind;

/* All caches of one level and size; a machine with two kinds of cores has two rows a level.
 * Instruction caches are left out. */
typedef struct ftl_cpu_cache {
    uint64_t bytes; /* of one instance              */
    uint32_t level; /* 1, 2, 3, 4                   */
    uint32_t n_instances;
    uint32_t n_cpus_each; /* logical CPUs that share one  */
    uint32_t line_bytes;
} ftl_cpu_cache;

typedef struct ftl_numa_node {
    uint64_t memory_bytes;
    int32_t os_index;
    uint32_t n_cpus; /* 0: memory only, such as a CXL expander */
} ftl_numa_node;

/* A physical core of which this process may use at least one logical CPU. */
typedef struct ftl_cpu_core {
    int32_t cpu; /* the lowest logical CPU of it that is allowed, number of the system */
    int32_t kind;
    int32_t package;
    int32_t numa_node; /* os_index; -1: unknown */
} ftl_cpu_core;

typedef struct ftl_topology {
    char cpu_name[96];   /* "AMD EPYC 9654", "Cortex-A76 + Cortex-A55"                     */
    char cpu_vendor[32]; /* "AMD", "Intel", "Arm"                                          */
    char arch[16];       /* "x86_64", "aarch64", "riscv64"                                 */
    char isa[256];       /* what matters to kernels, as Linux lists it: only what the kernel
                            has switched on, "avx2 fma f16c avx512f"                       */
    char board[64];      /* "Raspberry Pi 5 Model B", "Google Compute Engine"              */
    char kernel[96];
    char governor[32];       /* of CPU 0                                                   */
    char virtualization[32]; /* "kvm", "wsl2", "unknown kind"; "" : bare metal             */
    char container[32];      /* "docker"; "" : none noticed                                */

    uint32_t n_packages, n_cores, n_cpus; /* of the whole machine */
    uint32_t n_kinds, n_caches, n_numa_nodes;
    uint32_t max_mhz;
    ftl_cpu_kind kinds[FTL_TOPOLOGY_KINDS];
    ftl_cpu_cache caches[FTL_TOPOLOGY_CACHES]; /* level 1 first */
    ftl_numa_node numa_nodes[FTL_TOPOLOGY_NUMA];

    uint64_t memory_total_bytes, memory_available_bytes; /* MemTotal, MemAvailable */

    /* What this process may use. */
    uint64_t allowed[FTL_TOPOLOGY_CPUS / 64]; /* affinity mask, bit = logical CPU          */
    uint32_t n_allowed_cpus;                  /* bits set in it                            */
    double cpu_quota;                         /* CPUs' worth of time a cgroup grants; 0: all */
    uint64_t memory_limit_bytes;              /* least cgroup limit; 0: none               */
    uint32_t usable_cpus;                     /* min(n_allowed_cpus, ceil(cpu_quota)), >= 1 */
    uint64_t memory_usable_bytes;             /* min(available, what the cgroups have left) */
    /* For "one thread a core": fastest kind first, then in the system's order; n_usable_cores
     * may be more than usable_cpus when a quota binds. */
    ftl_cpu_core *cores;
    size_t n_usable_cores;

    ftl_power_source power_source;
    int32_t battery_percent; /* -1: no battery */
    bool is_discharging;
    bool is_wsl;
} ftl_topology;

/* root: "" for this machine, else the folder of a recorded one.  FTL_ENOMEM is the only failure.
 * The affinity mask is that of the calling thread. */
ftl_status ftl_topology_create(ftl_topology **out, const char *root);
/* The memory figures alone, as they are now; the rest stays.  Cheap: two or three small files. */
void ftl_topology_update_memory(ftl_topology *topology, const char *root);
void ftl_topology_destroy(ftl_topology *topology);

/* The row of this level with the most bytes in all its instances, NULL when there is none. */
const ftl_cpu_cache *ftl_topology_cache(const ftl_topology *topology, uint32_t level);
bool ftl_topology_is_allowed(const ftl_topology *topology, int32_t cpu);

#ifdef __cplusplus
}
#endif
#endif
