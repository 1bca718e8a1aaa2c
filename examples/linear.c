/* SPDX-License-Identifier: Apache-2.0 */
/* A linear layer of 1000 x 1000 on whatever this machine has: random input of 64 x 1000, forward.
 *     cc examples/linear.c -o linear $(pkg-config --cflags --libs fettle) && ./linear */
#include <fettle/fettle.h>
#include <stdio.h>
#include <stdlib.h>

static void check(ftl_status status)
{
    if (status == FTL_OK) return;
    fprintf(stderr, "linear: %s\n", ftl_error_text());
    exit(1);
}

int main(void)
{
    ftl_model *model;
    ftl_session *session;
    ftl_session_options options = FTL_SESSION_OPTIONS_INIT;
    double seconds;
    static float y[64][1000];

    options.device = "auto"; /* the first real device; or "cpu", "pjrt:PATH" */
    options.batch = 64;
    check(ftl_model_open(&model, "@linear-1000"));
    check(ftl_session_create(&session, model, &options));
    check(ftl_session_set_random_inputs(session, 1));
    check(ftl_session_run(session, &seconds));
    check(ftl_session_get_output(session, 0, y, sizeof y));

    const ftl_tensor_desc *shape = ftl_session_output_desc(session, 0);
    printf("%s: output %lld x %lld, y[0][0] = %g, %.0f us\n", ftl_session_device(session),
           (long long)shape->dim[0], (long long)shape->dim[1], y[0][0], seconds * 1e6);
    ftl_session_destroy(session);
    ftl_model_close(model);
    return 0;
}
