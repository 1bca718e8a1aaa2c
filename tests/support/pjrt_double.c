/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in PJRT plug-in for the error paths.  It counts what it hands out, and misbehaves on
 * request.  Its compiler reads no program: each program returns x + x of its first argument, an
 * f32 tensor whose shape is the first "tensor<...>" in the text.  If the text holds
 * "tf.aliasing_output", the argument is donated, unless the run asks to keep it.
 *
 * Environment variables, read at every use:
 *   PJRT_DOUBLE_TABLE    "none", or the number of functions in the table
 *   PJRT_DOUBLE_MAJOR, PJRT_DOUBLE_MINOR   API version
 *   PJRT_DOUBLE_FAIL     "INDEX:CODE": function INDEX of the table answers with error CODE
 *   PJRT_DOUBLE_LATE     "CODE": the work of a run ends with error CODE, seen by its event
 *   PJRT_DOUBLE_NEVER    set: events never become ready
 *   PJRT_DOUBLE_HANG, PJRT_DOUBLE_ABORT, PJRT_DOUBLE_EXIT   "INDEX": that function does so
 *   PJRT_DOUBLE_EQUAL    "BYTES": execute options must have exactly that size
 *   PJRT_DOUBLE_WRONG    "order", "sum", "size", "rank", "types": a lie in that place */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backend/pjrt/pjrt_abi.h"

#define EXPORT __attribute__((visibility("default")))
const ftl_pjrt_table *GetPjrtApi(void);
int pjrt_double_live(void);

enum { N_ENTRIES = 118, F32 = 11 };
typedef struct thing { /* error, event, buffer, program, client */
    int code;
    char text[160];
    int64_t dims[8];
    size_t rank, bytes;
    float *data;
    int is_deleted, is_donating;
} thing;

static int live;

/* The test asks through dlsym(): handles given out and not yet taken back. */
EXPORT int pjrt_double_live(void)
{
    return live;
}

static const char *ask(const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "PJRT_DOUBLE_%s", name);
    const char *value = getenv(full);
    return value ? value : "";
}

static int asks_for(const char *name, int index)
{
    const char *value = ask(name);
    return *value && atoi(value) == index;
}

static thing *make(void)
{
    thing *t = calloc(1, sizeof *t);
    if (!t) abort();
    live++;
    return t;
}

static void unmake(void *handle)
{
    thing *t = handle;
    free(t->data);
    free(t);
    live--;
}

static void *error_of(int code, const char *text)
{
    thing *t = make();
    t->code = code;
    snprintf(t->text, sizeof t->text, "%s", text);
    return t;
}

/* Every function passes here first. */
static void *enter(int index)
{
    char text[160];
    if (asks_for("HANG", index))
        for (;;) pause();
    if (asks_for("EXIT", index)) _exit(3);
    if (asks_for("ABORT", index)) {
        fprintf(stderr, "noise\ncheck failed: told to abort in %d\n", index);
        abort();
    }
    const char *fail = ask("FAIL");
    if (!*fail || atoi(fail) != index) return NULL;
    snprintf(text, sizeof text, "told to fail\n  in function %d\nthird line", index);
    return error_of(atoi(strchr(fail, ':') + 1), text);
}
#define ENTER(index)                                                                               \
    do {                                                                                           \
        void *const entered = enter(index);                                                        \
        if (entered) return entered;                                                               \
    } while (0)

static void *error_destroy(void *args)
{
    unmake(((ftl_pjrt_args_handle *)args)->handle);
    return NULL;
}

static void *error_message(void *args)
{
    ftl_pjrt_args_text *a = args;
    a->text = ((thing *)a->handle)->text;
    a->bytes = strlen(a->text);
    return NULL;
}

static void *error_code(void *args)
{
    ftl_pjrt_args_get *a = args;
    a->out.i32 = ((thing *)a->handle)->code;
    return NULL;
}

static void *plugin_initialize(void *args)
{
    (void)args;
    ENTER(FTL_PJRT_PLUGIN_INITIALIZE);
    return NULL;
}

