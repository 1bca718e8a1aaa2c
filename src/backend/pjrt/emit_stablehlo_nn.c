/* SPDX-License-Identifier: Apache-2.0 */
/* Products and windows.  Products of f16 and bf16 are summed and returned in f32 and rounded after
 * their epilogue; f32 products ask for full precision unless the caller allows less. */
#include <math.h>
#include <string.h>

#include "backend/pjrt/stablehlo_internal.h"
#include "base/alloc.h"

static const ftl_tensor_desc *out_of(const ftl_shlo *e, const ftl_node *node)
{
    return &e->view->tensors[node->out[0]].desc;
}

static void put_precision(ftl_shlo *e)
{
    const char *name = e->is_fast ? "DEFAULT" : "HIGHEST";
    ftl_shlo_put(e, "precision_config = [#stablehlo<precision %s>, #stablehlo<precision %s>]} ",
                 name, name);
}

/* act(y + bias + residual) in the type of the sums, then rounded.  map: the bias's axis in y. */
static ftl_shlo_value epilogue(ftl_shlo *e, const ftl_node *node, ftl_shlo_value y, int64_t map,
                               const ftl_attr_act *act)
{
    const ftl_dtype wide = y.desc.dtype;
    if (ftl_shlo_has(node, 2)) {
        const ftl_shlo_value bias = ftl_shlo_cast(e, ftl_shlo_in(e, node, 2), wide);
        y = ftl_shlo_op2(e, "stablehlo.add", y, ftl_shlo_broadcast_axes(e, bias, &map, &y.desc));
    }
    if (ftl_shlo_has(node, 3))
        y = ftl_shlo_op2(e, "stablehlo.add", y, ftl_shlo_cast(e, ftl_shlo_in(e, node, 3), wide));
    return ftl_shlo_cast(e, ftl_shlo_act(e, y, act), out_of(e, node)->dtype);
}

/* ---- dot_general --------------------------------------------------------------------------- */

/* Axes [0, n_batch) run along; contracts axis a_k of a with b_k of b.
 * Result: [batch.., other axes of a.., other axes of b..] of that type. */
static ftl_shlo_value dot(ftl_shlo *e, const ftl_shlo_value in[2], int32_t n_batch, int32_t a_k,
                          int32_t b_k, ftl_dtype dtype)
{
    ftl_tensor_desc out = { .dtype = dtype };
    int64_t batch[FTL_MAX_RANK];
    for (int32_t i = 0; i < n_batch; i++) {
        batch[i] = i;
        out.dim[out.rank++] = in[0].desc.dim[i];
    }
    for (int k = 0; k < 2; k++)
        for (int32_t i = n_batch; i < in[k].desc.rank; i++)
            if (i != (k ? b_k : a_k)) out.dim[out.rank++] = in[k].desc.dim[i];
    const ftl_shlo_value y = ftl_shlo_begin(e, "stablehlo.dot_general", in, 2, &out);
    ftl_shlo_put(e, "{dot_dimension_numbers = #stablehlo.dot<");
    if (n_batch) {
        ftl_shlo_put_list(e, "lhs_batching_dimensions = [", batch, n_batch, "], ");
        ftl_shlo_put_list(e, "rhs_batching_dimensions = [", batch, n_batch, "], ");
    }
    ftl_shlo_put(e, "lhs_contracting_dimensions = [%d], rhs_contracting_dimensions = [%d]>, ",
                 (int)a_k, (int)b_k);
    put_precision(e);
    ftl_shlo_put_signature(e, in, 2, &out);
    return y;
}

/* The leading axes of x become those of `out`; the last two stay. */
static ftl_shlo_value to_batch(ftl_shlo *e, ftl_shlo_value x, const ftl_tensor_desc *out)
{
    ftl_tensor_desc wanted = *out;
    wanted.dim[out->rank - 2] = x.desc.dim[x.desc.rank - 2];
    wanted.dim[out->rank - 1] = x.desc.dim[x.desc.rank - 1];
    return ftl_shlo_broadcast(e, x, &wanted);
}

