/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

static void clock_runs_forwards_and_sleep_is_long_enough(void **state)
{
    (void)state;
    int64_t last = ftl_clock_ns();
    for (int i = 0; i < 10000; i++) {
        const int64_t now = ftl_clock_ns();
        assert_true(now >= last);
        last = now;
    }
    ftl_clock_sleep(5 * 1000 * 1000);
    assert_true(ftl_clock_ns() - last >= 5 * 1000 * 1000);
    ftl_clock_sleep(-1);
}

static int upwards(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median by sorting, for n deviations. */
static double plain_mad(const double *x, size_t n, double center)
{
    double d[64];
    for (size_t i = 0; i < n; i++) d[i] = fabs(x[i] - center);
    qsort(d, n, sizeof d[0], upwards);
    return n % 2 ? d[n / 2] : (d[n / 2 - 1] + d[n / 2]) / 2;
}

static void statistics_agree_with_their_definitions(void **state)
{
    (void)state;
    uint32_t random = 12345;
    for (size_t n = 1; n <= 40; n++) {
        double x[64], sum = 0;
        for (size_t i = 0; i < n; i++) {
            random = random * 1664525u + 1013904223u;
            x[i] = (double)(random >> 16) * (n % 3 ? 1 : 0.001) - (n % 5 ? 0 : 30000);
            if (n % 7 == 0) x[i] = floor(x[i] / 20000); /* many equal values */
            sum += x[i];
        }
        const ftl_stats s = ftl_stats_of(x, n);
        assert_true(s.n == n && s.min == x[0] && s.max == x[n - 1]);
        for (size_t i = 1; i < n; i++) assert_true(x[i - 1] <= x[i]);
        const double median = n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
        assert_true(fabs(s.median - median) <= 1e-9 * (1 + fabs(median)));
        assert_true(fabs(s.mean - sum / (double)n) <= 1e-9 * (1 + fabs(s.mean)));
        assert_true(fabs(s.mad - plain_mad(x, n, s.median)) <= 1e-9 * (1 + s.mad));
    }
    assert_true(isnan(ftl_stats_of(NULL, 0).median));
    double with_nan[] = { 3, NAN, 1, 2, NAN };
    const ftl_stats s = ftl_stats_of(with_nan, 5);
    assert_true(s.min == 1 && s.median == 3 && isnan(s.max));
}

static void percentile_needs_enough_samples(void **state)
{
    (void)state;
    double x[1000];
    for (int i = 0; i < 1000; i++) x[i] = i;
    assert_int_equal(ftl_stats_needed(0.5), 1);
    assert_int_equal(ftl_stats_needed(0.9), 10);
    assert_int_equal(ftl_stats_needed(0.1), 10);
    assert_int_equal(ftl_stats_needed(0.99), 100);
    assert_int_equal(ftl_stats_needed(0.999), 1000);
    double p;
    assert_false(ftl_stats_percentile(&p, x, 99, 0.99));
    assert_true(isnan(p));
    assert_true(ftl_stats_percentile(&p, x, 101, 0.99));
    assert_true(fabs(p - 99) < 1e-9);
    assert_true(ftl_stats_percentile(&p, x, 11, 0.1));
    assert_true(fabs(p - 1) < 1e-9);
    assert_true(isnan(ftl_stats_quantile(x, 10, 1.5)) && isnan(ftl_stats_quantile(x, 0, 0.5)));
    assert_true(ftl_stats_quantile(x, 10, 1) == 9 && ftl_stats_quantile(x, 10, 0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_runs_forwards_and_sleep_is_long_enough),
        cmocka_unit_test(statistics_agree_with_their_definitions),
        cmocka_unit_test(percentile_needs_enough_samples),
    };
    return ftl_test_run(tests);
}
