/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - recording and forwarding failures.
 * Idea: the code travels as the return value, the sentence in a thread-local slot, so that a
 * success costs nothing.  A sentence says what, where, why, and what to do. */
#ifndef FTL_BASE_STATUS_H
#define FTL_BASE_STATUS_H

#include <stdarg.h>
#include "fettle/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FTL_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define FTL_PRINTF(f, a)
#endif

/* Records file:line and the sentence for this thread and returns `code`. */
#define ftl_fail(code, ...) ftl_fail_at((code), __FILE__, __LINE__, __VA_ARGS__)
ftl_status ftl_fail_at(ftl_status code, const char *file, int line, const char *format, ...)
    FTL_PRINTF(4, 5);

/* Puts "<context>: " before the sentence of the last failure and returns `code` again, for a
 * caller that knows the file or the layer in which it happened. */
ftl_status ftl_fail_context(ftl_status code, const char *format, ...) FTL_PRINTF(2, 3);

/* Forwards a failure when the caller holds nothing. */
#define FTL_TRY(call)                                                                              \
    do {                                                                                           \
        const ftl_status ftl_try_status = (call);                                                  \
        if (ftl_try_status != FTL_OK) return ftl_try_status;                                       \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
