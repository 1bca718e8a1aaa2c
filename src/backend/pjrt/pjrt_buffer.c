/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes, buffers and execution.  An output cell is filled by swapping the handle behind it, since
 * a plug-in makes new buffers on every run. */
#include "backend/pjrt/pjrt_api.h"

#include <stdio.h>
#include <string.h>
#include "backend/pjrt/pjrt_internal.h"
#include "base/alloc.h"

/* Longest handle list that is kept on the stack; more go to the heap. */
enum { LOCAL_HANDLES = 512 };

/* Width in bytes, and StableHLO's name of the type. */
static size_t type_bytes(int32_t type, const char **name)
{
    static const struct {
        uint8_t bytes;
        char name[11];
    } rows[] = {
        [FTL_PJRT_BOOL] = { 1, "i1" },           [FTL_PJRT_I8] = { 1, "i8" },
        [FTL_PJRT_I16] = { 2, "i16" },           [FTL_PJRT_I32] = { 4, "i32" },
        [FTL_PJRT_I64] = { 8, "i64" },           [FTL_PJRT_U8] = { 1, "ui8" },
        [FTL_PJRT_U16] = { 2, "ui16" },          [FTL_PJRT_U32] = { 4, "ui32" },
        [FTL_PJRT_U64] = { 8, "ui64" },          [FTL_PJRT_F16] = { 2, "f16" },
        [FTL_PJRT_F32] = { 4, "f32" },           [FTL_PJRT_F64] = { 8, "f64" },
        [FTL_PJRT_BF16] = { 2, "bf16" },         [FTL_PJRT_F8E5M2] = { 1, "f8E5M2" },
        [FTL_PJRT_F8E4M3FN] = { 1, "f8E4M3FN" },
    };
    const bool is_known =
        type > 0 && (size_t)type < sizeof rows / sizeof rows[0] && rows[type].bytes;
    *name = is_known ? rows[type].name : "?";
    return is_known ? rows[type].bytes : 0;
}

const char *ftl_pjrt_shape_text(char *text, size_t text_bytes, const ftl_pjrt_shape *shape)
{
    const char *name;
    type_bytes(shape->type, &name);
    size_t used = (size_t)snprintf(text, text_bytes, "%s[", name);
    for (int32_t i = 0; i < shape->rank && i < FTL_PJRT_RANK_MAX && used < text_bytes; i++)
        used += (size_t)snprintf(text + used, text_bytes - used, i ? "x%lld" : "%lld",
                                 (long long)shape->dims[i]);
    if (used < text_bytes) snprintf(text + used, text_bytes - used, "]");
    return text;
}

ftl_status ftl_pjrt_shape_bytes(size_t *out, const ftl_pjrt_shape *shape)
{
    *out = 0;
    const char *name;
    size_t bytes = type_bytes(shape->type, &name);
    if (!bytes)
        return ftl_fail(FTL_EUNSUPPORTED, "element type %d has no portable form in host memory",
                        shape->type);
    if (shape->rank < 0 || shape->rank > FTL_PJRT_RANK_MAX)
        return ftl_fail(FTL_EINVAL, "a tensor of %d dims is outside 0 to %d", shape->rank,
                        FTL_PJRT_RANK_MAX);
    for (int32_t i = 0; i < shape->rank; i++) {
        if (shape->dims[i] < 0)
            return ftl_fail(FTL_EINVAL, "dim %d is %lld", i, (long long)shape->dims[i]);
        if (!ftl_mul_size(bytes, (size_t)shape->dims[i], &bytes) || bytes > INT64_MAX)
            return ftl_fail(FTL_EINVAL, "dims up to number %d multiply to more than memory holds",
                            i);
    }
    *out = bytes;
    return FTL_OK;
}

static bool is_same_shape(const ftl_pjrt_shape *a, const ftl_pjrt_shape *b)
{
    return a->type == b->type && a->rank == b->rank &&
           !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]);
}

