/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of device.h: what every backend may rely on is checked here, once. */
#include "device/device.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/op.h"
#include "core/pass.h"

/* What run checks cells against. */
typedef struct ftl_signature {
    uint32_t n_inputs, n_outputs, n_params;
    ftl_tensor_desc *desc; /* inputs, then outputs */
    uint8_t *is_weight;    /* of inputs: may be packed */
    int32_t *layout;       /* of inputs: how the program reads them */
    int32_t *alias;        /* of outputs: the input whose cell it must share, or -1 */
    uint64_t workspace_bytes;
} ftl_signature;

static ftl_status lacks(const ftl_device *device, const char *what)
{
    return ftl_fail(FTL_EUNSUPPORTED, "the %s backend has no %s", device->backend->name, what);
}

/* ---- devices ------------------------------------------------------------------------------- */

ftl_status ftl_device_open(ftl_device **out, const ftl_backend *backend,
                           const ftl_device_options *options)
{
    const ftl_device_options none = { .struct_size = sizeof none };
    *out = NULL;
    if (backend->abi != FTL_BACKEND_ABI)
        return ftl_fail(FTL_EUNSUPPORTED, "the %s backend was built for interface %u, this is %d",
                        backend->name, backend->abi, FTL_BACKEND_ABI);
    FTL_TRY(backend->open(out, options ? options : &none));
    ftl_device_info info;
    const ftl_status s = ftl_device_get_info(*out, &info);
    if (s != FTL_OK) {
        ftl_device_close(*out);
        *out = NULL;
        return s;
    }
    (*out)->caps = info.caps;
    return FTL_OK;
}

ftl_status ftl_device_open_name(ftl_device **out, const char *spelling,
                                const ftl_device_options *more)
{
    ftl_device_options options = { .struct_size = sizeof options };
    if (more) options = *more;
    *out = NULL;
    const char *colon = strchr(spelling, ':');
    const size_t length = colon ? (size_t)(colon - spelling) : strlen(spelling);
    char name[32];
    if (length >= sizeof name)
        return ftl_fail(FTL_ENOTFOUND, "device \"%s\": no backend has so long a name", spelling);
    memcpy(name, spelling, length);
    name[length] = 0;
    const ftl_backend *backend = ftl_backend_find(name);
    if (!backend) {
        char known[128] = "";
        size_t used = 0;
        for (int32_t i = 0; ftl_backend_at(i) && used + 1 < sizeof known; i++)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                     ftl_backend_at(i)->name);
        return ftl_fail(FTL_ENOTFOUND, "device \"%s\": this fettle knows %s", spelling, known);
    }
    unsigned index;
    int end = 0;
    if (colon && sscanf(colon + 1, "%9u%n", &index, &end) == 1 && colon[1 + end] == 0)
        options.index = index;
    else if (colon && colon[1]) options.library = colon + 1;
    else if (colon)
        return ftl_fail(FTL_EINVAL, "device \"%s\": a number or a path follows the colon",
                        spelling);
    return ftl_device_open(out, backend, &options);
}

void ftl_device_close(ftl_device *device)
{
    if (device) device->backend->close(device);
}

ftl_status ftl_device_get_info(ftl_device *device, ftl_device_info *out)
{
    *out = (ftl_device_info){ .struct_size = sizeof *out };
    return device->backend->info(device, out);
}

const char *ftl_device_backend_name(const ftl_device *device)
{
    return device->backend->name;
}

const void *ftl_device_extension(ftl_device *device, const char *name)
{
    return device->backend->extension ? device->backend->extension(device, name) : NULL;
}

/* ---- cells --------------------------------------------------------------------------------- */

ftl_status ftl_buffer_create(ftl_buffer **out, ftl_device *device, const ftl_tensor_desc *desc)
{
    size_t bytes;
    *out = NULL;
    FTL_TRY(ftl_desc_bytes(desc, &bytes));
    if (device->caps & FTL_CAP_COMPILE_ONLY) return lacks(device, "memory: it only compiles");
    return device->backend->buffer_create(out, device, desc, FTL_MEMORY_DEVICE);
}

