/* SPDX-License-Identifier: Apache-2.0 */
/* The PJRT caller against a stand-in plug-in: every way to fail, and no handle left behind. */
#include "support/test.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "backend/pjrt/pjrt_abi.h"
#include "backend/pjrt/pjrt_api.h"
#include "base/alloc.h"

static const char text[] = "@main(%a: tensor<2x3xf32>) -> tensor<2x3xf32>";
static const char donating_text[] = "@main(%a: tensor<2x3xf32> {tf.aliasing_output = 0 : i32})";
static const ftl_pjrt_shape shape = { FTL_PJRT_F32, 2, { 2, 3 } };
static const float data[6] = { 1, 2, 3, 4, 5, 6 };
static const float twice[6] = { 2, 4, 6, 8, 10, 12 };

static const char *const variables[] = { "TABLE", "MAJOR", "MINOR", "FAIL",  "LATE", "NEVER",
                                         "HANG",  "ABORT", "EXIT",  "EQUAL", "WRONG" };

static void tell(const char *name, const char *value)
{
    char full[64];
    snprintf(full, sizeof full, "PJRT_DOUBLE_%s", name);
    assert_int_equal(setenv(full, value, 1), 0);
}

static void tell_index(const char *name, int index, const char *rest)
{
    char value[32];
    snprintf(value, sizeof value, "%d%s", index, rest);
    tell(name, value);
}

static int forget_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        char full[64];
        snprintf(full, sizeof full, "PJRT_DOUBLE_%s", variables[i]);
        unsetenv(full);
    }
    ftl_alloc_fail_at(0, false);
    return 0;
}

/* Handles that the stand-in has given out. */
static int live(void)
{
    void *library = dlopen(FTL_PJRT_DOUBLE, RTLD_LAZY | RTLD_LOCAL);
    assert_non_null(library);
    int (*count)(void) = NULL;
    *(void **)&count = dlsym(library, "pjrt_double_live");
    assert_non_null(count);
    const int n = count();
    dlclose(library);
    return n;
}

static void assert_text(const char *part)
{
    if (strstr(ftl_error_text(), part)) return;
    print_error("\"%s\" does not say \"%s\"\n", ftl_error_text(), part);
    fail();
}

/* What a test of buffers and programs starts from. */
typedef struct rig {
    ftl_pjrt_plugin *plugin;
    ftl_pjrt_client *client;
    ftl_pjrt_program *program;
    ftl_pjrt_buffer *in, *out;
} rig;

static ftl_status rig_up(rig *r, const char *program)
{
    *r = (rig){ 0 };
    const ftl_pjrt_compile_options o = { sizeof o, 0, &shape, 1 };
    FTL_TRY(ftl_pjrt_plugin_open(&r->plugin, FTL_PJRT_DOUBLE));
    FTL_TRY(ftl_pjrt_client_create(&r->client, r->plugin, NULL, 0));
    FTL_TRY(ftl_pjrt_compile(&r->program, r->client, program, strlen(program), &o));
    return ftl_pjrt_buffer_upload(&r->in, r->client, 0, &shape, data, NULL);
}

/* The client goes first on purpose: it must outlive what it made. */
static void rig_down(rig *r)
{
    ftl_pjrt_client_destroy(r->client);
    ftl_pjrt_program_destroy(r->program);
    ftl_pjrt_buffer_destroy(r->out);
    if (r->in != r->out) ftl_pjrt_buffer_destroy(r->in);
    *r = (rig){ 0 };
}

static ftl_status rig_run(rig *r, ftl_pjrt_event **done)
{
    const ftl_pjrt_run run = { sizeof run, &r->in, 1, &r->out, 1, NULL, 0, done };
    return ftl_pjrt_execute(r->program, &run);
}

/* ---- opening; these come first, because a plug-in that opened stays open ---- */

static void open_refuses_what_is_no_plugin(void **state)
{
    (void)state;
    ftl_pjrt_plugin *p = (void *)1;
    assert_fails(FTL_EINVAL, ftl_pjrt_plugin_open(&p, ""));
    assert_null(p);
    assert_fails(FTL_ENOTFOUND, ftl_pjrt_plugin_open(&p, "/nonexistent/plugin.so"));
    assert_text("/nonexistent/plugin.so");
    const char *path = ftl_test_temp("text.so");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("no library", f);
    fclose(f);
    assert_fails(FTL_EUNSUPPORTED, ftl_pjrt_plugin_open(&p, path));
    assert_text("text.so");
}

