/* SPDX-License-Identifier: Apache-2.0 */
/* args.h - flags as a table: each row names a flag, what follows it, and the member of the verb's
 * own struct that receives it.
 *
 *     typedef struct values { bool json; int64_t threads; } values;
 *     static const ftl_cli_option options[] = {
 *         { "--json", 0, FTL_CLI_FLAG, NULL, "print JSON", offsetof(values, json) },
 *         { "--threads", 't', FTL_CLI_COUNT, "N", "use N threads", offsetof(values, threads) },
 *         { NULL },
 *     };
 *
 * "--flag value", "--flag=value", "-t 4" and "-t4" are the same; "--" ends the flags. */
#ifndef FTL_CLI_ARGS_H
#define FTL_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ftl_cli_kind {
    FTL_CLI_FLAG,    /* bool                                               */
    FTL_CLI_TEXT,    /* const char *                                       */
    FTL_CLI_COUNT,   /* int64_t, at least 1                                */
    FTL_CLI_WHOLE,   /* int64_t, at least 0                                */
    FTL_CLI_NUMBER,  /* double, finite, at least 0                         */
    FTL_CLI_BYTES,   /* uint64_t: "2G", "1.5GiB", "800 MB", "4096"         */
    FTL_CLI_SECONDS, /* double: "20ms", "1.5s", "300us", "2min"            */
    FTL_CLI_PAIR,    /* const char *[2]: two words follow                  */
    FTL_CLI_LIST     /* ftl_cli_words: the flag may come again             */
} ftl_cli_kind;

enum { FTL_CLI_WORDS = 32 };
typedef struct ftl_cli_words {
    const char *word[FTL_CLI_WORDS];
    int n;
} ftl_cli_words;

typedef struct ftl_cli_option {
    const char *name; /* "--threads"; NULL ends the table */
    char letter;      /* 't' of "-t", or 0                */
    ftl_cli_kind kind;
    const char *value; /* "N", "PATH", "A B": for the help */
    const char *help;
    size_t offset; /* of the member */
} ftl_cli_option;

/* Fills `values` and `words` from argv[1 ... argc - 1].  is_help: --help or -h was met, nothing
 * else counts then.  false: wrong use, and `why` has the sentence, with the nearest flag. */
bool ftl_cli_parse(const ftl_cli_option *options, int most_words, int argc, char **argv,
                   void *values, ftl_cli_words *words, bool *is_help, char *why, size_t why_size);

#endif
