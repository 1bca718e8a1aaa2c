/* SPDX-License-Identifier: Apache-2.0 */
/* The backend against the stand-in plug-in, whose programs return x + x whatever the text says:
 * cells, events, limits, and what a failed run leaves behind. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/pjrt/pjrt_abi.h"
#include "base/alloc.h"
#include "device/device.h"

static const ftl_tensor_desc desc = { .dtype = FTL_DTYPE_F32, .rank = 2, .dim = { 2, 3 } };
static const float data[6] = { 1, 2, 3, 4, 5, 6 }, twice[6] = { 2, 4, 6, 8, 10, 12 };

static void tell(const char *name, const char *value)
{
    char full[64];
    snprintf(full, sizeof full, "PJRT_DOUBLE_%s", name);
    assert_int_equal(setenv(full, value, 1), 0);
}

static int forget_all(void **state)
{
    (void)state;
    unsetenv("PJRT_DOUBLE_NEVER");
    unsetenv("PJRT_DOUBLE_LATE");
    unsetenv("PJRT_DOUBLE_FAIL");
    return 0;
}

static void assert_text(const char *part)
{
    if (strstr(ftl_error_text(), part)) return;
    print_error("\"%s\" does not say \"%s\"\n", ftl_error_text(), part);
    fail();
}

static const ftl_backend *backend(void)
{
    const ftl_backend *b = ftl_backend_find("pjrt");
    assert_non_null(b);
    return b;
}

/* A device with a program y = x + x, and cells. */
typedef struct rig {
    ftl_device *device;
    ftl_queue *queue;
    ftl_program *program;
    ftl_buffer *x, *y;
} rig;

/* is_state: the result is the new value of x. */
static void rig_up(rig *r, bool is_state)
{
    *r = (rig){ NULL };
    ftl_graph *g;
    assert_ok(ftl_device_open_name(&r->device, "pjrt:" FTL_PJRT_DOUBLE, NULL));
    assert_ok(ftl_queue_create(&r->queue, r->device, 0));
    assert_ok(ftl_graph_create(&g, "", true));
    const int32_t x =
        is_state ? ftl_graph_state(g, "x", &desc, (ftl_init){ 0 }) : ftl_graph_input(g, "x", &desc);
    const int32_t y = FTL_ADD(g, add, NULL, x, x);
    if (is_state) ftl_graph_output_state(g, x, y);
    else ftl_graph_output(g, "y", y);
    assert_ok(ftl_program_compile(&r->program, r->device, g, NULL));
    ftl_graph_destroy(g);
    assert_ok(ftl_buffer_create(&r->x, r->device, &desc));
    if (is_state) r->y = r->x;
    else assert_ok(ftl_buffer_create(&r->y, r->device, &desc));
}

static void rig_down(rig *r)
{
    if (r->y != r->x) ftl_buffer_destroy(r->y);
    ftl_buffer_destroy(r->x);
    ftl_program_destroy(r->program);
    ftl_queue_destroy(r->queue);
    ftl_device_close(r->device);
}

static ftl_status rig_run(rig *r, ftl_event **done)
{
    const ftl_run_args args = { .struct_size = sizeof args, .inputs = &r->x, .outputs = &r->y };
    return ftl_program_run(r->program, r->queue, &args, done);
}

static ftl_status put(rig *r)
{
    return ftl_buffer_upload(r->queue, r->x, data, sizeof data);
}

static void assert_result(rig *r, const float *want)
{
    float got[6] = { 99, 99, 99, 99, 99, 99 };
    assert_ok(ftl_buffer_download(r->queue, r->y, got, sizeof got));
    assert_memory_equal(got, want, sizeof got);
}

/* ---- devices ------------------------------------------------------------------------------- */

static void without_a_library_there_is_no_device(void **state)
{
    (void)state;
    ftl_device *device = (void *)1;
    uint32_t n = 9;
    const ftl_device_options none = { .struct_size = sizeof none };
    assert_ok(backend()->count(&n, &none));
    assert_int_equal(n, 0);
    assert_fails(FTL_ENOTFOUND, ftl_device_open_name(&device, "pjrt", NULL));
    assert_null(device);
    assert_text("jax-cuda12-pjrt");
    assert_text("--device pjrt:");
    assert_fails(FTL_ENOTFOUND, ftl_device_open_name(&device, "pjrt:/nowhere/x.so", NULL));
    assert_text("/nowhere/x.so");
}

