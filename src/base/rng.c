/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 10 };

static void philox(uint32_t k0, uint32_t k1, uint32_t c[4])
{
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
        const uint32_t c1 = c[1], c3 = c[3];
        c[0] = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c[1] = (uint32_t)p1;
        c[2] = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c[3] = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* golden ratio */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1  */
    }
}

void ftl_rng_u32x4(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t c[4];
    memcpy(c, counter, sizeof c);
    philox(key[0], key[1], c);
    memcpy(out, c, sizeof c);
}

static void block(ftl_rng rng, uint64_t index, uint32_t out[4])
{
    out[0] = (uint32_t)index;
    out[1] = (uint32_t)(index >> 32);
    out[2] = (uint32_t)rng.id;
    out[3] = (uint32_t)(rng.id >> 32);
    philox((uint32_t)rng.seed, (uint32_t)(rng.seed >> 32), out);
}

void ftl_rng_fill_u32(ftl_rng rng, uint64_t first, uint32_t *out, size_t n)
{
    uint32_t words[4];
    for (size_t i = 0; i < n;) {
        block(rng, (first + i) / 4, words);
        for (size_t w = (first + i) % 4; w < 4 && i < n; w++) out[i++] = words[w];
    }
}

uint32_t ftl_rng_below(ftl_rng rng, uint64_t index, uint32_t n)
{
    uint32_t words[4];
    block(rng, index / 4, words);
    return (uint32_t)((uint64_t)words[index % 4] * n >> 32);
}

void ftl_rng_fill_uniform_f32(ftl_rng rng, uint64_t first, float *out, size_t n, float low,
                              float high)
{
    const double span = high > low ? (double)high - low : 0;
    /* Rounding to float may reach `high`, which is outside. */
    const float most = span > 0 ? nextafterf(high, low) : low;
    uint32_t words[4];
    for (size_t i = 0; i < n;) {
        block(rng, (first + i) / 4, words);
        for (size_t w = (first + i) % 4; w < 4 && i < n; w++) {
            const float x = (float)(low + (double)(words[w] >> 8) * 0x1p-24 * span);
            out[i++] = x < most ? x : most;
        }
    }
}

/* Natural logarithm of x in (0, 1], error below 2e-16 of the result or 1e-17.
 * x = m * 2^e with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh(s), s = (m - 1) / (m + 1), |s| <
 * 0.172, by its series up to s^21, whose rest is below 1e-17. */
static double log_unit(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int e = (int)(bits >> 52) - 1023;
    bits = (bits & 0xFFFFFFFFFFFFFull) | 1023ull << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        e++;
    }
    const double s = (m - 1) / (m + 1), z = s * s;
    double sum = 1.0 / 21;
    for (int k = 19; k >= 1; k -= 2) sum = sum * z + 1.0 / k;
    return (double)e * 0.6931471805599453 + 2 * s * sum;
}

/* sin and cos of 2 pi w / 2^32, error below 1e-15.  The nearest quarter turn is taken off exactly,
 * which leaves |t| <= pi / 4 for the Taylor series up to t^17 and t^16. */
static void sincos_turn(uint32_t w, double *sine, double *cosine)
{
    const uint32_t quarter = (w + (1u << 29)) >> 30;
    const double t = (double)(int32_t)(w - (quarter << 30)) * (6.283185307179586 * 0x1p-32);
    const double z = t * t;
    double s = 1, c = 1;
    for (int k = 16; k >= 2; k -= 2) s = 1 - s * z / (k * (k + 1));
    for (int k = 16; k >= 2; k -= 2) c = 1 - c * z / (k * (k - 1));
    s *= t;
    switch (quarter & 3) {
    case 0: *sine = s, *cosine = c; break;
    case 1: *sine = c, *cosine = -s; break;
    case 2: *sine = -s, *cosine = -c; break;
    default: *sine = -c, *cosine = s; break;
    }
}

void ftl_rng_fill_normal_f32(ftl_rng rng, uint64_t first, float *out, size_t n, float mean,
                             float deviation)
{
    uint32_t words[4];
    double z[4];
    for (size_t i = 0; i < n;) {
        block(rng, (first + i) / 4, words);
        for (int pair = 0; pair < 4; pair += 2) {
            const double u = ((double)words[pair] + 1) * 0x1p-32; /* (0, 1] */
            const double r = sqrt(-2 * log_unit(u));
            double s, c;
            sincos_turn(words[pair + 1], &s, &c);
            z[pair] = r * c;
            z[pair + 1] = r * s;
        }
        for (size_t w = (first + i) % 4; w < 4 && i < n; w++)
            out[i++] = (float)(mean + deviation * z[w]);
    }
}

static const uint64_t P1 = 0x9E3779B185EBCA87u, P2 = 0xC2B2AE3D27D4EB4Fu, P3 = 0x165667B19E3779F9u,
                      P4 = 0x85EBCA77C2B2AE63u, P5 = 0x27D4EB2F165667C5u;

static uint64_t rotate(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

/* Little-endian, whatever the machine is. */
static uint64_t load(const unsigned char *p, int n)
{
    uint64_t x = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(&x, p, (size_t)n);
#else
    for (int i = 0; i < n; i++) x |= (uint64_t)p[i] << 8 * i;
#endif
    return x;
}

static uint64_t lane(uint64_t sum, uint64_t word)
{
    return rotate(sum + word * P2, 31) * P1;
}

/* Four lanes of 8 bytes over whole stripes of 32. */
static uint64_t stripes(const unsigned char **p, const unsigned char *end, uint64_t seed)
{
    uint64_t v[4] = { seed + P1 + P2, seed + P2, seed, seed - P1 };
    for (; end - *p >= 32; *p += 32)
        for (int i = 0; i < 4; i++) v[i] = lane(v[i], load(*p + 8 * i, 8));
    uint64_t h = rotate(v[0], 1) + rotate(v[1], 7) + rotate(v[2], 12) + rotate(v[3], 18);
    for (int i = 0; i < 4; i++) h = (h ^ lane(0, v[i])) * P1 + P4;
    return h;
}

uint64_t ftl_hash64(const void *data, size_t bytes, uint64_t seed)
{
    static const unsigned char nothing[1] = { 0 };
    const unsigned char *p = bytes ? data : nothing, *end = p + bytes;
    uint64_t h = bytes >= 32 ? stripes(&p, end, seed) : seed + P5;
    h += bytes;
    for (; end - p >= 8; p += 8) h = rotate(h ^ lane(0, load(p, 8)), 27) * P1 + P4;
    if (end - p >= 4) {
        h = rotate(h ^ load(p, 4) * P1, 23) * P2 + P3;
        p += 4;
    }
    for (; p < end; p++) h = rotate(h ^ *p * P5, 11) * P1;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}
