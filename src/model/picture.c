/* SPDX-License-Identifier: Apache-2.0 */
#include "model/picture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/image.h"

/* ---- picture -> input ---------------------------------------------------------------------- */

static ftl_status resize(ftl_image *out, const ftl_image *picture, const ftl_image_prep *prep)
{
    if (prep->resize_shorter > 0)
        return ftl_image_resize_shorter(out, picture, prep->resize_shorter);
    return ftl_image_resize(out, picture, prep->width, prep->height);
}

ftl_status ftl_picture_read(float *out, size_t n, const char *path, const ftl_image_prep *prep)
{
    if (!prep->is_image)
        return ftl_fail(FTL_EINVAL,
                        "%s: this model takes no picture; give its inputs as .npy files", path);
    const bool is_sane = prep->width > 0 && prep->width <= FTL_IMAGE_SIDE_MAX && prep->height > 0 &&
                         prep->height <= FTL_IMAGE_SIDE_MAX &&
                         (prep->channels == 1 || prep->channels == 3);
    if (!is_sane || n != (size_t)prep->channels * (size_t)prep->width * (size_t)prep->height)
        return ftl_fail(FTL_EINVAL, "%s: room for %zu values, but the picture becomes %d x %d x %d",
                        path, n, (int)prep->channels, (int)prep->height, (int)prep->width);
    ftl_image_layout layout = FTL_IMAGE_LAYOUT_INIT;
    layout.width = prep->width;
    layout.height = prep->height;
    layout.n_channels = prep->channels;
    layout.is_bgr = prep->is_bgr;
    layout.scale = prep->scale;
    memcpy(layout.mean, prep->mean, sizeof layout.mean);
    memcpy(layout.std, prep->std, sizeof layout.std);
    ftl_image picture, sized = { 0 };
    FTL_TRY(ftl_image_read(&picture, path));
    ftl_status s = resize(&sized, &picture, prep);
    if (s == FTL_OK) s = ftl_image_to_chw(out, &sized, &layout);
    ftl_image_deinit(&picture);
    ftl_image_deinit(&sized);
    return s;
}

/* ---- where the recipe comes from ----------------------------------------------------------- */

ftl_image_prep ftl_picture_prep_imagenet(int32_t side, int32_t resize_shorter, const char *source)
{
    /* Source: torchvision.transforms.Normalize in its presets for evaluation. */
    ftl_image_prep prep = { .is_image = true,
                            .width = side,
                            .height = side,
                            .channels = 3,
                            .resize_shorter = resize_shorter,
                            .scale = 1.0f / 255,
                            .mean = { 0.485f, 0.456f, 0.406f },
                            .std = { 0.229f, 0.224f, 0.225f } };
    snprintf(prep.source, sizeof prep.source, "%s", source);
    return prep;
}

static bool is_side(int64_t dim)
{
    return dim >= 1 && dim <= FTL_IMAGE_SIDE_MAX;
}

ftl_image_prep ftl_picture_prep_guess(const ftl_tensor_desc *input)
{
    enum { USUAL_SIDE = 224 };
    const int64_t *dim = input->dim;
    if (input->dtype != FTL_DTYPE_F32 || input->rank != 4 || (dim[1] != 1 && dim[1] != 3))
        return (ftl_image_prep){ 0 };
    const int64_t height = dim[2] < 0 ? USUAL_SIDE : dim[2];
    const int64_t width = dim[3] < 0 ? USUAL_SIDE : dim[3];
    if (!is_side(height) || !is_side(width)) return (ftl_image_prep){ 0 };
    /* 224 is cut out of 256: the same share for other squares. */
    const int32_t shorter = width == height ? (int32_t)(width * 256 / 224) : 0;
    ftl_image_prep prep =
        ftl_picture_prep_imagenet((int32_t)width, shorter, "guessed from the input's shape");
    prep.height = (int32_t)height;
    if (dim[1] == 3) return prep;
    prep.channels = 1;
    prep.resize_shorter = 0;
    for (int c = 0; c < 3; c++) {
        prep.mean[c] = 0;
        prep.std[c] = 1;
    }
    return prep;
}

