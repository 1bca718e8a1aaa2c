/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of the elementwise and the moving rows.  d is the gradient of the output y and has its
 * shape; every rule gives each input a gradient of that input's shape. */
#include <math.h>

#include "core/emit.h"
#include "core/grad_internal.h"
#include "core/rules.h"

#define ADD(row, ...) FTL_ADD(g, row, NULL, __VA_ARGS__)

int32_t ftl_grad_unbroadcast(ftl_graph *g, int32_t d, int32_t like)
{
    const ftl_tensor_desc from = ftl_emit_desc(g, d), to = ftl_emit_desc(g, like);
    const int32_t shift = from.rank - to.rank;
    uint32_t axes = 0;
    for (int32_t i = 0; i < from.rank; i++)
        if (i < shift || (to.dim[i - shift] == 1 && from.dim[i] != 1)) axes |= 1u << i;
    if (axes) d = ftl_emit_reduce(g, FTL_OP_reduce_sum, d, axes, 1);
    return ftl_emit_reshape(g, d, to.rank, to.dim);
}

/* Both inputs of a broadcasting row. */
static ftl_status give2(ftl_graph *g, const ftl_node *n, int32_t a, int32_t b, int32_t *d_in)
{
    d_in[0] = ftl_grad_unbroadcast(g, a, n->in[0]);
    d_in[1] = ftl_grad_unbroadcast(g, b, n->in[1]);
    return ftl_graph_status(g);
}

static ftl_status give(ftl_graph *g, int32_t d, int32_t *d_in)
{
    d_in[0] = d;
    return ftl_graph_status(g);
}

/* ---- elementwise, two inputs --------------------------------------------------------------- */

ftl_status ftl_grad_add(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    return give2(g, n, d[0], d[0], d_in);
}

ftl_status ftl_grad_sub(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    return give2(g, n, d[0], ADD(neg, d[0]), d_in);
}

ftl_status ftl_grad_mul(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    return give2(g, n, ADD(mul, d[0], n->in[1]), ADD(mul, d[0], n->in[0]), d_in);
}

/* y = a / b: da = d / b, db = -da * y */
ftl_status ftl_grad_div(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const int32_t da = ADD(div, d[0], n->in[1]);
    return give2(g, n, da, ADD(neg, ADD(mul, da, n->out[0])), d_in);
}

/* c ? d : 0 and c ? 0 : d */
static ftl_status give_by(ftl_graph *g, const ftl_node *n, int32_t c, int32_t d, int32_t *d_in)
{
    return give2(g, n, ftl_emit_select_else(g, c, d, 0), ftl_emit_select_then(g, c, 0, d), d_in);
}

/* Where both are equal the second input gets it all, so that max(x, 0) has slope 0 at 0. */
ftl_status ftl_grad_max(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    return give_by(g, n, ADD(less, n->in[1], n->in[0]), d[0], d_in);
}

ftl_status ftl_grad_min(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    return give_by(g, n, ADD(less, n->in[0], n->in[1]), d[0], d_in);
}

/* da = d * b * a^(b - 1), db = d * y * ln a, taken as 0 where a <= 0 */
ftl_status ftl_grad_pow(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const int32_t a = n->in[0], b = n->in[1];
    const int32_t slope = ADD(mul, b, ADD(pow, a, ftl_emit_add(g, b, -1)));
    const int32_t is_positive = ADD(less, ftl_emit_number(g, a, 0), a);
    const int32_t log_a = ADD(log, ftl_emit_select_else(g, is_positive, a, 1));
    return give2(g, n, ADD(mul, d[0], slope), ADD(mul, d[0], ADD(mul, n->out[0], log_a)), d_in);
}

ftl_status ftl_grad_select(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const int32_t x = ftl_emit_select_else(g, n->in[0], d[0], 0);
    const int32_t y = ftl_emit_select_then(g, n->in[0], 0, d[0]);
    d_in[1] = ftl_grad_unbroadcast(g, x, n->in[1]);
    d_in[2] = ftl_grad_unbroadcast(g, y, n->in[2]);
    return ftl_graph_status(g);
}

