/* SPDX-License-Identifier: Apache-2.0 */
/* What fails, fails with a status, leaks nothing and leaves the device usable.  The fake device
 * fails by script; on every backend each request for memory fails in turn. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "contract/contract.h"
#include "support/graphs.h"

/* s f32[3] state, x f32[3]; outputs: y = s * x, s' = s + x. */
static ftl_graph *accumulator(void)
{
    static const ftl_init zero = { .kind = FTL_INIT_FILL };
    const ftl_tensor_desc three = DESC(F32, 3);
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, three), s = ftl_graph_state(g, "s", &three, zero);
    ftl_graph_output(g, "y", FTL_ADD(g, mul, NULL, s, x));
    ftl_graph_output_state(g, s, FTL_ADD(g, add, NULL, s, x));
    assert_ok(ftl_graph_status(g));
    return g;
}

/* ---- scripted failures --------------------------------------------------------------------- */

/* Everything once; the first failure is the result.  y = 2 * x and s = 2 + x when all goes well. */
static ftl_status do_everything(ftl_device *device, const ftl_graph *g)
{
    static const float x[3] = { 1, 2, 3 }, two[3] = { 2, 2, 2 };
    float y[3], s[3];
    rig r;
    ftl_status status = rig_try_init(&r, device, g, 1);
    if (status == FTL_OK) status = rig_try_put(&r, 0, x);
    if (status == FTL_OK) status = rig_try_put(&r, 1, two);
    if (status == FTL_OK) status = rig_run(&r);
    if (status == FTL_OK) status = ftl_buffer_download(r.queue, r.out[0], y, sizeof y);
    if (status == FTL_OK) status = ftl_buffer_download(r.queue, r.out[1], s, sizeof s);
    rig_deinit(&r);
    for (int i = 0; status == FTL_OK && i < 3; i++)
        if (y[i] != 2 * x[i] || s[i] != 2 + x[i])
            return ftl_fail(FTL_EINTERNAL, "wrong numbers from the little program");
    return status;
}

static void every_call_fails_with_every_code(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        int n; /* how often do_everything() makes the call */
    } calls[] = {
        { "buffer_create", 3 }, { "upload", 2 }, { "download", 2 }, { "compile", 1 }, { "run", 1 }
    };
    static const struct {
        const char *name;
        ftl_status code;
    } codes[] = { { "enomem", FTL_ENOMEM },
                  { "eio", FTL_EIO },
                  { "elost", FTL_ELOST },
                  { "etimeout", FTL_ETIMEOUT } };
    if (!contract_is("fake")) return; /* no other backend takes scripts */
    ftl_graph *g = accumulator();
    for (size_t c = 0; c < sizeof calls / sizeof calls[0]; c++)
        for (int nth = 1; nth <= calls[c].n + 1; nth++)
            for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++) {
                char script[64];
                snprintf(script, sizeof script, "%s@%d=%s", calls[c].name, nth, codes[k].name);
                ftl_device *device = contract_open_script(script);
                const int64_t live = ftl_alloc_live();
                const bool fails = nth <= calls[c].n;
                if (fails) {
                    assert_fails(codes[k].code, do_everything(device, g));
                    assert_non_null(strstr(ftl_error_text(), calls[c].name));
                }
                /* The device goes on; call number n + 1 is the first of the second round. */
                assert_ok(do_everything(device, g));
                if (!fails) assert_fails(codes[k].code, do_everything(device, g));
                assert_int_equal(ftl_alloc_live(), live);
                ftl_device_close(device);
            }
    ftl_graph_destroy(g);
}

static void wrong_scripts_are_refused(void **unused)
{
    (void)unused;
    static const char *const wrong[] = { "nonsense", "run@1=what",       "walk@1=eio",
                                         "run@=eio", "only=add+nothing", "run@1" };
    if (!contract_is("fake")) return;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const ftl_device_options o = { .struct_size = sizeof o, .script = wrong[i] };
        ftl_device *device;
        const int64_t live = ftl_alloc_live();
        assert_fails(FTL_EINVAL, ftl_device_open_name(&device, "fake", &o));
        assert_null(device);
        assert_int_equal(ftl_alloc_live(), live);
    }
}

/* The state is worthless after a failed run: nothing of the old value is left to go on with. */
static void aliased_cells_are_invalid_after_a_failed_run(void **unused)
{
    (void)unused;
    static const float x[3] = { 1, 2, 3 }, s[3] = { 10, 20, 30 };
    if (!contract_is("fake")) return;
    ftl_device *device = contract_open_script("run@2=elost");
    ftl_graph *g = accumulator();
    rig r;
    float got[3];
    rig_init(&r, device, g, 1);
    rig_put(&r, 0, x);
    rig_put(&r, 1, s);
    assert_ok(rig_run(&r));
    assert_fails(FTL_ELOST, rig_run(&r));
    rig_get(&r, 1, got);
    for (int i = 0; i < 3; i++) assert_true(got[i] != s[i] + x[i] && got[i] != s[i] + 2 * x[i]);
    rig_put(&r, 1, s); /* a new value makes the cell whole again */
    assert_ok(rig_run(&r));
    rig_get(&r, 1, got);
    for (int i = 0; i < 3; i++) assert_true(got[i] == s[i] + x[i]);
    ftl_graph_destroy(g);
    rig_deinit(&r);
    ftl_device_close(device);
}

