/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise operators and activations: a row of ops.def where one means the same, else the
 * formula of the ONNX specification. */
#include <math.h>

#include "format/onnx_op.h"

#define ADD(row, ...) FTL_ADD(c->g, row, NULL, __VA_ARGS__)

void ftl_onnx_op_unary(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    c->out[0] = ftl_graph_add(c->g, (ftl_op)c->row->arg, NULL, &x, 1);
}

static int32_t emit_binary(ftl_onnx_call *c, int32_t a, int32_t b)
{
    return ftl_graph_add(c->g, (ftl_op)c->row->arg, NULL, (const int32_t[]){ a, b }, 2);
}

void ftl_onnx_op_binary(ftl_onnx_call *c)
{
    c->out[0] = emit_binary(c, ftl_onnx_in(c, 0), ftl_onnx_in(c, 1));
}

void ftl_onnx_op_compare(ftl_onnx_call *c)
{
    c->out[0] = emit_binary(c, ftl_onnx_in(c, 0), ftl_onnx_in(c, 1));
}

/* a > b is b < a. */
void ftl_onnx_op_compare_swapped(ftl_onnx_call *c)
{
    c->out[0] = emit_binary(c, ftl_onnx_in(c, 1), ftl_onnx_in(c, 0));
}

void ftl_onnx_op_variadic(ftl_onnx_call *c)
{
    c->out[0] = ftl_onnx_in(c, 0);
    for (size_t i = 1; i < c->node->n_inputs; i++)
        c->out[0] = emit_binary(c, c->out[0], ftl_onnx_in(c, i));
}

void ftl_onnx_op_mean(ftl_onnx_call *c)
{
    int32_t sum = ftl_onnx_in(c, 0);
    for (size_t i = 1; i < c->node->n_inputs; i++) sum = ADD(add, sum, ftl_onnx_in(c, i));
    c->out[0] = c->node->n_inputs == 1
                    ? sum
                    : ADD(div, sum, ftl_emit_number(c->g, sum, (double)c->node->n_inputs));
}

/* ---- activations --------------------------------------------------------------------------- */

int32_t ftl_onnx_emit_act(ftl_onnx_call *c, int32_t x, int32_t kind, float alpha, float beta)
{
    ftl_attr attr = ftl_attr_blank();
    attr.act = (ftl_attr_act){ .kind = kind, .alpha = alpha, .beta = beta };
    return FTL_ADD(c->g, activation, &attr, x);
}

/* Defaults as in the specification; Selu's are from Klambauer 2017, arXiv 1706.02515. */
void ftl_onnx_op_act(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0), kind = c->row->arg;
    float alpha = 0, beta = 0;
    switch (kind) {
    case FTL_ACT_LEAKY_RELU: alpha = ftl_onnx_attr_float(c, "alpha", 0.01f); break;
    case FTL_ACT_ELU: alpha = ftl_onnx_attr_float(c, "alpha", 1); break;
    case FTL_ACT_SELU:
        alpha = ftl_onnx_attr_float(c, "alpha", 1.67326319217681884765625f);
        beta = ftl_onnx_attr_float(c, "gamma", 1.05070102214813232421875f);
        break;
    case FTL_ACT_HARD_SIGMOID:
        alpha = ftl_onnx_attr_float(c, "alpha", 0.2f);
        beta = ftl_onnx_attr_float(c, "beta", 0.5f);
        break;
    default: break;
    }
    if (kind == FTL_ACT_RELU && !ftl_dtype_is_float(ftl_emit_desc(c->g, x).dtype))
        c->out[0] = ADD(max, x, ftl_emit_number(c->g, x, 0));
    else c->out[0] = ftl_onnx_emit_act(c, x, kind, alpha, beta);
}

void ftl_onnx_op_gelu(ftl_onnx_call *c)
{
    const bool is_tanh = ftl_onnx_attr_is(c, "approximate", "none", "tanh");
    c->out[0] =
        ftl_onnx_emit_act(c, ftl_onnx_in(c, 0), is_tanh ? FTL_ACT_GELU_TANH : FTL_ACT_GELU, 0, 0);
}

