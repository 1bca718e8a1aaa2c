/* SPDX-License-Identifier: Apache-2.0 */
/* profile.h - measuring a device, keeping what was measured, and reading it for predictions.
 *
 *   measure:  list of rows --budget--> figures --reference loop, floor check--> profile
 *   store:    profile.db in the cache folder: one profile a measurement, rows below it
 *   rates.h:  the profile's rows as the cost model's numbers
 *
 * What each kind of row holds is said in fettle/bench.h.  A profile is used by one thread at a
 * time while it is filled, and may be shared afterwards. */
#ifndef FTL_PLAN_PROFILE_H
#define FTL_PLAN_PROFILE_H

#include "device/device.h"
#include "device/meter.h"
#include "fettle/bench.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- rows ---------------------------------------------------------------------------------- */

ftl_status ftl_profile_create(ftl_profile **out) FTL_MUST_USE;
/* Puts a copy in place of the row with the same key, or behind all.  FTL_ENOMEM. */
ftl_status ftl_profile_put(ftl_profile *profile, const ftl_profile_row *row) FTL_MUST_USE;
/* The key is kind, dtype, threads, name, and dim but for rows of a level of memory, whose name says
 * enough. */
bool ftl_profile_is_same(const ftl_profile_row *a, const ftl_profile_row *b);
/* NULL when there is none.  Borrowed until the next put. */
const ftl_profile_row *ftl_profile_get(const ftl_profile *profile, const ftl_profile_row *key);
/* Sorts and describes samples (at least one) into the row. */
void ftl_profile_row_set(ftl_profile_row *row, double *samples, uint32_t n);
/* 0 where the text names no kind. */
int32_t ftl_profile_kind_from_name(const char *name);
/* True for kinds whose unit is a rate: more is better. */
bool ftl_profile_is_rate(int32_t kind);
/* machine, device, driver, version, isa and the names, as the device is now. */
ftl_status ftl_profile_identify(ftl_profile *profile, ftl_device *device,
                                const char *spelling) FTL_MUST_USE;

/* ---- measuring ----------------------------------------------------------------------------- */

typedef struct ftl_profile_options {
    uint32_t struct_size;
    bool is_quick;      /* the short list                                              */
    bool keeps_present; /* rows that the profile has already are not measured again     */
    double seconds;     /* budget; 0: 5 quick, 40 else                                  */
    int32_t n_threads;  /* "all threads"; 0: the device's default                       */
    /* GEMM, CONV and STREAM rows to measure in place of the standard shapes (kind, dtype, dim,
     * name count; each for `threads`, or for 1 and all when that is 0).  The basics - peak,
     * bandwidths, overheads - are measured in any case.  When the budget runs out, what stands
     * last is left out. */
    const ftl_profile_row *wanted;
    size_t n_wanted;
    const ftl_meter_options *meter; /* NULL: power is not measured; outside the budget */
    ftl_bench_progress progress;
    void *user;
} ftl_profile_options;
#define FTL_PROFILE_OPTIONS_INIT                                                                   \
    {                                                                                              \
        .struct_size = sizeof(ftl_profile_options)                                                 \
    }

/* Adds rows.  FTL_EUNSUPPORTED: a test double.  FTL_ECANCELED.  A row that the device cannot run
 * is left out. */
ftl_status ftl_profile_measure(ftl_profile *profile, ftl_device *device,
                               const ftl_profile_options *options) FTL_MUST_USE;

/* Marks every row that is faster than what bounds it by more than 5 %: products against the peak,
 * memory against caches, streams against the fastest read.  Returns how many are marked; marks of
 * an earlier check go. */
size_t ftl_profile_check_floor(ftl_profile *profile);

/* ---- the store ------------------------------------------------------------------------------ */

typedef struct ftl_profile_store ftl_profile_store;

typedef struct ftl_profile_entry {
    int64_t id, time_s;
    char machine[160], device[256], version[24], isa[128];
    bool is_quick;
    int64_t n_rows;
} ftl_profile_entry;

/* <folder>/profile.db; the folder is made.  Sentences and codes as in base/sqlite.h.
 * is_read_only: FTL_ENOTFOUND when there is none. */
ftl_status ftl_profile_store_open(ftl_profile_store **out, const char *folder,
                                  bool is_read_only) FTL_MUST_USE;
void ftl_profile_store_close(ftl_profile_store *store);
/* One transaction: all of it or nothing.  Older profiles of the same key than the last 10 go. */
ftl_status ftl_profile_store_save(ftl_profile_store *store,
                                  const ftl_profile *profile) FTL_MUST_USE;
/* All that is known of `key` (its machine, device, driver, version, isa): the latest of each row.
 * FTL_ENOTFOUND: nothing. */
ftl_status ftl_profile_store_load(ftl_profile_store *store, ftl_profile **out,
                                  const ftl_profile *key) FTL_MUST_USE;
/* One measurement by its id. */
ftl_status ftl_profile_store_get(ftl_profile_store *store, ftl_profile **out,
                                 int64_t id) FTL_MUST_USE;
/* Newest first; the caller frees the array by ftl_free(). */
ftl_status ftl_profile_store_list(ftl_profile_store *store, ftl_profile_entry **out,
                                  size_t *n) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
