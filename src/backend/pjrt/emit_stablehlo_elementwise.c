/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise rows.  Bool is arithmetic in one bit: what the other integers do, and then "not
 * 0". */
#include <math.h>
#include <string.h>

#include "backend/pjrt/stablehlo_internal.h"

static bool is_bool(ftl_shlo_value x)
{
    return x.desc.dtype == FTL_DTYPE_BOOL;
}

static bool is_float(ftl_shlo_value x)
{
    return ftl_dtype_is_float(x.desc.dtype);
}

static bool is_signed(ftl_dtype dtype)
{
    return ftl_dtype_get_info(dtype)->kind == FTL_KIND_SINT;
}

static ftl_shlo_value op1(ftl_shlo *e, const char *op, ftl_shlo_value x)
{
    return ftl_shlo_op1(e, op, x);
}

static ftl_shlo_value op2(ftl_shlo *e, const char *op, ftl_shlo_value a, ftl_shlo_value b)
{
    return ftl_shlo_op2(e, op, a, b);
}

static ftl_shlo_value number(ftl_shlo *e, ftl_shlo_value like, double value)
{
    return ftl_shlo_number(e, &like.desc, value);
}

/* ---- two inputs ---------------------------------------------------------------------------- */

static const char *name_of(ftl_op op)
{
    switch (op) {
    case FTL_OP_add: return "stablehlo.add";
    case FTL_OP_sub: return "stablehlo.subtract";
    case FTL_OP_mul: return "stablehlo.multiply";
    case FTL_OP_div: return "stablehlo.divide";
    case FTL_OP_max: return "stablehlo.maximum";
    case FTL_OP_min: return "stablehlo.minimum";
    case FTL_OP_pow: return "stablehlo.power";
    case FTL_OP_mod: return "stablehlo.remainder";
    case FTL_OP_and: return "stablehlo.and";
    case FTL_OP_or: return "stablehlo.or";
    case FTL_OP_xor: return "stablehlo.xor";
    case FTL_OP_not: return "stablehlo.not";
    case FTL_OP_neg: return "stablehlo.negate";
    case FTL_OP_abs: return "stablehlo.abs";
    case FTL_OP_sign: return "stablehlo.sign";
    case FTL_OP_floor: return "stablehlo.floor";
    case FTL_OP_ceil: return "stablehlo.ceil";
    case FTL_OP_round: return "stablehlo.round_nearest_even";
    case FTL_OP_exp: return "stablehlo.exponential";
    case FTL_OP_log: return "stablehlo.log";
    case FTL_OP_sqrt: return "stablehlo.sqrt";
    case FTL_OP_rsqrt: return "stablehlo.rsqrt";
    case FTL_OP_tanh: return "stablehlo.tanh";
    case FTL_OP_sigmoid: return "stablehlo.logistic";
    case FTL_OP_erf: return "chlo.erf";
    case FTL_OP_sin: return "stablehlo.sine";
    case FTL_OP_cos: return "stablehlo.cosine";
    default: return NULL;
    }
}

/* a / b = a and b, since x / 0 is 0; a ^ b = a or not b, since 0 ^ 0 is 1. */
static ftl_shlo_value binary_bool(ftl_shlo *e, ftl_op op, ftl_shlo_value a, ftl_shlo_value b)
{
    switch (op) {
    case FTL_OP_add:
    case FTL_OP_max: return op2(e, "stablehlo.or", a, b);
    case FTL_OP_sub: return op2(e, "stablehlo.xor", a, b);
    case FTL_OP_mul:
    case FTL_OP_div:
    case FTL_OP_min: return op2(e, "stablehlo.and", a, b);
    case FTL_OP_pow: return op2(e, "stablehlo.or", a, op1(e, "stablehlo.not", b));
    case FTL_OP_mod: return op2(e, "stablehlo.and", a, op1(e, "stablehlo.not", b));
    default: return op2(e, name_of(op), a, b);
    }
}

/* By zero gives 0 (XLA: -1). */
static ftl_shlo_value divide_int(ftl_shlo *e, ftl_shlo_value a, ftl_shlo_value b)
{
    const ftl_shlo_value zero = number(e, b, 0);
    return ftl_shlo_select(e, ftl_shlo_compare(e, "EQ", b, zero), zero,
                           op2(e, "stablehlo.divide", a, b));
}

/* a ^ b of integers by squaring, written out: what power does with a negative exponent differs by
 * device.  A negative one gives 1 / a^-b rounded towards zero. */
