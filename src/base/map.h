/* SPDX-License-Identifier: Apache-2.0 */
/* map.h - names to pointers or numbers, in the order of insertion.
 * Idea: an array of entries in order, and beside it an open-addressed table of indices, at most
 * half full.  Keys are any bytes, copied; hashed by SipHash-1-3 under a random key of the
 * process, so that a hostile file cannot choose names that collide.  The order never depends on
 * that key. One thread at a time while it is changed; afterwards any number may read. */
#ifndef FTL_BASE_MAP_H
#define FTL_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_map ftl_map;

typedef union ftl_map_value {
    void *pointer; /* borrowed: the map frees no values */
    int64_t number;
} ftl_map_value;

typedef struct ftl_map_entry {
    const char *key; /* with a NUL behind its bytes */
    size_t key_bytes;
    ftl_map_value value;
} ftl_map_entry;

/* arena NULL: on the heap, freed by destroy.  Else all memory comes from the arena and dies with
 * it.  FTL_ENOMEM. */
FTL_MUST_USE ftl_status ftl_map_create(ftl_map **out, ftl_arena *arena);
/* NULL is fine; of a map in an arena it frees nothing. */
void ftl_map_destroy(ftl_map *map);

/* Adds a name.  FTL_EINVAL: it is there already, nothing changes; the sentence shows the name.
 * FTL_ENOMEM: nothing changes. */
FTL_MUST_USE ftl_status ftl_map_insert(ftl_map *map, const char *key, void *pointer);
FTL_MUST_USE ftl_status ftl_map_insert_number(ftl_map *map, const char *key, int64_t number);
/* The general form: any bytes; an existing name gets the new value and keeps its place when
 * `replace`. */
FTL_MUST_USE ftl_status ftl_map_put(ftl_map *map, const char *key, size_t key_bytes,
                                    ftl_map_value value, bool replace);

/* The pointer, or NULL when the name is absent. */
void *ftl_map_find(const ftl_map *map, const char *key);
/* False, and *number unchanged, when the name is absent. */
bool ftl_map_find_number(const ftl_map *map, const char *key, int64_t *number);
/* The entry, or NULL; borrowed until the next insertion. */
ftl_map_entry *ftl_map_get(const ftl_map *map, const char *key, size_t key_bytes);

/* Entry i of 0 ... size - 1 in order of insertion, else NULL; borrowed until the next insertion. */
size_t ftl_map_size(const ftl_map *map);
ftl_map_entry *ftl_map_at(const ftl_map *map, size_t i);

#ifdef __cplusplus
}
#endif
#endif
