/* SPDX-License-Identifier: Apache-2.0 */
/* pjrt - the backend interface on top of a PJRT plug-in.
 * A cell is a slot for a plug-in's buffer: uploads and runs put a new buffer into it.  A fresh cell
 * has none until it is first read; then zeros are uploaded.  A donated buffer (state) dies with
 * the launch: when the run fails after that, the cell is lost until it is uploaded again.
 * The plug-in orders work by the buffers that it reads and writes, so a queue is a name only. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "backend/pjrt/pjrt_api.h"
#include "backend/pjrt/pjrt_cache.h"
#include "backend/pjrt/stablehlo.h"
#include "base/alloc.h"
#include "base/log.h"
#include "device/backend.h"

extern const ftl_backend ftl_backend_pjrt;

typedef struct pjrt_device {
    ftl_device base;
    ftl_pjrt_client *client;
    uint32_t index;
    uint64_t limit_bytes; /* of cells; UINT64_MAX: none */
    pthread_mutex_t lock; /* of used_bytes */
    uint64_t used_bytes;
} pjrt_device;

typedef struct pjrt_cell {
    ftl_buffer base;
    ftl_pjrt_buffer *storage; /* NULL: zeros that are not there yet, or lost */
    bool is_lost;
} pjrt_cell;

typedef struct pjrt_queue {
    ftl_queue base;
} pjrt_queue;

typedef struct pjrt_event {
    ftl_event base;
    ftl_pjrt_event *work;
} pjrt_event;

typedef struct pjrt_program {
    ftl_program base;
    ftl_pjrt_program *compiled;
    size_t n_inputs, n_outputs;
} pjrt_program;

/* ---- devices ------------------------------------------------------------------------------- */

/* CUDA plug-ins take three quarters of the card at once unless told not to.  A plug-in that does
 * not know the option says so before it does anything else. */
static ftl_status make_client(ftl_pjrt_client **out, const char *library)
{
    static const ftl_pjrt_option modest = { .name = "preallocate", .kind = FTL_PJRT_VALUE_FLAG };
    ftl_pjrt_plugin *plugin;
    *out = NULL;
    FTL_TRY(ftl_pjrt_plugin_open(&plugin, library));
    if (ftl_pjrt_client_create(out, plugin, &modest, 1) == FTL_OK) return FTL_OK;
    return ftl_pjrt_client_create(out, plugin, NULL, 0);
}

/* The plug-in is tried in a child process first: one that does not like the machine may abort. */
static ftl_status pjrt_count(uint32_t *n_out, const ftl_device_options *options)
{
    enum { PROBE_MS = 60000 };
    const char *library = options ? options->library : NULL;
    char report[256];
    *n_out = 0;
    if (!library) return FTL_OK;
    ftl_pjrt_client *client = NULL;
    ftl_status s = ftl_pjrt_probe(library, PROBE_MS, report, sizeof report);
    if (s == FTL_OK) s = make_client(&client, library);
    if (s == FTL_OK) *n_out = (uint32_t)ftl_pjrt_client_peek_info(client).n_devices;
    else ftl_log(FTL_LOG_INFO, "pjrt", "%s is not used: %s", library, ftl_error_text());
    ftl_pjrt_client_destroy(client);
    return FTL_OK;
}

static void pjrt_close(ftl_device *device)
{
    pjrt_device *d = (pjrt_device *)device;
    if (!d) return;
    ftl_pjrt_client_destroy(d->client);
    pthread_mutex_destroy(&d->lock);
    ftl_free(d);
}

static ftl_status check_options(const ftl_device_options *options)
{
    if (options->topology)
        return ftl_fail(FTL_EUNSUPPORTED,
                        "pjrt: a described device (\"%s\") cannot be opened, only a real one",
                        options->topology);
    if (options->n_members > 1)
        return ftl_fail(FTL_EUNSUPPORTED, "pjrt: sets of %u devices are not there, open one each",
                        options->n_members);
    if (options->library) return FTL_OK;
    return ftl_fail(
        FTL_ENOTFOUND,
        "no PJRT plug-in is named: install one (pip download --no-deps jax-cuda12-pjrt, "
        "libtpu or xla-cpu-pjrt, and unzip the wheel) and give the library in it, for "
        "example --device pjrt:/path/xla_cuda_plugin.so");
}

