/* SPDX-License-Identifier: Apache-2.0 */
/* pci.h - accelerators on the PCI bus, whether or not a backend can drive them, and the reason
 * when nothing can.
 * Idea: sysfs alone tells what is plugged in, which driver holds it and how it is linked, with no
 * vendor library loaded.  Whether a backend is part of this build is the registry's knowledge, not
 * this file's: `is_usable` says that the driver, its device node and its user library are there.
 * Immutable once filled. */
#ifndef FTL_DEVICE_PCI_H
#define FTL_DEVICE_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ftl_accelerator_kind {
    FTL_ACCELERATOR_GPU,
    FTL_ACCELERATOR_NPU,
    FTL_ACCELERATOR_TPU
} ftl_accelerator_kind;

/* PCIe generation 1 to 6 and number of lanes; 0: not readable. */
typedef struct ftl_pci_link {
    uint32_t generation, lanes;
} ftl_pci_link;

typedef struct ftl_accelerator {
    char address[16];        /* "0000:01:00.0" */
    char name[64];           /* from the driver, else our table, else "NVIDIA GPU 10de:2684" */
    char driver[32];         /* "" : none is bound */
    char driver_version[32]; /* "550.54.15"; "" : part of the kernel, or unknown */
    char nodes[96];          /* device files, separated by a blank: "/dev/dri/renderD128" */
    uint32_t class_code;     /* 0xBBSSPP, 0x030200 is a 3D controller */
    uint16_t vendor_id, device_id, subsystem_vendor_id, subsystem_id;
    ftl_accelerator_kind kind;
    int32_t numa_node; /* -1: unknown */
    /* The slowest link between the device and the CPU, now and at best.  Idle GPUs lower the
     * generation until they work, so only the lanes show a card in a wrong slot. */
    ftl_pci_link link, link_max;
    uint64_t memory_bytes; /* 0: the driver does not tell in sysfs */
    double power_limit_w;  /* 0: likewise                         */
    bool is_usable;
    char why[256]; /* "" when usable, else what is missing and what to do */
} ftl_accelerator;

typedef struct ftl_accelerator_list {
    ftl_accelerator *items; /* in the order of addresses */
    size_t count;
} ftl_accelerator_list;

/* root: "" for this machine, else a recorded one (device/sysfs.h), where user libraries are
 * looked for as files only.  A machine without PCI gives an empty list.  FTL_ENOMEM. */
ftl_status ftl_accelerator_scan(ftl_accelerator_list *out, const char *root);
void ftl_accelerator_list_deinit(ftl_accelerator_list *list);
/* Adds what only NVIDIA's library tells: name, memory, power limit; and takes back is_usable when
 * the library is there but says that the driver does not work (versions apart, card lost).
 * library: NULL for libnvidia-ml.so.1, without which the list stays as it is.  Loads nothing when
 * no device could profit.  FTL_ENOMEM. */
ftl_status ftl_accelerator_add_nvml(ftl_accelerator_list *list, const char *library);

/* "PCIe 4.0 x8 of x16", "PCIe 5.0 x16", "" when unknown. */
void ftl_pci_link_text(char *text, size_t bytes, const ftl_accelerator *a);
/* Bytes a second one way after line coding, before packet overhead; 0 when unknown.
 * Source: PCI Express Base Specification, 2.5 and 5 GT/s with 8b/10b, from 8 GT/s with 128b/130b,
 * 64 GT/s with FLITs (242 of 256 bytes). */
double ftl_pci_link_bytes_per_s(ftl_pci_link link);

#ifdef __cplusplus
}
#endif
#endif