/* A cell without storage. */
static ftl_status make_cell(ftl_pjrt_buffer **out, ftl_pjrt_client *client, size_t device,
                            const ftl_pjrt_shape *shape)
{
    *out = NULL;
    size_t bytes;
    FTL_TRY(ftl_pjrt_shape_bytes(&bytes, shape));
    if (device >= client->n_devices)
        return ftl_fail(FTL_EINVAL, "device %zu does not exist, %s has %zu", device,
                        client->platform, client->n_devices);
    ftl_pjrt_buffer *b = ftl_calloc(1, sizeof *b);
    if (!b) return ftl_fail(FTL_ENOMEM, "no memory for the handle of a buffer");
    ftl_pjrt_client_retain(client);
    b->client = client;
    b->device = device;
    b->bytes = bytes;
    b->shape = *shape;
    *out = b;
    return FTL_OK;
}

void ftl_pjrt_buffer_destroy(ftl_pjrt_buffer *buffer)
{
    if (!buffer) return;
    ftl_pjrt_drop(buffer->client->plugin, FTL_PJRT_BUFFER_DESTROY, buffer->handle);
    ftl_pjrt_client_destroy(buffer->client);
    ftl_free(buffer);
}

/* Hands an event to the caller, or waits for it when the caller wants none. */
static ftl_status deliver(ftl_pjrt_event **done, ftl_pjrt_client *client, void *event)
{
    if (done) return ftl_pjrt_event_wrap(done, client, event);
    return ftl_pjrt_event_finish(client->plugin, event);
}

ftl_status ftl_pjrt_buffer_upload(ftl_pjrt_buffer **out, ftl_pjrt_client *client, size_t device,
                                  const ftl_pjrt_shape *shape, const void *data,
                                  ftl_pjrt_event **done)
{
    *out = NULL;
    if (done) *done = NULL;
    ftl_pjrt_buffer *b;
    FTL_TRY(make_cell(&b, client, device, shape));
    ftl_pjrt_args_upload args = {
        .client = client->handle,
        .data = data,
        .type = shape->type,
        .dims = b->shape.dims,
        .n_dims = (size_t)shape->rank,
        .semantics = done ? FTL_PJRT_HOST_UNTIL_DONE : FTL_PJRT_HOST_DURING_CALL,
        .device = client->devices[device],
    };
    ftl_status s = ftl_pjrt_call(client->plugin, FTL_PJRT_CLIENT_UPLOAD, &args, sizeof args);
    if (s == FTL_OK) {
        b->handle = args.buffer;
        s = deliver(done, client, args.done);
    }
    if (s != FTL_OK) {
        ftl_pjrt_buffer_destroy(b);
        char text[96];
        return ftl_fail_context(s, "copying a %s to the device",
                                ftl_pjrt_shape_text(text, sizeof text, shape));
    }
    *out = b;
    return FTL_OK;
}

ftl_status ftl_pjrt_buffer_download(const ftl_pjrt_buffer *buffer, void *data, size_t bytes,
                                    ftl_pjrt_event **done)
{
    if (done) *done = NULL;
    char text[96];
    const ftl_pjrt_shape *shape = &buffer->shape;
    ftl_pjrt_shape_text(text, sizeof text, shape);
    if (bytes != buffer->bytes)
        return ftl_fail(FTL_EINVAL, "a %s has %zu bytes, the place to copy it to has %zu", text,
                        buffer->bytes, bytes);
    int64_t minor_to_major[FTL_PJRT_RANK_MAX];
    for (int32_t i = 0; i < shape->rank; i++) minor_to_major[i] = shape->rank - 1 - i;
    const ftl_pjrt_layout layout = { .head.struct_size = offsetof(ftl_pjrt_layout, kind) + 4,
                                     .tiled.struct_size = 56,
                                     .minor_to_major = minor_to_major,
                                     .n_minor_to_major = (size_t)shape->rank };
    const ftl_pjrt_plugin *plugin = buffer->client->plugin;
    ftl_pjrt_args_download args = { .buffer = buffer->handle, .layout = &layout };
    FTL_TRY(ftl_pjrt_call(plugin, FTL_PJRT_BUFFER_DOWNLOAD, &args, sizeof args));
    if (args.bytes != bytes)
        return ftl_fail(FTL_EINTERNAL,
                        "%s wants %zu bytes for a %s of %zu: it would write past the end",
                        buffer->client->platform, args.bytes, text, bytes);
    char nothing; /* NULL would ask for the size again */
    args.data = bytes ? data : &nothing;
    args.done = NULL;
    ftl_status s = ftl_pjrt_call(plugin, FTL_PJRT_BUFFER_DOWNLOAD, &args, sizeof args);
    if (s == FTL_OK) s = deliver(done, buffer->client, args.done);
    if (s != FTL_OK) return ftl_fail_context(s, "copying a %s from the device", text);
    return FTL_OK;
}

