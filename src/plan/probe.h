/* SPDX-License-Identifier: Apache-2.0 */
/* probe.h - a small program on a device, made only to be timed.
 * Its cells hold random data.  One thread at a time. */
#ifndef FTL_PLAN_PROBE_H
#define FTL_PLAN_PROBE_H

#include "device/device.h"
#include "fettle/bench.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_probe ftl_probe;

/* The graph of a GEMM, CONV, STREAM, LAUNCH or STEP row (STEP: the longer chain).
 * FTL_EUNSUPPORTED: no such kind or op.  FTL_EINVAL: dims. */
ftl_status ftl_probe_graph(ftl_graph **out, const ftl_profile_row *row) FTL_MUST_USE;
/* Nodes of the chain of STEP. */
enum { FTL_PROBE_CHAIN = 33 };

/* Legalizes, compiles, makes and fills the cells.  Device and queue are borrowed and outlive it. */
ftl_status ftl_probe_create(ftl_probe **out, ftl_device *device, ftl_queue *queue,
                            const ftl_graph *graph) FTL_MUST_USE;
void ftl_probe_destroy(ftl_probe *probe);
double ftl_probe_flops(const ftl_probe *probe);
double ftl_probe_bytes(const ftl_probe *probe);
/* Once, to the end. */
ftl_status ftl_probe_run(ftl_probe *probe) FTL_MUST_USE;
/* Warms up, then writes the seconds of one run, each a mean over about `seconds`. */
ftl_status ftl_probe_measure(ftl_probe *probe, double seconds, double *samples,
                             uint32_t n) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
