/* SPDX-License-Identifier: Apache-2.0 */
/* Passes that clean up: dead nodes, constant folding, and the split of a model into what is
 * computed once from its weights and what is computed at each run. */
#include "core/pass.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/eval.h"
#include "core/graph_internal.h"
#include "core/op.h"

/* ---- dead nodes ---------------------------------------------------------------------------- */

/* Marks every tensor that an output, or a node that matters, reads. */
static bool *mark_live(const ftl_graph *graph)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    bool *live = ftl_calloc((size_t)v->n_tensors + 1, sizeof *live);
    if (!live) return NULL;
    for (int32_t i = 0; i < v->n_outputs; i++) live[v->outputs[i].tensor] = true;
    for (int32_t n = v->n_nodes - 1; n >= 0; n--) {
        const ftl_node *node = &v->nodes[n];
        bool needed = false;
        for (int32_t i = 0; i < node->n_out; i++) needed |= live[node->out[i]];
        for (int32_t i = 0; needed && i < node->n_in; i++)
            if (node->in[i] >= 0) live[node->in[i]] = true;
    }
    return live;
}

static bool node_is_live(const ftl_node *node, const bool *live)
{
    for (int32_t i = 0; i < node->n_out; i++)
        if (live[node->out[i]]) return true;
    return false;
}

ftl_status ftl_pass_dead(ftl_graph **out, const ftl_graph *graph, bool drop_sources)
{
    *out = NULL;
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    bool *live = mark_live(graph);
    if (!live) return ftl_fail(FTL_ENOMEM, "no memory to look for dead nodes");
    /* Inputs, parameters and state are the interface: they stay even when nothing reads them. */
    for (int32_t i = 0; i < v->n_sources; i++)
        if (v->tensors[v->sources[i]].kind != FTL_TENSOR_WEIGHT) live[v->sources[i]] = true;
    ftl_graph_map map;
    ftl_status s = ftl_graph_map_init(&map, graph, drop_sources ? live : NULL);
    for (int32_t n = 0; s == FTL_OK && n < v->n_nodes; n++) {
        if (!node_is_live(&v->nodes[n], live)) continue;
        ftl_graph_map_node(&map, &v->nodes[n]);
        s = ftl_graph_status(map.to);
    }
    ftl_free(live);
    return s == FTL_OK ? ftl_graph_map_finish(&map, out) : ftl_graph_map_drop(&map, s);
}

/* ---- folding ------------------------------------------------------------------------------- */

/* A node that changes nothing: returns the tensor that its result equals, or -1. */
static int32_t find_identity(const ftl_graph *g, const ftl_node *node)
{
    if (node->n_in < 1 || node->in[0] < 0) return -1;
    ftl_tensor_desc desc[FTL_MAX_OUTPUTS];
    const ftl_tensor_desc *x = ftl_graph_peek_desc(g, node->in[0]);
    switch (node->op) {
    case FTL_OP_transpose:
        for (int32_t i = 0; i < x->rank; i++)
            if (node->attr.perm.perm[i] != i) return -1;
        return node->in[0];
    case FTL_OP_slice:
        for (int32_t i = 0; i < x->rank; i++)
            if (node->attr.slice.step[i] != 1) return -1; /* fall through to the shape */
        break;
    case FTL_OP_reshape:
    case FTL_OP_broadcast:
    case FTL_OP_convert:
    case FTL_OP_pad: break;
    case FTL_OP_concat: return node->n_in == 1 ? node->in[0] : -1;
    default: return -1;
    }
    if (ftl_node_infer(g, node, desc) != FTL_OK) return -1;
    return ftl_desc_equal(&desc[0], x) ? node->in[0] : -1;
}

typedef struct folding {
    size_t max_bytes;
} folding;

/* True when every input is a constant and the results are small enough to keep. */
static bool can_fold(const folding *f, const ftl_graph *g, const ftl_node *node,
                     const ftl_tensor_desc *desc)
{
    if (node->op == FTL_OP_keep || !ftl_eval_knows(node->op)) return false;
    for (int32_t i = 0; i < node->n_in; i++) {
        const ftl_tensor *t = ftl_graph_peek(g, node->in[i]);
        if (t && t->kind != FTL_TENSOR_CONST) return false;
    }
    for (int32_t i = 0; i < node->n_out; i++)
        if (ftl_desc_bytes_checked(&desc[i]) > f->max_bytes) return false;
    return true;
}

