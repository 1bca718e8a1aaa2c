/* SPDX-License-Identifier: Apache-2.0 */
/* pjrt_internal.h - what the files behind pjrt_api.h share: the insides of the handles and the one
 * way in which a plug-in's function is called. */
#ifndef FTL_BACKEND_PJRT_INTERNAL_H
#define FTL_BACKEND_PJRT_INTERNAL_H

#include <pthread.h>
#include "backend/pjrt/pjrt_abi.h"
#include "backend/pjrt/pjrt_api.h"

struct ftl_pjrt_plugin {
    const ftl_pjrt_table *table;
    ftl_pjrt_plugin_info info;
    uint64_t file_id; /* hash of size and change time of the file: which build it is */
    char *path;
    struct ftl_pjrt_plugin *next;
};

struct ftl_pjrt_client {
    const ftl_pjrt_plugin *plugin;
    void *handle;
    pthread_mutex_t lock; /* of n_owners */
    size_t n_owners;
    char *platform, *version;
    size_t n_devices;
    void *const *devices; /* the plug-in's array */
    ftl_pjrt_device_info *device_infos;
};

struct ftl_pjrt_program {
    ftl_pjrt_client *client;
    void *loaded, *executable;
    size_t device;
    size_t n_params, n_outputs;
    ftl_pjrt_shape *params, *outputs;
    ftl_pjrt_program_info info;
    uint64_t key[2];
};

struct ftl_pjrt_buffer {
    ftl_pjrt_client *client;
    void *handle; /* NULL only while being made */
    size_t device;
    size_t bytes; /* dense host copy */
    ftl_pjrt_shape shape;
};

struct ftl_pjrt_event {
    ftl_pjrt_client *client;
    void *handle; /* NULL: there was nothing to wait for */
};

bool ftl_pjrt_has(const ftl_pjrt_plugin *plugin, ftl_pjrt_function function);
/* Calls with head.struct_size = args_bytes.  A returned error is recorded, destroyed and mapped;
 * FTL_EUNSUPPORTED also when the plug-in has no such function. */
ftl_status ftl_pjrt_call(const ftl_pjrt_plugin *plugin, ftl_pjrt_function function, void *args,
                         size_t args_bytes);
/* The same for a struct that grew between versions.  `sized`: the struct with the size in question
 * (args itself or one that it points to), capacity bytes long.  A plug-in that wants another size
 * says which, before it looks at anything else, and is called again with that. */
ftl_status ftl_pjrt_call_sized(const ftl_pjrt_plugin *plugin, ftl_pjrt_function function,
                               void *args, size_t args_bytes, ftl_pjrt_head *sized,
                               size_t capacity);
/* A *_Destroy function; an error has nobody to tell and is dropped.  NULL handle: nothing. */
void ftl_pjrt_drop(const ftl_pjrt_plugin *plugin, ftl_pjrt_function function, void *handle);

/* The value called `name`, or NULL. */
const ftl_pjrt_named_value *ftl_pjrt_find_value(const ftl_pjrt_named_value *values, size_t count,
                                                const char *name);

void ftl_pjrt_client_retain(ftl_pjrt_client *client);
/* Makes an event around a handle that the plug-in gave; takes the handle even on failure. */
ftl_status ftl_pjrt_event_wrap(ftl_pjrt_event **out, ftl_pjrt_client *client, void *handle);
/* Waits for a handle that nobody else owns, and destroys it. */
ftl_status ftl_pjrt_event_finish(const ftl_pjrt_plugin *plugin, void *handle);

#endif