/* alpha * elu(x / alpha): x where x > 0, else alpha * (exp(x / alpha) - 1). */
void ftl_onnx_op_celu(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const float alpha = ftl_onnx_attr_float(c, "alpha", 1);
    const int32_t scaled = ADD(div, x, ftl_emit_number(c->g, x, alpha));
    c->out[0] = ftl_emit_mul(c->g, ftl_onnx_emit_act(c, scaled, FTL_ACT_ELU, 1, 0), alpha);
}

/* x * tanh(log(1 + exp(x))) */
void ftl_onnx_op_mish(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    c->out[0] = ADD(mul, x, ADD(tanh, ftl_onnx_emit_act(c, x, FTL_ACT_SOFTPLUS, 0, 0)));
}

/* x / (1 + |x|) */
void ftl_onnx_op_softsign(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    c->out[0] = ADD(div, x, ftl_emit_add(c->g, ADD(abs, x), 1));
}

/* x > alpha ? x : 0 */
void ftl_onnx_op_thresholded_relu(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const float alpha = ftl_onnx_attr_float(c, "alpha", 1);
    c->out[0] = ftl_emit_select_else(c->g, ADD(less, ftl_emit_number(c->g, x, alpha), x), x, 0);
}

/* x < -lambd ? x + bias : x > lambd ? x - bias : 0 */
void ftl_onnx_op_shrink(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const float lambd = ftl_onnx_attr_float(c, "lambd", 0.5f),
                bias = ftl_onnx_attr_float(c, "bias", 0);
    const int32_t above = ADD(less, ftl_emit_number(c->g, x, lambd), x),
                  below = ADD(less, x, ftl_emit_number(c->g, x, -lambd));
    const int32_t upper = ftl_emit_select_else(c->g, above, ftl_emit_add(c->g, x, -bias), 0);
    c->out[0] = ADD(select, below, ftl_emit_add(c->g, x, bias), upper);
}

void ftl_onnx_op_prelu(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0), slope = ftl_onnx_in(c, 1);
    const int32_t is_negative = ADD(less, x, ftl_emit_number(c->g, x, 0));
    c->out[0] = ADD(select, is_negative, ADD(mul, x, slope), x);
}

/* One end of Clip, as a tensor: attribute before opset 11, input from then on; -1: open. */
static int32_t bound_of(ftl_onnx_call *c, int32_t x, size_t input, const char *name)
{
    if (c->opset >= 11) return ftl_onnx_in(c, input);
    if (!ftl_onnx_find_attr(c, name)) return -1;
    return ftl_emit_number(c->g, x, ftl_onnx_attr_float(c, name, 0));
}

static bool known_bound(const ftl_onnx_call *c, int32_t bound, float *out)
{
    const ftl_tensor *t = ftl_graph_peek(c->g, bound);
    if (!t || t->kind != FTL_TENSOR_CONST || ftl_desc_count_checked(&t->desc) != 1) return false;
    *out = (float)ftl_element_get(t->desc.dtype, t->data, 0);
    return true;
}

void ftl_onnx_op_clip(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const int32_t low = bound_of(c, x, 1, "min"), high = bound_of(c, x, 2, "max");
    const ftl_dtype dtype = ftl_emit_desc(c->g, x).dtype;
    float alpha, beta;
    c->out[0] = x;
    if (ftl_dtype_is_float(dtype) && dtype != FTL_DTYPE_F64 && known_bound(c, low, &alpha) &&
        known_bound(c, high, &beta)) {
        c->out[0] = ftl_onnx_emit_act(c, x, FTL_ACT_CLIP, alpha, beta);
        return;
    }
    if (low >= 0) c->out[0] = ADD(max, c->out[0], low);
    if (high >= 0) c->out[0] = ADD(min, c->out[0], high);
}

/* ---- formulas ------------------------------------------------------------------------------ */

void ftl_onnx_op_reciprocal(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    c->out[0] = ADD(div, ftl_emit_number(c->g, x, 1), x);
}

void ftl_onnx_op_tan(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    c->out[0] = ADD(div, ADD(sin, x), ADD(cos, x));
}

void ftl_onnx_op_is_nan(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    c->out[0] = ADD(not, ADD(equal, x, x));
}

