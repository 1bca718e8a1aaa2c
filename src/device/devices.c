/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that `fettle devices` shows, collected once into plain data. */
#include "fettle/devices.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cpuid.h"
#include "device/device.h"
#include "device/meter.h"
#include "device/pci.h"
#include "device/sysfs.h"
#include "device/topology.h"

static ftl_status no_memory(void)
{
    return ftl_fail(FTL_ENOMEM, "no memory for the list of devices");
}

/* ---- the host ------------------------------------------------------------------------------ */

static void copy_parts(ftl_host *h, const ftl_topology *t)
{
    h->n_kinds = t->n_kinds;
    for (uint32_t i = 0; i < t->n_kinds && i < FTL_TOPOLOGY_KINDS; i++) {
        ftl_host_cores *to = &h->kinds[i];
        ftl_sysfs_copy(to->kind, sizeof to->kind, t->kinds[i].name);
        to->n_cores = t->kinds[i].n_cores;
        to->n_cpus = t->kinds[i].n_cpus;
        to->max_mhz = t->kinds[i].max_mhz;
    }
    h->n_caches = t->n_caches;
    for (uint32_t i = 0; i < t->n_caches && i < FTL_TOPOLOGY_CACHES; i++)
        h->caches[i] = (ftl_host_cache){ .level = t->caches[i].level,
                                         .n_instances = t->caches[i].n_instances,
                                         .n_cpus_each = t->caches[i].n_cpus_each,
                                         .bytes = t->caches[i].bytes };
    h->n_numa_nodes = t->n_numa_nodes;
    for (uint32_t i = 0; i < t->n_numa_nodes && i < FTL_TOPOLOGY_NUMA; i++)
        h->numa_bytes[i] = t->numa_nodes[i].memory_bytes;
}

static ftl_status read_host(ftl_host *h)
{
    static const char *const sources[] = { "unknown", "mains", "battery" };
    ftl_topology *t = NULL;
    FTL_TRY(ftl_topology_create(&t, ""));
    ftl_sysfs_copy(h->cpu, sizeof h->cpu, t->cpu_name);
    ftl_sysfs_copy(h->vendor, sizeof h->vendor, t->cpu_vendor);
    ftl_sysfs_copy(h->arch, sizeof h->arch, t->arch);
    ftl_isa_names(h->isa, sizeof h->isa, ftl_cpu_isa());
    ftl_sysfs_copy(h->features, sizeof h->features, t->isa);
    ftl_sysfs_copy(h->board, sizeof h->board, t->board);
    ftl_sysfs_copy(h->kernel, sizeof h->kernel, t->kernel);
    ftl_sysfs_copy(h->governor, sizeof h->governor, t->governor);
    ftl_sysfs_copy(h->virtualization, sizeof h->virtualization, t->virtualization);
    ftl_sysfs_copy(h->container, sizeof h->container, t->container);
    h->n_packages = t->n_packages;
    h->n_cores = t->n_cores;
    h->n_cpus = t->n_cpus;
    h->max_mhz = t->max_mhz;
    copy_parts(h, t);
    h->memory_bytes = t->memory_total_bytes;
    h->memory_free_bytes = t->memory_available_bytes;
    h->memory_usable_bytes = t->memory_usable_bytes;
    h->memory_limit_bytes = t->memory_limit_bytes;
    h->allowed_cpus = t->n_allowed_cpus;
    h->usable_cpus = t->usable_cpus;
    h->cpu_quota = t->cpu_quota;
    ftl_sysfs_copy(h->power_source, sizeof h->power_source,
                   sources[t->power_source <= FTL_POWER_BATTERY ? t->power_source : 0]);
    h->battery_percent = t->battery_percent;
    ftl_topology_destroy(t);
    return FTL_OK;
}

/* ---- devices of the backends --------------------------------------------------------------- */

static ftl_device_entry *add_entry(ftl_devices *d)
{
    ftl_device_entry *grown = ftl_realloc(d->devices, (d->n_devices + 1) * sizeof *grown);
    if (!grown) return NULL;
    d->devices = grown;
    grown += d->n_devices++;
    memset(grown, 0, sizeof *grown);
    return grown;
}