static void what_cannot_be_opened_counts_as_none(void **state)
{
    (void)state;
    uint32_t n = 9;
    const ftl_device_options missing = { .struct_size = sizeof missing,
                                         .library = "/nowhere/x.so" };
    assert_ok(backend()->count(&n, &missing));
    assert_int_equal(n, 0);
}

static void options_that_are_not_there_are_refused(void **state)
{
    (void)state;
    ftl_device *device;
    ftl_device_options o = { .struct_size = sizeof o, .library = FTL_PJRT_DOUBLE, .index = 1 };
    assert_fails(FTL_ENOTFOUND, ftl_device_open(&device, backend(), &o));
    assert_text("1 devices");
    o.index = 0;
    o.topology = "v5e:2x2";
    assert_fails(FTL_EUNSUPPORTED, ftl_device_open(&device, backend(), &o));
    o.topology = NULL;
    o.n_members = 2;
    assert_fails(FTL_EUNSUPPORTED, ftl_device_open(&device, backend(), &o));
}

static void memory_is_counted_and_limited(void **state)
{
    (void)state;
    ftl_device *device;
    ftl_buffer *a, *b;
    ftl_device_info info;
    const ftl_device_options o = { .struct_size = sizeof o,
                                   .library = FTL_PJRT_DOUBLE,
                                   .memory_limit_bytes = 40 };
    assert_ok(ftl_device_open(&device, backend(), &o));
    assert_ok(ftl_device_get_info(device, &info));
    assert_int_equal(info.memory_bytes, 40);
    assert_string_equal(info.name, "double stand-in (PJRT)");
    assert_ok(ftl_buffer_create(&a, device, &desc));
    assert_ok(ftl_device_get_info(device, &info));
    assert_int_equal(info.free_bytes, 16);
    assert_fails(FTL_ENOMEM, ftl_buffer_create(&b, device, &desc));
    ftl_buffer_destroy(a);
    assert_ok(ftl_buffer_create(&b, device, &desc));
    ftl_buffer_destroy(b);
    ftl_device_close(device);
}

/* ---- cells --------------------------------------------------------------------------------- */

static void a_fresh_cell_reads_as_zeros(void **state)
{
    (void)state;
    static const float zeros[6] = { 0 };
    rig r;
    rig_up(&r, false);
    assert_result(&r, zeros); /* never written */
    assert_ok(put(&r));
    assert_ok(rig_run(&r, NULL));
    assert_result(&r, twice);
    rig_down(&r);
    rig_up(&r, false);
    assert_ok(rig_run(&r, NULL)); /* from an input never written */
    assert_result(&r, zeros);
    rig_down(&r);
}

static void a_part_of_a_cell_cannot_be_moved(void **state)
{
    (void)state;
    rig r;
    float got[6];
    rig_up(&r, false);
    assert_fails(FTL_EUNSUPPORTED, backend()->upload(r.queue, r.x, 4, data, 8, NULL));
    assert_fails(FTL_EUNSUPPORTED, backend()->download(r.queue, r.x, 0, got, 8, NULL));
    rig_down(&r);
}

static void copies_go_through_the_host(void **state)
{
    (void)state;
    rig r;
    rig_up(&r, false);
    assert_ok(put(&r));
    assert_ok(ftl_buffer_copy(r.queue, r.y, r.queue, r.x));
    assert_result(&r, data);
    rig_down(&r);
}

static void transfers_can_be_waited_for(void **state)
{
    (void)state;
    rig r;
    ftl_event *done;
    float got[6] = { 0 };
    rig_up(&r, false);
    assert_ok(backend()->upload(r.queue, r.x, 0, data, sizeof data, &done));
    assert_ok(ftl_event_wait(done, -1));
    ftl_event_destroy(done);
    assert_ok(backend()->download(r.queue, r.x, 0, got, sizeof got, &done));
    assert_ok(ftl_event_wait(done, 1000000000));
    ftl_event_destroy(done);
    assert_memory_equal(got, data, sizeof got);
    rig_down(&r);
}

