/* SPDX-License-Identifier: Apache-2.0 */
/* cpuid.h - which instruction sets this process may use.
 * Idea: bits that a kernel names as its need; FTL_ISA_ANY is no bit, so that
 * (ftl_cpu_isa() & need) == need holds for portable C everywhere.  A bit is set only where the CPU
 * has the instructions and the operating system saves their registers.  Thread-safe, but
 * ftl_cpu_isa_limit() is called before threads start. */
#ifndef FTL_BASE_CPUID_H
#define FTL_BASE_CPUID_H

#include <stddef.h>
#include <stdint.h>

#include "fettle/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ftl_isa {
    FTL_ISA_ANY = 0,
    FTL_ISA_AVX2 = 1 << 0,        /* with FMA and F16C                       */
    FTL_ISA_AVX512 = 1 << 1,      /* F, BW, DQ, VL, CD: Skylake server, Zen 4 */
    FTL_ISA_AVX512_VNNI = 1 << 2, /* dot products of bytes, 512 bit           */
    FTL_ISA_AVX512_BF16 = 1 << 3,
    FTL_ISA_AVX_VNNI = 1 << 4, /* dot products of bytes, VEX, 256 bit      */
    FTL_ISA_NEON = 1 << 5,     /* AArch64 Advanced SIMD, always with FMA   */
    FTL_ISA_NEON_DOT = 1 << 6,
    FTL_ISA_NEON_I8MM = 1 << 7,
    FTL_ISA_NEON_BF16 = 1 << 8
} ftl_isa;

/* What this machine offers, cut by the limit. */
uint32_t ftl_cpu_isa(void);
/* The same without the limit. */
uint32_t ftl_cpu_isa_detected(void);
/* Forces lower paths: only bits of `mask` stay.  UINT32_MAX lifts the limit. */
void ftl_cpu_isa_limit(uint32_t mask);

/* "avx2" for one bit, "any" for 0, NULL for what is no single bit.  Static. */
const char *ftl_isa_name(uint32_t bit);
/* "avx2 avx512" for a mask, "any" for 0; cut to size.  Returns text. */
char *ftl_isa_names(char *text, size_t size, uint32_t mask);
/* A name, or several with commas, gives their bits and all those that they build on: "avx512" is
 * AVX2 too.  "any" and "portable" are 0, "native" is everything.  FTL_EINVAL: unknown name; the
 * sentence lists the known ones. */
FTL_MUST_USE ftl_status ftl_isa_parse(uint32_t *mask, const char *text);

/* The name the maker gave the CPU, "AMD EPYC 7B13", without doubled spaces, else "unknown CPU"; cut
 * to size.  Returns text. */
char *ftl_cpu_name(char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
