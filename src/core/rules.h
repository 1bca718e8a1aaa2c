/* SPDX-License-Identifier: Apache-2.0 */
/* rules.h - prototypes of the rules that ops.def names: ftl_infer_<shape> in infer*.c,
 * ftl_cost_<cost> in cost.c, ftl_grad_<gradient>, ftl_lower_<decomposition> in lower*.c.  Written
 * by the list itself, so that a row without its rule does not link.  What each rule must do
 * stands in op.h. */
#ifndef FTL_CORE_RULES_H
#define FTL_CORE_RULES_H

#include "core/op.h"

#ifdef __cplusplus
extern "C" {
#endif

#define X(name, in_min, in_max, n_out, attributes, shape, cost, gradient, decomposition)           \
    ftl_status ftl_infer_##shape(const ftl_graph *, const ftl_node *, ftl_tensor_desc *);          \
    void ftl_cost_##cost(const ftl_graph *, const ftl_node *, const ftl_param_values *,            \
                         ftl_op_cost *);                                                           \
    ftl_status ftl_grad_##gradient(ftl_graph *, const ftl_node *, const int32_t *, int32_t *);     \
    ftl_status ftl_lower_##decomposition(ftl_graph *, const ftl_node *, int32_t *);
#include "core/ops.def"
#undef X

#ifdef __cplusplus
}
#endif
#endif
