/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that move elements, and those that reduce them. */
#include <math.h>
#include <string.h>

#include "backend/pjrt/stablehlo_internal.h"

static const ftl_tensor_desc *out_of(const ftl_shlo *e, const ftl_node *node)
{
    return &e->view->tensors[node->out[0]].desc;
}

/* `name = array<i64: ...>`; the empty array has no colon. */
static void put_array(ftl_shlo *e, const char *name, const int64_t *values, int32_t n)
{
    ftl_shlo_put(e, "%s = array<i64%s", name, n ? ": " : "");
    ftl_shlo_put_list(e, "", values, n, ">");
}

/* Ends a statement of one operand. */
static ftl_shlo_value finish1(ftl_shlo *e, ftl_shlo_value value, ftl_shlo_value x)
{
    ftl_shlo_put(e, "} ");
    ftl_shlo_put_signature(e, &x, 1, &value.desc);
    return value;
}

static ftl_shlo_value transpose(ftl_shlo *e, ftl_shlo_value x, const ftl_node *node)
{
    int64_t perm[FTL_MAX_RANK];
    for (int32_t i = 0; i < x.desc.rank; i++) perm[i] = node->attr.perm.perm[i];
    const ftl_shlo_value y = ftl_shlo_begin(e, "stablehlo.transpose", &x, 1, out_of(e, node));
    ftl_shlo_put(e, "{");
    put_array(e, "permutation", perm, x.desc.rank);
    return finish1(e, y, x);
}

static ftl_shlo_value slice(ftl_shlo *e, ftl_shlo_value x, const ftl_node *node)
{
    const ftl_attr_slice *a = &node->attr.slice;
    const ftl_shlo_value y = ftl_shlo_begin(e, "stablehlo.slice", &x, 1, out_of(e, node));
    ftl_shlo_put(e, "{");
    put_array(e, "start_indices", a->start, x.desc.rank);
    ftl_shlo_put(e, ", ");
    put_array(e, "limit_indices", a->limit, x.desc.rank);
    ftl_shlo_put(e, ", ");
    put_array(e, "strides", a->step, x.desc.rank);
    return finish1(e, y, x);
}

static int32_t axes_of(uint32_t mask, int64_t *axes)
{
    int32_t n = 0;
    for (int32_t i = 0; i < FTL_MAX_RANK; i++)
        if (mask >> i & 1) axes[n++] = i;
    return n;
}

static ftl_shlo_value reverse(ftl_shlo *e, ftl_shlo_value x, const ftl_node *node)
{
    int64_t axes[FTL_MAX_RANK];
    const int32_t n = axes_of(node->attr.reduce.axes, axes);
    const ftl_shlo_value y = ftl_shlo_begin(e, "stablehlo.reverse", &x, 1, out_of(e, node));
    ftl_shlo_put(e, "{");
    put_array(e, "dimensions", axes, n);
    return finish1(e, y, x);
}

static ftl_shlo_value pad(ftl_shlo *e, ftl_shlo_value x, const ftl_node *node)
{
    const ftl_attr_pad *a = &node->attr.pad;
    const ftl_shlo_value in[2] = { x, ftl_shlo_scalar(e, x.desc.dtype, a->value) };
    const ftl_shlo_value y = ftl_shlo_begin(e, "stablehlo.pad", in, 2, out_of(e, node));
    ftl_shlo_put(e, "{");
    put_array(e, "edge_padding_low", a->low, x.desc.rank);
    ftl_shlo_put(e, ", ");
    put_array(e, "edge_padding_high", a->high, x.desc.rank);
    ftl_shlo_put(e, ", ");
    put_array(e, "interior_padding", a->interior, x.desc.rank);
    ftl_shlo_put(e, "} ");
    ftl_shlo_put_signature(e, in, 2, &y.desc);
    return y;
}

