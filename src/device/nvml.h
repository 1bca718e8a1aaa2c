/* SPDX-License-Identifier: Apache-2.0 */
/* nvml.h - what NVIDIA's management library tells: memory, power, energy, link.
 * Idea: the library comes with the driver and is opened at run time; each function in it is
 * optional, since old drivers and old cards lack some, and what is missing reads as 0.
 * One ftl_nvml is used by one thread at a time; several may be open. */
#ifndef FTL_DEVICE_NVML_H
#define FTL_DEVICE_NVML_H

#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_nvml ftl_nvml;

typedef struct ftl_nvml_info {
    char name[96];
    char address[16]; /* PCI, "0000:01:00.0", as in ftl_accelerator */
    char driver_version[80];
    uint64_t memory_bytes, memory_free_bytes;
    double power_limit_w, power_w; /* 0: the card does not tell */
    uint32_t link_generation, link_lanes, link_max_generation, link_max_lanes;
    bool has_energy; /* total energy counter: Volta and later */
} ftl_nvml_info;

/* library: NULL for libnvidia-ml.so.1.  FTL_ENOTFOUND: no library.  FTL_EUNSUPPORTED: no driver
 * behind it, or no device. */
ftl_status ftl_nvml_open(ftl_nvml **out, const char *library);
void ftl_nvml_close(ftl_nvml *nvml);
uint32_t ftl_nvml_count(const ftl_nvml *nvml);
/* FTL_EINVAL: index out of range.  FTL_ELOST: the card does not answer. */
ftl_status ftl_nvml_read_info(ftl_nvml_info *out, ftl_nvml *nvml, uint32_t index);
/* Index of the card at a PCI address.  FTL_ENOTFOUND. */
ftl_status ftl_nvml_find(uint32_t *index, ftl_nvml *nvml, const char *address);
/* Joules since the driver was loaded, in steps of about 100 ms.  FTL_EUNSUPPORTED: no counter. */
ftl_status ftl_nvml_read_energy(double *joules, ftl_nvml *nvml, uint32_t index);
/* Watts, on most cards since Ampere the mean of the last second.  FTL_EUNSUPPORTED. */
ftl_status ftl_nvml_read_power(double *watts, ftl_nvml *nvml, uint32_t index);

#ifdef __cplusplus
}
#endif
#endif
