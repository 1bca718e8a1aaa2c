/* SPDX-License-Identifier: Apache-2.0 */
/* fake - a device that is not there: the reference evaluator behind the backend interface, with
 * failures on demand.  It knows primitives alone, so everything else reaches it decomposed.
 *
 * A script (ftl_device_options.script) is a list of items with commas between:
 *     memory=BYTES       cells beyond that are refused with FTL_ENOMEM
 *     late               runs asked for with an event happen when the event is waited for
 *     CALL@N=CODE        the N-th call of CALL (from 1) fails; CALL is one of buffer_create,
 *                        upload, download, compile, run; CODE is enomem, eio, elost, etimeout
 *     only=OP+OP+...     of the primitives, only these are supported
 * A failed run leaves garbage in aliased cells, as a real lost device would. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "core/eval.h"
#include "core/op.h"
#include "core/pass.h"
#include "device/backend.h"

extern const ftl_backend ftl_backend_fake;

typedef enum fake_call { BUFFER_CREATE, UPLOAD, DOWNLOAD, COMPILE, RUN, N_CALLS } fake_call;
static const char *const call_names[N_CALLS] = { "buffer_create", "upload", "download", "compile",
                                                 "run" };

typedef struct fake_device {
    ftl_device base;
    pthread_mutex_t lock; /* of the counts */
    uint64_t memory_bytes, used_bytes;
    uint64_t fail_at[N_CALLS], n_calls[N_CALLS];
    ftl_status fail_code[N_CALLS];
    bool is_late, has_only;
    bool allowed[FTL_OP_COUNT];
} fake_device;

typedef struct fake_buffer {
    ftl_buffer base;
    void *data;
    bool is_wrapped;
} fake_buffer;

typedef struct fake_program {
    ftl_program base;
    ftl_graph *slice;
} fake_program;

/* A run that waits for its event. */
typedef struct fake_event {
    ftl_event base;
    struct fake_queue *queue;
    const fake_program *program; /* NULL: done */
    fake_buffer **inputs, **outputs;
    ftl_status status;
    struct fake_event *next; /* in the queue's order */
} fake_event;

typedef struct fake_queue {
    ftl_queue base;
    fake_event *pending;
} fake_queue;

/* ---- script -------------------------------------------------------------------------------- */

static ftl_status parse_failure(fake_device *d, const char *item)
{
    static const struct {
        const char *name;
        ftl_status code;
    } codes[] = { { "enomem", FTL_ENOMEM },
                  { "eio", FTL_EIO },
                  { "elost", FTL_ELOST },
                  { "etimeout", FTL_ETIMEOUT } };
    char call[32], code[32];
    unsigned long long nth;
    if (sscanf(item, "%31[a-z_]@%llu=%31[a-z]", call, &nth, code) != 3)
        return ftl_fail(FTL_EINVAL, "fake device: \"%s\" is no item of a script", item);
    for (int c = 0; c < N_CALLS; c++)
        for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++)
            if (strcmp(call, call_names[c]) == 0 && strcmp(code, codes[k].name) == 0) {
                d->fail_at[c] = nth;
                d->fail_code[c] = codes[k].code;
                return FTL_OK;
            }
    return ftl_fail(FTL_EINVAL, "fake device: no call \"%s\" or no code \"%s\"", call, code);
}

static ftl_status parse_only(fake_device *d, char *names)
{
    char *rest = NULL;
    d->has_only = true;
    for (char *name = strtok_r(names, "+", &rest); name; name = strtok_r(NULL, "+", &rest)) {
        const ftl_op op = ftl_op_from_name(name);
        if (op == FTL_OP_COUNT) return ftl_fail(FTL_EINVAL, "fake device: no op \"%s\"", name);
        d->allowed[op] = true;
    }
    return FTL_OK;
}

static ftl_status parse_script(fake_device *d, const char *script)
{
    char *copy = ftl_strdup(script), *rest = NULL;
    if (!copy) return ftl_fail(FTL_ENOMEM, "no memory for a script");
    ftl_status s = FTL_OK;
    for (char *item = strtok_r(copy, ",", &rest); s == FTL_OK && item;
         item = strtok_r(NULL, ",", &rest)) {
        if (strncmp(item, "memory=", 7) == 0) d->memory_bytes = strtoull(item + 7, NULL, 10);
        else if (strcmp(item, "late") == 0) d->is_late = true;
        else if (strncmp(item, "only=", 5) == 0) s = parse_only(d, item + 5);
        else s = parse_failure(d, item);
    }
    ftl_free(copy);
    return s;
}