static void open_refuses_a_library_without_the_entry(void **state)
{
    (void)state;
    Dl_info info;
    assert_int_not_equal(dladdr((void *)(uintptr_t)strtod, &info), 0); /* the C library's file */
    ftl_pjrt_plugin *p;
    assert_fails(FTL_EUNSUPPORTED, ftl_pjrt_plugin_open(&p, info.dli_fname));
    assert_text("GetPjrtApi");
}

static void open_refuses_other_versions(void **state)
{
    (void)state;
    ftl_pjrt_plugin *p = NULL;
    tell("MINOR", "56");
    assert_fails(FTL_EUNSUPPORTED, ftl_pjrt_plugin_open(&p, FTL_PJRT_DOUBLE));
    assert_text("speaks PJRT API 0.56, fettle speaks 0.57");
    tell("MINOR", "1");
    tell("MAJOR", "1");
    assert_fails(FTL_EUNSUPPORTED, ftl_pjrt_plugin_open(&p, FTL_PJRT_DOUBLE));
    assert_text("speaks PJRT API 1.1");
    assert_null(p);
}

static void open_refuses_short_tables(void **state)
{
    (void)state;
    ftl_pjrt_plugin *p = NULL;
    tell("TABLE", "none");
    assert_fails(FTL_EUNSUPPORTED, ftl_pjrt_plugin_open(&p, FTL_PJRT_DOUBLE));
    tell("TABLE", "-1");
    assert_fails(FTL_EUNSUPPORTED, ftl_pjrt_plugin_open(&p, FTL_PJRT_DOUBLE));
    assert_text("32 bytes");
    tell("TABLE", "0");
    assert_fails(FTL_EUNSUPPORTED, ftl_pjrt_plugin_open(&p, FTL_PJRT_DOUBLE));
    assert_text("Error_Destroy");
    tell("TABLE", "55");
    assert_fails(FTL_EUNSUPPORTED, ftl_pjrt_plugin_open(&p, FTL_PJRT_DOUBLE));
    assert_text("55 functions) has no PJRT_Buffer_Destroy");
    assert_null(p);
}

static void open_reports_a_failing_initialize(void **state)
{
    (void)state;
    ftl_pjrt_plugin *p = NULL;
    tell_index("FAIL", FTL_PJRT_PLUGIN_INITIALIZE, ":9");
    assert_fails(FTL_EUNSUPPORTED, ftl_pjrt_plugin_open(&p, FTL_PJRT_DOUBLE));
    /* two lines of the message, joined; the third is dropped */
    assert_text("PJRT_Plugin_Initialize: told to fail; in function 3 (code 9)");
    assert_null(p);
    assert_int_equal(live(), 0);
}

static void open_survives_each_failing_allocation(void **state)
{
    (void)state;
    ftl_pjrt_plugin *p = NULL;
    for (uint64_t n = 1; n <= 2; n++) {
        ftl_alloc_fail_at(n, false);
        assert_fails(FTL_ENOMEM, ftl_pjrt_plugin_open(&p, FTL_PJRT_DOUBLE));
        assert_null(p);
    }
}

static void probe_names_abort_exit_and_hang(void **state)
{
    (void)state;
    char report[256];
    tell_index("ABORT", FTL_PJRT_CLIENT_COMPILE, "");
    assert_fails(FTL_ELOST, ftl_pjrt_probe(FTL_PJRT_DOUBLE, 20000, report, sizeof report));
    assert_text("signal 6");
    assert_text("check failed: told to abort in 20");
    assert_string_equal(report, "");
    forget_all(NULL);
    tell_index("EXIT", FTL_PJRT_LOADED_EXECUTE, "");
    assert_fails(FTL_ELOST, ftl_pjrt_probe(FTL_PJRT_DOUBLE, 20000, report, sizeof report));
    assert_text("exit code 3");
    forget_all(NULL);
    tell_index("HANG", FTL_PJRT_PLUGIN_INITIALIZE, "");
    assert_fails(FTL_ETIMEOUT, ftl_pjrt_probe(FTL_PJRT_DOUBLE, 300, report, sizeof report));
    assert_text("no answer in 0.3 s");
    assert_text("perhaps for the network");
}

