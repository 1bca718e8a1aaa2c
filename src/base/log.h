/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - everything that fettle says beside its results: level, module, one line of text.
 * Idea: one callback for the process; without one, warnings and errors go to stderr.  The callback
 * and level are set before threads start; ftl_log() itself is thread-safe if the callback is. */
#ifndef FTL_BASE_LOG_H
#define FTL_BASE_LOG_H

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ftl_log_level {
    FTL_LOG_ERROR = 0,
    FTL_LOG_WARNING = 1, /* the default: the user should know, a fall-back was taken   */
    FTL_LOG_INFO = 2,    /* which kernel, backend, plan; why the better one was not     */
    FTL_LOG_DEBUG = 3
} ftl_log_level;

/* `text` is one line without its end, valid during the call. */
typedef void (*ftl_log_callback)(void *user, ftl_log_level level, const char *module,
                                 const char *text);

/* callback NULL: the default writer to stderr, "fettle: warning: cpu: ...".  Messages above
 * `most` are dropped before they are formatted. */
void ftl_log_set(ftl_log_callback callback, void *user, ftl_log_level most);
/* True when a message of this level would be seen: guards costly arguments. */
int ftl_log_wants(ftl_log_level level);
/* Lines over 2000 bytes are cut; line ends and control characters inside become spaces. */
void ftl_log(ftl_log_level level, const char *module, const char *format, ...) FTL_PRINTF(3, 4);
/* "error", "warning", "info", "debug". */
const char *ftl_log_level_name(ftl_log_level level);

#ifdef __cplusplus
}
#endif
#endif
