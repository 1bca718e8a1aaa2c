/* SPDX-License-Identifier: Apache-2.0 */
/* backend.h - the one interface every device backend implements.
 * Work reaches a device only as a program: a slice (a bound graph) of 1..N nodes, compiled once
 * and run many times.  A one-node slice is an eager op; a whole model is what a graph compiler
 * wants.  A slice's inputs are its graph's `sources`, its outputs the graph's `outputs`, in order.
 * A ftl_buffer is a cell, not an address: PJRT may swap the storage behind it on every upload or
 * run.  Weights are run inputs like any other; a slice holds their descriptors only.
 * State is functional: the slice's alias table says "output j is the new value of input i"; run
 * must then be given the same cell on both sides.  Other than that no cell appears twice.
 * [opt] slots may be NULL: device.h supplies a default or FTL_EUNSUPPORTED.  Nothing here aborts
 * or prints.  Callers use device.h, which checks arguments once for all backends. */
#ifndef FTL_DEVICE_BACKEND_H
#define FTL_DEVICE_BACKEND_H

#include "base/status.h"
#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FTL_BACKEND_ABI = 1 }; /* raised by incompatible changes only */

/* A backend's own structs begin with these, so that device.h finds the way back. */
typedef struct ftl_device ftl_device;   /* hardware, or its description; thread-safe      */
typedef struct ftl_buffer ftl_buffer;   /* storage of one tensor on one device            */
typedef struct ftl_queue ftl_queue;     /* in-order work; one thread at a time            */
typedef struct ftl_event ftl_event;     /* completion mark; thread-safe                   */
typedef struct ftl_program ftl_program; /* compiled slice; immutable, thread-safe         */
typedef struct ftl_bound ftl_bound;     /* program + fixed cells; one thread at a time    */
typedef struct ftl_backend ftl_backend;

struct ftl_device {
    const ftl_backend *backend;
    uint32_t caps; /* set by device.h: what info says; never changes */
};
struct ftl_buffer {
    ftl_device *device;
    ftl_tensor_desc desc;
    size_t bytes;         /* as the caller counts them; a packed weight may differ from desc */
    int32_t layout;       /* set by device.h: what pack made, 0 for row-major           */
    uint8_t is_read_only; /* set by device.h: host memory that was wrapped              */
};
struct ftl_queue {
    ftl_device *device;
    uint32_t n_threads; /* host threads that work for it, at least 1 */
};
struct ftl_event {
    ftl_device *device;
};
struct ftl_program {
    ftl_device *device;
    struct ftl_signature *signature; /* set by device.h: what run checks cells against */
};
struct ftl_bound {
    const ftl_program *program;
};

enum ftl_caps {
    FTL_CAP_ASYNC = 1 << 0,        /* run and copies may return before they end         */
    FTL_CAP_SUBBUFFER = 1 << 1,    /* offsets and buffer_view work                      */
    FTL_CAP_WRAP_HOST = 1 << 2,    /* buffer_wrap of host memory, no copy               */
    FTL_CAP_DYNAMIC = 1 << 3,      /* a program takes any shape within bounds           */
    FTL_CAP_COMPILE_ONLY = 1 << 4, /* a described device: no buffers, no runs           */
    FTL_CAP_EMULATED = 1 << 5      /* a test double: bench, tune and plan refuse it     */
};
enum ftl_memory_kind { FTL_MEMORY_DEVICE, FTL_MEMORY_HOST_PINNED };

typedef struct ftl_device_options {
    uint32_t struct_size;
    uint32_t index;              /* ordinal among the backend's devices                 */
    const char *library;         /* plug-in or driver path, or NULL                     */
    const char *topology;        /* "v5e:2x2", a GPU's name: describe, do not open      */
    uint64_t memory_limit_bytes; /* 0: all                                              */
    uint32_t n_members;          /* > 1: a device set opens as one device whose cells
                                    hold one shard a member                             */
    const char *script;          /* fake: which calls fail (backend/fake/README.md)     */
} ftl_device_options;

