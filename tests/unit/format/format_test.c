/* SPDX-License-Identifier: Apache-2.0 */
#include "format_test.h"

#include <string.h>

#include "base/alloc.h"

static const char file_name[] = "folder/hostile.bin";

/* In heap memory of exactly `size` bytes, so that AddressSanitizer sees the first byte too much. */
static ftl_status parse_copy(parse_function parse, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    if (size) memcpy(copy, data, size);
    const ftl_status s = parse(copy, size, file_name);
    free(copy);
    return s;
}

static void assert_says_where(ftl_status s, size_t where)
{
    if (ftl_error_text()[0] && strstr(ftl_error_text(), file_name)) return;
    print_error("%s at %zu without the file's name: \"%s\"\n", ftl_status_name(s), where,
                ftl_error_text());
    fail();
}

void torture_truncated(parse_function parse, const uint8_t *data, size_t size, size_t least)
{
    assert_ok(parse_copy(parse, data, size));
    for (size_t n = 0; n < size; n++) {
        if (n >= least) { /* may be complete in itself */
            if (parse_copy(parse, data, n) != FTL_OK) assert_says_where(FTL_EFORMAT, n);
            continue;
        }
        const ftl_status s = parse_copy(parse, data, n);
        if (s == FTL_OK) print_error("the first %zu of %zu bytes were accepted\n", n, size);
        assert_int_not_equal(s, FTL_OK);
        assert_says_where(s, n);
    }
}

void torture_flipped(parse_function parse, const uint8_t *data, size_t size)
{
    static const uint8_t masks[] = { 0x01, 0x08, 0x10, 0x20, 0x40, 0x80, 0x7f, 0xff };
    uint8_t *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, data, size);
    for (size_t i = 0; i < size; i++)
        for (size_t m = 0; m < sizeof masks; m++) {
            copy[i] = data[i] ^ masks[m];
            const ftl_status s = parse_copy(parse, copy, size);
            if (s != FTL_OK) assert_says_where(s, i);
            copy[i] = data[i];
        }
    free(copy);
}

void torture_no_memory(parse_function parse, const uint8_t *data, size_t size)
{
    for (uint64_t nth = 1; nth < 100000; nth++) {
        ftl_alloc_fail_at(nth, false);
        const ftl_status s = parse_copy(parse, data, size);
        const uint64_t n_requests = ftl_alloc_fail_at(0, false);
        if (n_requests < nth) {
            assert_int_equal(s, FTL_OK);
            return;
        }
        /* jansson's lexer reports its own lack of memory as a syntax error. */
        if (s == FTL_EFORMAT && strstr(ftl_error_text(), "no valid JSON")) continue;
        if (s != FTL_ENOMEM)
            print_error("request %llu failed and gave %s: %s\n", (unsigned long long)nth,
                        ftl_status_name(s), ftl_error_text());
        assert_int_equal(s, FTL_ENOMEM);
    }
    fail_msg("the allocations never end");
}

void assert_sentence(const char *part)
{
    if (strstr(ftl_error_text(), part)) return;
    print_error("\"%s\" lacks \"%s\"\n", ftl_error_text(), part);
    fail();
}
