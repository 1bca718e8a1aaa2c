/* SPDX-License-Identifier: Apache-2.0 */
/* The f32 kernels that are not products, compiled for NEON. */
#include "backend/cpu/kernels_ops.h"

#include "backend/cpu/k_vec_neon.h"

#include "backend/cpu/k_attention_f32.h"
#include "backend/cpu/k_elementwise_f32.h"
#include "backend/cpu/k_reduce_f32.h"
#include "backend/cpu/k_rows_f32.h"
#include "backend/cpu/k_transformer_f32.h"
#include "backend/cpu/k_window_f32.h"
#include "backend/cpu/k_tables_f32.h"

const ftl_ops_f32 k_ops_f32_neon = {
    .name = "neon",
    .isa = FTL_ISA_NEON,
#define X(member) .member = member,
#include "backend/cpu/kernels_ops.def"
#undef X
};