/* Opens it for a moment.  A test double is no device of this machine. */
static ftl_status add_device(ftl_devices *d, const ftl_backend *backend,
                             const ftl_device_options *options)
{
    ftl_device *device = NULL;
    ftl_device_info info = { .struct_size = sizeof info };
    ftl_status s = ftl_device_open(&device, backend, options);
    if (s == FTL_OK) s = ftl_device_get_info(device, &info);
    if (s == FTL_OK && info.caps & FTL_CAP_EMULATED) {
        ftl_device_close(device);
        return FTL_OK;
    }
    ftl_device_entry *e = s == FTL_ENOMEM ? NULL : add_entry(d);
    if (e) {
        e->is_usable = s == FTL_OK;
        if (s != FTL_OK) ftl_sysfs_copy(e->why, sizeof e->why, ftl_error_text());
        ftl_sysfs_copy(e->backend, sizeof e->backend, backend->name);
        ftl_sysfs_copy(e->name, sizeof e->name, info.name);
        e->memory_bytes = info.memory_bytes;
        e->free_bytes = info.free_bytes;
        if (options->library)
            snprintf(e->spelling, sizeof e->spelling, "%s:%s", backend->name, options->library);
        else if (options->index > 0)
            snprintf(e->spelling, sizeof e->spelling, "%s:%u", backend->name, options->index);
        else ftl_sysfs_copy(e->spelling, sizeof e->spelling, backend->name);
    }
    ftl_device_close(device);
    return e ? FTL_OK : no_memory();
}

static ftl_status add_devices_of(ftl_devices *d, const ftl_backend *backend, const char *library)
{
    ftl_device_options o = { .struct_size = sizeof o, .library = library };
    uint32_t n = 0;
    const ftl_status s = backend->count ? backend->count(&n, &o) : FTL_EUNSUPPORTED;
    if (s == FTL_ENOMEM) return s;
    /* None: opening the first gives the sentence that says why. */
    if (s != FTL_OK || n == 0) return add_device(d, backend, &o);
    for (; o.index < n; o.index++) FTL_TRY(add_device(d, backend, &o));
    return FTL_OK;
}

/* Each path of "a:b:c". */
static ftl_status add_plugins(ftl_devices *d, const ftl_backend *backend, const char *paths)
{
    while (*paths) {
        char path[FTL_SYSFS_PATH];
        const size_t n = strcspn(paths, ":");
        if (n >= sizeof path)
            return ftl_fail(FTL_EINVAL, "the path of a plug-in is longer than %zu bytes",
                            sizeof path - 1);
        memcpy(path, paths, n);
        path[n] = 0;
        if (n > 0) FTL_TRY(add_devices_of(d, backend, path));
        paths += n + (paths[n] == ':');
    }
    return FTL_OK;
}

static ftl_status read_devices(ftl_devices *d, const ftl_devices_options *o)
{
    for (int32_t i = 0; ftl_backend_at(i); i++) {
        const ftl_backend *backend = ftl_backend_at(i);
        const bool takes_plugins = strcmp(backend->name, "pjrt") == 0;
        if (takes_plugins && o->pjrt_plugins && *o->pjrt_plugins)
            FTL_TRY(add_plugins(d, backend, o->pjrt_plugins));
        else FTL_TRY(add_devices_of(d, backend, NULL));
    }
    return FTL_OK;
}

/* ---- accelerators and meters --------------------------------------------------------------- */

static bool has_backend(const ftl_accelerator *a)
{
    static const char *const of_kind[][3] = { [FTL_ACCELERATOR_GPU] = { "cuda", "opencl" },
                                              [FTL_ACCELERATOR_NPU] = { "ascend" },
                                              [FTL_ACCELERATOR_TPU] = { "pjrt" } };
    for (int i = 0; i < 3 && of_kind[a->kind][i]; i++)
        if (ftl_backend_find(of_kind[a->kind][i])) return true;
    return false;
}

