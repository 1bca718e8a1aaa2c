/* SPDX-License-Identifier: Apache-2.0 */
/* What a laptop draws from its battery while it is unplugged: the whole machine, display
 * included.  power_now in microwatts, or current_now (microamperes) times voltage_now
 * (microvolts).  Source: Linux Documentation/ABI/testing/sysfs-class-power. */
#include "device/meter_source.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "device/sysfs.h"

#define SUPPLY "/sys/class/power_supply"

struct battery {
    const char *root;
    ftl_sysfs_names names; /* all power supplies */
};

enum supply { NOT_A_BATTERY, IDLE_BATTERY, DISCHARGING };

static enum supply look_at(const char *root, const char *name, char *status, size_t bytes)
{
    char type[32], scope[32];
    ftl_sysfs_text(type, sizeof type, root, SUPPLY "/%s/type", name);
    ftl_sysfs_text(scope, sizeof scope, root, SUPPLY "/%s/scope", name);
    if (strcmp(type, "Battery") != 0 || strcmp(scope, "Device") == 0) return NOT_A_BATTERY;
    ftl_sysfs_text(status, bytes, root, SUPPLY "/%s/status", name);
    return strcmp(status, "Discharging") == 0 ? DISCHARGING : IDLE_BATTERY;
}

static bool read_watts(double *watts, const char *root, const char *name)
{
    uint64_t microwatts = 0, microamperes = 0, microvolts = 0;
    *watts = 0;
    if (ftl_sysfs_u64(&microwatts, root, SUPPLY "/%s/power_now", name)) {
        *watts = (double)microwatts * 1e-6;
        return true;
    }
    if (!ftl_sysfs_u64(&microamperes, root, SUPPLY "/%s/current_now", name) ||
        !ftl_sysfs_u64(&microvolts, root, SUPPLY "/%s/voltage_now", name))
        return false;
    *watts = (double)microamperes * 1e-6 * (double)microvolts * 1e-6;
    return true;
}

/* Batteries in one machine are drained in turn or together: the sum is what it draws. */
static ftl_status battery_read(double *value, void *state)
{
    const struct battery *b = state;
    char status[32] = "", seen[32] = "";
    bool is_any = false, is_discharging = false;
    *value = 0;
    for (size_t i = 0; i < b->names.count; i++) {
        const char *name = b->names.names[i];
        const enum supply what = look_at(b->root, name, status, sizeof status);
        if (what == NOT_A_BATTERY) continue;
        is_any = true;
        if (what == IDLE_BATTERY) ftl_sysfs_copy(seen, sizeof seen, status);
        if (what != DISCHARGING) continue;
        is_discharging = true;
        double watts = 0;
        if (!read_watts(&watts, b->root, name))
            return ftl_fail(FTL_ENOTFOUND,
                            "%s tells neither power_now nor current_now and voltage_now", name);
        *value += watts;
    }
    if (!is_any) return ftl_fail(FTL_ENOTFOUND, "this machine has no battery");
    if (!is_discharging)
        return ftl_fail(FTL_EIO, "the battery is not discharging (%s): pull the plug to measure",
                        seen[0] ? seen : "unknown");
    return FTL_OK;
}

static void battery_close(void *state)
{
    struct battery *b = state;
    if (!b) return;
    ftl_sysfs_names_deinit(&b->names);
    ftl_free(b);
}

static ftl_status battery_open(void **state, char *method, const ftl_meter_options *options)
{
    (void)method;
    *state = NULL;
    struct battery *b = ftl_calloc(1, sizeof *b);
    if (!b) return ftl_fail(FTL_ENOMEM, "no memory for the battery meter");
    b->root = options->root;
    const ftl_status s = ftl_sysfs_list(&b->names, "", b->root, SUPPLY);
    if (s != FTL_OK) {
        battery_close(b);
        return s;
    }
    *state = b;
    return FTL_OK;
}

/* Fuel gauges renew their figures every second or slower. */
const ftl_meter_source ftl_meter_battery = {
    .method = "battery discharge",
    .covers = "machine",
    .use = FTL_METER_FOR_HOST,
    .period_ns = 50 * 1000000ll,
    .resolution_s = 2,
    .open = battery_open,
    .read = battery_read,
    .close = battery_close,
};
