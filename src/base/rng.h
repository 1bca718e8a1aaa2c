/* SPDX-License-Identifier: Apache-2.0 */
/* rng.h - random numbers by counter, and a hash for fingerprints.
 * Idea: a block of four words is a pure function of (seed, id, block number), so any element can be
 * made alone, by any thread, in any order, with the same bits on every machine: only integer
 * operations and +, -, *, /, sqrt of IEEE doubles in a fixed order are used (fettle is built with
 * -ffp-contract=off).  All functions are pure and thread-safe.
 * Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3". */
#ifndef FTL_BASE_RNG_H
#define FTL_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Philox4x32-10.  out may be counter. */
void ftl_rng_u32x4(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

/* A stream of 2^66 words.  Word i is word i % 4 of
 * philox(key = seed, counter = { i / 4 low, i / 4 high, id low, id high }). */
typedef struct ftl_rng {
    uint64_t seed; /* the user's --seed                                   */
    uint64_t id;   /* of the weight or node; streams do not overlap       */
} ftl_rng;

/* Words first ... first + n - 1. */
void ftl_rng_fill_u32(ftl_rng rng, uint64_t first, uint32_t *out, size_t n);
/* Elements first ... first + n - 1 of the stream, uniform in [low, high) in steps of
 * (high - low) / 2^24; low where high <= low. */
void ftl_rng_fill_uniform_f32(ftl_rng rng, uint64_t first, float *out, size_t n, float low,
                              float high);
/* Normal by Box and Muller 1958; elements 2j and 2j + 1 share words 2j and 2j + 1.
 * |element - mean| <= 6.67 deviation. */
void ftl_rng_fill_normal_f32(ftl_rng rng, uint64_t first, float *out, size_t n, float mean,
                             float deviation);
/* One word of the stream as a number below n, n >= 1, without bias worth naming: 2^-32 * n. */
uint32_t ftl_rng_below(ftl_rng rng, uint64_t index, uint32_t n);

/* XXH64 of the bytes (Yann Collet, xxHash fast digest algorithm, version 0.1.1): for fingerprints
 * and caches, not against an adversary. */
uint64_t ftl_hash64(const void *data, size_t bytes, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif
