/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "device/meter.h"

#define PROFILE(name) FTL_TEST_PROFILES "/" name
#define MS            ((int64_t)1000000)
#define NO_NVML       "libno-such-nvml.so.1"

static char tree[256]; /* a copy of a profile that may be changed */

static void copy_profile(const char *name)
{
    char command[1024];
    snprintf(tree, sizeof tree, "%s", ftl_test_temp(name));
    snprintf(command, sizeof command,
             "rm -rf '%s' && cp -r '%s/%s' '%s' && chmod -R u+w,a+rX '%s/..'", tree,
             FTL_TEST_PROFILES, name, tree, tree);
    assert_int_equal(system(command), 0);
}

/* In one step, so that a reader never sees half a file. */
static void put(const char *file, const char *text)
{
    char path[512], fresh[520];
    snprintf(path, sizeof path, "%s/%s", tree, file);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *f = fopen(fresh, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(fresh, path), 0);
}

static ftl_meter *open_meter(const char *root, const char *pci_address, const char *nvml)
{
    ftl_meter_options o = FTL_METER_OPTIONS_INIT;
    o.root = root;
    o.pci_address = pci_address;
    o.nvml_library = nvml;
    ftl_meter *m = NULL;
    assert_ok(ftl_meter_open(&m, &o));
    assert_non_null(m);
    return m;
}

static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part)) print_error("'%s' does not contain '%s'\n", text, part);
    assert_non_null(strstr(text, part));
}

static void rapl_adds_packages_and_dram_and_sees_a_wrap(void **state)
{
    (void)state;
    copy_profile("server-2socket");
    ftl_meter *m = open_meter(tree, NULL, NULL);
    ftl_energy e;
    assert_string_equal(ftl_meter_info(m)->method, "rapl package+dram");
    assert_string_equal(ftl_meter_info(m)->covers, "processor");
    assert_true(ftl_meter_info(m)->is_counter);
    assert_ok(ftl_meter_start(m));
    assert_fails(FTL_EINVAL, ftl_meter_start(m));
    /* 262143000000 -> range 262143328850 -> 671150: 1 J; 2 J; 0.5 J of memory. */
    put("sys/class/powercap/intel-rapl:0/energy_uj", "671150\n");
    put("sys/class/powercap/intel-rapl:1/energy_uj", "1002000000\n");
    put("sys/class/powercap/intel-rapl:0:0/energy_uj", "5000500000\n");
    ftl_clock_sleep(20 * MS);
    assert_ok(ftl_meter_stop(m, &e));
    assert_float_equal(e.joules, 3.5, 1e-9);
    assert_true(e.seconds >= 0.02 && e.seconds < 30);
    assert_true(e.n_samples >= 2);
    assert_fails(FTL_EINVAL, ftl_meter_stop(m, &e));
    /* Nothing moves: a second run is 0 J. */
    assert_ok(ftl_meter_start(m));
    assert_ok(ftl_meter_stop(m, &e));
    assert_float_equal(e.joules, 0, 1e-12);
    ftl_meter_close(m);
}

static void rapl_sees_two_wraps_in_one_run(void **state)
{
    (void)state;
    copy_profile("server-2socket");
    ftl_meter *m = open_meter(tree, NULL, NULL);
    ftl_energy e;
    assert_ok(ftl_meter_start(m));
    put("sys/class/powercap/intel-rapl:0/energy_uj", "0\n");
    ftl_clock_sleep(1300 * MS); /* the sampler comes by once a second */
    put("sys/class/powercap/intel-rapl:0/energy_uj", "262143000000\n");
    ftl_clock_sleep(1000 * MS);
    put("sys/class/powercap/intel-rapl:0/energy_uj", "671150\n");
    assert_ok(ftl_meter_stop(m, &e));
    assert_float_equal(e.joules, 0.32885 + 262143.0 + 1, 1e-6);
    ftl_meter_close(m);
}

