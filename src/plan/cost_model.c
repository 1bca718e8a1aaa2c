/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/cost_model.h"

#include <math.h>

/* Where the efficiencies of a machine that has not been measured begin: medians over the shapes of
 * the presets on a 2-core Zen 5 (bench/results); wide scatter, since another CPU differs. */
static const struct {
    const char *name;
    double efficiency, scatter;
} classes[FTL_WORK_N] = {
    [FTL_WORK_GEMM] = { "gemm", 0.80, 0.15 },
    [FTL_WORK_GEMV] = { "gemv", 0.70, 0.25 },
    [FTL_WORK_CONV_1X1] = { "conv 1x1", 0.65, 0.25 },
    [FTL_WORK_CONV_3X3] = { "conv 3x3", 0.60, 0.25 },
    [FTL_WORK_CONV_LARGE] = { "conv large", 0.50, 0.30 },
    [FTL_WORK_CONV_GROUPED] = { "conv grouped", 0.40, 0.40 },
    [FTL_WORK_CONV_DEPTHWISE] = { "conv depthwise", 0.20, 0.40 },
    [FTL_WORK_ATTENTION] = { "attention", 0.40, 0.30 },
    [FTL_WORK_POOL] = { "pool", 0.30, 0.40 },
    [FTL_WORK_NORM] = { "norm", 0.40, 0.40 },
    [FTL_WORK_ELEMENTWISE] = { "elementwise", 0.50, 0.40 },
    [FTL_WORK_MOVE] = { "move", 0.40, 0.40 },
};
/* Of whole programs: shapes are measured over and over from a warm cache, networks run through all
 * their weights.  36 cases of bench/predict scatter by 0.3 around the sum of their nodes. */
static const double common_scatter = 0.3;
static const double z_90 = 1.645; /* of the normal distribution, two-sided 90 % */

const char *ftl_work_class_name(ftl_work_class work)
{
    return classes[work].name;
}

void ftl_rates_default(ftl_rates *rates)
{
    *rates = (ftl_rates){ .common_scatter = common_scatter };
    for (int i = 0; i < FTL_WORK_N; i++) {
        rates->efficiency[i] = classes[i].efficiency;
        rates->scatter[i] = classes[i].scatter;
    }
}

static ftl_work_class conv_class(const ftl_graph *graph, const ftl_node *node)
{
    const ftl_tensor_desc *w = ftl_graph_peek_desc(graph, node->in[1]);
    const ftl_attr_conv *a = &node->attr.conv;
    if (a->groups > 1) return w->dim[1] == 1 ? FTL_WORK_CONV_DEPTHWISE : FTL_WORK_CONV_GROUPED;
    if (w->dim[2] == 1 && w->dim[3] == 1 && a->stride[0] == 1 && a->stride[1] == 1)
        return FTL_WORK_CONV_1X1;
    return w->dim[2] > 3 || w->dim[3] > 3 ? FTL_WORK_CONV_LARGE : FTL_WORK_CONV_3X3;
}

static ftl_work_class product_class(const ftl_graph *graph, const ftl_node *node)
{
    enum { FEW_ROWS = 8 };
    const ftl_tensor_desc *y = ftl_graph_peek_desc(graph, node->out[0]);
    const int64_t rows =
        node->op == FTL_OP_linear ? ftl_desc_span(y, 0, y->rank - 1) : y->dim[y->rank - 2];
    return rows < FEW_ROWS ? FTL_WORK_GEMV : FTL_WORK_GEMM;
}