static void probe_reports_what_the_plugin_says(void **state)
{
    (void)state;
    char report[256];
    tell_index("FAIL", FTL_PJRT_CLIENT_CREATE, ":5");
    assert_fails(FTL_ENOTFOUND, ftl_pjrt_probe(FTL_PJRT_DOUBLE, 20000, report, sizeof report));
    assert_text("told to fail");
    forget_all(NULL);
    tell("WRONG", "sum");
    assert_fails(FTL_EINTERNAL, ftl_pjrt_probe(FTL_PJRT_DOUBLE, 20000, report, sizeof report));
    assert_text("computes wrongly");
    forget_all(NULL);
    assert_ok(ftl_pjrt_probe(FTL_PJRT_DOUBLE, 20000, report, sizeof report));
    assert_non_null(strstr(report, "double, 1 x stand-in, PJRT API 0.81, StableHLO 1.2.3, works"));
    assert_fails(FTL_EINVAL, ftl_pjrt_probe(FTL_PJRT_DOUBLE, 0, report, sizeof report));
    assert_fails(FTL_ENOTFOUND, ftl_pjrt_probe("/nonexistent.so", 20000, report, sizeof report));
}

/* Only a file called like libtpu is kept from asking the cloud which chips it has. */
static void open_keeps_libtpu_from_the_network(void **state)
{
    (void)state;
    ftl_pjrt_plugin *p;
    unsetenv("TPU_SKIP_MDS_QUERY");
    assert_ok(ftl_pjrt_plugin_open(&p, FTL_PJRT_DOUBLE));
    assert_null(getenv("TPU_SKIP_MDS_QUERY"));
    char command[1200];
    const char *copy = ftl_test_temp("libtpu.so");
    snprintf(command, sizeof command, "cp '%s' '%s'", FTL_PJRT_DOUBLE, copy);
    assert_int_equal(system(command), 0);
    glob_t chips = { 0 };
    const bool has_chip = glob("/dev/accel[0-9]*", 0, NULL, &chips) == 0 ||
                          glob("/dev/vfio/[0-9]*", GLOB_APPEND, NULL, &chips) == 0;
    globfree(&chips);
    assert_ok(ftl_pjrt_plugin_open(&p, copy));
    assert_true(has_chip == !getenv("TPU_SKIP_MDS_QUERY"));
    unsetenv("TPU_SKIP_MDS_QUERY");
}

/* ---- an open plug-in ---- */

static void open_twice_gives_the_same(void **state)
{
    (void)state;
    ftl_pjrt_plugin *a, *b;
    assert_ok(ftl_pjrt_plugin_open(&a, FTL_PJRT_DOUBLE));
    const char *link = ftl_test_temp("link.so");
    assert_int_equal(symlink(FTL_PJRT_DOUBLE, link), 0);
    assert_ok(ftl_pjrt_plugin_open(&b, link));
    assert_ptr_equal(a, b);
    const ftl_pjrt_plugin_info *info = ftl_pjrt_plugin_peek_info(a);
    assert_int_equal(info->api_minor, 81);
    assert_int_equal(info->xla_version, 7);
    assert_int_equal(info->stablehlo_current[0], 1);
    assert_int_equal(info->stablehlo_current[2], 3);
    assert_int_equal(info->stablehlo_minimum[0], 0);
}

