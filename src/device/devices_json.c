/* SPDX-License-Identifier: Apache-2.0 */
/* The list of devices as JSON, schema "fettle.devices/1".  jansson gives NULL when memory is used
 * up and every one of its calls takes NULL for "failed before", so one look at the end is enough:
 * json_object_set_new() with a NULL value fails, and `bad` keeps it. */
#include "fettle/devices.h"

#include <jansson.h>

#include "base/json.h"
#include "base/status.h"

typedef struct writer {
    json_t *object;
    bool bad;
} writer;

static void put(writer *w, const char *key, json_t *value)
{
    if (json_object_set_new(w->object, key, value) != 0) w->bad = true;
}

static void put_text(writer *w, const char *key, const char *text)
{
    put(w, key, *text ? json_string(text) : json_null());
}

/* 0 is "the system does not say". */
static void put_count(writer *w, const char *key, uint64_t value)
{
    put(w, key, value ? json_integer((json_int_t)value) : json_null());
}

static json_t *finish(writer *w)
{
    if (!w->bad && w->object) return w->object;
    json_decref(w->object);
    return NULL;
}

static json_t *json_of_parts(const ftl_host *h, bool caches)
{
    json_t *array = json_array();
    const uint32_t n = caches ? h->n_caches : h->n_kinds;
    bool bad = !array;
    for (uint32_t i = 0; i < n && !bad; i++) {
        writer w = { json_object(), false };
        if (caches) {
            put_count(&w, "level", h->caches[i].level);
            put_count(&w, "bytes", h->caches[i].bytes);
            put_count(&w, "instances", h->caches[i].n_instances);
            put_count(&w, "cpus_each", h->caches[i].n_cpus_each);
        } else {
            put_text(&w, "kind", h->kinds[i].kind);
            put_count(&w, "cores", h->kinds[i].n_cores);
            put_count(&w, "cpus", h->kinds[i].n_cpus);
            put_count(&w, "max_mhz", h->kinds[i].max_mhz);
        }
        bad = json_array_append_new(array, finish(&w)) != 0;
    }
    if (!bad) return array;
    json_decref(array);
    return NULL;
}

static json_t *json_of_host(const ftl_host *h)
{
    writer w = { json_object(), false };
    put_text(&w, "cpu", h->cpu);
    put_text(&w, "vendor", h->vendor);
    put_text(&w, "arch", h->arch);
    put_text(&w, "isa", h->isa);
    put_text(&w, "features", h->features);
    put_text(&w, "board", h->board);
    put_text(&w, "kernel", h->kernel);
    put_text(&w, "governor", h->governor);
    put_text(&w, "virtualization", h->virtualization);
    put_text(&w, "container", h->container);
    put_count(&w, "packages", h->n_packages);
    put_count(&w, "cores", h->n_cores);
    put_count(&w, "cpus", h->n_cpus);
    put_count(&w, "max_mhz", h->max_mhz);
    put(&w, "core_kinds", json_of_parts(h, false));
    put(&w, "caches", json_of_parts(h, true));
    json_t *numa = json_array();
    for (uint32_t i = 0; i < h->n_numa_nodes && i < 64; i++)
        if (json_array_append_new(numa, json_integer((json_int_t)h->numa_bytes[i])) != 0)
            w.bad = true;
    put(&w, "numa_bytes", numa);
    put_count(&w, "memory_bytes", h->memory_bytes);
    put_count(&w, "memory_free_bytes", h->memory_free_bytes);
    put_count(&w, "memory_usable_bytes", h->memory_usable_bytes);
    put_count(&w, "memory_limit_bytes", h->memory_limit_bytes);
    put_count(&w, "allowed_cpus", h->allowed_cpus);
    put_count(&w, "usable_cpus", h->usable_cpus);
    put(&w, "cpu_quota", h->cpu_quota > 0 ? ftl_json_new_real(h->cpu_quota) : json_null());
    put_text(&w, "power_source", h->power_source);
    put(&w, "battery_percent",
        h->battery_percent >= 0 ? json_integer(h->battery_percent) : json_null());
    return finish(&w);
}

static json_t *json_of_device(const ftl_device_entry *e)
{
    writer w = { json_object(), false };
    put_text(&w, "device", e->spelling);
    put_text(&w, "backend", e->backend);
    put_text(&w, "name", e->name);
    put(&w, "usable", json_boolean(e->is_usable));
    put_text(&w, "why", e->why);
    put_count(&w, "memory_bytes", e->memory_bytes);
    put_count(&w, "free_bytes", e->free_bytes);
    return finish(&w);
}

static json_t *json_of_accelerator(const ftl_accelerator_entry *e)
{
    writer w = { json_object(), false };
    put_text(&w, "address", e->address);
    put_text(&w, "name", e->name);
    put_text(&w, "kind", e->kind);
    put(&w, "vendor_id", json_integer(e->vendor_id));
    put(&w, "device_id", json_integer(e->device_id));
    put_count(&w, "memory_bytes", e->memory_bytes);
    put_text(&w, "link", e->link);
    put(&w, "link_bytes_per_s",
        e->link_bytes_per_s > 0 ? ftl_json_new_real(e->link_bytes_per_s) : json_null());
    put_text(&w, "driver", e->driver);
    put_text(&w, "driver_version", e->driver_version);
    put(&w, "power_limit_w",
        e->power_limit_w > 0 ? ftl_json_new_real(e->power_limit_w) : json_null());
    put(&w, "usable", json_boolean(e->is_usable));
    put_text(&w, "why", e->why);
    return finish(&w);
}

static json_t *json_of_meter(const ftl_meter_entry *e)
{
    writer w = { json_object(), false };
    put_text(&w, "method", e->method);
    put_text(&w, "covers", e->covers);
    put(&w, "available", json_boolean(e->is_available));
    put_text(&w, "why", e->why);
    return finish(&w);
}

static json_t *json_of_all(const ftl_devices *d)
{
    writer w = { json_object(), false };
    put(&w, "schema", json_string("fettle.devices/1"));
    put(&w, "version", json_string(FTL_VERSION));
    put(&w, "host", json_of_host(&d->host));
    json_t *devices = json_array(), *accelerators = json_array(), *meters = json_array();
    for (size_t i = 0; i < d->n_devices; i++)
        if (json_array_append_new(devices, json_of_device(&d->devices[i])) != 0) w.bad = true;
    for (size_t i = 0; i < d->n_accelerators; i++)
        if (json_array_append_new(accelerators, json_of_accelerator(&d->accelerators[i])) != 0)
            w.bad = true;
    for (size_t i = 0; i < d->n_meters; i++)
        if (json_array_append_new(meters, json_of_meter(&d->meters[i])) != 0) w.bad = true;
    put(&w, "devices", devices);
    put(&w, "accelerators", accelerators);
    put(&w, "power_meters", meters);
    return finish(&w);
}

ftl_status ftl_devices_json(char **out, const ftl_devices *devices)
{
    *out = NULL;
    json_decref(ftl_json_new_real(0)); /* has jansson take its memory from us */
    json_t *json = json_of_all(devices);
    if (!json) return ftl_fail(FTL_ENOMEM, "no memory for JSON text");
    const ftl_status s = ftl_json_write_text(out, json);
    json_decref(json);
    return s;
}