typedef struct ftl_device_info {
    uint32_t struct_size;
    uint32_t caps, alignment_bytes, n_members;
    char name[64];
    uint64_t memory_bytes, free_bytes; /* 0: the driver will not say                    */
    uint64_t dtype_mask;               /* bit d set: dtype d is native                  */
    double flops_per_s, bytes_per_s;   /* measured if known, else data sheet; 0 unknown */
} ftl_device_info;

typedef struct ftl_cost {
    uint32_t struct_size;
    double seconds; /* < 0: no idea */
    uint64_t flops, bytes, workspace_bytes;
} ftl_cost;

typedef struct ftl_compile_options {
    uint32_t struct_size;
    uint32_t n_threads;      /* 0: the backend chooses                             */
    ftl_dtype compute_dtype; /* accumulate and multiply in; NONE: as the tensors   */
    uint32_t is_deterministic;
    const char *cache_dir;        /* NULL: no cache on disk                             */
    const int32_t *kernel_choice; /* per node, -1 free; from the tuner; or NULL         */
    const int32_t *weight_layout; /* per input, layouts already chosen; or NULL         */
} ftl_compile_options;

typedef struct ftl_program_info {
    uint32_t struct_size;
    uint64_t workspace_bytes; /* caller provides; 0 if the runtime hides it             */
    uint64_t resident_bytes, code_bytes, peak_bytes, alias_bytes;
    uint64_t workspace_lower_bound_bytes; /* largest sum of live bytes; 0: not known    */
    double flops, bytes, seconds;         /* the compiler's own estimate; < 0: none     */
} ftl_program_info;

typedef struct ftl_run_args { /* all borrowed; read during the call only                */
    uint32_t struct_size;
    ftl_buffer *const *inputs, *const *outputs; /* slice order                          */
    ftl_buffer *workspace;                      /* >= workspace_bytes, or NULL          */
    const int64_t *host_params; /* elements of all PARAM inputs in slice order, one after
                                   the other; an f32 as its bits: so that kernels may skip
                                   and vendors may read them.  The cells hold the same. */
} ftl_run_args;

/* Per-node seconds of one run, for `plan --verbose` and calibration: extension "profile". */
typedef struct ftl_profile_extension {
    /* Runs the program once and writes the seconds of each node of the slice. */
    ftl_status (*run_timed)(const ftl_program *, ftl_queue *, const ftl_run_args *,
                            double *seconds_of_node);
} ftl_profile_extension;

/* What `bench` asks of the hardware beside ordinary programs: extension "bench". */
typedef enum ftl_bench_what {
    FTL_BENCH_PEAK,    /* flop/s of multiply-adds of `dtype` in registers                     */
    FTL_BENCH_READ,    /* byte/s over a working set of `bytes`                                */
    FTL_BENCH_WRITE,   /*                                                                     */
    FTL_BENCH_COPY,    /* bytes read and bytes written count                                  */
    FTL_BENCH_TRIAD,   /* a = b + s * c: all three count                                      */
    FTL_BENCH_LATENCY, /* s of a load whose address is the result of the load before          */
    FTL_BENCH_FORK,    /* s to start all threads of the queue on a task and to join them      */
    FTL_BENCH_WAKE,    /* the same after they have gone to sleep                              */
    FTL_BENCH_BARRIER  /* s of one barrier between the steps of a program                     */
} ftl_bench_what;
typedef struct ftl_bench_job {
    uint32_t struct_size;
    ftl_bench_what what;
    ftl_dtype dtype; /* PEAK                                                               */
    uint64_t bytes;  /* working set of all threads and arrays together                     */
    double seconds;  /* about how long one sample lasts                                    */
    uint32_t n_samples;
} ftl_bench_job;
typedef struct ftl_bench_extension {
    /* Warms up, then writes n_samples figures.  Data is random, not zeros.  FTL_EUNSUPPORTED: the
     * device has no such thing.  FTL_ENOMEM, FTL_ECANCELED. */
    ftl_status (*measure)(ftl_queue *, const ftl_bench_job *, double *samples);
} ftl_bench_extension;