static ftl_shlo_value concat(ftl_shlo *e, const ftl_node *node)
{
    const ftl_tensor_desc *out = out_of(e, node);
    const ftl_shlo_value y = { .number = e->n_values++, .desc = *out };
    ftl_shlo_put(e, "    ");
    ftl_shlo_put_value(e, y);
    ftl_shlo_put(e, " = \"stablehlo.concatenate\"(");
    for (int32_t i = 0; i < node->n_in; i++) {
        if (i) ftl_shlo_put(e, ", ");
        ftl_shlo_put_value(e, ftl_shlo_in(e, node, i));
    }
    ftl_shlo_put(e, ") {dimension = %d : i64} : (", (int)node->attr.axis.axis);
    for (int32_t i = 0; i < node->n_in; i++) {
        if (i) ftl_shlo_put(e, ", ");
        ftl_shlo_put_type(e, &e->of_tensor[node->in[i]].desc);
    }
    ftl_shlo_put(e, ") -> ");
    ftl_shlo_put_type(e, out);
    ftl_shlo_put(e, "\n");
    return y;
}

/* Counted in integers: a float that counts would lose track above 2^24, f16 above 2^11. */
static ftl_shlo_value iota(ftl_shlo *e, const ftl_node *node)
{
    const ftl_tensor_desc *out = out_of(e, node);
    const int32_t axis = node->attr.shape.axis;
    ftl_tensor_desc whole = *out;
    if (ftl_dtype_is_float(out->dtype) || out->dtype == FTL_DTYPE_BOOL)
        whole.dtype = out->dim[axis] > INT32_MAX ? FTL_DTYPE_I64 : FTL_DTYPE_I32;
    const ftl_shlo_value y = ftl_shlo_begin(e, "stablehlo.iota", NULL, 0, &whole);
    ftl_shlo_put(e, "{iota_dimension = %d : i64} ", (int)axis);
    ftl_shlo_put_signature(e, NULL, 0, &whole);
    if (out->dtype == FTL_DTYPE_BOOL)
        return ftl_shlo_compare(e, "NE", y, ftl_shlo_number(e, &whole, 0));
    return ftl_shlo_cast(e, y, out->dtype);
}

ftl_shlo_value ftl_shlo_move(ftl_shlo *e, const ftl_node *node)
{
    if (node->op == FTL_OP_iota) return iota(e, node);
    if (node->op == FTL_OP_concat) return concat(e, node);
    const ftl_shlo_value x = ftl_shlo_in(e, node, 0);
    switch (node->op) {
    case FTL_OP_reshape: return ftl_shlo_reshape(e, x, out_of(e, node));
    case FTL_OP_broadcast: return ftl_shlo_broadcast(e, x, out_of(e, node));
    case FTL_OP_transpose: return transpose(e, x, node);
    case FTL_OP_slice: return slice(e, x, node);
    case FTL_OP_reverse: return reverse(e, x, node);
    default: return pad(e, x, node);
    }
}

/* ---- by index ------------------------------------------------------------------------------ */

/* XLA clamps an index so that the slice (here of one row) lies inside: our rule too.
 *     data [a.., axis, b..], indices [i..] -> [a.., i.., b..] */
ftl_shlo_value ftl_shlo_gather(ftl_shlo *e, const ftl_node *node)
{
    const ftl_shlo_value in[2] = { ftl_shlo_in(e, node, 0), ftl_shlo_in(e, node, 1) };
    const ftl_tensor_desc *data = &in[0].desc;
    const int32_t axis = node->attr.axis.axis, n_index = in[1].desc.rank;
    int64_t offset[FTL_MAX_RANK], sizes[FTL_MAX_RANK];
    int32_t n_offset = 0;
    for (int32_t i = 0; i < data->rank; i++) {
        sizes[i] = i == axis ? 1 : data->dim[i];
        if (i != axis) offset[n_offset++] = i < axis ? i : i - 1 + n_index;
    }
    const ftl_shlo_value y = ftl_shlo_begin(e, "stablehlo.gather", in, 2, out_of(e, node));
    ftl_shlo_put_list(e, "{dimension_numbers = #stablehlo.gather<offset_dims = [", offset, n_offset,
                      "], ");
    ftl_shlo_put(e, "collapsed_slice_dims = [%d], start_index_map = [%d], index_vector_dim = %d>, ",
                 (int)axis, (int)axis, (int)n_index);
    put_array(e, "slice_sizes", sizes, data->rank);
    ftl_shlo_put(e, ", indices_are_sorted = false} ");
    ftl_shlo_put_signature(e, in, 2, &y.desc);
    return y;
}

