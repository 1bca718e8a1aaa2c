/* SPDX-License-Identifier: Apache-2.0 */
/* pjrt_api.h - calls into a PJRT plug-in (XLA for CPU, CUDA, TPU, ...) with fettle's errors.
 * Idea: a plug-in trusts its caller: an argument of another shape than the program's parameter is
 * read as garbage, a client destroyed before its buffers crashes, a zero in the options aborts.
 * So every handle here knows its client and its shape; what can be checked is checked first.
 * Each error of the plug-in becomes a status with the plug-in's own text.
 *
 *     FTL_TRY(ftl_pjrt_plugin_open(&plugin, path));
 *     s = ftl_pjrt_client_create(&client, plugin, NULL, 0);
 *     ftl_pjrt_compile_options o = { .struct_size = sizeof o, .params = in, .n_params = 2 };
 *     if (s == FTL_OK) s = ftl_pjrt_compile(&program, client, text, strlen(text), &o);
 *
 * Destroy in any order: a client lives until its last buffer, program and event is gone. */
#ifndef FTL_BACKEND_PJRT_API_H
#define FTL_BACKEND_PJRT_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_pjrt_plugin ftl_pjrt_plugin;   /* process-wide, never unloaded; thread-safe */
typedef struct ftl_pjrt_client ftl_pjrt_client;   /* thread-safe                               */
typedef struct ftl_pjrt_program ftl_pjrt_program; /* immutable, thread-safe                    */
typedef struct ftl_pjrt_buffer ftl_pjrt_buffer;   /* a cell; one thread at a time              */
typedef struct ftl_pjrt_event ftl_pjrt_event;     /* one thread at a time                      */

enum { FTL_PJRT_RANK_MAX = 8 };

/* Numbers of the element types as plug-ins use them. */
typedef enum ftl_pjrt_type {
    FTL_PJRT_BOOL = 1,
    FTL_PJRT_I8 = 2,
    FTL_PJRT_I16 = 3,
    FTL_PJRT_I32 = 4,
    FTL_PJRT_I64 = 5,
    FTL_PJRT_U8 = 6,
    FTL_PJRT_U16 = 7,
    FTL_PJRT_U32 = 8,
    FTL_PJRT_U64 = 9,
    FTL_PJRT_F16 = 10,
    FTL_PJRT_F32 = 11,
    FTL_PJRT_F64 = 12,
    FTL_PJRT_BF16 = 13,
    FTL_PJRT_F8E5M2 = 16,
    FTL_PJRT_F8E4M3FN = 17
} ftl_pjrt_type;

typedef struct ftl_pjrt_shape {
    int32_t type; /* ftl_pjrt_type */
    int32_t rank; /* 0: a scalar   */
    int64_t dims[FTL_PJRT_RANK_MAX];
} ftl_pjrt_shape;

/* Bytes of a dense host copy.  FTL_EINVAL: bad rank, dims or overflow; FTL_EUNSUPPORTED: a type
 * whose host form differs by plug-in (4-bit) or that is not known. */
ftl_status ftl_pjrt_shape_bytes(size_t *out, const ftl_pjrt_shape *shape);
/* "f32[2x3]"; returns text. */
const char *ftl_pjrt_shape_text(char *text, size_t text_bytes, const ftl_pjrt_shape *shape);

/* ---- plug-in ---- */

typedef struct ftl_pjrt_plugin_info {
    const char *path; /* resolved */
    int32_t api_major, api_minor;
    size_t n_entries;             /* functions in the table              */
    int64_t stablehlo_current[3]; /* zeros: the plug-in does not say     */
    int64_t stablehlo_minimum[3];
    int64_t xla_version; /* 0: the plug-in does not say         */
} ftl_pjrt_plugin_info;

/* Loads and initializes once per file; later calls for the same file give the same plug-in.
 * FTL_ENOTFOUND: no such file; FTL_EUNSUPPORTED: not a plug-in, or of a version that cannot be
 * spoken to.  May hang or abort with a broken installation: run ftl_pjrt_probe() first. */
ftl_status ftl_pjrt_plugin_open(ftl_pjrt_plugin **out, const char *path);
const ftl_pjrt_plugin_info *ftl_pjrt_plugin_peek_info(const ftl_pjrt_plugin *plugin);