static ftl_status pjrt_open(ftl_device **out, const ftl_device_options *options)
{
    *out = NULL;
    FTL_TRY(check_options(options));
    pjrt_device *d = ftl_calloc(1, sizeof *d);
    if (!d) return ftl_fail(FTL_ENOMEM, "no memory for a PJRT device");
    pthread_mutex_init(&d->lock, NULL);
    d->base.backend = &ftl_backend_pjrt;
    d->index = options->index;
    d->limit_bytes = options->memory_limit_bytes ? options->memory_limit_bytes : UINT64_MAX;
    ftl_status s = make_client(&d->client, options->library);
    if (s == FTL_OK && !ftl_pjrt_device_peek_info(d->client, d->index)) {
        const ftl_pjrt_client_info info = ftl_pjrt_client_peek_info(d->client);
        s = ftl_fail(FTL_ENOTFOUND, "%s has %zu devices (%s), there is no number %u",
                     options->library, info.n_devices, info.platform, options->index);
    }
    if (s != FTL_OK) {
        pjrt_close(&d->base);
        return s;
    }
    *out = &d->base;
    return FTL_OK;
}

static ftl_status pjrt_info(ftl_device *device, ftl_device_info *out)
{
    pjrt_device *d = (pjrt_device *)device;
    const ftl_pjrt_client_info client = ftl_pjrt_client_peek_info(d->client);
    const ftl_pjrt_device_info *info = ftl_pjrt_device_peek_info(d->client, d->index);
    ftl_pjrt_memory memory = { -1, -1, -1 };
    if (ftl_pjrt_device_memory(&memory, d->client, d->index) != FTL_OK) memory.limit_bytes = -1;
    uint64_t bytes =
        memory.limit_bytes > 0 ? (uint64_t)memory.limit_bytes : (uint64_t)info->memory_bytes;
    if (d->limit_bytes != UINT64_MAX && (bytes == 0 || d->limit_bytes < bytes))
        bytes = d->limit_bytes;
    pthread_mutex_lock(&d->lock);
    uint64_t used = d->used_bytes;
    pthread_mutex_unlock(&d->lock);
    if (memory.used_bytes > 0 && (uint64_t)memory.used_bytes > used)
        used = (uint64_t)memory.used_bytes;
    out->caps = FTL_CAP_ASYNC;
    out->alignment_bytes = 64;
    out->n_members = 1;
    snprintf(out->name, sizeof out->name, "%.20s %.35s (PJRT)", client.platform, info->kind);
    out->memory_bytes = bytes;
    out->free_bytes = bytes > used ? bytes - used : 0;
    out->dtype_mask = (1u << FTL_DTYPE_COUNT) - 2;
    if (strcmp(client.platform, "tpu") == 0) out->dtype_mask &= ~(1u << FTL_DTYPE_F64);
    return FTL_OK;
}

/* ---- cells --------------------------------------------------------------------------------- */

static ftl_pjrt_type type_of(ftl_dtype dtype)
{
    static const uint8_t types[FTL_DTYPE_COUNT] = {
        [FTL_DTYPE_F32] = FTL_PJRT_F32,   [FTL_DTYPE_F16] = FTL_PJRT_F16,
        [FTL_DTYPE_BF16] = FTL_PJRT_BF16, [FTL_DTYPE_F64] = FTL_PJRT_F64,
        [FTL_DTYPE_I8] = FTL_PJRT_I8,     [FTL_DTYPE_U8] = FTL_PJRT_U8,
        [FTL_DTYPE_I16] = FTL_PJRT_I16,   [FTL_DTYPE_U16] = FTL_PJRT_U16,
        [FTL_DTYPE_I32] = FTL_PJRT_I32,   [FTL_DTYPE_U32] = FTL_PJRT_U32,
        [FTL_DTYPE_I64] = FTL_PJRT_I64,   [FTL_DTYPE_U64] = FTL_PJRT_U64,
        [FTL_DTYPE_BOOL] = FTL_PJRT_BOOL,
    };
    return (ftl_pjrt_type)types[dtype];
}

