/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/prepare.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "core/pass.h"

enum { FOLD_BYTES = 1 << 16 };

/* ---- dims ---------------------------------------------------------------------------------- */

static bool has_dim(const ftl_model_info *info, const char *name)
{
    for (int32_t i = 0; i < info->n_dims; i++)
        if (strcmp(info->dims[i].name, name) == 0) return true;
    return false;
}

ftl_status ftl_prepare_dims(ftl_dim_value *dims, int32_t *n_dims, const ftl_model *model,
                            const ftl_session_options *options)
{
    const ftl_model_info *info = ftl_model_get_info(model);
    *n_dims = 0;
    if (options->batch < 0)
        return ftl_fail(FTL_EINVAL, "a batch of %lld", (long long)options->batch);
    if (options->batch > 0) {
        if (!info->batch_dim)
            return ftl_fail(FTL_EINVAL, "%s has a fixed batch; --batch cannot change it",
                            info->name);
        dims[(*n_dims)++] = (ftl_dim_value){ info->batch_dim, options->batch };
    }
    for (int32_t i = 0; i < options->n_dims; i++) {
        const ftl_session_dim *d = &options->dims[i];
        if (!has_dim(info, d->name)) {
            char known[256] = "";
            for (int32_t k = 0; k < info->n_dims; k++) {
                if (k) strncat(known, ", ", sizeof known - strlen(known) - 1);
                strncat(known, info->dims[k].name, sizeof known - strlen(known) - 1);
            }
            return ftl_fail(FTL_EINVAL, "%s has no dim \"%s\"; it has: %s", info->name, d->name,
                            *known ? known : "none");
        }
        if (options->batch > 0 && strcmp(d->name, info->batch_dim) == 0) {
            dims[0].value = d->value;
            continue;
        }
        dims[(*n_dims)++] = (ftl_dim_value){ d->name, d->value };
    }
    return FTL_OK;
}

/* ---- graphs -------------------------------------------------------------------------------- */

/* bind, optimize, legalize, fold: the whole model as the device takes it. */
static ftl_status make_legal(ftl_graph **out, const ftl_model *model, ftl_device *device,
                             const ftl_dim_value *dims, int32_t n_dims)
{
    ftl_graph *bound = NULL, *optimized = NULL, *legal = NULL;
    *out = NULL;
    ftl_status s = ftl_model_bind(&bound, model, dims, n_dims);
    if (s == FTL_OK) s = ftl_pass_optimize(&optimized, bound);
    if (s == FTL_OK) s = ftl_device_legalize(&legal, device, optimized);
    if (s == FTL_OK) s = ftl_pass_fold(out, legal, FOLD_BYTES);
    ftl_graph_destroy(bound);
    ftl_graph_destroy(optimized);
    ftl_graph_destroy(legal);
    return s;
}

/* The tensors that the node `last` and what it reads are made of. */
static void mark_needed(bool *needed, const ftl_graph_view *v, int32_t last)
{
    for (int32_t n = last; n >= 0; n--) {
        const ftl_node *node = &v->nodes[n];
        bool is_needed = n == last;
        for (int32_t i = 0; i < node->n_out; i++) is_needed |= needed[node->out[i]];
        for (int32_t i = 0; is_needed && i < node->n_in; i++)
            if (node->in[i] >= 0) needed[node->in[i]] = true;
        for (int32_t i = 0; is_needed && i < node->n_out; i++) needed[node->out[i]] = true;
    }
}

/* The prologue with one output alone: of thousands of weights, each copies its own part only. */
static ftl_status extract_recipe(ftl_graph **out, const ftl_graph *prologue, int32_t output)
{
    const ftl_graph_view *v = ftl_graph_get_view(prologue);
    const int32_t tensor = v->outputs[output].tensor;
    ftl_graph_map map = { 0 };
    *out = NULL;
    bool *needed = ftl_calloc((size_t)v->n_tensors + 1, sizeof *needed);
    if (!needed) return ftl_fail(FTL_ENOMEM, "no memory to list the weights");
    needed[tensor] = true;
    mark_needed(needed, v, v->tensors[tensor].producer);
    ftl_status s = ftl_graph_map_init(&map, prologue, needed);
    for (int32_t n = 0; s == FTL_OK && n <= v->tensors[tensor].producer; n++) {
        if (!needed[v->nodes[n].out[0]]) continue;
        ftl_graph_map_node(&map, &v->nodes[n]);
        s = ftl_graph_status(map.to);
    }
    if (s == FTL_OK) {
        ftl_graph_output(map.to, v->outputs[output].name, map.tensor[tensor]);
        s = ftl_graph_status(map.to);
    }
    ftl_free(needed);
    if (s != FTL_OK) return ftl_graph_map_drop(&map, s);
    ftl_graph_map_deinit(&map);
    *out = map.to;
    return FTL_OK;
}

