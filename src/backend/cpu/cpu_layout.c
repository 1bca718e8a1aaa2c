/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights.  A layout is a kind in the low bits and, for convolutions, the groups above:
 * with the weight's own shape that is all that the packing needs. */
#include "backend/cpu/conv.h"
#include "backend/cpu/cpu_program.h"
#include "base/alloc.h"

static ftl_conv2d_shape conv_shape(int32_t layout, const ftl_tensor_desc *w)
{
    const int64_t groups = layout >> CPU_LAYOUT_SHIFT;
    return (ftl_conv2d_shape){ .ic = w->dim[1] * groups,
                               .oc = w->dim[0],
                               .kh = w->dim[2],
                               .kw = w->dim[3],
                               .ih = 1,
                               .iw = 1,
                               .oh = 1,
                               .ow = 1,
                               .stride_h = 1,
                               .stride_w = 1,
                               .dilation_h = 1,
                               .dilation_w = 1,
                               .groups = groups };
}

ftl_status ftl_cpu_layout_bytes(const cpu_device *device, int32_t layout,
                                const ftl_tensor_desc *desc, size_t *bytes)
{
    const int32_t kind = layout & ((1 << CPU_LAYOUT_SHIFT) - 1);
    if (kind == CPU_LAYOUT_ROWS) return ftl_desc_bytes(desc, bytes);
    int64_t floats = -1;
    /* Panels round the rows of each group up to a tile: the tile times the elements bounds them. */
    size_t most;
    FTL_TRY(ftl_desc_bytes(desc, bytes));
    if (!ftl_mul_size(*bytes, (size_t)(device->gemm.tile_m + device->gemm.tile_n), &most) ||
        most > PTRDIFF_MAX)
        return ftl_fail(FTL_ENOMEM, "a weight of %zu bytes cannot be packed", *bytes);
    if (kind == CPU_LAYOUT_LINEAR && desc->rank == 2)
        floats = ftl_gemm_f32_packed_floats(desc->dim[0], desc->dim[1], device->gemm.tile_n);
    const ftl_conv2d_shape shape = kind == CPU_LAYOUT_CONV && desc->rank == 4
                                       ? conv_shape(layout, desc)
                                       : (ftl_conv2d_shape){ 0 };
    if (shape.groups > 0 && shape.oc % shape.groups == 0)
        floats = ftl_conv2d_f32_packed_floats(&device->gemm, &shape);
    if (floats < 0 || desc->dtype != FTL_DTYPE_F32) {
        char text[FTL_DESC_TEXT];
        return ftl_fail(FTL_EINVAL, "%s has no layout %d on the CPU",
                        ftl_desc_print(desc, text, sizeof text), (int)layout);
    }
    *bytes = (size_t)floats * sizeof(float);
    return FTL_OK;
}

void ftl_cpu_layout_pack(const cpu_device *device, int32_t layout, const ftl_tensor_desc *desc,
                         void *dst, const void *src)
{
    const int32_t kind = layout & ((1 << CPU_LAYOUT_SHIFT) - 1);
    if (kind == CPU_LAYOUT_LINEAR) {
        const ftl_gemm_operand b = { .form = FTL_GEMM_COLUMNS, .data = src, .ld = desc->dim[1] };
        ftl_gemm_f32_pack_b(&device->gemm, dst, &b, desc->dim[0], desc->dim[1]);
    } else {
        const ftl_conv2d_shape shape = conv_shape(layout, desc);
        ftl_conv2d_f32_pack(&device->gemm, &shape, dst, src);
    }
}
