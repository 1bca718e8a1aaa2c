/* SPDX-License-Identifier: Apache-2.0 */
/* stablehlo.h - a bound slice as StableHLO text, the input language of every PJRT plug-in.
 * The text is the generic form (each op spells its operands, attributes and types), with old, plain
 * ops alone: text has no promise of compatibility, and these are read by every plug-in since 2024.
 * The same slice gives the same text, byte for byte: it is the key of the cache on disk.
 *
 *     @main's arguments  = the slice's sources in order (weights and state are arguments too)
 *     @main's results    = the slice's outputs in order, row-major
 *     the alias table    -> tf.aliasing_output on the argument: its storage becomes the result's
 *     CONST tensors      -> dense constants
 *
 * What a row means stands in core/ops.def; where XLA means something else (integer division by
 * zero, float to integer out of range, NaN in arg_max, ...), the text says it in full. */
#ifndef FTL_BACKEND_PJRT_STABLEHLO_H
#define FTL_BACKEND_PJRT_STABLEHLO_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_stablehlo_options {
    uint32_t struct_size;
    bool is_fast; /* products may round f32 operands where the device is faster so (TPU, TF32) */
} ftl_stablehlo_options;

/* FTL_OK, or FTL_EUNSUPPORTED with the reason: the row is left to its decomposition. */
ftl_status ftl_stablehlo_supports(const ftl_graph *graph, int32_t node) FTL_MUST_USE;
/* *out ends with a NUL that *bytes does not count; owner: the caller, by ftl_free().
 * FTL_EUNSUPPORTED: a node that supports() refuses.  FTL_ENOMEM. */
ftl_status ftl_stablehlo_emit(char **out, size_t *bytes, const ftl_graph *slice,
                              const ftl_stablehlo_options *options) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
