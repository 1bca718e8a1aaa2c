/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a profile: kinds, keys, statistics, and what identifies the machine. */
#include "plan/profile.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/cpuid.h"
#include "device/sysfs.h"
#include "device/topology.h"

/* ---- kinds --------------------------------------------------------------------------------- */

static const struct {
    const char *name, *unit;
    int n_dims;
} kinds[] = {
    [FTL_PROFILE_PEAK] = { "peak", "flop/s", 0 },
    [FTL_PROFILE_READ] = { "read", "byte/s", 1 },
    [FTL_PROFILE_WRITE] = { "write", "byte/s", 1 },
    [FTL_PROFILE_COPY] = { "copy", "byte/s", 1 },
    [FTL_PROFILE_TRIAD] = { "triad", "byte/s", 1 },
    [FTL_PROFILE_LATENCY] = { "latency", "s", 1 },
    [FTL_PROFILE_FORK] = { "fork", "s", 0 },
    [FTL_PROFILE_WAKE] = { "wake", "s", 0 },
    [FTL_PROFILE_BARRIER] = { "barrier", "s", 0 },
    [FTL_PROFILE_LAUNCH] = { "launch", "s", 0 },
    [FTL_PROFILE_STEP] = { "step", "s", 0 },
    [FTL_PROFILE_GEMM] = { "gemm", "flop/s", 3 },
    [FTL_PROFILE_CONV] = { "conv", "flop/s", 8 },
    [FTL_PROFILE_STREAM] = { "stream", "byte/s", 2 },
    [FTL_PROFILE_LEARNED] = { "learned", "share", 0 },
};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

static bool is_kind(int32_t kind)
{
    return kind > 0 && kind < N_KINDS && kinds[kind].name;
}

const char *ftl_profile_kind_name(int32_t kind)
{
    return is_kind(kind) ? kinds[kind].name : "unknown";
}

const char *ftl_profile_kind_unit(int32_t kind)
{
    return is_kind(kind) ? kinds[kind].unit : "";
}

int32_t ftl_profile_kind_from_name(const char *name)
{
    for (int32_t i = 1; i < N_KINDS; i++)
        if (is_kind(i) && strcmp(kinds[i].name, name) == 0) return i;
    return 0;
}

bool ftl_profile_is_rate(int32_t kind)
{
    return is_kind(kind) && strcmp(kinds[kind].unit, "s") != 0;
}

const char *ftl_dtype_text(ftl_dtype dtype)
{
    return ftl_dtype_name(dtype);
}

/* "256x14x14 -> 256, 3x3", with what is not usual in front and behind. */
static void print_conv(char *text, size_t size, const int64_t *d)
{
    char batch[24] = "", stride[24] = "";
    if (d[0] != 1) snprintf(batch, sizeof batch, "%" PRId64 "x ", d[0]);
    if (d[6] != 1) snprintf(stride, sizeof stride, " /%" PRId64, d[6]);
    snprintf(text, size,
             "%s%" PRId64 "x%" PRId64 "x%" PRId64 " -> %" PRId64 ", %" PRId64 "x%" PRId64 "%s%s",
             batch, d[1], d[2], d[3], d[4], d[5], d[5], stride,
             d[7] == 1      ? ""
             : d[7] == d[1] ? " depthwise"
                            : " grouped");
}

char *ftl_profile_row_text(char *text, size_t size, const ftl_profile_row *row)
{
    const int64_t *d = row->dim;
    char bytes[32];
    switch (row->kind) {
    case FTL_PROFILE_GEMM:
        snprintf(text, size, "%" PRId64 "x%" PRId64 "x%" PRId64, d[0], d[1], d[2]);
        break;
    case FTL_PROFILE_CONV: print_conv(text, size, d); break;
    case FTL_PROFILE_STREAM:
        snprintf(text, size, "%s %" PRId64 "x%" PRId64, row->name, d[0], d[1]);
        break;
    case FTL_PROFILE_READ:
    case FTL_PROFILE_WRITE:
    case FTL_PROFILE_COPY:
    case FTL_PROFILE_TRIAD:
    case FTL_PROFILE_LATENCY:
        snprintf(text, size, "%s (%s)", row->name,
                 ftl_text_bytes_binary(bytes, sizeof bytes, (double)d[0]));
        break;
    default: snprintf(text, size, "%s", row->name); break;
    }
    return text;
}

