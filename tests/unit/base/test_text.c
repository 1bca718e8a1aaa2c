/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

static void width_counts_columns(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int width;
    } rows[] = {
        { "", 0 },
        { "abc", 3 },
        { "\u4e2d\u6587", 4 },       /* Chinese                        */
        { "\uff21\u3042\ud55c", 6 }, /* full width A, kana, Hangul     */
        { "e\u0301", 1 },            /* e with a combining acute       */
        { "\u00b5s \u00b1", 4 },     /* micro, plus-minus              */
        { "\U0001f600", 2 },         /* emoji                          */
        { "\x1b[0m", 3 },            /* the escape itself takes none   */
        { "\xff\xfe", 2 },           /* no UTF-8: a column a byte      */
        { "\xe4\xb8", 2 },           /* cut off                        */
        { "\xc0\xaf", 2 },           /* too long a form of '/'         */
        { "\xed\xa0\x80", 3 },       /* a surrogate                    */
        { "\xf4\x90\x80\x80", 4 },   /* behind the last code point     */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(ftl_text_width(rows[i].text), rows[i].width);
    const char *p = "\u20ac!";
    assert_int_equal(ftl_text_next(&p), 0x20ac);
    assert_int_equal(ftl_text_next(&p), '!');
    assert_int_equal(ftl_text_next(&p), 0);
    assert_int_equal(ftl_text_next(&p), 0);
}

static void pad_gives_the_very_width(void **state)
{
    (void)state;
    char out[64];
    assert_string_equal(ftl_text_pad(out, sizeof out, "ab", 5), "ab   ");
    assert_string_equal(ftl_text_pad(out, sizeof out, "ab", -5), "   ab");
    assert_string_equal(ftl_text_pad(out, sizeof out, "\u4e2d\u6587", 6), "\u4e2d\u6587  ");
    assert_string_equal(ftl_text_pad(out, sizeof out, "abcdefgh", 6), "abc...");
    assert_string_equal(ftl_text_pad(out, sizeof out, "\u4e2d\u6587\u5b57", 5), "\u4e2d...");
    assert_string_equal(ftl_text_pad(out, sizeof out, "abc", 0), "");
    static const char *const texts[] = { "", "x", "\u4e2d\u6587\u5b57\u4e2d", "long plain text",
                                         "e\u0301" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (int columns = -20; columns <= 20; columns++) {
            ftl_text_pad(out, sizeof out, texts[i], columns);
            assert_int_equal(ftl_text_width(out), columns < 0 ? -columns : columns);
            for (size_t size = 1; size < 12; size++)
                assert_true(strlen(ftl_text_pad(out, size, texts[i], columns)) < size);
        }
}

static void units_have_three_digits(void **state)
{
    (void)state;
    char out[64];
    static const struct {
        double value;
        const char *bytes, *binary, *seconds, *rate;
    } rows[] = {
        { 0, "0 B", "0 B", "0 s", "0 FLOP/s" },
        { 1, "1 B", "1 B", "1.00 s", "1 FLOP/s" },
        { 999, "999 B", "999 B", "16 min 39 s", "999 FLOP/s" },
        { 1000, "1.00 kB", "1000 B", "16 min 40 s", "1.00 kFLOP/s" },
        { 1024, "1.02 kB", "1.00 KiB", "17 min 04 s", "1.02 kFLOP/s" },
        { 24.4e6, "24.4 MB", "23.3 MiB", "6777 h 47 min", "24.4 MFLOP/s" },
        { 999499, "999 kB", "976 KiB", "277 h 38 min", "999 kFLOP/s" },
        { 999600, "1.00 MB", "976 KiB", "277 h 40 min", "1.00 MFLOP/s" },
        { 1.16e11, "116 GB", "108 GiB", "32222222 h 13 min", "116 GFLOP/s" },
        { 9.996, "10.0 B", "10.0 B", "10.0 s", "10.0 FLOP/s" },
        { -2.5e6, "-2.50 MB", "-2.38 MiB", "-694 h 27 min", "-2.50 MFLOP/s" },
        { NAN, "not available", "not available", "not available", "not available" },
        { INFINITY, "not available", "not available", "not available", "not available" },
        { 1.23e-3, "0.00 B", "0.00 B", "1.23 ms", "0.00 FLOP/s" },
        { 85e-9, "0.00 B", "0.00 B", "85.0 ns", "0.00 FLOP/s" },
        { 0.9996, "1.00 B", "1.00 B", "1.00 s", "1.00 FLOP/s" },
        { 123.4e-6, "0.00 B", "0.00 B", "123 us", "0.00 FLOP/s" },
        { 99.96, "100 B", "100 B", "1 min 40 s", "100 FLOP/s" },
        { 3599.6, "3.60 kB", "3.52 KiB", "1 h 00 min", "3.60 kFLOP/s" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(ftl_text_bytes(out, sizeof out, rows[i].value), rows[i].bytes);
        assert_string_equal(ftl_text_bytes_binary(out, sizeof out, rows[i].value), rows[i].binary);
        assert_string_equal(ftl_text_seconds(out, sizeof out, rows[i].value), rows[i].seconds);
        assert_string_equal(ftl_text_rate(out, sizeof out, rows[i].value, "FLOP/s"), rows[i].rate);
    }
    assert_string_equal(ftl_text_bytes(out, 4, 24.4e6), "24.");
}

static void nearest_word_is_suggested(void **state)
{
    (void)state;
    static const char *const verbs[] = { "devices", "bench", "fit",   "plan",  "compress",
                                         "train",   "run",   "serve", "report" };
    enum { N = sizeof verbs / sizeof verbs[0] };
    assert_string_equal(ftl_text_nearest("plna", verbs, N), "plan");
    assert_string_equal(ftl_text_nearest("devcies", verbs, N), "devices");
    assert_string_equal(ftl_text_nearest("BENCH", verbs, N), "bench");
    assert_string_equal(ftl_text_nearest("rum", verbs, N), "run");
    assert_string_equal(ftl_text_nearest("dev", verbs, N), "devices");
    assert_string_equal(ftl_text_nearest("trian", verbs, N), "train");
    assert_null(ftl_text_nearest("quantise", verbs, N));
    assert_null(ftl_text_nearest("x", verbs, N));
    assert_null(ftl_text_nearest("", verbs, N));
    assert_null(ftl_text_nearest("plan", verbs, 0));
    assert_int_equal(ftl_text_distance("kitten", "sitting"), 3);
    assert_int_equal(ftl_text_distance("ab", "ba"), 1);
    assert_int_equal(ftl_text_distance("", "abc"), 3);
    assert_int_equal(ftl_text_distance("abc", ""), 3);
    char long_word[100];
    memset(long_word, 'a', 99);
    long_word[99] = 0;
    assert_int_equal(ftl_text_distance(long_word, "a"), INT32_MAX);
    assert_null(ftl_text_nearest(long_word, verbs, N));
    assert_int_equal(ftl_text_distance(long_word + 36, long_word + 37),
                     1); /* 63 letters, the most */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(width_counts_columns),
        cmocka_unit_test(pad_gives_the_very_width),
        cmocka_unit_test(units_have_three_digits),
        cmocka_unit_test(nearest_word_is_suggested),
    };
    return ftl_test_run(tests);
}