static ftl_pjrt_shape shape_of(const ftl_tensor_desc *desc)
{
    ftl_pjrt_shape shape = { .type = (int32_t)type_of(desc->dtype), .rank = desc->rank };
    memcpy(shape.dims, desc->dim, sizeof shape.dims);
    return shape;
}

/* Counts bytes of a new cell against the limit. */
static ftl_status take_bytes(pjrt_device *d, size_t bytes)
{
    pthread_mutex_lock(&d->lock);
    const uint64_t left = d->limit_bytes - d->used_bytes;
    if (bytes <= left) d->used_bytes += bytes;
    pthread_mutex_unlock(&d->lock);
    if (bytes <= left) return FTL_OK;
    return ftl_fail(FTL_ENOMEM, "pjrt: a cell of %zu bytes, %llu are left of the limit of %llu",
                    bytes, (unsigned long long)left, (unsigned long long)d->limit_bytes);
}

static ftl_status pjrt_buffer_create(ftl_buffer **out, ftl_device *device,
                                     const ftl_tensor_desc *desc, enum ftl_memory_kind kind)
{
    (void)kind; /* a plug-in stages transfers by itself */
    size_t bytes;
    *out = NULL;
    FTL_TRY(ftl_desc_bytes(desc, &bytes));
    FTL_TRY(take_bytes((pjrt_device *)device, bytes));
    pjrt_cell *cell = ftl_calloc(1, sizeof *cell);
    if (!cell) {
        pjrt_device *d = (pjrt_device *)device;
        pthread_mutex_lock(&d->lock);
        d->used_bytes -= bytes;
        pthread_mutex_unlock(&d->lock);
        return ftl_fail(FTL_ENOMEM, "no memory for the handle of a cell");
    }
    cell->base = (ftl_buffer){ .device = device, .desc = *desc, .bytes = bytes };
    *out = &cell->base;
    return FTL_OK;
}

static void pjrt_buffer_destroy(ftl_buffer *buffer)
{
    pjrt_cell *cell = (pjrt_cell *)buffer;
    pjrt_device *d = (pjrt_device *)buffer->device;
    pthread_mutex_lock(&d->lock);
    d->used_bytes -= buffer->bytes;
    pthread_mutex_unlock(&d->lock);
    ftl_pjrt_buffer_destroy(cell->storage);
    ftl_free(cell);
}

/* Puts new storage behind the cell. */
static void replace(pjrt_cell *cell, ftl_pjrt_buffer *storage)
{
    ftl_pjrt_buffer_destroy(cell->storage);
    cell->storage = storage;
    cell->is_lost = false;
}

static ftl_status put(pjrt_cell *cell, const void *host, ftl_pjrt_event **done)
{
    const pjrt_device *d = (const pjrt_device *)cell->base.device;
    const ftl_pjrt_shape shape = shape_of(&cell->base.desc);
    static const char nothing; /* an empty tensor still wants an address */
    ftl_pjrt_buffer *storage;
    FTL_TRY(ftl_pjrt_buffer_upload(&storage, d->client, d->index, &shape, host ? host : &nothing,
                                   done));
    replace(cell, storage);
    return FTL_OK;
}

/* Gives a fresh cell its zeros, refuses a lost one. */
static ftl_status need_storage(pjrt_cell *cell)
{
    char text[FTL_DESC_TEXT];
    if (cell->storage) return FTL_OK;
    ftl_desc_print(&cell->base.desc, text, sizeof text);
    if (cell->is_lost)
        return ftl_fail(FTL_ELOST, "a cell of %s was lost in a failed run: upload it again", text);
    void *zeros = ftl_pages_alloc(cell->base.bytes);
    if (!zeros) return ftl_fail(FTL_ENOMEM, "no memory for the zeros of a fresh %s", text);
    const ftl_status s = put(cell, zeros, NULL);
    ftl_pages_free(zeros, cell->base.bytes);
    return s;
}