/* Counts a call and fails it when the script says so. */
static ftl_status count_call(fake_device *d, fake_call call)
{
    pthread_mutex_lock(&d->lock);
    const uint64_t n = ++d->n_calls[call];
    pthread_mutex_unlock(&d->lock);
    if (n != d->fail_at[call]) return FTL_OK;
    return ftl_fail(d->fail_code[call], "fake device: %s number %llu fails as scripted",
                    call_names[call], (unsigned long long)n);
}

/* Counts the bytes of a new cell; false when they are too many. */
static bool take_bytes(fake_device *d, size_t bytes)
{
    pthread_mutex_lock(&d->lock);
    const bool fits = bytes <= d->memory_bytes - d->used_bytes;
    if (fits) d->used_bytes += bytes;
    pthread_mutex_unlock(&d->lock);
    return fits;
}

static void give_bytes(fake_device *d, size_t bytes)
{
    pthread_mutex_lock(&d->lock);
    d->used_bytes -= bytes;
    pthread_mutex_unlock(&d->lock);
}

/* ---- devices ------------------------------------------------------------------------------- */

static ftl_status fake_count(uint32_t *n_out, const ftl_device_options *options)
{
    (void)options;
    *n_out = 1;
    return FTL_OK;
}

static void fake_close(ftl_device *device)
{
    pthread_mutex_destroy(&((fake_device *)device)->lock);
    ftl_free(device);
}

static ftl_status fake_open(ftl_device **out, const ftl_device_options *options)
{
    *out = NULL;
    if (options->index > 0) return ftl_fail(FTL_ENOTFOUND, "there is one fake device, fake:0");
    fake_device *d = ftl_calloc(1, sizeof *d);
    if (!d) return ftl_fail(FTL_ENOMEM, "no memory for a fake device");
    pthread_mutex_init(&d->lock, NULL);
    d->base.backend = &ftl_backend_fake;
    d->memory_bytes = options->memory_limit_bytes ? options->memory_limit_bytes : UINT64_MAX;
    const ftl_status s = options->script ? parse_script(d, options->script) : FTL_OK;
    if (s != FTL_OK) {
        fake_close(&d->base);
        return s;
    }
    *out = &d->base;
    return FTL_OK;
}

static ftl_status fake_info(ftl_device *device, ftl_device_info *out)
{
    fake_device *d = (fake_device *)device;
    out->caps = FTL_CAP_EMULATED | FTL_CAP_WRAP_HOST | FTL_CAP_ASYNC;
    out->alignment_bytes = 16;
    out->n_members = 1;
    snprintf(out->name, sizeof out->name, "fake device (reference evaluator)");
    out->memory_bytes = d->memory_bytes == UINT64_MAX ? 0 : d->memory_bytes;
    pthread_mutex_lock(&d->lock);
    out->free_bytes = out->memory_bytes ? d->memory_bytes - d->used_bytes : 0;
    pthread_mutex_unlock(&d->lock);
    out->dtype_mask = (1u << FTL_DTYPE_COUNT) - 2;
    return FTL_OK;
}

/* ---- memory -------------------------------------------------------------------------------- */

static ftl_status make_buffer(ftl_buffer **out, ftl_device *device, const ftl_tensor_desc *desc,
                              void *host)
{
    fake_device *d = (fake_device *)device;
    size_t bytes;
    *out = NULL;
    FTL_TRY(ftl_desc_bytes(desc, &bytes));
    FTL_TRY(count_call(d, BUFFER_CREATE));
    if (!host && !take_bytes(d, bytes))
        return ftl_fail(FTL_ENOMEM, "fake device: no %zu bytes left of the limit of %llu", bytes,
                        (unsigned long long)d->memory_bytes);
    fake_buffer *b = ftl_calloc(1, sizeof *b);
    if (b) b->data = host ? host : ftl_calloc(1, bytes);
    if (!b || !b->data) {
        ftl_free(b);
        if (!host) give_bytes(d, bytes);
        return ftl_fail(FTL_ENOMEM, "no memory for a cell of %zu bytes", bytes);
    }
    b->base = (ftl_buffer){ .device = device, .desc = *desc, .bytes = bytes };
    b->is_wrapped = host != NULL;
    *out = &b->base;
    return FTL_OK;
}

static ftl_status fake_buffer_create(ftl_buffer **out, ftl_device *device,
                                     const ftl_tensor_desc *desc, enum ftl_memory_kind kind)
{
    (void)kind;
    return make_buffer(out, device, desc, NULL);
}

static ftl_status fake_buffer_wrap(ftl_buffer **out, ftl_device *device,
                                   const ftl_tensor_desc *desc, void *host, size_t bytes)
{
    (void)bytes;
    return make_buffer(out, device, desc, host);
}

static void fake_buffer_destroy(ftl_buffer *buffer)
{
    fake_buffer *b = (fake_buffer *)buffer;
    fake_device *d = (fake_device *)buffer->device;
    if (!b->is_wrapped) {
        give_bytes(d, buffer->bytes);
        ftl_free(b->data);
    }
    ftl_free(b);
}

