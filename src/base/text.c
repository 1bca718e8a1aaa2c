/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"

enum { MOST_WORD = 63, NO_CHARACTER = 0xFFFD };

/* --- width --------------------------------------------------------------------------------- */

typedef struct span {
    uint32_t first, last;
} span;

static const span wide[] = {
    { 0x1100, 0x115F },   { 0x231A, 0x231B },   { 0x2329, 0x232A },   { 0x23E9, 0x23EC },
    { 0x23F0, 0x23F0 },   { 0x23F3, 0x23F3 },   { 0x25FD, 0x25FE },   { 0x2614, 0x2615 },
    { 0x2648, 0x2653 },   { 0x267F, 0x267F },   { 0x2693, 0x2693 },   { 0x26A1, 0x26A1 },
    { 0x26AA, 0x26AB },   { 0x26BD, 0x26BE },   { 0x26C4, 0x26C5 },   { 0x26CE, 0x26CE },
    { 0x26D4, 0x26D4 },   { 0x26EA, 0x26EA },   { 0x26F2, 0x26F3 },   { 0x26F5, 0x26F5 },
    { 0x26FA, 0x26FA },   { 0x26FD, 0x26FD },   { 0x2705, 0x2705 },   { 0x270A, 0x270B },
    { 0x2728, 0x2728 },   { 0x274C, 0x274C },   { 0x274E, 0x274E },   { 0x2753, 0x2755 },
    { 0x2757, 0x2757 },   { 0x2795, 0x2797 },   { 0x27B0, 0x27B0 },   { 0x27BF, 0x27BF },
    { 0x2B1B, 0x2B1C },   { 0x2B50, 0x2B50 },   { 0x2B55, 0x2B55 },   { 0x2E80, 0x303E },
    { 0x3041, 0x3247 },   { 0x3250, 0x4DBF },   { 0x4E00, 0xA4C6 },   { 0xA960, 0xA97C },
    { 0xAC00, 0xD7A3 },   { 0xF900, 0xFAFF },   { 0xFE10, 0xFE19 },   { 0xFE30, 0xFE6B },
    { 0xFF01, 0xFF60 },   { 0xFFE0, 0xFFE6 },   { 0x16FE0, 0x18D08 }, { 0x1AFF0, 0x1B2FB },
    { 0x1F004, 0x1F004 }, { 0x1F0CF, 0x1F0CF }, { 0x1F18E, 0x1F18E }, { 0x1F191, 0x1F19A },
    { 0x1F200, 0x1F320 }, { 0x1F32D, 0x1F335 }, { 0x1F337, 0x1F37C }, { 0x1F37E, 0x1F393 },
    { 0x1F3A0, 0x1F3CA }, { 0x1F3CF, 0x1F3D3 }, { 0x1F3E0, 0x1F3F0 }, { 0x1F3F4, 0x1F3F4 },
    { 0x1F3F8, 0x1F43E }, { 0x1F440, 0x1F440 }, { 0x1F442, 0x1F4FC }, { 0x1F4FF, 0x1F53D },
    { 0x1F54B, 0x1F54E }, { 0x1F550, 0x1F567 }, { 0x1F57A, 0x1F57A }, { 0x1F595, 0x1F596 },
    { 0x1F5A4, 0x1F5A4 }, { 0x1F5FB, 0x1F64F }, { 0x1F680, 0x1F6C5 }, { 0x1F6CC, 0x1F6CC },
    { 0x1F6D0, 0x1F6D2 }, { 0x1F6D5, 0x1F6D7 }, { 0x1F6DD, 0x1F6DF }, { 0x1F6EB, 0x1F6EC },
    { 0x1F6F4, 0x1F6FC }, { 0x1F7E0, 0x1F7EB }, { 0x1F7F0, 0x1F7F0 }, { 0x1F90C, 0x1F93A },
    { 0x1F93C, 0x1F945 }, { 0x1F947, 0x1F9FF }, { 0x1FA70, 0x1FAF6 }, { 0x20000, 0x3FFFD },
};

