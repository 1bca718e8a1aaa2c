/* SPDX-License-Identifier: Apache-2.0 */
/* Activations and their derivatives as elementwise rows. */
#include <math.h>

#include "core/emit.h"

#define ADD(row, ...) FTL_ADD(g, row, NULL, __VA_ARGS__)

/* x * (1 + 0.044715 x^2) * sqrt(2 / pi): Hendrycks & Gimpel 2016, arXiv 1606.08415. */
static const double gelu_cubic = 0.044715;
#define GELU_SCALE sqrt(2 / M_PI)

static int32_t is_negative(ftl_graph *g, int32_t x)
{
    return ADD(less, x, ftl_emit_number(g, x, 0));
}

static int32_t clip(ftl_graph *g, int32_t x, double low, double high)
{
    return ADD(min, ADD(max, x, ftl_emit_number(g, x, low)), ftl_emit_number(g, x, high));
}

/* x < 0 ? alpha * (exp(x) - 1) : x; the exponential never sees a large x. */
static int32_t elu(ftl_graph *g, int32_t x, double alpha)
{
    const int32_t below = ADD(min, x, ftl_emit_number(g, x, 0));
    const int32_t curve = ftl_emit_mul(g, ftl_emit_add(g, ADD(exp, below), -1), alpha);
    return ADD(select, is_negative(g, x), curve, x);
}

static int32_t gelu_inner(ftl_graph *g, int32_t x)
{
    const int32_t stretch = ftl_emit_add(g, ftl_emit_mul(g, ADD(mul, x, x), gelu_cubic), 1);
    return ADD(tanh, ftl_emit_mul(g, ADD(mul, x, stretch), GELU_SCALE));
}

static int32_t gelu_gate(ftl_graph *g, int32_t x)
{
    const int32_t e = ADD(erf, ftl_emit_mul(g, x, M_SQRT1_2));
    return ftl_emit_mul(g, ftl_emit_add(g, e, 1), 0.5);
}

/* max(x, 0) + log(1 + exp(-|x|)) */
static int32_t softplus(ftl_graph *g, int32_t x)
{
    const int32_t tail = ADD(exp, ADD(neg, ADD(abs, x)));
    return ADD(add, ADD(max, x, ftl_emit_number(g, x, 0)), ADD(log, ftl_emit_add(g, tail, 1)));
}

/* min(max(slope * x + offset, 0), 1) */
static int32_t ramp(ftl_graph *g, int32_t x, double slope, double offset)
{
    return clip(g, ftl_emit_add(g, ftl_emit_mul(g, x, slope), offset), 0, 1);
}

int32_t ftl_emit_act(ftl_graph *g, int32_t x, const ftl_attr_act *act)
{
    const double alpha = act->alpha, beta = act->beta;
    switch ((ftl_act)act->kind) {
    case FTL_ACT_NONE: return x;
    case FTL_ACT_RELU: return ADD(max, x, ftl_emit_number(g, x, 0));
    case FTL_ACT_CLIP: return clip(g, x, alpha, beta);
    case FTL_ACT_LEAKY_RELU: return ADD(select, is_negative(g, x), ftl_emit_mul(g, x, alpha), x);
    case FTL_ACT_ELU: return elu(g, x, alpha);
    case FTL_ACT_SELU: return ftl_emit_mul(g, elu(g, x, alpha), beta);
    case FTL_ACT_SIGMOID: return ADD(sigmoid, x);
    case FTL_ACT_TANH: return ADD(tanh, x);
    case FTL_ACT_SILU: return ADD(mul, x, ADD(sigmoid, x));
    case FTL_ACT_GELU: return ADD(mul, x, gelu_gate(g, x));
    case FTL_ACT_GELU_TANH:
        return ADD(mul, ftl_emit_mul(g, x, 0.5), ftl_emit_add(g, gelu_inner(g, x), 1));
    case FTL_ACT_HARD_SIGMOID: return ramp(g, x, alpha, beta);
    case FTL_ACT_HARD_SWISH: return ADD(mul, x, ramp(g, x, 1.0 / 6, 0.5));
    case FTL_ACT_SOFTPLUS: return softplus(g, x);
    case FTL_ACT_COUNT: break;
    }
    return ftl_graph_poison(g, ftl_fail(FTL_EINVAL, "there is no activation %d", (int)act->kind));
}

/* low < x < high */
static int32_t is_inside(ftl_graph *g, int32_t x, double low, double high)
{
    return ADD(and, ADD(less, ftl_emit_number(g, x, low), x),
               ADD(less, x, ftl_emit_number(g, x, high)));
}

/* x < 0 ? alpha * exp(x) : 1 */
static int32_t elu_slope(ftl_graph *g, int32_t x, double alpha)
{
    const int32_t below = ADD(min, x, ftl_emit_number(g, x, 0));
    return ftl_emit_select_else(g, is_negative(g, x), ftl_emit_mul(g, ADD(exp, below), alpha), 1);
}

