/* SPDX-License-Identifier: Apache-2.0 */
/* cancel.h - one flag that asks long work to stop, set by Ctrl-C or a caller.
 * Idea: loops over batches, candidates and repetitions call ftl_cancel_check() and forward its
 * status, so that every object is destroyed and every temporary file removed on the way out.
 * Thread-safe; the flag is for the whole process. */
#ifndef FTL_BASE_CANCEL_H
#define FTL_BASE_CANCEL_H

#include <stdbool.h>

#include "fettle/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Asks for the stop.  Async-signal-safe.  Returns how often it was asked before: a second Ctrl-C
 * may then end the process at once. */
int ftl_cancel_request(void);
/* Async-signal-safe. */
bool ftl_cancel_is_requested(void);
/* FTL_OK, or FTL_ECANCELED with a sentence. */
FTL_MUST_USE ftl_status ftl_cancel_check(void);
/* Takes the request back, for the next job of the same process. */
void ftl_cancel_reset(void);

#ifdef __cplusplus
}
#endif
#endif
