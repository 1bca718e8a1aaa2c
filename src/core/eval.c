/* SPDX-License-Identifier: Apache-2.0 */
/* The evaluator: from a node to its loop, and whole graphs node by node. */
#include "core/eval.h"

#include <string.h>

#include "base/alloc.h"
#include "core/eval_internal.h"
#include "core/graph_internal.h"
#include "core/op.h"
#include "core/pass.h"

const ftl_tensor_desc *ftl_eval_in(const ftl_eval_call *call, int32_t i)
{
    return i < call->node->n_in ? ftl_graph_peek_desc(call->graph, call->node->in[i]) : NULL;
}

typedef ftl_status (*eval_fn)(const ftl_eval_call *call);

/* NULL: not a primitive. */
static eval_fn loop_of(ftl_op op)
{
    switch (op) {
    case FTL_OP_add:
    case FTL_OP_sub:
    case FTL_OP_mul:
    case FTL_OP_div:
    case FTL_OP_max:
    case FTL_OP_min:
    case FTL_OP_pow:
    case FTL_OP_mod:
    case FTL_OP_and:
    case FTL_OP_or:
    case FTL_OP_xor: return ftl_eval_binary;
    case FTL_OP_equal:
    case FTL_OP_less:
    case FTL_OP_less_equal: return ftl_eval_compare;
    case FTL_OP_select: return ftl_eval_select;
    case FTL_OP_not:
    case FTL_OP_neg:
    case FTL_OP_abs:
    case FTL_OP_sign:
    case FTL_OP_floor:
    case FTL_OP_ceil:
    case FTL_OP_round:
    case FTL_OP_exp:
    case FTL_OP_log:
    case FTL_OP_sqrt:
    case FTL_OP_rsqrt:
    case FTL_OP_tanh:
    case FTL_OP_sigmoid:
    case FTL_OP_erf:
    case FTL_OP_sin:
    case FTL_OP_cos: return ftl_eval_unary;
    case FTL_OP_convert: return ftl_eval_convert;
    case FTL_OP_keep:
    case FTL_OP_reshape: return ftl_eval_same_bytes;
    case FTL_OP_broadcast: return ftl_eval_broadcast;
    case FTL_OP_transpose: return ftl_eval_transpose;
    case FTL_OP_slice: return ftl_eval_slice;
    case FTL_OP_reverse: return ftl_eval_reverse;
    case FTL_OP_pad: return ftl_eval_pad;
    case FTL_OP_concat: return ftl_eval_concat;
    case FTL_OP_iota: return ftl_eval_iota;
    case FTL_OP_gather: return ftl_eval_gather;
    case FTL_OP_scatter: return ftl_eval_scatter;
    case FTL_OP_reduce_sum:
    case FTL_OP_reduce_max:
    case FTL_OP_reduce_min:
    case FTL_OP_reduce_prod: return ftl_eval_reduce;
    case FTL_OP_arg_max: return ftl_eval_arg_max;
    case FTL_OP_matmul: return ftl_eval_matmul;
    case FTL_OP_conv2d: return ftl_eval_conv2d;
    case FTL_OP_max_pool2d: return ftl_eval_max_pool2d;
    case FTL_OP_avg_pool2d: return ftl_eval_avg_pool2d;
    default: return NULL;
    }
}

bool ftl_eval_knows(ftl_op op)
{
    return loop_of(op) != NULL;
}

ftl_status ftl_eval_node(const ftl_graph *graph, const ftl_node *node, const void *const *in,
                         void *const *out)
{
    const eval_fn run = loop_of(node->op);
    const char *op_name = ftl_op_get_info(node->op)->name;
    if (!run) return ftl_fail(FTL_EUNSUPPORTED, "%s is no primitive: lower it first", op_name);
    ftl_eval_call call = { .graph = graph, .node = node, .in = in, .out = out };
    /* Inferred, not looked up: constant folding asks for nodes that are in no graph yet. */
    ftl_tensor_desc desc[FTL_MAX_OUTPUTS];
    FTL_TRY(ftl_node_infer(graph, node, desc));
    call.out_desc = desc[0];
    if (ftl_desc_count_checked(&call.out_desc) == 0) return FTL_OK;
    const ftl_status s = run(&call);
    return s == FTL_OK ? s : ftl_fail_context(s, "%s %s", op_name, node->name);
}

/* ---- lowering ------------------------------------------------------------------------------ */