/* s * (1 + x * (1 - s)) */
static int32_t silu_slope(ftl_graph *g, int32_t x)
{
    const int32_t s = ADD(sigmoid, x);
    const int32_t rest = ADD(sub, ftl_emit_number(g, x, 1), s);
    return ADD(mul, s, ftl_emit_add(g, ADD(mul, x, rest), 1));
}

/* gate(x) + x * exp(-x^2 / 2) / sqrt(2 pi) */
static int32_t gelu_slope(ftl_graph *g, int32_t x)
{
    const int32_t bell = ADD(exp, ftl_emit_mul(g, ADD(mul, x, x), -0.5));
    return ADD(add, gelu_gate(g, x), ADD(mul, x, ftl_emit_mul(g, bell, 1 / sqrt(2 * M_PI))));
}

/* (1 + t) / 2 + x / 2 * (1 - t^2) * u'(x), with u' = scale * (1 + 3 * cubic * x^2) */
static int32_t gelu_tanh_slope(ftl_graph *g, int32_t x)
{
    const int32_t t = gelu_inner(g, x);
    const int32_t inner = ftl_emit_mul(
        g, ftl_emit_add(g, ftl_emit_mul(g, ADD(mul, x, x), 3 * gelu_cubic), 1), GELU_SCALE);
    const int32_t bend = ADD(sub, ftl_emit_number(g, x, 1), ADD(mul, t, t));
    const int32_t right = ADD(mul, ADD(mul, x, bend), inner);
    return ftl_emit_mul(g, ADD(add, ftl_emit_add(g, t, 1), right), 0.5);
}

/* 0 below -3, 1 above 3, x / 3 + 1 / 2 between */
static int32_t hard_swish_slope(ftl_graph *g, int32_t x)
{
    const int32_t middle = ftl_emit_add(g, ftl_emit_mul(g, x, 1.0 / 3), 0.5);
    const int32_t above = ftl_emit_select_else(g, is_inside(g, x, -3, 3), middle, 1);
    return ftl_emit_select_then(g, ADD(less_equal, x, ftl_emit_number(g, x, -3)), 0, above);
}

static int32_t relu_grad(ftl_graph *g, int32_t x, int32_t d)
{
    return ftl_emit_select_else(g, ADD(less, ftl_emit_number(g, x, 0), x), d, 0);
}

static int32_t hard_sigmoid_grad(ftl_graph *g, int32_t x, int32_t d, double alpha, double beta)
{
    const int32_t line = ftl_emit_add(g, ftl_emit_mul(g, x, alpha), beta);
    return ftl_emit_select_else(g, is_inside(g, line, 0, 1), ftl_emit_mul(g, d, alpha), 0);
}

int32_t ftl_emit_act_grad(ftl_graph *g, int32_t x, int32_t d, const ftl_attr_act *act)
{
    const double alpha = act->alpha, beta = act->beta;
    int32_t y;
    switch ((ftl_act)act->kind) {
    case FTL_ACT_NONE: return d;
    case FTL_ACT_RELU: return relu_grad(g, x, d);
    case FTL_ACT_CLIP: return ftl_emit_select_else(g, is_inside(g, x, alpha, beta), d, 0);
    case FTL_ACT_LEAKY_RELU: return ADD(select, is_negative(g, x), ftl_emit_mul(g, d, alpha), d);
    case FTL_ACT_ELU: return ADD(mul, d, elu_slope(g, x, alpha));
    case FTL_ACT_SELU: return ftl_emit_mul(g, ADD(mul, d, elu_slope(g, x, alpha)), beta);
    case FTL_ACT_SIGMOID:
        y = ADD(sigmoid, x);
        return ADD(mul, d, ADD(mul, y, ADD(sub, ftl_emit_number(g, x, 1), y)));
    case FTL_ACT_TANH:
        y = ADD(tanh, x);
        return ADD(mul, d, ADD(sub, ftl_emit_number(g, x, 1), ADD(mul, y, y)));
    case FTL_ACT_SILU: return ADD(mul, d, silu_slope(g, x));
    case FTL_ACT_GELU: return ADD(mul, d, gelu_slope(g, x));
    case FTL_ACT_GELU_TANH: return ADD(mul, d, gelu_tanh_slope(g, x));
    case FTL_ACT_HARD_SIGMOID: return hard_sigmoid_grad(g, x, d, alpha, beta);
    case FTL_ACT_HARD_SWISH: return ADD(mul, d, hard_swish_slope(g, x));
    case FTL_ACT_SOFTPLUS: return ADD(mul, d, ADD(sigmoid, x));
    case FTL_ACT_COUNT: break;
    }
    return ftl_graph_poison(g, ftl_fail(FTL_EINVAL, "there is no activation %d", (int)act->kind));
}
