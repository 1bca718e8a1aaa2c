/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "cli/out.h"
#include "fettle/text.h"

static char text[16384];

/* What a call printed. */
static FILE *start(void)
{
    memset(text, 0, sizeof text);
    FILE *f = fmemopen(text, sizeof text - 1, "w");
    assert_non_null(f);
    return f;
}

static void assert_fits(void)
{
    for (char *line = text; *line;) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = 0;
        assert_in_range(ftl_text_width(line), 0, FTL_CLI_WIDTH);
        *end = '\n';
        line = end + 1;
    }
}

static void columns_line_up_by_width(void **state)
{
    (void)state;
    ftl_cli_table t;
    ftl_cli_table_start(&t, "lr");
    ftl_cli_cell(&t, "NAME");
    ftl_cli_cell(&t, "TIME");
    ftl_cli_cell(&t, "测量");
    ftl_cli_cell(&t, "1 ms");
    ftl_cli_cell(&t, "a");
    ftl_cli_cell(&t, "12 ms");
    FILE *f = start();
    ftl_cli_table_print(&t, f);
    fclose(f);
    assert_string_equal(text, "NAME   TIME\n测量   1 ms\na     12 ms\n");
    assert_int_equal(t.n_cells, 0);
}

static void a_long_last_column_is_wrapped(void **state)
{
    (void)state;
    ftl_cli_table t;
    char words[400] = "";
    for (int i = 0; i < 60; i++) strcat(words, "word ");
    ftl_cli_table_start(&t, "ll");
    ftl_cli_cell(&t, "key");
    ftl_cli_cell(&t, "%s", words);
    FILE *f = start();
    ftl_cli_table_print(&t, f);
    fclose(f);
    assert_fits();
    assert_non_null(strstr(text, "\n     word"));
    int n = 0;
    for (const char *c = text; (c = strstr(c, "word")) != NULL; c++) n++;
    assert_int_equal(n, 60);
}

static void a_wide_table_is_cut_where_it_is_widest(void **state)
{
    (void)state;
    ftl_cli_table t;
    ftl_cli_table_start(&t, "lrr");
    ftl_cli_cell(&t, "%0100d", 0);
    ftl_cli_cell(&t, "12.5 GB/s");
    ftl_cli_cell(&t, "100 %%");
    FILE *f = start();
    ftl_cli_table_print(&t, f);
    fclose(f);
    assert_fits();
    assert_non_null(strstr(text, "12.5 GB/s  100 %\n"));
    assert_non_null(strstr(text, "00...  "));
}

static void more_cells_than_the_pool_are_cut_not_lost(void **state)
{
    (void)state;
    ftl_cli_table t;
    ftl_cli_table_start(&t, "ll");
    ftl_cli_cell(&t, "%0*d", FTL_CLI_POOL - 2, 0);
    ftl_cli_cell(&t, "beyond");
    assert_int_equal(t.n_cells, 2);
    FILE *f = start();
    ftl_cli_table_print(&t, f);
    fclose(f);
    assert_fits();
}

static void wrapping_keeps_words_and_line_ends(void **state)
{
    (void)state;
    FILE *f = start();
    ftl_cli_wrap(f, "one two\n  three", 4);
    fclose(f);
    assert_string_equal(text, "one two\n    three\n");
    f = start();
    ftl_cli_wrap(f, "", 4);
    fclose(f);
    assert_string_equal(text, "\n");
    char longest[600];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    f = start();
    ftl_cli_wrap(f, longest, 0);
    fclose(f);
    size_t n = 0;
    for (const char *c = text; *c; c++) n += *c == 'a';
    assert_int_equal(n, sizeof longest - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_line_up_by_width),
        cmocka_unit_test(a_long_last_column_is_wrapped),
        cmocka_unit_test(a_wide_table_is_cut_where_it_is_widest),
        cmocka_unit_test(more_cells_than_the_pool_are_cut_not_lost),
        cmocka_unit_test(wrapping_keeps_words_and_line_ends),
    };
    return ftl_test_run(tests);
}