static ftl_shlo_value power_int(ftl_shlo *e, ftl_shlo_value a, ftl_shlo_value b)
{
    const int bits = 8 * (int)ftl_dtype_bytes(a.desc.dtype);
    const ftl_shlo_value one = number(e, a, 1), zero = number(e, a, 0);
    ftl_shlo_value power = one, square = a, rest = b;
    for (int i = 0; i < bits; i++) {
        const ftl_shlo_value is_odd =
            ftl_shlo_compare(e, "NE", op2(e, "stablehlo.and", rest, one), zero);
        power = ftl_shlo_select(e, is_odd, op2(e, "stablehlo.multiply", power, square), power);
        if (i == bits - 1) break;
        square = op2(e, "stablehlo.multiply", square, square);
        rest = op2(e, "stablehlo.shift_right_logical", rest, one);
    }
    if (!is_signed(a.desc.dtype)) return power;
    const ftl_shlo_value minus = number(e, a, -1);
    const ftl_shlo_value is_even = ftl_shlo_compare(e, "EQ", op2(e, "stablehlo.and", b, one), zero);
    const ftl_shlo_value of_minus = ftl_shlo_select(e, is_even, one, minus);
    ftl_shlo_value inverse =
        ftl_shlo_select(e, ftl_shlo_compare(e, "EQ", a, minus), of_minus, zero);
    inverse = ftl_shlo_select(e, ftl_shlo_compare(e, "EQ", a, one), one, inverse);
    return ftl_shlo_select(e, ftl_shlo_compare(e, "LT", b, zero), inverse, power);
}

ftl_shlo_value ftl_shlo_binary(ftl_shlo *e, const ftl_node *node)
{
    const ftl_tensor_desc *out = &e->view->tensors[node->out[0]].desc;
    const ftl_shlo_value a = ftl_shlo_broadcast(e, ftl_shlo_in(e, node, 0), out),
                         b = ftl_shlo_broadcast(e, ftl_shlo_in(e, node, 1), out);
    if (is_bool(a)) return binary_bool(e, node->op, a, b);
    if (!is_float(a)) {
        if (node->op == FTL_OP_div) return divide_int(e, a, b);
        if (node->op == FTL_OP_pow) return power_int(e, a, b);
        return op2(e, name_of(node->op), a, b);
    }
    if (node->op != FTL_OP_pow && node->op != FTL_OP_mod) return op2(e, name_of(node->op), a, b);
    const ftl_shlo_value y = op2(e, name_of(node->op), ftl_shlo_wide(e, a), ftl_shlo_wide(e, b));
    return ftl_shlo_cast(e, y, out->dtype);
}

ftl_shlo_value ftl_shlo_comparison(ftl_shlo *e, const ftl_node *node)
{
    const ftl_tensor_desc *out = &e->view->tensors[node->out[0]].desc;
    const ftl_shlo_value a = ftl_shlo_broadcast(e, ftl_shlo_in(e, node, 0), out),
                         b = ftl_shlo_broadcast(e, ftl_shlo_in(e, node, 1), out);
    const char *direction = node->op == FTL_OP_equal ? "EQ" : node->op == FTL_OP_less ? "LT" : "LE";
    return ftl_shlo_compare(e, direction, a, b);
}

ftl_shlo_value ftl_shlo_choice(ftl_shlo *e, const ftl_node *node)
{
    const ftl_tensor_desc *out = &e->view->tensors[node->out[0]].desc;
    return ftl_shlo_select(e, ftl_shlo_broadcast(e, ftl_shlo_in(e, node, 0), out),
                           ftl_shlo_broadcast(e, ftl_shlo_in(e, node, 1), out),
                           ftl_shlo_broadcast(e, ftl_shlo_in(e, node, 2), out));
}

/* ---- one input ----------------------------------------------------------------------------- */

static ftl_shlo_value unary_int(ftl_shlo *e, ftl_op op, ftl_shlo_value x)
{
    if (op == FTL_OP_not) return op1(e, "stablehlo.not", x);
    if (is_bool(x)) return x; /* -1 and |1| and sign(1) are 1 in one bit */
    if (op == FTL_OP_neg) return op1(e, "stablehlo.negate", x);
    if (op == FTL_OP_abs && is_signed(x.desc.dtype)) return op1(e, "stablehlo.abs", x);
    if (op == FTL_OP_sign)
        return is_signed(x.desc.dtype) ? op1(e, "stablehlo.sign", x)
                                       : op2(e, "stablehlo.minimum", x, number(e, x, 1));
    return x; /* floor, ceil, round; |x| of an unsigned */
}