/* Opens the plug-in in a child process, makes a client, compiles and runs a six-element program
 * and compares the result, so that an abort, a crash or a hang costs one sentence.  `report`
 * receives one line about the plug-in.  FTL_ETIMEOUT: killed after timeout_ms (> 0).  FTL_ELOST:
 * the child died.  Call it before the process starts threads: it forks. */
ftl_status ftl_pjrt_probe(const char *path, int64_t timeout_ms, char *report, size_t report_bytes);

/* ---- client and devices ---- */

enum ftl_pjrt_value_kind { /* numbered as plug-ins do */
                           FTL_PJRT_VALUE_TEXT = 0,
                           FTL_PJRT_VALUE_INTEGER = 1,
                           FTL_PJRT_VALUE_LIST = 2,
                           FTL_PJRT_VALUE_REAL = 3,
                           FTL_PJRT_VALUE_FLAG = 4
};
typedef struct
    ftl_pjrt_option { /* e.g. {"cpu_device_count", FTL_PJRT_VALUE_INTEGER, .integer = 2} */
    const char *name;
    enum ftl_pjrt_value_kind kind;
    const char *text;
    int64_t integer;
    const int64_t *list;
    size_t n_list;
    float real;
    bool flag;
} ftl_pjrt_option;

/* Fails with FTL_EINVAL on an option that the plug-in does not know; the CPU one ignores it. */
ftl_status ftl_pjrt_client_create(ftl_pjrt_client **out, ftl_pjrt_plugin *plugin,
                                  const ftl_pjrt_option *options, size_t n_options);
void ftl_pjrt_client_destroy(ftl_pjrt_client *client);

typedef struct ftl_pjrt_client_info { /* borrowed from the client */
    const char *platform;             /* "cpu", "cuda", "tpu"     */
    const char *version;
    size_t n_devices;
} ftl_pjrt_client_info;
ftl_pjrt_client_info ftl_pjrt_client_peek_info(const ftl_pjrt_client *client);

typedef struct ftl_pjrt_device_info {
    char kind[64]; /* "TPU v5 lite" */
    int32_t id;
    int64_t memory_bytes; /* from the description; 0: it does not say */
} ftl_pjrt_device_info;
/* NULL when there is no such device. */
const ftl_pjrt_device_info *ftl_pjrt_device_peek_info(const ftl_pjrt_client *client, size_t device);

typedef struct ftl_pjrt_memory { /* -1: not said */
    int64_t used_bytes, peak_bytes, limit_bytes;
} ftl_pjrt_memory;
/* FTL_EUNSUPPORTED: the plug-in keeps no account (the CPU one). */
ftl_status ftl_pjrt_device_memory(ftl_pjrt_memory *out, const ftl_pjrt_client *client,
                                  size_t device);

/* ---- programs ---- */

/* Protobuf CompileOptions of `n_replicas` x `n_partitions`, both >= 1 (a plug-in aborts on zero).
 * device_id: where a single-device program runs; 0 and programs of several devices take the
 * plug-in's own assignment.  is_cpu: asks XLA's CPU compiler for maxima and minima in which NaN
 * wins, as StableHLO says; its default lets NaN get lost. */
typedef struct ftl_pjrt_build {
    int64_t n_replicas, n_partitions, device_id;
    bool is_cpu;
} ftl_pjrt_build;
typedef struct ftl_pjrt_build_bytes {
    uint8_t data[128];
    size_t n;
} ftl_pjrt_build_bytes;
ftl_status ftl_pjrt_build_encode(ftl_pjrt_build_bytes *out, const ftl_pjrt_build *build);

typedef struct ftl_pjrt_compile_options {
    uint32_t struct_size;
    uint32_t device;              /* index among the client's devices               */
    const ftl_pjrt_shape *params; /* of @main, in order: what execute checks against */
    size_t n_params;
} ftl_pjrt_compile_options;

typedef struct ftl_pjrt_program_info { /* the compiler's figures; negative: it does not say */
    int64_t argument_bytes, output_bytes, alias_bytes, temporary_bytes, code_bytes, peak_bytes;
    double flops, bytes_accessed, seconds;
    bool is_seconds_partial; /* some instructions were unknown to the plug-in's model */
} ftl_pjrt_program_info;

/* text: StableHLO in generic form with one @main.  FTL_EINTERNAL: the plug-in cannot parse it. */
ftl_status ftl_pjrt_compile(ftl_pjrt_program **out, ftl_pjrt_client *client, const char *text,
                            size_t text_bytes, const ftl_pjrt_compile_options *options);
