/* SPDX-License-Identifier: Apache-2.0 */
/* A client of a plug-in and the devices that it sees. */
#include "backend/pjrt/pjrt_api.h"

#include <stdio.h>
#include <string.h>
#include "backend/pjrt/pjrt_internal.h"
#include "base/alloc.h"

enum { DEVICES_MAX = 4096 };

void ftl_pjrt_client_retain(ftl_pjrt_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->n_owners++;
    pthread_mutex_unlock(&client->lock);
}

void ftl_pjrt_client_destroy(ftl_pjrt_client *client)
{
    if (!client) return;
    pthread_mutex_lock(&client->lock);
    const size_t left = --client->n_owners;
    pthread_mutex_unlock(&client->lock);
    if (left) return;
    ftl_pjrt_drop(client->plugin, FTL_PJRT_CLIENT_DESTROY, client->handle);
    pthread_mutex_destroy(&client->lock);
    ftl_free(client->platform);
    ftl_free(client->version);
    ftl_free(client->device_infos);
    ftl_free(client);
}

static ftl_status read_text(char **out, const ftl_pjrt_plugin *plugin, ftl_pjrt_function function,
                            void *handle)
{
    ftl_pjrt_args_text args = { .handle = handle };
    FTL_TRY(ftl_pjrt_call(plugin, function, &args, sizeof args));
    *out = ftl_strprintf("%.*s", (int)(args.bytes < 4096 ? args.bytes : 4096),
                         args.text ? args.text : "");
    return *out ? FTL_OK : ftl_fail(FTL_ENOMEM, "no memory for a name of the device");
}

/* Names and limits help people and planner; a device without them still computes. */
static ftl_status read_device(ftl_pjrt_device_info *out, const ftl_pjrt_plugin *plugin,
                              void *device)
{
    ftl_pjrt_args_get get = { .handle = device };
    FTL_TRY(ftl_pjrt_call(plugin, FTL_PJRT_DEVICE_DESCRIPTION, &get, 32));
    void *description = get.out.handle;

    get = (ftl_pjrt_args_get){ .handle = description };
    FTL_TRY(ftl_pjrt_call(plugin, FTL_PJRT_DESCRIPTION_ID, &get, 28));
    out->id = get.out.i32;

    ftl_pjrt_args_text kind = { .handle = description };
    if (ftl_pjrt_call(plugin, FTL_PJRT_DESCRIPTION_KIND, &kind, sizeof kind) == FTL_OK && kind.text)
        snprintf(out->kind, sizeof out->kind, "%.*s",
                 (int)(kind.bytes < sizeof out->kind ? kind.bytes : sizeof out->kind), kind.text);

    ftl_pjrt_args_values values = { .handle = description };
    if (ftl_pjrt_call(plugin, FTL_PJRT_DESCRIPTION_ATTRIBUTES, &values, sizeof values) == FTL_OK) {
        const ftl_pjrt_named_value *v =
            ftl_pjrt_find_value(values.values, values.count, "device_memory_bytes_limit");
        if (v && v->kind == FTL_PJRT_VALUE_INTEGER && v->value.integer > 0)
            out->memory_bytes = v->value.integer;
    }
    return FTL_OK;
}

static ftl_status read_devices(ftl_pjrt_client *c)
{
    ftl_pjrt_args_array args = { .handle = c->handle };
    FTL_TRY(ftl_pjrt_call(c->plugin, FTL_PJRT_CLIENT_DEVICES, &args, sizeof args));
    if (!args.count || !args.items)
        return ftl_fail(FTL_ENOTFOUND, "%s sees no device on this machine", c->plugin->path);
    if (args.count > DEVICES_MAX)
        return ftl_fail(FTL_EINTERNAL, "%s reports %zu devices, more than the %d thought possible",
                        c->plugin->path, args.count, DEVICES_MAX);
    c->devices = (void *const *)args.items;
    c->device_infos = ftl_calloc(args.count, sizeof *c->device_infos);
    if (!c->device_infos)
        return ftl_fail(FTL_ENOMEM, "no memory to describe %zu devices", args.count);
    c->n_devices = args.count;
    for (size_t i = 0; i < args.count; i++)
        FTL_TRY(read_device(&c->device_infos[i], c->plugin, c->devices[i]));
    return FTL_OK;
}

/* Plug-ins are known that ignore the layout asked for; matrices would come back transposed. */
static ftl_status check_row_major(ftl_pjrt_client *c)
{
    static const float want[6] = { 1, 2, 3, 4, 5, 6 };
    const ftl_pjrt_shape shape = { FTL_PJRT_F32, 2, { 2, 3 } };
    float got[6] = { 0 };
    ftl_pjrt_buffer *buffer;
    FTL_TRY(ftl_pjrt_buffer_upload(&buffer, c, 0, &shape, want, NULL));
    const ftl_status s = ftl_pjrt_buffer_download(buffer, got, sizeof got, NULL);
    ftl_pjrt_buffer_destroy(buffer);
    if (s == FTL_OK && memcmp(got, want, sizeof got))
        return ftl_fail(FTL_EINTERNAL,
                        "%s gives a 2x3 matrix back in another order than it was given: this "
                        "plug-in cannot be used",
                        c->plugin->path);
    return s;
}