ftl_status ftl_buffer_wrap(ftl_buffer **out, ftl_device *device, const ftl_tensor_desc *desc,
                           const void *host, size_t bytes)
{
    size_t want;
    *out = NULL;
    FTL_TRY(ftl_desc_bytes(desc, &want));
    if (!device->backend->buffer_wrap || !(device->caps & FTL_CAP_WRAP_HOST))
        return lacks(device, "cells over host memory");
    if (bytes != want) return ftl_fail(FTL_EINVAL, "%zu host bytes for a cell of %zu", bytes, want);
    if (!host) return ftl_fail(FTL_EINVAL, "no host memory is given to wrap");
    FTL_TRY(device->backend->buffer_wrap(out, device, desc, (void *)(uintptr_t)host, bytes));
    (*out)->is_read_only = true;
    return FTL_OK;
}

void ftl_buffer_destroy(ftl_buffer *buffer)
{
    if (buffer) buffer->device->backend->buffer_destroy(buffer);
}

static ftl_status check_transfer(const ftl_queue *queue, const ftl_buffer *buffer, size_t bytes)
{
    if (queue->device != buffer->device)
        return ftl_fail(FTL_EINVAL, "the queue and the cell belong to two devices");
    if (bytes != buffer->bytes)
        return ftl_fail(FTL_EINVAL, "%zu host bytes for a cell of %zu", bytes, buffer->bytes);
    return FTL_OK;
}

static ftl_status check_written(const ftl_buffer *buffer)
{
    if (!buffer->is_read_only) return FTL_OK;
    return ftl_fail(FTL_EINVAL, "a cell over the caller's host memory is read only");
}

ftl_status ftl_buffer_upload(ftl_queue *queue, ftl_buffer *buffer, const void *host, size_t bytes)
{
    FTL_TRY(check_transfer(queue, buffer, bytes));
    FTL_TRY(check_written(buffer));
    if (buffer->layout)
        return ftl_fail(FTL_EINVAL, "row-major bytes for a cell of layout %d: pack a new one",
                        (int)buffer->layout);
    return queue->device->backend->upload(queue, buffer, 0, host, bytes, NULL);
}

ftl_status ftl_buffer_download(ftl_queue *queue, ftl_buffer *buffer, void *host, size_t bytes)
{
    FTL_TRY(check_transfer(queue, buffer, bytes));
    return queue->device->backend->download(queue, buffer, 0, host, bytes, NULL);
}

ftl_status ftl_buffer_copy(ftl_queue *to_queue, ftl_buffer *to, ftl_queue *from_queue,
                           ftl_buffer *from)
{
    FTL_TRY(check_transfer(to_queue, to, from->bytes));
    FTL_TRY(check_transfer(from_queue, from, from->bytes));
    FTL_TRY(check_written(to));
    if (to->layout != from->layout || (to->layout && to->device != from->device))
        return ftl_fail(FTL_EINVAL, "a cell of layout %d of %s cannot hold layout %d of %s",
                        (int)to->layout, ftl_device_backend_name(to->device), (int)from->layout,
                        ftl_device_backend_name(from->device));
    if (to == from) return FTL_OK;
    const ftl_backend *b = to->device->backend;
    if (to->device == from->device && b->copy) return b->copy(to_queue, to, from, NULL);
    void *staging = ftl_alloc(from->bytes);
    if (!staging)
        return ftl_fail(FTL_ENOMEM, "no memory to stage a copy of %zu bytes", from->bytes);
    ftl_status s = ftl_buffer_download(from_queue, from, staging, from->bytes);
    if (s == FTL_OK) s = ftl_buffer_upload(to_queue, to, staging, to->bytes);
    ftl_free(staging);
    return s;
}

/* ---- queues and events --------------------------------------------------------------------- */

ftl_status ftl_queue_create(ftl_queue **out, ftl_device *device, uint32_t n_threads)
{
    *out = NULL;
    FTL_TRY(device->backend->queue_create(out, device, n_threads));
    /* A backend whose threads are its own business says nothing. */
    if (!(*out)->n_threads) (*out)->n_threads = n_threads ? n_threads : 1;
    return FTL_OK;
}

void ftl_queue_destroy(ftl_queue *queue)
{
    if (queue) queue->device->backend->queue_destroy(queue);
}

uint32_t ftl_queue_threads(const ftl_queue *queue)
{
    return queue->n_threads;
}

ftl_status ftl_event_wait(ftl_event *event, int64_t timeout_ns)
{
    if (!event) return FTL_OK; /* the work was done before the call returned */
    const ftl_backend *b = event->device->backend;
    return b->event_wait ? b->event_wait(event, timeout_ns) : FTL_OK;
}

