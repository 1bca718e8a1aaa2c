/* SPDX-License-Identifier: Apache-2.0 */
/* session_internal.h - what fit/ and tune/ need of sessions: several on one device and one store
 * of weights. */
#ifndef FTL_RUN_SESSION_INTERNAL_H
#define FTL_RUN_SESSION_INTERNAL_H

#include "fettle/session.h"
#include "run/load.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As ftl_session_create(), on a device and a store of the caller's, which outlive the session.
 * options->device and options->seed are not looked at. */
ftl_status ftl_session_create_on(ftl_session **out, ftl_model *model, ftl_device *device,
                                 ftl_weight_store *store, const ftl_session_options *options,
                                 ftl_load_progress progress, void *arg) FTL_MUST_USE;
const ftl_prepared *ftl_session_get_prepared(const ftl_session *session);

#ifdef __cplusplus
}
#endif
#endif
