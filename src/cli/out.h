/* SPDX-License-Identifier: Apache-2.0 */
/* out.h - what people see: tables by display width, one-line errors, progress.
 * Results go to stdout, everything else to stderr. */
#ifndef FTL_CLI_OUT_H
#define FTL_CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "fettle/status.h"

enum { FTL_CLI_WIDTH = 80 };

/* "fettle: <sentence>" on stderr, line ends inside made blanks.  Returns FTL_CLI_FAILED or, for
 * wrong_use, FTL_CLI_WRONG_USE. */
int ftl_cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
int ftl_cli_wrong_use(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The sentence of a failed call of the library. */
int ftl_cli_failed(ftl_status status);
/* Writes all of `text` to stdout. */
void ftl_cli_print(const char *text);
/* FTL_CLI_OK, or the error that writing to stdout had (a full disk). */
int ftl_cli_finish_output(void);

/* Words of `text` from column `indent` on, further lines indented likewise; the first line starts
 * at the present column, which is `indent`. */
void ftl_cli_wrap(FILE *file, const char *text, int indent);

/* Rows are kept until they are printed.  A text too long for the line is wrapped in the last
 * column, cut in others. */
enum { FTL_CLI_ROWS = 100, FTL_CLI_COLUMNS = 8, FTL_CLI_POOL = 16384 };
typedef struct ftl_cli_table {
    const char *align; /* "lr": a letter a column, left or right */
    int n_columns, n_cells;
    size_t used;
    size_t cell[FTL_CLI_ROWS * FTL_CLI_COLUMNS]; /* place in the pool */
    char pool[FTL_CLI_POOL];
} ftl_cli_table;
void ftl_cli_table_start(ftl_cli_table *table, const char *align);
void ftl_cli_cell(ftl_cli_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A name of at most `most` bytes: of a longer one the end, which tells layers apart. */
void ftl_cli_cell_tail(ftl_cli_table *table, const char *name, size_t most);
/* Prints and empties it. */
void ftl_cli_table_print(ftl_cli_table *table, FILE *file);

/* "label  45 %  12 s left  what" on stderr once a step takes over a second: on a terminal one line
 * that is written over, else a plain line every 5 seconds. */
typedef struct ftl_cli_progress {
    const char *label;
    double start_s, shown_s;
    bool is_terminal, is_shown;
} ftl_cli_progress;
void ftl_cli_progress_start(ftl_cli_progress *progress, const char *label);
/* share: 0 to 1; has the form of the library's progress callbacks. */
void ftl_cli_progress_show(void *progress, double share, const char *what);
void ftl_cli_progress_end(ftl_cli_progress *progress);

#endif