/* ---- elementwise, one input ---------------------------------------------------------------- */

ftl_status ftl_grad_neg(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    (void)n;
    return give(g, ADD(neg, d[0]), d_in);
}

ftl_status ftl_grad_abs(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    return give(g, ADD(mul, d[0], ADD(sign, n->in[0])), d_in);
}

ftl_status ftl_grad_exp(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    return give(g, ADD(mul, d[0], n->out[0]), d_in);
}

ftl_status ftl_grad_log(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    return give(g, ADD(div, d[0], n->in[0]), d_in);
}

/* d / (2 y) */
ftl_status ftl_grad_sqrt(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    return give(g, ADD(div, ftl_emit_mul(g, d[0], 0.5), n->out[0]), d_in);
}

/* -d y^3 / 2 */
ftl_status ftl_grad_rsqrt(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const int32_t y = n->out[0], cube = ADD(mul, ADD(mul, y, y), y);
    return give(g, ADD(mul, d[0], ftl_emit_mul(g, cube, -0.5)), d_in);
}

int32_t ftl_grad_from_tanh(ftl_graph *g, int32_t y, int32_t d)
{
    return ADD(mul, d, ADD(sub, ftl_emit_number(g, y, 1), ADD(mul, y, y)));
}

int32_t ftl_grad_from_sigmoid(ftl_graph *g, int32_t y, int32_t d)
{
    return ADD(mul, d, ADD(mul, y, ADD(sub, ftl_emit_number(g, y, 1), y)));
}

ftl_status ftl_grad_tanh(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    return give(g, ftl_grad_from_tanh(g, n->out[0], d[0]), d_in);
}

ftl_status ftl_grad_sigmoid(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    return give(g, ftl_grad_from_sigmoid(g, n->out[0], d[0]), d_in);
}

/* d * 2 / sqrt(pi) * exp(-x^2) */
ftl_status ftl_grad_erf(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const int32_t x = n->in[0], bell = ADD(exp, ADD(neg, ADD(mul, x, x)));
    return give(g, ADD(mul, d[0], ftl_emit_mul(g, bell, 2 / sqrt(M_PI))), d_in);
}

ftl_status ftl_grad_sin(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    return give(g, ADD(mul, d[0], ADD(cos, n->in[0])), d_in);
}

ftl_status ftl_grad_cos(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    return give(g, ADD(neg, ADD(mul, d[0], ADD(sin, n->in[0]))), d_in);
}

ftl_status ftl_grad_convert(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const ftl_dtype dtype = ftl_emit_desc(g, n->in[0]).dtype;
    return give(g, ftl_dtype_is_float(dtype) ? ftl_emit_convert(g, d[0], dtype) : -1, d_in);
}

ftl_status ftl_grad_keep(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    (void)n;
    return give(g, d[0], d_in);
}

ftl_status ftl_grad_activation(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const ftl_dtype dtype = ftl_emit_desc(g, n->in[0]).dtype;
    const int32_t x = ftl_emit_wide(g, n->in[0]), wide_d = ftl_emit_wide(g, d[0]);
    return give(g, ftl_emit_convert(g, ftl_emit_act_grad(g, x, wide_d, &n->attr.act), dtype), d_in);
}

/* ---- shape and movement -------------------------------------------------------------------- */

ftl_status ftl_grad_reshape(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const ftl_tensor_desc x = ftl_emit_desc(g, n->in[0]);
    return give(g, ftl_emit_reshape(g, d[0], x.rank, x.dim), d_in);
}

ftl_status ftl_grad_broadcast(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    return give(g, ftl_grad_unbroadcast(g, d[0], n->in[0]), d_in);
}

ftl_status ftl_grad_transpose(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    int32_t inverse[FTL_MAX_RANK] = { 0 };
    const int32_t rank = ftl_emit_desc(g, n->in[0]).rank;
    for (int32_t i = 0; i < rank; i++) inverse[n->attr.perm.perm[i]] = i;
    return give(g, ftl_emit_transpose(g, d[0], inverse), d_in);
}

