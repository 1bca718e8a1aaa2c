/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum { PATH_BYTES = 512 };

/* --- parsing ------------------------------------------------------------------------------- */

/* jansson's memory is ours too, so that a test can make it fail.  Its lexer takes a refused string
 * for a syntax error, so the refusal itself is noted. */
static _Thread_local bool was_refused, is_parsing;

/* jansson 2.14 does not see that the buffer of its lexer could not grow (strbuffer_append_byte() in
 * lex_save()) and then copies a string past its end.  So while it parses, a refusal is noted and
 * the system is asked directly; the tree is dropped afterwards.  Only a process of which the system
 * itself refuses a few bytes comes to that bug. */
static void *get_memory(size_t bytes)
{
    void *memory = ftl_alloc(bytes);
    if (memory) return memory;
    was_refused = true;
    return is_parsing ? malloc(bytes) : NULL;
}

static void use_our_memory(void)
{
    json_set_alloc_funcs(get_memory, ftl_free);
}

static void set_up(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, use_our_memory);
}

/* jansson parses by recursion, to a depth of 2048; we stop it before it starts. */
static ftl_status check_depth(const char *text, size_t bytes, const char *name)
{
    int depth = 0, line = 1;
    bool in_string = false;
    for (size_t i = 0; i < bytes; i++) {
        const char c = text[i];
        if (c == '\n') line++;
        if (in_string) {
            if (c == '\\') i++;
            if (c == '"') in_string = false;
            continue;
        }
        if (c == '"') in_string = true;
        if (c == '}' || c == ']') depth--;
        if ((c == '{' || c == '[') && ++depth > FTL_JSON_MAX_DEPTH)
            return ftl_fail(FTL_EFORMAT, "%s: line %d: nested deeper than %d levels", name, line,
                            FTL_JSON_MAX_DEPTH);
    }
    return FTL_OK;
}

ftl_status ftl_json_parse(json_t **out, const char *text, size_t bytes, const char *name)
{
    *out = NULL;
    set_up();
    FTL_TRY(check_depth(text, bytes, name));
    json_error_t e;
    was_refused = false;
    is_parsing = true;
    json_t *tree = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &e);
    is_parsing = false;
    if (tree && !was_refused) {
        *out = tree;
        return FTL_OK;
    }
    json_decref(tree);
    if (was_refused) return ftl_fail(FTL_ENOMEM, "no memory to parse %s", name);
    return ftl_fail(FTL_EFORMAT, "%s: line %d, column %d: no valid JSON: %s", name, e.line,
                    e.column, e.text);
}

ftl_status ftl_json_parse_file(json_t **out, const char *path, size_t limit_bytes)
{
    *out = NULL;
    char *text;
    size_t bytes;
    FTL_TRY(ftl_file_read_all(&text, &bytes, path, limit_bytes));
    const ftl_status s = ftl_json_parse(out, text, bytes, path);
    ftl_free(text);
    return s;
}

/* --- reading ------------------------------------------------------------------------------- */

ftl_json ftl_json_root(const json_t *value, const char *name)
{
    return (ftl_json){ .value = value, .name = name };
}

/* Appends to text, cut to size; returns the new length. */
static size_t append(char *text, size_t size, size_t used, const char *format, ...)
    FTL_PRINTF(4, 5);
static size_t append(char *text, size_t size, size_t used, const char *format, ...)
{
    if (used >= size) return used;
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(text + used, size - used, format, args);
    va_end(args);
    return n < 0 ? used : used + (size_t)n;
}

char *ftl_json_path(const ftl_json *at, char *text, size_t size)
{
    const ftl_json *way[FTL_JSON_MAX_DEPTH + 2];
    int n = 0;
    for (; at && n < FTL_JSON_MAX_DEPTH + 2; at = at->parent) way[n++] = at;
    size_t used = 0;
    if (size > 0) text[0] = 0;
    for (int i = n - 1; i >= 0; i--) {
        const bool is_root = !way[i]->parent, under_root = !is_root && !way[i]->parent->parent;
        if (under_root) used = append(text, size, used, ": ");
        if (way[i]->name)
            used = append(text, size, used, "%s%s", is_root || under_root ? "" : ".", way[i]->name);
        else used = append(text, size, used, "[%zu]", way[i]->index);
    }
    return text;
}

ftl_status ftl_json_complain(const ftl_json *at, const char *format, ...)
{
    char path[PATH_BYTES], text[PATH_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ftl_fail(FTL_EFORMAT, "%s: %s", ftl_json_path(at, path, sizeof path), text);
}

static const char *type_name(const json_t *value)
{
    if (!value) return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a real number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: return "null";
    }
    return "an unknown type";
}

static ftl_status wrong_type(const ftl_json *at, const char *wanted)
{
    return ftl_json_complain(at, "expected %s, found %s", wanted, type_name(at->value));
}

