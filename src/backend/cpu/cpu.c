/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU as a device: memory is host memory, a queue is a thread pool, everything is done when a
 * call returns. */
#include <string.h>

#include "backend/cpu/conv.h"
#include "backend/cpu/cpu_internal.h"
#include "backend/cpu/cpu_program.h"
#include "backend/cpu/kernels_ops.h"
#include "base/alloc.h"
#include "base/cpuid.h"
#include "device/topology.h"

extern const ftl_backend ftl_backend_cpu;

enum { LINE = 64, SMALL_BYTES = 1 << 16 };

/* ---- the device ---------------------------------------------------------------------------- */

static ftl_status cpu_count(uint32_t *n_out, const ftl_device_options *options)
{
    (void)options;
    *n_out = 1;
    return FTL_OK;
}

static void cpu_close(ftl_device *device)
{
    ftl_free(device);
}

/* The kernels of the best instruction set that is allowed. */
static bool pick_kernels(cpu_device *d)
{
    static const uint32_t best_first[] = { FTL_ISA_AVX512, FTL_ISA_AVX2, FTL_ISA_NEON,
                                           FTL_ISA_ANY };
    for (size_t i = 0; i < sizeof best_first / sizeof best_first[0]; i++)
        if ((d->isa & best_first[i]) == best_first[i] &&
            ftl_gemm_kernel_get(&d->gemm, best_first[i]))
            return true;
    return false;
}

/* What one core may count on: a shared cache counts by its share. */
static size_t cache_bytes(const ftl_topology *topology, uint32_t level)
{
    const ftl_cpu_cache *c = ftl_topology_cache(topology, level);
    if (!c) return 0;
    const uint64_t sharers = level >= 3 && c->n_cpus_each > 1 ? c->n_cpus_each : 1;
    return (size_t)(c->bytes / sharers);
}

static ftl_status cpu_open(ftl_device **out, const ftl_device_options *options)
{
    *out = NULL;
    if (options->index > 0)
        return ftl_fail(FTL_ENOTFOUND, "there is one CPU device, cpu:0, for all cores");
    cpu_device *d = ftl_calloc(1, sizeof *d);
    if (!d) return ftl_fail(FTL_ENOMEM, "no memory for the CPU device");
    d->base.backend = &ftl_backend_cpu;
    d->isa = ftl_cpu_isa();
    d->ops = ftl_ops_f32_get(d->isa);
    d->memory_limit_bytes = options->memory_limit_bytes;
    ftl_topology *topology = NULL;
    ftl_status s = ftl_topology_create(&topology, "");
    if (s == FTL_OK) {
        d->caches.l1_bytes = cache_bytes(topology, 1);
        d->caches.l2_bytes = cache_bytes(topology, 2);
        d->caches.l3_bytes = cache_bytes(topology, 3);
        d->n_cores = (uint32_t)topology->n_usable_cores;
        if (d->n_cores > topology->usable_cpus) d->n_cores = topology->usable_cpus;
        if (d->n_cores < 1) d->n_cores = 1;
        if (d->n_cores > FTL_POOL_MAX_THREADS) d->n_cores = FTL_POOL_MAX_THREADS;
    }
    ftl_topology_destroy(topology);
    if (s == FTL_OK && !pick_kernels(d)) s = ftl_fail(FTL_EINTERNAL, "no portable matrix kernel");
    if (s != FTL_OK) {
        cpu_close(&d->base);
        return s;
    }
    *out = &d->base;
    return FTL_OK;
}

static ftl_status cpu_info(ftl_device *device, ftl_device_info *out)
{
    const cpu_device *d = (const cpu_device *)device;
    ftl_topology machine = { 0 };
    ftl_topology_update_memory(&machine, "");
    out->caps = FTL_CAP_WRAP_HOST;
    out->alignment_bytes = LINE;
    out->n_members = 1;
    ftl_cpu_name(out->name, sizeof out->name);
    out->memory_bytes = machine.memory_total_bytes;
    out->free_bytes = machine.memory_usable_bytes;
    const uint64_t used = __atomic_load_n(&d->used_bytes, __ATOMIC_RELAXED);
    const uint64_t left = d->memory_limit_bytes > used ? d->memory_limit_bytes - used : 0;
    if (d->memory_limit_bytes && d->memory_limit_bytes < out->memory_bytes)
        out->memory_bytes = d->memory_limit_bytes;
    if (d->memory_limit_bytes && left < out->free_bytes) out->free_bytes = left;
    out->dtype_mask = 1u << FTL_DTYPE_F32 | 1u << FTL_DTYPE_I32 | 1u << FTL_DTYPE_I64 |
                      1u << FTL_DTYPE_BOOL | 1u << FTL_DTYPE_U8 | 1u << FTL_DTYPE_I8;
    return FTL_OK;
}

