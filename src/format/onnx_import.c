/* SPDX-License-Identifier: Apache-2.0 */
/* The driver: names to tensors, inputs, then node after node through the table of operators.
 * After each node what came out of known values alone is worked out at once (onnx_values.c), so
 * that the next importer finds numbers where a file computes shapes. */
#include "format/onnx_import.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "core/pass.h"
#include "format/onnx_import_internal.h"

enum {
    OPSET_MIN = 7,
    OPSET_MAX = 21,
    MISSING_SHOWN = 8,
    /* Some operators become hundreds of nodes; the largest language models have some ten
     * thousand. */
    GRAPH_NODES_MAX = 1 << 19
};

/* Bytes of constants worked out while importing: shape arithmetic needs little, a hostile file
 * could ask for any amount. */
static const size_t fold_budget_bytes = (size_t)64 << 20;

static const ftl_onnx_op_row rows[] = {
#define X(type, since, in_min, in_max, function, arg)                                              \
    { #type, since, in_min, in_max, ftl_onnx_op_##function, (int32_t)(arg) },
#include "format/onnx_ops.def"
#undef X
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

const char *ftl_onnx_operator_name(int32_t i)
{
    return i >= 0 && i < N_ROWS ? rows[i].type : NULL;
}

static ftl_status no_memory(const ftl_onnx_import *m)
{
    return ftl_fail(FTL_ENOMEM, "%s: no memory to import it", m->file_name);
}

/* ---- what is missing ----------------------------------------------------------------------- */

static const ftl_onnx_op_row *find_row(const ftl_onnx_import *m, const ftl_onnx_node *node)
{
    if (*node->domain) return NULL;
    for (int32_t i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].type, node->op_type) == 0)
            return rows[i].since <= m->opset ? &rows[i] : NULL;
    return NULL;
}

static bool was_named(const ftl_onnx_node *const *missing, size_t n, const ftl_onnx_node *node)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(missing[i]->op_type, node->op_type) == 0 &&
            strcmp(missing[i]->domain, node->domain) == 0)
            return true;
    return false;
}

static ftl_status refuse_missing(const ftl_onnx_import *m, const ftl_onnx_node *const *missing,
                                 size_t n, bool has_more)
{
    char list[400] = "";
    size_t used = 0;
    for (size_t i = 0; i < n && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%.40s%s%.40s", i ? ", " : "",
                                 missing[i]->domain, *missing[i]->domain ? "." : "",
                                 missing[i]->op_type);
    return ftl_fail(FTL_EUNSUPPORTED, "%s: fettle lacks %s%s: %s%s (opset %lld)", m->file_name,
                    n == 1 ? "this operator" : "these operators", has_more ? " and more" : "", list,
                    has_more ? ", ..." : "", (long long)m->opset);
}

/* All of them at once, so that a user knows what stands between the file and a run. */
static ftl_status check_operators(const ftl_onnx_import *m)
{
    const ftl_onnx_node *missing[MISSING_SHOWN];
    size_t n = 0;
    bool has_more = false;
    for (size_t i = 0; i < m->model->graph.n_nodes; i++) {
        const ftl_onnx_node *node = &m->model->graph.nodes[i];
        if (find_row(m, node) || was_named(missing, n, node)) continue;
        if (n < MISSING_SHOWN) missing[n++] = node;
        else has_more = true;
    }
    return n ? refuse_missing(m, missing, n, has_more) : FTL_OK;
}

static ftl_status check_opset(const ftl_onnx_import *m)
{
    if (m->opset >= OPSET_MIN && m->opset <= OPSET_MAX) return FTL_OK;
    return ftl_fail(FTL_EUNSUPPORTED,
                    "%s: its operator set is version %lld; %d to %d are read: export it again "
                    "with one of these, or convert it with onnx.version_converter",
                    m->file_name, (long long)m->opset, OPSET_MIN, OPSET_MAX);
}

/* ---- values -------------------------------------------------------------------------------- */

ftl_onnx_value_state *ftl_onnx_find_value(const ftl_onnx_import *m, const char *name)
{
    int64_t position;
    return ftl_map_find_number(m->names, name, &position) ? &m->values[position] : NULL;
}

static ftl_status add_value(ftl_onnx_import *m, const char *name, ftl_onnx_value_state state)
{
    FTL_TRY(ftl_map_insert_number(m->names, name, m->n_values));
    m->values[m->n_values++] = state;
    return FTL_OK;
}

