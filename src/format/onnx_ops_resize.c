/* SPDX-License-Identifier: Apache-2.0 */
/* Resize and Upsample, axis after axis: each output place reads a few input places ("taps") with
 * weights that are constants, so it becomes one gather and one product a tap.
 * Formulas: the specification of Resize in onnx/docs/Operators.md; cubic: Keys 1981. */
#include <math.h>
#include <string.h>

#include "format/onnx_op.h"

#define ADD(row, ...) FTL_ADD(c->g, row, NULL, __VA_ARGS__)

enum { TAPS_MAX = 4 };

typedef enum coordinate {
    HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    TF_HALF_PIXEL_FOR_NN
} coordinate;
static const char *const coordinate_names[] = { "half_pixel",         "half_pixel_symmetric",
                                                "pytorch_half_pixel", "align_corners",
                                                "asymmetric",         "tf_half_pixel_for_nn" };

/* SIMPLE: of Upsample and Resize 10, down when it grows and up when it shrinks. */
typedef enum nearest { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL, SIMPLE } nearest;
static const char *const nearest_names[] = { "round_prefer_floor", "round_prefer_ceil", "floor",
                                             "ceil" };

typedef enum interpolation { NEAREST, LINEAR, CUBIC } interpolation;
static const char *const mode_names[] = { "nearest", "linear", "cubic" };

typedef struct resizing {
    interpolation mode;
    coordinate where;
    nearest rounding;
    float cubic_a;
    bool excludes_outside;
    float scale[FTL_MAX_RANK];
    int64_t size[FTL_MAX_RANK];
} resizing;

/* Position of a text in a list; refused where it is not there. */
static int32_t choose(ftl_onnx_call *c, const char *attribute, const char *absent,
                      const char *const *names, int32_t n)
{
    const char *text = ftl_onnx_attr_text(c, attribute, absent);
    for (int32_t i = 0; i < n; i++)
        if (strcmp(text, names[i]) == 0) return i;
    ftl_onnx_refuse(c, FTL_EUNSUPPORTED, "%s is \"%.40s\"", attribute, text);
    return 0;
}

/* ---- one axis ------------------------------------------------------------------------------ */

/* Where output place i lies in the input; in f32, as other implementations have it, because
 * rounding to the nearest shows the last bit. */
static float place_of(const resizing *r, int64_t i, float scale, int64_t in, int64_t out)
{
    const float x = (float)i;
    switch (r->where) {
    case ASYMMETRIC: return x / scale;
    case ALIGN_CORNERS: return out == 1 ? 0 : x * (float)(in - 1) / (float)(out - 1);
    case PYTORCH_HALF_PIXEL: return out > 1 ? (x + 0.5f) / scale - 0.5f : 0;
    case TF_HALF_PIXEL_FOR_NN: return (x + 0.5f) / scale;
    case HALF_PIXEL_SYMMETRIC: {
        const float adjustment = (float)out / (scale * (float)in), center = (float)in / 2;
        return center * (1 - adjustment) + (x + 0.5f) / scale - 0.5f;
    }
    case HALF_PIXEL: break;
    }
    return (x + 0.5f) / scale - 0.5f;
}

static float nearest_place(nearest how, float x, float scale)
{
    switch (how) {
    case PREFER_FLOOR: return ceilf(x - 0.5f);
    case PREFER_CEIL: return floorf(x + 0.5f);
    case CEIL: return ceilf(x);
    case SIMPLE: return scale < 1 ? ceilf(x) : floorf(x);
    case FLOOR: break;
    }
    return floorf(x);
}

/* Weights of the four neighbours of a point that lies s behind the second. */
static void cubic_weights(float a, float s, double w[TAPS_MAX])
{
    w[0] = ((a * (s + 1) - 5 * a) * (s + 1) + 8 * a) * (s + 1) - 4 * a;
    w[1] = ((a + 2) * s - (a + 3)) * s * s + 1;
    w[2] = ((a + 2) * (1 - s) - (a + 3)) * (1 - s) * (1 - s) + 1;
    w[3] = ((a * (2 - s) - 5 * a) * (2 - s) + 8 * a) * (2 - s) - 4 * a;
}

static int64_t inside(double place, int64_t n)
{
    return !(place > 0) ? 0 : place > (double)(n - 1) ? n - 1 : (int64_t)place;
}

static int32_t tap_count(interpolation mode)
{
    return mode == NEAREST ? 1 : mode == LINEAR ? 2 : 4;
}