static void client_tells_its_devices(void **state)
{
    (void)state;
    ftl_pjrt_plugin *plugin;
    ftl_pjrt_client *client;
    assert_ok(ftl_pjrt_plugin_open(&plugin, FTL_PJRT_DOUBLE));
    const ftl_pjrt_option bad = { .name = "nosuch", .kind = FTL_PJRT_VALUE_FLAG, .flag = true };
    assert_fails(FTL_EINVAL, ftl_pjrt_client_create(&client, plugin, &bad, 1));
    assert_null(client);
    const ftl_pjrt_option good = { .name = "known", .kind = FTL_PJRT_VALUE_TEXT, .text = "x" };
    assert_ok(ftl_pjrt_client_create(&client, plugin, &good, 1));
    const ftl_pjrt_client_info info = ftl_pjrt_client_peek_info(client);
    assert_string_equal(info.platform, "double");
    assert_int_equal(info.n_devices, 1);
    assert_string_equal(ftl_pjrt_device_peek_info(client, 0)->kind, "stand-in");
    assert_int_equal(ftl_pjrt_device_peek_info(client, 0)->memory_bytes, 1 << 20);
    assert_null(ftl_pjrt_device_peek_info(client, 1));
    ftl_pjrt_memory memory;
    assert_ok(ftl_pjrt_device_memory(&memory, client, 0));
    assert_int_equal(memory.used_bytes, 10);
    assert_int_equal(memory.peak_bytes, -1);
    assert_int_equal(memory.limit_bytes, 1 << 20);
    assert_fails(FTL_EINVAL, ftl_pjrt_device_memory(&memory, client, 1));
    ftl_pjrt_client_destroy(client);
    assert_int_equal(live(), 0);
}

static void client_refuses_a_plugin_that_reorders(void **state)
{
    (void)state;
    rig r;
    tell("WRONG", "order");
    assert_fails(FTL_EINTERNAL, rig_up(&r, text));
    assert_text("another order");
    rig_down(&r);
    assert_int_equal(live(), 0);
}

static void build_options_are_the_known_bytes(void **state)
{
    (void)state;
    static const uint8_t plain[] = { 0x1a, 4, 0x20, 1, 0x28, 1 };
    static const uint8_t four[] = { 0x1a, 4, 0x20, 4, 0x28, 1 };
    static const uint8_t second[] = { 0x1a, 0x0f, 0x20, 1,    0x28, 1,    0x4a, 9, 8,
                                      1,    0x10, 1,    0x1a, 3,    0x0a, 1,    1 };
    static const uint8_t far[] = { 0x1a, 0x10, 0x20, 1,    0x28, 1,    0x4a, 10,   8,
                                   1,    0x10, 1,    0x1a, 4,    0x0a, 2,    0xac, 2 };
    static const uint8_t for_cpu[] = "\x1a\x04\x20\x01\x28\x01\x3a\x21\x0a\x1b"
                                     "xla_cpu_enable_fast_min_max\x12\x02\x10";
    const struct {
        ftl_pjrt_build build;
        const uint8_t *bytes;
        size_t n;
    } cases[] = { { { 1, 1, 0 }, plain, sizeof plain },
                  { { 1, 1, 0, true }, for_cpu, sizeof for_cpu }, /* its NUL is the flag: false */
                  { { 4, 1, 3 }, four, sizeof four },
                  { { 1, 1, 1 }, second, sizeof second },
                  { { 1, 1, 300 }, far, sizeof far } };
    ftl_pjrt_build_bytes got;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_ok(ftl_pjrt_build_encode(&got, &cases[i].build));
        assert_int_equal(got.n, cases[i].n);
        assert_memory_equal(got.data, cases[i].bytes, got.n);
    }
    const ftl_pjrt_build largest = { 1, 1, INT32_MAX, true };
    assert_ok(ftl_pjrt_build_encode(&got, &largest));
    const ftl_pjrt_build wrong[] = {
        { 0, 1, 0 }, { 1, 0, 0 }, { -1, 1, 0 }, { 1, 1, -1 }, { INT64_MAX, 1, 0 }
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_fails(FTL_EINVAL, ftl_pjrt_build_encode(&got, &wrong[i]));
}

