/* SPDX-License-Identifier: Apache-2.0 */
/* meter_source.h - one way to read power or energy; the list of them is in meter.c.
 * To add one: a file meter_<x>.c with one of these, a row in the list. */
#ifndef FTL_DEVICE_METER_SOURCE_H
#define FTL_DEVICE_METER_SOURCE_H

#include "device/meter.h"

enum ftl_meter_use {
    FTL_METER_FOR_COMMAND, /* needs options->command     */
    FTL_METER_FOR_HOST,
    FTL_METER_FOR_DEVICE /* needs options->pci_address */
};

typedef struct ftl_meter_source {
    const char *method; /* shown when open() did not say better */
    const char *covers;
    enum ftl_meter_use use;
    bool is_counter;
    int64_t period_ns;   /* least time between readings; 0: as the caller likes */
    double resolution_s; /* how often the value changes                         */
    /* FTL_ENOTFOUND, FTL_EIO, ...: not available, the sentence is shown to people.  `method` has
     * FTL_METER_METHOD bytes and may be left alone.  options->root is not NULL. */
    ftl_status (*open)(void **state, char *method, const ftl_meter_options *options);
    /* Counters: joules since some fixed start, never falling; else watts now. */
    ftl_status (*read)(double *value, void *state);
    void (*close)(void *state); /* takes NULL */
} ftl_meter_source;

extern const ftl_meter_source ftl_meter_command, ftl_meter_rapl, ftl_meter_amd_energy,
    ftl_meter_hwmon, ftl_meter_battery, ftl_meter_nvml_energy, ftl_meter_nvml_power,
    ftl_meter_device_energy, ftl_meter_device_power;

#endif
