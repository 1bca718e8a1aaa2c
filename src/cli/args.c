/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/args.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fettle/text.h"

typedef struct parser {
    const ftl_cli_option *options;
    char *const *argv;
    int argc, at, most_words;
    void *values;
    ftl_cli_words *words;
    char *why;
    size_t why_size;
} parser;

static bool say(parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool say(parser *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->why, p->why_size, format, args);
    va_end(args);
    return false;
}

/* ---- values -------------------------------------------------------------------------------- */

static bool parse_whole(parser *p, const char *name, const char *text, int64_t least, int64_t *out)
{
    char *end;
    errno = 0;
    const long long x = strtoll(text, &end, 10);
    if (end == text || *end || errno || x < least)
        return say(p, "%s wants a whole number from %lld on, not \"%.60s\"", name, (long long)least,
                   text);
    *out = x;
    return true;
}

typedef struct unit {
    const char *name;
    double factor;
} unit;

/* "1.5GiB": a number, maybe blanks, one of the units (the first: none). */
static bool parse_with_unit(const char *text, const unit *units, size_t n, double *out)
{
    char *end;
    const double x = strtod(text, &end);
    if (end == text || !isfinite(x) || x < 0) return false;
    while (*end == ' ') end++;
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(end, units[i].name) == 0) {
            *out = x * units[i].factor;
            return true;
        }
    return false;
}

static bool parse_bytes(parser *p, const char *name, const char *text, uint64_t *out)
{
    static const unit units[] = {
        { "", 1 },        { "B", 1 },        { "k", 1e3 },     { "kB", 1e3 },
        { "M", 1e6 },     { "MB", 1e6 },     { "G", 1e9 },     { "GB", 1e9 },
        { "T", 1e12 },    { "TB", 1e12 },    { "Ki", 0x1p10 }, { "KiB", 0x1p10 },
        { "Mi", 0x1p20 }, { "MiB", 0x1p20 }, { "Gi", 0x1p30 }, { "GiB", 0x1p30 },
        { "Ti", 0x1p40 }, { "TiB", 0x1p40 },
    };
    double bytes;
    if (!parse_with_unit(text, units, sizeof units / sizeof units[0], &bytes) || bytes >= 0x1p63)
        return say(p, "%s wants bytes, such as 800MB or 2GiB, not \"%.60s\"", name, text);
    *out = (uint64_t)bytes;
    return true;
}

static bool parse_seconds(parser *p, const char *name, const char *text, double *out)
{
    static const unit units[] = { { "", 1 },      { "s", 1 },    { "ms", 1e-3 },
                                  { "us", 1e-6 }, { "min", 60 }, { "h", 3600 } };
    if (parse_with_unit(text, units, sizeof units / sizeof units[0], out)) return true;
    return say(p, "%s wants a time, such as 20ms or 1.5s, not \"%.60s\"", name, text);
}

static bool parse_number(parser *p, const char *name, const char *text, double *out)
{
    static const unit none = { "", 1 };
    if (parse_with_unit(text, &none, 1, out)) return true;
    return say(p, "%s wants a number from 0 on, not \"%.60s\"", name, text);
}

static bool add_word(parser *p, ftl_cli_words *words, const char *what, const char *word)
{
    if (words->n == FTL_CLI_WORDS) return say(p, "%s may come %d times at most", what, words->n);
    words->word[words->n++] = word;
    return true;
}

/* ---- flags --------------------------------------------------------------------------------- */

static bool unknown_flag(parser *p, const char *flag, size_t length)
{
    enum { MOST = 48 };
    const char *names[MOST + 1];
    size_t n = 0;
    char typed[64];
    for (const ftl_cli_option *o = p->options; o->name && n < MOST; o++) names[n++] = o->name;
    names[n++] = "--help";
    snprintf(typed, sizeof typed, "%.*s", (int)(length < 60 ? length : 60), flag);
    const char *nearest = ftl_text_nearest(typed, names, n);
    return nearest ? say(p, "there is no flag %s; did you mean %s?", typed, nearest)
                   : say(p, "there is no flag %s; --help lists those there are", typed);
}