/* ---- events and queues --------------------------------------------------------------------- */

/* Takes `work`, also on failure. */
static ftl_status make_event(ftl_event **out, ftl_device *device, ftl_pjrt_event *work)
{
    pjrt_event *event = ftl_calloc(1, sizeof *event);
    if (!event) {
        /* the caller's memory may be in use until it fires */
        const ftl_status s = ftl_pjrt_event_wait(work, -1);
        ftl_pjrt_event_destroy(work);
        return s != FTL_OK ? s : ftl_fail(FTL_ENOMEM, "no memory for an event");
    }
    event->base.device = device;
    event->work = work;
    *out = &event->base;
    return FTL_OK;
}

static ftl_status pjrt_event_wait(ftl_event *event, int64_t timeout_ns)
{
    return ftl_pjrt_event_wait(((pjrt_event *)event)->work, timeout_ns);
}

static void pjrt_event_destroy(ftl_event *event)
{
    ftl_pjrt_event_destroy(((pjrt_event *)event)->work);
    ftl_free(event);
}

static ftl_status pjrt_queue_create(ftl_queue **out, ftl_device *device, uint32_t n_threads)
{
    (void)n_threads; /* the plug-in has its own */
    pjrt_queue *queue = ftl_calloc(1, sizeof *queue);
    *out = NULL;
    if (!queue) return ftl_fail(FTL_ENOMEM, "no memory for a queue");
    queue->base.device = device;
    *out = &queue->base;
    return FTL_OK;
}

static void pjrt_queue_destroy(ftl_queue *queue)
{
    ftl_free(queue);
}

/* Work of this backend waits for its buffers by itself; for others the host waits. */
static ftl_status pjrt_queue_wait(ftl_queue *queue, ftl_event *event)
{
    if (!event || event->device == queue->device) return FTL_OK;
    const ftl_backend *other = event->device->backend;
    return other->event_wait ? other->event_wait(event, -1) : FTL_OK;
}

/* ---- transfers ----------------------------------------------------------------------------- */

static ftl_status check_whole(const ftl_buffer *buffer, size_t offset, size_t bytes)
{
    if (offset == 0 && bytes == buffer->bytes) return FTL_OK;
    return ftl_fail(FTL_EUNSUPPORTED,
                    "pjrt moves whole cells: %zu bytes at %zu of a cell of %zu were asked for",
                    bytes, offset, buffer->bytes);
}

static ftl_status pjrt_upload(ftl_queue *queue, ftl_buffer *buffer, size_t offset, const void *host,
                              size_t bytes, ftl_event **done)
{
    ftl_pjrt_event *work = NULL;
    if (done) *done = NULL;
    FTL_TRY(check_whole(buffer, offset, bytes));
    FTL_TRY(put((pjrt_cell *)buffer, host, done ? &work : NULL));
    return done ? make_event(done, queue->device, work) : FTL_OK;
}

static ftl_status pjrt_download(ftl_queue *queue, ftl_buffer *buffer, size_t offset, void *host,
                                size_t bytes, ftl_event **done)
{
    pjrt_cell *cell = (pjrt_cell *)buffer;
    ftl_pjrt_event *work = NULL;
    if (done) *done = NULL;
    FTL_TRY(check_whole(buffer, offset, bytes));
    FTL_TRY(need_storage(cell));
    FTL_TRY(ftl_pjrt_buffer_download(cell->storage, host, bytes, done ? &work : NULL));
    return done ? make_event(done, queue->device, work) : FTL_OK;
}

/* ---- programs ------------------------------------------------------------------------------ */

static ftl_status pjrt_supports(ftl_device *device, const ftl_graph *graph, int32_t node)
{
    (void)device;
    return ftl_stablehlo_supports(graph, node);
}

static void pjrt_program_destroy(ftl_program *program)
{
    pjrt_program *p = (pjrt_program *)program;
    ftl_pjrt_program_destroy(p->compiled);
    ftl_free(p);
}

