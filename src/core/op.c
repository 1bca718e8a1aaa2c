/* SPDX-License-Identifier: Apache-2.0 */
/* The table of ops: ops.def made into an array. */
#include "core/op.h"

#include <string.h>

#include "core/rules.h"

/* Rows without a rule: after the prototypes of rules.h these two names are NULL. */
#define ftl_grad_NONDIFF    NULL
#define ftl_lower_PRIMITIVE NULL

static const ftl_op_info infos[FTL_OP_COUNT] = {
#define X(name, in_min, in_max, n_out, attributes, shape, cost, gradient, decomposition)           \
    { #name,                                                                                       \
      in_min,                                                                                      \
      in_max,                                                                                      \
      n_out,                                                                                       \
      #attributes,                                                                                 \
      sizeof(((ftl_attr *)0)->attributes),                                                         \
      ftl_infer_##shape,                                                                           \
      ftl_cost_##cost,                                                                             \
      ftl_grad_##gradient,                                                                         \
      ftl_lower_##decomposition },
#include "core/ops.def"
#undef X
};

const ftl_op_info *ftl_op_get_info(ftl_op op)
{
    return &infos[op];
}

ftl_op ftl_op_from_name(const char *name)
{
    int op = 0;
    while (op < FTL_OP_COUNT && strcmp(infos[op].name, name) != 0) op++;
    return (ftl_op)op;
}

ftl_status ftl_node_infer(const ftl_graph *graph, const ftl_node *node, ftl_tensor_desc *out)
{
    const ftl_op_info *info = &infos[node->op];
    const ftl_status s = info->infer(graph, node, out);
    if (s != FTL_OK) return ftl_fail_context(s, "%s", info->name);
    for (int32_t i = 0; i < info->n_out; i++) {
        size_t bytes;
        FTL_TRY(ftl_desc_bytes(&out[i], &bytes));
    }
    return FTL_OK;
}
