/* SPDX-License-Identifier: Apache-2.0 */
/* The backward walk.  The rules of the rows are in grad_rules.c and grad_nn.c. */
#include "core/grad.h"

#include <string.h>

#include "base/alloc.h"
#include "core/emit.h"
#include "core/graph_internal.h"
#include "core/op.h"

/* One differentiation.  Index: tensor of the graph as it was at the start. */
typedef struct walk {
    ftl_graph *graph;
    int32_t n_tensors, n_nodes;
    bool *needs;   /* a wanted tensor is on the way to it, through floats alone */
    int32_t *d;    /* gradient so far, -1: none */
    int32_t *d_in; /* of the node at work */
    int32_t most_in;
} walk;

static const ftl_graph_view *view_of(const walk *w)
{
    return ftl_graph_get_view(w->graph);
}

static ftl_status init_walk(walk *w, ftl_graph *graph)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    *w = (walk){ .graph = graph, .n_tensors = v->n_tensors, .n_nodes = v->n_nodes, .most_in = 1 };
    for (int32_t n = 0; n < v->n_nodes; n++)
        if (v->nodes[n].n_in > w->most_in) w->most_in = v->nodes[n].n_in;
    w->needs = ftl_calloc((size_t)w->n_tensors + 1, sizeof *w->needs);
    w->d = ftl_calloc((size_t)w->n_tensors + 1, sizeof *w->d);
    w->d_in = ftl_calloc((size_t)w->most_in, sizeof *w->d_in);
    if (!w->needs || !w->d || !w->d_in)
        return ftl_fail(FTL_ENOMEM, "no memory to differentiate graph \"%s\"",
                        ftl_graph_name(graph));
    for (int32_t i = 0; i < w->n_tensors; i++) w->d[i] = -1;
    return FTL_OK;
}

static void deinit_walk(walk *w)
{
    ftl_free(w->needs);
    ftl_free(w->d);
    ftl_free(w->d_in);
}

static bool is_float(const walk *w, int32_t tensor)
{
    return ftl_dtype_is_float(ftl_emit_desc(w->graph, tensor).dtype);
}

static ftl_status mark_needs(walk *w, const int32_t *wanted, int32_t n_wanted)
{
    for (int32_t i = 0; i < n_wanted; i++) {
        if (wanted[i] < 0 || wanted[i] >= w->n_tensors || !is_float(w, wanted[i]))
            return ftl_fail(FTL_EINVAL,
                            "graph \"%s\": gradient number %d is wanted of something "
                            "that is no float tensor of it",
                            ftl_graph_name(w->graph), (int)i);
        w->needs[wanted[i]] = true;
    }
    for (int32_t n = 0; n < w->n_nodes; n++) {
        const ftl_node *node = &view_of(w)->nodes[n];
        bool any = false;
        for (int32_t i = 0; i < node->n_in; i++)
            any = any || (node->in[i] >= 0 && w->needs[node->in[i]]);
        for (int32_t i = 0; any && i < node->n_out; i++)
            if (is_float(w, node->out[i])) w->needs[node->out[i]] = true;
    }
    return FTL_OK;
}

/* Whether the node lies between a wanted tensor and the loss; fills d_out. */
static bool is_on_the_way(const walk *w, const ftl_node *node, int32_t *d_out)
{
    bool has_d = false, has_need = false;
    for (int32_t i = 0; i < node->n_out; i++) {
        d_out[i] = w->d[node->out[i]];
        has_d = has_d || d_out[i] >= 0;
    }
    for (int32_t i = 0; i < node->n_in; i++)
        has_need = has_need || (node->in[i] >= 0 && w->needs[node->in[i]]);
    return has_d && has_need;
}

static ftl_status step_back(walk *w, int32_t n)
{
    ftl_node node; /* a copy: emitting moves the graph's arrays */
    memcpy(&node, &view_of(w)->nodes[n], sizeof node);
    int32_t d_out[FTL_MAX_OUTPUTS];
    if (!is_on_the_way(w, &node, d_out)) return FTL_OK;
    const ftl_op_info *info = ftl_op_get_info(node.op);
    if (!info->gradient)
        return ftl_fail(FTL_EUNSUPPORTED,
                        "%s %s of graph \"%s\" has no gradient rule and lies on "
                        "the way to the loss: take it off, or use another op",
                        info->name, node.name, ftl_graph_name(w->graph));
    for (int32_t i = 0; i < node.n_in; i++) w->d_in[i] = -1;
    ftl_graph_set_scope(w->graph, node.name);
    const ftl_status s = info->gradient(w->graph, &node, d_out, w->d_in);
    if (s != FTL_OK) return ftl_fail_context(s, "gradient of %s %s", info->name, node.name);
    for (int32_t i = 0; i < node.n_in; i++) {
        const int32_t x = node.in[i];
        if (x < 0 || !w->needs[x] || w->d_in[i] < 0) continue;
        w->d[x] = w->d[x] < 0 ? w->d_in[i] : FTL_ADD(w->graph, add, NULL, w->d[x], w->d_in[i]);
    }
    return ftl_graph_status(w->graph);
}

static ftl_status walk_back(walk *w, int32_t loss, const int32_t *wanted, int32_t n_wanted,
                            int32_t *d_out)
{
    FTL_TRY(mark_needs(w, wanted, n_wanted));
    w->d[loss] = ftl_emit_number(w->graph, loss, 1);
    for (int32_t n = w->n_nodes - 1; n >= 0; n--) FTL_TRY(step_back(w, n));
    ftl_graph_set_scope(w->graph, NULL);
    for (int32_t i = 0; i < n_wanted; i++) {
        const ftl_tensor_desc desc = ftl_emit_desc(w->graph, wanted[i]);
        d_out[i] = w->d[wanted[i]] >= 0 ? w->d[wanted[i]] : ftl_emit_full(w->graph, &desc, 0);
    }
    return ftl_graph_status(w->graph);
}

ftl_status ftl_graph_gradients(ftl_graph *graph, int32_t loss, const int32_t *wanted,
                               int32_t n_wanted, int32_t *d_out)
{
    for (int32_t i = 0; i < n_wanted; i++) d_out[i] = -1;
    FTL_TRY(ftl_graph_status(graph));
    const ftl_tensor_desc *desc = ftl_graph_peek_desc(graph, loss);
    if (!ftl_graph_get_view(graph)->is_bound || !desc || desc->rank != 0 ||
        !ftl_dtype_is_float(desc->dtype))
        return ftl_fail(FTL_EINVAL, "graph \"%s\": a loss is a float scalar of a bound graph",
                        ftl_graph_name(graph));
    walk w;
    ftl_status s = init_walk(&w, graph);
    if (s == FTL_OK) s = walk_back(&w, loss, wanted, n_wanted, d_out);
    deinit_walk(&w);
    if (s != FTL_OK)
        for (int32_t i = 0; i < n_wanted; i++) d_out[i] = -1;
    return s;
}