static ftl_status lower_one(void *arg, ftl_graph *to, const ftl_node *node, int32_t old_index,
                            int32_t *out, bool *done)
{
    (void)arg;
    (void)old_index;
    if (ftl_eval_knows(node->op)) return FTL_OK;
    const ftl_op_info *info = ftl_op_get_info(node->op);
    if (!info->lower)
        return ftl_fail(FTL_EUNSUPPORTED, "%s has neither a loop nor a decomposition", info->name);
    *done = true;
    return info->lower(to, node, out);
}

static bool is_primitive(const ftl_graph *graph)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    for (int32_t n = 0; n < v->n_nodes; n++)
        if (!ftl_eval_knows(v->nodes[n].op)) return false;
    return true;
}

/* Rounds until no composite is left; *out stays NULL where there was none to begin with. */
static ftl_status lower_all(ftl_graph **out, const ftl_graph *graph)
{
    enum { MAX_DEPTH = 16 }; /* decompositions nest two deep today */
    *out = NULL;
    for (int round = 0; !is_primitive(*out ? *out : graph); round++) {
        ftl_graph *lower = NULL;
        const ftl_status s = round < MAX_DEPTH
                                 ? ftl_graph_rewrite(&lower, *out ? *out : graph, lower_one, NULL)
                                 : ftl_fail(FTL_EINTERNAL, "decompositions go in a circle");
        ftl_graph_destroy(*out);
        *out = lower;
        if (s != FTL_OK) return s;
    }
    return FTL_OK;
}

/* ---- whole graphs -------------------------------------------------------------------------- */

/* The values of one evaluation. */
typedef struct values {
    const ftl_graph_view *view;
    const void **of_tensor; /* sources: the caller's; values: ours */
    void **place;           /* the caller's array of an output that is written at once, or NULL */
    void **aside;           /* of each alias; mostly NULL */
    int32_t *last_reader;   /* node, INT32_MAX for outputs, -1 for nobody */
    const void **in;        /* of the node at work */
} values;

/* New states wait for the end: their arrays may be those of the old ones, which are still read. */
static void place_outputs(values *v, void *const *out)
{
    for (int32_t i = 0; i < v->view->n_outputs; i++) v->place[v->view->outputs[i].tensor] = out[i];
    for (int32_t i = 0; i < v->view->n_aliases; i++)
        v->place[v->view->outputs[v->view->aliases[i].output].tensor] = NULL;
}

static ftl_status init_values(values *v, const ftl_graph *graph, const void *const *in,
                              void *const *out)
{
    *v = (values){ .view = ftl_graph_get_view(graph) };
    const ftl_graph_view *view = v->view;
    int32_t most = 1;
    for (int32_t n = 0; n < view->n_nodes; n++)
        if (view->nodes[n].n_in > most) most = view->nodes[n].n_in;
    v->of_tensor = ftl_calloc((size_t)view->n_tensors + 1, sizeof *v->of_tensor);
    v->last_reader = ftl_calloc((size_t)view->n_tensors + 1, sizeof *v->last_reader);
    v->place = ftl_calloc((size_t)view->n_tensors + 1, sizeof *v->place);
    v->aside = ftl_calloc((size_t)view->n_aliases + 1, sizeof *v->aside);
    v->in = ftl_calloc((size_t)most, sizeof *v->in);
    if (!v->of_tensor || !v->last_reader || !v->place || !v->aside || !v->in)
        return ftl_fail(FTL_ENOMEM, "no memory to evaluate graph \"%s\"", ftl_graph_name(graph));
    for (int32_t i = 0; i < view->n_tensors; i++) {
        v->last_reader[i] = -1;
        v->of_tensor[i] = view->tensors[i].data;
    }
    for (int32_t i = 0; i < view->n_sources; i++)
        if (in && in[i]) v->of_tensor[view->sources[i]] = in[i];
    for (int32_t n = 0; n < view->n_nodes; n++)
        for (int32_t i = 0; i < view->nodes[n].n_in; i++)
            if (view->nodes[n].in[i] >= 0) v->last_reader[view->nodes[n].in[i]] = n;
    for (int32_t i = 0; i < view->n_outputs; i++)
        v->last_reader[view->outputs[i].tensor] = INT32_MAX;
    place_outputs(v, out);
    return FTL_OK;
}

static void drop_value(values *v, int32_t tensor)
{
    if (v->view->tensors[tensor].kind != FTL_TENSOR_VALUE) return;
    if (!v->place[tensor]) ftl_free((void *)v->of_tensor[tensor]);
    v->of_tensor[tensor] = NULL;
}

