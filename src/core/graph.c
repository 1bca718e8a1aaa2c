/* SPDX-License-Identifier: Apache-2.0 */
/* The builder: growing arrays of tensors and nodes, everything else in one arena. */
#include "core/graph.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "core/graph_internal.h"
#include "core/op.h"

enum { TEXT_BYTES = 512 };

struct ftl_graph {
    ftl_graph_view view;
    ftl_arena arena;
    const char *name, *scope;
    ftl_tensor *tensors;
    ftl_node *nodes;
    int32_t *sources;
    ftl_output *outputs;
    ftl_alias *aliases;
    ftl_dim_expr *dims;
    ftl_map *source_names; /* to tensors; NULL: there is no source yet */
    int32_t tensor_room, node_room, source_room, output_room, alias_room, n_dims, dim_room;
    ftl_status status;
    char status_text[TEXT_BYTES];
};

ftl_status ftl_graph_create(ftl_graph **out, const char *name, bool is_bound)
{
    *out = NULL;
    ftl_graph *g = ftl_calloc(1, sizeof *g);
    if (!g) return ftl_fail(FTL_ENOMEM, "no memory for graph \"%s\"", name);
    g->view.is_bound = is_bound;
    g->view.arena = &g->arena;
    g->name = ftl_arena_strdup(&g->arena, name);
    g->scope = "";
    if (!g->name) {
        ftl_graph_destroy(g);
        return ftl_fail(FTL_ENOMEM, "no memory for graph \"%s\"", name);
    }
    *out = g;
    return FTL_OK;
}

void ftl_graph_destroy(ftl_graph *graph)
{
    if (!graph) return;
    ftl_free(graph->tensors);
    ftl_free(graph->nodes);
    ftl_free(graph->sources);
    ftl_free(graph->outputs);
    ftl_free(graph->aliases);
    ftl_free(graph->dims);
    ftl_map_destroy(graph->source_names);
    ftl_arena_deinit(&graph->arena);
    ftl_free(graph);
}

const char *ftl_graph_name(const ftl_graph *graph)
{
    return graph->name;
}

const ftl_graph_view *ftl_graph_get_view(const ftl_graph *graph)
{
    return &graph->view;
}

ftl_status ftl_graph_status(const ftl_graph *graph)
{
    return graph->status == FTL_OK ? FTL_OK : ftl_fail(graph->status, "%s", graph->status_text);
}

int32_t ftl_graph_poison(ftl_graph *graph, ftl_status status)
{
    if (graph->status == FTL_OK && status != FTL_OK) {
        graph->status = status;
        snprintf(graph->status_text, sizeof graph->status_text, "%s", ftl_error_text());
    }
    return -1;
}

/* Makes room for one more element in a growing array and returns the array, or NULL. */
static void *room_for(ftl_graph *g, void *array, int32_t count, int32_t *room, size_t bytes)
{
    if (count < *room) return array;
    if (count >= INT32_MAX / 4) {
        ftl_graph_poison(g, ftl_fail(FTL_EINVAL, "graph \"%s\" has too many parts", g->name));
        return NULL;
    }
    const int32_t bigger = *room ? *room * 2 : 16;
    void *grown = ftl_realloc(array, (size_t)bigger * bytes);
    if (!grown) {
        ftl_graph_poison(g, ftl_fail(FTL_ENOMEM, "no memory for graph \"%s\"", g->name));
        return NULL;
    }
    *room = bigger;
    return grown;
}

static int32_t no_memory(ftl_graph *g)
{
    return ftl_graph_poison(g, ftl_fail(FTL_ENOMEM, "no memory for graph \"%s\"", g->name));
}

static const char *copy_name(ftl_graph *g, const char *name)
{
    if (!name || !*name) return "";
    const char *copy = ftl_arena_strdup(&g->arena, name);
    if (!copy) no_memory(g);
    return copy ? copy : "";
}

/* ---- named dims ---------------------------------------------------------------------------- */

