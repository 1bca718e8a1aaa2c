/* SPDX-License-Identifier: Apache-2.0 */
/* fettle.h - all of the public API, the version, and what holds for the whole process.
 * The library reads no environment variable: a program that wants the usual ones fills an
 * ftl_environment from them, as the command `fettle` does. */
#ifndef FETTLE_FETTLE_H
#define FETTLE_FETTLE_H

#include "fettle/bench.h"
#include "fettle/devices.h"
#include "fettle/model.h"
#include "fettle/plan.h"
#include "fettle/run.h"
#include "fettle/catalogue.h"
#include "fettle/session.h"
#include "fettle/status.h"
#include "fettle/tensor.h"
#include "fettle/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0".  Static. */
FTL_API const char *ftl_version(void);

/* Strings are borrowed during the call; NULL: not set. */
typedef struct ftl_environment {
    size_t struct_size;
    const char *isa;            /* FETTLE_ISA: "portable", "avx2", ...: lower paths are forced    */
    const char *cache;          /* FETTLE_CACHE: the cache folder itself                          */
    const char *xdg_cache_home; /* XDG_CACHE_HOME: its parent                                     */
    const char *home;           /* HOME: the parent is .cache in it                               */
    const char *pjrt_plugins;   /* FETTLE_PJRT_PLUGINS: paths with ":" between them               */
    const char *fail_allocation; /* FETTLE_TEST_FAIL_ALLOC: "n" fails the n-th request for memory,
                                    "n+" all from there on                                        */
} ftl_environment;
#define FTL_ENVIRONMENT_INIT                                                                       \
    {                                                                                              \
        .struct_size = sizeof(ftl_environment)                                                     \
    }

/* Sets what is of the whole process: isa and fail_allocation.  Before threads start.
 * FTL_EINVAL: an instruction set or number that is none. */
FTL_API ftl_status ftl_environment_apply(const ftl_environment *environment) FTL_MUST_USE;
/* Folder of profiles and compiled programs, for options that ask for one.  Makes no folder.
 * FTL_ENOTFOUND: nothing usable is set.  FTL_EINVAL: `size` is too small. */
FTL_API ftl_status ftl_environment_cache_folder(char *out, size_t size,
                                                const ftl_environment *environment) FTL_MUST_USE;

/* For a handler of SIGINT and SIGTERM: asks every running call of the process to end with
 * FTL_ECANCELED.  Returns how often it was asked before; from the second time on it also removes
 * half-written files, so that the handler may end the process at once.  Async-signal-safe. */
FTL_API int ftl_interrupt(void);

#ifdef __cplusplus
}
#endif
#endif
