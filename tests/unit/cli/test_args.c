/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <string.h>

#include "cli/args.h"

typedef struct values {
    bool json;
    const char *output;
    int64_t threads, seed;
    double share, latency;
    uint64_t memory;
    const char *pair[2];
    ftl_cli_words inputs;
} values;

static const ftl_cli_option options[] = {
    { "--json", 'j', FTL_CLI_FLAG, NULL, "", offsetof(values, json) },
    { "--output", 'o', FTL_CLI_TEXT, "PATH", "", offsetof(values, output) },
    { "--threads", 't', FTL_CLI_COUNT, "N", "", offsetof(values, threads) },
    { "--seed", 0, FTL_CLI_WHOLE, "N", "", offsetof(values, seed) },
    { "--max-error", 0, FTL_CLI_NUMBER, "X", "", offsetof(values, share) },
    { "--max-latency", 0, FTL_CLI_SECONDS, "TIME", "", offsetof(values, latency) },
    { "--max-memory", 0, FTL_CLI_BYTES, "BYTES", "", offsetof(values, memory) },
    { "--compare", 0, FTL_CLI_PAIR, "A B", "", offsetof(values, pair) },
    { "--input", 0, FTL_CLI_LIST, "NAME=FILE", "", offsetof(values, inputs) },
    { NULL },
};

static values v;
static ftl_cli_words words;
static char why[512];
static bool is_help;

static bool parse(const char *first, ...)
{
    const char *argv[48] = { "verb" };
    int argc = 1;
    va_list args;
    va_start(args, first);
    for (const char *word = first; word; word = va_arg(args, const char *)) argv[argc++] = word;
    va_end(args);
    memset(&v, 0, sizeof v);
    why[0] = 0;
    return ftl_cli_parse(options, 2, argc, (char **)argv, &v, &words, &is_help, why, sizeof why);
}

static void every_kind_is_read(void **state)
{
    (void)state;
    assert_true(parse("model", "--json", "--output", "x", "--threads", "4", "--seed", "0",
                      "--max-error", "0.01", "--max-latency", "20ms", "--max-memory", "1.5GiB",
                      "--compare", "a", "b", "--input", "p=1", "--input", "q=2", "picture", NULL));
    assert_true(v.json && v.threads == 4 && v.seed == 0 && v.share == 0.01);
    assert_true(v.latency > 0.0199 && v.latency < 0.0201);
    assert_true(v.memory == UINT64_C(1610612736));
    assert_string_equal(v.output, "x");
    assert_string_equal(v.pair[0], "a");
    assert_string_equal(v.pair[1], "b");
    assert_int_equal(v.inputs.n, 2);
    assert_string_equal(v.inputs.word[1], "q=2");
    assert_int_equal(words.n, 2);
    assert_string_equal(words.word[1], "picture");
}

static void all_spellings_are_the_same(void **state)
{
    (void)state;
    assert_true(parse("--threads=4", NULL) && v.threads == 4);
    assert_true(parse("-t", "4", NULL) && v.threads == 4);
    assert_true(parse("-t4", NULL) && v.threads == 4);
    assert_true(parse("--output=a=b", NULL));
    assert_string_equal(v.output, "a=b");
    assert_true(parse("--output=", NULL));
    assert_string_equal(v.output, "");
    assert_true(parse("--compare=a", "b", NULL));
    assert_string_equal(v.pair[1], "b");
}

static void units_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } bytes[] = { { "4096", 4096 },     { "2k", 2000 }, { "2KiB", 2048 }, { "800 MB", 800000000 },
                  { "1g", 1000000000 }, { "0", 0 },     { "0.5ki", 512 } };
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        assert_true(parse("--max-memory", bytes[i].text, NULL));
        assert_true(v.memory == bytes[i].bytes);
    }
    assert_true(parse("--max-latency", "2min", NULL) && v.latency == 120);
    assert_true(parse("--max-latency", "1.5", NULL) && v.latency == 1.5);
}

static void wrong_values_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "--threads", "0" },
        { "--threads", "-1" },
        { "--threads", "4x" },
        { "--threads", "" },
        { "--threads", "99999999999999999999" },
        { "--max-error", "nan" },
        { "--max-error", "-1" },
        { "--max-error", "inf" },
        { "--max-memory", "2GX" },
        { "--max-memory", "-1" },
        { "--max-memory", "1e30" },
        { "--max-latency", "5x" },
        { "--max-latency", "ms" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(parse(cases[i][0], cases[i][1], NULL));
        assert_non_null(strstr(why, cases[i][0]));
    }
    assert_false(parse("--json=yes", NULL));
    assert_string_equal(why, "--json takes no value");
    assert_false(parse("--threads", NULL));
    assert_string_equal(why, "--threads wants N behind it");
    assert_false(parse("--compare", "a", NULL));
    assert_string_equal(why, "--compare wants A B behind it");
}

static void a_mistyped_flag_gets_the_nearest(void **state)
{
    (void)state;
    assert_false(parse("--jsn", NULL));
    assert_string_equal(why, "there is no flag --jsn; did you mean --json?");
    assert_false(parse("--thread=4", NULL));
    assert_string_equal(why, "there is no flag --thread; did you mean --threads?");
    assert_false(parse("--nothing-like-it", NULL));
    assert_non_null(strstr(why, "--help lists"));
    assert_false(parse("-x", NULL));
    char longest[300] = "--";
    memset(longest + 2, 'a', sizeof longest - 3);
    assert_false(parse(longest, NULL));
}

static void words_end_where_they_must(void **state)
{
    (void)state;
    assert_false(parse("a", "b", "c", NULL));
    assert_string_equal(why, "\"c\" is one word too many: 2 are taken");
    assert_true(parse("--", "--json", "-t", NULL));
    assert_false(v.json);
    assert_string_equal(words.word[0], "--json");
    assert_true(parse("-", NULL)); /* a lone dash is a word */
    assert_string_equal(words.word[0], "-");
}

static void a_list_has_an_end(void **state)
{
    (void)state;
    const char *argv[2 * FTL_CLI_WORDS + 4] = { "verb" };
    int argc = 1;
    for (int i = 0; i <= FTL_CLI_WORDS; i++) {
        argv[argc++] = "--input";
        argv[argc++] = "x";
    }
    memset(&v, 0, sizeof v);
    assert_false(
        ftl_cli_parse(options, 2, argc, (char **)argv, &v, &words, &is_help, why, sizeof why));
    assert_non_null(strstr(why, "--input may come 32 times"));
}

static void help_comes_before_everything(void **state)
{
    (void)state;
    assert_true(parse("--nothing", "--help", NULL) && is_help);
    assert_true(parse("-h", NULL) && is_help);
    assert_true(parse("--", "--help", NULL) && !is_help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_read),
        cmocka_unit_test(all_spellings_are_the_same),
        cmocka_unit_test(units_are_known),
        cmocka_unit_test(wrong_values_are_refused),
        cmocka_unit_test(a_mistyped_flag_gets_the_nearest),
        cmocka_unit_test(words_end_where_they_must),
        cmocka_unit_test(a_list_has_an_end),
        cmocka_unit_test(help_comes_before_everything),
    };
    return ftl_test_run(tests);
}
