/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - weights into cells: from the model's file, from a seed, or computed from others.
 * A store keeps each (weight, layout) of a device once for all sessions that use it, so that
 * candidates of one model are measured without loading it again.  One thread at a time. */
#ifndef FTL_RUN_LOAD_H
#define FTL_RUN_LOAD_H

#include "plan/prepare.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_weight_store ftl_weight_store;

/* Told how far loading is; may be NULL. */
typedef void (*ftl_load_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);

ftl_status ftl_weight_store_create(ftl_weight_store **out, ftl_device *device,
                                   uint64_t seed) FTL_MUST_USE;
/* Every cell it gave out must be out of use. */
void ftl_weight_store_destroy(ftl_weight_store *store);
/* The cells of all weights of the slice: cells[source] for each weight's source; other entries are
 * left alone.  Borrowed from the store. */
ftl_status ftl_weight_store_fill(ftl_weight_store *store, ftl_queue *queue,
                                 const ftl_prepared *prepared, ftl_buffer **cells,
                                 ftl_load_progress progress, void *arg) FTL_MUST_USE;
/* Bytes of all cells, and of these how many are pages of the model's file. */
void ftl_weight_store_bytes(const ftl_weight_store *store, uint64_t *cells, uint64_t *mapped);
/* Bytes of the cells that the store has already, of those that `prepared` wants. */
uint64_t ftl_weight_store_held(const ftl_weight_store *store, const ftl_prepared *prepared);

#ifdef __cplusplus
}
#endif
#endif