ftl_status ftl_pjrt_buffer_ready(const ftl_pjrt_buffer *buffer, ftl_pjrt_event **out)
{
    *out = NULL;
    ftl_pjrt_args_get args = { .handle = buffer->handle };
    FTL_TRY(ftl_pjrt_call(buffer->client->plugin, FTL_PJRT_BUFFER_READY, &args, 32));
    return ftl_pjrt_event_wrap(out, buffer->client, args.out.handle);
}

const ftl_pjrt_shape *ftl_pjrt_buffer_peek_shape(const ftl_pjrt_buffer *buffer)
{
    return &buffer->shape;
}

ftl_status ftl_pjrt_buffer_device_bytes(size_t *out, const ftl_pjrt_buffer *buffer)
{
    ftl_pjrt_args_get args = { .handle = buffer->handle };
    *out = 0;
    FTL_TRY(ftl_pjrt_call(buffer->client->plugin, FTL_PJRT_BUFFER_DEVICE_BYTES, &args, 32));
    *out = args.out.size;
    return FTL_OK;
}

ftl_status ftl_pjrt_buffer_delete(ftl_pjrt_buffer *buffer)
{
    ftl_pjrt_args_handle args = { .handle = buffer->handle };
    return ftl_pjrt_call(buffer->client->plugin, FTL_PJRT_BUFFER_DELETE, &args, sizeof args);
}

ftl_status ftl_pjrt_buffer_is_deleted(bool *out, const ftl_pjrt_buffer *buffer)
{
    *out = false;
    ftl_pjrt_args_get args = { .handle = buffer->handle };
    FTL_TRY(ftl_pjrt_call(buffer->client->plugin, FTL_PJRT_BUFFER_IS_DELETED, &args, 25));
    *out = args.out.flag;
    return FTL_OK;
}

/* ---- execution ---- */

static ftl_status check_cell(const ftl_pjrt_program *program, const ftl_pjrt_buffer *cell,
                             const ftl_pjrt_shape *want, const char *what, size_t i)
{
    if (!cell) return ftl_fail(FTL_EINVAL, "%s %zu of the program has no buffer", what, i);
    if (cell->client != program->client || cell->device != program->device)
        return ftl_fail(FTL_EINVAL, "%s %zu lies on another device than the program", what, i);
    if (is_same_shape(&cell->shape, want)) return FTL_OK;
    char given[96], wanted[96];
    return ftl_fail(FTL_EINVAL, "%s %zu of the program is a %s, the buffer is a %s", what, i,
                    ftl_pjrt_shape_text(wanted, sizeof wanted, want),
                    ftl_pjrt_shape_text(given, sizeof given, &cell->shape));
}

/* A plug-in checks the number of arguments and nothing else. */
static ftl_status check_run(const ftl_pjrt_program *program, const ftl_pjrt_run *run)
{
    if (run->n_args != program->n_params || run->n_outputs != program->n_outputs)
        return ftl_fail(FTL_EINVAL,
                        "the program has %zu arguments and %zu outputs, the run %zu and %zu",
                        program->n_params, program->n_outputs, run->n_args, run->n_outputs);
    for (size_t i = 0; i < run->n_args; i++)
        FTL_TRY(check_cell(program, run->args[i], &program->params[i], "argument", i));
    for (size_t i = 0; i < run->n_outputs; i++)
        if (run->outputs[i])
            FTL_TRY(check_cell(program, run->outputs[i], &program->outputs[i], "output", i));
    for (size_t i = 0; i < run->n_keep; i++)
        if (run->keep[i] < 0 || (size_t)run->keep[i] >= run->n_args)
            return ftl_fail(FTL_EINVAL, "argument %lld is to be kept, the program has %zu",
                            (long long)run->keep[i], run->n_args);
    return FTL_OK;
}