static void *plugin_attributes(void *args)
{
    static const int64_t version[3] = { 1, 2, 3 };
    static const struct { /* elements longer than we know, as from a newer plug-in */
        ftl_pjrt_named_value value;
        void *later;
    } values[2] = {
        { { { 64, NULL }, "xla_version", 11, 1, { .integer = 7 }, 1 }, NULL },
        { { { 64, NULL }, "stablehlo_current_version", 25, 2, { .list = version }, 3 }, NULL },
    };
    ENTER(FTL_PJRT_PLUGIN_ATTRIBUTES);
    ftl_pjrt_args_attributes *a = args;
    a->values = &values[0].value;
    a->count = 2;
    return NULL;
}

/* ---- events ---- */

static void *event_destroy(void *args)
{
    unmake(((ftl_pjrt_args_handle *)args)->handle);
    ENTER(FTL_PJRT_EVENT_DESTROY);
    return NULL;
}

static void *event_is_ready(void *args)
{
    ENTER(FTL_PJRT_EVENT_IS_READY);
    ((ftl_pjrt_args_get *)args)->out.flag = !*ask("NEVER");
    return NULL;
}

static void *event_await(void *args)
{
    ENTER(FTL_PJRT_EVENT_AWAIT);
    const thing *t = ((ftl_pjrt_args_handle *)args)->handle;
    return t->code ? error_of(t->code, t->text) : NULL;
}

/* ---- client ---- */

static thing device = { .code = 0 };

static void *client_create(void *args)
{
    ENTER(FTL_PJRT_CLIENT_CREATE);
    ftl_pjrt_args_client_create *a = args;
    for (size_t i = 0; i < a->n_options; i++)
        if (strncmp(a->options[i].name, "known", a->options[i].name_bytes))
            return error_of(FTL_PJRT_INVALID_ARGUMENT, "unknown option");
    a->client = make();
    return NULL;
}

static void *client_destroy(void *args)
{
    unmake(((ftl_pjrt_args_handle *)args)->handle);
    return NULL;
}

static void *text_of(int index, void *args, const char *text)
{
    ENTER(index);
    ftl_pjrt_args_text *a = args;
    a->text = text;
    a->bytes = strlen(text);
    return NULL;
}

static void *client_name(void *args)
{
    return text_of(FTL_PJRT_CLIENT_PLATFORM_NAME, args, "double");
}

static void *client_version(void *args)
{
    return text_of(FTL_PJRT_CLIENT_PLATFORM_VERSION, args, "1");
}

static void *description_kind(void *args)
{
    return text_of(FTL_PJRT_DESCRIPTION_KIND, args, "stand-in");
}

static void *client_devices(void *args)
{
    static void *const devices[1] = { &device };
    ENTER(FTL_PJRT_CLIENT_DEVICES);
    ftl_pjrt_args_array *a = args;
    a->items = devices;
    a->count = 1;
    return NULL;
}

static void *device_description(void *args)
{
    ENTER(FTL_PJRT_DEVICE_DESCRIPTION);
    ((ftl_pjrt_args_get *)args)->out.handle = &device;
    return NULL;
}

static void *description_id(void *args)
{
    ENTER(FTL_PJRT_DESCRIPTION_ID);
    ((ftl_pjrt_args_get *)args)->out.i32 = 0;
    return NULL;
}

static void *description_attributes(void *args)
{
    static const ftl_pjrt_named_value value = {
        { 56, NULL }, "device_memory_bytes_limit", 25, 1, { .integer = 1 << 20 }, 1
    };
    ENTER(FTL_PJRT_DESCRIPTION_ATTRIBUTES);
    ftl_pjrt_args_values *a = args;
    a->values = &value;
    a->count = 1;
    return NULL;
}

static void *device_memory(void *args)
{
    ENTER(FTL_PJRT_DEVICE_MEMORY_STATS);
    ftl_pjrt_args_device_memory *a = args;
    if (a->head.struct_size < 185) return error_of(FTL_PJRT_INVALID_ARGUMENT, "size");
    a->used_bytes = 10;
    a->figure[FTL_PJRT_FIGURE_LIMIT].value = 1 << 20;
    a->figure[FTL_PJRT_FIGURE_LIMIT].is_set = true;
    return NULL;
}