enum { FIRST_DIM = -16 };

bool ftl_dim_is_named(int64_t dim)
{
    return dim <= FIRST_DIM;
}

static int64_t add_dim(ftl_graph *g, ftl_dim_expr expr)
{
    if (g->status != FTL_OK) return 0;
    if (g->view.is_bound) {
        ftl_graph_poison(g, ftl_fail(FTL_EINVAL, "graph \"%s\" is bound: no named dims", g->name));
        return 0;
    }
    ftl_dim_expr *dims = room_for(g, g->dims, g->n_dims, &g->dim_room, sizeof *g->dims);
    if (!dims) return 0;
    g->dims = dims;
    dims[g->n_dims] = expr;
    return (int64_t)FIRST_DIM - g->n_dims++;
}

int64_t ftl_dim_named(ftl_graph *graph, const char *name)
{
    for (int32_t i = 0; i < graph->n_dims; i++)
        if (graph->dims[i].kind == FTL_DIM_NAME && strcmp(graph->dims[i].name, name) == 0)
            return (int64_t)FIRST_DIM - i;
    return add_dim(graph, (ftl_dim_expr){ .kind = FTL_DIM_NAME, .name = copy_name(graph, name) });
}

static int64_t combine(ftl_graph *graph, ftl_dim_kind kind, int64_t a, int64_t b)
{
    const ftl_dim_expr expr = { .kind = kind, .a = a, .b = b };
    if (ftl_dim_is_named(a) || ftl_dim_is_named(b)) return add_dim(graph, expr);
    int64_t value = 0;
    if (!ftl_dim_combine(kind, a, b, &value))
        ftl_graph_poison(graph, ftl_fail(FTL_EINVAL, "graph \"%s\": a dim overflows", graph->name));
    return value;
}

int64_t ftl_dim_mul(ftl_graph *graph, int64_t a, int64_t b)
{
    return combine(graph, FTL_DIM_MUL, a, b);
}

int64_t ftl_dim_add(ftl_graph *graph, int64_t a, int64_t b)
{
    return combine(graph, FTL_DIM_ADD, a, b);
}

int64_t ftl_dim_div(ftl_graph *graph, int64_t a, int64_t b)
{
    return combine(graph, FTL_DIM_DIV, a, b);
}

const char *ftl_graph_peek_dim(const ftl_graph *graph, int32_t i)
{
    for (int32_t d = 0; d < graph->n_dims; d++)
        if (graph->dims[d].kind == FTL_DIM_NAME && i-- == 0) return graph->dims[d].name;
    return NULL;
}

const ftl_dim_expr *ftl_graph_dim_expr(const ftl_graph *graph, int64_t dim)
{
    const int64_t index = FIRST_DIM - dim;
    return index >= 0 && index < graph->n_dims ? &graph->dims[index] : NULL;
}

/* ---- tensors ------------------------------------------------------------------------------- */

static int32_t add_tensor(ftl_graph *g, const ftl_tensor *tensor)
{
    if (g->status != FTL_OK) return -1;
    ftl_tensor *tensors =
        room_for(g, g->tensors, g->view.n_tensors, &g->tensor_room, sizeof *g->tensors);
    if (!tensors) return -1;
    g->tensors = tensors;
    g->view.tensors = tensors;
    tensors[g->view.n_tensors] = *tensor;
    return g->view.n_tensors++;
}

/* A desc of a source: known dtype, sane rank, dims that are sizes or (unbound) named. */
static bool check_desc(ftl_graph *g, const char *name, const ftl_tensor_desc *desc)
{
    bool ok = ftl_dtype_bytes(desc->dtype) > 0 && desc->rank >= 0 && desc->rank <= FTL_MAX_RANK;
    for (int32_t i = 0; ok && i < desc->rank; i++)
        ok = desc->dim[i] >= 0 || (!g->view.is_bound && ftl_graph_dim_expr(g, desc->dim[i]));
    size_t bytes = 0;
    if (ok && g->view.is_bound) ok = ftl_desc_bytes(desc, &bytes) == FTL_OK;
    if (!ok) {
        char text[FTL_DESC_TEXT];
        ftl_graph_poison(g, ftl_fail(FTL_EINVAL, "tensor \"%s\": %s is no valid shape", name,
                                     ftl_desc_print(desc, text, sizeof text)));
    }
    return ok;
}

