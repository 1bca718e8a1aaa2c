/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINE_BYTES = 2048 };

static void to_stderr(void *user, ftl_log_level level, const char *module, const char *text)
{
    (void)user;
    /* One call, so that lines of several threads do not mix. */
    fprintf(stderr, "fettle: %s: %s: %s\n", ftl_log_level_name(level), module, text);
}

/* One of the two mutable globals of fettle: set before threads start. */
static struct {
    ftl_log_callback callback;
    void *user;
    ftl_log_level most;
} logger = { to_stderr, NULL, FTL_LOG_WARNING };

void ftl_log_set(ftl_log_callback callback, void *user, ftl_log_level most)
{
    logger.callback = callback ? callback : to_stderr;
    logger.user = user;
    logger.most = most;
}

int ftl_log_wants(ftl_log_level level)
{
    return level <= logger.most;
}

void ftl_log(ftl_log_level level, const char *module, const char *format, ...)
{
    if (!ftl_log_wants(level)) return;
    char text[LINE_BYTES];
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0) text[0] = 0;
    va_end(args);
    /* Names out of files must not move the cursor or forge a line. */
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) *c = ' ';
    logger.callback(logger.user, level, module, text);
}

const char *ftl_log_level_name(ftl_log_level level)
{
    static const char *const names[] = { "error", "warning", "info", "debug" };
    return (unsigned)level < sizeof names / sizeof names[0] ? names[level] : "?";
}
