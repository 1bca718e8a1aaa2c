/* SPDX-License-Identifier: Apache-2.0 */
/* Every case of op_cases.h on one backend, judged by exact evaluation.
 *     test_ops cpu | fake | pjrt        pjrt: the plug-in that FETTLE_TEST_PJRT_CPU names
 * FETTLE_TEST_CASE=part runs the cases whose name has that part. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "support/op_cases.h"

/* XLA's CPU compiler leaks some of its own. */
const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
    return "leak:xla_cpu_pjrt.so\n";
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: test_ops BACKEND\n");
        return 2;
    }
    ftl_device_options options = { .struct_size = sizeof options };
    if (strcmp(argv[1], "pjrt") == 0) {
        options.library = getenv("FETTLE_TEST_PJRT_CPU");
        if (!options.library || !*options.library)
            ftl_test_skip("FETTLE_TEST_PJRT_CPU names no plug-in");
    }
    ftl_device *device;
    if (ftl_device_open_name(&device, argv[1], &options) != FTL_OK) {
        printf("1..1\nnot ok 1 - open %s: %s\n", argv[1], ftl_error_text());
        return 1;
    }
    const int code = ftl_op_cases_main(device);
    ftl_device_close(device);
    return code;
}