static ftl_status fold_node(ftl_graph *to, const ftl_node *node, const ftl_tensor_desc *desc,
                            int32_t *out)
{
    const void **in = ftl_calloc((size_t)node->n_in + 1, sizeof *in);
    void *results[FTL_MAX_OUTPUTS] = { 0 };
    ftl_status s = in ? FTL_OK : ftl_fail(FTL_ENOMEM, "no memory to fold a constant");
    for (int32_t i = 0; s == FTL_OK && i < node->n_in; i++) {
        const ftl_tensor *t = ftl_graph_peek(to, node->in[i]);
        in[i] = t ? t->data : NULL;
    }
    for (int32_t i = 0; s == FTL_OK && i < node->n_out; i++) {
        results[i] = ftl_calloc(1, ftl_desc_bytes_checked(&desc[i]) + 1);
        if (!results[i]) s = ftl_fail(FTL_ENOMEM, "no memory to fold a constant");
    }
    if (s == FTL_OK) s = ftl_eval_node(to, node, in, results);
    for (int32_t i = 0; s == FTL_OK && i < node->n_out; i++)
        out[i] = ftl_graph_const(to, &desc[i], results[i]);
    for (int32_t i = 0; i < FTL_MAX_OUTPUTS; i++) ftl_free(results[i]);
    ftl_free(in);
    return s;
}

static ftl_status emit_folded(void *arg, ftl_graph *to, const ftl_node *node, int32_t old_index,
                              int32_t *out, bool *done)
{
    (void)old_index;
    const folding *f = arg;
    out[0] = find_identity(to, node);
    *done = out[0] >= 0;
    if (*done) return FTL_OK;
    ftl_tensor_desc desc[FTL_MAX_OUTPUTS];
    FTL_TRY(ftl_node_infer(to, node, desc));
    if (can_fold(f, to, node, desc)) {
        *done = true;
        return fold_node(to, node, desc, out);
    }
    const ftl_tensor *x = node->n_in ? ftl_graph_peek(to, node->in[0]) : NULL;
    const ftl_node *before =
        x && x->producer >= 0 ? &ftl_graph_get_view(to)->nodes[x->producer] : NULL;
    if (node->op == FTL_OP_reshape && before && before->op == FTL_OP_reshape) {
        ftl_attr attr = { .shape = { .rank = desc[0].rank } };
        memcpy(attr.shape.dim, desc[0].dim, sizeof desc[0].dim);
        out[0] = FTL_ADD(to, reshape, &attr, before->in[0]);
        *done = true;
    }
    return FTL_OK;
}

ftl_status ftl_pass_fold(ftl_graph **out, const ftl_graph *graph, size_t max_bytes)
{
    folding f = { max_bytes };
    ftl_graph *folded;
    *out = NULL;
    FTL_TRY(ftl_graph_rewrite(&folded, graph, emit_folded, &f));
    const ftl_status s = ftl_pass_dead(out, folded, false);
    ftl_graph_destroy(folded);
    return s;
}

/* ---- what depends on weights alone --------------------------------------------------------- */

ftl_status ftl_weight_only_update(ftl_weight_only *w, const ftl_graph *graph)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    if (v->n_tensors > w->room) {
        const int32_t room = v->n_tensors + v->n_tensors / 2 + 64;
        bool *mark = ftl_realloc(w->mark, (size_t)room * sizeof *mark);
        if (!mark) return ftl_fail(FTL_ENOMEM, "no memory to sort out weights");
        w->mark = mark;
        w->room = room;
    }
    for (; w->n < v->n_tensors; w->n++) {
        const ftl_tensor *t = &v->tensors[w->n];
        bool only = t->kind == FTL_TENSOR_WEIGHT || t->kind == FTL_TENSOR_CONST;
        if (t->producer >= 0 && t->producer < v->n_nodes) {
            const ftl_node *node = &v->nodes[t->producer];
            only = node->op != FTL_OP_keep && node->n_in > 0;
            for (int32_t i = 0; only && i < node->n_in; i++)
                only = node->in[i] < 0 || w->mark[node->in[i]];
        }
        w->mark[w->n] = only;
    }
    return FTL_OK;
}

