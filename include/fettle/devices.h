/* SPDX-License-Identifier: Apache-2.0 */
/* devices.h - what this machine has: the host, every device that fettle can open or why not, what
 * is plugged in on the PCI bus, and which power meter can be read.
 * 0, "" and -1 mean "the system does not say".  All of it is plain data, immutable once read. */
#ifndef FETTLE_DEVICES_H
#define FETTLE_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fettle/status.h"
#include "fettle/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_devices_options {
    size_t struct_size;
    const char *pjrt_plugins;        /* paths with ":" between them; NULL: none             */
    const char *power_meter_command; /* prints watts; NULL: none                            */
} ftl_devices_options;
#define FTL_DEVICES_OPTIONS_INIT                                                                   \
    {                                                                                              \
        .struct_size = sizeof(ftl_devices_options)                                                 \
    }

typedef struct ftl_host_cores {
    char kind[24]; /* "performance", "efficient", "" where all are alike */
    uint32_t n_cores, n_cpus, max_mhz;
} ftl_host_cores;

typedef struct ftl_host_cache {
    uint32_t level, n_instances, n_cpus_each;
    uint64_t bytes; /* of one instance */
} ftl_host_cache;

typedef struct ftl_host {
    char cpu[96], vendor[32], arch[16];
    char isa[128];      /* what fettle's kernels may use here, after FETTLE_ISA */
    char features[256]; /* what the kernel of the system has switched on        */
    char board[64], kernel[96], governor[32];
    char virtualization[32], container[32]; /* "kvm"; "" : none noticed */
    uint32_t n_packages, n_cores, n_cpus, max_mhz;
    uint32_t n_kinds, n_caches, n_numa_nodes;
    ftl_host_cores kinds[8];
    ftl_host_cache caches[16];
    uint64_t numa_bytes[64];
    uint64_t memory_bytes, memory_free_bytes; /* of the machine                            */
    uint64_t memory_usable_bytes;             /* free, and granted to this process         */
    uint64_t memory_limit_bytes;              /* of the control groups; 0: none            */
    uint32_t allowed_cpus;                    /* of the affinity mask                      */
    uint32_t usable_cpus;                     /* of that and the control groups, least one */
    double cpu_quota;                         /* CPUs' worth of time; 0: all               */
    char power_source[16];                    /* "mains", "battery", "unknown"             */
    int32_t battery_percent;                  /* -1: no battery                            */
} ftl_host;

/* A device of a backend, or a backend that has none. */
typedef struct ftl_device_entry {
    char spelling[256]; /* what --device takes: "cpu", "pjrt:PATH" */
    char backend[16], name[64];
    bool is_usable;
    char why[512]; /* "" when usable */
    uint64_t memory_bytes, free_bytes;
} ftl_device_entry;

typedef struct ftl_accelerator_entry {
    char address[16], name[64], kind[8]; /* kind: "gpu", "npu", "tpu" */
    char driver[32], driver_version[32], link[32];
    uint16_t vendor_id, device_id;
    double link_bytes_per_s; /* one way, of the link as it is now */
    uint64_t memory_bytes;
    double power_limit_w;
    bool is_usable; /* driver, device node and library are there, and fettle has a backend */
    char why[384];
} ftl_accelerator_entry;

typedef struct ftl_meter_entry {
    char method[32], covers[24];
    bool is_available;
    char why[384]; /* with the command that would permit it */
} ftl_meter_entry;

typedef struct ftl_devices {
    size_t struct_size;
    ftl_host host;
    ftl_device_entry *devices;
    size_t n_devices;
    ftl_accelerator_entry *accelerators;
    size_t n_accelerators;
    ftl_meter_entry *meters; /* best first */
    size_t n_meters;
} ftl_devices;

/* options may be NULL.  A device that does not work is an entry, not a failure: FTL_ENOMEM,
 * FTL_EINVAL (options). */
FTL_API ftl_status ftl_devices_read(ftl_devices **out,
                                    const ftl_devices_options *options) FTL_MUST_USE;
FTL_API void ftl_devices_destroy(ftl_devices *devices);
/* One JSON object, schema "fettle.devices/1"; the caller frees it by ftl_text_free(). */
FTL_API ftl_status ftl_devices_json(char **out, const ftl_devices *devices) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