void ftl_pjrt_program_destroy(ftl_pjrt_program *program);
const ftl_pjrt_program_info *ftl_pjrt_program_peek_info(const ftl_pjrt_program *program);
size_t ftl_pjrt_program_n_outputs(const ftl_pjrt_program *program);
/* NULL when there is no such output. */
const ftl_pjrt_shape *ftl_pjrt_program_peek_output(const ftl_pjrt_program *program, size_t output);

/* The compiled program as bytes for a cache on disk; owner: the caller, by ftl_free().
 * FTL_EUNSUPPORTED: this plug-in cannot. */
ftl_status ftl_pjrt_program_serialize(uint8_t **out, size_t *out_bytes,
                                      const ftl_pjrt_program *program);
/* Reads what serialize wrote for the same text and options.  FTL_EFORMAT: damaged;
 * FTL_ENOTFOUND: intact, but of another program, plug-in build or device: compile anew. */
ftl_status ftl_pjrt_program_load(ftl_pjrt_program **out, ftl_pjrt_client *client, const char *text,
                                 size_t text_bytes, const ftl_pjrt_compile_options *options,
                                 const uint8_t *blob, size_t blob_bytes);
/* Names that cache entry: equal keys mean the same text, options, plug-in build and device. */
ftl_status ftl_pjrt_program_key(uint64_t out[2], const ftl_pjrt_client *client, const char *text,
                                size_t text_bytes, const ftl_pjrt_compile_options *options);

/* ---- buffers, events, execution ---- */

/* done == NULL: `data` may be reused when the call returns; else it is borrowed until *done fires.
 * data: dense row-major. */
ftl_status ftl_pjrt_buffer_upload(ftl_pjrt_buffer **out, ftl_pjrt_client *client, size_t device,
                                  const ftl_pjrt_shape *shape, const void *data,
                                  ftl_pjrt_event **done);
/* Dense row-major; bytes must be those of the shape.  done == NULL blocks. */
ftl_status ftl_pjrt_buffer_download(const ftl_pjrt_buffer *buffer, void *data, size_t bytes,
                                    ftl_pjrt_event **done);
/* An event that fires when the content is there, or fails with why it never will be. */
ftl_status ftl_pjrt_buffer_ready(const ftl_pjrt_buffer *buffer, ftl_pjrt_event **out);
const ftl_pjrt_shape *ftl_pjrt_buffer_peek_shape(const ftl_pjrt_buffer *buffer);
ftl_status ftl_pjrt_buffer_device_bytes(size_t *out, const ftl_pjrt_buffer *buffer);
/* Frees the device memory now; the cell stays, and stays unusable until a run fills it again. */
ftl_status ftl_pjrt_buffer_delete(ftl_pjrt_buffer *buffer);
/* True as well after the buffer was donated to a run. */
ftl_status ftl_pjrt_buffer_is_deleted(bool *out, const ftl_pjrt_buffer *buffer);
void ftl_pjrt_buffer_destroy(ftl_pjrt_buffer *buffer);

typedef struct ftl_pjrt_run {
    uint32_t struct_size;
    ftl_pjrt_buffer *const *args;
    size_t n_args;
    ftl_pjrt_buffer **outputs; /* NULL: a cell is made; else its storage is replaced, and it may
                                  be the cell of a donated argument                            */
    size_t n_outputs;
    const int64_t *keep; /* aliased arguments that must survive; a cell given twice must be here */
    size_t n_keep;
    ftl_pjrt_event **done; /* NULL: blocks */
} ftl_pjrt_run;
/* A failure before the launch leaves all cells as they were; after it, donated arguments are lost
 * (ftl_pjrt_buffer_is_deleted tells).  FTL_EINVAL names the first argument that does not match. */
ftl_status ftl_pjrt_execute(const ftl_pjrt_program *program, const ftl_pjrt_run *run);

/* Waits and returns what the work ended with.  timeout_ns < 0: for ever; FTL_ETIMEOUT: not yet. */
ftl_status ftl_pjrt_event_wait(ftl_pjrt_event *event, int64_t timeout_ns);
ftl_status ftl_pjrt_event_is_ready(bool *out, ftl_pjrt_event *event);
void ftl_pjrt_event_destroy(ftl_pjrt_event *event);

#ifdef __cplusplus
}
#endif
#endif