/* `inline_value`: what stood behind "=", or NULL. */
static bool take_flag(parser *p, const ftl_cli_option *o, const char *inline_value)
{
    void *to = (char *)p->values + o->offset;
    if (o->kind == FTL_CLI_FLAG) {
        if (inline_value) return say(p, "%s takes no value", o->name);
        *(bool *)to = true;
        return true;
    }
    const int n_values = o->kind == FTL_CLI_PAIR ? 2 : 1;
    const char *value[2] = { inline_value, NULL };
    for (int i = inline_value ? 1 : 0; i < n_values; i++) {
        if (++p->at >= p->argc)
            return say(p, "%s wants %s behind it", o->name, o->value ? o->value : "a value");
        value[i] = p->argv[p->at];
    }
    switch (o->kind) {
    case FTL_CLI_TEXT: *(const char **)to = value[0]; return true;
    case FTL_CLI_COUNT: return parse_whole(p, o->name, value[0], 1, to);
    case FTL_CLI_WHOLE: return parse_whole(p, o->name, value[0], 0, to);
    case FTL_CLI_NUMBER: return parse_number(p, o->name, value[0], to);
    case FTL_CLI_BYTES: return parse_bytes(p, o->name, value[0], to);
    case FTL_CLI_SECONDS: return parse_seconds(p, o->name, value[0], to);
    case FTL_CLI_PAIR: memcpy(to, value, sizeof value); return true;
    case FTL_CLI_LIST: return add_word(p, to, o->name, value[0]);
    case FTL_CLI_FLAG: break;
    }
    return true;
}

static bool take_long(parser *p, const char *arg)
{
    const size_t length = strcspn(arg, "=");
    const char *value = arg[length] ? arg + length + 1 : NULL;
    for (const ftl_cli_option *o = p->options; o->name; o++)
        if (strlen(o->name) == length && strncmp(o->name, arg, length) == 0)
            return take_flag(p, o, value);
    return unknown_flag(p, arg, length);
}

static bool take_short(parser *p, const char *arg)
{
    for (const ftl_cli_option *o = p->options; o->name; o++)
        if (o->letter && o->letter == arg[1]) return take_flag(p, o, arg[2] ? arg + 2 : NULL);
    return unknown_flag(p, arg, strlen(arg));
}

bool ftl_cli_parse(const ftl_cli_option *options, int most_words, int argc, char **argv,
                   void *values, ftl_cli_words *words, bool *is_help, char *why, size_t why_size)
{
    parser p = { .options = options,
                 .argv = argv,
                 .argc = argc,
                 .most_words = most_words,
                 .values = values,
                 .words = words,
                 .why = why,
                 .why_size = why_size };
    bool ends_flags = false;
    *words = (ftl_cli_words){ .n = 0 };
    *is_help = false;
    for (int i = 1; i < argc && !*is_help && strcmp(argv[i], "--") != 0; i++)
        *is_help = strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
    if (*is_help) return true;
    for (p.at = 1; p.at < argc; p.at++) {
        const char *arg = argv[p.at];
        bool is_fine = true;
        if (!ends_flags && strcmp(arg, "--") == 0) ends_flags = true;
        else if (!ends_flags && strncmp(arg, "--", 2) == 0) is_fine = take_long(&p, arg);
        else if (!ends_flags && arg[0] == '-' && arg[1]) is_fine = take_short(&p, arg);
        else if (words->n >= most_words)
            is_fine = say(&p, "\"%.60s\" is one word too many: %d %s taken", arg, most_words,
                          most_words == 1 ? "is" : "are");
        else is_fine = add_word(&p, words, "a word", arg);
        if (!is_fine) return false;
    }
    return true;
}