ftl_work_class ftl_work_class_of(const ftl_graph *graph, const ftl_node *node)
{
    switch (node->op) {
    case FTL_OP_linear:
    case FTL_OP_matmul: return product_class(graph, node);
    case FTL_OP_conv:
    case FTL_OP_conv2d: return conv_class(graph, node);
    case FTL_OP_attention: return FTL_WORK_ATTENTION;
    case FTL_OP_max_pool2d:
    case FTL_OP_avg_pool2d: return FTL_WORK_POOL;
    case FTL_OP_softmax:
    case FTL_OP_log_softmax:
    case FTL_OP_layer_norm:
    case FTL_OP_rms_norm:
    case FTL_OP_lrn:
    case FTL_OP_softmax_cross_entropy:
    case FTL_OP_softmax_cross_entropy_grad:
    case FTL_OP_reduce_sum:
    case FTL_OP_reduce_max:
    case FTL_OP_reduce_min:
    case FTL_OP_reduce_prod:
    case FTL_OP_reduce_mean:
    case FTL_OP_arg_max: return FTL_WORK_NORM;
    case FTL_OP_reshape:
    case FTL_OP_broadcast:
    case FTL_OP_transpose:
    case FTL_OP_slice:
    case FTL_OP_reverse:
    case FTL_OP_pad:
    case FTL_OP_concat:
    case FTL_OP_iota:
    case FTL_OP_gather:
    case FTL_OP_scatter:
    case FTL_OP_kv_write: return FTL_WORK_MOVE;
    default: return FTL_WORK_ELEMENTWISE;
    }
}

/* Bandwidth at which a node's bytes move, by the level that holds all of them at once. */
static double bandwidth_of(const ftl_rates *rates, double bytes)
{
    int level = 0;
    while (level < FTL_LEVELS - 1 &&
           (rates->bytes_per_s[level] <= 0 || bytes > rates->level_bytes[level]))
        level++;
    return rates->bytes_per_s[level];
}

double ftl_cost_node(const ftl_rates *rates, const ftl_graph *graph, const ftl_node *node,
                     double *bound_s)
{
    ftl_op_cost cost;
    ftl_node_cost(graph, node, NULL, &cost);
    const double bytes = cost.bytes_read + cost.bytes_written;
    const double bandwidth = bandwidth_of(rates, bytes);
    const double flops_s = rates->flops_per_s > 0 ? cost.flops / rates->flops_per_s : 0;
    const double bytes_s = bandwidth > 0 ? bytes / bandwidth : 0;
    const double bound = flops_s > bytes_s ? flops_s : bytes_s;
    if (bound_s) *bound_s = bound;
    if (bytes == 0) return 0; /* a view */
    const double efficiency = rates->efficiency[ftl_work_class_of(graph, node)];
    return bound / (efficiency > 0 ? efficiency : 1) + rates->step_s;
}

void ftl_cost_graph(const ftl_rates *rates, const ftl_graph *graph, ftl_cost_estimate *out)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    double variance = 0;
    *out = (ftl_cost_estimate){ .seconds = rates->run_s, .overhead_s = rates->run_s };
    for (int32_t n = 0; n < v->n_nodes; n++) {
        double bound;
        const double seconds = ftl_cost_node(rates, graph, &v->nodes[n], &bound);
        const double scatter = rates->scatter[ftl_work_class_of(graph, &v->nodes[n])];
        const double overhead = seconds > 0 ? rates->step_s : 0;
        ftl_op_cost cost;
        ftl_node_cost(graph, &v->nodes[n], NULL, &cost);
        const bool is_flops =
            rates->flops_per_s > 0 && cost.flops / rates->flops_per_s >= bound && cost.flops > 0;
        *(is_flops ? &out->flops_s : &out->bytes_s) += seconds - overhead;
        out->overhead_s += overhead;
        out->seconds += seconds;
        variance += seconds * scatter * seconds * scatter;
    }
    /* Errors of nodes average out, what they share does not. */
    const double own = out->seconds > 0 ? sqrt(variance) / out->seconds : 0;
    double spread = z_90 * sqrt(own * own + rates->common_scatter * rates->common_scatter);
    if (!isfinite(spread)) spread = 0; /* a profile with absurd numbers: no interval but no NaN */
    out->low_s = out->seconds * exp(-spread);
    out->high_s = out->seconds * exp(spread);
}
