/* SPDX-License-Identifier: Apache-2.0 */
/* picture.h - a picture file becomes a model's input, and what a model says about its pictures.
 * Functions without state. */
#ifndef FTL_MODEL_PICTURE_H
#define FTL_MODEL_PICTURE_H

#include "base/status.h"
#include "fettle/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* PNG or JPEG -> [channels, height, width] f32.  n: floats in `out`.  FTL_EINVAL: prep takes no
 * picture or n is another number; else what image.h says of the file. */
FTL_API ftl_status ftl_picture_read(float *out, size_t n, const char *path,
                                    const ftl_image_prep *prep) FTL_MUST_USE;

/* torchvision's evaluation transform: the shorter side, the middle, mean and deviation of
 * ImageNet. */
ftl_image_prep ftl_picture_prep_imagenet(int32_t side, int32_t resize_shorter, const char *source);

/* By an input f32 [N, 1 or 3, H, W]; dims below 0 are open.  is_image is false for other shapes.
 * Three channels are taken for ImageNet's, one for ink 0 ... 1. */
ftl_image_prep ftl_picture_prep_guess(const ftl_tensor_desc *input);

/* Values of the model's metadata, NULL where it has none (keys fettle.image.*). */
typedef struct ftl_picture_metadata {
    const char *size;       /* "28x28": width x height                   */
    const char *channels;   /* "1" or "3"                                */
    const char *scale;      /* "0.0039"                                  */
    const char *mean, *std; /* "0.5" or one a channel with commas between */
} ftl_picture_metadata;
/* Replaces what the metadata gives in a guessed prep.  FTL_EFORMAT: a value cannot be read or
 * contradicts the input's shape; `model` stands in the sentence. */
ftl_status ftl_picture_prep_apply(ftl_image_prep *prep, const ftl_picture_metadata *metadata,
                                  const ftl_tensor_desc *input, const char *model) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
