/* SPDX-License-Identifier: Apache-2.0 */
/* prepare.h - from a model to a program on one device, without loading a weight.
 *
 *   model --bind--> graph --optimize--> --legalize--> --fold--> --split--> prologue + slice
 *   slice --compile--> program
 *
 * The planner prices what comes out, run/ loads and runs it; so both speak of the same thing.
 * One thread at a time. */
#ifndef FTL_PLAN_PREPARE_H
#define FTL_PLAN_PREPARE_H

#include "device/device.h"
#include "fettle/session.h"
#include "model/model_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One weight of the slice: how it is stored and what loading it takes. */
typedef struct ftl_prepared_weight {
    uint32_t source;    /* input of the slice                                             */
    int32_t layout;     /* 0: row-major                                                   */
    bool is_wrapped;    /* the cell is the mapped file itself                             */
    bool is_derived;    /* an output of the prologue                                      */
    size_t cell_bytes;  /* on the device                                                  */
    size_t extra_bytes; /* host memory while it is loaded: originals, results, row-major  */
    ftl_graph *recipe;  /* derived: the part of the prologue that computes it; else NULL  */
} ftl_prepared_weight;

typedef struct ftl_prepared {
    ftl_device *device;           /* borrowed */
    const ftl_model *model;       /* borrowed */
    ftl_graph *slice;             /* legal on the device, bound */
    ftl_program *program;         /* NULL until ftl_prepared_compile() */
    ftl_prepared_weight *weights; /* in the order of loading: largest first */
    int32_t n_weights;
    uint32_t n_threads; /* of the program, resolved */
} ftl_prepared;

/* A file puts numbers anywhere, but kernels read floats: true when the tensor's bytes can be read
 * where they lie.  Otherwise, and without a file, a host copy stands in while a weight is
 * loaded. */
bool ftl_prepared_is_readable(const ftl_tensor *tensor);

/* Graphs only.  deinit accepts an all-zero object.  FTL_EUNSUPPORTED names the op that the device
 * lacks. */
ftl_status ftl_prepared_init(ftl_prepared *out, const ftl_model *model, ftl_device *device,
                             const ftl_dim_value *dims, int32_t n_dims) FTL_MUST_USE;
/* The program for n_threads (>= 1), replacing an earlier one; and what each weight needs. */
ftl_status ftl_prepared_compile(ftl_prepared *prepared, uint32_t n_threads,
                                const char *cache_folder) FTL_MUST_USE;
void ftl_prepared_deinit(ftl_prepared *prepared);
/* Bytes by kind and the peak, of a compiled one. */
ftl_status ftl_prepared_memory(const ftl_prepared *prepared, ftl_session_memory *out) FTL_MUST_USE;
/* Named dims for ftl_model_bind() from options: batch and the rest.  `dims` has room for
 * 1 + options->n_dims; returns how many were written.  FTL_EINVAL: no such dim (names those that
 * there are). */
ftl_status ftl_prepare_dims(ftl_dim_value *dims, int32_t *n_dims, const ftl_model *model,
                            const ftl_session_options *options) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