/* ---- runs ---------------------------------------------------------------------------------- */

static fake_device *device_of(const ftl_program *program)
{
    return (fake_device *)program->device;
}

/* Evaluates into fresh memory first: an aliased cell keeps its old value until all is read. */
static ftl_status evaluate(const fake_program *p, fake_buffer *const *inputs,
                           fake_buffer *const *outputs)
{
    const ftl_graph_view *v = ftl_graph_get_view(p->slice);
    const void **in = ftl_calloc((size_t)v->n_sources + 1, sizeof *in);
    void **out = ftl_calloc((size_t)v->n_outputs + 1, sizeof *out);
    ftl_status s = in && out ? FTL_OK : ftl_fail(FTL_ENOMEM, "no memory for a run");
    for (int32_t i = 0; s == FTL_OK && i < v->n_sources; i++) in[i] = inputs[i]->data;
    for (int32_t i = 0; s == FTL_OK && i < v->n_outputs; i++) {
        out[i] = ftl_calloc(1, outputs[i]->base.bytes);
        if (!out[i]) s = ftl_fail(FTL_ENOMEM, "no memory for a run");
    }
    if (s == FTL_OK) s = count_call(device_of(&p->base), RUN);
    if (s == FTL_OK) s = ftl_eval_graph(p->slice, in, out);
    for (int32_t i = 0; out && i < v->n_outputs; i++) {
        if (s == FTL_OK) memcpy(outputs[i]->data, out[i], outputs[i]->base.bytes);
        ftl_free(out[i]);
    }
    for (int32_t i = 0; s != FTL_OK && i < v->n_aliases; i++) {
        fake_buffer *cell = outputs[v->aliases[i].output];
        memset(cell->data, 0xa5, cell->base.bytes);
    }
    ftl_free(in);
    ftl_free(out);
    return s;
}

static void finish_event(fake_event *e)
{
    if (e->program) e->status = evaluate(e->program, e->inputs, e->outputs);
    e->program = NULL;
}

/* Everything that the queue still owes, in order. */
static void drain(fake_queue *q)
{
    while (q->pending) {
        fake_event *e = q->pending;
        q->pending = e->next;
        finish_event(e);
    }
}

static void fake_event_destroy(ftl_event *event)
{
    fake_event *e = (fake_event *)event;
    if (e->program) drain(e->queue);
    ftl_free(e->inputs);
    ftl_free(e->outputs);
    ftl_free(e);
}

static ftl_status fake_event_wait(ftl_event *event, int64_t timeout_ns)
{
    fake_event *e = (fake_event *)event;
    if (e->program && timeout_ns >= 0 && timeout_ns < 1000)
        return ftl_fail(FTL_ETIMEOUT, "the run has not ended yet");
    if (e->program) drain(e->queue);
    return e->status;
}

static ftl_status enqueue(const fake_program *p, fake_queue *q, const ftl_run_args *args,
                          ftl_event **done)
{
    const ftl_graph_view *v = ftl_graph_get_view(p->slice);
    fake_event *e = ftl_calloc(1, sizeof *e);
    if (!e) return ftl_fail(FTL_ENOMEM, "no memory for an event");
    e->base.device = p->base.device;
    e->queue = q;
    e->inputs = ftl_calloc((size_t)v->n_sources + 1, sizeof(fake_buffer *));
    e->outputs = ftl_calloc((size_t)v->n_outputs + 1, sizeof(fake_buffer *));
    if (!e->inputs || !e->outputs) {
        fake_event_destroy(&e->base);
        return ftl_fail(FTL_ENOMEM, "no memory for an event");
    }
    for (int32_t i = 0; i < v->n_sources; i++) e->inputs[i] = (fake_buffer *)args->inputs[i];
    for (int32_t i = 0; i < v->n_outputs; i++) e->outputs[i] = (fake_buffer *)args->outputs[i];
    e->program = p;
    fake_event **end = &q->pending;
    while (*end) end = &(*end)->next;
    *end = e;
    *done = &e->base;
    return FTL_OK;
}

static ftl_status fake_run(const ftl_program *program, ftl_queue *queue, const ftl_run_args *args,
                           ftl_event **done)
{
    const fake_program *p = (const fake_program *)program;
    if (done && device_of(program)->is_late) return enqueue(p, (fake_queue *)queue, args, done);
    drain((fake_queue *)queue);
    const ftl_graph_view *v = ftl_graph_get_view(p->slice);
    fake_buffer **cells =
        ftl_calloc((size_t)v->n_sources + (size_t)v->n_outputs + 1, sizeof *cells);
    if (!cells) return ftl_fail(FTL_ENOMEM, "no memory for a run");
    for (int32_t i = 0; i < v->n_sources; i++) cells[i] = (fake_buffer *)args->inputs[i];
    for (int32_t i = 0; i < v->n_outputs; i++)
        cells[v->n_sources + i] = (fake_buffer *)args->outputs[i];
    const ftl_status s = evaluate(p, cells, cells + v->n_sources);
    ftl_free(cells);
    return s;
}