/* Sums of bool products are "any of them": counted in i32, which a dot of i1 does not promise. */
static ftl_shlo_value dot_any(ftl_shlo *e, const ftl_shlo_value in[2], int32_t n_batch, int32_t a_k,
                              int32_t b_k)
{
    const ftl_dtype dtype = in[0].desc.dtype;
    if (dtype != FTL_DTYPE_BOOL) return dot(e, in, n_batch, a_k, b_k, ftl_shlo_wide_dtype(dtype));
    const ftl_shlo_value counts[2] = { ftl_shlo_cast(e, in[0], FTL_DTYPE_I32),
                                       ftl_shlo_cast(e, in[1], FTL_DTYPE_I32) };
    const ftl_shlo_value sum = dot(e, counts, n_batch, a_k, b_k, FTL_DTYPE_I32);
    return ftl_shlo_compare(e, "NE", sum, ftl_shlo_number(e, &sum.desc, 0));
}

ftl_shlo_value ftl_shlo_matmul(ftl_shlo *e, const ftl_node *node)
{
    const ftl_tensor_desc *out = out_of(e, node);
    const ftl_attr_matmul *t = &node->attr.matmul;
    ftl_shlo_value in[2] = { ftl_shlo_in(e, node, 0), ftl_shlo_in(e, node, 1) };
    int32_t n_batch = 0;
    /* a matrix on the right needs no copies of it: the leading axes of a are rows like M */
    if (in[1].desc.rank > 2 || (in[0].desc.rank > 2 && t->trans_a)) {
        n_batch = out->rank - 2;
        in[0] = to_batch(e, in[0], out);
        in[1] = to_batch(e, in[1], out);
    }
    const int32_t a_k = in[0].desc.rank - (t->trans_a ? 2 : 1),
                  b_k = in[1].desc.rank - (t->trans_b ? 1 : 2);
    return ftl_shlo_cast(e, dot_any(e, in, n_batch, a_k, b_k), out->dtype);
}

ftl_shlo_value ftl_shlo_linear(ftl_shlo *e, const ftl_node *node)
{
    const ftl_shlo_value in[2] = { ftl_shlo_in(e, node, 0), ftl_shlo_in(e, node, 1) };
    const int32_t last = in[0].desc.rank - 1;
    const ftl_shlo_value y = dot(e, in, 0, last, 1, ftl_shlo_wide_dtype(in[0].desc.dtype));
    return epilogue(e, node, y, last, &node->attr.act);
}

/* ---- convolution --------------------------------------------------------------------------- */

static ftl_shlo_value convolve(ftl_shlo *e, const ftl_node *node)
{
    const ftl_attr_conv *a = &node->attr.conv;
    const ftl_shlo_value in[2] = { ftl_shlo_in(e, node, 0), ftl_shlo_in(e, node, 1) };
    ftl_tensor_desc out = *out_of(e, node);
    out.dtype = ftl_shlo_wide_dtype(out.dtype);
    if (in[1].desc.dim[1] == 0) return ftl_shlo_number(e, &out, 0); /* sums of nothing */
    const ftl_shlo_value y = ftl_shlo_begin(e, "stablehlo.convolution", in, 2, &out);
    ftl_shlo_put(e,
                 "{window_strides = array<i64: %d, %d>, padding = dense<[[%d, %d], [%d, %d]]> : "
                 "tensor<2x2xi64>, lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: %d, "
                 "%d>, window_reversal = array<i1: false, false>, dimension_numbers = "
                 "#stablehlo.conv<[b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1]>, feature_group_count = "
                 "%d : i64, batch_group_count = 1 : i64, ",
                 (int)a->stride[0], (int)a->stride[1], (int)a->pad[0], (int)a->pad[2],
                 (int)a->pad[1], (int)a->pad[3], (int)a->dilation[0], (int)a->dilation[1],
                 (int)a->groups);
    put_precision(e);
    ftl_shlo_put_signature(e, in, 2, &out);
    return y;
}

ftl_shlo_value ftl_shlo_conv2d(ftl_shlo *e, const ftl_node *node)
{
    return ftl_shlo_cast(e, convolve(e, node), out_of(e, node)->dtype);
}

ftl_shlo_value ftl_shlo_conv(ftl_shlo *e, const ftl_node *node)
{
    return epilogue(e, node, convolve(e, node), 1, &node->attr.conv.act);
}

/* ---- pools --------------------------------------------------------------------------------- */