/* ---- programs: the loaded and the plain executable are one counted thing each ---- */

static void *client_compile(void *args)
{
    ENTER(FTL_PJRT_CLIENT_COMPILE);
    ftl_pjrt_args_compile *a = args;
    char *text = calloc(1, a->program->code_bytes + 1);
    if (!text) abort();
    memcpy(text, a->program->code, a->program->code_bytes);
    const char *at = strstr(text, "tensor<");
    if (!at) {
        free(text);
        return error_of(FTL_PJRT_UNKNOWN, "-:1:1: error: no tensor in sight");
    }
    thing *t = make();
    for (at += 7; *at && *at != 'f' && t->rank < 8; at += *at == 'x')
        t->dims[t->rank++] = strtol(at, (char **)&at, 10);
    t->is_donating = strstr(text, "tf.aliasing_output") != NULL;
    free(text);
    a->loaded = t;
    return NULL;
}

static void *loaded_executable(void *args)
{
    ENTER(FTL_PJRT_LOADED_EXECUTABLE);
    ftl_pjrt_args_get *a = args;
    thing *t = make();
    *t = *(thing *)a->handle;
    a->out.handle = t;
    return NULL;
}

static void *executable_n_outputs(void *args)
{
    ENTER(FTL_PJRT_EXECUTABLE_N_OUTPUTS);
    ((ftl_pjrt_args_get *)args)->out.size = 1;
    return NULL;
}

static void *executable_types(void *args)
{
    static const int32_t types[2] = { F32, F32 };
    ENTER(FTL_PJRT_EXECUTABLE_OUTPUT_TYPES);
    ftl_pjrt_args_array *a = args;
    a->items = types;
    a->count = strcmp(ask("WRONG"), "types") ? 1 : 2;
    return NULL;
}

static void *executable_dims(void *args)
{
    static size_t rank;
    ENTER(FTL_PJRT_EXECUTABLE_OUTPUT_DIMS);
    ftl_pjrt_args_output_dims *a = args;
    const thing *t = a->executable;
    rank = strcmp(ask("WRONG"), "rank") ? t->rank : 99;
    a->n_outputs = 1;
    a->dims = t->dims;
    a->n_dims = &rank;
    return NULL;
}

static void *executable_memory(void *args)
{
    ENTER(FTL_PJRT_EXECUTABLE_MEMORY);
    ftl_pjrt_args_program_memory *a = args;
    if (a->head.struct_size != 112) { /* an old plug-in that wants equality */
        char text[96];
        snprintf(text, sizeof text, "Unexpected stats size: expected 112, got %zu",
                 a->head.struct_size);
        return error_of(FTL_PJRT_INVALID_ARGUMENT, text);
    }
    a->arguments = a->outputs = 24;
    a->temporary = a->alias = a->code = 0;
    return NULL;
}

static void *executable_costs(void *args)
{
    static const ftl_pjrt_named_value values[2] = {
        { { 56, NULL }, "flops", 5, 3, { .real = 6 }, 1 },
        { { 56, NULL }, "optimal_seconds", 15, 3, { .real = -1.75f }, 1 },
    };
    ENTER(FTL_PJRT_EXECUTABLE_COSTS);
    ftl_pjrt_args_values *a = args;
    a->values = values;
    a->count = 2;
    return NULL;
}

static void *handle_destroy(void *args)
{
    unmake(((ftl_pjrt_args_handle *)args)->handle);
    return NULL;
}

static void *executable_serialize(void *args)
{
    ENTER(FTL_PJRT_EXECUTABLE_SERIALIZE);
    ftl_pjrt_args_serialize *a = args;
    thing *t = make();
    t->bytes = sizeof(thing);
    a->data = (const char *)a->executable;
    a->bytes = sizeof(thing);
    a->owner = t;
    a->release = unmake;
    return NULL;
}