static ftl_status launch(const ftl_pjrt_program *program, const ftl_pjrt_run *run, void **handles,
                         void **event)
{
    void **outputs = handles + run->n_args;
    for (size_t i = 0; i < run->n_args; i++) handles[i] = run->args[i]->handle;
    ftl_pjrt_execute_options options = { .head.struct_size = sizeof options,
                                         .keep = run->keep,
                                         .n_keep = run->n_keep };
    void *const *const argument_lists[1] = { handles };
    void **const output_lists[1] = { outputs };
    ftl_pjrt_args_execute args = {
        .loaded = program->loaded,
        .options = &options,
        .arguments = argument_lists,
        .n_devices = 1,
        .n_arguments = run->n_args,
        .outputs = output_lists,
        .done = event,
    };
    return ftl_pjrt_call_sized(program->client->plugin, FTL_PJRT_LOADED_EXECUTE, &args, sizeof args,
                               &options.head, sizeof options);
}

/* Makes the cells that the caller left to us, before the launch, so that nothing can fail after
 * it; is_ours[i] marks them for drop_cells(). */
static ftl_status make_outputs(const ftl_pjrt_program *program, const ftl_pjrt_run *run,
                               bool *is_ours)
{
    for (size_t i = 0; i < run->n_outputs; i++) {
        if (run->outputs[i]) continue;
        FTL_TRY(
            make_cell(&run->outputs[i], program->client, program->device, &program->outputs[i]));
        is_ours[i] = true;
    }
    return FTL_OK;
}

static void drop_outputs(const ftl_pjrt_run *run, const bool *is_ours)
{
    for (size_t i = 0; i < run->n_outputs; i++) {
        if (!is_ours[i]) continue;
        ftl_pjrt_buffer_destroy(run->outputs[i]);
        run->outputs[i] = NULL;
    }
}

static ftl_status run_in(const ftl_pjrt_program *program, const ftl_pjrt_run *run, void **handles,
                         bool *is_ours)
{
    ftl_status s = make_outputs(program, run, is_ours);
    void *event = NULL;
    if (s == FTL_OK) s = launch(program, run, handles, &event);
    if (s != FTL_OK) {
        drop_outputs(run, is_ours);
        return ftl_fail_context(s, "running a program on %s", program->client->platform);
    }
    for (size_t i = 0; i < run->n_outputs; i++) {
        ftl_pjrt_drop(program->client->plugin, FTL_PJRT_BUFFER_DESTROY, run->outputs[i]->handle);
        run->outputs[i]->handle = handles[run->n_args + i];
    }
    s = deliver(run->done, program->client, event);
    if (s == FTL_OK) return FTL_OK;
    drop_outputs(run, is_ours);
    return ftl_fail_context(s, "running a program on %s", program->client->platform);
}

ftl_status ftl_pjrt_execute(const ftl_pjrt_program *program, const ftl_pjrt_run *run)
{
    if (run->done) *run->done = NULL;
    FTL_TRY(check_run(program, run));
    void *local[LOCAL_HANDLES] = { NULL };
    bool local_ours[LOCAL_HANDLES] = { false };
    const size_t n = run->n_args + run->n_outputs;
    if (n <= LOCAL_HANDLES) return run_in(program, run, local, local_ours);

    void **handles = ftl_calloc(n, sizeof *handles);
    bool *is_ours = ftl_calloc(run->n_outputs ? run->n_outputs : 1, sizeof *is_ours);
    const ftl_status s = handles && is_ours
                             ? run_in(program, run, handles, is_ours)
                             : ftl_fail(FTL_ENOMEM, "no memory for a list of %zu buffers", n);
    ftl_free(handles);
    ftl_free(is_ours);
    return s;
}
