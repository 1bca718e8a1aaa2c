/* SPDX-License-Identifier: Apache-2.0 */
/* Loading a plug-in, calling it, and turning its errors into statuses. */
#include "backend/pjrt/pjrt_api.h"

#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backend/pjrt/pjrt_internal.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"

/* What a 64-bit plug-in of API 0.81 checks argument sizes against. */
_Static_assert(sizeof(ftl_pjrt_named_value) == 56, "named value");
_Static_assert(sizeof(ftl_pjrt_args_client_create) == 88, "client create");
_Static_assert(sizeof(ftl_pjrt_program_text) == 48, "program");
_Static_assert(sizeof(ftl_pjrt_args_compile) == 56, "compile");
_Static_assert(sizeof(ftl_pjrt_args_upload) == 120, "upload");
_Static_assert(sizeof(ftl_pjrt_args_download) == 56, "download");
_Static_assert(sizeof(ftl_pjrt_args_execute) == 80, "execute");
_Static_assert(sizeof(ftl_pjrt_execute_options) == 144, "execute options");
_Static_assert(offsetof(ftl_pjrt_table, entry) == FTL_PJRT_TABLE_HEAD_BYTES, "table");

enum { MESSAGE_BYTES = 640, ERROR_LINES = 2 };

static const char *function_name(ftl_pjrt_function function)
{
    switch (function) {
#define X(name, index, text)                                                                       \
    case FTL_PJRT_##name:                                                                          \
        return text;
#include "backend/pjrt/pjrt_functions.def"
#undef X
    }
    return "?";
}

bool ftl_pjrt_has(const ftl_pjrt_plugin *plugin, ftl_pjrt_function function)
{
    return (size_t)function < plugin->info.n_entries && plugin->table->entry[function];
}

static ftl_status status_of_code(int code)
{
    switch (code) {
    case FTL_PJRT_CANCELLED: return FTL_ECANCELED;
    case FTL_PJRT_INVALID_ARGUMENT:
    case FTL_PJRT_OUT_OF_RANGE: return FTL_EINVAL;
    case FTL_PJRT_DEADLINE_EXCEEDED: return FTL_ETIMEOUT;
    case FTL_PJRT_NOT_FOUND: return FTL_ENOTFOUND;
    case FTL_PJRT_PERMISSION_DENIED: return FTL_EIO;
    case FTL_PJRT_RESOURCE_EXHAUSTED: return FTL_ENOMEM;
    case FTL_PJRT_FAILED_PRECONDITION:
    case FTL_PJRT_UNIMPLEMENTED: return FTL_EUNSUPPORTED;
    case FTL_PJRT_ABORTED:
    case FTL_PJRT_UNAVAILABLE:
    case FTL_PJRT_DATA_LOSS: return FTL_ELOST;
    default: return FTL_EINTERNAL;
    }
}

/* The first lines of a message that may run over pages, joined by "; ", without control bytes. */
static void shorten(char *out, size_t out_bytes, const char *text, size_t n)
{
    size_t used = 0, lines = 0;
    bool is_gap = false;
    for (size_t i = 0; i < n && text[i] && used + 4 < out_bytes; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c == '\n') {
            if (used && !is_gap && ++lines == ERROR_LINES) break;
            is_gap = true;
            continue;
        }
        if (is_gap && c == ' ') continue;
        if (is_gap && used) {
            out[used++] = ';';
            out[used++] = ' ';
        }
        is_gap = false;
        out[used++] = (char)(c < 32 || c == 127 ? ' ' : c);
    }
    out[used] = 0;
}

/* Reads code and text of an error and destroys it. */
static int take_error(const ftl_pjrt_plugin *plugin, void *error, char *text, size_t text_bytes)
{
    const ftl_pjrt_entry *entry = plugin->table->entry;
    ftl_pjrt_args_text message = { .head.struct_size = 40, .handle = error };
    ((ftl_pjrt_void_entry)(void (*)(void))entry[FTL_PJRT_ERROR_MESSAGE])(&message);
    shorten(text, text_bytes, message.text ? message.text : "", message.text ? message.bytes : 0);
    if (!text[0]) snprintf(text, text_bytes, "the plug-in gives no reason");

    ftl_pjrt_args_get code = { .head.struct_size = 28, .handle = error };
    void *second = entry[FTL_PJRT_ERROR_CODE](&code);
    ftl_pjrt_args_handle destroy = { .head.struct_size = 24, .handle = error };
    const ftl_pjrt_void_entry destroy_entry =
        (ftl_pjrt_void_entry)(void (*)(void))entry[FTL_PJRT_ERROR_DESTROY];
    destroy_entry(&destroy);
    if (second) {
        destroy.handle = second;
        destroy_entry(&destroy);
        return FTL_PJRT_UNKNOWN;
    }
    return code.out.i32;
}

