/* SPDX-License-Identifier: Apache-2.0 */
/* model.h - a model by its spelling: a file, or a preset such as "@resnet50".
 * A preset is an architecture without weights; it gets seeded random ones, the same bits on every
 * device.  A model is immutable after open and may be shared by threads. */
#ifndef FETTLE_MODEL_H
#define FETTLE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include "fettle/status.h"
#include "fettle/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_model ftl_model;

/* How a picture becomes the input: value = (byte * scale - mean[c]) / std[c]. */
typedef struct ftl_image_prep {
    bool is_image; /* the model takes one picture: [batch, channels, height, width] */
    int32_t width, height, channels;
    int32_t resize_shorter; /* the shorter side becomes this, then the middle is cut out; 0: the
                               picture is squeezed to width x height                          */
    bool is_bgr;
    float scale, mean[3], std[3];
    char source[64]; /* "model metadata", "preset", "guessed from the input's shape" */
} ftl_image_prep;

typedef struct ftl_model_dim {
    const char *name;      /* "batch", "tokens" */
    int64_t default_value; /* used when nothing is asked for */
} ftl_model_dim;

typedef struct ftl_model_info {
    size_t struct_size;
    const char *name;     /* "resnet50", "model.onnx"                                    */
    const char *spelling; /* as it was opened                                            */
    const char *format;   /* "preset", "onnx"                                            */
    const char *about;    /* one line: where the architecture is from; "" for files      */
    bool has_weights;     /* from a file; false: seeded random                           */
    int64_t n_weights;    /* elements in all weights                                     */
    int32_t n_dims;
    const ftl_model_dim *dims;
    const char *batch_dim; /* which of them is the batch; NULL when it is fixed          */
    ftl_image_prep image;
    int32_t n_labels; /* 0: the classes have no names */
    const char *const *labels;
} ftl_model_info;

/* FTL_ENOTFOUND: no such file or preset (the nearest name is in the sentence); FTL_EFORMAT: a
 * damaged file; FTL_EUNSUPPORTED: a format or an operator that fettle lacks, named. */
FTL_API ftl_status ftl_model_open(ftl_model **out, const char *spelling) FTL_MUST_USE;
FTL_API void ftl_model_close(ftl_model *model);
/* Borrowed; lives as long as the model. */
FTL_API const ftl_model_info *ftl_model_get_info(const ftl_model *model);

/* Presets in order; NULL past the end. */
FTL_API const char *ftl_preset_name(int32_t i);
FTL_API const char *ftl_preset_about(int32_t i);

#ifdef __cplusplus
}
#endif
#endif
