/* SPDX-License-Identifier: Apache-2.0 */
/* The f32 kernels that are not products, compiled for AVX512. */
#include "backend/cpu/kernels_ops.h"

#include "backend/cpu/k_vec_avx512.h"

#include "backend/cpu/k_attention_f32.h"
#include "backend/cpu/k_elementwise_f32.h"
#include "backend/cpu/k_reduce_f32.h"
#include "backend/cpu/k_rows_f32.h"
#include "backend/cpu/k_transformer_f32.h"
#include "backend/cpu/k_window_f32.h"
#include "backend/cpu/k_tables_f32.h"

const ftl_ops_f32 k_ops_f32_avx512 = {
    .name = "avx512",
    .isa = FTL_ISA_AVX512,
#define X(member) .member = member,
#include "backend/cpu/kernels_ops.def"
#undef X
};