/* ---- late failures ------------------------------------------------------------------------- */

static void late_errors_come_at_the_wait(void **unused)
{
    (void)unused;
    static const float x[3] = { 1, 2, 3 };
    if (!contract_is("fake")) return;
    ftl_device *device = contract_open_script("late,run@1=elost");
    ftl_graph *g = accumulator();
    rig r;
    rig_init(&r, device, g, 1);
    rig_put(&r, 0, x);
    const ftl_run_args args = rig_args(&r);
    ftl_event *done;
    assert_ok(ftl_program_run(r.program, r.queue, &args, &done));
    assert_non_null(done);
    assert_fails(FTL_ETIMEOUT, ftl_event_wait(done, 0));
    assert_fails(FTL_ELOST, ftl_event_wait(done, -1));
    assert_int_equal(ftl_event_wait(done, -1), FTL_ELOST); /* and at every wait */
    ftl_event_destroy(done);
    rig_put(&r, 1, x);
    assert_ok(ftl_program_run(r.program, r.queue, &args, &done));
    assert_fails(FTL_ETIMEOUT, ftl_event_wait(done, 0));
    float got[3];
    rig_get(&r, 1, got); /* reading waits for the work before it */
    for (int i = 0; i < 3; i++) assert_true(got[i] == 2 * x[i]);
    assert_ok(ftl_event_wait(done, 0));
    ftl_event_destroy(done);
    assert_ok(ftl_program_run(r.program, r.queue, &args, &done));
    ftl_queue_destroy(r.queue); /* ends what is under way; the event outlives it */
    r.queue = NULL;
    assert_ok(ftl_event_wait(done, -1));
    ftl_event_destroy(done);
    ftl_graph_destroy(g);
    rig_deinit(&r);
    ftl_device_close(device);
}

/* ---- no memory ----------------------------------------------------------------------------- */

static void scripted_memory_limit_frees_everything(void **unused)
{
    (void)unused;
    if (!contract_is("fake")) return;
    ftl_graph *g = accumulator();
    for (int bytes = 0; bytes < 36; bytes += 4) { /* the program has three cells of 12 bytes */
        char script[32];
        snprintf(script, sizeof script, "memory=%d", bytes);
        ftl_device *device = contract_open_script(script);
        const int64_t live = ftl_alloc_live();
        assert_fails(FTL_ENOMEM, do_everything(device, g));
        assert_int_equal(ftl_alloc_live(), live);
        ftl_device_close(device);
    }
    ftl_device *device = contract_open_script("memory=36");
    assert_ok(do_everything(device, g));
    ftl_device_close(device);
    ftl_graph_destroy(g);
}

static ftl_status open_and_do(const ftl_graph *g)
{
    ftl_device *device;
    ftl_device_options options = { .struct_size = sizeof options };
    if (contract_is("pjrt")) options.library = getenv("FETTLE_TEST_PJRT_CPU");
    FTL_TRY(ftl_device_open_name(&device, contract_name, &options));
    ftl_status s = do_everything(device, g);
    ftl_device_close(device);
    return s;
}

/* Requests of fettle's own; the plug-in's are not ours to fail. */
static void every_failing_allocation_is_a_status(void **unused)
{
    (void)unused;
    ftl_graph *g = accumulator();
    assert_ok(open_and_do(g)); /* what is made once and kept is made now */
    const int64_t live = ftl_alloc_live();
    ftl_alloc_fail_at(0, false);
    assert_ok(open_and_do(g));
    const uint64_t n = ftl_alloc_fail_at(0, false);
    assert_true(n > 10);
    int n_failed = 0;
    for (uint64_t nth = 1; nth <= n; nth++)
        for (int sticky = 0; sticky < 2; sticky++) {
            ftl_alloc_fail_at(nth, sticky != 0);
            const ftl_status s = open_and_do(g);
            ftl_alloc_fail_at(0, false);
            if (s != FTL_OK && s != FTL_ENOMEM)
                print_error("request %d of %d: %s (%s)\n", (int)nth, (int)n, ftl_error_text(),
                            ftl_error_place());
            assert_true(s == FTL_OK || s == FTL_ENOMEM);
            n_failed += s != FTL_OK;
            if (ftl_alloc_live() != live) print_error("request %d of %d leaks\n", (int)nth, (int)n);
            assert_int_equal(ftl_alloc_live(), live);
        }
    print_message("# %d of %d failing requests made the job fail\n", n_failed, 2 * (int)n);
    assert_true(n_failed > (int)n);
    assert_ok(open_and_do(g));
    ftl_graph_destroy(g);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_fails_with_every_code),
        cmocka_unit_test(wrong_scripts_are_refused),
        cmocka_unit_test(aliased_cells_are_invalid_after_a_failed_run),
        cmocka_unit_test(late_errors_come_at_the_wait),
        cmocka_unit_test(scripted_memory_limit_frees_everything),
        cmocka_unit_test(every_failing_allocation_is_a_status),
    };
    return contract_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
