/* SPDX-License-Identifier: Apache-2.0 */
/* The job of `fettle bench`: open, measure, store; and comparing what was stored. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "plan/profile.h"

static ftl_status copy_note(char **note, const char *text)
{
    if (!note) return FTL_OK;
    *note = ftl_strdup(text);
    return *note ? FTL_OK : ftl_fail(FTL_ENOMEM, "no memory for a note");
}

/* A store that cannot be used costs the next start some seconds, not this one its result. */
static ftl_status keep(const ftl_profile *p, const char *folder, char **note)
{
    if (!folder || !*folder) return copy_note(note, "not stored: no cache folder is known");
    ftl_profile_store *store;
    ftl_status s = ftl_profile_store_open(&store, folder, false);
    if (s == FTL_OK) {
        s = ftl_profile_store_save(store, p);
        ftl_profile_store_close(store);
    }
    if (s == FTL_OK) return copy_note(note, "");
    if (s == FTL_ENOMEM) return s;
    ftl_log(FTL_LOG_WARNING, "bench", "the profile is not stored: %s", ftl_error_text());
    return copy_note(note, ftl_error_text());
}

static ftl_status measure(ftl_profile *p, ftl_device *device, const ftl_bench_options *o)
{
    ftl_meter_options meter = FTL_METER_OPTIONS_INIT;
    meter.command = o->power_meter_command;
    ftl_profile_options options = FTL_PROFILE_OPTIONS_INIT;
    options.is_quick = o->is_quick;
    options.seconds = o->seconds;
    options.n_threads = o->n_threads;
    options.meter = &meter;
    options.progress = o->progress;
    options.user = o->user;
    FTL_TRY(ftl_profile_identify(p, device, o->device ? o->device : "cpu"));
    return ftl_profile_measure(p, device, &options);
}

ftl_status ftl_bench(ftl_profile **out, char **store_note, const ftl_bench_options *options)
{
    *out = NULL;
    if (store_note) *store_note = NULL;
    if (!options || options->struct_size != sizeof *options)
        return ftl_fail(FTL_EINVAL, "start the options from FTL_BENCH_OPTIONS_INIT");
    if (options->n_threads < 0 || !(options->seconds >= 0))
        return ftl_fail(FTL_EINVAL, "the threads or seconds of a measurement are below 0");
    ftl_device *device = NULL;
    ftl_profile *p = NULL;
    ftl_status s = ftl_device_open_name(&device, options->device ? options->device : "cpu", NULL);
    if (s == FTL_OK) s = ftl_profile_create(&p);
    if (s == FTL_OK) s = measure(p, device, options);
    ftl_device_close(device);
    if (s == FTL_OK) s = keep(p, options->cache_folder, store_note);
    if (s == FTL_OK) *out = p;
    else ftl_profile_destroy(p);
    return s;
}

/* ---- finding ------------------------------------------------------------------------------- */

static ftl_status find_stored(ftl_profile **out, ftl_profile_store *store, const char *spelling)
{
    ftl_profile_entry *entries;
    size_t n, place = SIZE_MAX;
    FTL_TRY(ftl_profile_store_list(store, &entries, &n));
    char *end;
    const long long id = strtoll(spelling, &end, 10);
    if (strcmp(spelling, "latest") == 0) place = 0;
    else if (strcmp(spelling, "previous") == 0) place = 1;
    else
        for (size_t i = 0; i < n && *spelling && !*end; i++)
            if (entries[i].id == id) place = i;
    ftl_status s;
    if (place < n) s = ftl_profile_store_get(store, out, entries[place].id);
    else
        s = ftl_fail(FTL_ENOTFOUND,
                     "\"%.200s\" is neither an exported profile nor one of the %zu stored ones "
                     "(latest, previous, or a number)",
                     spelling, n);
    ftl_free(entries);
    return s;
}

static bool is_stored_name(const char *spelling)
{
    return strcmp(spelling, "latest") == 0 || strcmp(spelling, "previous") == 0 ||
           (*spelling && strspn(spelling, "0123456789") == strlen(spelling));
}

ftl_status ftl_profile_find(ftl_profile **out, const char *cache_folder, const char *spelling)
{
    *out = NULL;
    if (!is_stored_name(spelling)) return ftl_profile_import(out, spelling);
    if (!cache_folder || !*cache_folder)
        return ftl_fail(FTL_ENOTFOUND, "no cache folder is known, so no profile \"%s\" is stored",
                        spelling);
    ftl_profile_store *store;
    const ftl_status opened = ftl_profile_store_open(&store, cache_folder, true);
    if (opened == FTL_ENOTFOUND)
        return ftl_fail(FTL_ENOTFOUND, "no profile is stored yet: run fettle bench first");
    if (opened != FTL_OK) return opened;
    const ftl_status s = find_stored(out, store, spelling);
    ftl_profile_store_close(store);
    return s;
}

/* ---- comparing ----------------------------------------------------------------------------- */

/* Three standard deviations, which 1.4826 mad estimates, apart, and more than 3 %. */
static bool is_beyond_noise(const ftl_profile_row *a, const ftl_profile_row *b, double ratio)
{
    const double apart = fabs(a->median - b->median), noise = 3 * 1.4826 * (a->mad + b->mad);
    return apart > noise && fabs(ratio - 1) > 0.03;
}

ftl_status ftl_profile_compare(ftl_profile_change **out, size_t *n, const ftl_profile *a,
                               const ftl_profile *b)
{
    *n = 0;
    *out = ftl_calloc(a->n_rows + 1, sizeof **out);
    if (!*out) return ftl_fail(FTL_ENOMEM, "no memory to compare %zu figures", a->n_rows);
    for (size_t i = 0; i < a->n_rows; i++) {
        const ftl_profile_row *x = &a->rows[i];
        ftl_profile_row key = *x;
        if (key.threads > 1 && key.threads == a->threads)
            key.threads = b->threads; /* all of each */
        const ftl_profile_row *y = ftl_profile_get(b, &key);
        if (!y || (x->flags | y->flags) & FTL_PROFILE_FAULT) continue;
        const bool is_rate = ftl_profile_is_rate(x->kind);
        const double ratio = is_rate ? y->median / x->median : x->median / y->median;
        (*out)[(*n)++] = (ftl_profile_change){
            .a = x, .b = y, .ratio = ratio, .is_beyond_noise = is_beyond_noise(x, y, ratio)
        };
    }
    return FTL_OK;
}
