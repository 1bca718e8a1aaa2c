/* SPDX-License-Identifier: Apache-2.0 */
/* Copying graphs: the map behind every pass, rewrite, and bind. */
#include <string.h>

#include "base/alloc.h"
#include "core/graph_internal.h"
#include "core/op.h"
#include "core/pass.h"

static ftl_status init_map(ftl_graph_map *map, const ftl_graph *from, bool is_bound)
{
    const ftl_graph_view *v = ftl_graph_get_view(from);
    *map = (ftl_graph_map){ .from = from };
    FTL_TRY(ftl_graph_status(from));
    map->tensor = ftl_calloc((size_t)v->n_tensors + 1, sizeof *map->tensor);
    if (!map->tensor) return ftl_fail(FTL_ENOMEM, "no memory to copy a graph");
    memset(map->tensor, 0xff, ((size_t)v->n_tensors + 1) * sizeof *map->tensor);
    return ftl_graph_create(&map->to, ftl_graph_name(from), is_bound);
}

ftl_status ftl_graph_map_init(ftl_graph_map *map, const ftl_graph *from, const bool *wanted)
{
    const ftl_graph_view *v = ftl_graph_get_view(from);
    FTL_TRY(init_map(map, from, v->is_bound));
    for (int32_t i = 0; i < v->n_sources; i++) {
        if (wanted && !wanted[v->sources[i]]) continue;
        const ftl_tensor *t = &v->tensors[v->sources[i]];
        map->tensor[v->sources[i]] = ftl_graph_copy_source(map->to, t, &t->desc);
    }
    return ftl_graph_status(map->to);
}

void ftl_graph_map_deinit(ftl_graph_map *map)
{
    ftl_free(map->tensor);
    map->tensor = NULL;
}

int32_t ftl_graph_map_get(ftl_graph_map *map, int32_t tensor)
{
    const ftl_tensor *t = ftl_graph_peek(map->from, tensor);
    if (!t) return -1;
    if (map->tensor[tensor] < 0 && t->kind == FTL_TENSOR_CONST) {
        map->tensor[tensor] = ftl_graph_const(map->to, &t->desc, t->data);
        if (*t->name) ftl_graph_set_name(map->to, map->tensor[tensor], t->name);
    }
    return map->tensor[tensor];
}

/* The node's inputs in the new graph, in the new graph's arena. */
static const int32_t *map_inputs(ftl_graph_map *map, const ftl_node *node)
{
    int32_t *in =
        ftl_arena_array(ftl_graph_get_view(map->to)->arena, (size_t)node->n_in + 1, sizeof *in);
    if (!in) {
        ftl_graph_poison(map->to, ftl_fail(FTL_ENOMEM, "no memory to copy a graph"));
        return NULL;
    }
    for (int32_t i = 0; i < node->n_in; i++) in[i] = ftl_graph_map_get(map, node->in[i]);
    return in;
}

/* Results of `node` are first, first + 1, ... in the new graph. */
static void map_outputs(ftl_graph_map *map, const ftl_node *node, const int32_t *out)
{
    for (int32_t i = 0; i < node->n_out; i++) {
        map->tensor[node->out[i]] = out[i];
        const ftl_tensor *old = ftl_graph_peek(map->from, node->out[i]);
        if (*old->name && out[i] >= 0) {
            const ftl_tensor *new_tensor = ftl_graph_peek(map->to, out[i]);
            if (new_tensor && !*new_tensor->name) ftl_graph_set_name(map->to, out[i], old->name);
        }
    }
}

static void emit_copy(ftl_graph_map *map, const ftl_node *node, const int32_t *in,
                      const ftl_attr *attr)
{
    ftl_graph_set_scope(map->to, node->name);
    const int32_t first = ftl_graph_add(map->to, node->op, attr, in, node->n_in);
    int32_t out[FTL_MAX_OUTPUTS];
    for (int32_t i = 0; i < node->n_out; i++) out[i] = first < 0 ? -1 : first + i;
    map_outputs(map, node, out);
}

void ftl_graph_map_node(ftl_graph_map *map, const ftl_node *node)
{
    const int32_t *in = map_inputs(map, node);
    if (in) emit_copy(map, node, in, &node->attr);
}

ftl_status ftl_graph_map_finish(ftl_graph_map *map, ftl_graph **out)
{
    const ftl_graph_view *v = ftl_graph_get_view(map->from);
    for (int32_t i = 0; i < v->n_outputs; i++) {
        const int32_t tensor = ftl_graph_map_get(map, v->outputs[i].tensor);
        const ftl_alias *alias = NULL;
        for (int32_t a = 0; a < v->n_aliases; a++)
            if (v->aliases[a].output == i) alias = &v->aliases[a];
        if (alias) ftl_graph_output_state(map->to, map->tensor[alias->state], tensor);
        else ftl_graph_output(map->to, v->outputs[i].name, tensor);
    }
    const ftl_status s = ftl_graph_status(map->to);
    ftl_graph_map_deinit(map);
    if (s != FTL_OK) {
        ftl_graph_destroy(map->to);
        map->to = NULL;
    }
    *out = map->to;
    return s;
}

ftl_status ftl_graph_map_drop(ftl_graph_map *map, ftl_status status)
{
    ftl_graph_map_deinit(map);
    ftl_graph_destroy(map->to);
    map->to = NULL;
    return status;
}

