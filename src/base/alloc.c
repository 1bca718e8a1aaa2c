/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic uint64_t n_requests;
static _Atomic uint64_t fail_nth;
static _Atomic bool fail_sticky;
static _Atomic int64_t n_live;

/* True when the test hook wants this request to fail. */
static bool must_fail(void)
{
    const uint64_t nth = atomic_load_explicit(&fail_nth, memory_order_relaxed);
    const uint64_t mine = atomic_fetch_add_explicit(&n_requests, 1, memory_order_relaxed) + 1;
    if (nth == 0) return false;
    return mine == nth || (mine > nth && atomic_load_explicit(&fail_sticky, memory_order_relaxed));
}

static void *count(void *fresh)
{
    if (fresh) atomic_fetch_add_explicit(&n_live, 1, memory_order_relaxed);
    return fresh;
}

static void uncount(const void *memory)
{
    if (memory) atomic_fetch_sub_explicit(&n_live, 1, memory_order_relaxed);
}

int64_t ftl_alloc_live(void)
{
    return atomic_load_explicit(&n_live, memory_order_relaxed);
}

void *ftl_alloc(size_t bytes)
{
    if (must_fail()) return NULL;
    return count(malloc(bytes ? bytes : 1));
}

void *ftl_calloc(size_t n, size_t bytes)
{
    if (must_fail()) return NULL;
    return count(calloc(n ? n : 1, bytes ? bytes : 1));
}

void *ftl_realloc(void *old, size_t bytes)
{
    if (must_fail()) return NULL;
    void *fresh = realloc(old, bytes ? bytes : 1);
    return old ? fresh : count(fresh);
}

void ftl_free(void *memory)
{
    uncount(memory);
    free(memory);
}

static size_t whole_pages(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (bytes > SIZE_MAX - page) return 0;
    return bytes ? (bytes + page - 1) / page * page : page;
}

void *ftl_pages_alloc(size_t bytes)
{
    const size_t size = whole_pages(bytes);
    if (size == 0 || must_fail()) return NULL;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : count(memory);
}

void ftl_pages_free(void *memory, size_t bytes)
{
    uncount(memory);
    if (memory) munmap(memory, whole_pages(bytes));
}

char *ftl_strdup(const char *text)
{
    const size_t n = strlen(text) + 1;
    char *copy = ftl_alloc(n);
    if (copy) memcpy(copy, text, n);
    return copy;
}

char *ftl_strprintf(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : ftl_alloc((size_t)n + 1);
    if (text) vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

bool ftl_mul_size(size_t a, size_t b, size_t *out)
{
    if (!__builtin_mul_overflow(a, b, out)) return true;
    *out = SIZE_MAX;
    return false;
}

bool ftl_add_size(size_t a, size_t b, size_t *out)
{
    if (!__builtin_add_overflow(a, b, out)) return true;
    *out = SIZE_MAX;
    return false;
}

uint64_t ftl_alloc_fail_at(uint64_t nth, bool sticky)
{
    atomic_store(&fail_sticky, sticky);
    atomic_store(&fail_nth, nth);
    return atomic_exchange(&n_requests, 0);
}