static ftl_status create_values(ftl_onnx_import *m)
{
    const ftl_onnx_graph *g = &m->model->graph;
    size_t n = g->n_initializers + g->n_inputs + 1;
    for (size_t i = 0; i < g->n_nodes; i++) n += g->nodes[i].n_outputs;
    m->values = ftl_arena_array(&m->arena, n, sizeof *m->values);
    if (!m->values) return no_memory(m);
    FTL_TRY(ftl_map_create(&m->names, &m->arena));
    for (size_t i = 0; i < g->n_initializers; i++)
        FTL_TRY(add_value(m, g->initializers[i].host.name,
                          (ftl_onnx_value_state){ -1, &g->initializers[i], true }));
    return FTL_OK;
}

/* ---- inputs -------------------------------------------------------------------------------- */

const char *ftl_onnx_dim_name(const ftl_onnx_value *input, size_t axis,
                              char text[FTL_ONNX_DIM_TEXT])
{
    if (*input->dims[axis].param) return input->dims[axis].param;
    snprintf(text, FTL_ONNX_DIM_TEXT, "%.120s.%zu", input->name, axis);
    return text;
}

static int64_t dim_of(const ftl_onnx_import *m, const ftl_onnx_value *input, size_t axis)
{
    char text[FTL_ONNX_DIM_TEXT];
    if (input->dims[axis].value >= 0) return input->dims[axis].value;
    const char *name = ftl_onnx_dim_name(input, axis, text);
    for (int32_t i = 0; i < m->n_dims; i++)
        if (strcmp(m->dims[i].name, name) == 0) return m->dims[i].value;
    return 1;
}

static ftl_status check_input(const ftl_onnx_import *m, const ftl_onnx_value *v)
{
    if (!v->is_tensor)
        return ftl_fail(FTL_EUNSUPPORTED, "%s: input \"%.100s\" is no tensor", m->file_name,
                        v->name);
    if (v->dtype == FTL_DTYPE_NONE)
        return ftl_fail(FTL_EUNSUPPORTED,
                        "%s: input \"%.100s\" has ONNX data type %d, which fettle does not "
                        "compute with",
                        m->file_name, v->name, (int)v->onnx_dtype);
    if (!v->has_shape)
        return ftl_fail(FTL_EUNSUPPORTED, "%s: input \"%.100s\" has no shape: export it with one",
                        m->file_name, v->name);
    return FTL_OK;
}

static ftl_status add_input(ftl_onnx_import *m, const ftl_onnx_value *v)
{
    FTL_TRY(check_input(m, v));
    ftl_tensor_desc desc = { .dtype = v->dtype, .rank = (int32_t)v->rank };
    for (size_t i = 0; i < v->rank; i++) desc.dim[i] = dim_of(m, v, i);
    const int32_t tensor = ftl_graph_input(m->graph, v->name, &desc);
    const ftl_status s = ftl_graph_status(m->graph);
    if (s != FTL_OK) return ftl_fail_context(s, "%s", m->file_name);
    return add_value(m, v->name, (ftl_onnx_value_state){ .tensor = tensor });
}

static ftl_status add_inputs(ftl_onnx_import *m)
{
    const ftl_onnx_graph *g = &m->model->graph;
    for (size_t i = 0; i < g->n_inputs; i++)
        if (!ftl_onnx_find_value(m, g->inputs[i].name)) FTL_TRY(add_input(m, &g->inputs[i]));
    return FTL_OK;
}

/* ---- nodes --------------------------------------------------------------------------------- */

/* What stands before every sentence about a node; a damaged graph is the file's fault. */
static ftl_status name_node(const ftl_onnx_import *m, const ftl_onnx_node *node, ftl_status s)
{
    const char *name = *node->name ? node->name : node->n_outputs ? node->outputs[0] : "";
    return ftl_fail_context(s == FTL_EINVAL ? FTL_EFORMAT : s, "%s: node \"%.100s\" (%.40s)",
                            m->file_name, name, node->op_type);
}

static ftl_status check_node(const ftl_onnx_import *m, const ftl_onnx_node *node,
                             const ftl_onnx_op_row *row)
{
    if (node->n_outputs == 0) return ftl_fail(FTL_EFORMAT, "it has no output");
    if (node->n_inputs > row->in_max)
        return ftl_fail(FTL_EFORMAT, "it has %zu inputs; %zu at most are defined", node->n_inputs,
                        row->in_max);
    for (size_t i = 0; i < node->n_inputs || i < row->in_min; i++) {
        const bool has = i < node->n_inputs && *node->inputs[i];
        if (!has && i < row->in_min) return ftl_fail(FTL_EFORMAT, "input %zu is missing", i);
        if (has && !ftl_onnx_find_value(m, node->inputs[i]))
            return ftl_fail(FTL_EFORMAT, "its input \"%.100s\" is not defined before it",
                            node->inputs[i]);
    }
    return FTL_OK;
}