/* ---- runs ---------------------------------------------------------------------------------- */

static void state_is_replaced_in_its_cell(void **state)
{
    (void)state;
    static const float eightfold[6] = { 8, 16, 24, 32, 40, 48 };
    rig r;
    rig_up(&r, true);
    assert_ok(put(&r));
    for (int i = 0; i < 3; i++) assert_ok(rig_run(&r, NULL));
    assert_result(&r, eightfold);
    rig_down(&r);
}

static void a_wait_that_runs_out_keeps_the_event(void **state)
{
    (void)state;
    rig r;
    ftl_event *done;
    rig_up(&r, false);
    assert_ok(put(&r));
    assert_ok(rig_run(&r, &done));
    tell("NEVER", "1");
    assert_fails(FTL_ETIMEOUT, ftl_event_wait(done, 1000000));
    assert_fails(FTL_ETIMEOUT, ftl_event_wait(done, 0));
    forget_all(NULL);
    assert_ok(ftl_event_wait(done, 1000000000));
    ftl_event_destroy(done);
    assert_result(&r, twice);
    rig_down(&r);
}

static void a_late_error_comes_with_the_wait(void **state)
{
    (void)state;
    rig r;
    ftl_event *done;
    rig_up(&r, false);
    assert_ok(put(&r));
    tell("LATE", "13");
    assert_ok(rig_run(&r, &done));
    assert_int_not_equal(ftl_event_wait(done, -1), FTL_OK);
    ftl_event_destroy(done);
    rig_down(&r);
}

/* Refused before the launch: nothing is lost. */
static void a_refused_run_leaves_the_state(void **state)
{
    (void)state;
    rig r;
    char fail_execute[32];
    snprintf(fail_execute, sizeof fail_execute, "%d:8", FTL_PJRT_LOADED_EXECUTE);
    rig_up(&r, true);
    assert_ok(put(&r));
    tell("FAIL", fail_execute);
    assert_int_not_equal(rig_run(&r, NULL), FTL_OK);
    assert_text("told to fail");
    forget_all(NULL);
    assert_result(&r, data);
    rig_down(&r);
}

static void no_memory_is_a_status(void **state)
{
    (void)state;
    ftl_graph *g;
    ftl_device *device;
    assert_ok(ftl_graph_create(&g, "", true));
    const int32_t x = ftl_graph_input(g, "x", &desc);
    ftl_graph_output(g, "y", FTL_ADD(g, add, NULL, x, x));
    assert_ok(ftl_device_open_name(&device, "pjrt:" FTL_PJRT_DOUBLE, NULL));
    for (uint64_t n = 1; n < 100; n++) {
        ftl_program *program;
        ftl_alloc_fail_at(n, true);
        const ftl_status s = ftl_program_compile(&program, device, g, NULL);
        ftl_alloc_fail_at(0, false);
        ftl_program_destroy(program);
        if (s == FTL_OK) break;
        assert_int_equal(s, FTL_ENOMEM);
        assert_int_not_equal(n, 99);
    }
    ftl_device_close(device);
    ftl_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_library_there_is_no_device),
        cmocka_unit_test(what_cannot_be_opened_counts_as_none),
        cmocka_unit_test(options_that_are_not_there_are_refused),
        cmocka_unit_test(memory_is_counted_and_limited),
        cmocka_unit_test(a_fresh_cell_reads_as_zeros),
        cmocka_unit_test(a_part_of_a_cell_cannot_be_moved),
        cmocka_unit_test(copies_go_through_the_host),
        cmocka_unit_test(transfers_can_be_waited_for),
        cmocka_unit_test(state_is_replaced_in_its_cell),
        cmocka_unit_test_teardown(a_wait_that_runs_out_keeps_the_event, forget_all),
        cmocka_unit_test_teardown(a_late_error_comes_with_the_wait, forget_all),
        cmocka_unit_test_teardown(a_refused_run_leaves_the_state, forget_all),
        cmocka_unit_test(no_memory_is_a_status),
    };
    return ftl_test_run(tests);
}