/* Root reads everything, so it becomes nobody for a while. */
static void without_rights(bool is_on)
{
    if (getuid() != 0) return;
    assert_int_equal(seteuid(is_on ? 65534 : 0), 0);
}

static void unreadable_rapl_says_how_to_permit_it_and_battery_stands_in(void **state)
{
    (void)state;
    copy_profile("laptop-hybrid");
    char path[512];
    snprintf(path, sizeof path, "%s/sys/class/powercap/intel-rapl:0/energy_uj", tree);
    assert_int_equal(chmod(path, getuid() == 0 ? 0400 : 0000), 0);
    ftl_meter_options o = FTL_METER_OPTIONS_INIT;
    o.root = tree;
    ftl_meter_report report;
    without_rights(true);
    const ftl_status probed = ftl_meter_probe(&report, &o);
    ftl_meter *m = NULL;
    const ftl_status opened = ftl_meter_open(&m, &o);
    without_rights(false);
    assert_int_equal(probed, FTL_OK);
    assert_int_equal(opened, FTL_OK);
    assert_int_equal(report.count, 4);
    assert_string_equal(report.items[0].method, "rapl package");
    assert_false(report.items[0].is_available);
    assert_contains(report.items[0].why,
                    "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj");
    assert_string_equal(report.items[3].method, "battery discharge");
    assert_true(report.items[3].is_available);
    assert_string_equal(ftl_meter_info(m)->method, "battery discharge");
    ftl_energy e;
    assert_ok(ftl_meter_start(m));
    ftl_clock_sleep(200 * MS);
    assert_ok(ftl_meter_stop(m, &e));
    /* 0.812 A x 11.85 V, the mouse left out */
    assert_float_equal(e.joules / e.seconds, 0.812 * 11.85, 1e-9);
    assert_true(e.n_samples >= 3);
    ftl_meter_close(m);
}

static void readable_laptop_rapl_counts_the_package_only(void **state)
{
    (void)state;
    copy_profile("laptop-hybrid");
    ftl_meter *m = open_meter(tree, NULL, NULL);
    ftl_energy e;
    assert_string_equal(ftl_meter_info(m)->method, "rapl package");
    assert_ok(ftl_meter_start(m));
    put("sys/class/powercap/intel-rapl:0/energy_uj", "41232000000");
    put("sys/class/powercap/intel-rapl:0:0/energy_uj", "21231500000");
    put("sys/class/powercap/intel-rapl:1/energy_uj", "91239000000");
    assert_ok(ftl_meter_stop(m, &e));
    assert_float_equal(e.joules, 2, 1e-9);
    ftl_meter_close(m);
}

static void plugging_in_ends_the_battery_measurement(void **state)
{
    (void)state;
    copy_profile("laptop-hybrid");
    put("sys/class/powercap/intel-rapl:0/name", "core");
    ftl_meter *m = open_meter(tree, NULL, NULL);
    ftl_energy e;
    assert_ok(ftl_meter_start(m));
    put("sys/class/power_supply/BAT0/status", "Charging");
    assert_fails(FTL_EIO, ftl_meter_stop(m, &e));
    assert_contains(ftl_error_text(), "not discharging (Charging): pull the plug");
    ftl_meter_close(m);
}

static void board_sensor_is_integrated(void **state)
{
    (void)state;
    copy_profile("arm-board");
    ftl_meter *m = open_meter(tree, NULL, NULL);
    ftl_energy e;
    double idle_w = 0;
    assert_string_equal(ftl_meter_info(m)->method, "hwmon power1_input");
    assert_string_equal(ftl_meter_info(m)->covers, "machine");
    assert_fails(FTL_EINVAL, ftl_meter_idle(m, 1.9, &idle_w));
    assert_fails(FTL_EINVAL, ftl_meter_idle(m, NAN, &idle_w));
    assert_ok(ftl_meter_start(m));
    ftl_clock_sleep(100 * MS);
    put("sys/class/hwmon/hwmon2/power1_input", "8700000");
    ftl_clock_sleep(100 * MS);
    assert_ok(ftl_meter_stop(m, &e));
    assert_true(e.n_samples >= 4);
    assert_true(e.joules > 4.35 * e.seconds * 1.1 && e.joules < 8.7 * e.seconds * 0.98);
    ftl_meter_close(m);
}