void ftl_event_destroy(ftl_event *event)
{
    if (event && event->device->backend->event_destroy)
        event->device->backend->event_destroy(event);
}

/* ---- programs ------------------------------------------------------------------------------ */

ftl_status ftl_device_supports(ftl_device *device, const ftl_graph *graph, int32_t node)
{
    return device->backend->supports(device, graph, node);
}

typedef struct legalizing {
    ftl_device *device;
    const ftl_graph *graph;
    bool is_changed;
} legalizing;

static ftl_status emit_legal(void *arg, ftl_graph *to, const ftl_node *node, int32_t old_index,
                             int32_t *out, bool *done)
{
    legalizing *l = arg;
    const ftl_status s = ftl_device_supports(l->device, l->graph, old_index);
    if (s == FTL_OK) return FTL_OK;
    if (s != FTL_EUNSUPPORTED) return s;
    const ftl_op_info *info = ftl_op_get_info(node->op);
    if (!info->lower)
        return ftl_fail_context(s, "%s%s%s on %s", node->name, *node->name ? ": " : "", info->name,
                                l->device->backend->name);
    l->is_changed = true;
    *done = true;
    return info->lower(to, node, out);
}

ftl_status ftl_device_legalize(ftl_graph **out, ftl_device *device, const ftl_graph *graph)
{
    enum { MOST_ROUNDS = 8 }; /* decompositions nest two or three deep */
    legalizing l = { .device = device };
    const ftl_graph *now = graph;
    ftl_graph *owned = NULL;
    *out = NULL;
    for (int round = 0; round < MOST_ROUNDS; round++) {
        ftl_graph *next;
        l.graph = now;
        l.is_changed = false;
        const ftl_status s = ftl_graph_rewrite(&next, now, emit_legal, &l);
        ftl_graph_destroy(owned);
        if (s != FTL_OK) return s;
        owned = next;
        now = next;
        if (!l.is_changed) {
            *out = owned;
            return FTL_OK;
        }
    }
    ftl_graph_destroy(owned);
    return ftl_fail(FTL_EINTERNAL, "decompositions for %s do not end", device->backend->name);
}

static void signature_destroy(ftl_signature *s)
{
    if (!s) return;
    ftl_free(s->desc);
    ftl_free(s->is_weight);
    ftl_free(s->layout);
    ftl_free(s->alias);
    ftl_free(s);
}

static ftl_status signature_create(ftl_signature **out, const ftl_graph *slice)
{
    const ftl_graph_view *v = ftl_graph_get_view(slice);
    ftl_signature *s = *out = ftl_calloc(1, sizeof *s);
    if (!s) return ftl_fail(FTL_ENOMEM, "no memory for a program's signature");
    s->n_inputs = (uint32_t)v->n_sources;
    s->n_outputs = (uint32_t)v->n_outputs;
    s->desc = ftl_calloc((size_t)s->n_inputs + s->n_outputs + 1, sizeof *s->desc);
    s->is_weight = ftl_calloc((size_t)s->n_inputs + 1, 1);
    s->layout = ftl_calloc((size_t)s->n_inputs + 1, sizeof *s->layout);
    s->alias = ftl_calloc((size_t)s->n_outputs + 1, sizeof *s->alias);
    if (!s->desc || !s->is_weight || !s->layout || !s->alias) {
        signature_destroy(s);
        *out = NULL;
        return ftl_fail(FTL_ENOMEM, "no memory for a program's signature");
    }
    for (uint32_t i = 0; i < s->n_inputs; i++) {
        const ftl_tensor *t = &v->tensors[v->sources[i]];
        s->desc[i] = t->desc;
        s->is_weight[i] = t->kind == FTL_TENSOR_WEIGHT;
        s->n_params += t->kind == FTL_TENSOR_PARAM;
    }
    for (uint32_t i = 0; i < s->n_outputs; i++) {
        s->desc[s->n_inputs + i] = v->tensors[v->outputs[i].tensor].desc;
        s->alias[i] = -1;
    }
    for (int32_t i = 0; i < v->n_aliases; i++)
        s->alias[v->aliases[i].output] = ftl_graph_source_index(slice, v->aliases[i].state);
    return FTL_OK;
}