/* Taps of one output place: input places and weights. */
static void taps_of(const resizing *r, float x, float scale, int64_t in, int64_t place[TAPS_MAX],
                    double weight[TAPS_MAX])
{
    if (r->mode == NEAREST) {
        place[0] = inside(nearest_place(r->rounding, x, scale), in);
        return;
    }
    if (r->mode == LINEAR) {
        const float at = x < 0 ? 0 : x > (float)(in - 1) ? (float)(in - 1) : x;
        place[0] = inside(floorf(at), in);
        place[1] = inside((double)place[0] + 1, in);
        weight[1] = at - (float)place[0];
        weight[0] = 1 - weight[1];
        return;
    }
    const float first = floorf(x) - 1;
    double sum = 0;
    cubic_weights(r->cubic_a, x - floorf(x), weight);
    for (int i = 0; i < TAPS_MAX; i++) {
        const double at = (double)first + i;
        if (r->excludes_outside && (at < 0 || at > (double)(in - 1))) weight[i] = 0;
        place[i] = inside(at, in);
        sum += weight[i];
    }
    for (int i = 0; r->excludes_outside && i < TAPS_MAX; i++) weight[i] /= sum;
}

static int32_t resize_axis(ftl_onnx_call *c, int32_t x, int32_t axis, const resizing *r)
{
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const int64_t in = d.dim[axis], out = r->size[axis];
    const int32_t n_taps = tap_count(r->mode);
    if (in == 0) return ftl_onnx_refuse(c, FTL_EFORMAT, "axis %d is empty", (int)axis);
    int64_t *places = ftl_onnx_scratch(c, out, TAPS_MAX * sizeof *places);
    double *weights = ftl_onnx_scratch(c, out, TAPS_MAX * sizeof *weights);
    if (!places || !weights) return -1;
    for (int64_t i = 0; i < out; i++) {
        int64_t place[TAPS_MAX] = { 0 };
        double weight[TAPS_MAX] = { 0 };
        taps_of(r, place_of(r, i, r->scale[axis], in, out), r->scale[axis], in, place, weight);
        for (int32_t t = 0; t < n_taps; t++) {
            places[t * out + i] = place[t];
            weights[t * out + i] = weight[t];
        }
    }
    int64_t dim[FTL_MAX_RANK];
    int32_t sum = -1;
    for (int32_t i = 0; i < d.rank; i++) dim[i] = i == axis ? out : 1;
    for (int32_t t = 0; t < n_taps; t++) {
        const int32_t list = ftl_graph_const_i64(c->g, places + t * out, out);
        int32_t part = ftl_emit_gather(c->g, x, list, axis);
        if (r->mode == NEAREST) return part;
        part = ADD(mul, part, ftl_onnx_const_f64(c, d.dtype, d.rank, dim, weights + t * out));
        sum = t ? ADD(add, sum, part) : part;
    }
    return sum;
}

static void resize_all(ftl_onnx_call *c, const resizing *r)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    if (ftl_onnx_failed(c)) return;
    if (r->mode != NEAREST && !ftl_dtype_is_float(d.dtype)) {
        ftl_onnx_refuse(c, FTL_EUNSUPPORTED, "%s of %s; floats are read", mode_names[r->mode],
                        ftl_dtype_name(d.dtype));
        return;
    }
    int32_t y = r->mode == NEAREST ? x : ftl_emit_wide(c->g, x);
    for (int32_t i = 0; i < d.rank && !ftl_onnx_failed(c); i++)
        if (r->scale[i] != 1 || r->size[i] != d.dim[i]) y = resize_axis(c, y, i, r);
    c->out[0] = ftl_emit_convert(c->g, y, d.dtype);
}

/* ---- sizes --------------------------------------------------------------------------------- */

static void set_scale(ftl_onnx_call *c, resizing *r, const ftl_tensor_desc *d, int32_t axis,
                      float scale)
{
    const double size = floor((double)d->dim[axis] * (double)scale);
    if (!(scale > 0 && size <= INT32_MAX)) {
        ftl_onnx_refuse(c, FTL_EFORMAT, "scale %g of axis %d", (double)scale, (int)axis);
        return;
    }
    r->scale[axis] = scale;
    r->size[axis] = (int64_t)size;
}

/* Numbers of an input, or of the attribute that Upsample 7 has; -1: neither. */
static int32_t read_scales(ftl_onnx_call *c, size_t input, float scales[FTL_MAX_RANK])
{
    ftl_onnx_known k;
    if (!ftl_onnx_has(c, input)) return ftl_onnx_attr_floats(c, "scales", scales, FTL_MAX_RANK);
    if (!ftl_onnx_need_known(c, input, FTL_MAX_RANK, &k)) return -1;
    for (int64_t i = 0; i < k.count; i++)
        scales[i] = (float)ftl_element_get(k.desc.dtype, k.data, i);
    return (int32_t)k.count;
}

