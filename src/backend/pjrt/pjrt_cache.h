/* SPDX-License-Identifier: Apache-2.0 */
/* pjrt_cache.h - compiled programs on disk.
 * One file a program, "pjrt-<key>.bin"; the key covers the text, the options, the plug-in's build,
 * the device, the vendor's own flags, and for the CPU plug-in the instruction sets of this machine:
 * its code may use them all, and stops with SIGILL elsewhere.  A file that does not load is written
 * anew, so the folder may be deleted at any time.  Thread-safe. */
#ifndef FTL_BACKEND_PJRT_CACHE_H
#define FTL_BACKEND_PJRT_CACHE_H

#include "backend/pjrt/pjrt_api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ftl_pjrt_compile() by way of the folder, which is made where it is absent.  A folder that cannot
 * be read or written is a warning, not a failure. */
ftl_status ftl_pjrt_compile_cached(ftl_pjrt_program **out, ftl_pjrt_client *client,
                                   const char *text, size_t text_bytes,
                                   const ftl_pjrt_compile_options *options,
                                   const char *folder) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
