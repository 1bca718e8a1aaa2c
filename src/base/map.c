/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { FIRST_ENTRIES = 8, MOST_ENTRIES = 1 << 29 };

struct ftl_map {
    ftl_arena *arena;       /* NULL: heap                                             */
    ftl_map_entry *entries; /* [capacity], size used                                  */
    uint64_t *hashes;       /* [capacity]                                             */
    uint32_t *table;        /* [2 * capacity] index + 1 of an entry, 0 empty          */
    size_t size, capacity;  /* capacity is a power of two, so the table is half full  */
};

/* --- SipHash-1-3 (Aumasson and Bernstein 2012), 64-bit little-endian words ------------------- */

static void secret(uint64_t key[2])
{
    static _Atomic uint64_t stored[2];
    static atomic_int state; /* 0 none, 1 one thread makes it, 2 ready */
    int expected = 0;
    if (atomic_load(&state) != 2 && atomic_compare_exchange_strong(&state, &expected, 1)) {
        uint64_t fresh[2] = { 0, 0 };
        if (getrandom(fresh, sizeof fresh, GRND_NONBLOCK) != (ssize_t)sizeof fresh) {
            /* Early in boot: the time and an address are better than nothing. */
            fresh[0] = (uint64_t)ftl_clock_ns();
            fresh[1] = (uint64_t)(uintptr_t)&fresh;
        }
        atomic_store(&stored[0], fresh[0]);
        atomic_store(&stored[1], fresh[1]);
        atomic_store(&state, 2);
    }
    while (atomic_load(&state) != 2) {
    } /* a few nanoseconds */
    key[0] = atomic_load_explicit(&stored[0], memory_order_relaxed);
    key[1] = atomic_load_explicit(&stored[1], memory_order_relaxed);
}

