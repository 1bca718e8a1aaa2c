/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - monotonic time, and the statistics of repeated measurements.  Thread-safe; nothing
 * here allocates or fails. */
#ifndef FTL_BASE_CLOCK_H
#define FTL_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Nanoseconds since an arbitrary start; never runs backwards. */
int64_t ftl_clock_ns(void);
/* Sleeps for at least `ns`; shorter only when ftl_cancel_request() (cancel.h) came by a signal to
 * this thread.  0 and less return at once. */
void ftl_clock_sleep(int64_t ns);

typedef struct ftl_stats {
    size_t n;
    double median, min, max, mean;
    double mad; /* median of |x - median|; times 1.4826 it estimates a standard deviation */
} ftl_stats;

/* Sorts x[0 ... n - 1] upwards in place (NaN last) and describes it.  With n 0 all fields but n are
 * NaN. */
ftl_stats ftl_stats_of(double *x, size_t n);

/* The percentile `share` (0.99) of *sorted* x, linear between neighbors (Hyndman and Fan 1996,
 * type 7).  NaN outside [0, 1] and for n 0. */
double ftl_stats_quantile(const double *sorted, size_t n, double share);
/* The same, but false and *out = NaN where n is below ftl_stats_needed(share): such a percentile is
 * printed as "not available" and is null in JSON. */
bool ftl_stats_percentile(double *out, const double *sorted, size_t n, double share);
/* The least number of samples of which at least one is expected beyond the percentile: 1 between
 * p25 and p75, 10 for p10 and p90, 100 for p1 and p99. */
size_t ftl_stats_needed(double share);

#ifdef __cplusplus
}
#endif
#endif
