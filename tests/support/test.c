/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void ftl_test_assert_status(ftl_status got, ftl_status want, const char *call, const char *file,
                            int line)
{
    if (got != want)
        print_error("%s\n  gave %s, wanted %s: %s (%s)\n", call, ftl_status_name(got),
                    ftl_status_name(want), got ? ftl_error_text() : "",
                    got ? ftl_error_place() : "");
    else if (got != FTL_OK && ftl_error_text()[0] == 0)
        print_error("%s\n  failed without a sentence\n", call);
    else return;
    _fail(file, line);
}

void ftl_test_skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("1..0 # SKIP ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    exit(0);
}

const char *ftl_test_data(const char *relative)
{
    static char path[4096];
    const char *root = getenv("FETTLE_TEST_DATA");
    if (!root || !*root) root = FTL_TEST_DATA_DEFAULT;
    snprintf(path, sizeof path, "%s/%s", root, relative);
    if (access(path, R_OK) != 0)
        ftl_test_skip("no test data: %s is absent, set FETTLE_TEST_DATA", path);
    return path;
}

static char temp_folder[64];

static void remove_temp_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", temp_folder);
    if (temp_folder[0] && system(command) != 0) fprintf(stderr, "cannot remove %s\n", temp_folder);
}

const char *ftl_test_temp(const char *name)
{
    static char path[512];
    if (!temp_folder[0]) {
        strcpy(temp_folder, "/tmp/fettle-test-XXXXXX");
        if (!mkdtemp(temp_folder)) {
            perror("mkdtemp");
            exit(2);
        }
        atexit(remove_temp_folder);
    }
    snprintf(path, sizeof path, "%s/%s", temp_folder, name);
    return path;
}

/* Distance in units in the last place, for the report. */
static double ulps(float a, float b)
{
    int32_t ia, ib;
    memcpy(&ia, &a, 4);
    memcpy(&ib, &b, 4);
    return fabs((double)ia - (double)ib);
}

void ftl_test_assert_close_f32(const float *got, const float *want, size_t n, double tolerance,
                               const char *what)
{
    double scale = 1;
    for (size_t i = 0; i < n; i++)
        if (isfinite(want[i]) && fabs(want[i]) > scale) scale = fabs(want[i]);
    for (size_t i = 0; i < n; i++) {
        if (isnan(want[i]) && isnan(got[i])) continue;
        if (got[i] == want[i]) continue;
        if (fabs((double)got[i] - want[i]) <= tolerance * scale) continue;
        print_error(
            "%s: index %zu of %zu: got %.9g, want %.9g, off %.3g (%.0f ulp), allowed %.3g\n", what,
            i, n, got[i], want[i], fabs((double)got[i] - want[i]), ulps(got[i], want[i]),
            tolerance * scale);
        fail();
    }
}
