/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h - a verb of the command: one row in main.c, one file cmd_<verb>.c.
 * The command parses and prints; what there is to decide is decided by the library.  This folder
 * includes include/fettle/ only, and it alone reads the environment. */
#ifndef FTL_CLI_CLI_H
#define FTL_CLI_CLI_H

#include "cli/args.h"
#include "fettle/fettle.h"

enum { FTL_CLI_OK = 0, FTL_CLI_FAILED = 1, FTL_CLI_WRONG_USE = 2 };

typedef struct ftl_cli_context {
    ftl_environment environment;
    char cache_folder[4096]; /* "" : none is usable, and cache_why says why */
    char cache_why[256];
} ftl_cli_context;

typedef struct ftl_cli_verb {
    const char *name, *summary; /* summary: one line */
    const char *usage;          /* what stands behind "fettle <name>" */
    const char *about;          /* a paragraph for its --help */
    const ftl_cli_option *options;
    const char *examples[4]; /* command, what it does, command, what it does */
    int most_words;          /* words that are no flags */
    /* Returns an FTL_CLI_ code.  argv[0] is the verb. */
    int (*run)(const ftl_cli_context *context, int argc, char **argv);
} ftl_cli_verb;

extern const ftl_cli_verb ftl_cli_devices, ftl_cli_bench, ftl_cli_plan, ftl_cli_fit, ftl_cli_run;

/* What every verb starts with: the verb's flags into *values (the struct that its options point
 * into) and its words.  Help was asked for: prints it, *done is true and FTL_CLI_OK comes back. */
int ftl_cli_start(const ftl_cli_verb *verb, int argc, char **argv, void *values,
                  ftl_cli_words *words, bool *done);

#endif
