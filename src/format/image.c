/* SPDX-License-Identifier: Apache-2.0 */
#include "format/image.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"

static ftl_status check_size(int64_t width, int64_t height, const char *name)
{
    if (width < 1 || height < 1)
        return ftl_fail(FTL_EFORMAT, "%s: a picture of %lld x %lld pixels", name, (long long)width,
                        (long long)height);
    if (width > FTL_IMAGE_SIDE_MAX || height > FTL_IMAGE_SIDE_MAX ||
        width * height > FTL_IMAGE_PIXELS_MAX)
        return ftl_fail(FTL_EUNSUPPORTED,
                        "%s: %lld x %lld pixels; at most 100 megapixels and %d a side are read: "
                        "make it smaller first",
                        name, (long long)width, (long long)height, FTL_IMAGE_SIDE_MAX);
    return FTL_OK;
}

ftl_status ftl_image_create(ftl_image *out, int64_t width, int64_t height, const char *name)
{
    *out = (ftl_image){ 0 };
    FTL_TRY(check_size(width, height, name));
    out->rgb = ftl_alloc((size_t)width * (size_t)height * 3);
    if (!out->rgb)
        return ftl_fail(FTL_ENOMEM, "%s: no memory for %lld x %lld pixels", name, (long long)width,
                        (long long)height);
    out->width = width;
    out->height = height;
    return FTL_OK;
}

void ftl_image_deinit(ftl_image *image)
{
    if (!image) return;
    ftl_free(image->rgb);
    *image = (ftl_image){ 0 };
}

ftl_status ftl_image_parse(ftl_image *out, const void *data, size_t size, const char *name)
{
    *out = (ftl_image){ 0 };
    static const uint8_t png[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
    static const uint8_t jpeg[3] = { 0xff, 0xd8, 0xff };
    if (size >= sizeof png && memcmp(data, png, sizeof png) == 0)
        return ftl_image_parse_png(out, data, size, name);
    if (size >= sizeof jpeg && memcmp(data, jpeg, sizeof jpeg) == 0)
        return ftl_image_parse_jpeg(out, data, size, name);
    return ftl_fail(FTL_EUNSUPPORTED,
                    "%s: byte 0: neither PNG nor JPEG; convert it, for instance: convert '%s' "
                    "picture.png",
                    name, name);
}

ftl_status ftl_image_read(ftl_image *out, const char *path)
{
    *out = (ftl_image){ 0 };
    ftl_file file;
    FTL_TRY(ftl_file_map(&file, path));
    const ftl_status s = ftl_image_parse(out, file.data, file.size, path);
    ftl_file_unmap(&file);
    return s;
}

/* ---- resize ----
 * Output pixel i of n_out looks at the input around center = (i + 0.5) * n_in / n_out.  The filter
 * is a triangle of half-width `support` = max(1, n_in / n_out), so that a reduction averages all
 * it covers.  Weights are rounded to WEIGHT_BITS of fraction: 8 bits of pixel, 2 of headroom. */
enum { WEIGHT_BITS = 32 - 8 - 2 };

typedef struct axis_filter {
    int64_t taps;    /* most weights one output has      */
    int64_t *first;  /* [n_out] first input pixel         */
    int64_t *n;      /* [n_out] number of weights         */
    int32_t *weight; /* [n_out, taps] fixed point         */
} axis_filter;

static void filter_deinit(axis_filter *f)
{
    ftl_free(f->first);
    ftl_free(f->n);
    ftl_free(f->weight);
}

static void filter_row(axis_filter *f, double *w, int64_t i, int64_t n_in, double scale)
{
    const double stretch = scale < 1 ? 1 : scale, center = ((double)i + 0.5) * scale;
    /* Truncation, not floor: both only meet positive values that matter. */
    int64_t low = (int64_t)(center - stretch + 0.5), high = (int64_t)(center + stretch + 0.5);
    if (low < 0) low = 0;
    if (high > n_in) high = n_in;
    const int64_t n = high - low;
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        const double x = fabs(((double)(k + low) - center + 0.5) * (1.0 / stretch));
        w[k] = x < 1 ? 1 - x : 0;
        sum += w[k];
    }
    for (int64_t k = 0; k < n; k++) {
        const double share = sum != 0 ? w[k] / sum : w[k];
        f->weight[i * f->taps + k] = (int32_t)(0.5 + share * (1 << WEIGHT_BITS));
    }
    f->first[i] = low;
    f->n[i] = n;
}

static ftl_status filter_init(axis_filter *f, int64_t n_in, int64_t n_out)
{
    const double scale = (double)n_in / (double)n_out;
    f->taps = (int64_t)ceil(scale < 1 ? 1 : scale) * 2 + 1;
    size_t n_weights;
    double *row = ftl_calloc((size_t)f->taps, sizeof *row);
    f->first = ftl_calloc((size_t)n_out, sizeof *f->first);
    f->n = ftl_calloc((size_t)n_out, sizeof *f->n);
    f->weight = ftl_mul_size((size_t)n_out, (size_t)f->taps, &n_weights)
                    ? ftl_calloc(n_weights, sizeof *f->weight)
                    : NULL;
    const bool ok = row && f->first && f->n && f->weight;
    for (int64_t i = 0; ok && i < n_out; i++) filter_row(f, row, i, n_in, scale);
    ftl_free(row);
    return ok ? FTL_OK
              : ftl_fail(FTL_ENOMEM, "no memory to resize %lld to %lld pixels", (long long)n_in,
                         (long long)n_out);
}

