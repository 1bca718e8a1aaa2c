/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/out.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "fettle/text.h"

/* ---- lines --------------------------------------------------------------------------------- */

static void error_line(const char *format, va_list args)
{
    char text[2048];
    vsnprintf(text, sizeof text, format, args);
    for (char *c = text; *c; c++)
        if (*c == '\n' || *c == '\r') *c = ' ';
    fflush(stdout);
    fprintf(stderr, "fettle: %s\n", text);
}

int ftl_cli_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_line(format, args);
    va_end(args);
    return FTL_CLI_FAILED;
}

int ftl_cli_wrong_use(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_line(format, args);
    va_end(args);
    return FTL_CLI_WRONG_USE;
}

int ftl_cli_failed(ftl_status status)
{
    const char *text = ftl_error_text();
    return ftl_cli_error("%s", *text ? text : ftl_status_name(status));
}

void ftl_cli_print(const char *text)
{
    fputs(text, stdout);
}

int ftl_cli_finish_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return FTL_CLI_OK;
    return ftl_cli_error("cannot write the output: %s", strerror(errno));
}

/* The next word of *text into out, cut to size (the rest is the next word).  0: the end. */
static size_t next_word(char *out, size_t size, const char **text, bool *is_new_line)
{
    const size_t blanks = strspn(*text, " \n");
    *is_new_line = memchr(*text, '\n', blanks) != NULL;
    *text += blanks;
    size_t n = strcspn(*text, " \n");
    if (n >= size) n = size - 1;
    memcpy(out, *text, n);
    out[n] = 0;
    *text += n;
    return n;
}

void ftl_cli_wrap(FILE *file, const char *text, int indent)
{
    char word[256];
    bool is_new_line;
    int column = indent;
    while (next_word(word, sizeof word, &text, &is_new_line) > 0) {
        const int width = ftl_text_width(word);
        if (column > indent && (is_new_line || column + 1 + width > FTL_CLI_WIDTH)) {
            fprintf(file, "\n%*s", indent, "");
            column = indent;
        }
        if (column > indent) column += fprintf(file, " ");
        fputs(word, file);
        column += width;
    }
    fputc('\n', file);
}

/* ---- tables -------------------------------------------------------------------------------- */

enum { GAP = 2 };

void ftl_cli_table_start(ftl_cli_table *table, const char *align)
{
    table->align = align;
    table->n_columns = (int)strlen(align);
    table->n_cells = 0;
    table->used = 0;
}

void ftl_cli_cell(ftl_cli_table *table, const char *format, ...)
{
    va_list args;
    if (table->n_cells % table->n_columns == 0 &&
        (table->n_cells / table->n_columns >= FTL_CLI_ROWS ||
         table->used + 2048 > sizeof table->pool))
        ftl_cli_table_print(table, stdout);
    const size_t room = sizeof table->pool - table->used;
    va_start(args, format);
    const int n = vsnprintf(table->pool + table->used, room, format, args);
    va_end(args);
    table->cell[table->n_cells++] = table->used;
    const size_t took = n < 0 ? 0 : (size_t)n;
    table->used += took + 1 < room ? took + 1 : room - 1; /* the pool's last byte stays a NUL */
}

void ftl_cli_cell_tail(ftl_cli_table *table, const char *name, size_t most)
{
    const size_t n = strlen(name);
    if (n > most) ftl_cli_cell(table, "...%s", name + n - (most - 3));
    else ftl_cli_cell(table, "%s", name);
}

static const char *text_of(const ftl_cli_table *t, int row, int column)
{
    return t->pool + t->cell[row * t->n_columns + column];
}

/* Natural widths, then the widest column gives way until the line fits; a last column on the left
 * is wrapped, so it needs some room only. */
static void find_widths(const ftl_cli_table *t, int rows, int *width)
{
    enum { WRAPPED_LEAST = 24 };
    const int last = t->n_columns - 1;
    for (int c = 0; c <= last; c++) {
        width[c] = 0;
        for (int r = 0; r < rows; r++) {
            const int w = ftl_text_width(text_of(t, r, c));
            if (w > width[c]) width[c] = w;
        }
    }
    if (t->align[last] == 'l' && width[last] > WRAPPED_LEAST) width[last] = WRAPPED_LEAST;
    for (;;) {
        int sum = GAP * last, widest = 0;
        for (int c = 0; c <= last; c++) {
            sum += width[c];
            if (width[c] > width[widest]) widest = c;
        }
        if (sum <= FTL_CLI_WIDTH || width[widest] <= 4) return;
        width[widest]--;
    }
}

void ftl_cli_table_print(ftl_cli_table *t, FILE *file)
{
    const int rows = t->n_cells / t->n_columns, last = t->n_columns - 1;
    int width[FTL_CLI_COLUMNS] = { 0 }, indent = 0;
    find_widths(t, rows, width);
    for (int c = 0; c < last; c++) indent += width[c] + GAP;
    for (int r = 0; r < rows; r++) {
        char cell[512];
        for (int c = 0; c < last; c++) {
            const int w = t->align[c] == 'r' ? -width[c] : width[c];
            fprintf(file, "%s%*s", ftl_text_pad(cell, sizeof cell, text_of(t, r, c), w), GAP, "");
        }
        const char *text = text_of(t, r, last);
        if (t->align[last] == 'l') ftl_cli_wrap(file, text, indent);
        else fprintf(file, "%s\n", ftl_text_pad(cell, sizeof cell, text, -width[last]));
    }
    ftl_cli_table_start(t, t->align);
}

/* ---- progress ------------------------------------------------------------------------------ */

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void ftl_cli_progress_start(ftl_cli_progress *progress, const char *label)
{
    *progress = (ftl_cli_progress){ .label = label,
                                    .start_s = now_s(),
                                    .shown_s = now_s(),
                                    .is_terminal = isatty(STDERR_FILENO) == 1 };
}

void ftl_cli_progress_show(void *user, double share, const char *what)
{
    ftl_cli_progress *p = user;
    const double now = now_s(), passed = now - p->start_s;
    const double period = p->is_terminal ? (p->is_shown ? 0.2 : 1) : 5;
    if (now - p->shown_s < period) return;
    char left[32] = "", line[160], cut[160];
    if (share > 0.01 && share <= 1) {
        ftl_text_seconds(left, sizeof left, passed * (1 - share) / share + 0.5);
        snprintf(line, sizeof line, "%s  %3.0f %%  %s left  %s", p->label, share * 100, left, what);
    } else {
        snprintf(line, sizeof line, "%s  %s", p->label, what);
    }
    ftl_text_pad(cut, sizeof cut, line, FTL_CLI_WIDTH - 1);
    if (p->is_terminal) fprintf(stderr, "\r%s", cut);
    else fprintf(stderr, "%s\n", line);
    fflush(stderr);
    p->shown_s = now;
    p->is_shown = true;
}

void ftl_cli_progress_end(ftl_cli_progress *progress)
{
    if (progress->is_terminal && progress->is_shown)
        fprintf(stderr, "\r%*s\r", FTL_CLI_WIDTH - 1, "");
    fflush(stderr);
    progress->is_shown = false;
}
