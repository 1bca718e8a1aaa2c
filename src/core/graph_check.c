/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of graph.h as a check, and the fingerprint. */
#include <string.h>

#include "core/graph_internal.h"
#include "core/op.h"

static ftl_status check_node(const ftl_graph *graph, int32_t index)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    const ftl_node *n = &v->nodes[index];
    const ftl_op_info *info = ftl_op_get_info(n->op);
    if (n->n_in < info->in_min || n->n_in > info->in_max || n->n_out != info->n_out)
        return ftl_fail(FTL_EINTERNAL, "node %d (%s): wrong arity", (int)index, info->name);
    for (int32_t i = 0; i < n->n_in; i++) {
        const int32_t t = n->in[i];
        if (t < -1 || t >= v->n_tensors || (t < 0 && i < info->in_min))
            return ftl_fail(FTL_EINTERNAL, "node %d (%s): input %d", (int)index, info->name,
                            (int)i);
        if (t >= 0 && v->tensors[t].producer >= index)
            return ftl_fail(FTL_EINTERNAL, "node %d (%s) reads what is written later", (int)index,
                            info->name);
    }
    ftl_tensor_desc desc[FTL_MAX_OUTPUTS] = { 0 };
    if (v->is_bound) FTL_TRY(ftl_node_infer(graph, n, desc));
    for (int32_t i = 0; i < n->n_out; i++) {
        const ftl_tensor *t = ftl_graph_peek(graph, n->out[i]);
        if (!t || t->producer != index || t->kind != FTL_TENSOR_VALUE)
            return ftl_fail(FTL_EINTERNAL, "node %d (%s): output %d", (int)index, info->name,
                            (int)i);
        if (v->is_bound && !ftl_desc_equal(&desc[i], &t->desc))
            return ftl_fail(FTL_EINTERNAL, "node %d (%s): stale shape", (int)index, info->name);
    }
    return FTL_OK;
}

ftl_status ftl_graph_check(const ftl_graph *graph)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    FTL_TRY(ftl_graph_status(graph));
    for (int32_t i = 0; i < v->n_nodes; i++) FTL_TRY(check_node(graph, i));
    for (int32_t i = 0; i < v->n_outputs; i++)
        if (!ftl_graph_peek(graph, v->outputs[i].tensor))
            return ftl_fail(FTL_EINTERNAL, "output %d is no tensor", (int)i);
    for (int32_t i = 0; i < v->n_aliases; i++) {
        const ftl_alias *a = &v->aliases[i];
        const ftl_tensor *state = ftl_graph_peek(graph, a->state);
        if (!state || state->kind != FTL_TENSOR_STATE || a->output < 0 || a->output >= v->n_outputs)
            return ftl_fail(FTL_EINTERNAL, "alias %d names no state or no output", (int)i);
    }
    return FTL_OK;
}

/* FNV-1a over words: cheap, and the same on every machine of one byte order. */
static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

uint64_t ftl_graph_fingerprint(const ftl_graph *graph)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    uint64_t hash = 0xcbf29ce484222325u;
    for (int32_t i = 0; i < v->n_tensors; i++) {
        const ftl_tensor *t = &v->tensors[i];
        const int32_t kind = t->kind;
        hash = mix(hash, &kind, sizeof kind);
        hash = mix(hash, &t->desc, sizeof t->desc);
        if (t->kind == FTL_TENSOR_CONST && t->data)
            hash = mix(hash, t->data, ftl_desc_bytes_checked(&t->desc));
    }
    for (int32_t i = 0; i < v->n_nodes; i++) {
        const ftl_node *n = &v->nodes[i];
        const char *name = ftl_op_get_info(n->op)->name; /* the number may change with the list */
        hash = mix(hash, name, strlen(name) + 1);
        hash = mix(hash, &n->attr, sizeof n->attr);
        hash = mix(hash, n->in, (size_t)n->n_in * sizeof *n->in);
    }
    for (int32_t i = 0; i < v->n_outputs; i++)
        hash = mix(hash, &v->outputs[i].tensor, sizeof v->outputs[i].tensor);
    return mix(hash, v->aliases, (size_t)v->n_aliases * sizeof *v->aliases);
}