ftl_shlo_value ftl_shlo_unary(ftl_shlo *e, const ftl_node *node)
{
    const ftl_shlo_value x = ftl_shlo_in(e, node, 0);
    if (node->op == FTL_OP_keep) return op1(e, "stablehlo.optimization_barrier", x);
    if (!is_float(x)) return unary_int(e, node->op, x);
    if (node->op == FTL_OP_not)
        return ftl_shlo_fail(e, ftl_fail(FTL_EINVAL, "not takes bool and integers, no floats"));
    return ftl_shlo_cast(e, op1(e, name_of(node->op), ftl_shlo_wide(e, x)), x.desc.dtype);
}

/* ---- convert ------------------------------------------------------------------------------- */

static int bits_of(ftl_dtype dtype)
{
    return dtype == FTL_DTYPE_BOOL ? 1 : 8 * (int)ftl_dtype_bytes(dtype);
}

/* Extremes of an integer type, in host form. */
static uint64_t highest(ftl_dtype dtype)
{
    return UINT64_MAX >> (64 - bits_of(dtype) + (is_signed(dtype) ? 1 : 0));
}

static uint64_t lowest(ftl_dtype dtype)
{
    return is_signed(dtype) ? ~highest(dtype) : 0;
}

/* Truncated and clamped, NaN gives 0; XLA leaves both to the device. */
static ftl_shlo_value float_to_int(ftl_shlo *e, ftl_shlo_value x, ftl_dtype to)
{
    ftl_tensor_desc out = x.desc;
    out.dtype = to;
    const uint64_t high = highest(to), low = lowest(to);
    const bool is_sint = is_signed(to);
    const double limit = ldexp(1, bits_of(to) - (is_sint ? 1 : 0));
    x = ftl_shlo_wide(e, x);
    const ftl_shlo_value above = ftl_shlo_compare(e, "GE", x, number(e, x, limit));
    const ftl_shlo_value below = ftl_shlo_compare(e, "LE", x, number(e, x, is_sint ? -limit : 0));
    const ftl_shlo_value is_nan = ftl_shlo_compare(e, "NE", x, x);
    const ftl_shlo_value is_out =
        op2(e, "stablehlo.or", op2(e, "stablehlo.or", above, below), is_nan);
    const ftl_shlo_value inside = ftl_shlo_select(e, is_out, number(e, x, 0), x);
    ftl_shlo_value y = ftl_shlo_cast(e, inside, to);
    y = ftl_shlo_select(e, above, ftl_shlo_splat(e, &out, &high), y);
    return ftl_shlo_select(e, below, ftl_shlo_splat(e, &out, &low), y);
}

/* Clamped to what both types hold, in the type it comes from. */
static ftl_shlo_value int_to_int(ftl_shlo *e, ftl_shlo_value x, ftl_dtype to)
{
    const ftl_dtype from = x.desc.dtype;
    const uint64_t low = lowest(to), high = highest(to);
    if (is_signed(from) && (int64_t)lowest(from) < (int64_t)low)
        x = op2(e, "stablehlo.maximum", x, ftl_shlo_splat(e, &x.desc, &low));
    if (highest(from) > high) x = op2(e, "stablehlo.minimum", x, ftl_shlo_splat(e, &x.desc, &high));
    return ftl_shlo_cast(e, x, to);
}

ftl_shlo_value ftl_shlo_convert(ftl_shlo *e, const ftl_node *node)
{
    const ftl_shlo_value x = ftl_shlo_in(e, node, 0);
    const ftl_dtype to = node->attr.convert.dtype;
    if (to == x.desc.dtype) return x;
    if (to == FTL_DTYPE_BOOL) return ftl_shlo_compare(e, "NE", x, number(e, x, 0));
    if (is_bool(x) || ftl_dtype_is_float(to)) return ftl_shlo_cast(e, x, to);
    return is_float(x) ? float_to_int(e, x, to) : int_to_int(e, x, to);
}

/* ---- activations --------------------------------------------------------------------------- */

static ftl_shlo_value add(ftl_shlo *e, ftl_shlo_value x, double value)
{
    return op2(e, "stablehlo.add", x, number(e, x, value));
}

static ftl_shlo_value mul(ftl_shlo *e, ftl_shlo_value x, double value)
{
    return op2(e, "stablehlo.multiply", x, number(e, x, value));
}

static ftl_shlo_value times(ftl_shlo *e, ftl_shlo_value a, ftl_shlo_value b)
{
    return op2(e, "stablehlo.multiply", a, b);
}

