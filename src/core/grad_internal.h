/* SPDX-License-Identifier: Apache-2.0 */
/* grad_internal.h - what the gradient rules share. */
#ifndef FTL_CORE_GRAD_INTERNAL_H
#define FTL_CORE_GRAD_INTERNAL_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The gradient of `like` from that of a tensor it was broadcast to: sums over what was repeated. */
int32_t ftl_grad_unbroadcast(ftl_graph *graph, int32_t d, int32_t like);
/* d * (1 - y^2) and d * y * (1 - y). */
int32_t ftl_grad_from_tanh(ftl_graph *graph, int32_t y, int32_t d);
int32_t ftl_grad_from_sigmoid(ftl_graph *graph, int32_t y, int32_t d);

#ifdef __cplusplus
}
#endif
#endif
