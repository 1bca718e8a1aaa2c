/* SPDX-License-Identifier: Apache-2.0 */
/* The table, and the builders of the small rows. */
#include "support/op_cases.h"

#include <math.h>
#include <stdio.h>

#include "core/emit.h"

/* Zeros of both signs, ties of rounding, borders of the integer types, NaN and infinities. */
static const double edges[] = { 0,     -0.0,   1,     -1,    0.5,    -0.5,       1.5,
                                2.5,   -2.5,   3.5,   NAN,   1e30,   INFINITY,   -INFINITY,
                                1e-30, -1e-30, -1e30, 127.5, 128,    -128.5,     -129,
                                255.7, 256,    3e9,   1e19,  2e19,   2147483648, -2147483648.0,
                                -1e19, 65504,  7,     -7,    -32769, 65536,      4294967296 };
enum { N_EDGES = sizeof edges / sizeof edges[0] };

static int32_t add_source(ftl_op_build *b, ftl_tensor_kind kind, const ftl_tensor_desc *desc,
                          ftl_op_fill fill)
{
    char name[16];
    snprintf(name, sizeof name, "x%d", (int)b->n_sources);
    b->fill[b->n_sources++ % FTL_OP_CASE_SOURCES] = fill;
    if (kind == FTL_TENSOR_WEIGHT)
        return ftl_graph_weight(b->graph, name, desc, NULL, (ftl_init){ FTL_INIT_FILL, 0, 0 });
    if (kind == FTL_TENSOR_PARAM) return ftl_graph_param(b->graph, name, desc);
    return ftl_graph_input(b->graph, name, desc);
}

static ftl_tensor_desc desc_of(ftl_dtype dtype, int32_t rank, const int64_t *dim)
{
    ftl_tensor_desc desc = { .dtype = dtype, .rank = rank };
    for (int32_t i = 0; i < rank; i++) desc.dim[i] = dim[i];
    return desc;
}

int32_t ftl_op_source_range(ftl_op_build *b, ftl_tensor_kind kind, ftl_dtype dtype, int32_t rank,
                            const int64_t *dim, double low, double high)
{
    const ftl_tensor_desc desc = desc_of(dtype, rank, dim);
    return add_source(b, kind, &desc, (ftl_op_fill){ .low = low, .high = high });
}

int32_t ftl_op_source_list(ftl_op_build *b, ftl_dtype dtype, int32_t rank, const int64_t *dim,
                           const double *values, int32_t n)
{
    const ftl_tensor_desc desc = desc_of(dtype, rank, dim);
    return add_source(b, FTL_TENSOR_INPUT, &desc, (ftl_op_fill){ .values = values, .n_values = n });
}

int32_t ftl_op_source(ftl_op_build *b, ftl_tensor_kind kind, ftl_dtype dtype, int32_t rank,
                      const int64_t *dim)
{
    if (dtype == FTL_DTYPE_BOOL) return ftl_op_source_range(b, kind, dtype, rank, dim, 0, 2);
    if (b->of->range[0] < b->of->range[1])
        return ftl_op_source_range(b, kind, dtype, rank, dim, b->of->range[0], b->of->range[1]);
    return ftl_op_source_list(b, dtype, rank, dim, edges, N_EDGES);
}

static int32_t input(ftl_op_build *b, int32_t rank, const int64_t *dim)
{
    return ftl_op_source(b, FTL_TENSOR_INPUT, b->of->dtype, rank, dim);
}

static void result(ftl_op_build *b, int32_t tensor)
{
    ftl_graph_output(b->graph, "y", tensor);
}

/* ---- elementwise --------------------------------------------------------------------------- */

/* 0: equal shapes; 1: both broadcast, so that every edge meets every other; 2: a scalar and a
 * longer rank; 3: no elements; 4: scalars. */
