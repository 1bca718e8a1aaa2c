/* SPDX-License-Identifier: Apache-2.0 */
/* op_check.h - what the kernel tests share: TAP lines, data, guarded buffers, the list of ISAs, and
 * exact arithmetic.  Plain C and base/cpuid.h only, so that the same tests also build for another
 * architecture without any library and run under an emulator. */
#ifndef FTL_TESTS_OPS_OP_CHECK_H
#define FTL_TESTS_OPS_OP_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/cpu/kernels.h"

/* One TAP line; the plan is printed at the end. */
void op_ok(bool is_ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
void op_skip(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A diagnostic line. */
void op_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints the plan; the exit code of main. */
int op_done(void);

/* Buffers of n floats that start on a 64-byte border, or one float behind it with `shift` 1, with a
 * guard on both sides; exits when memory is used up.  op_free() says false for a broken guard. */
float *op_floats(int64_t n, int shift);
bool op_free(float *buffer);
/* Seeded values in [-1, 1). */
void op_fill(float *x, int64_t n, uint32_t seed);

/* The instruction sets that kernels.def can name, portable first. */
typedef struct op_isa {
    const char *name;
    uint32_t bit;
} op_isa;
extern const op_isa op_isas[];
extern const int op_n_isas;
/* Prints a skip line and says false where the CPU or the build lacks it. */
bool op_isa_usable(const op_isa *isa, const char *what);

/* act(x) of an ending in f64, and a bound for how much an error of x grows in it. */
double op_exact_act(const ftl_epilogue *e, double x);
double op_act_slope(const ftl_epilogue *e);
extern const char *const op_act_names[FTL_EPILOGUE_N];

/* |got - want| <= allowed; NaN equals NaN, inf the same inf. */
bool op_close(float got, double want, double allowed);

#endif
