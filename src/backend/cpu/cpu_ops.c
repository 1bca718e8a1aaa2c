/* SPDX-License-Identifier: Apache-2.0 */
/* Which op is done by which file: cpu_ops.def made into a table. */
#include "backend/cpu/cpu_internal.h"

#define X(op, row) extern const cpu_op ftl_cpu_op_##row;
#include "backend/cpu/cpu_ops.def"
#undef X

const cpu_op *ftl_cpu_op_get(ftl_op op)
{
    static const cpu_op *const rows[FTL_OP_COUNT] = {
#define X(op, row) [FTL_OP_##op] = &ftl_cpu_op_##row,
#include "backend/cpu/cpu_ops.def"
#undef X
    };
    return rows[op];
}