/* ---- rows ---------------------------------------------------------------------------------- */

ftl_status ftl_profile_create(ftl_profile **out)
{
    ftl_profile *p = *out = ftl_calloc(1, sizeof *p);
    if (!p) return ftl_fail(FTL_ENOMEM, "no memory for a profile");
    p->struct_size = sizeof *p;
    ftl_sysfs_copy(p->version, sizeof p->version, FTL_VERSION);
    p->power = (ftl_profile_power){ .idle_w = NAN, .active_w = NAN };
    ftl_sysfs_copy(p->power.method, sizeof p->power.method, "not available");
    ftl_sysfs_copy(p->power.why, sizeof p->power.why, "not measured");
    return FTL_OK;
}

void ftl_profile_destroy(ftl_profile *profile)
{
    if (!profile) return;
    ftl_free(profile->rows);
    ftl_free(profile);
}

bool ftl_profile_is_same(const ftl_profile_row *a, const ftl_profile_row *b)
{
    if (a->kind != b->kind || a->dtype != b->dtype || a->threads != b->threads) return false;
    const bool is_level = a->kind >= FTL_PROFILE_READ && a->kind <= FTL_PROFILE_LATENCY;
    const bool is_named =
        is_level || a->kind == FTL_PROFILE_STREAM || a->kind == FTL_PROFILE_LEARNED;
    if (is_named && strcmp(a->name, b->name) != 0) return false;
    return is_level || memcmp(a->dim, b->dim, sizeof a->dim) == 0;
}

static ftl_profile_row *find(const ftl_profile *p, const ftl_profile_row *key)
{
    for (size_t i = 0; i < p->n_rows; i++)
        if (ftl_profile_is_same(&p->rows[i], key)) return &p->rows[i];
    return NULL;
}

const ftl_profile_row *ftl_profile_get(const ftl_profile *profile, const ftl_profile_row *key)
{
    return find(profile, key);
}

ftl_status ftl_profile_put(ftl_profile *profile, const ftl_profile_row *row)
{
    ftl_profile_row *at = find(profile, row);
    if (!at && profile->n_rows == profile->room) {
        const size_t room = profile->room ? profile->room * 2 : 64;
        ftl_profile_row *rows = ftl_realloc(profile->rows, room * sizeof *rows);
        if (!rows) return ftl_fail(FTL_ENOMEM, "no memory for a profile of %zu rows", room);
        profile->rows = rows;
        profile->room = room;
    }
    if (!at) at = &profile->rows[profile->n_rows++];
    *at = *row;
    return FTL_OK;
}

void ftl_profile_row_set(ftl_profile_row *row, double *samples, uint32_t n)
{
    const ftl_stats s = ftl_stats_of(samples, n);
    row->n = n;
    row->median = s.median;
    row->mad = s.mad;
    row->min = s.min;
    row->max = s.max;
}

/* ---- physics ------------------------------------------------------------------------------- */

static const double tolerance = 1.05;

/* The largest figure that the rows of a kind reach with so many threads; name NULL: any; of
 * caches: any level but memory.  0: none. */
static double best_of(const ftl_profile *p, int32_t kind, ftl_dtype dtype, int32_t threads,
                      bool of_caches)
{
    double best = 0;
    for (size_t i = 0; i < p->n_rows; i++) {
        const ftl_profile_row *r = &p->rows[i];
        if (r->kind != kind || r->threads != threads) continue;
        if (kind == FTL_PROFILE_PEAK && r->dtype != dtype) continue;
        if (of_caches && strcmp(r->name, "memory") == 0) continue;
        if (r->max > best) best = r->max;
    }
    return best;
}