/* Zeros where nothing was taken. */
ftl_status ftl_grad_slice(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const ftl_tensor_desc x = ftl_emit_desc(g, n->in[0]), y = ftl_emit_desc(g, d[0]);
    const ftl_attr_slice *a = &n->attr.slice;
    if (ftl_desc_count_checked(&y) == 0) return give(g, ftl_emit_full(g, &x, 0), d_in);
    ftl_attr back = ftl_attr_blank();
    for (int32_t i = 0; i < x.rank; i++) {
        back.pad.low[i] = a->start[i];
        back.pad.interior[i] = a->step[i] - 1;
        back.pad.high[i] = x.dim[i] - a->start[i] - (y.dim[i] - 1) * a->step[i] - 1;
    }
    return give(g, FTL_ADD(g, pad, &back, d[0]), d_in);
}

ftl_status ftl_grad_reverse(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    return give(g, FTL_ADD(g, reverse, &n->attr, d[0]), d_in);
}

ftl_status ftl_grad_pad(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const ftl_tensor_desc x = ftl_emit_desc(g, n->in[0]);
    const ftl_attr_pad *a = &n->attr.pad;
    ftl_attr back = ftl_attr_blank();
    for (int32_t i = 0; i < x.rank; i++) {
        back.slice.start[i] = a->low[i];
        back.slice.step[i] = a->interior[i] + 1;
        back.slice.limit[i] = a->low[i];
        if (x.dim[i] > 0) back.slice.limit[i] += (x.dim[i] - 1) * back.slice.step[i] + 1;
    }
    return give(g, FTL_ADD(g, slice, &back, d[0]), d_in);
}

ftl_status ftl_grad_concat(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const int32_t axis = n->attr.axis.axis;
    int64_t first = 0;
    for (int32_t i = 0; i < n->n_in; i++) {
        const int64_t size = ftl_emit_desc(g, n->in[i]).dim[axis];
        d_in[i] = ftl_emit_slice(g, d[0], axis, first, first + size, 1);
        first += size;
    }
    return ftl_graph_status(g);
}

/* Rows of d are added to the rows that were taken.  data [P,S,Q], indices [I], d [P,I,Q]: with
 * the axis in front, data [S,P,Q] and d [I,P,Q], it is one scatter. */
ftl_status ftl_grad_gather(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    static const int32_t swap[3] = { 1, 0, 2 };
    const ftl_tensor_desc x = ftl_emit_desc(g, n->in[0]), index = ftl_emit_desc(g, n->in[1]);
    const int32_t axis = n->attr.axis.axis;
    const int64_t count = ftl_desc_count_checked(&index), size = x.dim[axis];
    if (count == 0 || size == 0) return give(g, ftl_emit_full(g, &x, 0), d_in);
    const int64_t outer = ftl_desc_span(&x, 0, axis), inner = ftl_desc_span(&x, axis + 1, x.rank);
    const int64_t split[3] = { outer, count, inner };
    const ftl_tensor_desc zeros = { .dtype = x.dtype, .rank = 3, .dim = { size, outer, inner } };
    const int32_t rows = ftl_emit_transpose(g, ftl_emit_reshape(g, d[0], 3, split), swap);
    int32_t indices = ftl_emit_reshape(g, n->in[1], 1, &count);
    indices = ADD(max, indices, ftl_emit_number(g, indices, 0)); /* gather clamps as well */
    indices = ADD(min, indices, ftl_emit_number(g, indices, (double)(size - 1)));
    ftl_attr add = ftl_attr_blank();
    add.scatter.add = 1;
    const int32_t sum = FTL_ADD(g, scatter, &add, ftl_emit_full(g, &zeros, 0), indices, rows);
    return give(g, ftl_emit_reshape(g, ftl_emit_transpose(g, sum, swap), x.rank, x.dim), d_in);
}