static void set_scope(const ftl_onnx_import *m, const ftl_onnx_node *node)
{
    char text[200];
    snprintf(text, sizeof text, "%.60s %.120s", node->op_type, node->outputs[0]);
    ftl_graph_set_scope(m->graph, *node->name ? node->name : text);
}

/* Makes the node's results the values of their names. */
static ftl_status bind_outputs(ftl_onnx_import *m, ftl_onnx_call *call)
{
    const ftl_onnx_node *node = call->node;
    bool is_static = true;
    for (size_t i = 0; i < node->n_inputs; i++)
        if (ftl_onnx_has(call, i) && !ftl_onnx_is_static(call, i)) is_static = false;
    for (size_t i = 0; i < node->n_outputs; i++) {
        if (!*node->outputs[i]) continue;
        if (call->out[i] < 0)
            return ftl_fail(FTL_EUNSUPPORTED, "its output %zu, \"%.100s\", is not computed", i,
                            node->outputs[i]);
        const int32_t tensor = ftl_onnx_fold_find(m, call->out[i]);
        const ftl_tensor *t = ftl_graph_peek(m->graph, tensor);
        if (t->kind == FTL_TENSOR_VALUE && !*t->name)
            ftl_graph_set_name(m->graph, tensor, node->outputs[i]);
        FTL_TRY(add_value(m, node->outputs[i], (ftl_onnx_value_state){ tensor, NULL, is_static }));
    }
    return ftl_graph_status(m->graph);
}

static ftl_status import_node(ftl_onnx_import *m, const ftl_onnx_node *node)
{
    const ftl_onnx_op_row *row = find_row(m, node);
    FTL_TRY(check_node(m, node, row));
    ftl_onnx_call call = {
        .import = m, .g = m->graph, .node = node, .row = row, .opset = m->opset
    };
    call.out = ftl_arena_array(&m->arena, node->n_outputs, sizeof *call.out);
    if (!call.out) return ftl_fail(FTL_ENOMEM, "no memory to import it");
    for (size_t i = 0; i < node->n_outputs; i++) call.out[i] = -1;
    const int32_t first = ftl_graph_get_view(m->graph)->n_nodes;
    set_scope(m, node);
    row->emit(&call);
    FTL_TRY(ftl_graph_status(m->graph));
    if (ftl_graph_get_view(m->graph)->n_nodes > GRAPH_NODES_MAX)
        return ftl_fail(FTL_EUNSUPPORTED, "the graph has grown over %d nodes", GRAPH_NODES_MAX);
    FTL_TRY(ftl_onnx_fold_nodes(m, first));
    return bind_outputs(m, &call);
}

static ftl_status import_nodes(ftl_onnx_import *m)
{
    const ftl_onnx_graph *g = &m->model->graph;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const ftl_status s = import_node(m, &g->nodes[i]);
        if (s != FTL_OK) return name_node(m, &g->nodes[i], s);
    }
    return FTL_OK;
}

/* ---- outputs ------------------------------------------------------------------------------- */

static ftl_status add_output(ftl_onnx_import *m, const ftl_onnx_value *v)
{
    const ftl_onnx_value_state *state = ftl_onnx_find_value(m, v->name);
    if (!state)
        return ftl_fail(FTL_EFORMAT, "%s: nothing computes its output \"%.100s\"", m->file_name,
                        v->name);
    int32_t tensor = state->tensor;
    if (tensor < 0) {
        ftl_onnx_call call = { .import = m, .g = m->graph };
        tensor = ftl_onnx_stored(&call, v->name, &state->initializer->host);
    }
    ftl_graph_output(m->graph, v->name, tensor);
    const ftl_status s = ftl_graph_status(m->graph);
    return s == FTL_OK ? s : ftl_fail_context(s, "%s: output \"%.100s\"", m->file_name, v->name);
}