static const span zero[] = {
    { 0x0000, 0x001F },   { 0x007F, 0x009F }, { 0x0300, 0x036F }, { 0x0483, 0x0489 },
    { 0x0591, 0x05BD },   { 0x05BF, 0x05BF }, { 0x05C1, 0x05C2 }, { 0x05C4, 0x05C5 },
    { 0x05C7, 0x05C7 },   { 0x0610, 0x061A }, { 0x061C, 0x061C }, { 0x064B, 0x065F },
    { 0x0670, 0x0670 },   { 0x06D6, 0x06DC }, { 0x06DF, 0x06E4 }, { 0x06E7, 0x06E8 },
    { 0x06EA, 0x06ED },   { 0x0900, 0x0902 }, { 0x093A, 0x093A }, { 0x093C, 0x093C },
    { 0x0941, 0x0948 },   { 0x094D, 0x094D }, { 0x0951, 0x0957 }, { 0x0962, 0x0963 },
    { 0x0E31, 0x0E31 },   { 0x0E34, 0x0E3A }, { 0x0E47, 0x0E4E }, { 0x1160, 0x11FF },
    { 0x1AB0, 0x1ACE },   { 0x1DC0, 0x1DFF }, { 0x200B, 0x200F }, { 0x202A, 0x202E },
    { 0x2060, 0x2064 },   { 0x2066, 0x206F }, { 0x20D0, 0x20F0 }, { 0x302A, 0x302D },
    { 0x3099, 0x309A },   { 0xFE00, 0xFE0F }, { 0xFE20, 0xFE2F }, { 0xFEFF, 0xFEFF },
    { 0xE0100, 0xE01EF },
};

static int is_in(const span *spans, size_t n, uint32_t c)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (c > spans[middle].last) low = middle + 1;
        else high = middle;
    }
    return low < n && c >= spans[low].first;
}

static int width_of(uint32_t c)
{
    if (c >= ' ' && c < 0x7F) return 1;
    if (is_in(zero, sizeof zero / sizeof zero[0], c)) return 0;
    return is_in(wide, sizeof wide / sizeof wide[0], c) ? 2 : 1;
}

uint32_t ftl_text_next(const char **text)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 }; /* by number of further bytes */
    const unsigned char *p = (const unsigned char *)*text;
    if (*p == 0) return 0;
    *text += 1;
    if (*p < 0x80) return *p;
    const int more = *p >= 0xF0 && *p < 0xF8   ? 3
                     : *p >= 0xE0 && *p < 0xF0 ? 2
                     : *p >= 0xC0 && *p < 0xE0 ? 1
                                               : 0;
    if (more == 0) return NO_CHARACTER;
    uint32_t c = *p & (0x3Fu >> more);
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xC0) != 0x80) return NO_CHARACTER; /* the NUL too */
        c = c << 6 | (p[i] & 0x3Fu);
    }
    if (c < least[more] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return NO_CHARACTER;
    *text += more;
    return c;
}

int ftl_text_width(const char *text)
{
    int width = 0;
    for (uint32_t c; (c = ftl_text_next(&text)) != 0;) width += width_of(c);
    return width;
}

/* Bytes of the longest start of `text` that takes at most `columns` columns and `bytes` bytes;
 * *width is what it takes. */
static size_t longest_start(const char *text, int columns, size_t bytes, int *width)
{
    const char *p = text;
    *width = 0;
    for (;;) {
        const char *next = p;
        const uint32_t c = ftl_text_next(&next);
        if (c == 0 || *width + width_of(c) > columns || (size_t)(next - text) > bytes)
            return (size_t)(p - text);
        *width += width_of(c);
        p = next;
    }
}

char *ftl_text_pad(char *out, size_t size, const char *text, int columns)
{
    const int is_right = columns < 0, want = is_right ? -columns : columns;
    int width = ftl_text_width(text);
    const int dots = width > want ? (want >= 3 ? 3 : want) : 0;
    const size_t n = longest_start(text, want - dots, size - 1, &width);
    size_t used = 0;
    const int blanks = want - dots - width;
    for (int i = 0; is_right && i < blanks && used + n + 1 < size; i++) out[used++] = ' ';
    memcpy(out + used, text, n);
    used += n;
    for (int i = 0; i < dots && used + 1 < size; i++) out[used++] = '.';
    for (int i = 0; !is_right && i < blanks && used + 1 < size; i++) out[used++] = ' ';
    out[used] = 0;
    return out;
}

/* --- units --------------------------------------------------------------------------------- */

