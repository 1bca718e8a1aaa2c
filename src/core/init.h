/* SPDX-License-Identifier: Apache-2.0 */
/* init.h - seeded values for weights that no file gives, and for inputs that nobody gave.
 * The same bits on every machine: element i is a function of (seed, the tensor's id, i) alone, so
 * parts may be filled by several threads.  Thread-safe. */
#ifndef FTL_CORE_INIT_H
#define FTL_CORE_INIT_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills `out` with what tensor->init says, in the tensor's type (rounded from f32).
 * Integers and bool: NORMAL rounds towards zero, UNIFORM draws whole numbers in
 * [offset, offset + scale).  An input or parameter says nothing (all zero): then floats are
 * normal of deviation 1, integers and bool are 0 or 1, which is a valid index almost anywhere. */
void ftl_init_fill(const ftl_tensor *tensor, uint64_t seed, void *out);
/* Elements first ... first + n - 1 alone; `out` is the place of element `first`. */
void ftl_init_fill_part(const ftl_tensor *tensor, uint64_t seed, int64_t first, int64_t n,
                        void *out);

#ifdef __cplusplus
}
#endif
#endif
