/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - a model made ready on one device, and run.
 *
 *     ftl_session_options o = FTL_SESSION_OPTIONS_INIT;
 *     o.device = "cpu";
 *     o.batch = 64;
 *     ftl_session_create(&session, model, &o);
 *     ftl_session_set_input(session, 0, x, sizeof x);
 *     ftl_session_run(session, NULL);
 *     ftl_session_get_output(session, 0, y, sizeof y);
 *
 * Creating binds the shapes, optimizes, plans the memory, loads and packs the weights; running
 * allocates nothing.  A session is used by one thread at a time. */
#ifndef FETTLE_SESSION_H
#define FETTLE_SESSION_H

#include "fettle/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_session ftl_session;

typedef struct ftl_session_dim {
    const char *name;
    int64_t value;
} ftl_session_dim;

typedef struct ftl_session_options {
    size_t struct_size;
    const char *device;          /* "cpu", "pjrt:PATH"; "a,b": the first that works; "auto": the
                                    first device that is no emulation; NULL: "cpu"           */
    uint32_t n_threads;          /* 0: one a core that may be used                           */
    int64_t batch;               /* 0: the model's default                                   */
    const ftl_session_dim *dims; /* other named dims                                       */
    int32_t n_dims;
    uint64_t seed;             /* of random weights                                        */
    uint64_t max_memory_bytes; /* 0: what the machine has free; more: FTL_ENOFIT before
                                  anything is loaded                                       */
    const char *cache_folder;  /* compiled programs of graph compilers; NULL: no cache     */
} ftl_session_options;
#define FTL_SESSION_OPTIONS_INIT                                                                   \
    {                                                                                              \
        .struct_size = sizeof(ftl_session_options)                                                 \
    }

typedef struct ftl_session_memory {
    size_t struct_size;
    uint64_t weights_bytes; /* cells of weights, packed or mapped                       */
    uint64_t mapped_bytes;  /* of these: pages of the model's file                      */
    uint64_t state_bytes, io_bytes, workspace_bytes;
    uint64_t overhead_bytes;   /* graph, program, and what is touched of stacks and code    */
    uint64_t load_extra_bytes; /* on top while weights are folded and packed              */
    uint64_t total_bytes;      /* peak: what `plan` predicts                               */
} ftl_session_memory;

FTL_API ftl_status ftl_session_create(ftl_session **out, ftl_model *model,
                                      const ftl_session_options *options) FTL_MUST_USE;
FTL_API void ftl_session_destroy(ftl_session *session);
/* The peak that creating and running needs, without loading anything. */
FTL_API ftl_status ftl_session_predict_memory(ftl_session_memory *out, ftl_model *model,
                                              const ftl_session_options *options) FTL_MUST_USE;
FTL_API void ftl_session_get_memory(const ftl_session *session, ftl_session_memory *out);

FTL_API int32_t ftl_session_n_inputs(const ftl_session *session);
FTL_API int32_t ftl_session_n_outputs(const ftl_session *session);
/* Borrowed.  NULL when there is no such one. */
FTL_API const char *ftl_session_input_name(const ftl_session *session, int32_t i);
FTL_API const char *ftl_session_output_name(const ftl_session *session, int32_t i);
FTL_API const ftl_tensor_desc *ftl_session_input_desc(const ftl_session *session, int32_t i);
FTL_API const ftl_tensor_desc *ftl_session_output_desc(const ftl_session *session, int32_t i);

/* Row-major bytes of the whole tensor.  FTL_EINVAL: another number of bytes. */
FTL_API ftl_status ftl_session_set_input(ftl_session *session, int32_t i, const void *data,
                                         size_t bytes) FTL_MUST_USE;
/* Seeded values: standard normal for floats, small non-negative numbers for integers. */
FTL_API ftl_status ftl_session_set_random_inputs(ftl_session *session, uint64_t seed) FTL_MUST_USE;
FTL_API ftl_status ftl_session_get_output(ftl_session *session, int32_t i, void *data,
                                          size_t bytes) FTL_MUST_USE;
/* seconds: of this run, from call to result; may be NULL. */
FTL_API ftl_status ftl_session_run(ftl_session *session, double *seconds) FTL_MUST_USE;
/* "cpu", "pjrt": the backend of its device.  Static. */
FTL_API const char *ftl_session_device(const ftl_session *session);
FTL_API uint32_t ftl_session_n_threads(const ftl_session *session);

/* One row a node of the program that runs, for `--verbose`. */
typedef struct ftl_session_node {
    const char *op, *name;
    double flops, bytes;
    double seconds; /* measured, median of the runs asked for; 0: not measured */
} ftl_session_node;
/* Rows are borrowed until the next call.  n_runs 0: no measuring.  FTL_EUNSUPPORTED: the device
 * cannot time nodes. */
FTL_API ftl_status ftl_session_profile(ftl_session *session, int32_t n_runs,
                                       const ftl_session_node **rows, int32_t *n_rows) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
