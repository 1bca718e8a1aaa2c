/* SPDX-License-Identifier: Apache-2.0 */
#include "run/pick.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

typedef struct picking {
    ftl_pick_note note;
    void *arg;
    ftl_log_level level; /* of what is passed over: a warning when it was asked for by name */
} picking;

static ftl_status pass_over(const picking *p, const char *device, const char *why)
{
    if (p->note) return p->note(p->arg, device, why);
    ftl_log(p->level, "run", "%s is passed over: %s", device, why);
    return FTL_OK;
}

/* A fall-back to the next name is a slower device as a rule, so the first reason is kept for the
 * case that no name works. */
static ftl_status pick_from_list(ftl_device **out, char *name, const char *asked, const picking *p)
{
    char first_why[512] = "";
    for (const char *at = asked; *at;) {
        const size_t length = strcspn(at, ",");
        if (length == 0 || length >= FTL_PICK_NAME)
            return ftl_fail(FTL_EINVAL, "device \"%.60s\" is no name or list of names", asked);
        memcpy(name, at, length);
        name[length] = 0;
        at += length + (at[length] == ',');
        const ftl_status s = ftl_device_open_name(out, name, NULL);
        if (s == FTL_OK) return FTL_OK;
        if (!*at && !*first_why) return s;
        if (!*first_why) snprintf(first_why, sizeof first_why, "%s", ftl_error_text());
        FTL_TRY(pass_over(p, name, ftl_error_text()));
    }
    if (!*first_why) return ftl_fail(FTL_EINVAL, "the device has no name");
    return ftl_fail(FTL_ENOTFOUND, "no device of \"%.200s\" can be used: %s", asked, first_why);
}

static ftl_status pick_any(ftl_device **out, char *name, const picking *p)
{
    for (int32_t i = 0; ftl_backend_at(i); i++) {
        const char *backend = ftl_backend_at(i)->name;
        ftl_device *device = NULL;
        ftl_device_info info = { .struct_size = sizeof info };
        ftl_status s = ftl_device_open(&device, ftl_backend_at(i), NULL);
        if (s == FTL_OK) s = ftl_device_get_info(device, &info);
        const bool is_real = s == FTL_OK && !(info.caps & FTL_CAP_EMULATED);
        if (is_real) {
            snprintf(name, FTL_PICK_NAME, "%s", backend);
            *out = device;
            return FTL_OK;
        }
        if (s != FTL_OK) s = pass_over(p, backend, ftl_error_text());
        ftl_device_close(device);
        FTL_TRY(s);
    }
    return ftl_fail(FTL_ENOTFOUND, "no device can be used");
}

ftl_status ftl_pick_device(ftl_device **out, char *name, const char *asked, ftl_pick_note note,
                           void *arg)
{
    const bool is_auto = asked && strcmp(asked, "auto") == 0;
    const picking p = { note, arg, is_auto ? FTL_LOG_INFO : FTL_LOG_WARNING };
    *out = NULL;
    name[0] = 0;
    if (is_auto) return pick_any(out, name, &p);
    return pick_from_list(out, name, asked ? asked : "cpu", &p);
}