/* Three digits: 1.23, 12.3, 123.  999.6 would print as 1000, so it moves on to the next prefix. */
static int digits_behind(double x)
{
    return x < 9.995 ? 2 : x < 99.95 ? 1 : 0;
}

static char *with_prefix(char *out, size_t size, double value, double step,
                         const char *const *prefixes, int n_prefixes, const char *unit)
{
    if (!isfinite(value)) {
        snprintf(out, size, "not available");
        return out;
    }
    double x = fabs(value);
    int p = 0;
    /* 999.5 is where "%.0f" shows four digits; binary steps carry up to 1023. */
    while (x >= step - 0.5 && p + 1 < n_prefixes) {
        x /= step;
        p++;
    }
    const int is_whole = p == 0 && x == floor(x);
    snprintf(out, size, "%s%.*f %s%s", value < 0 ? "-" : "", is_whole ? 0 : digits_behind(x), x,
             prefixes[p], unit);
    return out;
}

static const char *const decimal[] = { "", "k", "M", "G", "T", "P", "E" };
static const char *const binary[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
enum { N_PREFIXES = sizeof decimal / sizeof decimal[0] };

char *ftl_text_bytes(char *out, size_t size, double bytes)
{
    return with_prefix(out, size, bytes, 1000, decimal, N_PREFIXES, "B");
}

char *ftl_text_bytes_binary(char *out, size_t size, double bytes)
{
    return with_prefix(out, size, bytes, 1024, binary, N_PREFIXES, "B");
}

char *ftl_text_rate(char *out, size_t size, double value, const char *unit)
{
    return with_prefix(out, size, value, 1000, decimal, N_PREFIXES, unit);
}

char *ftl_text_seconds(char *out, size_t size, double seconds)
{
    static const char *const units[] = { "ns", "us", "ms", "s" };
    const double x = fabs(seconds);
    const char *sign = seconds < 0 ? "-" : "";
    if (!isfinite(seconds)) {
        snprintf(out, size, "not available");
    } else if (x >= 3599.5) {
        const double minutes = floor(x / 60 + 0.5);
        snprintf(out, size, "%s%.0f h %02.0f min", sign, floor(minutes / 60), fmod(minutes, 60));
    } else if (x >= 99.95) {
        const double whole = floor(x + 0.5);
        snprintf(out, size, "%s%.0f min %02.0f s", sign, floor(whole / 60), fmod(whole, 60));
    } else if (x == 0) {
        snprintf(out, size, "0 s");
    } else {
        double y = x * 1e9;
        int u = 0;
        for (; u < 3 && y >= 999.5; u++) y /= 1000;
        snprintf(out, size, "%s%.*f %s", sign, digits_behind(y), y, units[u]);
    }
    return out;
}

/* --- words --------------------------------------------------------------------------------- */

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : (unsigned char)c;
}

static int least_of(int a, int b)
{
    return a < b ? a : b;
}

int ftl_text_distance(const char *a, const char *b)
{
    const size_t na = strlen(a), nb = strlen(b);
    if (na > MOST_WORD || nb > MOST_WORD) return INT32_MAX;
    int rows[3][MOST_WORD + 1]; /* rows i - 2, i - 1 and i of the table, in turn */
    for (size_t j = 0; j <= nb; j++) rows[0][j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int *now = rows[i % 3];
        const int *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            const int differs = lower(a[i - 1]) != lower(b[j - 1]);
            now[j] = least_of(before[j - 1] + differs, least_of(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                now[j] = least_of(now[j], two_before[j - 2] + 1);
        }
    }
    return rows[na % 3][nb];
}

const char *ftl_text_nearest(const char *word, const char *const *words, size_t n)
{
    const char *best = NULL, *continued = NULL;
    int best_distance = INT32_MAX;
    const size_t length = strlen(word);
    for (size_t i = 0; i < n; i++) {
        const int d = ftl_text_distance(word, words[i]);
        const int longer = (int)(length > strlen(words[i]) ? length : strlen(words[i]));
        if (d < best_distance && ((d <= 1 && longer >= 3) || d <= longer / 3)) {
            best = words[i];
            best_distance = d;
        }
        if (!continued && length >= 3 && strncasecmp(word, words[i], length) == 0)
            continued = words[i];
    }
    return best ? best : continued;
}

/* --- memory -------------------------------------------------------------------------------- */

void ftl_text_free(void *text)
{
    ftl_free(text);
}