static int compare_weights(const void *a, const void *b)
{
    const ftl_prepared_weight *x = a, *y = b;
    if (x->cell_bytes != y->cell_bytes) return x->cell_bytes > y->cell_bytes ? -1 : 1;
    return x->source < y->source ? -1 : x->source > y->source;
}

/* Which weights there are and, of derived ones, their recipes. */
static ftl_status list_weights(ftl_prepared *p, const ftl_graph *prologue)
{
    const ftl_graph_view *v = ftl_graph_get_view(p->slice);
    p->weights = ftl_calloc((size_t)v->n_sources + 1, sizeof *p->weights);
    if (!p->weights) return ftl_fail(FTL_ENOMEM, "no memory to list the weights");
    for (int32_t i = 0; i < v->n_sources; i++) {
        const ftl_tensor *t = &v->tensors[v->sources[i]];
        if (t->kind != FTL_TENSOR_WEIGHT) continue;
        ftl_prepared_weight *w = &p->weights[p->n_weights++];
        w->source = (uint32_t)i;
        w->cell_bytes = ftl_desc_bytes_checked(&t->desc);
        const int32_t output = ftl_prologue_output(prologue, t);
        w->is_derived = output >= 0;
        if (w->is_derived) FTL_TRY(extract_recipe(&w->recipe, prologue, output));
    }
    qsort(p->weights, (size_t)p->n_weights, sizeof *p->weights, compare_weights);
    return FTL_OK;
}

ftl_status ftl_prepared_init(ftl_prepared *out, const ftl_model *model, ftl_device *device,
                             const ftl_dim_value *dims, int32_t n_dims)
{
    *out = (ftl_prepared){ .device = device, .model = model };
    ftl_graph *legal = NULL, *prologue = NULL;
    ftl_status s = make_legal(&legal, model, device, dims, n_dims);
    if (s == FTL_OK) s = ftl_graph_split_prologue(&prologue, &out->slice, legal);
    if (s == FTL_OK) s = list_weights(out, prologue);
    ftl_graph_destroy(legal);
    ftl_graph_destroy(prologue);
    if (s != FTL_OK) ftl_prepared_deinit(out);
    return s;
}

void ftl_prepared_deinit(ftl_prepared *prepared)
{
    if (!prepared) return;
    for (int32_t i = 0; i < prepared->n_weights; i++)
        ftl_graph_destroy(prepared->weights[i].recipe);
    ftl_free(prepared->weights);
    ftl_program_destroy(prepared->program);
    ftl_graph_destroy(prepared->slice);
    *prepared = (ftl_prepared){ 0 };
}

/* ---- program and weights ------------------------------------------------------------------- */

/* Sums of what a hostile file asks for stay at the top instead of starting again at 0. */
static uint64_t sum(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

bool ftl_prepared_is_readable(const ftl_tensor *tensor)
{
    return tensor->data && (uintptr_t)tensor->data % ftl_dtype_bytes(tensor->desc.dtype) == 0;
}

/* Host bytes while a weight is made: what has no file is filled, every result of the recipe is
 * kept till its end, and a packed cell is filled from a row-major copy. */
static size_t extra_of(const ftl_prepared *p, const ftl_prepared_weight *w)
{
    const ftl_tensor *t =
        ftl_graph_peek(p->slice, ftl_graph_get_view(p->slice)->sources[w->source]);
    if (w->is_wrapped) return 0;
    if (!w->is_derived) return ftl_prepared_is_readable(t) ? 0 : ftl_desc_bytes_checked(&t->desc);
    const ftl_graph_view *v = ftl_graph_get_view(w->recipe);
    size_t bytes = 0;
    for (int32_t i = 0; i < v->n_sources; i++)
        if (!ftl_prepared_is_readable(&v->tensors[v->sources[i]]))
            bytes = sum(bytes, ftl_desc_bytes_checked(&v->tensors[v->sources[i]].desc));
    for (int32_t n = 0; n < v->n_nodes; n++)
        if (v->nodes[n].op != FTL_OP_reshape)
            bytes = sum(bytes, ftl_desc_bytes_checked(&v->tensors[v->nodes[n].out[0]].desc));
    return bytes;
}

static ftl_status choose_storage(ftl_prepared *p, bool may_wrap)
{
    const ftl_graph_view *v = ftl_graph_get_view(p->slice);
    for (int32_t i = 0; i < p->n_weights; i++) {
        ftl_prepared_weight *w = &p->weights[i];
        const ftl_tensor *t = &v->tensors[v->sources[w->source]];
        FTL_TRY(ftl_program_weight_layout(p->program, w->source, &w->layout, &w->cell_bytes));
        w->is_wrapped = may_wrap && w->layout == 0 && ftl_model_is_mapped(p->model, t->data) &&
                        ftl_prepared_is_readable(t);
        w->extra_bytes = extra_of(p, w);
    }
    qsort(p->weights, (size_t)p->n_weights, sizeof *p->weights, compare_weights);
    return FTL_OK;
}

ftl_status ftl_prepared_compile(ftl_prepared *prepared, uint32_t n_threads,
                                const char *cache_folder)
{
    ftl_device_info info;
    FTL_TRY(ftl_device_get_info(prepared->device, &info));
    const ftl_compile_options o = { .struct_size = sizeof o,
                                    .n_threads = n_threads,
                                    .is_deterministic = 1,
                                    .cache_dir = cache_folder };
    ftl_program_destroy(prepared->program);
    prepared->program = NULL;
    FTL_TRY(ftl_program_compile(&prepared->program, prepared->device, prepared->slice, &o));
    prepared->n_threads = n_threads;
    return choose_storage(prepared, (info.caps & FTL_CAP_WRAP_HOST) != 0);
}

/* ---- memory -------------------------------------------------------------------------------- */

/* THREAD: what one thread of a pool touches of its stack, and a program's small parts.
 * CODE: pages of code and tables that are touched for the first time: ours (about 0.7 MiB), libc's,
 * and what the topology library loads (2 MiB).  Measured by /proc/self/smaps on Debian 12,
 * x86-64. */
enum { THREAD_BYTES = 48 << 10, CODE_BYTES = 3 << 20 };

/* A growing array: rooms are powers of two from 16 on. */
static uint64_t room_bytes(int32_t n, size_t each)
{
    uint64_t room = 16;
    while (room < (uint64_t)n) room *= 2;
    return room * each;
}

/* One graph: two tables, and an arena whose blocks double, so that a third of it is not used. */
static uint64_t graph_bytes(const ftl_graph *graph)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    return room_bytes(v->n_tensors, sizeof *v->tensors) + room_bytes(v->n_nodes, sizeof *v->nodes) +
           4096 + v->arena->used_bytes * 3 / 2;
}

