/* SPDX-License-Identifier: Apache-2.0 */
/* model_internal.h - what run/ and plan/ need of a model. */
#ifndef FTL_MODEL_MODEL_INTERNAL_H
#define FTL_MODEL_MODEL_INTERNAL_H

#include "core/graph.h"
#include "fettle/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The bound graph, as built or imported: not optimized.  dims that are not given take the model's
 * defaults.  Weights with bytes in the file carry a borrowed pointer (tensor->data, row-major, any
 * dtype of the graph); those without are filled by their init.  Sources keep their ids whatever
 * the dims.  Owner of *out: the caller; it lives no longer than the model. */
ftl_status ftl_model_bind(ftl_graph **out, const ftl_model *model, const ftl_dim_value *dims,
                          int32_t n_dims) FTL_MUST_USE;
/* Bytes of the model's file that tensor->data pointers show into (0: a preset). */
uint64_t ftl_model_mapped_bytes(const ftl_model *model);
/* True when the pointer lies in the mapped file. */
bool ftl_model_is_mapped(const ftl_model *model, const void *data);

#ifdef __cplusplus
}
#endif
#endif
