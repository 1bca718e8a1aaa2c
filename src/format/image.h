/* SPDX-License-Identifier: Apache-2.0 */
/* image.h - a picture file becomes the input of a network.
 * Idea: decode to 8-bit RGB, resize the way Pillow does (networks were trained behind it), crop,
 * normalise.  An alpha channel is dropped, as Pillow's convert("RGB") does.  Functions without
 * state. */
#ifndef FTL_FORMAT_IMAGE_H
#define FTL_FORMAT_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FTL_IMAGE_PIXELS_MAX = 100 * 1000 * 1000, FTL_IMAGE_SIDE_MAX = 65500 };

/* Row-major, 3 bytes a pixel, no padding.  All-zero is a valid empty one. */
typedef struct ftl_image {
    int64_t width, height; /* pixels                        */
    uint8_t *rgb;          /* [height, width, 3], own memory */
} ftl_image;

/* PNG or JPEG, told apart by the first bytes.  FTL_ENOTFOUND, FTL_EFORMAT, FTL_EUNSUPPORTED
 * (another format, or above FTL_IMAGE_PIXELS_MAX). */
ftl_status ftl_image_read(ftl_image *out, const char *path);
ftl_status ftl_image_parse(ftl_image *out, const void *data, size_t size, const char *name);
/* Uninitialised pixels.  FTL_EUNSUPPORTED: too large.  FTL_ENOMEM. */
ftl_status ftl_image_create(ftl_image *out, int64_t width, int64_t height, const char *name);
void ftl_image_deinit(ftl_image *image);

/* Bilinear with antialiasing: a triangle filter as wide as the reduction, in two passes with 8-bit
 * in between and 22-bit weights; the same bytes as Pillow's resize(BILINEAR). */
ftl_status ftl_image_resize(ftl_image *out, const ftl_image *from, int64_t width, int64_t height);
/* The shorter side becomes `side`, the other keeps the proportion (rounded down, as
 * torchvision does). */
ftl_status ftl_image_resize_shorter(ftl_image *out, const ftl_image *from, int64_t side);

typedef struct ftl_image_layout {
    size_t struct_size;
    int64_t width,
        height;         /* of the crop around the middle; outside the picture is black            */
    int32_t n_channels; /* 3; or 1: luma (299 R + 587 G + 114 B) / 1000, as Pillow's convert("L") */
    int32_t is_bgr;     /* 1: blue first                                                          */
    float scale;        /* y = (x * scale - mean[c]) / std[c], x in 0..255                        */
    float mean[3],
        std[3]; /* in the order of the output's channels                                  */
} ftl_image_layout;
/* RGB, 0..1, no mean: the caller sets width and height. */
#define FTL_IMAGE_LAYOUT_INIT                                                                      \
    {                                                                                              \
        sizeof(ftl_image_layout), 0, 0, 3, 0, 1.0f / 255, { 0, 0, 0 },                             \
        {                                                                                          \
            1, 1, 1                                                                                \
        }                                                                                          \
    }

/* out: [n_channels, height, width] f32, the caller's.  FTL_EINVAL: layout out of range. */
ftl_status ftl_image_to_chw(float *out, const ftl_image *image, const ftl_image_layout *layout);

/* The decoders behind ftl_image_parse. */
ftl_status ftl_image_parse_png(ftl_image *out, const void *data, size_t size, const char *name);
ftl_status ftl_image_parse_jpeg(ftl_image *out, const void *data, size_t size, const char *name);

#ifdef __cplusplus
}
#endif
#endif