ftl_status ftl_graph_count_uses(int32_t **out, const ftl_graph *graph)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    int32_t *uses = ftl_calloc((size_t)v->n_tensors + 1, sizeof *uses);
    *out = uses;
    if (!uses) return ftl_fail(FTL_ENOMEM, "no memory to count uses");
    for (int32_t n = 0; n < v->n_nodes; n++)
        for (int32_t i = 0; i < v->nodes[n].n_in; i++)
            if (v->nodes[n].in[i] >= 0) uses[v->nodes[n].in[i]]++;
    for (int32_t i = 0; i < v->n_outputs; i++) uses[v->outputs[i].tensor] += 2;
    return FTL_OK;
}

/* ---- prologue ------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

/* What computes each tensor, as a number: ops, attributes, ids of the weights.  first: the first
 * weight that each was made from, for a name that people recognise, or NULL.  One walk in the order
 * of the nodes: a recursion would meet shared tensors once a path, 2^n times in x = x + x. */
typedef struct recipes {
    uint64_t *hash;
    const char **first;
} recipes;

static void recipes_deinit(recipes *r)
{
    ftl_free(r->hash);
    ftl_free((void *)r->first);
}

static void hash_tensor(recipes *r, const ftl_graph_view *v, int32_t tensor)
{
    const ftl_tensor *t = &v->tensors[tensor];
    uint64_t hash = mix(0xcbf29ce484222325u, &t->desc, sizeof t->desc);
    if (t->kind == FTL_TENSOR_CONST) {
        hash = mix(hash, t->data, ftl_desc_bytes_checked(&t->desc));
    } else if (t->producer < 0) {
        r->first[tensor] = t->name;
        hash = mix(hash, &t->id, sizeof t->id);
    } else {
        const ftl_node *node = &v->nodes[t->producer];
        const char *name = ftl_op_get_info(node->op)->name;
        hash = mix(hash, name, strlen(name));
        hash = mix(hash, &node->attr, sizeof node->attr);
        for (int32_t i = 0; i < node->n_in; i++) {
            const uint64_t part = node->in[i] >= 0 ? r->hash[node->in[i]] : 0;
            hash = mix(hash, &part, sizeof part);
            if (node->in[i] >= 0 && !r->first[tensor]) r->first[tensor] = r->first[node->in[i]];
        }
        for (int32_t i = 0; i < node->n_out; i++)
            if (node->out[i] == tensor) hash = mix(hash, &i, sizeof i);
    }
    r->hash[tensor] = hash ? hash : 1;
}

static ftl_status recipes_init(recipes *r, const ftl_graph *graph, const bool *only)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    r->hash = ftl_calloc((size_t)v->n_tensors + 1, sizeof *r->hash);
    r->first = ftl_calloc((size_t)v->n_tensors + 1, sizeof *r->first);
    if (!r->hash || !r->first) return ftl_fail(FTL_ENOMEM, "no memory to split a graph");
    for (int32_t t = 0; t < v->n_tensors; t++)
        if (only[t]) hash_tensor(r, v, t);
    return FTL_OK;
}

/* Tensors computed by weight-only nodes that something else reads: the seam. */
static ftl_status mark_seam(const ftl_graph *graph, const bool *only, bool **out, int32_t *n_out)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    bool *seam = ftl_calloc((size_t)v->n_tensors + 1, sizeof *seam);
    *out = seam;
    *n_out = 0;
    if (!seam) return ftl_fail(FTL_ENOMEM, "no memory to split a graph");
    for (int32_t n = 0; n < v->n_nodes; n++) {
        if (only[v->nodes[n].out[0]]) continue;
        for (int32_t i = 0; i < v->nodes[n].n_in; i++) {
            const int32_t t = v->nodes[n].in[i];
            if (t >= 0 && only[t] && v->tensors[t].producer >= 0) seam[t] = true;
        }
    }
    for (int32_t i = 0; i < v->n_outputs; i++) {
        const int32_t t = v->outputs[i].tensor;
        if (only[t] && v->tensors[t].producer >= 0) seam[t] = true;
    }
    for (int32_t t = 0; t < v->n_tensors; t++) *n_out += seam[t];
    return FTL_OK;
}