static uint64_t rotate(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1], v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static uint64_t hash(const char *data, size_t bytes)
{
    uint64_t k[2];
    secret(k);
    uint64_t v[4] = { k[0] ^ 0x736f6d6570736575u, k[1] ^ 0x646f72616e646f6du,
                      k[0] ^ 0x6c7967656e657261u, k[1] ^ 0x7465646279746573u };
    uint64_t word;
    size_t i = 0;
    for (; bytes - i >= 8; i += 8) {
        memcpy(&word, data + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)bytes << 56;
    for (int shift = 0; i < bytes; i++, shift += 8)
        word |= (uint64_t)(unsigned char)data[i] << shift;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int r = 0; r < 3; r++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* --- the map ------------------------------------------------------------------------------- */

static void *get_memory(ftl_arena *arena, size_t count, size_t bytes)
{
    return arena ? ftl_arena_array(arena, count, bytes) : ftl_calloc(count, bytes);
}

static void drop_memory(const ftl_arena *arena, void *memory)
{
    if (!arena) ftl_free(memory);
}

ftl_status ftl_map_create(ftl_map **out, ftl_arena *arena)
{
    *out = get_memory(arena, 1, sizeof **out);
    if (!*out) return ftl_fail(FTL_ENOMEM, "no memory for a map of names");
    (*out)->arena = arena;
    return FTL_OK;
}

void ftl_map_destroy(ftl_map *map)
{
    if (!map || map->arena) return;
    for (size_t i = 0; i < map->size; i++) ftl_free((void *)(uintptr_t)map->entries[i].key);
    ftl_free(map->entries);
    ftl_free(map->hashes);
    ftl_free(map->table);
    ftl_free(map);
}

/* Place of the key in the table, or of the hole where it belongs.  Holes exist: it is half full. */
static size_t probe(const ftl_map *map, const char *key, size_t bytes, uint64_t h)
{
    const size_t mask = 2 * map->capacity - 1;
    size_t place = (size_t)h & mask;
    for (; map->table[place] != 0; place = (place + 1) & mask) {
        const size_t i = map->table[place] - 1;
        if (map->hashes[i] == h && map->entries[i].key_bytes == bytes &&
            memcmp(map->entries[i].key, key, bytes) == 0)
            break;
    }
    return place;
}

/* Doubles everything, or leaves everything as it is. */
static bool grow(ftl_map *map)
{
    const size_t capacity = map->capacity ? 2 * map->capacity : FIRST_ENTRIES;
    if (capacity > MOST_ENTRIES) return false;
    ftl_map_entry *entries = get_memory(map->arena, capacity, sizeof *entries);
    uint64_t *hashes = get_memory(map->arena, capacity, sizeof *hashes);
    uint32_t *table = get_memory(map->arena, 2 * capacity, sizeof *table);
    if (!entries || !hashes || !table) {
        drop_memory(map->arena, entries);
        drop_memory(map->arena, hashes);
        drop_memory(map->arena, table);
        return false;
    }
    for (size_t i = 0; i < map->size; i++) {
        entries[i] = map->entries[i];
        hashes[i] = map->hashes[i];
        size_t place = (size_t)hashes[i] & (2 * capacity - 1);
        while (table[place] != 0) place = (place + 1) & (2 * capacity - 1);
        table[place] = (uint32_t)i + 1;
    }
    drop_memory(map->arena, map->entries);
    drop_memory(map->arena, map->hashes);
    drop_memory(map->arena, map->table);
    map->entries = entries;
    map->hashes = hashes;
    map->table = table;
    map->capacity = capacity;
    return true;
}

ftl_status ftl_map_put(ftl_map *map, const char *key, size_t key_bytes, ftl_map_value value,
                       bool replace)
{
    ftl_map_entry *old = ftl_map_get(map, key, key_bytes);
    if (old && !replace)
        return ftl_fail(FTL_EINVAL, "the name \"%.*s\" is given twice",
                        key_bytes > 200 ? 200 : (int)key_bytes, key);
    if (old) {
        old->value = value;
        return FTL_OK;
    }
    char *copy = NULL;
    if (map->size < map->capacity || grow(map))
        copy = key_bytes < SIZE_MAX ? get_memory(map->arena, key_bytes + 1, 1) : NULL;
    if (!copy) return ftl_fail(FTL_ENOMEM, "no memory for %zu names", map->size + 1);
    if (key_bytes > 0) memcpy(copy, key, key_bytes);
    const uint64_t h = hash(key, key_bytes);
    map->table[probe(map, key, key_bytes, h)] = (uint32_t)map->size + 1;
    map->hashes[map->size] = h;
    map->entries[map->size++] = (ftl_map_entry){ copy, key_bytes, value };
    return FTL_OK;
}

ftl_status ftl_map_insert(ftl_map *map, const char *key, void *pointer)
{
    return ftl_map_put(map, key, strlen(key), (ftl_map_value){ .pointer = pointer }, false);
}

ftl_status ftl_map_insert_number(ftl_map *map, const char *key, int64_t number)
{
    return ftl_map_put(map, key, strlen(key), (ftl_map_value){ .number = number }, false);
}

ftl_map_entry *ftl_map_get(const ftl_map *map, const char *key, size_t key_bytes)
{
    if (map->size == 0) return NULL;
    const uint32_t index = map->table[probe(map, key, key_bytes, hash(key, key_bytes))];
    return index ? &map->entries[index - 1] : NULL;
}

void *ftl_map_find(const ftl_map *map, const char *key)
{
    const ftl_map_entry *e = ftl_map_get(map, key, strlen(key));
    return e ? e->value.pointer : NULL;
}

bool ftl_map_find_number(const ftl_map *map, const char *key, int64_t *number)
{
    const ftl_map_entry *e = ftl_map_get(map, key, strlen(key));
    if (e) *number = e->value.number;
    return e != NULL;
}

size_t ftl_map_size(const ftl_map *map)
{
    return map->size;
}

ftl_map_entry *ftl_map_at(const ftl_map *map, size_t i)
{
    return i < map->size ? &map->entries[i] : NULL;
}