bool ftl_json_has(const ftl_json *at, const char *key)
{
    const json_t *value = json_object_get(at->value, key);
    return value && !json_is_null(value);
}

ftl_status ftl_json_member(ftl_json *out, const ftl_json *at, const char *key)
{
    *out = (ftl_json){ .parent = at, .name = key };
    if (!json_is_object(at->value)) return wrong_type(at, "an object");
    out->value = json_object_get(at->value, key);
    if (!out->value) return ftl_json_complain(at, "the key \"%s\" is missing", key);
    return FTL_OK;
}

ftl_status ftl_json_object(ftl_json *out, const ftl_json *at, const char *key)
{
    FTL_TRY(ftl_json_member(out, at, key));
    return json_is_object(out->value) ? FTL_OK : wrong_type(out, "an object");
}

ftl_status ftl_json_array(ftl_json *out, const ftl_json *at, const char *key)
{
    FTL_TRY(ftl_json_member(out, at, key));
    return json_is_array(out->value) ? FTL_OK : wrong_type(out, "an array");
}

size_t ftl_json_size(const ftl_json *at)
{
    return json_array_size(at->value);
}

ftl_json ftl_json_item(const ftl_json *at, size_t i)
{
    return (ftl_json){ .value = json_array_get(at->value, i), .parent = at, .index = i };
}

/* The scalar that a getter means. */
static ftl_status pick(ftl_json *out, const ftl_json *at, const char *key)
{
    if (key) return ftl_json_member(out, at, key);
    *out = *at;
    return FTL_OK;
}

ftl_status ftl_json_int(int64_t *out, const ftl_json *at, const char *key, int64_t least,
                        int64_t most)
{
    *out = 0;
    ftl_json v;
    FTL_TRY(pick(&v, at, key));
    if (!json_is_integer(v.value)) return wrong_type(&v, "an integer");
    const int64_t x = json_integer_value(v.value);
    if (x < least || x > most)
        return ftl_json_complain(&v, "%" PRId64 " is outside %" PRId64 " to %" PRId64, x, least,
                                 most);
    *out = x;
    return FTL_OK;
}

ftl_status ftl_json_real(double *out, const ftl_json *at, const char *key)
{
    *out = 0;
    ftl_json v;
    FTL_TRY(pick(&v, at, key));
    if (!json_is_number(v.value)) return wrong_type(&v, "a number");
    *out = json_number_value(v.value);
    return FTL_OK;
}

ftl_status ftl_json_bool(bool *out, const ftl_json *at, const char *key)
{
    *out = false;
    ftl_json v;
    FTL_TRY(pick(&v, at, key));
    if (!json_is_boolean(v.value)) return wrong_type(&v, "true or false");
    *out = json_is_true(v.value);
    return FTL_OK;
}

ftl_status ftl_json_string(const char **out, const ftl_json *at, const char *key)
{
    *out = NULL;
    ftl_json v;
    FTL_TRY(pick(&v, at, key));
    if (!json_is_string(v.value)) return wrong_type(&v, "a string");
    *out = json_string_value(v.value);
    return FTL_OK;
}

/* --- writing ------------------------------------------------------------------------------- */

enum { DUMP_FLAGS = JSON_INDENT(2) | JSON_ENCODE_ANY };

json_t *ftl_json_new_real(double x)
{
    set_up();
    return isfinite(x) ? json_real(x) : json_null();
}

/* jansson's callback: 0 goes on, -1 stops. */
static int dump_piece(const char *data, size_t bytes, void *writer)
{
    return ftl_file_writer_write(writer, data, bytes) == FTL_OK ? 0 : -1;
}

ftl_status ftl_json_write_file(const json_t *value, const char *path)
{
    set_up();
    ftl_file_writer *w;
    FTL_TRY(ftl_file_writer_open(&w, path));
    was_refused = false;
    const int dumped = json_dump_callback(value, dump_piece, w, DUMP_FLAGS);
    ftl_status s = ftl_file_writer_write(w, "\n", 1); /* repeats an earlier failure */
    if (s == FTL_OK && dumped != 0)
        s = was_refused ? ftl_fail(FTL_ENOMEM, "no memory to write %s", path)
                        : ftl_fail(FTL_EINTERNAL, "cannot write %s: its tree is no JSON", path);
    if (s != FTL_OK) {
        ftl_file_writer_abort(w);
        return s;
    }
    return ftl_file_writer_commit(w);
}

ftl_status ftl_json_write_text(char **out, const json_t *value)
{
    *out = NULL;
    set_up();
    char *text = json_dumps(value, DUMP_FLAGS);
    char *line = text ? ftl_realloc(text, strlen(text) + 2) : NULL;
    if (!line) {
        ftl_free(text);
        return ftl_fail(FTL_ENOMEM, "no memory for JSON text");
    }
    strcat(line, "\n");
    *out = line;
    return FTL_OK;
}