static ftl_status add_outputs(ftl_onnx_import *m)
{
    const ftl_onnx_graph *g = &m->model->graph;
    if (g->n_outputs == 0)
        return ftl_fail(FTL_EFORMAT, "%s: its graph has no output", m->file_name);
    for (size_t i = 0; i < g->n_outputs; i++) FTL_TRY(add_output(m, &g->outputs[i]));
    return FTL_OK;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static ftl_status import_all(ftl_onnx_import *m)
{
    FTL_TRY(check_opset(m));
    FTL_TRY(check_operators(m));
    FTL_TRY(ftl_graph_create(&m->graph, m->model->graph.name, true));
    FTL_TRY(create_values(m));
    FTL_TRY(add_inputs(m));
    FTL_TRY(import_nodes(m));
    return add_outputs(m);
}

ftl_status ftl_onnx_bind(ftl_graph **out, const ftl_onnx_file *file, const ftl_dim_value *dims,
                         int32_t n_dims)
{
    *out = NULL;
    ftl_onnx_import m = { .file = file,
                          .model = ftl_onnx_file_model(file),
                          .file_name = ftl_onnx_file_name(file),
                          .opset = ftl_onnx_file_opset(file),
                          .dims = dims,
                          .n_dims = n_dims,
                          .fold_left = fold_budget_bytes };
    ftl_status s = import_all(&m);
    /* What shape arithmetic left behind, and weights that it alone had read. */
    if (s == FTL_OK) s = ftl_pass_dead(out, m.graph, true);
    ftl_graph_destroy(m.graph);
    ftl_free(m.folded);
    ftl_arena_deinit(&m.arena);
    return s;
}

/* ---- lists --------------------------------------------------------------------------------- */

ftl_status ftl_onnx_list_inputs(ftl_arena *arena, const ftl_onnx_file *file,
                                const ftl_onnx_value *const **inputs, int32_t *n)
{
    const ftl_onnx_graph *g = &ftl_onnx_file_model(file)->graph;
    const ftl_onnx_value **list = ftl_arena_array(arena, g->n_inputs + 1, sizeof *list);
    ftl_map *initializers;
    *inputs = list;
    *n = 0;
    if (!list) return ftl_fail(FTL_ENOMEM, "%s: no memory", ftl_onnx_file_name(file));
    FTL_TRY(ftl_map_create(&initializers, NULL));
    ftl_status s = FTL_OK;
    for (size_t i = 0; s == FTL_OK && i < g->n_initializers; i++)
        s = ftl_map_insert_number(initializers, g->initializers[i].host.name, 0);
    for (size_t i = 0; s == FTL_OK && i < g->n_inputs; i++) {
        int64_t unused;
        if (!ftl_map_find_number(initializers, g->inputs[i].name, &unused))
            list[(*n)++] = &g->inputs[i];
    }
    ftl_map_destroy(initializers);
    return s;
}

static ftl_status list_dim(ftl_map *names, ftl_arena *arena, const ftl_onnx_value *input,
                           size_t axis)
{
    char text[FTL_ONNX_DIM_TEXT];
    const char *name = ftl_onnx_dim_name(input, axis, text);
    if (input->dims[axis].value >= 0 || ftl_map_find(names, name)) return FTL_OK;
    char *copy = ftl_arena_strdup(arena, name);
    if (!copy) return ftl_fail(FTL_ENOMEM, "no memory to list dims");
    return ftl_map_insert(names, copy, copy);
}

ftl_status ftl_onnx_list_dims(ftl_arena *arena, const ftl_onnx_file *file, ftl_dim_value **dims,
                              int32_t *n)
{
    const ftl_onnx_value *const *inputs;
    int32_t n_inputs;
    ftl_map *names;
    *dims = NULL;
    *n = 0;
    FTL_TRY(ftl_onnx_list_inputs(arena, file, &inputs, &n_inputs));
    FTL_TRY(ftl_map_create(&names, NULL));
    ftl_status s = FTL_OK;
    for (int32_t i = 0; s == FTL_OK && i < n_inputs; i++)
        for (size_t k = 0; s == FTL_OK && k < inputs[i]->rank; k++)
            s = list_dim(names, arena, inputs[i], k);
    const size_t count = ftl_map_size(names);
    if (s == FTL_OK) *dims = ftl_arena_array(arena, count + 1, sizeof **dims);
    if (s == FTL_OK && !*dims) s = ftl_fail(FTL_ENOMEM, "no memory to list dims");
    for (size_t i = 0; s == FTL_OK && i < count; i++)
        (*dims)[(*n)++] = (ftl_dim_value){ ftl_map_at(names, i)->value.pointer, 1 };
    ftl_map_destroy(names);
    return s;
}