static void build_binary(ftl_op_build *b)
{
    int32_t x, y;
    switch (b->of->variant) {
    case 1:
        x = input(b, FTL_DIMS(2, N_EDGES, 1));
        y = input(b, FTL_DIMS(N_EDGES));
        break;
    case 2:
        x = input(b, 0, NULL);
        y = input(b, FTL_DIMS(3, 1, 5));
        break;
    case 3:
        x = input(b, FTL_DIMS(0, 4));
        y = input(b, FTL_DIMS(4));
        break;
    case 4:
        x = input(b, 0, NULL);
        y = input(b, 0, NULL);
        break;
    default:
        x = input(b, FTL_DIMS(3, 33));
        y = input(b, FTL_DIMS(3, 33));
        break;
    }
    const int32_t in[2] = { x, y };
    result(b, ftl_graph_add(b->graph, b->of->op, NULL, in, 2));
}

/* variant: rank of the input, all dims odd. */
static void build_unary(ftl_op_build *b)
{
    static const int64_t dim[4] = { 71, 3, 1, 2 };
    const int32_t x = input(b, b->of->variant, dim);
    result(b, ftl_graph_add(b->graph, b->of->op, NULL, &x, 1));
}

static void build_select(ftl_op_build *b)
{
    const bool wide = b->of->variant != 0;
    const int32_t c = wide ? ftl_op_source(b, FTL_TENSOR_INPUT, FTL_DTYPE_BOOL, FTL_DIMS(2, 1, 5))
                           : ftl_op_source(b, FTL_TENSOR_INPUT, FTL_DTYPE_BOOL, 0, NULL);
    const int32_t x = input(b, FTL_DIMS(3, 1)), y = input(b, FTL_DIMS(5));
    result(b, FTL_ADD(b->graph, select, NULL, c, x, y));
}

/* variant: the type to convert to. */
static void build_convert(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    attr.convert.dtype = (ftl_dtype)b->of->variant;
    result(b, FTL_ADD(b->graph, convert, &attr, input(b, FTL_DIMS(3, 47))));
}

/* variant: the activation. */
static void build_activation(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    attr.act.kind = b->of->variant;
    attr.act.alpha = b->of->variant == FTL_ACT_CLIP ? -0.5f : 0.25f;
    attr.act.beta = b->of->variant == FTL_ACT_HARD_SIGMOID ? 0.5f : 1.25f;
    result(b, FTL_ADD(b->graph, activation, &attr, input(b, FTL_DIMS(3, 35))));
}

/* ---- movement ------------------------------------------------------------------------------ */

static void build_reshape(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    const int64_t dim[2][3] = { { 4, 3, 5 }, { 1, 1, 1 } };
    const bool is_scalar = b->of->variant == 1;
    attr.shape.rank = 3;
    for (int i = 0; i < 3; i++) attr.shape.dim[i] = dim[is_scalar][i];
    const int32_t x = is_scalar ? input(b, 0, NULL) : input(b, FTL_DIMS(5, 12));
    result(b, FTL_ADD(b->graph, reshape, &attr, x));
}

static void build_broadcast(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    const int64_t dim[3] = { 4, 3, 5 };
    attr.shape.rank = 3;
    for (int i = 0; i < 3; i++) attr.shape.dim[i] = dim[i];
    const int32_t x = b->of->variant == 1   ? input(b, 0, NULL)
                      : b->of->variant == 2 ? input(b, FTL_DIMS(4, 3, 5))
                                            : input(b, FTL_DIMS(3, 1));
    result(b, FTL_ADD(b->graph, broadcast, &attr, x));
}

static void build_transpose(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    const int32_t perm[2][4] = { { 2, 0, 3, 1 }, { 1, 0 } };
    for (int i = 0; i < 4; i++) attr.perm.perm[i] = perm[b->of->variant][i];
    const int32_t x = b->of->variant ? input(b, FTL_DIMS(37, 41)) : input(b, FTL_DIMS(2, 3, 5, 7));
    result(b, FTL_ADD(b->graph, transpose, &attr, x));
}

static void build_slice(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    const int64_t limits[2] = { 4, 9 };
    for (int i = 0; i < 2; i++) {
        attr.slice.start[i] = 1 + i;
        attr.slice.limit[i] = b->of->variant ? attr.slice.start[i] : limits[i];
        attr.slice.step[i] = 1 + 2 * i;
    }
    result(b, FTL_ADD(b->graph, slice, &attr, input(b, FTL_DIMS(5, 11))));
}