/* Graphs that live as long as the program. */
static uint64_t all_graph_bytes(const ftl_prepared *p)
{
    uint64_t bytes = graph_bytes(p->slice);
    for (int32_t i = 0; i < p->n_weights; i++)
        if (p->weights[i].recipe) bytes += graph_bytes(p->weights[i].recipe);
    return bytes;
}

ftl_status ftl_prepared_memory(const ftl_prepared *prepared, ftl_session_memory *out)
{
    const ftl_graph_view *v = ftl_graph_get_view(prepared->slice);
    ftl_program_info info;
    *out = (ftl_session_memory){ .struct_size = sizeof *out };
    FTL_TRY(ftl_program_get_info(prepared->program, &info));
    uint64_t loaded = 0, peak_load = 0;
    for (int32_t i = 0; i < prepared->n_weights; i++) {
        const ftl_prepared_weight *w = &prepared->weights[i];
        loaded = sum(loaded, w->cell_bytes);
        if (w->is_wrapped) out->mapped_bytes += w->cell_bytes;
        if (sum(loaded, w->extra_bytes) > peak_load) peak_load = sum(loaded, w->extra_bytes);
    }
    out->weights_bytes = loaded;
    for (int32_t i = 0; i < v->n_sources; i++) {
        const ftl_tensor *t = &v->tensors[v->sources[i]];
        const uint64_t bytes = ftl_desc_bytes_checked(&t->desc);
        if (t->kind == FTL_TENSOR_STATE) out->state_bytes = sum(out->state_bytes, bytes);
        if (t->kind == FTL_TENSOR_INPUT || t->kind == FTL_TENSOR_PARAM)
            out->io_bytes = sum(out->io_bytes, bytes);
    }
    for (int32_t i = 0; i < v->n_outputs; i++) {
        bool is_state = false;
        for (int32_t a = 0; a < v->n_aliases; a++) is_state |= v->aliases[a].output == i;
        const ftl_tensor_desc *d = &v->tensors[v->outputs[i].tensor].desc;
        if (!is_state) out->io_bytes = sum(out->io_bytes, ftl_desc_bytes_checked(d));
    }
    out->workspace_bytes =
        info.workspace_bytes > info.peak_bytes ? info.workspace_bytes : info.peak_bytes;
    out->overhead_bytes = info.resident_bytes + info.code_bytes + all_graph_bytes(prepared) +
                          (uint64_t)prepared->n_threads * THREAD_BYTES + CODE_BYTES;
    const uint64_t running =
        sum(sum(loaded, out->state_bytes), sum(out->io_bytes, out->workspace_bytes));
    out->load_extra_bytes = peak_load > running ? peak_load - running : 0;
    out->total_bytes = sum(sum(running, out->load_extra_bytes), out->overhead_bytes);
    return FTL_OK;
}