static ftl_status compile_text(pjrt_program *p, const ftl_graph *slice,
                               const ftl_compile_options *options, ftl_pjrt_shape *shapes)
{
    const pjrt_device *d = (const pjrt_device *)p->base.device;
    const ftl_graph_view *v = ftl_graph_get_view(slice);
    const ftl_dtype compute = options->compute_dtype;
    const ftl_stablehlo_options writing = { .struct_size = sizeof writing,
                                            .is_fast = compute == FTL_DTYPE_BF16 ||
                                                       compute == FTL_DTYPE_F16 };
    for (int32_t i = 0; i < v->n_sources; i++)
        shapes[i] = shape_of(&v->tensors[v->sources[i]].desc);
    const ftl_pjrt_compile_options how = { .struct_size = sizeof how,
                                           .device = d->index,
                                           .params = shapes,
                                           .n_params = (size_t)v->n_sources };
    char *text;
    size_t bytes;
    FTL_TRY(ftl_stablehlo_emit(&text, &bytes, slice, &writing));
    const ftl_status s = options->cache_dir
                             ? ftl_pjrt_compile_cached(&p->compiled, d->client, text, bytes, &how,
                                                       options->cache_dir)
                             : ftl_pjrt_compile(&p->compiled, d->client, text, bytes, &how);
    ftl_free(text);
    return s;
}

/* The plug-in's idea of the results must be ours: run swaps its buffers into our cells. */
static ftl_status check_outputs(const pjrt_program *p, const ftl_graph *slice)
{
    const ftl_graph_view *v = ftl_graph_get_view(slice);
    if (ftl_pjrt_program_n_outputs(p->compiled) != p->n_outputs)
        return ftl_fail(FTL_EINTERNAL, "pjrt: %zu results where the slice has %zu",
                        ftl_pjrt_program_n_outputs(p->compiled), p->n_outputs);
    for (size_t i = 0; i < p->n_outputs; i++) {
        const ftl_pjrt_shape want = shape_of(&v->tensors[v->outputs[i].tensor].desc);
        const ftl_pjrt_shape *got = ftl_pjrt_program_peek_output(p->compiled, i);
        if (got->type != want.type || got->rank != want.rank ||
            memcmp(got->dims, want.dims, (size_t)want.rank * sizeof want.dims[0]) != 0)
            return ftl_fail(FTL_EINTERNAL, "pjrt: result %zu has another shape than the slice's",
                            i);
    }
    return FTL_OK;
}

static ftl_status pjrt_compile(ftl_program **out, ftl_device *device, const ftl_graph *slice,
                               const ftl_compile_options *options)
{
    const ftl_graph_view *v = ftl_graph_get_view(slice);
    *out = NULL;
    pjrt_program *p = ftl_calloc(1, sizeof *p);
    ftl_pjrt_shape *shapes = ftl_calloc((size_t)v->n_sources + 1, sizeof *shapes);
    ftl_status s = p && shapes ? FTL_OK : ftl_fail(FTL_ENOMEM, "no memory for a program");
    if (s == FTL_OK) {
        p->base.device = device;
        p->n_inputs = (size_t)v->n_sources;
        p->n_outputs = (size_t)v->n_outputs;
        s = compile_text(p, slice, options, shapes);
    }
    if (s == FTL_OK) s = check_outputs(p, slice);
    ftl_free(shapes);
    if (s != FTL_OK) {
        if (p) pjrt_program_destroy(&p->base);
        return s;
    }
    *out = &p->base;
    return FTL_OK;
}

static uint64_t known(int64_t bytes)
{
    return bytes > 0 ? (uint64_t)bytes : 0;
}

static ftl_status pjrt_program_info(const ftl_program *program, ftl_program_info *out)
{
    const ftl_pjrt_program_info *info =
        ftl_pjrt_program_peek_info(((const pjrt_program *)program)->compiled);
    out->workspace_bytes = 0; /* the plug-in's own */
    out->code_bytes = known(info->code_bytes);
    out->peak_bytes = known(info->peak_bytes);
    if (!out->peak_bytes) /* old plug-ins give the parts alone */
        out->peak_bytes = known(info->argument_bytes) + known(info->output_bytes) +
                          known(info->temporary_bytes) - known(info->alias_bytes);
    out->alias_bytes = known(info->alias_bytes);
    out->flops = info->flops;
    out->bytes = info->bytes_accessed;
    out->seconds = info->seconds;
    return FTL_OK;
}