static void shapes_are_checked(void **state)
{
    (void)state;
    size_t bytes;
    char line[96];
    assert_ok(ftl_pjrt_shape_bytes(&bytes, &shape));
    assert_int_equal(bytes, 24);
    assert_string_equal(ftl_pjrt_shape_text(line, sizeof line, &shape), "f32[2x3]");
    const ftl_pjrt_shape scalar = { FTL_PJRT_BF16, 0, { 0 } };
    assert_ok(ftl_pjrt_shape_bytes(&bytes, &scalar));
    assert_int_equal(bytes, 2);
    assert_string_equal(ftl_pjrt_shape_text(line, 6, &scalar), "bf16[");
    const ftl_pjrt_shape wrong[] = { { FTL_PJRT_F32, 9, { 0 } },
                                     { FTL_PJRT_F32, -1, { 0 } },
                                     { FTL_PJRT_F32, 1, { -1 } },
                                     { FTL_PJRT_F32, 2, { INT64_MAX, 2 } } };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_fails(FTL_EINVAL, ftl_pjrt_shape_bytes(&bytes, &wrong[i]));
    const ftl_pjrt_shape unknown[] = { { 0, 0, { 0 } }, { 21, 0, { 0 } }, { -5, 0, { 0 } } };
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_fails(FTL_EUNSUPPORTED, ftl_pjrt_shape_bytes(&bytes, &unknown[i]));
}

static void program_runs_and_describes_itself(void **state)
{
    (void)state;
    rig r;
    assert_ok(rig_up(&r, text));
    const ftl_pjrt_program_info *info = ftl_pjrt_program_peek_info(r.program);
    assert_int_equal(info->argument_bytes, 24); /* after a retry with the size it asked for */
    assert_int_equal(info->peak_bytes, -1);     /* left alone by the plug-in                */
    assert_true(info->flops == 6);
    assert_true(info->bytes_accessed < 0);
    assert_true(info->is_seconds_partial && info->seconds == 0.25);
    assert_int_equal(ftl_pjrt_program_n_outputs(r.program), 1);
    assert_int_equal(ftl_pjrt_program_peek_output(r.program, 0)->dims[1], 3);
    assert_null(ftl_pjrt_program_peek_output(r.program, 1));
    float got[6];
    for (int i = 0; i < 2; i++) { /* the second time the output cell is filled again */
        assert_ok(rig_run(&r, NULL));
        assert_ok(ftl_pjrt_buffer_download(r.out, got, sizeof got, NULL));
        assert_memory_equal(got, twice, sizeof got);
    }
    assert_fails(FTL_EINVAL, ftl_pjrt_buffer_download(r.out, got, 20, NULL));
    size_t bytes;
    assert_ok(ftl_pjrt_buffer_device_bytes(&bytes, r.out));
    assert_int_equal(bytes, 24);
    rig_down(&r);
    assert_int_equal(live(), 0);
}

static void donated_argument_is_gone_unless_kept(void **state)
{
    (void)state;
    rig r;
    bool is_deleted;
    assert_ok(rig_up(&r, donating_text));
    const int64_t keep[1] = { 0 };
    ftl_pjrt_run run = { sizeof run, &r.in, 1, &r.out, 1, keep, 1, NULL };
    assert_ok(ftl_pjrt_execute(r.program, &run));
    assert_ok(ftl_pjrt_buffer_is_deleted(&is_deleted, r.in));
    assert_false(is_deleted);
    assert_ok(rig_run(&r, NULL));
    assert_ok(ftl_pjrt_buffer_is_deleted(&is_deleted, r.in));
    assert_true(is_deleted);
    assert_fails(FTL_EINVAL, rig_run(&r, NULL));
    assert_text("deleted or donated");
    /* the same cell on both sides: what state looks like */
    ftl_pjrt_buffer *cell = r.out;
    run = (ftl_pjrt_run){ sizeof run, &cell, 1, &cell, 1, NULL, 0, NULL };
    assert_ok(ftl_pjrt_execute(r.program, &run));
    assert_ptr_equal(cell, r.out);
    assert_ok(ftl_pjrt_buffer_is_deleted(&is_deleted, r.out));
    assert_false(is_deleted);
    float got[6];
    assert_ok(ftl_pjrt_buffer_download(r.out, got, sizeof got, NULL));
    assert_true(got[5] == 24);
    assert_ok(ftl_pjrt_buffer_delete(r.out));
    assert_fails(FTL_EINVAL, ftl_pjrt_buffer_download(r.out, got, sizeof got, NULL));
    rig_down(&r);
    assert_int_equal(live(), 0);
}