static ftl_shlo_value clip(ftl_shlo *e, ftl_shlo_value x, double low, double high)
{
    return op2(e, "stablehlo.minimum", op2(e, "stablehlo.maximum", x, number(e, x, low)),
               number(e, x, high));
}

static ftl_shlo_value if_negative(ftl_shlo *e, ftl_shlo_value x, ftl_shlo_value then)
{
    return ftl_shlo_select(e, ftl_shlo_compare(e, "LT", x, number(e, x, 0)), then, x);
}

/* x < 0 ? alpha * (exp(x) - 1) : x; the exponential never sees a large x. */
static ftl_shlo_value elu(ftl_shlo *e, ftl_shlo_value x, double alpha)
{
    const ftl_shlo_value below = op2(e, "stablehlo.minimum", x, number(e, x, 0));
    return if_negative(e, x, mul(e, op1(e, "stablehlo.exponential_minus_one", below), alpha));
}

static ftl_shlo_value gelu(ftl_shlo *e, ftl_shlo_value x)
{
    const ftl_shlo_value erf = op1(e, "chlo.erf", mul(e, x, M_SQRT1_2));
    return times(e, x, mul(e, add(e, erf, 1), 0.5));
}

/* Hendrycks & Gimpel 2016, arXiv 1606.08415. */
static ftl_shlo_value gelu_tanh(ftl_shlo *e, ftl_shlo_value x)
{
    const ftl_shlo_value stretch = add(e, mul(e, times(e, x, x), 0.044715), 1);
    const ftl_shlo_value inner = mul(e, times(e, x, stretch), sqrt(2 / M_PI));
    return times(e, mul(e, x, 0.5), add(e, op1(e, "stablehlo.tanh", inner), 1));
}

/* max(x, 0) + log(1 + exp(-|x|)) */
static ftl_shlo_value softplus(ftl_shlo *e, ftl_shlo_value x)
{
    const ftl_shlo_value low = op1(e, "stablehlo.negate", op1(e, "stablehlo.abs", x));
    const ftl_shlo_value tail =
        op1(e, "stablehlo.log_plus_one", op1(e, "stablehlo.exponential", low));
    return op2(e, "stablehlo.add", op2(e, "stablehlo.maximum", x, number(e, x, 0)), tail);
}

static ftl_shlo_value ramp(ftl_shlo *e, ftl_shlo_value x, double slope, double offset)
{
    return clip(e, add(e, mul(e, x, slope), offset), 0, 1);
}

ftl_shlo_value ftl_shlo_act(ftl_shlo *e, ftl_shlo_value x, const ftl_attr_act *act)
{
    const double alpha = act->alpha, beta = act->beta;
    switch ((ftl_act)act->kind) {
    case FTL_ACT_NONE: return x;
    case FTL_ACT_RELU: return op2(e, "stablehlo.maximum", x, number(e, x, 0));
    case FTL_ACT_CLIP: return clip(e, x, alpha, beta);
    case FTL_ACT_LEAKY_RELU: return if_negative(e, x, mul(e, x, alpha));
    case FTL_ACT_ELU: return elu(e, x, alpha);
    case FTL_ACT_SELU: return mul(e, elu(e, x, alpha), beta);
    case FTL_ACT_SIGMOID: return op1(e, "stablehlo.logistic", x);
    case FTL_ACT_TANH: return op1(e, "stablehlo.tanh", x);
    case FTL_ACT_SILU: return times(e, x, op1(e, "stablehlo.logistic", x));
    case FTL_ACT_GELU: return gelu(e, x);
    case FTL_ACT_GELU_TANH: return gelu_tanh(e, x);
    case FTL_ACT_HARD_SIGMOID: return ramp(e, x, alpha, beta);
    case FTL_ACT_HARD_SWISH: return times(e, x, ramp(e, x, 1.0 / 6, 0.5));
    case FTL_ACT_SOFTPLUS: return softplus(e, x);
    case FTL_ACT_COUNT: break;
    }
    return ftl_shlo_fail(e, ftl_fail(FTL_EINVAL, "there is no activation %d", (int)act->kind));
}

ftl_shlo_value ftl_shlo_activation(ftl_shlo *e, const ftl_node *node)
{
    const ftl_shlo_value x = ftl_shlo_in(e, node, 0);
    return ftl_shlo_cast(e, ftl_shlo_act(e, ftl_shlo_wide(e, x), &node->attr.act), x.desc.dtype);
}
