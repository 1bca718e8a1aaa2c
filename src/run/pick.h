/* SPDX-License-Identifier: Apache-2.0 */
/* pick.h - from what a user calls a device to an open one.  Function without state. */
#ifndef FTL_RUN_PICK_H
#define FTL_RUN_PICK_H

#include <stddef.h>

#include "device/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Told which device was passed over and why; the texts are valid during the call. */
typedef ftl_status (*ftl_pick_note)(void *arg, const char *device, const char *why);
enum { FTL_PICK_NAME = 256 };

/* "cpu", "pjrt:PATH"; "a,b": the first that opens; "auto": the first backend that has a real
 * device; NULL: "cpu".  name (room for FTL_PICK_NAME) gets the spelling that was opened.  note
 * may be NULL: then whoever falls back says so in the log.  FTL_ENOTFOUND: none opens. */
ftl_status ftl_pick_device(ftl_device **out, char *name, const char *asked, ftl_pick_note note,
                           void *arg) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
