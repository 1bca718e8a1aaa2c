/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum { ALIGN = 16, FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20 };

/* [ next | capacity | used | pad ][ item | item | ... ] */
struct ftl_arena_block {
    struct ftl_arena_block *next;
    size_t capacity, used, pad;
};

void ftl_arena_init(ftl_arena *arena)
{
    *arena = (ftl_arena){ 0 };
}

void ftl_arena_deinit(ftl_arena *arena)
{
    if (!arena) return;
    for (struct ftl_arena_block *b = arena->head, *next; b; b = next) {
        next = b->next;
        ftl_free(b);
    }
    ftl_arena_init(arena);
}

/* A new block in front, with room for at least `bytes`. */
static struct ftl_arena_block *add_block(ftl_arena *arena, size_t bytes)
{
    size_t capacity = arena->next_bytes ? arena->next_bytes : FIRST_BLOCK;
    if (arena->next_bytes < LARGEST_BLOCK) arena->next_bytes = capacity * 2;
#ifdef FTL_ARENA_DEBUG
    capacity = bytes;
#endif
    if (capacity < bytes) capacity = bytes;
    if (capacity > SIZE_MAX - sizeof(struct ftl_arena_block)) return NULL;
    struct ftl_arena_block *block = ftl_alloc(sizeof *block + capacity);
    if (!block) return NULL;
    *block = (struct ftl_arena_block){ .next = arena->head, .capacity = capacity };
    arena->head = block;
    return block;
}

void *ftl_arena_alloc(ftl_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX - ALIGN) return NULL;
    const size_t size = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    struct ftl_arena_block *block = arena->head;
    if (!block || block->capacity - block->used < size) block = add_block(arena, size);
    if (!block) return NULL;
    char *item = (char *)(block + 1) + block->used;
    block->used += size;
    arena->used_bytes += size;
    memset(item, 0, size);
    return item;
}

void *ftl_arena_array(ftl_arena *arena, size_t count, size_t bytes)
{
    size_t total;
    return ftl_mul_size(count, bytes, &total) ? ftl_arena_alloc(arena, total) : NULL;
}

char *ftl_arena_strndup(ftl_arena *arena, const char *text, size_t n)
{
    char *copy = n == SIZE_MAX ? NULL : ftl_arena_alloc(arena, n + 1);
    if (copy) memcpy(copy, text, n);
    return copy;
}

char *ftl_arena_strdup(ftl_arena *arena, const char *text)
{
    return ftl_arena_strndup(arena, text, strlen(text));
}

char *ftl_arena_printf(ftl_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : ftl_arena_alloc(arena, (size_t)n + 1);
    if (text) vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}