/* Opens the region of a statement that combines two scalars: block arguments %p<n>, %q<n>. */
static void put_region(ftl_shlo *e, const char *op, const ftl_tensor_desc *scalar)
{
    const int n = (int)e->n_values++;
    ftl_shlo_put(e, "({\n      ^bb0(%%p%d: ", n);
    ftl_shlo_put_type(e, scalar);
    ftl_shlo_put(e, ", %%q%d: ", n);
    ftl_shlo_put_type(e, scalar);
    ftl_shlo_put(e, "):\n");
    if (op) {
        ftl_shlo_put(e, "        %%r%d = \"%s\"(%%p%d, %%q%d) : (", n, op, n, n);
        ftl_shlo_put_type(e, scalar);
        ftl_shlo_put(e, ", ");
        ftl_shlo_put_type(e, scalar);
        ftl_shlo_put(e, ") -> ");
        ftl_shlo_put_type(e, scalar);
        ftl_shlo_put(e, "\n");
    }
    ftl_shlo_put(e, "        \"stablehlo.return\"(%%%c%d) : (", op ? 'r' : 'q', n);
    ftl_shlo_put_type(e, scalar);
    ftl_shlo_put(e, ") -> ()\n    }) ");
}

/* XLA skips rows whose index lies outside: our rule too. */
static ftl_shlo_value scatter_rows(ftl_shlo *e, ftl_shlo_value data, ftl_shlo_value indices,
                                   ftl_shlo_value rows, bool is_add)
{
    if (indices.desc.dim[0] == 0) return data;
    const ftl_shlo_value in[3] = { data, indices, rows };
    const ftl_tensor_desc scalar = { .dtype = data.desc.dtype };
    const bool is_bool = scalar.dtype == FTL_DTYPE_BOOL;
    int64_t window[FTL_MAX_RANK];
    for (int32_t i = 1; i < data.desc.rank; i++) window[i - 1] = i;
    const ftl_shlo_value y = ftl_shlo_begin(e, "stablehlo.scatter", in, 3, &data.desc);
    put_region(e, !is_add ? NULL : is_bool ? "stablehlo.or" : "stablehlo.add", &scalar);
    ftl_shlo_put_list(e, "{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [",
                      window, data.desc.rank - 1, "], ");
    ftl_shlo_put(e, "inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], "
                    "index_vector_dim = 1>, indices_are_sorted = false, unique_indices = false} ");
    ftl_shlo_put_signature(e, in, 3, &y.desc);
    return y;
}

ftl_shlo_value ftl_shlo_scatter(ftl_shlo *e, const ftl_node *node)
{
    return scatter_rows(e, ftl_shlo_in(e, node, 0), ftl_shlo_in(e, node, 1),
                        ftl_shlo_in(e, node, 2), node->attr.scatter.add != 0);
}

ftl_shlo_value ftl_shlo_kv_write(ftl_shlo *e, const ftl_node *node)
{
    return scatter_rows(e, ftl_shlo_in(e, node, 0), ftl_shlo_in(e, node, 2),
                        ftl_shlo_in(e, node, 1), false);
}

/* ---- reductions ---------------------------------------------------------------------------- */

/* What a reduction of nothing gives. */
static double start_of(ftl_op op)
{
    switch (op) {
    case FTL_OP_reduce_max: return -INFINITY;
    case FTL_OP_reduce_min: return INFINITY;
    case FTL_OP_reduce_prod: return 1;
    default: return 0;
    }
}

static const char *combiner(ftl_op op, bool is_bool)
{
    switch (op) {
    case FTL_OP_reduce_max: return is_bool ? "stablehlo.or" : "stablehlo.maximum";
    case FTL_OP_reduce_min: return is_bool ? "stablehlo.and" : "stablehlo.minimum";
    case FTL_OP_reduce_prod: return is_bool ? "stablehlo.and" : "stablehlo.multiply";
    default: return is_bool ? "stablehlo.or" : "stablehlo.add";
    }
}

