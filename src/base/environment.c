/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for the whole process, from the strings that a program read for us. */
#include "fettle/fettle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/cpuid.h"
#include "base/file.h"
#include "base/status.h"

const char *ftl_version(void)
{
    return FTL_VERSION;
}

static ftl_status fail_allocation(const char *text)
{
    char *end;
    errno = 0;
    const unsigned long long nth = strtoull(text, &end, 10);
    const bool is_sticky = *end == '+';
    if (end == text || *text == '-' || errno || end[is_sticky])
        return ftl_fail(FTL_EINVAL, "FETTLE_TEST_FAIL_ALLOC is \"%.40s\": wanted n or n+", text);
    ftl_alloc_fail_at(nth, is_sticky);
    return FTL_OK;
}

ftl_status ftl_environment_apply(const ftl_environment *environment)
{
    if (environment->isa && *environment->isa) {
        uint32_t mask;
        FTL_TRY(ftl_isa_parse(&mask, environment->isa));
        ftl_cpu_isa_limit(mask);
    }
    const char *nth = environment->fail_allocation;
    return nth && *nth ? fail_allocation(nth) : FTL_OK;
}

ftl_status ftl_environment_cache_folder(char *out, size_t size, const ftl_environment *environment)
{
    const char *own = environment->cache;
    if (!own || !*own)
        return ftl_file_cache_folder(out, size, environment->home, environment->xdg_cache_home);
    if ((size_t)snprintf(out, size, "%s", own) < size) return FTL_OK;
    return ftl_fail(FTL_EINVAL, "the path of the cache folder is longer than %zu bytes", size - 1);
}

int ftl_interrupt(void)
{
    const int before = ftl_cancel_request();
    if (before > 0) ftl_file_remove_temporaries();
    return before;
}