static ftl_status fail_with(const ftl_pjrt_plugin *plugin, ftl_pjrt_function function, int code,
                            const char *text)
{
    const char *base = strrchr(plugin->path, '/');
    return ftl_fail(status_of_code(code), "%s: PJRT_%s: %s (code %d)",
                    base ? base + 1 : plugin->path, function_name(function), text, code);
}

static ftl_status check_function(const ftl_pjrt_plugin *plugin, ftl_pjrt_function function)
{
    if (ftl_pjrt_has(plugin, function)) return FTL_OK;
    return ftl_fail(
        FTL_EUNSUPPORTED,
        "%s: the plug-in (API %d.%d, %zu functions) has no PJRT_%s; install a newer one",
        plugin->path, plugin->info.api_major, plugin->info.api_minor, plugin->info.n_entries,
        function_name(function));
}

ftl_status ftl_pjrt_call(const ftl_pjrt_plugin *plugin, ftl_pjrt_function function, void *args,
                         size_t args_bytes)
{
    return ftl_pjrt_call_sized(plugin, function, args, args_bytes, NULL, 0);
}

ftl_status ftl_pjrt_call_sized(const ftl_pjrt_plugin *plugin, ftl_pjrt_function function,
                               void *args, size_t args_bytes, ftl_pjrt_head *sized, size_t capacity)
{
    FTL_TRY(check_function(plugin, function));
    ((ftl_pjrt_head *)args)->struct_size = args_bytes;
    void *error = plugin->table->entry[function](args);
    if (!error) return FTL_OK;
    char text[MESSAGE_BYTES];
    int code = take_error(plugin, error, text, sizeof text);
    const char *wanted = sized ? strstr(text, "size: expected ") : NULL;
    const size_t bytes = wanted ? strtoull(wanted + 15, NULL, 10) : 0;
    if (code == FTL_PJRT_INVALID_ARGUMENT && bytes > sizeof *sized && bytes <= capacity &&
        bytes != sized->struct_size) {
        sized->struct_size = bytes;
        error = plugin->table->entry[function](args);
        if (!error) return FTL_OK;
        code = take_error(plugin, error, text, sizeof text);
    }
    return fail_with(plugin, function, code, text);
}

void ftl_pjrt_drop(const ftl_pjrt_plugin *plugin, ftl_pjrt_function function, void *handle)
{
    if (!handle || !ftl_pjrt_has(plugin, function)) return;
    ftl_pjrt_args_handle args = { .head.struct_size = sizeof args, .handle = handle };
    void *error = plugin->table->entry[function](&args);
    char text[MESSAGE_BYTES];
    if (error) take_error(plugin, error, text, sizeof text);
}

const ftl_pjrt_named_value *ftl_pjrt_find_value(const ftl_pjrt_named_value *values, size_t count,
                                                const char *name)
{
    const char *at = (const char *)values;
    for (size_t i = 0; values && i < count; i++) {
        const ftl_pjrt_named_value *v = (const ftl_pjrt_named_value *)(const void *)at;
        /* an element smaller than we know leaves no way to step on */
        if (v->head.struct_size < sizeof *v || v->head.struct_size % sizeof(void *)) return NULL;
        if (v->name && v->name_bytes == strlen(name) && !memcmp(v->name, name, v->name_bytes))
            return v;
        at += v->head.struct_size;
    }
    return NULL;
}

/* ---- loading ---- */

/* Plug-ins cannot be unloaded (their threads and exit handlers stay), so the process keeps a list
 * of them; this lock guards it and makes the first load of a file happen once. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static ftl_pjrt_plugin *list;

/* libtpu asks the cloud's metadata server which chips there are, once a second and for ever, unless
 * told not to: harmful on a machine without TPU, where there is no such server. */
static void prepare_environment(const char *path)
{
    const char *base = strrchr(path, '/');
    if (!strstr(base ? base : path, "tpu") || getenv("TPU_SKIP_MDS_QUERY")) return;
    glob_t found = { 0 };
    const bool has_chip = glob("/dev/accel[0-9]*", 0, NULL, &found) == 0 ||
                          glob("/dev/vfio/[0-9]*", GLOB_APPEND, NULL, &found) == 0;
    globfree(&found);
    if (!has_chip) setenv("TPU_SKIP_MDS_QUERY", "1", 0);
}

static ftl_status load_library(ftl_pjrt_plugin *p)
{
    prepare_environment(p->path);
    void *library = dlopen(p->path, RTLD_LAZY | RTLD_LOCAL);
    if (!library) {
        const char *why = dlerror();
        return ftl_fail(FTL_EUNSUPPORTED, "cannot load the PJRT plug-in: %s", why ? why : p->path);
    }
    const ftl_pjrt_table *(*get_table)(void) = NULL;
    *(void **)&get_table = dlsym(library, "GetPjrtApi");
    if (!get_table)
        return ftl_fail(FTL_EUNSUPPORTED,
                        "%s is no PJRT plug-in: it exports no GetPjrtApi; give the plug-in's own "
                        "library, such as libtpu.so or xla_cuda_plugin.so",
                        p->path);
    p->table = get_table();
    if (!p->table)
        return ftl_fail(FTL_EUNSUPPORTED, "%s: GetPjrtApi gave no function table", p->path);
    return FTL_OK;
}