static ftl_tensor_desc tidy(const ftl_tensor_desc *desc)
{
    ftl_tensor_desc clean = { .dtype = desc->dtype, .rank = desc->rank };
    for (int32_t i = 0; i < desc->rank; i++) clean.dim[i] = desc->dim[i];
    return clean;
}

static uint64_t id_of_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a, 64 bits */
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash ? hash : 1;
}

static int32_t add_source(ftl_graph *g, ftl_tensor_kind kind, const char *name, uint64_t id,
                          const ftl_tensor_desc *desc, const void *data, ftl_init init)
{
    if (g->status != FTL_OK || !check_desc(g, name, desc)) return -1;
    if (ftl_graph_find_source(g, name) >= 0)
        return ftl_graph_poison(
            g, ftl_fail(FTL_EINVAL, "graph \"%s\" has two sources named \"%s\"", g->name, name));
    int32_t *sources =
        room_for(g, g->sources, g->view.n_sources, &g->source_room, sizeof *g->sources);
    if (!sources) return -1;
    g->sources = sources;
    g->view.sources = sources;
    const ftl_tensor tensor = { .name = copy_name(g, name),
                                .kind = kind,
                                .desc = tidy(desc),
                                .id = id,
                                .producer = -1,
                                .data = data,
                                .init = init };
    if (!g->source_names) {
        const ftl_status s = ftl_map_create(&g->source_names, NULL);
        if (s != FTL_OK) return ftl_graph_poison(g, s);
    }
    const int32_t index = add_tensor(g, &tensor);
    if (index < 0) return -1;
    const ftl_status s = ftl_map_insert_number(g->source_names, tensor.name, index);
    if (s != FTL_OK) return ftl_graph_poison(g, s);
    sources[g->view.n_sources++] = index;
    return index;
}

int32_t ftl_graph_input(ftl_graph *graph, const char *name, const ftl_tensor_desc *desc)
{
    return add_source(graph, FTL_TENSOR_INPUT, name, id_of_name(name), desc, NULL, (ftl_init){ 0 });
}

int32_t ftl_graph_param(ftl_graph *graph, const char *name, const ftl_tensor_desc *desc)
{
    if (desc->dtype != FTL_DTYPE_I32 && desc->dtype != FTL_DTYPE_F32)
        return ftl_graph_poison(
            graph, ftl_fail(FTL_EINVAL, "parameter \"%s\" is neither i32 nor f32", name));
    return add_source(graph, FTL_TENSOR_PARAM, name, id_of_name(name), desc, NULL, (ftl_init){ 0 });
}

int32_t ftl_graph_weight(ftl_graph *graph, const char *name, const ftl_tensor_desc *desc,
                         const void *data, ftl_init init)
{
    return add_source(graph, FTL_TENSOR_WEIGHT, name, id_of_name(name), desc, data, init);
}

int32_t ftl_graph_state(ftl_graph *graph, const char *name, const ftl_tensor_desc *desc,
                        ftl_init init)
{
    return add_source(graph, FTL_TENSOR_STATE, name, id_of_name(name), desc, NULL, init);
}

int32_t ftl_graph_copy_source(ftl_graph *graph, const ftl_tensor *source,
                              const ftl_tensor_desc *desc)
{
    return add_source(graph, source->kind, source->name, source->id, desc, source->data,
                      source->init);
}

void ftl_graph_set_id(ftl_graph *graph, int32_t tensor, uint64_t id)
{
    if (tensor >= 0 && graph->status == FTL_OK) graph->tensors[tensor].id = id;
}