static void execute_checks_what_plugins_do_not(void **state)
{
    (void)state;
    rig r;
    ftl_pjrt_client *other;
    ftl_pjrt_buffer *turned, *foreign, *none = NULL;
    const ftl_pjrt_shape back = { FTL_PJRT_F32, 2, { 3, 2 } };
    assert_ok(rig_up(&r, text));
    assert_ok(ftl_pjrt_buffer_upload(&turned, r.client, 0, &back, data, NULL));
    ftl_pjrt_run run = { sizeof run, &turned, 1, &r.out, 1, NULL, 0, NULL };
    assert_fails(FTL_EINVAL, ftl_pjrt_execute(r.program, &run));
    assert_text("argument 0 of the program is a f32[2x3], the buffer is a f32[3x2]");
    run.args = &none;
    assert_fails(FTL_EINVAL, ftl_pjrt_execute(r.program, &run));
    run.args = &r.in;
    run.outputs = &turned;
    assert_fails(FTL_EINVAL, ftl_pjrt_execute(r.program, &run));
    assert_text("output 0");
    run.outputs = &r.out;
    run.n_args = 0;
    assert_fails(FTL_EINVAL, ftl_pjrt_execute(r.program, &run));
    run.n_args = 1;
    const int64_t keep[1] = { 1 };
    run.keep = keep;
    run.n_keep = 1;
    assert_fails(FTL_EINVAL, ftl_pjrt_execute(r.program, &run));
    run.n_keep = 0;
    assert_ok(ftl_pjrt_client_create(&other, r.plugin, NULL, 0));
    assert_ok(ftl_pjrt_buffer_upload(&foreign, other, 0, &shape, data, NULL));
    run.args = &foreign;
    assert_fails(FTL_EINVAL, ftl_pjrt_execute(r.program, &run));
    assert_text("another device");
    assert_null(r.out);
    assert_fails(FTL_EINVAL, ftl_pjrt_buffer_upload(&none, r.client, 1, &shape, data, NULL));
    assert_null(none);
    ftl_pjrt_buffer_destroy(foreign);
    ftl_pjrt_client_destroy(other);
    ftl_pjrt_buffer_destroy(turned);
    rig_down(&r);
    assert_int_equal(live(), 0);
}

static void late_error_reaches_the_waiter(void **state)
{
    (void)state;
    rig r;
    ftl_pjrt_event *done = NULL;
    assert_ok(rig_up(&r, text));
    tell("LATE", "14");
    assert_ok(rig_run(&r, &done));
    assert_fails(FTL_ELOST, ftl_pjrt_event_wait(done, 1000000000));
    assert_text("the chip went away");
    ftl_pjrt_event_destroy(done);
    ftl_pjrt_buffer_destroy(r.out);
    r.out = NULL;
    assert_fails(FTL_ELOST, rig_run(&r, NULL));
    assert_null(r.out);
    rig_down(&r);
    assert_int_equal(live(), 0);
}

static void waiting_has_a_limit(void **state)
{
    (void)state;
    rig r;
    bool is_ready;
    ftl_pjrt_event *done = NULL;
    assert_ok(rig_up(&r, text));
    assert_ok(rig_run(&r, &done));
    tell("NEVER", "1");
    assert_ok(ftl_pjrt_event_is_ready(&is_ready, done));
    assert_false(is_ready);
    assert_fails(FTL_ETIMEOUT, ftl_pjrt_event_wait(done, 0));
    assert_fails(FTL_ETIMEOUT, ftl_pjrt_event_wait(done, 20000000));
    forget_all(NULL);
    assert_ok(ftl_pjrt_event_wait(done, 20000000));
    assert_ok(ftl_pjrt_event_wait(NULL, -1));
    ftl_pjrt_event_destroy(done);
    assert_ok(ftl_pjrt_buffer_ready(r.out, &done));
    assert_ok(ftl_pjrt_event_wait(done, -1));
    ftl_pjrt_event_destroy(done);
    rig_down(&r);
    assert_int_equal(live(), 0);
}

static void another_size_of_options_is_adopted(void **state)
{
    (void)state;
    static const char *const sizes[] = { "112", "120", "144" };
    rig r;
    assert_ok(rig_up(&r, text));
    for (size_t i = 0; i < 3; i++) {
        tell("EQUAL", sizes[i]);
        assert_ok(rig_run(&r, NULL));
    }
    tell("EQUAL", "4000"); /* more than we have: refused with the plug-in's sentence */
    assert_fails(FTL_EINVAL, rig_run(&r, NULL));
    assert_text("expected 4000");
    rig_down(&r);
    assert_int_equal(live(), 0);
}

