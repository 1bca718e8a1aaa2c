/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - what tables and sentences for people need: display width, units, the nearest word.
 * Pure functions on the caller's buffers: nothing allocates, all are thread-safe.  Functions that
 * fill a buffer always end it with a NUL, cut what does not fit and return the buffer; `size` is
 * its bytes, above 0. */
#ifndef FETTLE_TEXT_H
#define FETTLE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "fettle/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- width --------------------------------------------------------------------------------- */

/* Columns on a terminal: 2 for East Asian wide and emoji, 0 for combining marks and controls, 1
 * for each byte that is no UTF-8.  Source: Unicode 14 EastAsianWidth.txt (W and F); marks of Latin,
 * Greek, Cyrillic, Hebrew, Arabic, Devanagari, Thai, Hangul and kana. */
FTL_API int ftl_text_width(const char *text);
/* The text in exactly `columns` columns, blanks behind it (in front when columns is negative); cut
 * with "..." where it is wider. */
FTL_API char *ftl_text_pad(char *out, size_t size, const char *text, int columns);
/* Next code point of a string that ends with a NUL; *text moves behind it.  0 at the end, U+FFFD
 * and one byte for what is no UTF-8 (too long forms and surrogates too). */
FTL_API uint32_t ftl_text_next(const char **text);

/* --- units: three digits; NaN and infinity give "not available" ------------------------------ */

/* Decimal: "999 B", "24.4 MB". */
FTL_API char *ftl_text_bytes(char *out, size_t size, double bytes);
/* Binary: "23.3 MiB". */
FTL_API char *ftl_text_bytes_binary(char *out, size_t size, double bytes);
/* "1.23 ms", "85.0 ns", "2 min 05 s", "3 h 07 min". */
FTL_API char *ftl_text_seconds(char *out, size_t size, double seconds);
/* Any unit with decimal prefixes: (1.16e11, "FLOP/s") gives "116 GFLOP/s". */
FTL_API char *ftl_text_rate(char *out, size_t size, double value, const char *unit);

/* --- words --------------------------------------------------------------------------------- */

/* Least number of insertions, deletions, replacements and swaps of neighbors (optimal string
 * alignment) between two words, in bytes and without regard to ASCII case; INT32_MAX where a word
 * is longer than 63. */
FTL_API int ftl_text_distance(const char *a, const char *b);
/* The word of words[0 ... n - 1] closest to a mistyped one, or NULL when none is close: more than a
 * third of the letters wrong (but one slip, or a common start of 3 letters, is always close). */
FTL_API const char *ftl_text_nearest(const char *word, const char *const *words, size_t n);

/* --- memory -------------------------------------------------------------------------------- */

/* Frees a text or an array that a function of fettle handed to its caller.  NULL is fine. */
FTL_API void ftl_text_free(void *text);

#ifdef __cplusplus
}
#endif
#endif
