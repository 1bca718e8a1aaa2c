/* SPDX-License-Identifier: Apache-2.0 */
/* The thread-local sentence behind every failing call.  Fixed size: reporting that memory is used
 * up must not need memory. */
#include "base/status.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 1024, PLACE_BYTES = 96 };

static _Thread_local char last_text[TEXT_BYTES];
static _Thread_local char last_place[PLACE_BYTES];

static void record(const char *format, va_list args)
{
    const int n = vsnprintf(last_text, sizeof last_text, format, args);
    if (n >= (int)sizeof last_text) memcpy(last_text + sizeof last_text - 4, "...", 4);
}

ftl_status ftl_fail_at(ftl_status code, const char *file, int line, const char *format, ...)
{
    const char *base = strrchr(file, '/');
    snprintf(last_place, sizeof last_place, "%s:%d", base ? base + 1 : file, line);
    va_list args;
    va_start(args, format);
    record(format, args);
    va_end(args);
    return code;
}

ftl_status ftl_fail_context(ftl_status code, const char *format, ...)
{
    char context[TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    char old[TEXT_BYTES];
    memcpy(old, last_text, sizeof old);
    const size_t n = strlen(context);
    snprintf(last_text, sizeof last_text, "%s", context);
    if (n + 3 < sizeof last_text)
        snprintf(last_text + n, sizeof last_text - n, ": %.*s", (int)(sizeof last_text - n - 3),
                 old);
    return code;
}

const char *ftl_error_text(void)
{
    return last_text;
}

const char *ftl_error_place(void)
{
    return last_place;
}

const char *ftl_status_name(ftl_status status)
{
    static const char *const names[] = { "FTL_OK",        "FTL_EINVAL",    "FTL_ENOMEM",
                                         "FTL_EIO",       "FTL_EFORMAT",   "FTL_EUNSUPPORTED",
                                         "FTL_ENOTFOUND", "FTL_ELOST",     "FTL_ETIMEOUT",
                                         "FTL_ENOFIT",    "FTL_ECANCELED", "FTL_EINTERNAL" };
    const int index = -(int)status;
    const int count = (int)(sizeof names / sizeof names[0]);
    return index >= 0 && index < count ? names[index] : "FTL_E?";
}