static uint8_t clip(int64_t value)
{
    const int64_t v = value >> WEIGHT_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* out, in: `lines` lines; element k of a line lies at k * step, each element has 3 channels.
 * Serves rows (step 3) and columns (step 3 * width). */
static void filter_line(uint8_t *out, const uint8_t *in, int64_t n_out, int64_t step,
                        const axis_filter *f)
{
    for (int64_t i = 0; i < n_out; i++)
        for (int64_t c = 0; c < 3; c++) {
            int64_t sum = (int64_t)1 << (WEIGHT_BITS - 1);
            const int32_t *w = f->weight + i * f->taps;
            const uint8_t *p = in + f->first[i] * step + c;
            for (int64_t k = 0; k < f->n[i]; k++) sum += (int64_t)w[k] * p[k * step];
            out[i * step + c] = clip(sum);
        }
}

ftl_status ftl_image_resize(ftl_image *out, const ftl_image *from, int64_t width, int64_t height)
{
    *out = (ftl_image){ 0 };
    ftl_image wide = { 0 };
    axis_filter across = { 0 }, down = { 0 };
    ftl_status s = check_size(from->width, from->height, "the picture to resize");
    if (s == FTL_OK) s = ftl_image_create(&wide, width, from->height, "the resized picture");
    if (s == FTL_OK) s = ftl_image_create(out, width, height, "the resized picture");
    if (s == FTL_OK) s = filter_init(&across, from->width, width);
    if (s == FTL_OK) s = filter_init(&down, from->height, height);
    if (s == FTL_OK) {
        for (int64_t y = 0; y < from->height; y++)
            filter_line(wide.rgb + y * width * 3, from->rgb + y * from->width * 3, width, 3,
                        &across);
        for (int64_t x = 0; x < width; x++)
            filter_line(out->rgb + x * 3, wide.rgb + x * 3, height, width * 3, &down);
    }
    filter_deinit(&across);
    filter_deinit(&down);
    ftl_image_deinit(&wide);
    if (s != FTL_OK) ftl_image_deinit(out);
    return s;
}

ftl_status ftl_image_resize_shorter(ftl_image *out, const ftl_image *from, int64_t side)
{
    *out = (ftl_image){ 0 };
    if (side < 1 || side > FTL_IMAGE_SIDE_MAX)
        return ftl_fail(FTL_EINVAL, "a picture cannot be resized to a side of %lld",
                        (long long)side);
    FTL_TRY(check_size(from->width, from->height, "the picture to resize"));
    const bool is_wide = from->width > from->height;
    const int64_t width = is_wide ? side * from->width / from->height : side;
    const int64_t height = is_wide ? side : side * from->height / from->width;
    return ftl_image_resize(out, from, width, height);
}

/* ---- crop and normalise ---- */

static float channel_of(const uint8_t *rgb, int32_t c, const ftl_image_layout *l)
{
    if (l->n_channels == 3) return rgb[l->is_bgr ? 2 - c : c];
    /* ITU-R 601-2 in 16-bit fixed point. */
    return (float)((19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 0x8000) >> 16);
}

/* First source pixel of a crop around the middle; half a pixel rounds to even, as Python's round(),
 * by which torchvision places it. */
static int64_t crop_start(int64_t have, int64_t want)
{
    return (int64_t)rint((double)(have - want) / 2);
}

ftl_status ftl_image_to_chw(float *out, const ftl_image *image, const ftl_image_layout *l)
{
    FTL_TRY(check_size(l->width, l->height, "the crop"));
    if (l->n_channels != 1 && l->n_channels != 3)
        return ftl_fail(FTL_EINVAL, "a picture has 1 or 3 channels, not %d", (int)l->n_channels);
    for (int32_t c = 0; c < l->n_channels; c++)
        if (!(l->std[c] != 0) || !isfinite(l->std[c]) || !isfinite(l->mean[c]) ||
            !isfinite(l->scale))
            return ftl_fail(FTL_EINVAL, "channel %d: mean %g, std %g, scale %g do not normalise",
                            (int)c, l->mean[c], l->std[c], l->scale);
    const int64_t x0 = crop_start(image->width, l->width);
    const int64_t y0 = crop_start(image->height, l->height);
    static const uint8_t black[3] = { 0 };
    for (int32_t c = 0; c < l->n_channels; c++)
        for (int64_t y = 0; y < l->height; y++)
            for (int64_t x = 0; x < l->width; x++) {
                const int64_t sx = x + x0, sy = y + y0;
                const bool is_inside =
                    sx >= 0 && sy >= 0 && sx < image->width && sy < image->height;
                const uint8_t *rgb = is_inside ? image->rgb + (sy * image->width + sx) * 3 : black;
                *out++ = (channel_of(rgb, c, l) * l->scale - l->mean[c]) / l->std[c];
            }
    return FTL_OK;
}
