/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.h - the CPU time and memory that control groups leave to this process.
 * Idea: a limit anywhere on the path from the own group up to the mount point binds, so each is
 * read and the smallest wins; version 1 and 2 hierarchies may both be mounted and both count.
 * Source: Linux Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst,
 * scheduler/sched-bwc.rst. */
#ifndef FTL_DEVICE_CGROUP_H
#define FTL_DEVICE_CGROUP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_cgroup_limits {
    double cpu_quota;            /* CPUs' worth of time, 1.5; 0: no limit                    */
    uint64_t memory_limit_bytes; /* smallest limit; 0: none                                  */
    uint64_t memory_free_bytes;  /* least limit - working set of all levels; UINT64_MAX: none.
                                     The working set is the usage less inactive file pages,
                                     which the kernel drops before it refuses memory          */
    char path[256];              /* own group, version 2 if there is one, else of "memory"   */
} ftl_cgroup_limits;

/* Never fails: what cannot be read is no limit.  root: "" or the folder of a recorded machine. */
void ftl_cgroup_read(ftl_cgroup_limits *out, const char *root);

#ifdef __cplusplus
}
#endif
#endif
