/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static char seen[8192];

static void remember(void *user, ftl_log_level level, const char *module, const char *text)
{
    ++*(int *)user;
    snprintf(seen, sizeof seen, "%s|%s|%s", ftl_log_level_name(level), module, text);
}

static void level_decides_and_text_is_one_line(void **state)
{
    (void)state;
    int calls = 0;
    ftl_log_set(remember, &calls, FTL_LOG_INFO);
    ftl_log(FTL_LOG_DEBUG, "cpu", "no");
    assert_int_equal(calls, 0);
    assert_false(ftl_log_wants(FTL_LOG_DEBUG));
    ftl_log(FTL_LOG_INFO, "cpu", "kernel %s, %d threads\n\x1b[2J", "k_gemm", 2);
    assert_int_equal(calls, 1);
    assert_string_equal(seen, "info|cpu|kernel k_gemm, 2 threads  [2J");
    char long_text[5000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    ftl_log(FTL_LOG_ERROR, "cpu", "%s", long_text);
    assert_true(strlen(seen) > 2000 && strlen(seen) < 2100);
    ftl_log_set(NULL, NULL, FTL_LOG_WARNING);
}

static void default_writes_warnings_to_stderr(void **state)
{
    (void)state;
    fflush(stderr);
    const int old = dup(2);
    FILE *file = fopen(ftl_test_temp("stderr"), "w+");
    assert_non_null(file);
    dup2(fileno(file), 2);
    ftl_log(FTL_LOG_WARNING, "cuda", "no driver");
    ftl_log(FTL_LOG_INFO, "cuda", "not seen");
    fflush(stderr);
    dup2(old, 2);
    close(old);
    char text[200] = "";
    rewind(file);
    const size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = 0;
    fclose(file);
    assert_string_equal(text, "fettle: warning: cuda: no driver\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(level_decides_and_text_is_one_line),
        cmocka_unit_test(default_writes_warnings_to_stderr),
    };
    return ftl_test_run(tests);
}
