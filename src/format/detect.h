/* SPDX-License-Identifier: Apache-2.0 */
/* detect.h - which format a MODEL argument is, by content first and name second, and what to do
 * about a known one that fettle does not read. */
#ifndef FTL_FORMAT_DETECT_H
#define FTL_FORMAT_DETECT_H

#include <stdbool.h>
#include <stddef.h>
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One row of format_kinds.def each. */
typedef enum ftl_format {
    FTL_FORMAT_UNKNOWN = 0,
#define X(ID, name, is_read, advice) FTL_FORMAT_##ID,
#include "format/format_kinds.def"
#undef X
    FTL_FORMAT_COUNT
} ftl_format;

/* Never fails for lack of knowledge: *out is FTL_FORMAT_UNKNOWN then.  A path that does not exist
 * is FTL_FORMAT_HUB_NAME when it looks like "org/name", else FTL_ENOTFOUND.  FTL_EIO: it cannot be
 * read. */
ftl_status ftl_format_detect(ftl_format *out, const char *path);
/* The same for bytes that start a file; `name` decides where content does not. */
ftl_format ftl_format_detect_bytes(const void *data, size_t size, const char *name);

/* "ONNX"; "unknown format". */
const char *ftl_format_name(ftl_format format);
bool ftl_format_is_read(ftl_format format);
/* Fails with FTL_EUNSUPPORTED and the one line that says which command exports or downloads `path`;
 * FTL_OK where the format is read. */
ftl_status ftl_format_need_read(ftl_format format, const char *path);

#ifdef __cplusplus
}
#endif
#endif
