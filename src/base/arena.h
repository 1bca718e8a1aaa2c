/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h - many small objects, freed all at once.
 * Idea: blocks that double in size; an item is never moved.  Graphs, plans and parsers own one
 * arena each.  An arena is used by one thread at a time.  Built with -DFTL_ARENA_DEBUG each item
 * is a malloc of its own, so that AddressSanitizer sees overruns between items. */
#ifndef FTL_BASE_ARENA_H
#define FTL_BASE_ARENA_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_arena {
    struct ftl_arena_block *head;
    size_t next_bytes; /* size of the next block */
    size_t used_bytes; /* sum of all items       */
} ftl_arena;

/* An all-zero ftl_arena is a valid empty one. */
void ftl_arena_init(ftl_arena *arena);
/* Frees every item.  NULL and empty arenas are fine; the arena is empty afterwards. */
void ftl_arena_deinit(ftl_arena *arena);
/* Zeroed memory, aligned to 16 bytes; NULL when memory is used up.  Lives until deinit. */
void *ftl_arena_alloc(ftl_arena *arena, size_t bytes);
/* count * bytes with overflow check. */
void *ftl_arena_array(ftl_arena *arena, size_t count, size_t bytes);
/* A copy of n bytes of `text` with a NUL behind it. */
char *ftl_arena_strndup(ftl_arena *arena, const char *text, size_t n);
char *ftl_arena_strdup(ftl_arena *arena, const char *text);
char *ftl_arena_printf(ftl_arena *arena, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

#ifdef __cplusplus
}
#endif
#endif