static void amd_energy_adds_sockets_not_cores(void **state)
{
    (void)state;
    copy_profile("container-v2");
    char command[512];
    snprintf(command, sizeof command, "mkdir -p '%s/sys/class/hwmon/hwmon1'", tree);
    assert_int_equal(system(command), 0);
    put("sys/class/hwmon/hwmon1/name", "amd_energy");
    put("sys/class/hwmon/hwmon1/energy1_label", "Ecore000");
    put("sys/class/hwmon/hwmon1/energy1_input", "1000000");
    put("sys/class/hwmon/hwmon1/energy2_label", "Esocket0");
    put("sys/class/hwmon/hwmon1/energy2_input", "20000000");
    put("sys/class/hwmon/hwmon1/energy3_label", "Esocket1");
    put("sys/class/hwmon/hwmon1/energy3_input", "30000000");
    ftl_meter *m = open_meter(tree, NULL, NULL);
    ftl_energy e;
    assert_string_equal(ftl_meter_info(m)->method, "hwmon amd_energy");
    assert_ok(ftl_meter_start(m));
    put("sys/class/hwmon/hwmon1/energy1_input", "9000000");
    put("sys/class/hwmon/hwmon1/energy2_input", "20250000");
    put("sys/class/hwmon/hwmon1/energy3_input", "31000000");
    assert_ok(ftl_meter_stop(m, &e));
    assert_float_equal(e.joules, 1.25, 1e-9);
    assert_ok(ftl_meter_start(m));
    put("sys/class/hwmon/hwmon1/energy3_input", "1");
    assert_fails(FTL_EIO, ftl_meter_stop(m, &e));
    ftl_meter_close(m);
}

static ftl_status open_command(ftl_meter **m, const char *command)
{
    ftl_meter_options o = FTL_METER_OPTIONS_INIT;
    o.root = PROFILE("server-2socket"); /* where RAPL would work */
    o.command = command;
    return ftl_meter_open(m, &o);
}

static void command_is_read_and_integrated(void **state)
{
    (void)state;
    static const char *const good[] = { "echo 42.5", "echo '42.5 W'", "printf '42.5 Watts\\n\\n'",
                                        "printf 42.5" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ftl_meter *m = NULL;
        ftl_energy e;
        assert_ok(open_command(&m, good[i]));
        assert_string_equal(ftl_meter_info(m)->method, "command");
        assert_ok(ftl_meter_start(m));
        ftl_clock_sleep(30 * MS);
        assert_ok(ftl_meter_stop(m, &e));
        assert_float_equal(e.joules / e.seconds, 42.5, 1e-9);
        ftl_meter_close(m);
    }
}

static void bad_command_is_explained_and_not_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *command, *why;
    } bad[] = {
        { "echo hello", "printed 'hello': it must print one number, the watts" },
        { "echo 42 17", "printed '42 17': it must print one number" },
        { "true", "printed ''" },
        { "exit 3", "failed with status 3" },
        { "kill -9 $$", "failed with signal 9" },
        { "no-such-command-at-all", "failed with status 127" },
        { "echo -1", "cannot be watts" },
        { "echo nan", "cannot be watts" },
        { "echo 2e9", "cannot be watts" },
        { "yes 1 | head -c 100000 | tr -d '\\n'", "cannot be watts" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ftl_meter *m = NULL;
        assert_fails(FTL_ENOTFOUND, open_command(&m, bad[i].command));
        assert_null(m);
        assert_contains(ftl_error_text(), bad[i].why);
        assert_null(strstr(ftl_error_text(), "rapl"));
    }
}