ftl_shlo_value ftl_shlo_reduce(ftl_shlo *e, const ftl_node *node)
{
    const ftl_tensor_desc *out = out_of(e, node);
    const ftl_shlo_value x = ftl_shlo_wide(e, ftl_shlo_in(e, node, 0));
    int64_t axes[FTL_MAX_RANK];
    const int32_t n = axes_of(node->attr.reduce.axes, axes);
    /* an integer's extremes come from the clamp of the infinity; of bool, NaN-free, from != 0 */
    const bool is_bool = x.desc.dtype == FTL_DTYPE_BOOL;
    const double start = is_bool && node->op == FTL_OP_reduce_max ? 0 : start_of(node->op);
    const ftl_shlo_value in[2] = { x, ftl_shlo_scalar(e, x.desc.dtype, start) };
    const ftl_tensor_desc scalar = { .dtype = x.desc.dtype };
    ftl_tensor_desc reduced = scalar;
    for (int32_t i = 0; i < x.desc.rank; i++)
        if (!(node->attr.reduce.axes >> i & 1)) reduced.dim[reduced.rank++] = x.desc.dim[i];
    const ftl_shlo_value y = ftl_shlo_begin(e, "stablehlo.reduce", in, 2, &reduced);
    put_region(e, combiner(node->op, is_bool), &scalar);
    ftl_shlo_put(e, "{");
    put_array(e, "dimensions", axes, n);
    ftl_shlo_put(e, "} ");
    ftl_shlo_put_signature(e, in, 2, &reduced);
    reduced = *out;
    reduced.dtype = x.desc.dtype;
    return ftl_shlo_cast(e, ftl_shlo_reshape(e, y, &reduced), out->dtype);
}

/* One statement of the region below, on scalars. */
static void put_step(ftl_shlo *e, int n, const char *result, const char *op, const char *a,
                     const char *b, const char *attributes, const char *types)
{
    ftl_shlo_put(e, "        %%%s%d = \"%s\"(%%%s%d, %%%s%d) %s: %s\n", result, n, op, a, n, b, n,
                 attributes, types);
}

static void put_compare_step(ftl_shlo *e, int n, const char *result, const char *direction,
                             const char *a, const char *b, const char *type)
{
    ftl_shlo_put(e,
                 "        %%%s%d = \"stablehlo.compare\"(%%%s%d, %%%s%d) {comparison_direction = "
                 "#stablehlo<comparison_direction %s>} : (tensor<%s>, tensor<%s>) -> tensor<i1>\n",
                 result, n, a, n, b, n, direction, type, type);
}

/* The pair (value a, index i) or (value b, index j), whichever is larger; NaN is largest, of equals
 * the lower index.  Any order of pairs gives the same, as a parallel reduction needs. */
static void put_larger_region(ftl_shlo *e, const char *type)
{
    static const char bits[] = "(tensor<i1>, tensor<i1>) -> tensor<i1>";
    const int n = (int)e->n_values++;
    ftl_shlo_put(e,
                 "({\n      ^bb0(%%a_%d: tensor<%s>, %%i_%d: tensor<i32>, %%b_%d: tensor<%s>, "
                 "%%j_%d: tensor<i32>):\n",
                 n, type, n, n, type, n);
    put_compare_step(e, n, "an_", "NE", "a_", "a_", type);
    put_compare_step(e, n, "bn_", "NE", "b_", "b_", type);
    put_compare_step(e, n, "gt_", "GT", "a_", "b_", type);
    put_compare_step(e, n, "eq_", "EQ", "a_", "b_", type);
    put_compare_step(e, n, "lo_", "LT", "i_", "j_", "i32");
    put_step(e, n, "nn_", "stablehlo.and", "an_", "bn_", "", bits);
    put_step(e, n, "xn_", "stablehlo.xor", "an_", "nn_", "", bits); /* a alone is NaN */
    put_step(e, n, "wins_", "stablehlo.or", "gt_", "xn_", "", bits);
    put_step(e, n, "same_", "stablehlo.or", "eq_", "nn_", "", bits);
    put_step(e, n, "first_", "stablehlo.and", "same_", "lo_", "", bits);
    put_step(e, n, "take_", "stablehlo.or", "wins_", "first_", "", bits);
    for (int k = 0; k < 2; k++)
        ftl_shlo_put(e,
                     "        %%%s%d = \"stablehlo.select\"(%%take_%d, %%%s%d, %%%s%d) : "
                     "(tensor<i1>, tensor<%s>, tensor<%s>) -> tensor<%s>\n",
                     k ? "ri_" : "rv_", n, n, k ? "i_" : "a_", n, k ? "j_" : "b_", n,
                     k ? "i32" : type, k ? "i32" : type, k ? "i32" : type);
    ftl_shlo_put(e,
                 "        \"stablehlo.return\"(%%rv_%d, %%ri_%d) : (tensor<%s>, tensor<i32>) -> "
                 "()\n    }) ",
                 n, n, type);
}