static void deinit_values(values *v)
{
    const bool is_whole = v->of_tensor && v->place && v->aside;
    for (int32_t i = 0; is_whole && i < v->view->n_tensors; i++) drop_value(v, i);
    for (int32_t a = 0; is_whole && a < v->view->n_aliases; a++) ftl_free(v->aside[a]);
    ftl_free((void *)v->aside);
    ftl_free((void *)v->of_tensor);
    ftl_free(v->last_reader);
    ftl_free((void *)v->place);
    ftl_free((void *)v->in);
}

static ftl_status no_data(const ftl_graph *graph, int32_t tensor)
{
    return ftl_fail(FTL_EINVAL, "graph \"%s\": no data was given for \"%s\"", ftl_graph_name(graph),
                    ftl_graph_peek(graph, tensor)->name);
}

static ftl_status run_node(values *v, const ftl_graph *graph, int32_t n)
{
    const ftl_node *node = &v->view->nodes[n];
    void *out[FTL_MAX_OUTPUTS] = { NULL };
    for (int32_t i = 0; i < node->n_in; i++) {
        v->in[i] = node->in[i] < 0 ? NULL : v->of_tensor[node->in[i]];
        if (node->in[i] >= 0 && !v->in[i]) return no_data(graph, node->in[i]);
    }
    for (int32_t i = 0; i < node->n_out; i++) {
        const ftl_tensor *t = &v->view->tensors[node->out[i]];
        const size_t bytes = ftl_desc_bytes_checked(&t->desc);
        out[i] = v->place[node->out[i]];
        if (!out[i]) out[i] = ftl_alloc(bytes ? bytes : 1);
        v->of_tensor[node->out[i]] = out[i];
        if (!out[i])
            return ftl_fail(FTL_ENOMEM, "no memory for a value of %zu bytes of graph \"%s\"", bytes,
                            ftl_graph_name(graph));
    }
    FTL_TRY(ftl_eval_node(graph, node, v->in, out));
    for (int32_t i = 0; i < node->n_in; i++)
        if (node->in[i] >= 0 && v->last_reader[node->in[i]] == n) drop_value(v, node->in[i]);
    for (int32_t i = 0; i < node->n_out; i++)
        if (v->last_reader[node->out[i]] < 0) drop_value(v, node->out[i]);
    return FTL_OK;
}

static void copy_output(const values *v, int32_t output, const void *from, void *const *out)
{
    const int32_t tensor = v->view->outputs[output].tensor;
    const size_t bytes = ftl_desc_bytes_checked(&v->view->tensors[tensor].desc);
    if (bytes && out[output] != from) memmove(out[output], from, bytes);
}

/* A state that becomes another source as it is: kept aside, because that source may be a state
 * whose own array is about to be renewed. */
static ftl_status keep_aside(values *v)
{
    for (int32_t a = 0; a < v->view->n_aliases; a++) {
        const int32_t tensor = v->view->outputs[v->view->aliases[a].output].tensor;
        const size_t bytes = ftl_desc_bytes_checked(&v->view->tensors[tensor].desc);
        if (v->view->tensors[tensor].producer >= 0) continue;
        v->aside[a] = ftl_alloc(bytes ? bytes : 1);
        if (!v->aside[a]) return ftl_fail(FTL_ENOMEM, "no memory for the new value of a state");
        if (bytes) memcpy(v->aside[a], v->of_tensor[tensor], bytes);
    }
    return FTL_OK;
}

/* What was not written to its place: sources, constants, a second output of one value; then the
 * new states. */
static ftl_status copy_outputs(values *v, const ftl_graph *graph, void *const *out)
{
    for (int32_t i = 0; i < v->view->n_outputs; i++)
        if (!v->of_tensor[v->view->outputs[i].tensor])
            return no_data(graph, v->view->outputs[i].tensor);
    FTL_TRY(keep_aside(v));
    for (int32_t i = 0; i < v->view->n_outputs; i++) {
        bool is_state = false;
        for (int32_t a = 0; a < v->view->n_aliases; a++)
            is_state = is_state || v->view->aliases[a].output == i;
        if (!is_state) copy_output(v, i, v->of_tensor[v->view->outputs[i].tensor], out);
    }
    for (int32_t a = 0; a < v->view->n_aliases; a++) {
        const int32_t i = v->view->aliases[a].output;
        const void *value = v->of_tensor[v->view->outputs[i].tensor];
        copy_output(v, i, v->aside[a] ? v->aside[a] : value, out);
    }
    return FTL_OK;
}

