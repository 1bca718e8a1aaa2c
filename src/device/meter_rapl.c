/* SPDX-License-Identifier: Apache-2.0 */
/* RAPL: the processor's own energy counters through the powercap tree.
 * Zones are intel-rapl:N (package-N, or psys, the whole platform) with children intel-rapl:N:M
 * (core, uncore: parts of the package; dram: beside it).  So packages and dram add up, and the
 * others would count twice.  AMD processors show the same tree, without dram.  intel-rapl-mmio is
 * a second view of the same counters.  Source: Linux Documentation/power/powercap/powercap.rst. */
#include "device/meter_source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "device/sysfs.h"

#define POWERCAP "/sys/class/powercap"

enum { ZONES_MAX = 64 };

struct zone {
    char name[FTL_SYSFS_NAME]; /* folder */
    uint64_t last_uj, range_uj;
};

struct rapl {
    const char *root;
    double joules; /* since open */
    uint32_t n_zones;
    struct zone zones[ZONES_MAX];
};

static bool counts(const char *root, const char *folder, bool *is_dram)
{
    char name[64];
    *is_dram = false;
    if (!ftl_sysfs_text(name, sizeof name, root, POWERCAP "/%s/name", folder)) return false;
    *is_dram = strcmp(name, "dram") == 0;
    return *is_dram || strncmp(name, "package", 7) == 0;
}

static ftl_status refuse(const char *folder, int error)
{
    if (error == EACCES || error == EPERM)
        return ftl_fail(FTL_EIO, "only root may read the counters; permit it with: "
                                 "sudo chmod a+r " POWERCAP "/intel-rapl:*/energy_uj");
    return ftl_fail(FTL_EIO, "cannot read " POWERCAP "/%s/energy_uj: %s", folder, strerror(error));
}

static ftl_status add_zone(struct rapl *r, const char *folder)
{
    struct zone *z = &r->zones[r->n_zones];
    ftl_sysfs_copy(z->name, sizeof z->name, folder);
    ftl_sysfs_u64(&z->range_uj, r->root, POWERCAP "/%s/max_energy_range_uj", folder);
    if (!ftl_sysfs_u64(&z->last_uj, r->root, POWERCAP "/%s/energy_uj", folder))
        return refuse(folder, errno);
    r->n_zones++;
    return FTL_OK;
}

static ftl_status add_zones(struct rapl *r, bool *has_dram, const ftl_sysfs_names *names)
{
    for (size_t i = 0; i < names->count && r->n_zones < ZONES_MAX; i++) {
        bool is_dram = false;
        if (!counts(r->root, names->names[i], &is_dram)) continue;
        FTL_TRY(add_zone(r, names->names[i]));
        *has_dram |= is_dram;
    }
    if (r->n_zones == 0)
        return ftl_fail(FTL_ENOTFOUND,
                        "no package zone in " POWERCAP
                        "; virtual machines hide it, on bare metal try: sudo modprobe "
                        "intel_rapl_msr");
    return FTL_OK;
}

static void rapl_close(void *state)
{
    ftl_free(state);
}

static ftl_status rapl_open(void **state, char *method, const ftl_meter_options *options)
{
    *state = NULL;
    struct rapl *r = ftl_calloc(1, sizeof *r);
    if (!r) return ftl_fail(FTL_ENOMEM, "no memory for the RAPL meter");
    r->root = options->root;
    ftl_sysfs_names names;
    bool has_dram = false;
    ftl_status s = ftl_sysfs_list(&names, "intel-rapl:", r->root, POWERCAP);
    if (s == FTL_OK) s = add_zones(r, &has_dram, &names);
    ftl_sysfs_names_deinit(&names);
    if (s != FTL_OK) {
        rapl_close(r);
        return s;
    }
    if (has_dram) ftl_sysfs_copy(method, FTL_METER_METHOD, "rapl package+dram");
    *state = r;
    return FTL_OK;
}

/* Counters wrap at max_energy_range_uj, after some minutes at full load on older processors; the
 * sampler reads often enough to see each wrap. */
static ftl_status rapl_read(double *value, void *state)
{
    struct rapl *r = state;
    for (uint32_t i = 0; i < r->n_zones; i++) {
        struct zone *z = &r->zones[i];
        uint64_t now = 0;
        if (!ftl_sysfs_u64(&now, r->root, POWERCAP "/%s/energy_uj", z->name))
            return refuse(z->name, errno);
        if (now < z->last_uj && z->range_uj < z->last_uj)
            return ftl_fail(FTL_EIO,
                            "the counter of " POWERCAP "/%s went back and its range is unknown",
                            z->name);
        const uint64_t spent =
            now >= z->last_uj ? now - z->last_uj : z->range_uj - z->last_uj + now;
        r->joules += (double)spent * 1e-6;
        z->last_uj = now;
    }
    *value = r->joules;
    return FTL_OK;
}

const ftl_meter_source ftl_meter_rapl = {
    .method = "rapl package",
    .covers = "processor",
    .use = FTL_METER_FOR_HOST,
    .is_counter = true,
    .resolution_s = 0.001,
    .open = rapl_open,
    .read = rapl_read,
    .close = rapl_close,
};