/* ---- transfers and queues ------------------------------------------------------------------ */

static ftl_status fake_upload(ftl_queue *queue, ftl_buffer *buffer, size_t offset, const void *host,
                              size_t bytes, ftl_event **done)
{
    if (done) *done = NULL;
    drain((fake_queue *)queue);
    FTL_TRY(count_call((fake_device *)queue->device, UPLOAD));
    memcpy((char *)((fake_buffer *)buffer)->data + offset, host, bytes);
    return FTL_OK;
}

static ftl_status fake_download(ftl_queue *queue, ftl_buffer *buffer, size_t offset, void *host,
                                size_t bytes, ftl_event **done)
{
    if (done) *done = NULL;
    drain((fake_queue *)queue);
    FTL_TRY(count_call((fake_device *)queue->device, DOWNLOAD));
    memcpy(host, (const char *)((fake_buffer *)buffer)->data + offset, bytes);
    return FTL_OK;
}

static ftl_status fake_queue_create(ftl_queue **out, ftl_device *device, uint32_t n_threads)
{
    (void)n_threads;
    fake_queue *q = ftl_calloc(1, sizeof *q);
    *out = NULL;
    if (!q) return ftl_fail(FTL_ENOMEM, "no memory for a queue");
    q->base.device = device;
    *out = &q->base;
    return FTL_OK;
}

static void fake_queue_destroy(ftl_queue *queue)
{
    drain((fake_queue *)queue);
    ftl_free(queue);
}

/* ---- programs ------------------------------------------------------------------------------ */

static ftl_status fake_supports(ftl_device *device, const ftl_graph *graph, int32_t node)
{
    const fake_device *d = (const fake_device *)device;
    const ftl_op op = ftl_graph_get_view(graph)->nodes[node].op;
    if (ftl_eval_knows(op) && (!d->has_only || d->allowed[op])) return FTL_OK;
    return ftl_fail(FTL_EUNSUPPORTED, "the fake device has no %s", ftl_op_get_info(op)->name);
}

static void fake_program_destroy(ftl_program *program)
{
    fake_program *p = (fake_program *)program;
    ftl_graph_destroy(p->slice);
    ftl_free(p);
}

static ftl_status fake_compile(ftl_program **out, ftl_device *device, const ftl_graph *slice,
                               const ftl_compile_options *options)
{
    (void)options;
    *out = NULL;
    const ftl_graph_view *v = ftl_graph_get_view(slice);
    FTL_TRY(count_call((fake_device *)device, COMPILE));
    for (int32_t n = 0; n < v->n_nodes; n++) FTL_TRY(fake_supports(device, slice, n));
    fake_program *p = ftl_calloc(1, sizeof *p);
    if (!p) return ftl_fail(FTL_ENOMEM, "no memory for a program");
    p->base.device = device;
    const ftl_status s = ftl_pass_dead(&p->slice, slice, false);
    if (s != FTL_OK) {
        fake_program_destroy(&p->base);
        return s;
    }
    *out = &p->base;
    return FTL_OK;
}

static ftl_status fake_program_info(const ftl_program *program, ftl_program_info *out)
{
    const fake_program *p = (const fake_program *)program;
    ftl_op_cost cost;
    ftl_graph_cost(p->slice, NULL, &cost);
    out->workspace_bytes = 0;
    out->flops = cost.flops;
    out->bytes = cost.bytes_read + cost.bytes_written;
    out->seconds = -1;
    return FTL_OK;
}

const ftl_backend ftl_backend_fake = {
    .abi = FTL_BACKEND_ABI,
    .struct_size = sizeof(ftl_backend),
    .name = "fake",
    .count = fake_count,
    .open = fake_open,
    .close = fake_close,
    .info = fake_info,
    .buffer_create = fake_buffer_create,
    .buffer_wrap = fake_buffer_wrap,
    .buffer_destroy = fake_buffer_destroy,
    .upload = fake_upload,
    .download = fake_download,
    .queue_create = fake_queue_create,
    .queue_destroy = fake_queue_destroy,
    .event_wait = fake_event_wait,
    .event_destroy = fake_event_destroy,
    .supports = fake_supports,
    .compile = fake_compile,
    .program_info = fake_program_info,
    .run = fake_run,
    .program_destroy = fake_program_destroy,
};