static void *executable_load(void *args)
{
    ENTER(FTL_PJRT_EXECUTABLE_LOAD);
    ftl_pjrt_args_load *a = args;
    if (a->bytes != sizeof(thing)) return error_of(FTL_PJRT_INTERNAL, "cannot parse");
    thing *t = make();
    memcpy(t, a->data, sizeof *t);
    a->loaded = t;
    return NULL;
}

/* ---- buffers ---- */

static thing *make_buffer(const int64_t *dims, size_t rank, const float *data)
{
    thing *t = make();
    t->bytes = sizeof(float);
    for (size_t i = 0; i < rank; i++) t->bytes *= (size_t)(t->dims[i] = dims[i]);
    t->rank = rank;
    t->data = calloc(1, t->bytes + 1);
    if (!t->data) abort();
    memcpy(t->data, data, t->bytes);
    return t;
}

static void *client_upload(void *args)
{
    ENTER(FTL_PJRT_CLIENT_UPLOAD);
    ftl_pjrt_args_upload *a = args;
    a->buffer = make_buffer(a->dims, a->n_dims, a->data);
    a->done = make();
    return NULL;
}

static void *buffer_download(void *args)
{
    ENTER(FTL_PJRT_BUFFER_DOWNLOAD);
    ftl_pjrt_args_download *a = args;
    const thing *t = a->buffer;
    if (t->is_deleted)
        return error_of(FTL_PJRT_INVALID_ARGUMENT, "buffer has been deleted or donated.");
    if (!a->data) {
        a->bytes = t->bytes + (strcmp(ask("WRONG"), "size") ? 0 : 8);
        return NULL;
    }
    float *out = a->data;
    const size_t n = t->bytes / sizeof(float);
    for (size_t i = 0; i < n; i++) out[strcmp(ask("WRONG"), "order") ? i : n - 1 - i] = t->data[i];
    a->done = make();
    return NULL;
}

static void *buffer_device_bytes(void *args)
{
    ENTER(FTL_PJRT_BUFFER_DEVICE_BYTES);
    ftl_pjrt_args_get *a = args;
    a->out.size = ((thing *)a->handle)->bytes;
    return NULL;
}

static void *buffer_delete(void *args)
{
    ENTER(FTL_PJRT_BUFFER_DELETE);
    ((thing *)((ftl_pjrt_args_handle *)args)->handle)->is_deleted = 1;
    return NULL;
}

static void *buffer_is_deleted(void *args)
{
    ENTER(FTL_PJRT_BUFFER_IS_DELETED);
    ftl_pjrt_args_get *a = args;
    a->out.flag = ((thing *)a->handle)->is_deleted;
    return NULL;
}

static void *buffer_ready(void *args)
{
    ENTER(FTL_PJRT_BUFFER_READY);
    ((ftl_pjrt_args_get *)args)->out.handle = make();
    return NULL;
}

static void *loaded_execute(void *args)
{
    ENTER(FTL_PJRT_LOADED_EXECUTE);
    ftl_pjrt_args_execute *a = args;
    const int equal = atoi(ask("EQUAL"));
    if (equal && a->options->head.struct_size != (size_t)equal) {
        char text[96];
        snprintf(text, sizeof text, "Unexpected PJRT_ExecuteOptions size: expected %d, got %zu",
                 equal, a->options->head.struct_size);
        return error_of(FTL_PJRT_INVALID_ARGUMENT, text);
    }
    thing *x = a->arguments[0][0];
    const thing *program = a->loaded;
    if (x->is_deleted)
        return error_of(FTL_PJRT_INVALID_ARGUMENT,
                        "Invalid buffer passed: buffer has been deleted or donated.");
    thing *y = make_buffer(x->dims, x->rank, x->data);
    for (size_t i = 0; i < y->bytes / sizeof(float); i++)
        y->data[i] *= strcmp(ask("WRONG"), "sum") ? 2 : 3;
    const int is_kept = a->options->n_keep && a->options->keep[0] == 0;
    if (program->is_donating && !is_kept) x->is_deleted = 1;
    a->outputs[0][0] = y;
    thing *event = make();
    event->code = atoi(ask("LATE"));
    if (event->code) snprintf(event->text, sizeof event->text, "the chip went away");
    if (a->done) a->done[0] = event;
    else unmake(event);
    return NULL;
}