/* ---- cells --------------------------------------------------------------------------------- */

/* Counts the bytes of a new cell against the device's limit. */
static ftl_status take_bytes(cpu_device *d, size_t bytes)
{
    const uint64_t used = __atomic_add_fetch(&d->used_bytes, bytes, __ATOMIC_RELAXED);
    if (!d->memory_limit_bytes || used <= d->memory_limit_bytes) return FTL_OK;
    __atomic_sub_fetch(&d->used_bytes, bytes, __ATOMIC_RELAXED);
    return ftl_fail(FTL_ENOMEM, "no %zu bytes for a cell: %llu of the limit of %llu are in use",
                    bytes, (unsigned long long)(used - bytes),
                    (unsigned long long)d->memory_limit_bytes);
}

static void give_bytes(ftl_device *device, size_t bytes)
{
    __atomic_sub_fetch(&((cpu_device *)device)->used_bytes, bytes, __ATOMIC_RELAXED);
}

/* Large cells come page by page from the system, small ones from the heap. */
static ftl_status make_buffer(cpu_buffer **out, ftl_device *device, const ftl_tensor_desc *desc,
                              size_t bytes, void *host)
{
    *out = NULL;
    if (!host) FTL_TRY(take_bytes((cpu_device *)device, bytes));
    cpu_buffer *b = ftl_calloc(1, sizeof *b);
    if (b) {
        b->base = (ftl_buffer){ .device = device, .desc = *desc, .bytes = bytes };
        b->is_wrapped = host != NULL;
        b->is_pages = !host && bytes > SMALL_BYTES;
        if (host) b->data = host;
        else if (b->is_pages) b->data = ftl_pages_alloc(bytes);
        else if ((b->owned = ftl_calloc(1, bytes + LINE)) != NULL)
            b->data = (void *)(((uintptr_t)b->owned + LINE - 1) / LINE * LINE);
    }
    if (b && b->data) {
        *out = b;
        return FTL_OK;
    }
    ftl_free(b);
    if (!host) give_bytes(device, bytes);
    return ftl_fail(FTL_ENOMEM, "the CPU has no %zu bytes for a cell", bytes);
}

static ftl_status cpu_buffer_create(ftl_buffer **out, ftl_device *device,
                                    const ftl_tensor_desc *desc, enum ftl_memory_kind kind)
{
    (void)kind;
    cpu_buffer *b = NULL;
    const ftl_status s = make_buffer(&b, device, desc, ftl_desc_bytes_checked(desc), NULL);
    *out = b ? &b->base : NULL;
    return s;
}

static ftl_status cpu_buffer_wrap(ftl_buffer **out, ftl_device *device, const ftl_tensor_desc *desc,
                                  void *host, size_t bytes)
{
    cpu_buffer *b = NULL;
    *out = NULL;
    if ((uintptr_t)host % ftl_dtype_bytes(desc->dtype))
        return ftl_fail(FTL_EUNSUPPORTED, "host memory that is not aligned to its elements");
    const ftl_status s = make_buffer(&b, device, desc, bytes, host);
    *out = b ? &b->base : NULL;
    return s;
}

static void cpu_buffer_destroy(ftl_buffer *buffer)
{
    cpu_buffer *b = (cpu_buffer *)buffer;
    if (!b->is_wrapped) give_bytes(buffer->device, buffer->bytes);
    if (b->is_pages) ftl_pages_free(b->data, b->base.bytes);
    ftl_free(b->owned);
    ftl_free(b);
}