/* Sizes that keep the aspect ratio share one scale: the smallest or the largest. */
static void set_sizes(ftl_onnx_call *c, resizing *r, const ftl_tensor_desc *d, const int64_t *axes,
                      int32_t n)
{
    const char *policy = ftl_onnx_attr_text(c, "keep_aspect_ratio_policy", "stretch");
    const bool is_smaller = strcmp(policy, "not_larger") == 0;
    const bool is_kept = is_smaller || strcmp(policy, "not_smaller") == 0;
    int64_t sizes[FTL_MAX_RANK];
    const int32_t n_sizes = ftl_onnx_need_ints(c, 3, sizes, FTL_MAX_RANK);
    float common = is_smaller ? INFINITY : 0;
    if (ftl_onnx_failed(c)) return;
    for (int32_t i = 0; i < n && n_sizes == n; i++) {
        const int32_t axis = ftl_onnx_axis(c, axes[i], d->rank);
        const float scale = (float)sizes[i] / (float)d->dim[axis];
        if (sizes[i] < 1 || sizes[i] > INT32_MAX || d->dim[axis] == 0)
            ftl_onnx_refuse(c, FTL_EFORMAT, "size %lld of axis %d", (long long)sizes[i], (int)axis);
        common = is_smaller ? fminf(common, scale) : fmaxf(common, scale);
        r->scale[axis] = scale;
        r->size[axis] = sizes[i];
    }
    if (n_sizes != n) ftl_onnx_refuse(c, FTL_EFORMAT, "%d sizes for %d axes", (int)n_sizes, (int)n);
    for (int32_t i = 0; is_kept && i < n && !ftl_onnx_failed(c); i++) {
        const int32_t axis = ftl_onnx_axis(c, axes[i], d->rank);
        set_scale(c, r, d, axis, common);
        r->size[axis] = (int64_t)floorf(common * (float)d->dim[axis] + 0.5f);
    }
}

/* Scales or sizes of all axes, or of those listed. */
static void read_sizes(ftl_onnx_call *c, resizing *r, size_t scales_input)
{
    const ftl_tensor_desc d = ftl_onnx_desc(c, 0);
    int64_t axes[FTL_MAX_RANK];
    float scales[FTL_MAX_RANK];
    int32_t n = ftl_onnx_attr_ints(c, "axes", axes, FTL_MAX_RANK);
    for (int32_t i = 0; i < d.rank; i++) {
        if (n < 0) axes[i] = i;
        r->scale[i] = 1;
        r->size[i] = d.dim[i];
    }
    if (n < 0) n = d.rank;
    ftl_onnx_axis_mask(c, axes, n, d.rank);
    const int32_t n_scales = read_scales(c, scales_input, scales);
    if (ftl_onnx_failed(c)) return;
    if (n_scales <= 0 && ftl_onnx_has(c, 3)) {
        set_sizes(c, r, &d, axes, n);
        return;
    }
    if (n_scales != n) {
        ftl_onnx_refuse(c, FTL_EFORMAT, "%d scales for %d axes", (int)n_scales, (int)n);
        return;
    }
    for (int32_t i = 0; i < n; i++)
        set_scale(c, r, &d, ftl_onnx_axis(c, axes[i], d.rank), scales[i]);
}

/* ---- the operators ------------------------------------------------------------------------- */

/* Upsample, and Resize 10: places are x / scale. */
static void resize_simply(ftl_onnx_call *c)
{
    resizing r = { .where = ASYMMETRIC, .rounding = SIMPLE };
    r.mode = ftl_onnx_attr_is(c, "mode", "nearest", "bilinear")
                 ? LINEAR
                 : (interpolation)choose(c, "mode", "nearest", mode_names, 2);
    read_sizes(c, &r, 1);
    resize_all(c, &r);
}

void ftl_onnx_op_upsample(ftl_onnx_call *c)
{
    resize_simply(c);
}

void ftl_onnx_op_resize(ftl_onnx_call *c)
{
    if (c->opset < 11) {
        resize_simply(c);
        return;
    }
    resizing r = { .mode = (interpolation)choose(c, "mode", "nearest", mode_names, 3) };
    r.where =
        (coordinate)choose(c, "coordinate_transformation_mode", "half_pixel", coordinate_names, 6);
    r.rounding = (nearest)choose(c, "nearest_mode", "round_prefer_floor", nearest_names, 4);
    r.cubic_a = ftl_onnx_attr_float(c, "cubic_coeff_a", -0.75f);
    r.excludes_outside = ftl_onnx_attr_int(c, "exclude_outside", 0) != 0;
    if (ftl_onnx_attr_int(c, "antialias", 0) != 0)
        ftl_onnx_refuse(c, FTL_EUNSUPPORTED, "antialias is set; export it without");
    if (ftl_onnx_failed(c)) return;
    read_sizes(c, &r, 2);
    resize_all(c, &r);
}