static void contradicting_answers_are_refused(void **state)
{
    (void)state;
    rig r;
    tell("WRONG", "types");
    assert_fails(FTL_EINTERNAL, rig_up(&r, text));
    rig_down(&r);
    tell("WRONG", "rank");
    assert_fails(FTL_EUNSUPPORTED, rig_up(&r, text));
    rig_down(&r);
    forget_all(NULL);
    assert_ok(rig_up(&r, text));
    tell("WRONG", "size");
    float got[6];
    assert_fails(FTL_EINTERNAL, ftl_pjrt_buffer_download(r.in, got, sizeof got, NULL));
    rig_down(&r);
    assert_fails(FTL_EINTERNAL, rig_up(&r, "no type"));
    rig_down(&r);
    assert_int_equal(live(), 0);
}

/* Everything once: what the next two tests let fail in turn. */
static ftl_status whole_story(rig *r)
{
    float got[6] = { 0 };
    uint8_t *blob = NULL;
    size_t n = 0;
    ftl_pjrt_event *done = NULL;
    ftl_pjrt_program *again = NULL;
    const ftl_pjrt_compile_options o = { sizeof o, 0, &shape, 1 };
    ftl_status s = rig_up(r, text);
    if (s == FTL_OK) s = rig_run(r, &done);
    if (s == FTL_OK) s = ftl_pjrt_event_wait(done, 1000000000);
    ftl_pjrt_event_destroy(done);
    if (s == FTL_OK) s = ftl_pjrt_program_serialize(&blob, &n, r->program);
    if (s == FTL_OK) s = ftl_pjrt_program_load(&again, r->client, text, strlen(text), &o, blob, n);
    ftl_free(blob);
    if (s == FTL_OK) {
        const ftl_pjrt_run run = { sizeof run, &r->in, 1, &r->out, 1, NULL, 0, NULL };
        s = ftl_pjrt_execute(again, &run);
    }
    ftl_pjrt_program_destroy(again);
    if (s == FTL_OK) s = ftl_pjrt_buffer_download(r->out, got, sizeof got, NULL);
    if (s == FTL_OK) assert_memory_equal(got, twice, sizeof got);
    rig_down(r);
    return s;
}

static void each_failing_allocation_is_survived(void **state)
{
    (void)state;
    rig r;
    ftl_alloc_fail_at(0, false);
    assert_ok(whole_story(&r));
    const uint64_t n = ftl_alloc_fail_at(0, false);
    assert_in_range(n, 10, 200);
    for (uint64_t i = 1; i <= n; i++) {
        ftl_alloc_fail_at(i, false);
        assert_fails(FTL_ENOMEM, whole_story(&r));
        assert_int_equal(live(), 0);
    }
}

static void each_failing_function_is_reported(void **state)
{
    (void)state;
    /* information that a program can do without */
    static const int optional[] = { FTL_PJRT_DESCRIPTION_ATTRIBUTES, FTL_PJRT_DESCRIPTION_KIND,
                                    FTL_PJRT_EXECUTABLE_MEMORY, FTL_PJRT_EXECUTABLE_COSTS };
    static const int used[] = {
        FTL_PJRT_EVENT_IS_READY,          FTL_PJRT_EVENT_AWAIT,
        FTL_PJRT_CLIENT_CREATE,           FTL_PJRT_CLIENT_PLATFORM_NAME,
        FTL_PJRT_CLIENT_PLATFORM_VERSION, FTL_PJRT_CLIENT_DEVICES,
        FTL_PJRT_CLIENT_COMPILE,          FTL_PJRT_CLIENT_UPLOAD,
        FTL_PJRT_DESCRIPTION_ID,          FTL_PJRT_DEVICE_DESCRIPTION,
        FTL_PJRT_EXECUTABLE_N_OUTPUTS,    FTL_PJRT_EXECUTABLE_SERIALIZE,
        FTL_PJRT_LOADED_EXECUTABLE,       FTL_PJRT_LOADED_EXECUTE,
        FTL_PJRT_EXECUTABLE_LOAD,         FTL_PJRT_BUFFER_DOWNLOAD,
        FTL_PJRT_EXECUTABLE_OUTPUT_TYPES, FTL_PJRT_EXECUTABLE_OUTPUT_DIMS,
    };
    static const struct {
        const char *code;
        ftl_status status;
    } codes[] = { { ":13", FTL_EINTERNAL }, { ":8", FTL_ENOMEM },      { ":12", FTL_EUNSUPPORTED },
                  { ":5", FTL_ENOTFOUND },  { ":3", FTL_EINVAL },      { ":14", FTL_ELOST },
                  { ":1", FTL_ECANCELED },  { ":4", FTL_ETIMEOUT },    { ":2", FTL_EINTERNAL },
                  { ":99", FTL_EINTERNAL }, { ":9", FTL_EUNSUPPORTED } };
    rig r;
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++) {
        tell_index("FAIL", optional[i], ":12");
        assert_ok(whole_story(&r));
        assert_int_equal(live(), 0);
    }
    for (size_t i = 0; i < sizeof used / sizeof used[0]; i++)
        for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++) {
            tell_index("FAIL", used[i], codes[k].code);
            assert_fails(codes[k].status, whole_story(&r));
            assert_text("told to fail");
            assert_int_equal(live(), 0);
        }
}