ftl_status ftl_graph_rewrite(ftl_graph **out, const ftl_graph *graph, ftl_rewrite_fn emit,
                             void *arg)
{
    *out = NULL;
    ftl_graph_map map;
    ftl_status s = ftl_graph_map_init(&map, graph, NULL);
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    for (int32_t n = 0; s == FTL_OK && n < v->n_nodes; n++) {
        ftl_node node = v->nodes[n];
        node.in = map_inputs(&map, &v->nodes[n]);
        int32_t results[FTL_MAX_OUTPUTS] = { -1, -1, -1, -1 };
        bool done = false;
        if (node.in) {
            ftl_graph_set_scope(map.to, node.name);
            s = emit(arg, map.to, &node, n, results, &done);
        }
        if (s == FTL_OK && done) map_outputs(&map, &v->nodes[n], results);
        if (s == FTL_OK && !done && node.in) emit_copy(&map, &v->nodes[n], node.in, &node.attr);
        if (s == FTL_OK) s = ftl_graph_status(map.to);
    }
    return s == FTL_OK ? ftl_graph_map_finish(&map, out) : ftl_graph_map_drop(&map, s);
}

/* ---- bind ---------------------------------------------------------------------------------- */

bool ftl_dim_combine(ftl_dim_kind kind, int64_t a, int64_t b, int64_t *out)
{
    switch (kind) {
    case FTL_DIM_MUL: return !__builtin_mul_overflow(a, b, out);
    case FTL_DIM_ADD: return !__builtin_add_overflow(a, b, out);
    case FTL_DIM_DIV:
        if (b == 0 || (a == INT64_MIN && b == -1)) return false;
        *out = a / b;
        return true;
    case FTL_DIM_NAME: break;
    }
    return false;
}

typedef struct binding {
    const ftl_graph *graph;
    const ftl_dim_value *dims;
    int32_t n_dims;
} binding;

/* Depth is bounded: an expression refers to dims that were made before it. */
static ftl_status eval_dim(const binding *b, int64_t dim, int64_t *out)
{
    *out = dim;
    if (!ftl_dim_is_named(dim)) return FTL_OK;
    const ftl_dim_expr *e = ftl_graph_dim_expr(b->graph, dim);
    if (!e) return ftl_fail(FTL_EINVAL, "a dim of another graph");
    if (e->kind == FTL_DIM_NAME) {
        for (int32_t i = 0; i < b->n_dims; i++) {
            if (strcmp(b->dims[i].name, e->name) != 0) continue;
            *out = b->dims[i].value;
            if (*out < 0) return ftl_fail(FTL_EINVAL, "dim \"%s\" is negative", e->name);
            return FTL_OK;
        }
        return ftl_fail(FTL_EINVAL, "graph \"%s\": dim \"%s\" was not given",
                        ftl_graph_name(b->graph), e->name);
    }
    int64_t left, right;
    FTL_TRY(eval_dim(b, e->a, &left));
    FTL_TRY(eval_dim(b, e->b, &right));
    if (!ftl_dim_combine(e->kind, left, right, out))
        return ftl_fail(FTL_EINVAL, "graph \"%s\": a dim overflows or divides by zero",
                        ftl_graph_name(b->graph));
    return FTL_OK;
}

static ftl_status eval_dims(const binding *b, int32_t rank, int64_t *dim)
{
    for (int32_t i = 0; i < rank; i++) FTL_TRY(eval_dim(b, dim[i], &dim[i]));
    return FTL_OK;
}

/* Dims stand in the shape attribute and in the limits of slices. */
static ftl_status bind_attr(const binding *b, const ftl_node *node, ftl_attr *attr)
{
    memcpy(attr, &node->attr, sizeof *attr);
    const char *member = ftl_op_get_info(node->op)->attributes;
    if (strcmp(member, "shape") == 0) {
        if (attr->shape.rank < 0 || attr->shape.rank > FTL_MAX_RANK)
            return ftl_fail(FTL_EINVAL, "%s: rank %d", node->name, (int)attr->shape.rank);
        return eval_dims(b, attr->shape.rank, attr->shape.dim);
    }
    if (strcmp(member, "slice") == 0) {
        FTL_TRY(eval_dims(b, FTL_MAX_RANK, attr->slice.start));
        FTL_TRY(eval_dims(b, FTL_MAX_RANK, attr->slice.limit));
    }
    return FTL_OK;
}

ftl_status ftl_graph_bind(ftl_graph **out, const ftl_graph *graph, const ftl_dim_value *dims,
                          int32_t n_dims)
{
    *out = NULL;
    const binding b = { graph, dims, n_dims };
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    ftl_graph_map map;
    ftl_status s = init_map(&map, graph, true);
    for (int32_t i = 0; s == FTL_OK && i < v->n_sources; i++) {
        const ftl_tensor *t = &v->tensors[v->sources[i]];
        ftl_tensor_desc desc = t->desc;
        s = eval_dims(&b, desc.rank, desc.dim);
        if (s == FTL_OK) map.tensor[v->sources[i]] = ftl_graph_copy_source(map.to, t, &desc);
    }
    for (int32_t n = 0; s == FTL_OK && n < v->n_nodes; n++) {
        const int32_t *in = map_inputs(&map, &v->nodes[n]);
        ftl_attr attr;
        s = bind_attr(&b, &v->nodes[n], &attr);
        if (s == FTL_OK && in) emit_copy(&map, &v->nodes[n], in, &attr);
        if (s == FTL_OK) s = ftl_graph_status(map.to);
        if (s != FTL_OK && *v->nodes[n].name) ftl_fail_context(s, "%s", v->nodes[n].name);
    }
    return s == FTL_OK ? ftl_graph_map_finish(&map, out) : ftl_graph_map_drop(&map, s);
}