int32_t ftl_graph_const(ftl_graph *graph, const ftl_tensor_desc *desc, const void *data)
{
    if (graph->status != FTL_OK || !check_desc(graph, "constant", desc)) return -1;
    size_t bytes;
    const ftl_status s = ftl_desc_bytes(desc, &bytes);
    if (s != FTL_OK) return ftl_graph_poison(graph, s);
    void *copy = ftl_arena_alloc(&graph->arena, bytes ? bytes : 1);
    if (!copy) return no_memory(graph);
    if (bytes) memcpy(copy, data, bytes);
    const ftl_tensor tensor = {
        .name = "", .kind = FTL_TENSOR_CONST, .desc = tidy(desc), .producer = -1, .data = copy
    };
    return add_tensor(graph, &tensor);
}

int32_t ftl_graph_const_scalar(ftl_graph *graph, ftl_dtype dtype, double value)
{
    const ftl_tensor_desc desc = { .dtype = dtype };
    uint64_t bits = 0;
    ftl_element_set(dtype, &bits, 0, value);
    return ftl_graph_const(graph, &desc, &bits);
}

int32_t ftl_graph_const_i64(ftl_graph *graph, const int64_t *values, int64_t n)
{
    const ftl_tensor_desc desc = { .dtype = FTL_DTYPE_I64, .rank = 1, .dim = { n } };
    return ftl_graph_const(graph, &desc, values);
}

/* ---- nodes --------------------------------------------------------------------------------- */

static bool check_inputs(ftl_graph *g, const ftl_op_info *info, const int32_t *in, int32_t n_in)
{
    bool ok = n_in >= info->in_min && n_in <= info->in_max;
    for (int32_t i = 0; ok && i < n_in; i++)
        ok = in[i] < g->view.n_tensors && in[i] >= (i < info->in_min ? 0 : -1);
    if (!ok)
        ftl_graph_poison(g, ftl_fail(FTL_EINVAL,
                                     "%s: wrong number of inputs (%d), or one that "
                                     "does not exist",
                                     info->name, (int)n_in));
    return ok;
}

int32_t ftl_graph_add(ftl_graph *graph, ftl_op op, const ftl_attr *attr, const int32_t *in,
                      int32_t n_in)
{
    if (graph->status != FTL_OK) return -1;
    const ftl_op_info *info = ftl_op_get_info(op);
    if (!check_inputs(graph, info, in, n_in)) return -1;
    ftl_node *nodes =
        room_for(graph, graph->nodes, graph->view.n_nodes, &graph->node_room, sizeof *graph->nodes);
    if (!nodes) return -1;
    graph->nodes = nodes;
    graph->view.nodes = nodes;
    int32_t *in_copy = ftl_arena_array(&graph->arena, (size_t)n_in + 1, sizeof *in_copy);
    int32_t *out = ftl_arena_array(&graph->arena, (size_t)info->n_out, sizeof *out);
    if (!in_copy || !out) return no_memory(graph);
    if (n_in) memcpy(in_copy, in, (size_t)n_in * sizeof *in);
    ftl_node node = { .op = op,
                      .n_in = n_in,
                      .n_out = info->n_out,
                      .in = in_copy,
                      .out = out,
                      .name = graph->scope };
    memset(&node.attr, 0, sizeof node.attr);
    if (attr) memcpy(&node.attr, attr, info->attr_bytes);
    ftl_tensor_desc desc[FTL_MAX_OUTPUTS] = { 0 };
    assert(info->n_out <= FTL_MAX_OUTPUTS);
    if (graph->view.is_bound) {
        const ftl_status s = ftl_node_infer(graph, &node, desc);
        if (s != FTL_OK) return ftl_graph_poison(graph, s);
    } else {
        for (int32_t i = 0; i < info->n_out; i++) desc[i].rank = -1;
    }
    for (int32_t i = 0; i < info->n_out; i++) {
        const ftl_tensor tensor = {
            .name = "", .kind = FTL_TENSOR_VALUE, .desc = desc[i], .producer = graph->view.n_nodes
        };
        out[i] = add_tensor(graph, &tensor);
        if (out[i] < 0) return -1;
    }
    nodes[graph->view.n_nodes++] = node;
    return out[0];
}

