/* SPDX-License-Identifier: Apache-2.0 */
/* analyse.h - put before every source by tools/analyse: tells clang's analyser, which does not look
 * into other files, that a recorded failure is never FTL_OK. */
#ifndef FTL_TOOLS_ANALYSE_H
#define FTL_TOOLS_ANALYSE_H

#include "base/status.h"

#undef ftl_fail
#define ftl_fail(code, ...) (ftl_fail_at((code), __FILE__, __LINE__, __VA_ARGS__), (code))
#define ftl_fail_context(code, ...) (ftl_fail_context((code), __VA_ARGS__), (code))

#endif