static void fill_accelerator(ftl_accelerator_entry *e, const ftl_accelerator *a)
{
    static const char *const kinds[] = { "gpu", "npu", "tpu" };
    ftl_sysfs_copy(e->address, sizeof e->address, a->address);
    ftl_sysfs_copy(e->name, sizeof e->name, a->name);
    ftl_sysfs_copy(e->kind, sizeof e->kind, kinds[a->kind]);
    ftl_sysfs_copy(e->driver, sizeof e->driver, a->driver);
    ftl_sysfs_copy(e->driver_version, sizeof e->driver_version, a->driver_version);
    ftl_pci_link_text(e->link, sizeof e->link, a);
    e->vendor_id = a->vendor_id;
    e->device_id = a->device_id;
    e->link_bytes_per_s = ftl_pci_link_bytes_per_s(a->link);
    e->memory_bytes = a->memory_bytes;
    e->power_limit_w = a->power_limit_w;
    e->is_usable = a->is_usable && has_backend(a);
    ftl_sysfs_copy(e->why, sizeof e->why, a->why);
    if (a->is_usable && !e->is_usable)
        snprintf(e->why, sizeof e->why,
                 "its driver works, but this fettle has no backend for %s devices of this kind yet",
                 e->kind);
}

static ftl_status read_accelerators(ftl_devices *d)
{
    ftl_accelerator_list list = { 0 };
    ftl_status s = ftl_accelerator_scan(&list, "");
    if (s == FTL_OK) s = ftl_accelerator_add_nvml(&list, NULL);
    if (s == FTL_OK && list.count > 0) {
        d->accelerators = ftl_calloc(list.count, sizeof *d->accelerators);
        if (!d->accelerators) s = no_memory();
        for (; s == FTL_OK && d->n_accelerators < list.count; d->n_accelerators++)
            fill_accelerator(&d->accelerators[d->n_accelerators], &list.items[d->n_accelerators]);
    }
    ftl_accelerator_list_deinit(&list);
    return s;
}

static ftl_status read_meters(ftl_devices *d, const ftl_devices_options *o)
{
    ftl_meter_options options = FTL_METER_OPTIONS_INIT;
    options.command = o->power_meter_command;
    ftl_meter_report report;
    FTL_TRY(ftl_meter_probe(&report, &options));
    if (report.count == 0) return FTL_OK;
    d->meters = ftl_calloc(report.count, sizeof *d->meters);
    if (!d->meters) return no_memory();
    for (; d->n_meters < report.count; d->n_meters++) {
        const ftl_meter_candidate *c = &report.items[d->n_meters];
        ftl_meter_entry *e = &d->meters[d->n_meters];
        ftl_sysfs_copy(e->method, sizeof e->method, c->method);
        ftl_sysfs_copy(e->covers, sizeof e->covers, c->covers);
        e->is_available = c->is_available;
        ftl_sysfs_copy(e->why, sizeof e->why, c->why);
    }
    return FTL_OK;
}

/* ---- all ----------------------------------------------------------------------------------- */

ftl_status ftl_devices_read(ftl_devices **out, const ftl_devices_options *options)
{
    const ftl_devices_options none = FTL_DEVICES_OPTIONS_INIT;
    const ftl_devices_options *o = options ? options : &none;
    *out = NULL;
    if (o->struct_size != sizeof *o)
        return ftl_fail(FTL_EINVAL, "start the options from FTL_DEVICES_OPTIONS_INIT");
    ftl_devices *d = ftl_calloc(1, sizeof *d);
    if (!d) return no_memory();
    d->struct_size = sizeof *d;
    ftl_status s = read_host(&d->host);
    if (s == FTL_OK) s = read_devices(d, o);
    if (s == FTL_OK) s = read_accelerators(d);
    if (s == FTL_OK) s = read_meters(d, o);
    if (s != FTL_OK) {
        ftl_devices_destroy(d);
        return s;
    }
    *out = d;
    return FTL_OK;
}

void ftl_devices_destroy(ftl_devices *devices)
{
    if (!devices) return;
    ftl_free(devices->devices);
    ftl_free(devices->accelerators);
    ftl_free(devices->meters);
    ftl_free(devices);
}