void ftl_graph_set_scope(ftl_graph *graph, const char *name)
{
    if (graph->status == FTL_OK) graph->scope = copy_name(graph, name);
}

void ftl_graph_set_name(ftl_graph *graph, int32_t tensor, const char *name)
{
    if (graph->status == FTL_OK && tensor >= 0 && tensor < graph->view.n_tensors)
        graph->tensors[tensor].name = copy_name(graph, name);
}

/* ---- outputs ------------------------------------------------------------------------------- */

void ftl_graph_output(ftl_graph *graph, const char *name, int32_t tensor)
{
    if (graph->status != FTL_OK) return;
    if (tensor < 0 || tensor >= graph->view.n_tensors) {
        ftl_graph_poison(graph, ftl_fail(FTL_EINVAL, "output \"%s\" is no tensor of graph \"%s\"",
                                         name, graph->name));
        return;
    }
    ftl_output *outputs = room_for(graph, graph->outputs, graph->view.n_outputs,
                                   &graph->output_room, sizeof *outputs);
    if (!outputs) return;
    graph->outputs = outputs;
    graph->view.outputs = outputs;
    outputs[graph->view.n_outputs++] = (ftl_output){ copy_name(graph, name), tensor };
}

void ftl_graph_output_state(ftl_graph *graph, int32_t state, int32_t new_value)
{
    if (graph->status != FTL_OK) return;
    const ftl_tensor *t = ftl_graph_peek(graph, state);
    bool ok =
        t && t->kind == FTL_TENSOR_STATE && new_value >= 0 && new_value < graph->view.n_tensors;
    for (int32_t i = 0; ok && i < graph->view.n_aliases; i++) ok = graph->aliases[i].state != state;
    if (ok && graph->view.is_bound) ok = ftl_desc_equal(&t->desc, &graph->tensors[new_value].desc);
    if (!ok) {
        ftl_graph_poison(graph, ftl_fail(FTL_EINVAL,
                                         "graph \"%s\": the new value of \"%s\" has "
                                         "another shape, comes twice, or it is no state",
                                         graph->name, t ? t->name : "?"));
        return;
    }
    ftl_alias *aliases =
        room_for(graph, graph->aliases, graph->view.n_aliases, &graph->alias_room, sizeof *aliases);
    if (!aliases) return;
    graph->aliases = aliases;
    graph->view.aliases = aliases;
    const char *name = t->name;
    ftl_graph_output(graph, name, new_value);
    if (graph->status != FTL_OK) return;
    aliases[graph->view.n_aliases++] =
        (ftl_alias){ .output = graph->view.n_outputs - 1, .state = state };
}

/* ---- reading ------------------------------------------------------------------------------- */

const ftl_tensor *ftl_graph_peek(const ftl_graph *graph, int32_t tensor)
{
    return tensor >= 0 && tensor < graph->view.n_tensors ? &graph->tensors[tensor] : NULL;
}

const ftl_tensor_desc *ftl_graph_peek_desc(const ftl_graph *graph, int32_t tensor)
{
    const ftl_tensor *t = ftl_graph_peek(graph, tensor);
    return t ? &t->desc : NULL;
}

int32_t ftl_graph_find_source(const ftl_graph *graph, const char *name)
{
    int64_t tensor = -1;
    if (graph->source_names) ftl_map_find_number(graph->source_names, name, &tensor);
    return (int32_t)tensor;
}

int32_t ftl_graph_source_index(const ftl_graph *graph, int32_t tensor)
{
    int32_t low = 0, high = graph->view.n_sources; /* sources stand in the order of creation */
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (graph->sources[middle] < tensor) low = middle + 1;
        else high = middle;
    }
    return low < graph->view.n_sources && graph->sources[low] == tensor ? low : -1;
}