struct ftl_backend {
    uint32_t abi, struct_size; /* slots are appended, never moved */
    const char *name;          /* "cpu" "cuda" "opencl" "pjrt" "ascend" "fake" */

    /* devices: a missing vendor library means zero devices, not an error */
    ftl_status (*count)(uint32_t *n_out, const ftl_device_options *);
    ftl_status (*open)(ftl_device **out, const ftl_device_options *);
    void (*close)(ftl_device *);
    ftl_status (*info)(ftl_device *, ftl_device_info *out);

    /* memory: done == NULL blocks; else *done is the caller's, and the host memory is borrowed
     * till it fires.  A fresh cell reads as zeros. */
    ftl_status (*buffer_create)(ftl_buffer **out, ftl_device *, const ftl_tensor_desc *,
                                enum ftl_memory_kind);
    ftl_status (*buffer_wrap)(ftl_buffer **out, ftl_device *, const ftl_tensor_desc *, void *host,
                              size_t bytes); /* [opt] */
    ftl_status (*buffer_view)(ftl_buffer **out, ftl_buffer *, size_t offset,
                              size_t bytes); /* [opt] */
    void (*buffer_destroy)(ftl_buffer *);
    ftl_status (*upload)(ftl_queue *, ftl_buffer *, size_t offset, const void *, size_t bytes,
                         ftl_event **done);
    ftl_status (*download)(ftl_queue *, ftl_buffer *, size_t offset, void *, size_t bytes,
                           ftl_event **done);
    ftl_status (*copy)(ftl_queue *, ftl_buffer *dst, ftl_buffer *src,
                       ftl_event **done); /* one backend only; [opt] */

    /* order: a late error of asynchronous work is returned by the wait that sees it */
    ftl_status (*queue_create)(ftl_queue **out, ftl_device *, uint32_t n_threads);
    void (*queue_destroy)(ftl_queue *);
    ftl_status (*queue_wait)(ftl_queue *, ftl_event *);        /* [opt] later work waits */
    ftl_status (*event_wait)(ftl_event *, int64_t timeout_ns); /* [opt] < 0: for ever    */
    void (*event_destroy)(ftl_event *);                        /* [opt]                  */

    /* programs */
    ftl_status (*supports)(ftl_device *, const ftl_graph *, int32_t node); /* legality alone:
                                          FTL_OK, or FTL_EUNSUPPORTED with the reason       */
    ftl_status (*estimate)(ftl_device *, const ftl_graph *slice, const ftl_compile_options *,
                           ftl_cost *out); /* [opt] default: sum over nodes */
    ftl_status (*compile)(ftl_program **out, ftl_device *, const ftl_graph *slice,
                          const ftl_compile_options *);
    ftl_status (*program_info)(const ftl_program *, ftl_program_info *out);
    ftl_status (*weight_layout)(const ftl_program *, uint32_t input, int32_t *layout_out,
                                size_t *bytes_out); /* [opt] 0: row-major, may be wrapped */
    ftl_status (*pack)(ftl_queue *, ftl_buffer **out, int32_t layout, const void *src,
                       const ftl_tensor_desc *, ftl_event **done); /* [opt] makes the cell: row-
                                          major host bytes -> the layout                     */
    ftl_status (*run)(const ftl_program *, ftl_queue *, const ftl_run_args *, ftl_event **done);
    ftl_status (*bind)(ftl_bound **out, const ftl_program *, ftl_queue *,
                       const ftl_run_args *); /* [opt] graph capture, repeatable executors  */
    ftl_status (*run_bound)(ftl_bound *, const int64_t *host_params, ftl_event **done); /* [opt] */
    void (*bound_destroy)(ftl_bound *);                                                 /* [opt] */
    ftl_status (*save)(const ftl_program *, const char *path);                          /* [opt] */
    ftl_status (*load)(ftl_program **out, ftl_device *, const char *path);              /* [opt] */
    void (*program_destroy)(ftl_program *);
    const void *(*extension)(ftl_device *, const char *name); /* [opt] "profile" "bench" */
};

#ifdef __cplusplus
}
#endif
#endif
