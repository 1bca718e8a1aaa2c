/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/clock.h"

static void on_signal(int number)
{
    (void)number;
    ftl_cancel_request();
}

static void request_is_seen_until_taken_back(void **state)
{
    (void)state;
    assert_ok(ftl_cancel_check());
    assert_int_equal(ftl_cancel_request(), 0);
    assert_int_equal(ftl_cancel_request(), 1);
    assert_true(ftl_cancel_is_requested());
    assert_fails(FTL_ECANCELED, ftl_cancel_check());
    assert_non_null(strstr(ftl_error_text(), "interrupted"));
    ftl_cancel_reset();
    assert_ok(ftl_cancel_check());
}

static void signal_handler_may_ask(void **state)
{
    (void)state;
    struct sigaction action = { .sa_handler = on_signal };
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    raise(SIGUSR1);
    assert_fails(FTL_ECANCELED, ftl_cancel_check());
    ftl_cancel_reset();
}

static void canceled_sleep_ends_early(void **state)
{
    (void)state;
    struct sigaction action = { .sa_handler = on_signal };
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    const int64_t begin = ftl_clock_ns();
    alarm(1);
    ftl_clock_sleep((int64_t)20 * 1000 * 1000 * 1000);
    assert_true(ftl_clock_ns() - begin < (int64_t)10 * 1000 * 1000 * 1000);
    ftl_cancel_reset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_is_seen_until_taken_back),
        cmocka_unit_test(signal_handler_may_ask),
        cmocka_unit_test(canceled_sleep_ends_early),
    };
    return ftl_test_run(tests);
}