static void build_reverse(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    attr.reduce.axes = (uint32_t)b->of->variant;
    result(b, FTL_ADD(b->graph, reverse, &attr, input(b, FTL_DIMS(3, 4, 5))));
}

static void build_pad(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    for (int i = 0; i < 2; i++) {
        attr.pad.low[i] = 1;
        attr.pad.high[i] = 2 * i;
        attr.pad.interior[i] = i + b->of->variant;
    }
    attr.pad.value = b->of->variant ? -INFINITY : 2.5;
    result(b, FTL_ADD(b->graph, pad, &attr, input(b, FTL_DIMS(3, 4))));
}

/* variant: how many, in turns of 1 and 3 wide along the axis. */
static void build_concat(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    int32_t in[5];
    attr.axis.axis = 1;
    for (int32_t i = 0; i < b->of->variant; i++) in[i] = input(b, FTL_DIMS(2, 1 + i % 2 * 2, 3));
    result(b, ftl_graph_add(b->graph, FTL_OP_concat, &attr, in, b->of->variant));
}

static void build_iota(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    attr.shape.dtype = b->of->dtype;
    attr.shape.rank = 2;
    attr.shape.dim[0] = 3;
    attr.shape.dim[1] = 300;
    attr.shape.axis = b->of->variant;
    /* a graph without a source is no slice of a model: the numbers are joined by one */
    const int32_t x = input(b, FTL_DIMS(1, 1)),
                  y = ftl_graph_add(b->graph, FTL_OP_iota, &attr, NULL, 0);
    result(b, y);
    result(b, x);
}

/* variant: the axis; + 10: indices of rank 2 in i64; + 20: a scalar index. */
static void build_gather(ftl_op_build *b)
{
    static const double index[] = { 3, 0, -1, 2, 9, 1, -100, 100 };
    ftl_attr attr = ftl_attr_blank();
    attr.axis.axis = b->of->variant % 10;
    const int32_t x = input(b, FTL_DIMS(4, 5, 3));
    const int32_t i = b->of->variant >= 20 ? ftl_op_source_list(b, FTL_DTYPE_I32, 0, NULL, index, 8)
                      : b->of->variant >= 10
                          ? ftl_op_source_list(b, FTL_DTYPE_I64, FTL_DIMS(2, 4), index, 8)
                          : ftl_op_source_list(b, FTL_DTYPE_I32, FTL_DIMS(8), index, 8);
    result(b, FTL_ADD(b->graph, gather, &attr, x, i));
}

/* 0: replace (every index once: which of two rows stays is not said); 1: add, some twice. */
static void build_scatter(ftl_op_build *b)
{
    static const double once[] = { 3, 0, -1, 6, 2, 7, -100, 100 };
    static const double twice[] = { 3, 0, -1, 3, 3, 7, 0, 6 };
    ftl_attr attr = ftl_attr_blank();
    attr.scatter.add = b->of->variant;
    const int32_t x = input(b, FTL_DIMS(7, 2, 3));
    const int32_t i = ftl_op_source_list(b, b->of->variant ? FTL_DTYPE_I64 : FTL_DTYPE_I32,
                                         FTL_DIMS(8), b->of->variant ? twice : once, 8);
    result(b, FTL_ADD(b->graph, scatter, &attr, x, i, input(b, FTL_DIMS(8, 2, 3))));
}

/* ---- reductions ---------------------------------------------------------------------------- */

/* variant: mask of axes; + 100: they stay as 1; + 1000: along an axis of no elements. */
static void build_reduce(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    attr.reduce.axes = (uint32_t)b->of->variant % 100;
    attr.reduce.keep = b->of->variant / 100 % 10;
    const int32_t x =
        b->of->variant >= 1000 ? input(b, FTL_DIMS(3, 0, 5)) : input(b, FTL_DIMS(3, 37, 5));
    result(b, ftl_graph_add(b->graph, b->of->op, &attr, &x, 1));
}