static void stuck_command_is_ended_after_two_seconds(void **state)
{
    (void)state;
    ftl_meter *m = NULL;
    const int64_t start_ns = ftl_clock_ns();
    assert_fails(FTL_ENOTFOUND, open_command(&m, "echo 5; sleep 60"));
    assert_contains(ftl_error_text(), "took more than 2 s");
    const double seconds = (double)(ftl_clock_ns() - start_ns) * 1e-9;
    assert_true(seconds >= 1.9 && seconds < 20);
}

static void nvml_energy_is_a_counter_and_power_stands_in(void **state)
{
    (void)state;
    ftl_energy e;
    ftl_meter *m = open_meter(PROFILE("server-2socket"), "0000:41:00.0", FTL_TEST_NVML);
    assert_string_equal(ftl_meter_info(m)->method, "nvml energy");
    assert_ok(ftl_meter_start(m));
    assert_ok(ftl_meter_stop(m, &e));
    assert_float_equal(e.joules, 5, 1e-9); /* the stand-in's step */
    ftl_meter_close(m);
    m = open_meter(PROFILE("server-2socket"), "0000:c1:00.0", FTL_TEST_NVML);
    assert_string_equal(ftl_meter_info(m)->method, "nvml power");
    assert_ok(ftl_meter_start(m));
    ftl_clock_sleep(50 * MS);
    assert_ok(ftl_meter_stop(m, &e));
    assert_float_equal(e.joules / e.seconds, 50, 1e-9);
    ftl_meter_close(m);
}

static void amd_card_is_read_through_hwmon(void **state)
{
    (void)state;
    ftl_energy e;
    ftl_meter *m = open_meter(PROFILE("server-2socket"), "0000:c1:00.0", NO_NVML);
    assert_string_equal(ftl_meter_info(m)->method, "hwmon power1_average");
    assert_string_equal(ftl_meter_info(m)->covers, "device");
    assert_ok(ftl_meter_start(m));
    ftl_clock_sleep(50 * MS);
    assert_ok(ftl_meter_stop(m, &e));
    assert_float_equal(e.joules / e.seconds, 41, 1e-9);
    ftl_meter_close(m);
}

static ftl_status count_call(void *context)
{
    ++*(int *)context;
    ftl_clock_sleep(50 * MS);
    return FTL_OK;
}

static ftl_status fail_call(void *context)
{
    ++*(int *)context;
    return FTL_ELOST;
}

static void no_meter_still_runs_the_work_and_says_why(void **state)
{
    (void)state;
    ftl_meter_options o = FTL_METER_OPTIONS_INIT;
    o.root = PROFILE("container-v2");
    ftl_power p;
    int n_calls = 0;
    assert_ok(ftl_power_measure(&p, &o, 2, count_call, &n_calls));
    assert_int_equal(n_calls, 1);
    assert_false(p.is_available);
    assert_string_equal(p.method, "not available");
    assert_true(isnan(p.joules) && isnan(p.idle_w));
    assert_contains(p.why, "no power meter can be read:\n  rapl package: no package zone");
    assert_contains(p.why, "\n  hwmon amd_energy: ");
    assert_contains(p.why, "\n  hwmon power: ");
    assert_contains(p.why, "\n  battery discharge: this machine has no battery");
    assert_contains(p.why, "\n  command: none given");
    assert_null(strstr(p.why, "...")); /* nothing was cut off */
    assert_int_equal(ftl_power_measure(&p, &o, 2, fail_call, &n_calls), FTL_ELOST);
    assert_int_equal(n_calls, 2);
    ftl_meter_options bad = { 0 };
    assert_fails(FTL_EINVAL, ftl_power_measure(&p, &bad, 2, count_call, &n_calls));
    assert_int_equal(n_calls, 2);
}