static ftl_shlo_value reduce_window(ftl_shlo *e, const ftl_node *node, ftl_shlo_value x,
                                    const char *combiner, double start)
{
    const ftl_attr_pool *a = &node->attr.pool;
    const ftl_shlo_value in[2] = { x, ftl_shlo_scalar(e, x.desc.dtype, start) };
    const char *type = ftl_dtype_get_info(x.desc.dtype)->stablehlo;
    ftl_tensor_desc out = *out_of(e, node);
    out.dtype = x.desc.dtype;
    const ftl_shlo_value y = ftl_shlo_begin(e, "stablehlo.reduce_window", in, 2, &out);
    const int n = (int)e->n_values++;
    ftl_shlo_put(e,
                 "({\n      ^bb0(%%p%d: tensor<%s>, %%q%d: tensor<%s>):\n        %%r%d = \"%s\"("
                 "%%p%d, %%q%d) : (tensor<%s>, tensor<%s>) -> tensor<%s>\n        "
                 "\"stablehlo.return\"(%%r%d) : (tensor<%s>) -> ()\n    }) ",
                 n, type, n, type, n, combiner, n, n, type, type, type, n, type);
    ftl_shlo_put(e,
                 "{window_dimensions = array<i64: 1, 1, %d, %d>, window_strides = array<i64: 1, "
                 "1, %d, %d>, base_dilations = array<i64: 1, 1, 1, 1>, window_dilations = "
                 "array<i64: 1, 1, %d, %d>, padding = dense<[[0, 0], [0, 0], [%d, %d], [%d, %d]]> "
                 ": tensor<4x2xi64>} ",
                 (int)a->kernel[0], (int)a->kernel[1], (int)a->stride[0], (int)a->stride[1],
                 (int)a->dilation[0], (int)a->dilation[1], (int)a->pad[0], (int)a->pad[2],
                 (int)a->pad[1], (int)a->pad[3]);
    ftl_shlo_put_signature(e, in, 2, &out);
    return y;
}

ftl_shlo_value ftl_shlo_max_pool2d(ftl_shlo *e, const ftl_node *node)
{
    return reduce_window(e, node, ftl_shlo_in(e, node, 0), "stablehlo.maximum", -INFINITY);
}

/* How many elements of the window at each position of one axis count. */
static ftl_shlo_value window_counts(ftl_shlo *e, const ftl_node *node, int axis, ftl_dtype dtype)
{
    const ftl_attr_pool *a = &node->attr.pool;
    const int64_t size = ftl_shlo_in(e, node, 0).desc.dim[2 + axis];
    const ftl_tensor_desc desc = { .dtype = dtype,
                                   .rank = 1,
                                   .dim = { out_of(e, node)->dim[2 + axis] } };
    void *counts = ftl_calloc((size_t)desc.dim[0], ftl_dtype_bytes(dtype));
    if (!counts) return ftl_shlo_fail(e, ftl_fail(FTL_ENOMEM, "no memory for window counts"));
    for (int64_t o = 0; o < desc.dim[0]; o++) {
        int64_t n = 0;
        for (int64_t k = 0; k < a->kernel[axis]; k++) {
            const int64_t at = o * a->stride[axis] - a->pad[axis] + k * a->dilation[axis];
            n += at >= -(int64_t)a->count_pad[axis] && at < size + a->count_pad[2 + axis];
        }
        ftl_element_set(dtype, counts, o, (double)n);
    }
    const ftl_shlo_value value = ftl_shlo_constant(e, &desc, counts);
    ftl_free(counts);
    return value;
}

/* Elements that count in a window = those in its rows times those in its columns. */
ftl_shlo_value ftl_shlo_avg_pool2d(ftl_shlo *e, const ftl_node *node)
{
    const int64_t rows = 2, columns = 3;
    const ftl_shlo_value x = ftl_shlo_wide(e, ftl_shlo_in(e, node, 0));
    const ftl_shlo_value sum = reduce_window(e, node, x, "stablehlo.add", 0);
    const ftl_shlo_value high = window_counts(e, node, 0, x.desc.dtype),
                         wide = window_counts(e, node, 1, x.desc.dtype);
    const ftl_shlo_value count =
        ftl_shlo_op2(e, "stablehlo.multiply", ftl_shlo_broadcast_axes(e, high, &rows, &sum.desc),
                     ftl_shlo_broadcast_axes(e, wide, &columns, &sum.desc));
    const ftl_shlo_value mean = ftl_shlo_op2(e, "stablehlo.divide", sum, count);
    return ftl_shlo_cast(e, mean, out_of(e, node)->dtype);
}