static void build_arg_max(ftl_op_build *b)
{
    ftl_attr attr = ftl_attr_blank();
    attr.axis.axis = b->of->variant % 10;
    attr.axis.keep = b->of->variant / 10;
    result(b, FTL_ADD(b->graph, arg_max, &attr, input(b, FTL_DIMS(3, 41, 5))));
}

/* A row of the largest twice, of -inf alone, with NaN in the middle. */
static void build_arg_max_ties(ftl_op_build *b)
{
    static const double rows[] = { 1,         3,         2,        3,   -INFINITY, -INFINITY,
                                   -INFINITY, -INFINITY, INFINITY, NAN, 2,         NAN };
    ftl_attr attr = ftl_attr_blank();
    attr.axis.axis = 1;
    result(b, FTL_ADD(b->graph, arg_max, &attr,
                      ftl_op_source_list(b, b->of->dtype, FTL_DIMS(3, 4), rows, 12)));
}

/* ---- table --------------------------------------------------------------------------------- */

/* Lists of macros come out differently each time they are laid out. */
/* clang-format off */

/* The range comes last, because it is two arguments once it is expanded. */
#define CASE(op, build, dtype, variant, tolerance, ...)                                            \
    { FTL_OP_##op, #op " " #dtype " " #variant, build, FTL_DTYPE_##dtype, variant, tolerance,      \
      { __VA_ARGS__ } },
#define B(op, dtype, variant, tolerance, ...)                                                      \
    CASE(op, build_binary, dtype, variant, tolerance, __VA_ARGS__)
#define U(op, dtype, variant, tolerance, ...)                                                      \
    CASE(op, build_unary, dtype, variant, tolerance, __VA_ARGS__)
#define C(op, build, dtype, variant, ...)                                                          \
    CASE(op, build, dtype, variant, 0, __VA_ARGS__)

/* Ranges of the inputs; EDGES: the list above. */
#define EDGES 0, 0
#define TWO -2, 2
#define FOUR -4, 4
#define SIX -6, 6
#define NINE -9, 9
#define THOUSAND -1000, 1000
#define POSITIVE 0.1, 9
#define WIDE -50, 50
#define SMALL -1.2, 1.2
#define BYTES 0, 200

/* Of integers and floats alike. */
#define ARITHMETIC(op)                                                                             \
    B(op, F32, 0, 0, TWO) B(op, F32, 1, 0, EDGES) B(op, F32, 2, 0, TWO) B(op, F32, 3, 0, TWO)      \
    B(op, F32, 4, 0, TWO) B(op, F64, 1, 0, EDGES) B(op, F16, 0, 0, TWO) B(op, BF16, 1, 0, EDGES)   \
    B(op, I8, 1, 0, EDGES) B(op, U8, 1, 0, EDGES) B(op, I16, 1, 0, EDGES)                          \
    B(op, U16, 1, 0, EDGES) B(op, I32, 1, 0, EDGES) B(op, U32, 1, 0, EDGES)                        \
    B(op, I64, 1, 0, EDGES) B(op, U64, 1, 0, EDGES) B(op, BOOL, 1, 0, TWO)
#define BITS(op)                                                                                   \
    B(op, BOOL, 1, 0, TWO) B(op, BOOL, 3, 0, TWO) B(op, I8, 1, 0, EDGES) B(op, U8, 1, 0, EDGES)    \
    B(op, I32, 1, 0, EDGES) B(op, U32, 2, 0, WIDE) B(op, I64, 1, 0, EDGES)                         \
    B(op, U64, 1, 0, EDGES)
#define NUMERIC1(op)                                                                               \
    U(op, F32, 1, 0, EDGES) U(op, F32, 0, 0, TWO) U(op, F64, 1, 0, EDGES) U(op, F16, 1, 0, EDGES)  \
    U(op, BF16, 4, 0, TWO) U(op, I8, 1, 0, EDGES) U(op, U8, 1, 0, EDGES) U(op, I32, 1, 0, EDGES)   \
    U(op, I64, 1, 0, EDGES) U(op, U64, 1, 0, EDGES) U(op, BOOL, 2, 0, TWO)
