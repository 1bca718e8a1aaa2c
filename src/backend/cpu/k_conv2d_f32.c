/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution by its definition: the reference that the fast paths are checked against. */
#include "backend/cpu/kernels.h"

#include "backend/cpu/k_epilogue_f32.h"

/* One output before the ending.  x: the channels of this group, w: the weights of this output. */
static float sum_at(const float *x, const float *w, const ftl_conv2d_shape *s, int64_t oy,
                    int64_t ox)
{
    float sum = 0;
    for (int64_t c = 0; c < s->ic / s->groups; c++)
        for (int64_t ky = 0; ky < s->kh; ky++)
            for (int64_t kx = 0; kx < s->kw; kx++) {
                const int64_t iy = oy * s->stride_h - s->pad_top + ky * s->dilation_h;
                const int64_t ix = ox * s->stride_w - s->pad_left + kx * s->dilation_w;
                const bool is_inside = iy >= 0 && iy < s->ih && ix >= 0 && ix < s->iw;
                const float v = is_inside ? x[(c * s->ih + iy) * s->iw + ix] : 0.0f;
                sum += w[(c * s->kh + ky) * s->kw + kx] * v;
            }
    return sum;
}

void k_conv2d_f32(float *y, const float *x, const float *w, const ftl_conv2d_shape *s,
                  const ftl_epilogue *ending)
{
    const int64_t ic = s->ic / s->groups, oc = s->oc / s->groups, pixels = s->oh * s->ow;
    for (int64_t g = 0; g < s->groups; g++)
        for (int64_t o = g * oc; o < (g + 1) * oc; o++)
            for (int64_t oy = 0; oy < s->oh; oy++)
                for (int64_t ox = 0; ox < s->ow; ox++)
                    y[o * pixels + oy * s->ow + ox] =
                        sum_at(x + g * ic * s->ih * s->iw, w + o * ic * s->kh * s->kw, s, oy, ox);
    k_epilogue_tile(ending, y, pixels, s->oc, pixels);
}