static ftl_status check_table(ftl_pjrt_plugin *p)
{
    static const ftl_pjrt_function needed[] = {
        FTL_PJRT_ERROR_DESTROY,     FTL_PJRT_ERROR_MESSAGE,  FTL_PJRT_ERROR_CODE,
        FTL_PJRT_EVENT_DESTROY,     FTL_PJRT_EVENT_AWAIT,    FTL_PJRT_CLIENT_CREATE,
        FTL_PJRT_CLIENT_DESTROY,    FTL_PJRT_CLIENT_DEVICES, FTL_PJRT_CLIENT_COMPILE,
        FTL_PJRT_CLIENT_UPLOAD,     FTL_PJRT_BUFFER_DESTROY, FTL_PJRT_BUFFER_DOWNLOAD,
        FTL_PJRT_LOADED_EXECUTE,    FTL_PJRT_LOADED_DESTROY, FTL_PJRT_LOADED_EXECUTABLE,
        FTL_PJRT_PLUGIN_INITIALIZE,
    };
    const size_t bytes = p->table->head.struct_size;
    if (bytes < FTL_PJRT_TABLE_HEAD_BYTES)
        return ftl_fail(FTL_EUNSUPPORTED,
                        "%s: the PJRT function table has %zu bytes, not even its "
                        "40 bytes of header; the file is damaged or not a PJRT plug-in",
                        p->path, bytes);
    p->info.api_major = p->table->version.major;
    p->info.api_minor = p->table->version.minor;
    p->info.n_entries = (bytes - FTL_PJRT_TABLE_HEAD_BYTES) / sizeof(ftl_pjrt_entry);
    if (p->info.api_major != FTL_PJRT_MAJOR || p->info.api_minor < FTL_PJRT_MINOR_MIN)
        return ftl_fail(FTL_EUNSUPPORTED,
                        "%s speaks PJRT API %d.%d, fettle speaks %d.%d and later %d.x: install a "
                        "%s plug-in",
                        p->path, p->info.api_major, p->info.api_minor, FTL_PJRT_MAJOR,
                        FTL_PJRT_MINOR_MIN, FTL_PJRT_MAJOR,
                        p->info.api_major > FTL_PJRT_MAJOR ? "matching" : "newer");
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        FTL_TRY(check_function(p, needed[i]));
    return FTL_OK;
}

static void read_version(int64_t out[3], const ftl_pjrt_args_attributes *a, const char *name)
{
    const ftl_pjrt_named_value *v = ftl_pjrt_find_value(a->values, a->count, name);
    if (!v || v->kind != FTL_PJRT_VALUE_LIST || v->count != 3 || !v->value.list) return;
    memcpy(out, v->value.list, 3 * sizeof *out);
}

/* Attributes are information only: some plug-ins have none, so a failure changes nothing. */
static void read_attributes(ftl_pjrt_plugin *p)
{
    ftl_pjrt_args_attributes a = { 0 };
    if (!ftl_pjrt_has(p, FTL_PJRT_PLUGIN_ATTRIBUTES)) return;
    if (ftl_pjrt_call(p, FTL_PJRT_PLUGIN_ATTRIBUTES, &a, sizeof a) != FTL_OK) return;
    read_version(p->info.stablehlo_current, &a, "stablehlo_current_version");
    read_version(p->info.stablehlo_minimum, &a, "stablehlo_minimum_version");
    const ftl_pjrt_named_value *v = ftl_pjrt_find_value(a.values, a.count, "xla_version");
    if (v && v->kind == FTL_PJRT_VALUE_INTEGER) p->info.xla_version = v->value.integer;
}

static ftl_status open_new(ftl_pjrt_plugin **out, const char *path)
{
    ftl_pjrt_plugin *p = ftl_calloc(1, sizeof *p);
    if (!p || !(p->path = ftl_strdup(path))) {
        ftl_free(p);
        return ftl_fail(FTL_ENOMEM, "no memory to open the plug-in %s", path);
    }
    p->info.path = p->path;
    struct stat st;
    if (stat(path, &st) == 0) {
        const int64_t id[3] = { st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec };
        p->file_id = ftl_hash64(id, sizeof id, 0);
    }
    ftl_status s = load_library(p);
    if (s == FTL_OK) s = check_table(p);
    ftl_pjrt_head initialize = { 0 };
    if (s == FTL_OK)
        s = ftl_pjrt_call(p, FTL_PJRT_PLUGIN_INITIALIZE, &initialize, sizeof initialize);
    if (s != FTL_OK) { /* the library stays mapped: unloading a plug-in crashes later */
        ftl_free(p->path);
        ftl_free(p);
        return s;
    }
    read_attributes(p);
    p->next = list;
    list = p;
    *out = p;
    return FTL_OK;
}