#define FLOAT1(op, ...)                                                                            \
    U(op, F32, 2, 0, __VA_ARGS__) U(op, F32, 0, 0, __VA_ARGS__) U(op, F64, 2, 1e-12, __VA_ARGS__)  \
    U(op, F16, 1, 0, __VA_ARGS__) U(op, BF16, 2, 0, __VA_ARGS__)
#define CONVERT(from, to) C(convert, build_convert, from, FTL_DTYPE_##to, EDGES)
#define CONVERT_FROM(from)                                                                         \
    CONVERT(from, F32) CONVERT(from, F16) CONVERT(from, BF16) CONVERT(from, F64)                   \
    CONVERT(from, I8) CONVERT(from, U8) CONVERT(from, I16) CONVERT(from, U16) CONVERT(from, I32)   \
    CONVERT(from, U32) CONVERT(from, I64) CONVERT(from, U64) CONVERT(from, BOOL)
#define MOVED(op, build, variant)                                                                  \
    C(op, build, F32, variant, TWO) C(op, build, BF16, variant, TWO)                               \
    C(op, build, I64, variant, WIDE) C(op, build, U8, variant, BYTES)                              \
    C(op, build, BOOL, variant, TWO)
#define ACT(kind)                                                                                  \
    C(activation, build_activation, F32, FTL_ACT_##kind, SIX)                                      \
    C(activation, build_activation, BF16, FTL_ACT_##kind, SIX)                                     \
    C(activation, build_activation, F64, FTL_ACT_##kind, SIX)
#define REDUCED(op)                                                                                \
    C(op, build_reduce, F32, 2, TWO) C(op, build_reduce, F32, 105, TWO)                            \
    C(op, build_reduce, F32, 7, SMALL) C(op, build_reduce, F32, 0, TWO)                            \
    C(op, build_reduce, F32, 1002, TWO) C(op, build_reduce, BF16, 4, SMALL)                        \
    C(op, build_reduce, F16, 4, SMALL) C(op, build_reduce, F64, 5, SMALL)
#define REDUCED_EXACT(op)                                                                          \
    C(op, build_reduce, I8, 2, EDGES) C(op, build_reduce, U8, 4, EDGES)                            \
    C(op, build_reduce, I32, 107, EDGES) C(op, build_reduce, I64, 1, EDGES)                        \
    C(op, build_reduce, U64, 1002, EDGES) C(op, build_reduce, I16, 1002, TWO)                      \
    C(op, build_reduce, BOOL, 2, TWO) C(op, build_reduce, BOOL, 1002, TWO)

const ftl_op_case ftl_op_cases[] = {
    ARITHMETIC(add) ARITHMETIC(sub) ARITHMETIC(mul) ARITHMETIC(div) ARITHMETIC(max) ARITHMETIC(min)
    ARITHMETIC(mod) ARITHMETIC(pow)
    B(pow, F32, 0, 1e-6, POSITIVE)
    BITS(and) BITS(or) BITS(xor)
    ARITHMETIC(equal) ARITHMETIC(less) ARITHMETIC(less_equal)
    C(select, build_select, F32, 1, EDGES) C(select, build_select, BF16, 0, TWO)
    C(select, build_select, I64, 1, EDGES) C(select, build_select, BOOL, 1, TWO)
    U(not, BOOL, 2, 0, TWO) U(not, I8, 1, 0, EDGES) U(not, U32, 1, 0, EDGES)
    U(not, I64, 1, 0, EDGES)
    NUMERIC1(neg) NUMERIC1(abs) NUMERIC1(sign) NUMERIC1(floor) NUMERIC1(ceil) NUMERIC1(round)
    NUMERIC1(keep)
    FLOAT1(exp, NINE) FLOAT1(exp, EDGES) FLOAT1(log, POSITIVE) FLOAT1(log, EDGES)
    FLOAT1(sqrt, POSITIVE) FLOAT1(sqrt, EDGES) FLOAT1(rsqrt, POSITIVE)
    FLOAT1(tanh, NINE) FLOAT1(tanh, EDGES) FLOAT1(sigmoid, NINE) FLOAT1(sigmoid, EDGES)
    FLOAT1(erf, FOUR) FLOAT1(erf, EDGES) FLOAT1(sin, NINE) FLOAT1(cos, NINE)
    U(sin, F32, 1, 0, THOUSAND) U(cos, F32, 1, 0, THOUSAND)
    CONVERT_FROM(F32) CONVERT_FROM(F16) CONVERT_FROM(BF16) CONVERT_FROM(F64) CONVERT_FROM(I8)
    CONVERT_FROM(U8) CONVERT_FROM(I16) CONVERT_FROM(U16) CONVERT_FROM(I32) CONVERT_FROM(U32)
    CONVERT_FROM(I64) CONVERT_FROM(U64) CONVERT_FROM(BOOL)
    ACT(NONE) ACT(RELU) ACT(CLIP) ACT(LEAKY_RELU) ACT(ELU) ACT(SELU) ACT(SIGMOID) ACT(TANH)
    ACT(SILU) ACT(GELU) ACT(GELU_TANH) ACT(HARD_SIGMOID) ACT(HARD_SWISH) ACT(SOFTPLUS)

    MOVED(reshape, build_reshape, 0) MOVED(reshape, build_reshape, 1)
    MOVED(broadcast, build_broadcast, 0) MOVED(broadcast, build_broadcast, 1)
    MOVED(broadcast, build_broadcast, 2)
    MOVED(transpose, build_transpose, 0) MOVED(transpose, build_transpose, 1)
    MOVED(slice, build_slice, 0) MOVED(slice, build_slice, 1)
    MOVED(reverse, build_reverse, 5) MOVED(reverse, build_reverse, 0)
    MOVED(pad, build_pad, 0) MOVED(pad, build_pad, 1)
    MOVED(concat, build_concat, 1) MOVED(concat, build_concat, 5)
    C(iota, build_iota, F32, 1, TWO) C(iota, build_iota, F16, 0, TWO)
    C(iota, build_iota, BF16, 1, TWO) C(iota, build_iota, I32, 0, TWO)
    C(iota, build_iota, I64, 1, TWO) C(iota, build_iota, I8, 1, TWO)
    C(iota, build_iota, U8, 1, TWO) C(iota, build_iota, BOOL, 1, TWO)
    MOVED(gather, build_gather, 0) MOVED(gather, build_gather, 2) MOVED(gather, build_gather, 11)
    MOVED(gather, build_gather, 21)
    MOVED(scatter, build_scatter, 0) MOVED(scatter, build_scatter, 1)

    REDUCED(reduce_sum) REDUCED(reduce_max) REDUCED(reduce_min) REDUCED(reduce_prod)
    C(reduce_mean, build_reduce, F32, 2, TWO) C(reduce_mean, build_reduce, F32, 105, TWO)
    C(reduce_mean, build_reduce, BF16, 7, TWO) C(reduce_mean, build_reduce, F64, 0, TWO)
    REDUCED_EXACT(reduce_sum) REDUCED_EXACT(reduce_max) REDUCED_EXACT(reduce_min)
    REDUCED_EXACT(reduce_prod)
    C(reduce_max, build_reduce, F32, 2, EDGES) C(reduce_min, build_reduce, F32, 1, EDGES)
    C(arg_max, build_arg_max, F32, 1, TWO) C(arg_max, build_arg_max, F32, 10, EDGES)
    C(arg_max, build_arg_max, BF16, 2, TWO) C(arg_max, build_arg_max, I64, 1, EDGES)
    C(arg_max, build_arg_max, U8, 11, EDGES) C(arg_max, build_arg_max, BOOL, 1, TWO)
    C(arg_max, build_arg_max_ties, F32, 0, TWO) C(arg_max, build_arg_max_ties, F16, 0, TWO)
#include "support/op_cases_layers.def"
};
/* clang-format on */
const int32_t ftl_n_op_cases = (int32_t)(sizeof ftl_op_cases / sizeof ftl_op_cases[0]);
