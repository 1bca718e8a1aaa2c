/* SPDX-License-Identifier: Apache-2.0 */
/* format_test.h - the three tortures that every parser of src/format goes through. */
#ifndef FTL_TESTS_FORMAT_TEST_H
#define FTL_TESTS_FORMAT_TEST_H

#include "support/test.h"

/* Parses, touches what came out, frees it all. */
typedef ftl_status (*parse_function)(const void *data, size_t size, const char *name);

/* Every prefix shorter than `least`, in memory of exactly its size, must fail with a sentence that
 * names the file; longer ones may also be accepted. */
void torture_truncated(parse_function parse, const uint8_t *data, size_t size, size_t least);
/* Every byte replaced by several others: any status will do, but no crash, and a sentence. */
void torture_flipped(parse_function parse, const uint8_t *data, size_t size);
/* Every n-th allocation fails: FTL_ENOMEM until it succeeds, and nothing leaks. */
void torture_no_memory(parse_function parse, const uint8_t *data, size_t size);
/* The sentence of the last failure contains this. */
void assert_sentence(const char *part);

#endif