/* How the program wants its weights, and whether that is as the caller has stored them. */
static ftl_status take_layouts(ftl_signature *s, const ftl_program *program,
                               const ftl_compile_options *options)
{
    const ftl_backend *b = program->device->backend;
    for (uint32_t i = 0; i < s->n_inputs; i++) {
        size_t bytes;
        if (s->is_weight[i] && b->weight_layout)
            FTL_TRY(b->weight_layout(program, i, &s->layout[i], &bytes));
        if (options->weight_layout && options->weight_layout[i] != s->layout[i])
            return ftl_fail(FTL_EINVAL, "the %s backend reads input %u in layout %d, not in %d",
                            b->name, i, (int)s->layout[i], (int)options->weight_layout[i]);
    }
    return FTL_OK;
}

ftl_status ftl_program_compile(ftl_program **out, ftl_device *device, const ftl_graph *slice,
                               const ftl_compile_options *options)
{
    const ftl_compile_options none = { .struct_size = sizeof none };
    *out = NULL;
    FTL_TRY(ftl_graph_status(slice));
    if (!ftl_graph_get_view(slice)->is_bound)
        return ftl_fail(FTL_EINVAL, "graph \"%s\" is not bound", ftl_graph_name(slice));
    ftl_signature *signature;
    FTL_TRY(signature_create(&signature, slice));
    ftl_program *program = NULL;
    if (!options) options = &none;
    ftl_status s = device->backend->compile(&program, device, slice, options);
    ftl_program_info info = { .struct_size = sizeof info };
    if (s == FTL_OK) s = device->backend->program_info(program, &info);
    if (s == FTL_OK) s = take_layouts(signature, program, options);
    if (s != FTL_OK) {
        if (program) device->backend->program_destroy(program);
        signature_destroy(signature);
        return s;
    }
    signature->workspace_bytes = info.workspace_bytes;
    program->signature = signature;
    *out = program;
    return FTL_OK;
}

void ftl_program_destroy(ftl_program *program)
{
    if (!program) return;
    signature_destroy(program->signature);
    program->device->backend->program_destroy(program);
}

ftl_status ftl_program_get_info(const ftl_program *program, ftl_program_info *out)
{
    *out =
        (ftl_program_info){ .struct_size = sizeof *out, .flops = -1, .bytes = -1, .seconds = -1 };
    return program->device->backend->program_info(program, out);
}

ftl_status ftl_program_weight_layout(const ftl_program *program, uint32_t input, int32_t *layout,
                                     size_t *bytes)
{
    const ftl_signature *s = program->signature;
    *layout = 0;
    if (input >= s->n_inputs) return ftl_fail(FTL_EINVAL, "the program has no input %u", input);
    *bytes = ftl_desc_bytes_checked(&s->desc[input]);
    if (!s->is_weight[input] || !program->device->backend->weight_layout) return FTL_OK;
    return program->device->backend->weight_layout(program, input, layout, bytes);
}

ftl_status ftl_buffer_pack(ftl_buffer **out, ftl_queue *queue, int32_t layout, const void *host,
                           const ftl_tensor_desc *desc)
{
    ftl_device *device = queue->device;
    *out = NULL;
    if (layout != 0) {
        size_t bytes;
        if (!device->backend->pack) return lacks(device, "packed layouts");
        FTL_TRY(ftl_desc_bytes(desc, &bytes));
        FTL_TRY(device->backend->pack(queue, out, layout, host, desc, NULL));
        (*out)->layout = layout;
        return FTL_OK;
    }
    FTL_TRY(ftl_buffer_create(out, device, desc));
    const ftl_status s = ftl_buffer_upload(queue, *out, host, (*out)->bytes);
    if (s != FTL_OK) {
        ftl_buffer_destroy(*out);
        *out = NULL;
    }
    return s;
}

static ftl_status check_cell(const ftl_program *program, const ftl_buffer *cell, uint32_t at,
                             const char *side, uint32_t i)
{
    const ftl_tensor_desc *want = &program->signature->desc[at];
    char a[FTL_DESC_TEXT], b[FTL_DESC_TEXT];
    if (!cell) return ftl_fail(FTL_EINVAL, "%s %u of the program has no cell", side, i);
    if (cell->device != program->device)
        return ftl_fail(FTL_EINVAL, "%s %u of the program lies on another device", side, i);
    if (!ftl_desc_equal(&cell->desc, want))
        return ftl_fail(FTL_EINVAL, "%s %u of the program is %s, the cell holds %s", side, i,
                        ftl_desc_print(want, a, sizeof a),
                        ftl_desc_print(&cell->desc, b, sizeof b));
    return FTL_OK;
}