/* ---- metadata ------------------------------------------------------------------------------ */

/* One finite number, or as many as there are channels, into out[3]. */
static bool parse_numbers(const char *text, int32_t channels, float out[3])
{
    int32_t n = 0;
    for (const char *at = text; n < 3;) {
        char *end;
        out[n] = strtof(at, &end);
        if (end == at || !isfinite(out[n])) return false;
        n++;
        if (!*end) break;
        if (*end != ',' || n == 3) return false;
        at = end + 1;
    }
    if (n != 1 && n != channels) return false;
    for (; n < 3; n++) out[n] = out[0];
    return true;
}

static bool parse_size(const char *text, int32_t *width, int32_t *height)
{
    char rest;
    int w, h;
    if (sscanf(text, "%5dx%5d%c", &w, &h, &rest) != 2 || !is_side(w) || !is_side(h)) return false;
    *width = w;
    *height = h;
    return true;
}

static ftl_status bad_value(const char *model, const char *key, const char *value,
                            const char *wanted)
{
    return ftl_fail(FTL_EFORMAT, "%s: its metadata says %s = \"%.40s\", but %s was expected", model,
                    key, value, wanted);
}

static ftl_status apply_values(ftl_image_prep *prep, const ftl_picture_metadata *m,
                               const char *model)
{
    static const char numbers[] = "a number, or one a channel with commas between";
    if (m->channels) {
        if (strcmp(m->channels, "1") != 0 && strcmp(m->channels, "3") != 0)
            return bad_value(model, "fettle.image.channels", m->channels, "1 or 3");
        prep->channels = m->channels[0] - '0';
    }
    if (m->size && !parse_size(m->size, &prep->width, &prep->height))
        return bad_value(model, "fettle.image.size", m->size, "WIDTHxHEIGHT in pixels");
    float scale[3] = { prep->scale };
    if (m->scale && !parse_numbers(m->scale, 1, scale))
        return bad_value(model, "fettle.image.scale", m->scale, "a number");
    prep->scale = scale[0];
    if (m->mean && !parse_numbers(m->mean, prep->channels, prep->mean))
        return bad_value(model, "fettle.image.mean", m->mean, numbers);
    if (m->std && !parse_numbers(m->std, prep->channels, prep->std))
        return bad_value(model, "fettle.image.std", m->std, numbers);
    for (int c = 0; c < 3; c++)
        if (!(prep->std[c] > 0))
            return bad_value(model, "fettle.image.std", m->std ? m->std : "0", "a number above 0");
    return FTL_OK;
}

static bool agrees(int64_t dim, int32_t value)
{
    return dim < 0 || dim == value;
}

ftl_status ftl_picture_prep_apply(ftl_image_prep *prep, const ftl_picture_metadata *metadata,
                                  const ftl_tensor_desc *input, const char *model)
{
    const ftl_picture_metadata *m = metadata;
    if (!m->size && !m->channels && !m->scale && !m->mean && !m->std) return FTL_OK;
    /* A model that says how it wants pictures wants exactly that: no crop, no guessed mean. */
    ftl_image_prep said = ftl_picture_prep_imagenet(0, 0, "model metadata");
    said.width = prep->width;
    said.height = prep->height;
    said.channels = prep->is_image ? prep->channels : 3;
    for (int c = 0; c < 3; c++) {
        said.mean[c] = 0;
        said.std[c] = 1;
    }
    FTL_TRY(apply_values(&said, m, model));
    if (input->dtype != FTL_DTYPE_F32 || input->rank != 4)
        return ftl_fail(FTL_EFORMAT,
                        "%s: its metadata describes pictures, but its first input is not f32 "
                        "[batch, channels, height, width]",
                        model);
    if (!is_side(said.width) || !agrees(input->dim[1], said.channels) ||
        !agrees(input->dim[2], said.height) || !agrees(input->dim[3], said.width))
        return ftl_fail(FTL_EFORMAT,
                        "%s: its metadata says pictures of %d x %d with %d channels, its input has "
                        "another shape",
                        model, (int)said.width, (int)said.height, (int)said.channels);
    *prep = said;
    return FTL_OK;
}