static struct {
    ftl_pjrt_head head;
    ftl_pjrt_head version_head;
    int32_t major, minor;
    ftl_pjrt_entry entry[N_ENTRIES];
} table = { .entry = {
                [FTL_PJRT_ERROR_DESTROY] = error_destroy,
                [FTL_PJRT_ERROR_MESSAGE] = error_message,
                [FTL_PJRT_ERROR_CODE] = error_code,
                [FTL_PJRT_PLUGIN_INITIALIZE] = plugin_initialize,
                [FTL_PJRT_PLUGIN_ATTRIBUTES] = plugin_attributes,
                [FTL_PJRT_EVENT_DESTROY] = event_destroy,
                [FTL_PJRT_EVENT_IS_READY] = event_is_ready,
                [FTL_PJRT_EVENT_AWAIT] = event_await,
                [FTL_PJRT_CLIENT_CREATE] = client_create,
                [FTL_PJRT_CLIENT_DESTROY] = client_destroy,
                [FTL_PJRT_CLIENT_PLATFORM_NAME] = client_name,
                [FTL_PJRT_CLIENT_PLATFORM_VERSION] = client_version,
                [FTL_PJRT_CLIENT_DEVICES] = client_devices,
                [FTL_PJRT_CLIENT_COMPILE] = client_compile,
                [FTL_PJRT_CLIENT_UPLOAD] = client_upload,
                [FTL_PJRT_DESCRIPTION_ID] = description_id,
                [FTL_PJRT_DESCRIPTION_ATTRIBUTES] = description_attributes,
                [FTL_PJRT_DESCRIPTION_KIND] = description_kind,
                [FTL_PJRT_DEVICE_DESCRIPTION] = device_description,
                [FTL_PJRT_DEVICE_MEMORY_STATS] = device_memory,
                [FTL_PJRT_EXECUTABLE_DESTROY] = handle_destroy,
                [FTL_PJRT_EXECUTABLE_N_OUTPUTS] = executable_n_outputs,
                [FTL_PJRT_EXECUTABLE_COSTS] = executable_costs,
                [FTL_PJRT_EXECUTABLE_SERIALIZE] = executable_serialize,
                [FTL_PJRT_LOADED_DESTROY] = handle_destroy,
                [FTL_PJRT_LOADED_EXECUTABLE] = loaded_executable,
                [FTL_PJRT_LOADED_EXECUTE] = loaded_execute,
                [FTL_PJRT_EXECUTABLE_LOAD] = executable_load,
                [FTL_PJRT_BUFFER_DESTROY] = handle_destroy,
                [FTL_PJRT_BUFFER_DEVICE_BYTES] = buffer_device_bytes,
                [FTL_PJRT_BUFFER_DELETE] = buffer_delete,
                [FTL_PJRT_BUFFER_IS_DELETED] = buffer_is_deleted,
                [FTL_PJRT_BUFFER_DOWNLOAD] = buffer_download,
                [FTL_PJRT_BUFFER_READY] = buffer_ready,
                [FTL_PJRT_EXECUTABLE_OUTPUT_TYPES] = executable_types,
                [FTL_PJRT_EXECUTABLE_OUTPUT_DIMS] = executable_dims,
                [FTL_PJRT_EXECUTABLE_MEMORY] = executable_memory,
            } };

EXPORT const ftl_pjrt_table *GetPjrtApi(void)
{
    const char *size = ask("TABLE"), *minor = ask("MINOR");
    if (!strcmp(size, "none")) return NULL;
    const size_t n = *size ? (size_t)atoi(size) : N_ENTRIES;
    table.head.struct_size = FTL_PJRT_TABLE_HEAD_BYTES + n * sizeof(ftl_pjrt_entry);
    table.version_head.struct_size = 24;
    table.major = atoi(ask("MAJOR"));
    table.minor = *minor ? atoi(minor) : 81;
    return (const ftl_pjrt_table *)(const void *)&table;
}
