/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h - what a device can do, measured: the rows behind every prediction.
 * A profile is one measurement of one device; the store keeps it per machine, device, driver,
 * fettle version and instruction set.  A profile is plain data, used by one thread at a time. */
#ifndef FETTLE_BENCH_H
#define FETTLE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fettle/status.h"
#include "fettle/tensor.h"
#include "fettle/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a row measures, its unit, and what dim[] and name hold.  The numbers are in files. */
typedef enum ftl_profile_kind {
    FTL_PROFILE_PEAK = 1,  /* flop/s; fused multiply-adds in registers, of `dtype`               */
    FTL_PROFILE_READ = 2,  /* byte/s; dim[0]: working set of all threads together in bytes;      */
    FTL_PROFILE_WRITE = 3, /*         name: "L1", "L2", "L3", "memory"                           */
    FTL_PROFILE_COPY = 4,  /* bytes read and bytes written both count                            */
    FTL_PROFILE_TRIAD = 5, /* a = b + s * c: 3 arrays count                                      */
    FTL_PROFILE_LATENCY = 6, /* s for a load that waits for the load before; dim, name as READ   */
    FTL_PROFILE_FORK = 7,    /* s to start all threads on a task and join them, while they spin  */
    FTL_PROFILE_WAKE = 8,    /* the same when they have gone to sleep                            */
    FTL_PROFILE_BARRIER = 9, /* s of one barrier between the steps of a program                  */
    FTL_PROFILE_LAUNCH = 10, /* s of one run of the smallest program, its call included          */
    FTL_PROFILE_STEP = 11,   /* s that one more tiny node adds to a program                      */
    FTL_PROFILE_GEMM = 12,   /* flop/s; linear x[m, k] w[n, k]^T + b; dim: m, n, k               */
    FTL_PROFILE_CONV = 13,   /* flop/s; dim: batch, c_in, h, w, c_out, kernel, stride, groups    */
    FTL_PROFILE_STREAM = 14, /* byte/s of a program of one op, its inputs and output counted
                                once; name: "add", "softmax", ...; dim: rows, columns            */
    FTL_PROFILE_LEARNED = 15 /* share of their bound that nodes of a class reached in models that
                                were run, 0 to 1; name: the class; mad: scatter of its logarithm;
                                n: nodes; dim[0]: the class's number */
} ftl_profile_kind;

enum {
    FTL_PROFILE_DISTURBED = 1, /* something else used the machine meanwhile, twice in a row     */
    FTL_PROFILE_FAULT = 2      /* faster than physics allows: `note` says against what; a fault
                                  of the measurement, never used in a prediction                */
};
enum { FTL_PROFILE_DIMS = 8 };

typedef struct ftl_profile_row {
    int32_t kind; /* ftl_profile_kind */
    ftl_dtype dtype;
    int32_t threads;
    uint32_t flags, n; /* n: repetitions, at least 5 */
    int64_t dim[FTL_PROFILE_DIMS];
    char name[32];
    double flops, bytes;          /* of one unit of work; 0: none                                */
    double median, mad, min, max; /* in the kind's unit; mad: median of |x - median|             */
    char note[96];
} ftl_profile_row;

typedef struct ftl_profile_power {
    bool is_available;
    char method[32], covers[24]; /* "not available" */
    double idle_w, active_w;     /* NaN when not available */
    double seconds;              /* that active_w was measured over */
    char why[1024];              /* for each meter, and the command that would permit it */
} ftl_profile_power;

typedef struct ftl_profile {
    size_t struct_size;
    /* The key of the store. */
    char machine[160]; /* CPU, cores and memory in one line */
    char device[256];  /* as it was opened: "cpu" */
    char driver[96];   /* what the backend calls the device and its driver */
    char version[24];  /* of fettle */
    char isa[128];
    /* The rest. */
    char device_name[64];
    char cpu[96];
    int64_t time_s;  /* seconds since 1970 */
    double seconds;  /* that measuring took */
    int32_t threads; /* "all threads" */
    bool is_quick, is_disturbed;
    double drift; /* largest move of the reference loop, 0.1 is 10 % */
    char why_faults[160];
    ftl_profile_power power;
    ftl_profile_row *rows;
    size_t n_rows, room;
} ftl_profile;

/* Told how far measuring is; `what` is valid during the call. */
typedef void (*ftl_bench_progress)(void *user, double done_share, const char *what);

typedef struct ftl_bench_options {
    size_t struct_size;
    const char *device;              /* NULL: "cpu"                                           */
    bool is_quick;                   /* under 10 s instead of 60                              */
    double seconds;                  /* another budget; 0: as is_quick says                   */
    int32_t n_threads;               /* "all threads"; 0: one a core that may be used         */
    const char *cache_folder;        /* of the store; NULL: nothing is stored                 */
    const char *power_meter_command; /* prints watts; NULL: what the machine has              */
    ftl_bench_progress progress;     /* NULL: none */
    void *user;
} ftl_bench_options;
#define FTL_BENCH_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(ftl_bench_options)                                                   \
    }

/* Measures and stores.  A store that cannot be written is a warning in the log and in *store_note
 * (may be NULL; "" when stored; freed by ftl_text_free()), not a failure.
 * FTL_ECANCELED: nothing was stored.  FTL_ENOTFOUND, FTL_EUNSUPPORTED: the device. */
FTL_API ftl_status ftl_bench(ftl_profile **out, char **store_note,
                             const ftl_bench_options *options) FTL_MUST_USE;
FTL_API void ftl_profile_destroy(ftl_profile *profile);

/* The static word of a kind, "gemm", and its unit, "flop/s". */
FTL_API const char *ftl_profile_kind_name(int32_t kind);
FTL_API const char *ftl_profile_kind_unit(int32_t kind);
/* "f32", "i8": the static name of a type. */
FTL_API const char *ftl_dtype_text(ftl_dtype dtype);
/* The row's shape for people, "64 x 1000 x 1000"; cut to size.  Returns text. */
FTL_API char *ftl_profile_row_text(char *text, size_t size, const ftl_profile_row *row);

/* JSON (schema "fettle.bench/1") and CSV texts are freed by ftl_text_free(). */
FTL_API ftl_status ftl_profile_json(char **out, const ftl_profile *profile) FTL_MUST_USE;
FTL_API ftl_status ftl_profile_csv(char **out, const ftl_profile *profile) FTL_MUST_USE;
/* The JSON as a file, whole or not at all, and back.  FTL_EFORMAT: no such profile. */
FTL_API ftl_status ftl_profile_export(const ftl_profile *profile, const char *path) FTL_MUST_USE;
FTL_API ftl_status ftl_profile_import(ftl_profile **out, const char *path) FTL_MUST_USE;
/* An exported file by its path, or a stored one: "latest", "previous", or its number in the list.
 * FTL_ENOTFOUND: neither. */
FTL_API ftl_status ftl_profile_find(ftl_profile **out, const char *cache_folder,
                                    const char *spelling) FTL_MUST_USE;

/* One row that both have. */
typedef struct ftl_profile_change {
    const ftl_profile_row *a, *b;
    double ratio; /* of b over a, turned so that above 1 is faster                          */
    bool is_beyond_noise; /* the ranges median +- 3 * 1.4826 * mad do not touch, and > 3 %      */
} ftl_profile_change;
/* Rows of a in their order; the caller frees the array by ftl_text_free().  Points into both. */
FTL_API ftl_status ftl_profile_compare(ftl_profile_change **out, size_t *n, const ftl_profile *a,
                                       const ftl_profile *b) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
