/* SPDX-License-Identifier: Apache-2.0 */
/* model_impl.h - the model itself, for the files of this folder alone. */
#ifndef FTL_MODEL_MODEL_IMPL_H
#define FTL_MODEL_MODEL_IMPL_H

#include "base/arena.h"
#include "format/onnx_file.h"
#include "model/model_internal.h"
#include "model/preset.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FTL_MODEL_DIMS_MAX = 32 };

struct ftl_model {
    ftl_model_info info; /* texts in the arena, static, or the file's */
    ftl_model_dim dims[FTL_MODEL_DIMS_MAX];
    ftl_arena arena;
    const ftl_preset *preset;            /* NULL: a file      */
    ftl_onnx_file *onnx;                 /* NULL: not of ONNX */
    const ftl_onnx_value *const *inputs; /* [n_inputs] of the ONNX graph, without weights */
    int32_t n_inputs;
};

/* Nothing to do when there is a dim of this name.  FTL_EUNSUPPORTED: too many. */
ftl_status ftl_model_add_dim(ftl_model *model, const char *name,
                             int64_t default_value) FTL_MUST_USE;
/* Records FTL_ENOMEM. */
ftl_status ftl_model_no_memory(const ftl_model *model);

/* model_onnx.c.  dims: one value for each of info.dims, in this order. */
ftl_status ftl_model_open_onnx(ftl_model *model, const char *path) FTL_MUST_USE;
ftl_status ftl_model_bind_onnx(ftl_graph **out, const ftl_model *model,
                               const ftl_dim_value *dims) FTL_MUST_USE;
void ftl_model_close_onnx(ftl_model *model);
/* Counts the weights that the file stores, without a graph. */
void ftl_model_count_onnx(ftl_model *model);

#ifdef __cplusplus
}
#endif
#endif
