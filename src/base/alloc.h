/* SPDX-License-Identifier: Apache-2.0 */
/* alloc.h - all heap memory of fettle goes through here, so that a test can make the n-th
 * request fail.  Thread-safe.  Sizes multiply with ftl_mul_size(). */
#ifndef FTL_BASE_ALLOC_H
#define FTL_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* NULL when memory is used up or the product overflows.  Owner: the caller, by ftl_free(). */
void *ftl_alloc(size_t bytes);
void *ftl_calloc(size_t count, size_t bytes);
void *ftl_realloc(void *old, size_t bytes);
void ftl_free(void *memory);

/* Page-aligned zeroed memory for tensors, straight from mmap: it counts once, is returned to the
 * system when freed, and touches no page before it is written.  `bytes` of 0 gives one page. */
void *ftl_pages_alloc(size_t bytes);
void ftl_pages_free(void *memory, size_t bytes);

/* A copy of `text`, or NULL. */
char *ftl_strdup(const char *text);
/* printf into fresh memory, or NULL. */
char *ftl_strprintf(const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 1, 2)))
#endif
    ;

/* *out = a * b (a + b); false and *out = SIZE_MAX on overflow. */
bool ftl_mul_size(size_t a, size_t b, size_t *out);
bool ftl_add_size(size_t a, size_t b, size_t *out);

/* Test hook: requests are counted from 1 and request number `nth` fails, and if `sticky` every
 * later one too; 0 switches it off.  Returns the number of requests since the last call. */
uint64_t ftl_alloc_fail_at(uint64_t nth, bool sticky);
/* Test hook: blocks and page ranges that are not freed yet. */
int64_t ftl_alloc_live(void);

#ifdef __cplusplus
}
#endif
#endif