/* ---- run ----------------------------------------------------------------------------------- */

/* Cells whose storage went with a launch that failed. */
static void mark_lost(ftl_buffer *const *cells, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        pjrt_cell *cell = (pjrt_cell *)cells[i];
        bool is_deleted;
        if (!cell->storage) continue;
        if (ftl_pjrt_buffer_is_deleted(&is_deleted, cell->storage) == FTL_OK && !is_deleted)
            continue;
        replace(cell, NULL);
        cell->is_lost = true;
    }
}

/* buffers: room for the handles of inputs and outputs. */
static ftl_status run_in(const pjrt_program *p, const ftl_run_args *args, ftl_pjrt_event **work,
                         ftl_pjrt_buffer **buffers)
{
    ftl_pjrt_buffer **outputs = buffers + p->n_inputs;
    for (size_t i = 0; i < p->n_inputs; i++) {
        FTL_TRY(need_storage((pjrt_cell *)args->inputs[i]));
        buffers[i] = ((pjrt_cell *)args->inputs[i])->storage;
    }
    for (size_t i = 0; i < p->n_outputs; i++) outputs[i] = ((pjrt_cell *)args->outputs[i])->storage;
    const ftl_pjrt_run run = { .struct_size = sizeof run,
                               .args = buffers,
                               .n_args = p->n_inputs,
                               .outputs = outputs,
                               .n_outputs = p->n_outputs,
                               .done = work };
    const ftl_status s = ftl_pjrt_execute(p->compiled, &run);
    for (size_t i = 0; i < p->n_outputs; i++) {
        pjrt_cell *cell = (pjrt_cell *)args->outputs[i];
        if (s == FTL_OK) cell->is_lost = false;
        cell->storage = outputs[i];
    }
    if (s != FTL_OK) {
        char *sentence = ftl_strdup(ftl_error_text());
        mark_lost(args->outputs, p->n_outputs);
        if (sentence) ftl_fail(s, "%s", sentence); /* the cause, not what the clean-up said */
        ftl_free(sentence);
    }
    return s;
}

static ftl_status pjrt_run(const ftl_program *program, ftl_queue *queue, const ftl_run_args *args,
                           ftl_event **done)
{
    enum { LOCAL = 512 };
    const pjrt_program *p = (const pjrt_program *)program;
    const size_t n = p->n_inputs + p->n_outputs;
    ftl_pjrt_buffer *local[LOCAL], **buffers = local;
    ftl_pjrt_event *work = NULL;
    if (n > LOCAL) {
        buffers = ftl_calloc(n, sizeof(ftl_pjrt_buffer *));
        if (!buffers) return ftl_fail(FTL_ENOMEM, "no memory for a list of %zu cells", n);
    }
    const ftl_status s = run_in(p, args, done ? &work : NULL, buffers);
    if (buffers != local) ftl_free(buffers);
    if (s != FTL_OK) return s;
    return done ? make_event(done, queue->device, work) : FTL_OK;
}

const ftl_backend ftl_backend_pjrt = {
    .abi = FTL_BACKEND_ABI,
    .struct_size = sizeof(ftl_backend),
    .name = "pjrt",
    .count = pjrt_count,
    .open = pjrt_open,
    .close = pjrt_close,
    .info = pjrt_info,
    .buffer_create = pjrt_buffer_create,
    .buffer_destroy = pjrt_buffer_destroy,
    .upload = pjrt_upload,
    .download = pjrt_download,
    .queue_create = pjrt_queue_create,
    .queue_destroy = pjrt_queue_destroy,
    .queue_wait = pjrt_queue_wait,
    .event_wait = pjrt_event_wait,
    .event_destroy = pjrt_event_destroy,
    .supports = pjrt_supports,
    .compile = pjrt_compile,
    .program_info = pjrt_program_info,
    .run = pjrt_run,
    .program_destroy = pjrt_program_destroy,
};