/* A cell that the run has seen already, among n_inputs inputs and n_outputs outputs. */
static bool is_seen(const ftl_run_args *args, const ftl_buffer *cell, uint32_t n_inputs,
                    uint32_t n_outputs)
{
    for (uint32_t i = 0; i < n_inputs; i++)
        if (args->inputs[i] == cell) return true;
    for (uint32_t i = 0; i < n_outputs; i++)
        if (args->outputs[i] == cell) return true;
    return false;
}

/* No cell stands twice but for the aliases.  A set of hashes answers for nearly every cell, so
 * that hundreds of weights do not cost a search each on every run. */
static ftl_status check_once(const ftl_signature *s, const ftl_run_args *args)
{
    enum { BITS = 1 << 13 };
    uint64_t set[BITS / 64] = { 0 };
    for (uint32_t k = 0; k < s->n_inputs + s->n_outputs; k++) {
        const bool is_input = k < s->n_inputs;
        const uint32_t i = is_input ? k : k - s->n_inputs;
        if (!is_input && s->alias[i] >= 0) continue; /* its input was looked at */
        const ftl_buffer *cell = is_input ? args->inputs[i] : args->outputs[i];
        const uint64_t hash = (uint64_t)(uintptr_t)cell * 0x9e3779b97f4a7c15u >> 51;
        const uint64_t bit = (uint64_t)1 << hash % 64;
        const bool may_be_seen = (set[hash / 64] & bit) != 0;
        set[hash / 64] |= bit;
        if (may_be_seen && is_seen(args, cell, is_input ? i : s->n_inputs, is_input ? 0 : i))
            return ftl_fail(FTL_EINVAL, "%s %u of the program has a cell that was given before",
                            is_input ? "input" : "output", i);
    }
    return FTL_OK;
}

static ftl_status check_run(const ftl_program *program, const ftl_queue *queue,
                            const ftl_run_args *args)
{
    const ftl_signature *s = program->signature;
    if (queue->device != program->device)
        return ftl_fail(FTL_EINVAL, "the queue and the program belong to two devices");
    for (uint32_t i = 0; i < s->n_inputs; i++) {
        FTL_TRY(check_cell(program, args->inputs[i], i, "input", i));
        if (args->inputs[i]->layout != s->layout[i])
            return ftl_fail(FTL_EINVAL,
                            "input %u of the program is read in layout %d, the cell has %d", i,
                            (int)s->layout[i], (int)args->inputs[i]->layout);
    }
    for (uint32_t i = 0; i < s->n_outputs; i++) {
        FTL_TRY(check_cell(program, args->outputs[i], s->n_inputs + i, "output", i));
        FTL_TRY(check_written(args->outputs[i]));
        if (args->outputs[i]->layout)
            return ftl_fail(FTL_EINVAL, "output %u of the program has a packed cell", i);
        if (s->alias[i] >= 0 && args->inputs[s->alias[i]] != args->outputs[i])
            return ftl_fail(FTL_EINVAL, "output %u is the new value of input %d: one cell for both",
                            i, (int)s->alias[i]);
    }
    FTL_TRY(check_once(s, args));
    if (s->n_params && !args->host_params)
        return ftl_fail(FTL_EINVAL, "the program's parameters need their host values");
    if (!s->workspace_bytes) return FTL_OK;
    const ftl_buffer *room = args->workspace;
    if (!room || room->bytes < s->workspace_bytes)
        return ftl_fail(FTL_EINVAL, "the program needs a workspace of %llu bytes",
                        (unsigned long long)s->workspace_bytes);
    if (room->device != program->device || room->is_read_only)
        return ftl_fail(FTL_EINVAL, "the workspace lies on another device or is read only");
    if (is_seen(args, room, s->n_inputs, s->n_outputs))
        return ftl_fail(FTL_EINVAL, "the workspace is a cell of the program too");
    return FTL_OK;
}

ftl_status ftl_program_run(const ftl_program *program, ftl_queue *queue, const ftl_run_args *args,
                           ftl_event **done)
{
    if (done) *done = NULL;
    FTL_TRY(check_run(program, queue, args));
    return program->device->backend->run(program, queue, args, done);
}