static ftl_status cpu_upload(ftl_queue *queue, ftl_buffer *buffer, size_t offset, const void *host,
                             size_t bytes, ftl_event **done)
{
    (void)queue;
    if (done) *done = NULL;
    memcpy((char *)((cpu_buffer *)buffer)->data + offset, host, bytes);
    return FTL_OK;
}

static ftl_status cpu_download(ftl_queue *queue, ftl_buffer *buffer, size_t offset, void *host,
                               size_t bytes, ftl_event **done)
{
    (void)queue;
    if (done) *done = NULL;
    memcpy(host, (const char *)((cpu_buffer *)buffer)->data + offset, bytes);
    return FTL_OK;
}

static ftl_status cpu_copy(ftl_queue *queue, ftl_buffer *to, ftl_buffer *from, ftl_event **done)
{
    return cpu_upload(queue, to, 0, ((cpu_buffer *)from)->data, from->bytes, done);
}

/* ---- queues -------------------------------------------------------------------------------- */

static void cpu_queue_destroy(ftl_queue *queue)
{
    ftl_pool_destroy(((cpu_queue *)queue)->pool);
    ftl_free(queue);
}

static ftl_status cpu_queue_create(ftl_queue **out, ftl_device *device, uint32_t n_threads)
{
    const cpu_device *d = (const cpu_device *)device;
    *out = NULL;
    if (n_threads > FTL_POOL_MAX_THREADS)
        return ftl_fail(FTL_EINVAL, "%u threads are more than %d", n_threads, FTL_POOL_MAX_THREADS);
    cpu_queue *q = ftl_calloc(1, sizeof *q);
    if (!q) return ftl_fail(FTL_ENOMEM, "no memory for a queue");
    q->base.device = device;
    q->base.n_threads = n_threads ? n_threads : d->n_cores;
    ftl_pool_options o = FTL_POOL_OPTIONS_INIT;
    o.n_threads = (int)q->base.n_threads;
    const ftl_status s = ftl_pool_create(&q->pool, &o);
    if (s != FTL_OK) {
        cpu_queue_destroy(&q->base);
        return s;
    }
    *out = &q->base;
    return FTL_OK;
}

/* ---- packed weights ------------------------------------------------------------------------ */

static ftl_status cpu_pack(ftl_queue *queue, ftl_buffer **out, int32_t layout, const void *src,
                           const ftl_tensor_desc *desc, ftl_event **done)
{
    const cpu_device *d = (const cpu_device *)queue->device;
    size_t bytes;
    cpu_buffer *b = NULL;
    *out = NULL;
    if (done) *done = NULL;
    FTL_TRY(ftl_cpu_layout_bytes(d, layout, desc, &bytes));
    FTL_TRY(make_buffer(&b, queue->device, desc, bytes, NULL));
    ftl_cpu_layout_pack(d, layout, desc, b->data, src);
    *out = &b->base;
    return FTL_OK;
}

static const void *cpu_extension(ftl_device *device, const char *name)
{
    (void)device;
    if (strcmp(name, "profile") == 0) return &ftl_cpu_profile_extension;
    return strcmp(name, "bench") == 0 ? &ftl_cpu_bench_extension : NULL;
}

const ftl_backend ftl_backend_cpu = {
    .abi = FTL_BACKEND_ABI,
    .struct_size = sizeof(ftl_backend),
    .name = "cpu",
    .count = cpu_count,
    .open = cpu_open,
    .close = cpu_close,
    .info = cpu_info,
    .buffer_create = cpu_buffer_create,
    .buffer_wrap = cpu_buffer_wrap,
    .buffer_destroy = cpu_buffer_destroy,
    .upload = cpu_upload,
    .download = cpu_download,
    .copy = cpu_copy,
    .queue_create = cpu_queue_create,
    .queue_destroy = cpu_queue_destroy,
    .supports = ftl_cpu_supports,
    .compile = ftl_cpu_compile_slice,
    .program_info = ftl_cpu_program_info,
    .weight_layout = ftl_cpu_weight_layout,
    .pack = cpu_pack,
    .run = ftl_cpu_program_run,
    .program_destroy = ftl_cpu_program_destroy,
    .extension = cpu_extension,
};
