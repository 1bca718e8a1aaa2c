/* SPDX-License-Identifier: Apache-2.0 */
/* meter.h - power and energy, read from whatever this machine has, or the reason why not.
 * Idea: a list of methods, best first: a command of the user's, energy counters, then power that
 * is polled by a thread and integrated.  Each either opens and reads once, or leaves a sentence;
 * so "not available" always comes with every meter tried and what would permit it.  Nothing is
 * ever estimated from a data sheet here.
 * A meter is used by one thread at a time. */
#ifndef FTL_DEVICE_METER_H
#define FTL_DEVICE_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FTL_METER_CANDIDATES = 8, FTL_METER_METHOD = 32, FTL_METER_WHY = 1024 };

typedef struct ftl_meter ftl_meter;

typedef struct ftl_meter_options {
    uint32_t struct_size;
    uint32_t period_ms;       /* of polled power; 0: 20                                      */
    const char *root;         /* a recorded machine (device/sysfs.h); NULL: this one         */
    const char *command;      /* prints watts, run by sh -c; NULL: none                      */
    const char *pci_address;  /* meter of this device, "0000:01:00.0"; NULL: of the host     */
    const char *nvml_library; /* NULL: libnvidia-ml.so.1                                     */
} ftl_meter_options;
#define FTL_METER_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(ftl_meter_options)                                                   \
    }

/* One method as it was found. */
typedef struct ftl_meter_candidate {
    char method[FTL_METER_METHOD]; /* "rapl package", "nvml energy", "battery discharge"     */
    char covers[24];               /* "processor", "machine", "device", "what it measures"   */
    bool is_available;
    bool is_counter;     /* counts energy; else power is polled and integrated               */
    double resolution_s; /* shorter runs than about ten of these are not worth measuring     */
    char why[384];       /* "" when available                                                */
} ftl_meter_candidate;

typedef struct ftl_meter_report {
    ftl_meter_candidate items[FTL_METER_CANDIDATES]; /* best first */
    uint32_t count;
} ftl_meter_report;

typedef struct ftl_energy {
    double joules, seconds;
    uint32_t n_samples; /* readings that it rests on */
} ftl_energy;

/* A figure for people and JSON.  Not available: method is "not available", `why` has a line for
 * each meter tried, and the numbers are NaN. */
typedef struct ftl_power {
    bool is_available;
    char method[FTL_METER_METHOD];
    char covers[24];
    double joules, seconds; /* of the work, idle power not subtracted */
    double idle_w;          /* median while nothing ran               */
    double active_w;        /* joules / seconds                       */
    char why[FTL_METER_WHY];
} ftl_power;

/* Tries every method, which reads each once.  FTL_ENOMEM; FTL_EINVAL: bad struct_size. */
ftl_status ftl_meter_probe(ftl_meter_report *out, const ftl_meter_options *options);
/* "no power meter can be read:" and a line "  method: reason" for each that is not available. */
void ftl_meter_explain(char *text, size_t bytes, const ftl_meter_report *report);

/* Opens the best available one.  A command that was given is the only one tried: the user chose
 * it.  FTL_ENOTFOUND: none, and the sentence is that of ftl_meter_explain(). */
ftl_status ftl_meter_open(ftl_meter **out, const ftl_meter_options *options);
void ftl_meter_close(ftl_meter *meter);
/* Borrowed; is_available is true. */
const ftl_meter_candidate *ftl_meter_info(const ftl_meter *meter);

/* start, work, stop.  FTL_EINVAL: started twice, or stopped without a start.  stop reports a
 * reading that failed in between: FTL_EIO (unreadable, or the charger was plugged in),
 * FTL_EFORMAT or FTL_ETIMEOUT of a command. */
ftl_status ftl_meter_start(ftl_meter *meter);
ftl_status ftl_meter_stop(ftl_meter *meter, ftl_energy *out);
/* Median power over `seconds` (2 to 60) while the caller does nothing.  FTL_EINVAL: the range.
 * FTL_ECANCELED. */
ftl_status ftl_meter_idle(ftl_meter *meter, double seconds, double *watts);

/* Idle power over idle_seconds, then `work` once, metered.  Without a meter the work runs all the
 * same and `out` says why there is no figure; only the work's own failure, a bad argument,
 * FTL_ENOMEM and FTL_ECANCELED come back. */
ftl_status ftl_power_measure(ftl_power *out, const ftl_meter_options *options, double idle_seconds,
                             ftl_status (*work)(void *context), void *context);

#ifdef __cplusplus
}
#endif
#endif