/* The seam's tensors as outputs of a graph of their own. */
static ftl_status build_prologue(ftl_graph **out, const ftl_graph *graph, const bool *only,
                                 const bool *seam, const recipes *r)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    ftl_graph_map map;
    ftl_status s = ftl_graph_map_init(&map, graph, only); /* of the sources: weights */
    for (int32_t n = 0; s == FTL_OK && n < v->n_nodes; n++) {
        if (!only[v->nodes[n].out[0]]) continue;
        ftl_graph_map_node(&map, &v->nodes[n]);
        s = ftl_graph_status(map.to);
    }
    for (int32_t t = 0; s == FTL_OK && t < v->n_tensors; t++) {
        if (!seam[t]) continue;
        char name[24];
        snprintf(name, sizeof name, "%016llx", (unsigned long long)r->hash[t]);
        ftl_graph_output(map.to, name, map.tensor[t]);
        s = ftl_graph_status(map.to);
    }
    ftl_graph_map_deinit(&map);
    if (s == FTL_OK) s = ftl_pass_dead(out, map.to, true);
    ftl_graph_destroy(map.to);
    return s;
}

/* The rest, in which the seam's tensors are weights. */
static ftl_status build_rest(ftl_graph **out, const ftl_graph *graph, const bool *only,
                             const bool *seam, const recipes *r)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    ftl_graph *whole = NULL;
    ftl_graph_map map;
    ftl_status s = ftl_graph_map_init(&map, graph, NULL);
    for (int32_t t = 0; s == FTL_OK && t < v->n_tensors; t++) {
        if (!seam[t]) continue;
        char name[256];
        const uint64_t id = r->hash[t];
        snprintf(name, sizeof name, "%.200s~%016llx", r->first[t] ? r->first[t] : "",
                 (unsigned long long)id);
        const int32_t again = ftl_graph_find_source(map.to, name); /* the same computation twice */
        map.tensor[t] =
            again >= 0 ? again
                       : ftl_graph_weight(map.to, name, &v->tensors[t].desc, NULL, (ftl_init){ 0 });
        ftl_graph_set_id(map.to, map.tensor[t], id);
        s = ftl_graph_status(map.to);
    }
    for (int32_t n = 0; s == FTL_OK && n < v->n_nodes; n++) {
        if (only[v->nodes[n].out[0]]) continue;
        ftl_graph_map_node(&map, &v->nodes[n]);
        s = ftl_graph_status(map.to);
    }
    if (s == FTL_OK) s = ftl_graph_map_finish(&map, &whole);
    else return ftl_graph_map_drop(&map, s);
    if (s != FTL_OK) return s;
    s = ftl_pass_dead(out, whole, true);
    ftl_graph_destroy(whole);
    return s;
}

ftl_status ftl_graph_split_prologue(ftl_graph **prologue, ftl_graph **rest, const ftl_graph *graph)
{
    *prologue = NULL;
    *rest = NULL;
    ftl_weight_only w = { 0 };
    bool *seam = NULL;
    int32_t n_seam = 0;
    ftl_status s = ftl_weight_only_update(&w, graph);
    recipes r = { 0 };
    if (s == FTL_OK) s = mark_seam(graph, w.mark, &seam, &n_seam);
    if (s == FTL_OK) s = recipes_init(&r, graph, w.mark);
    if (s == FTL_OK && n_seam > 0) s = build_prologue(prologue, graph, w.mark, seam, &r);
    if (s == FTL_OK) s = build_rest(rest, graph, w.mark, seam, &r);
    if (s != FTL_OK) {
        ftl_graph_destroy(*prologue);
        *prologue = NULL;
    }
    recipes_deinit(&r);
    ftl_free(seam);
    ftl_free(w.mark);
    return s;
}

int32_t ftl_prologue_output(const ftl_graph *prologue, const ftl_tensor *weight)
{
    char name[24];
    if (!prologue) return -1;
    const ftl_graph_view *v = ftl_graph_get_view(prologue);
    snprintf(name, sizeof name, "%016llx", (unsigned long long)weight->id);
    for (int32_t i = 0; i < v->n_outputs; i++)
        if (strcmp(v->outputs[i].name, name) == 0) return i;
    return -1;
}