static ftl_status eval_primitives(const ftl_graph *graph, const void *const *in, void *const *out)
{
    values v;
    ftl_status s = init_values(&v, graph, in, out);
    for (int32_t n = 0; s == FTL_OK && n < v.view->n_nodes; n++) s = run_node(&v, graph, n);
    if (s == FTL_OK) s = copy_outputs(&v, graph, out);
    deinit_values(&v);
    return s;
}

ftl_status ftl_eval_graph(const ftl_graph *graph, const void *const *in, void *const *out)
{
    FTL_TRY(ftl_graph_status(graph));
    if (!ftl_graph_get_view(graph)->is_bound)
        return ftl_fail(FTL_EINVAL, "graph \"%s\" has no shapes yet: bind it before evaluating",
                        ftl_graph_name(graph));
    ftl_graph *lowered;
    ftl_status s = lower_all(&lowered, graph);
    if (s == FTL_OK) s = eval_primitives(lowered ? lowered : graph, in, out);
    ftl_graph_destroy(lowered);
    return s;
}

/* ---- widening ------------------------------------------------------------------------------ */

static ftl_dtype widest(ftl_dtype dtype)
{
    return ftl_dtype_is_float(dtype) ? FTL_DTYPE_F64 : dtype;
}

static void widen_source(ftl_graph_map *map, int32_t tensor)
{
    ftl_tensor source = *ftl_graph_peek(map->from, tensor);
    ftl_tensor_desc desc = source.desc;
    desc.dtype = widest(desc.dtype);
    source.data = NULL;
    map->tensor[tensor] = ftl_graph_copy_source(map->to, &source, &desc);
}

static ftl_status widen_const(ftl_graph_map *map, int32_t tensor)
{
    const ftl_tensor *t = ftl_graph_peek(map->from, tensor);
    ftl_tensor_desc desc = t->desc;
    desc.dtype = widest(desc.dtype);
    const int64_t n = ftl_desc_count_checked(&desc);
    void *data = ftl_calloc((size_t)n + 1, ftl_dtype_bytes(desc.dtype));
    if (!data) return ftl_fail(FTL_ENOMEM, "no memory to widen a constant");
    ftl_elements_convert(desc.dtype, data, t->desc.dtype, t->data, n);
    map->tensor[tensor] = ftl_graph_const(map->to, &desc, data);
    ftl_free(data);
    return ftl_graph_status(map->to);
}

static void widen_node(ftl_graph_map *map, const ftl_node *node)
{
    ftl_node wide = *node;
    memcpy(&wide.attr, &node->attr, sizeof wide.attr);
    if (node->op == FTL_OP_convert) wide.attr.convert.dtype = widest(node->attr.convert.dtype);
    if (node->op == FTL_OP_iota) wide.attr.shape.dtype = widest(node->attr.shape.dtype);
    ftl_graph_map_node(map, &wide);
}

ftl_status ftl_graph_widen(ftl_graph **out, const ftl_graph *graph)
{
    *out = NULL;
    FTL_TRY(ftl_graph_status(graph));
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    ftl_graph_map map = { .from = graph };
    map.tensor = ftl_calloc((size_t)v->n_tensors + 1, sizeof *map.tensor);
    if (!map.tensor) return ftl_fail(FTL_ENOMEM, "no memory to widen a graph");
    for (int32_t i = 0; i < v->n_tensors; i++) map.tensor[i] = -1;
    ftl_status s = ftl_graph_create(&map.to, ftl_graph_name(graph), v->is_bound);
    for (int32_t i = 0; s == FTL_OK && i < v->n_sources; i++) {
        widen_source(&map, v->sources[i]);
        s = ftl_graph_status(map.to);
    }
    for (int32_t i = 0; s == FTL_OK && i < v->n_tensors; i++)
        if (v->tensors[i].kind == FTL_TENSOR_CONST) s = widen_const(&map, i);
    for (int32_t n = 0; s == FTL_OK && n < v->n_nodes; n++) {
        widen_node(&map, &v->nodes[n]);
        s = ftl_graph_status(map.to);
    }
    if (s == FTL_OK) return ftl_graph_map_finish(&map, out);
    ftl_graph_map_deinit(&map);
    ftl_graph_destroy(map.to);
    return s;
}
