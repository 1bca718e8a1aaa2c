/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/cancel.h"

enum { NS_PER_S = 1000 * 1000 * 1000 };

int64_t ftl_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

void ftl_clock_sleep(int64_t ns)
{
    if (ns <= 0) return;
    struct timespec left = { .tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S) };
    while (nanosleep(&left, &left) != 0 && errno == EINTR && !ftl_cancel_is_requested()) {
    }
}

/* Upwards, NaN last. */
static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    if (isnan(x) || isnan(y)) return (isnan(x) != 0) - (isnan(y) != 0);
    return (x > y) - (x < y);
}

/* Median of |x - center| in one pass: the deviations grow from the center outwards, so the two
 * flanks of the sorted array are merged until half of them are seen. */
static double median_deviation(const double *sorted, size_t n, double center)
{
    size_t right = 0;
    while (right < n && sorted[right] < center) right++;
    size_t left = right; /* one past the next on the left */
    double previous = 0, current = 0;
    for (size_t seen = 0; seen <= n / 2; seen++) {
        previous = current;
        const bool take_left =
            right == n || (left > 0 && center - sorted[left - 1] < sorted[right] - center);
        current = take_left ? center - sorted[--left] : sorted[right++] - center;
    }
    return n % 2 ? current : previous + (current - previous) / 2;
}

ftl_stats ftl_stats_of(double *x, size_t n)
{
    ftl_stats s = { n, NAN, NAN, NAN, NAN, NAN };
    if (n == 0) return s;
    qsort(x, n, sizeof x[0], compare);
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    s.mean = sum / (double)n;
    s.min = x[0];
    s.max = x[n - 1];
    s.median = ftl_stats_quantile(x, n, 0.5);
    s.mad = isfinite(s.median) ? median_deviation(x, n, s.median) : NAN;
    return s;
}

double ftl_stats_quantile(const double *sorted, size_t n, double share)
{
    if (n == 0 || !(share >= 0 && share <= 1)) return NAN;
    const double place = share * (double)(n - 1);
    const size_t below = (size_t)place;
    const double rest = place - (double)below;
    if (below + 1 >= n || rest == 0) return sorted[below < n ? below : n - 1];
    return sorted[below] + rest * (sorted[below + 1] - sorted[below]);
}

bool ftl_stats_percentile(double *out, const double *sorted, size_t n, double share)
{
    *out = n >= ftl_stats_needed(share) ? ftl_stats_quantile(sorted, n, share) : NAN;
    return !isnan(*out);
}

size_t ftl_stats_needed(double share)
{
    const double tail = share < 0.5 ? share : 1 - share;
    if (!(tail < 0.25)) return 1;
    if (tail < 1e-9) return SIZE_MAX;
    return (size_t)ceil(1 / tail - 1e-6); /* 1 - 0.99 is a little off 0.01 */
}
