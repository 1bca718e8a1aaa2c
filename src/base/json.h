/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - JSON that explains itself, on top of jansson.
 * Idea: parsing names file, line and column; reading goes through a cursor that remembers the way
 * down, so that every complaint says "config.json: layers[3].size: expected an integer, found a
 * string"; writing never produces NaN or infinity and goes through the atomic writer.
 * A tree is used by one thread at a time while it is changed.  Values are built with jansson's own
 * json_object(), json_string() and so on; ownership of json_t is by its reference count. */
#ifndef FTL_BASE_JSON_H
#define FTL_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FTL_JSON_MAX_DEPTH = 200 };

/* --- parsing ------------------------------------------------------------------------------- */

/* Owner: the caller, by json_decref().  `name` stands for the text in sentences.  FTL_EFORMAT: no
 * JSON, a name twice in one object, nested deeper than FTL_JSON_MAX_DEPTH, bytes that are no
 * UTF-8, an integer beyond 64 bits.  FTL_ENOMEM. */
FTL_MUST_USE ftl_status ftl_json_parse(json_t **out, const char *text, size_t bytes,
                                       const char *name);
/* Also what ftl_file_read_all() says. */
FTL_MUST_USE ftl_status ftl_json_parse_file(json_t **out, const char *path, size_t limit_bytes);

/* --- reading ------------------------------------------------------------------------------- */

/* Where we are in a tree.  Borrows the tree, its name, the key and its parent cursor, which all
 * must outlive it; cursors live on the stack. */
typedef struct ftl_json {
    const json_t *value;
    const struct ftl_json *parent; /* NULL: the root                         */
    const char *name;              /* key in an object; of the root, a file */
    size_t index;                  /* in an array, where name is NULL        */
} ftl_json;

ftl_json ftl_json_root(const json_t *value, const char *name);
/* FTL_EFORMAT with the way down, ": " and the text: for rules of the caller's own. */
ftl_status ftl_json_complain(const ftl_json *at, const char *format, ...) FTL_PRINTF(2, 3);
/* Writes the way down, "config.json: layers[3].size", cut to size.  Returns text. */
char *ftl_json_path(const ftl_json *at, char *text, size_t size);

/* True when `at` is an object with the key, and the value is not null. */
bool ftl_json_has(const ftl_json *at, const char *key);
/* The member of an object, of any type.  FTL_EFORMAT: `at` is no object, or the key is missing. */
FTL_MUST_USE ftl_status ftl_json_member(ftl_json *out, const ftl_json *at, const char *key);
FTL_MUST_USE ftl_status ftl_json_object(ftl_json *out, const ftl_json *at, const char *key);
FTL_MUST_USE ftl_status ftl_json_array(ftl_json *out, const ftl_json *at, const char *key);
/* Elements, 0 for what is no array. */
size_t ftl_json_size(const ftl_json *at);
/* Element i < ftl_json_size(at). */
ftl_json ftl_json_item(const ftl_json *at, size_t i);

/* A scalar: member `key` of the object `at`, or `at` itself when key is NULL.
 * FTL_EFORMAT: missing, another type, outside [least, most]. */
FTL_MUST_USE ftl_status ftl_json_int(int64_t *out, const ftl_json *at, const char *key,
                                     int64_t least, int64_t most);
/* Integers count as reals. */
FTL_MUST_USE ftl_status ftl_json_real(double *out, const ftl_json *at, const char *key);
FTL_MUST_USE ftl_status ftl_json_bool(bool *out, const ftl_json *at, const char *key);
/* Borrowed from the tree. */
FTL_MUST_USE ftl_status ftl_json_string(const char **out, const ftl_json *at, const char *key);

/* --- writing ------------------------------------------------------------------------------- */

/* A new real, or null for NaN and infinities: "not available". */
json_t *ftl_json_new_real(double x);
/* Indented by 2, keys in order of insertion, 17 digits, a line end behind it.  Replaces the file at
 * once or not at all. */
FTL_MUST_USE ftl_status ftl_json_write_file(const json_t *value, const char *path);
/* The same text in memory; owner: the caller, by ftl_free().  FTL_ENOMEM. */
FTL_MUST_USE ftl_status ftl_json_write_text(char **out, const json_t *value);

#ifdef __cplusplus
}
#endif
#endif