ftl_status ftl_pjrt_plugin_open(ftl_pjrt_plugin **out, const char *path)
{
    *out = NULL;
    if (!path || !*path) return ftl_fail(FTL_EINVAL, "the path of the PJRT plug-in is empty");
    char resolved[PATH_MAX];
    if (!realpath(path, resolved))
        return ftl_fail(FTL_ENOTFOUND, "no PJRT plug-in at %s: %s", path, strerror(errno));
    pthread_mutex_lock(&list_lock);
    for (ftl_pjrt_plugin *p = list; p && !*out; p = p->next)
        if (!strcmp(p->path, resolved)) *out = p;
    const ftl_status s = *out ? FTL_OK : open_new(out, resolved);
    pthread_mutex_unlock(&list_lock);
    return s;
}

const ftl_pjrt_plugin_info *ftl_pjrt_plugin_peek_info(const ftl_pjrt_plugin *plugin)
{
    return &plugin->info;
}

/* ---- events ---- */

enum { SPINS = 200, NAP_NS_MIN = 10000, NAP_NS_MAX = 1000000 };

ftl_status ftl_pjrt_event_wrap(ftl_pjrt_event **out, ftl_pjrt_client *client, void *handle)
{
    *out = NULL;
    ftl_pjrt_event *e = ftl_calloc(1, sizeof *e);
    if (!e) {
        /* the caller's memory may be in use until it fires */
        const ftl_status s = ftl_pjrt_event_finish(client->plugin, handle);
        return s != FTL_OK ? s : ftl_fail(FTL_ENOMEM, "no memory for an event");
    }
    ftl_pjrt_client_retain(client);
    e->client = client;
    e->handle = handle;
    *out = e;
    return FTL_OK;
}

ftl_status ftl_pjrt_event_finish(const ftl_pjrt_plugin *plugin, void *handle)
{
    if (!handle) return FTL_OK;
    ftl_pjrt_args_handle await = { .handle = handle };
    const ftl_status s = ftl_pjrt_call(plugin, FTL_PJRT_EVENT_AWAIT, &await, sizeof await);
    ftl_pjrt_drop(plugin, FTL_PJRT_EVENT_DESTROY, handle);
    return s;
}

ftl_status ftl_pjrt_event_is_ready(bool *out, ftl_pjrt_event *event)
{
    *out = true;
    if (!event->handle) return FTL_OK;
    ftl_pjrt_args_get args = { .handle = event->handle };
    FTL_TRY(ftl_pjrt_call(event->client->plugin, FTL_PJRT_EVENT_IS_READY, &args, 25));
    *out = args.out.flag;
    return FTL_OK;
}

/* PJRT has no wait with a limit: look often at first, then ever less. */
static ftl_status poll_until(ftl_pjrt_event *event, int64_t timeout_ns)
{
    const int64_t start_ns = ftl_clock_ns();
    int64_t nap_ns = NAP_NS_MIN;
    for (int i = 0;; i++) {
        bool is_ready;
        FTL_TRY(ftl_pjrt_event_is_ready(&is_ready, event));
        if (is_ready) return FTL_OK;
        const int64_t left_ns = timeout_ns - (ftl_clock_ns() - start_ns);
        if (left_ns <= 0)
            return ftl_fail(FTL_ETIMEOUT, "%s has not finished its work after %.3f s",
                            event->client->platform, (double)timeout_ns * 1e-9);
        if (i < SPINS) continue;
        const int64_t ns = nap_ns < left_ns ? nap_ns : left_ns;
        ftl_clock_sleep(ns);
        if (nap_ns < NAP_NS_MAX) nap_ns *= 2;
    }
}

ftl_status ftl_pjrt_event_wait(ftl_pjrt_event *event, int64_t timeout_ns)
{
    if (!event || !event->handle) return FTL_OK;
    if (timeout_ns >= 0) FTL_TRY(poll_until(event, timeout_ns));
    ftl_pjrt_args_handle await = { .handle = event->handle };
    return ftl_pjrt_call(event->client->plugin, FTL_PJRT_EVENT_AWAIT, &await, sizeof await);
}

void ftl_pjrt_event_destroy(ftl_pjrt_event *event)
{
    if (!event) return;
    ftl_pjrt_drop(event->client->plugin, FTL_PJRT_EVENT_DESTROY, event->handle);
    ftl_pjrt_client_destroy(event->client);
    ftl_free(event);
}
