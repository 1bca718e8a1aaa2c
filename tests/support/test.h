/* SPDX-License-Identifier: Apache-2.0 */
/* test.h - what every test program includes: cmocka with what must stand before it, and ours.
 *
 *     int main(void)
 *     {
 *         const struct CMUnitTest tests[] = { cmocka_unit_test(name_says_the_rule) };
 *         return ftl_test_run(tests);
 *     }
 */
#ifndef FTL_TESTS_SUPPORT_TEST_H
#define FTL_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "fettle/status.h"

/* Runs a table of tests and prints TAP. */
#define ftl_test_run(tests)                                                                        \
    (cmocka_set_message_output(CM_OUTPUT_TAP), cmocka_run_group_tests(tests, NULL, NULL))

/* The call succeeds; otherwise prints its sentence. */
#define assert_ok(call) ftl_test_assert_status((call), FTL_OK, #call, __FILE__, __LINE__)
/* The call fails with this very code and leaves a sentence. */
#define assert_fails(code, call) ftl_test_assert_status((call), (code), #call, __FILE__, __LINE__)
void ftl_test_assert_status(ftl_status got, ftl_status want, const char *call, const char *file,
                            int line);

/* Prints "1..0 # SKIP <reason>" and ends the program with success: a skip is a whole program. */
void ftl_test_skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Path of a file of the shared test data, or skips the program when the data is absent.  Borrowed
 * until the next call. */
const char *ftl_test_data(const char *relative);
/* Path of a fresh name inside this program's own temporary folder, which is removed at exit. */
const char *ftl_test_temp(const char *name);

/* Compares two float arrays: |got - want| <= tolerance * max(1, max|want|); NaN equals NaN, inf
 * equals the same inf. On a difference prints the first index, got, want and ulp, and fails the
 * test. */
void ftl_test_assert_close_f32(const float *got, const float *want, size_t n, double tolerance,
                               const char *what);

#endif