/* What bounds a row from above, and its name; 0: nothing that was measured. */
static double ceiling_of(const ftl_profile *p, const ftl_profile_row *r, const char **what)
{
    switch (r->kind) {
    case FTL_PROFILE_GEMM:
    case FTL_PROFILE_CONV:
        *what = "the peak of the arithmetic";
        return best_of(p, FTL_PROFILE_PEAK, r->dtype, r->threads, false);
    case FTL_PROFILE_READ:
    case FTL_PROFILE_WRITE:
    case FTL_PROFILE_COPY:
    case FTL_PROFILE_TRIAD:
        *what = "the caches in front of it";
        if (strcmp(r->name, "memory") != 0) return 0;
        return best_of(p, r->kind, r->dtype, r->threads, true);
    case FTL_PROFILE_STREAM: {
        *what = "the fastest cache";
        const double read = best_of(p, FTL_PROFILE_READ, r->dtype, r->threads, false);
        const double copy = best_of(p, FTL_PROFILE_COPY, r->dtype, r->threads, false);
        return read > copy ? read : copy;
    }
    default: return 0;
    }
}

static bool check_row(const ftl_profile *p, ftl_profile_row *r)
{
    const char *what = "";
    r->flags &= ~(uint32_t)FTL_PROFILE_FAULT;
    r->note[0] = 0;
    if (!(r->median > 0) || !isfinite(r->median)) {
        r->flags |= FTL_PROFILE_FAULT;
        snprintf(r->note, sizeof r->note, "no positive figure came out");
        return true;
    }
    const double ceiling = ceiling_of(p, r, &what);
    if (ceiling <= 0 || r->median <= tolerance * ceiling) return false;
    r->flags |= FTL_PROFILE_FAULT;
    snprintf(r->note, sizeof r->note, "%.0f %% of %s: a fault of the measurement",
             100 * r->median / ceiling, what);
    return true;
}

size_t ftl_profile_check_floor(ftl_profile *profile)
{
    size_t n = 0;
    for (size_t i = 0; i < profile->n_rows; i++) n += check_row(profile, &profile->rows[i]);
    profile->why_faults[0] = 0;
    if (n > 0)
        snprintf(profile->why_faults, sizeof profile->why_faults,
                 "%zu figure%s impossible, faster than physics allows: not used", n,
                 n == 1 ? " is" : "s are");
    return n;
}

/* ---- identity ------------------------------------------------------------------------------ */

ftl_status ftl_profile_identify(ftl_profile *profile, ftl_device *device, const char *spelling)
{
    ftl_topology *t = NULL;
    ftl_device_info info;
    FTL_TRY(ftl_device_get_info(device, &info));
    FTL_TRY(ftl_topology_create(&t, ""));
    ftl_sysfs_copy(profile->cpu, sizeof profile->cpu, t->cpu_name);
    /* Memory in whole GiB: the kernel's own share varies from boot to boot. */
    snprintf(profile->machine, sizeof profile->machine, "%s, %u cores, %u CPUs, %.0f GiB",
             t->cpu_name, t->n_cores, t->n_cpus, ceil((double)t->memory_total_bytes / 0x1p30));
    ftl_topology_destroy(t);
    ftl_sysfs_copy(profile->device, sizeof profile->device, spelling);
    ftl_sysfs_copy(profile->device_name, sizeof profile->device_name, info.name);
    /* No backend tells its driver's version apart from the name yet. */
    ftl_sysfs_copy(profile->driver, sizeof profile->driver, info.name);
    ftl_isa_names(profile->isa, sizeof profile->isa, ftl_cpu_isa());
    profile->time_s = (int64_t)time(NULL);
    return FTL_OK;
}