static void damaged_and_foreign_blobs_are_refused(void **state)
{
    (void)state;
    rig r;
    uint8_t *blob;
    size_t n;
    ftl_pjrt_program *p;
    const ftl_pjrt_compile_options o = { sizeof o, 0, &shape, 1 };
    assert_ok(rig_up(&r, text));
    assert_ok(ftl_pjrt_program_serialize(&blob, &n, r.program));
    for (size_t i = 0; i < n; i++) { /* every byte matters */
        blob[i] ^= 0x10;
        const ftl_status s = ftl_pjrt_program_load(&p, r.client, text, strlen(text), &o, blob, n);
        assert_true(s == (i >= 8 && i < 24 ? FTL_ENOTFOUND : FTL_EFORMAT));
        assert_null(p);
        blob[i] ^= 0x10;
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t *cut = ftl_alloc(i + 1); /* exact size, so that ASan sees a read past the end */
        assert_non_null(cut);
        memcpy(cut, blob, i);
        assert_fails(FTL_EFORMAT,
                     ftl_pjrt_program_load(&p, r.client, text, strlen(text), &o, cut, i));
        ftl_free(cut);
    }
    assert_fails(FTL_ENOTFOUND, ftl_pjrt_program_load(&p, r.client, donating_text,
                                                      strlen(donating_text), &o, blob, n));
    assert_ok(ftl_pjrt_program_load(&p, r.client, text, strlen(text), &o, blob, n));
    ftl_pjrt_program_destroy(p);
    ftl_free(blob);
    rig_down(&r);
    assert_int_equal(live(), 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_teardown(f, forget_all)
    const struct CMUnitTest tests[] = {
        CASE(open_refuses_what_is_no_plugin),
        CASE(open_refuses_a_library_without_the_entry),
        CASE(open_refuses_other_versions),
        CASE(open_refuses_short_tables),
        CASE(open_reports_a_failing_initialize),
        CASE(open_survives_each_failing_allocation),
        CASE(probe_names_abort_exit_and_hang),
        CASE(probe_reports_what_the_plugin_says),
        CASE(open_keeps_libtpu_from_the_network),
        CASE(open_twice_gives_the_same),
        CASE(client_tells_its_devices),
        CASE(client_refuses_a_plugin_that_reorders),
        CASE(build_options_are_the_known_bytes),
        CASE(shapes_are_checked),
        CASE(program_runs_and_describes_itself),
        CASE(donated_argument_is_gone_unless_kept),
        CASE(execute_checks_what_plugins_do_not),
        CASE(late_error_reaches_the_waiter),
        CASE(waiting_has_a_limit),
        CASE(another_size_of_options_is_adopted),
        CASE(contradicting_answers_are_refused),
        CASE(each_failing_allocation_is_survived),
        CASE(each_failing_function_is_reported),
        CASE(damaged_and_foreign_blobs_are_refused),
    };
    return ftl_test_run(tests);
}
