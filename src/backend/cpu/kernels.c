/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/kernels.h"

#include "base/cpuid.h"

const ftl_kernel ftl_kernels[] = {
#define X(function, op, dtypes, isa, tile_m, tile_n, align)                                        \
    { #function, FTL_KERNEL_##op, #dtypes, isa, tile_m, tile_n, align, (void (*)(void))function },
#include "backend/cpu/kernels.def"
#undef X
};
const int ftl_n_kernels = (int)(sizeof ftl_kernels / sizeof ftl_kernels[0]);