static void convert_option(ftl_pjrt_named_value *out, const ftl_pjrt_option *in)
{
    *out = (ftl_pjrt_named_value){ .head.struct_size = sizeof *out,
                                   .name = in->name,
                                   .name_bytes = strlen(in->name),
                                   .kind = (int32_t)in->kind,
                                   .count = 1 };
    switch (in->kind) {
    case FTL_PJRT_VALUE_TEXT:
        out->value.text = in->text;
        out->count = strlen(in->text);
        break;
    case FTL_PJRT_VALUE_INTEGER: out->value.integer = in->integer; break;
    case FTL_PJRT_VALUE_LIST:
        out->value.list = in->list;
        out->count = in->n_list;
        break;
    case FTL_PJRT_VALUE_REAL: out->value.real = in->real; break;
    case FTL_PJRT_VALUE_FLAG: out->value.flag = in->flag; break;
    }
}

static ftl_status open_handle(ftl_pjrt_client *c, const ftl_pjrt_option *options, size_t n_options)
{
    ftl_pjrt_named_value *values = NULL;
    if (n_options) {
        values = ftl_calloc(n_options, sizeof *values);
        if (!values) return ftl_fail(FTL_ENOMEM, "no memory for %zu client options", n_options);
        for (size_t i = 0; i < n_options; i++) convert_option(&values[i], &options[i]);
    }
    ftl_pjrt_args_client_create args = { .options = values, .n_options = n_options };
    const ftl_status s = ftl_pjrt_call(c->plugin, FTL_PJRT_CLIENT_CREATE, &args, sizeof args);
    c->handle = args.client;
    ftl_free(values);
    return s;
}

ftl_status ftl_pjrt_client_create(ftl_pjrt_client **out, ftl_pjrt_plugin *plugin,
                                  const ftl_pjrt_option *options, size_t n_options)
{
    *out = NULL;
    ftl_pjrt_client *c = ftl_calloc(1, sizeof *c);
    if (!c) return ftl_fail(FTL_ENOMEM, "no memory for a client of %s", plugin->path);
    c->plugin = plugin;
    c->n_owners = 1;
    pthread_mutex_init(&c->lock, NULL);
    ftl_status s = open_handle(c, options, n_options);
    if (s == FTL_OK) s = read_text(&c->platform, plugin, FTL_PJRT_CLIENT_PLATFORM_NAME, c->handle);
    if (s == FTL_OK)
        s = read_text(&c->version, plugin, FTL_PJRT_CLIENT_PLATFORM_VERSION, c->handle);
    if (s == FTL_OK) s = read_devices(c);
    if (s == FTL_OK) s = check_row_major(c);
    if (s != FTL_OK) {
        ftl_pjrt_client_destroy(c);
        return s;
    }
    *out = c;
    return FTL_OK;
}

ftl_pjrt_client_info ftl_pjrt_client_peek_info(const ftl_pjrt_client *client)
{
    return (ftl_pjrt_client_info){ client->platform, client->version, client->n_devices };
}

const ftl_pjrt_device_info *ftl_pjrt_device_peek_info(const ftl_pjrt_client *client, size_t device)
{
    return device < client->n_devices ? &client->device_infos[device] : NULL;
}

ftl_status ftl_pjrt_device_memory(ftl_pjrt_memory *out, const ftl_pjrt_client *client,
                                  size_t device)
{
    *out = (ftl_pjrt_memory){ -1, -1, -1 };
    if (device >= client->n_devices)
        return ftl_fail(FTL_EINVAL, "device %zu does not exist, %s has %zu", device,
                        client->platform, client->n_devices);
    ftl_pjrt_args_device_memory args = { .device = client->devices[device], .used_bytes = -1 };
    const size_t bytes = offsetof(ftl_pjrt_args_device_memory, figure[10].is_set) + 1;
    FTL_TRY(ftl_pjrt_call_sized(client->plugin, FTL_PJRT_DEVICE_MEMORY_STATS, &args, bytes,
                                &args.head, sizeof args));
    out->used_bytes = args.used_bytes;
    if (args.figure[FTL_PJRT_FIGURE_PEAK].is_set)
        out->peak_bytes = args.figure[FTL_PJRT_FIGURE_PEAK].value;
    if (args.figure[FTL_PJRT_FIGURE_LIMIT].is_set)
        out->limit_bytes = args.figure[FTL_PJRT_FIGURE_LIMIT].value;
    return FTL_OK;
}