ftl_shlo_value ftl_shlo_arg_max(ftl_shlo *e, const ftl_node *node)
{
    const ftl_tensor_desc *out = out_of(e, node);
    const int32_t axis = node->attr.axis.axis;
    ftl_shlo_value x = ftl_shlo_wide(e, ftl_shlo_in(e, node, 0));
    if (x.desc.dtype == FTL_DTYPE_BOOL) x = ftl_shlo_cast(e, x, FTL_DTYPE_I32);
    const char *type = ftl_dtype_get_info(x.desc.dtype)->stablehlo;
    ftl_tensor_desc counted = x.desc, values = { .dtype = x.desc.dtype };
    counted.dtype = FTL_DTYPE_I32;
    for (int32_t i = 0; i < x.desc.rank; i++)
        if (i != axis) values.dim[values.rank++] = x.desc.dim[i];
    ftl_tensor_desc found = values;
    found.dtype = FTL_DTYPE_I32;
    const ftl_shlo_value index = ftl_shlo_begin(e, "stablehlo.iota", NULL, 0, &counted);
    ftl_shlo_put(e, "{iota_dimension = %d : i64} ", (int)axis);
    ftl_shlo_put_signature(e, NULL, 0, &counted);
    /* loses against every element, -inf too, by its index */
    const ftl_shlo_value in[4] = { x, index, ftl_shlo_scalar(e, x.desc.dtype, -INFINITY),
                                   ftl_shlo_scalar(e, FTL_DTYPE_I32, INT32_MAX) };
    const int pair = (int)e->n_values++;
    ftl_shlo_put(e, "    %%v%d:2 = \"stablehlo.reduce\"(", pair);
    for (int i = 0; i < 4; i++) {
        if (i) ftl_shlo_put(e, ", ");
        ftl_shlo_put_value(e, in[i]);
    }
    ftl_shlo_put(e, ") ");
    put_larger_region(e, type);
    ftl_shlo_put(e, "{dimensions = array<i64: %d>} : (", (int)axis);
    for (int i = 0; i < 4; i++) {
        if (i) ftl_shlo_put(e, ", ");
        ftl_shlo_put_type(e, &in[i].desc);
    }
    ftl_shlo_put(e, ") -> (");
    ftl_shlo_put_type(e, &values);
    ftl_shlo_put(e, ", ");
    ftl_shlo_put_type(e, &found);
    ftl_shlo_put(e, ")\n");
    /* a value of its own, so that the name needs no "#1" elsewhere */
    const ftl_shlo_value y = { .number = e->n_values++, .desc = *out };
    ftl_shlo_put(e, "    ");
    ftl_shlo_put_value(e, y);
    ftl_shlo_put(e, " = \"stablehlo.reshape\"(%%v%d#1) : (", pair);
    ftl_shlo_put_type(e, &found);
    ftl_shlo_put(e, ") -> ");
    ftl_shlo_put_type(e, out);
    ftl_shlo_put(e, "\n");
    return y;
}