static void whole_figure_has_idle_and_active_power(void **state)
{
    (void)state;
    ftl_meter_options o = FTL_METER_OPTIONS_INIT;
    o.root = PROFILE("arm-board");
    ftl_power p;
    int n_calls = 0;
    assert_ok(ftl_power_measure(&p, &o, 2, count_call, &n_calls));
    assert_int_equal(n_calls, 1);
    assert_true(p.is_available);
    assert_string_equal(p.method, "hwmon power1_input");
    assert_float_equal(p.idle_w, 4.35, 1e-9);
    assert_float_equal(p.active_w, 4.35, 1e-9);
    assert_float_equal(p.joules, 4.35 * p.seconds, 1e-9);
    assert_true(p.seconds >= 0.05);
}

static void closing_a_running_meter_is_fine(void **state)
{
    (void)state;
    ftl_meter *m = open_meter(PROFILE("arm-board"), NULL, NULL);
    assert_ok(ftl_meter_start(m));
    ftl_meter_close(m);
    ftl_meter_close(NULL);
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    static const struct {
        const char *root, *pci_address, *nvml, *command;
    } cases[] = {
        { PROFILE("server-2socket"), NULL, NULL, NULL },
        { PROFILE("arm-board"), NULL, NULL, NULL },
        { PROFILE("server-2socket"), "0000:41:00.0", FTL_TEST_NVML, NULL },
        { PROFILE("server-2socket"), "0000:c1:00.0", NO_NVML, NULL },
        { PROFILE("arm-board"), NULL, NULL, "echo 1" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ftl_meter_options o = FTL_METER_OPTIONS_INIT;
        o.root = cases[i].root;
        o.pci_address = cases[i].pci_address;
        o.nvml_library = cases[i].nvml;
        o.command = cases[i].command;
        uint64_t nth = 0;
        ftl_status s = FTL_ENOMEM;
        while (s == FTL_ENOMEM && nth < 1000) {
            ftl_meter *m = NULL;
            ftl_alloc_fail_at(++nth, true);
            s = ftl_meter_open(&m, &o);
            ftl_alloc_fail_at(0, false);
            assert_true((s == FTL_OK) == (m != NULL));
            ftl_meter_close(m);
        }
        assert_ok(s);
        assert_true(nth > 3);
    }
}

static void this_machine_is_probed(void **state)
{
    (void)state;
    ftl_meter_options o = FTL_METER_OPTIONS_INIT;
    ftl_meter_report report;
    char text[FTL_METER_WHY];
    assert_ok(ftl_meter_probe(&report, &o));
    assert_int_equal(report.count, 4);
    for (uint32_t i = 0; i < report.count; i++)
        assert_true(report.items[i].is_available == (report.items[i].why[0] == 0));
    ftl_meter_explain(text, sizeof text, &report);
    assert_contains(text, "power meter");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rapl_adds_packages_and_dram_and_sees_a_wrap),
        cmocka_unit_test(rapl_sees_two_wraps_in_one_run),
        cmocka_unit_test(unreadable_rapl_says_how_to_permit_it_and_battery_stands_in),
        cmocka_unit_test(readable_laptop_rapl_counts_the_package_only),
        cmocka_unit_test(plugging_in_ends_the_battery_measurement),
        cmocka_unit_test(board_sensor_is_integrated),
        cmocka_unit_test(amd_energy_adds_sockets_not_cores),
        cmocka_unit_test(command_is_read_and_integrated),
        cmocka_unit_test(bad_command_is_explained_and_not_replaced),
        cmocka_unit_test(stuck_command_is_ended_after_two_seconds),
        cmocka_unit_test(nvml_energy_is_a_counter_and_power_stands_in),
        cmocka_unit_test(amd_card_is_read_through_hwmon),
        cmocka_unit_test(no_meter_still_runs_the_work_and_says_why),
        cmocka_unit_test(whole_figure_has_idle_and_active_power),
        cmocka_unit_test(closing_a_running_meter_is_fine),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(this_machine_is_probed),
    };
    return ftl_test_run(tests);
}