void ftl_onnx_op_is_inf(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const bool up = ftl_onnx_attr_int(c, "detect_positive", 1) != 0;
    const bool down = ftl_onnx_attr_int(c, "detect_negative", 1) != 0;
    const int32_t is_up = ADD(equal, x, ftl_emit_number(c->g, x, INFINITY)),
                  is_down = ADD(equal, x, ftl_emit_number(c->g, x, -INFINITY));
    if (up && down) c->out[0] = ADD(or, is_up, is_down);
    else if (up || down) c->out[0] = up ? is_up : is_down;
    else c->out[0] = ADD(and, is_up, is_down); /* never both: all false */
}

/* With fmod=0 the result has the sign of the divisor. */
void ftl_onnx_op_mod(ftl_onnx_call *c)
{
    const int32_t a = ftl_onnx_in(c, 0), b = ftl_onnx_in(c, 1);
    const int32_t m = ADD(mod, a, b);
    c->out[0] = m;
    if (ftl_onnx_attr_int(c, "fmod", 0) != 0) return;
    const int32_t zero = ftl_emit_number(c->g, m, 0);
    const int32_t differs = ADD(xor, ADD(less, m, zero), ADD(less, b, zero));
    const int32_t wants = ADD(and, differs, ADD(not, ADD(equal, m, zero)));
    c->out[0] = ADD(select, wants, ADD(add, m, b), m);
}

/* The result has the type of the base; whole bases with float exponents are raised as floats. */
void ftl_onnx_op_pow(ftl_onnx_call *c)
{
    const int32_t base = ftl_onnx_in(c, 0), exponent = ftl_onnx_in(c, 1);
    const ftl_dtype dtype = ftl_emit_desc(c->g, base).dtype;
    const ftl_dtype exponent_dtype = ftl_emit_desc(c->g, exponent).dtype;
    ftl_onnx_known k;
    if (ftl_onnx_peek_known(c, 1, &k) && k.count == 1 && k.desc.rank <= 1 &&
        k.desc.rank <= ftl_emit_desc(c->g, base).rank &&
        ftl_element_get(k.desc.dtype, k.data, 0) == 2) {
        c->out[0] = ADD(mul, base, base);
        return;
    }
    if (ftl_dtype_is_float(dtype) || !ftl_dtype_is_float(exponent_dtype)) {
        c->out[0] = ADD(pow, base, ftl_emit_convert(c->g, exponent, dtype));
        return;
    }
    const int32_t wide = ADD(pow, ftl_emit_convert(c->g, base, FTL_DTYPE_F64),
                             ftl_emit_convert(c->g, exponent, FTL_DTYPE_F64));
    c->out[0] = ftl_emit_convert(c->g, wide, dtype);
}

void ftl_onnx_op_where(ftl_onnx_call *c)
{
    c->out[0] = ADD(select, ftl_onnx_in(c, 0), ftl_onnx_in(c, 1), ftl_onnx_in(c, 2));
}

void ftl_onnx_op_cast(ftl_onnx_call *c)
{
    const int64_t number = ftl_onnx_attr_int(c, "to", 0);
    const ftl_dtype to =
        number > 0 && number < 100 ? ftl_dtype_from_onnx((int32_t)number) : FTL_DTYPE_NONE;
    if (to == FTL_DTYPE_NONE)
        ftl_onnx_refuse(c, FTL_EUNSUPPORTED,
                        "it converts to ONNX data type %lld, which fettle does not compute with",
                        (long long)number);
    else c->out[0] = ftl_emit_convert(c->g, ftl_onnx_in(c, 0), to);
}

void ftl_onnx_op_cast_like(ftl_onnx_call *c)
{
    c->out[0] = ftl_emit_convert(c->g, ftl_onnx_in(c, 0), ftl_onnx_desc(c, 1).dtype);
}

void ftl_onnx_op_identity(ftl_onnx_call *c)
{
    c->out[0] = ftl_onnx_in(c, 0);
}

/* Inference: nothing is dropped. */
void ftl_onnx_op_dropout(ftl_onnx_call *c)
{
    if (c->opset >= 12 && ftl_onnx_need_int(c, 2, 0) != 0)
        ftl_onnx_refuse(c, FTL_EUNSUPPORTED, "training_mode is set; only inference is imported");
    c->out[0] = ftl_onnx_in(c, 0);
    if (!ftl_onnx_wants(c, 1)) return;
    ftl_tensor_desc mask = ftl_onnx_desc(c, 0);
    if (c->opset >= 10) mask.dtype = FTL_DTYPE_BOOL;
    c->out[1] = ftl_emit_full(c->g, &mask, 1);
}
