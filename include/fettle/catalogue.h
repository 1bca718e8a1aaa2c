/* SPDX-License-Identifier: Apache-2.0 */
/* catalogue.h - chips that need not be at hand, as their makers describe them.
 * Every number is the maker's peak, so a prediction from it is optimistic before it is scaled by
 * what real programs reach.  Immutable tables: thread-safe. */
#ifndef FETTLE_CATALOGUE_H
#define FETTLE_CATALOGUE_H

#include <stdint.h>

#include "fettle/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 0 and "" : the maker does not state it. */
typedef struct ftl_chip {
    const char *name;  /* "gpu:h200", "cpu:epyc-9654": what --on takes          */
    const char *kind;  /* "gpu", "tpu", "npu", "cpu"                            */
    const char *title; /* "NVIDIA H200 SXM"                                     */
    double f32_flops_per_s;
    double f16_flops_per_s; /* f16 or bf16, sums in f32, no sparsity                 */
    double i8_ops_per_s;    /* no sparsity                                           */
    uint64_t memory_bytes;  /* of a CPU: the most that can be fitted to one socket   */
    double memory_bytes_per_s;
    const char *link;        /* to the host and to others of its kind                 */
    double host_bytes_per_s; /* one way                                               */
    double peer_bytes_per_s; /* one way, all links of its kind together               */
    double tdp_w;            /* the most it may draw as sold                          */
    uint32_t n_cores;        /* CPU cores, SMs, CUs, Xe cores, TensorCores, AI cores  */
    const char *source;      /* which document, and what was computed from what       */
} ftl_chip;

/* Chips in order of kind and maker; NULL past the end.  Static. */
FTL_API const ftl_chip *ftl_catalogue_at(int32_t i);
/* By name, in any case, "gpu:" may be left out.  FTL_ENOTFOUND: the sentence has the nearest
 * name. */
FTL_API ftl_status ftl_catalogue_find(const ftl_chip **out, const char *name) FTL_MUST_USE;

/* All rows, schema "fettle.catalogue/1"; freed by ftl_text_free(). */
FTL_API ftl_status ftl_catalogue_json(char **out) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
