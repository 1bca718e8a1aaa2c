/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

/* Known answers of the authors: Random123 1.14, tests/kat_vectors, philox4x32 10. */
static void philox_gives_the_published_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } rows[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t got[4];
        memcpy(got, rows[i].counter, sizeof got);
        ftl_rng_u32x4(rows[i].key, got, got);
        assert_memory_equal(got, rows[i].want, sizeof got);
    }
}

static void any_piece_equals_the_whole(void **state)
{
    (void)state;
    enum { N = 103 };
    const ftl_rng rng = { 42, 7 };
    uint32_t words[N], word_piece[N];
    float uniform[N], normal[N], piece[N];
    ftl_rng_fill_u32(rng, 0, words, N);
    ftl_rng_fill_uniform_f32(rng, 0, uniform, N, -2, 3);
    ftl_rng_fill_normal_f32(rng, 0, normal, N, 1, 2);
    for (size_t first = 0; first < 9; first++)
        for (size_t n = 0; first + n <= N; n += 1 + n / 3) {
            ftl_rng_fill_u32(rng, first, word_piece, n);
            assert_memory_equal(word_piece, words + first, n * 4);
            ftl_rng_fill_uniform_f32(rng, first, piece, n, -2, 3);
            assert_memory_equal(piece, uniform + first, n * 4);
            ftl_rng_fill_normal_f32(rng, first, piece, n, 1, 2);
            assert_memory_equal(piece, normal + first, n * 4);
        }
    ftl_rng_fill_u32((ftl_rng){ 42, 8 }, 0, word_piece, N);
    assert_memory_not_equal(word_piece, words, 16);
    ftl_rng_fill_u32((ftl_rng){ 43, 7 }, 0, word_piece, N);
    assert_memory_not_equal(word_piece, words, 16);
}

static void uniform_stays_inside_and_has_its_moments(void **state)
{
    (void)state;
    enum { N = 200000 };
    float *x = malloc(N * sizeof *x);
    assert_non_null(x);
    ftl_rng_fill_uniform_f32((ftl_rng){ 1, 2 }, 0, x, N, -1, 1);
    double sum = 0, square = 0;
    for (int i = 0; i < N; i++) {
        assert_true(x[i] >= -1 && x[i] < 1);
        sum += x[i];
        square += (double)x[i] * x[i];
    }
    assert_true(fabs(sum / N) < 5 * sqrt(1.0 / 3 / N)); /* five standard errors */
    assert_true(fabs(square / N - 1.0 / 3) < 5 * sqrt(4.0 / 45 / N));
    /* One float wide: rounding must not reach the end. */
    const float high = nextafterf(16777216.0f, 3e7f);
    ftl_rng_fill_uniform_f32((ftl_rng){ 1, 2 }, 0, x, 1000, 16777216.0f, high);
    for (int i = 0; i < 1000; i++) assert_true(x[i] == 16777216.0f);
    ftl_rng_fill_uniform_f32((ftl_rng){ 1, 2 }, 0, x, 10, 5, 5);
    assert_true(x[0] == 5 && x[9] == 5);
    free(x);
}

static void normal_is_box_muller_to_the_last_bit_but_one(void **state)
{
    (void)state;
    enum { N = 40000 };
    const ftl_rng rng = { 9, 9 };
    uint32_t *w = malloc(N * sizeof *w);
    float *x = malloc(N * sizeof *x);
    assert_non_null(w);
    assert_non_null(x);
    ftl_rng_fill_u32(rng, 0, w, N);
    ftl_rng_fill_normal_f32(rng, 0, x, N, 0, 1);
    const double tau = 6.283185307179586;
    for (int i = 0; i < N; i += 2) {
        const double r = sqrt(-2 * log((w[i] + 1.0) / 4294967296.0)),
                     a = tau * w[i + 1] / 4294967296.0;
        assert_true(fabs(x[i] - r * cos(a)) <= 6e-8 * fabs(r * cos(a)) + 1e-14);
        assert_true(fabs(x[i + 1] - r * sin(a)) <= 6e-8 * fabs(r * sin(a)) + 1e-14);
    }
    double sum = 0, square = 0, fourth = 0;
    for (int i = 0; i < N; i++) {
        const double z = x[i];
        sum += z, square += z * z, fourth += z * z * z * z;
    }
    assert_true(fabs(sum / N) < 5 / sqrt(N));
    assert_true(fabs(square / N - 1) < 5 * sqrt(2.0 / N));
    assert_true(fabs(fourth / N - 3) < 5 * sqrt(96.0 / N));
    free(w);
    free(x);
}

/* XXH64 of 100000 floats each. */
static const uint64_t NORMAL_BITS = 0x37bd81b8e6e2eac6u, UNIFORM_BITS = 0x59eed2d351484ca4u;

/* The bits that every machine must make, pinned on x86-64; a change here is a change of every
 * seeded weight. */
static void bits_are_the_same_on_every_machine(void **state)
{
    (void)state;
    enum { N = 100000 };
    float *x = malloc(N * sizeof *x);
    assert_non_null(x);
    ftl_rng_fill_normal_f32((ftl_rng){ 2024, 5 }, 3, x, N, 0.25f, 1.5f);
    const uint64_t normal = ftl_hash64(x, N * sizeof *x, 0);
    ftl_rng_fill_uniform_f32((ftl_rng){ 2024, 5 }, 3, x, N, -0.1f, 0.7f);
    const uint64_t uniform = ftl_hash64(x, N * sizeof *x, 0);
    free(x);
    if (normal != NORMAL_BITS || uniform != UNIFORM_BITS)
        print_error("normal 0x%016llx uniform 0x%016llx\n", (unsigned long long)normal,
                    (unsigned long long)uniform);
    assert_true(normal == NORMAL_BITS);
    assert_true(uniform == UNIFORM_BITS);
}

static void below_covers_its_range(void **state)
{
    (void)state;
    int seen[10] = { 0 };
    for (uint64_t i = 0; i < 10000; i++) {
        const uint32_t r = ftl_rng_below((ftl_rng){ 3, 1 }, i, 10);
        assert_true(r < 10);
        seen[r]++;
    }
    for (int i = 0; i < 10; i++) assert_true(seen[i] > 850 && seen[i] < 1150); /* five sigma */
    assert_int_equal(ftl_rng_below((ftl_rng){ 3, 1 }, 5, 1), 0);
}

/* Answers of the reference implementation, xxHash 0.8 (python-xxhash, xxh64_hexdigest). */
static void hash_gives_the_published_answers(void **state)
{
    (void)state;
    assert_true(ftl_hash64(NULL, 0, 0) == 0xef46db3751d8e999u);
    assert_true(ftl_hash64("a", 1, 0) == 0xd24ec4f1a98c6e5bu);
    assert_true(ftl_hash64("abc", 3, 0) == 0x44bc2cf5ad770999u);
    unsigned char bytes[101];
    for (int i = 0; i < 101; i++) bytes[i] = (unsigned char)(i * 7 + 3);
    static const struct {
        size_t n;
        uint64_t seed, want;
    } rows[] = {
        { 4, 0, 0x9bb64b7d66ee9fdau },     { 7, 0x1u, 0xd8b4a941715fee31u },
        { 8, 0, 0xdab99d95c6f90092u },     { 15, 0x9e3779b97f4a7c15u, 0xe2ec50a544faec61u },
        { 31, 0, 0xa2aa5f33cc4a6119u },    { 32, 0, 0x23c3c17ef790fd97u },
        { 33, 0x5u, 0xbb0f5983c203f593u }, { 64, 0, 0x0eb64b3ef6eeb01fu },
        { 101, 0, 0xbad4d3bf033bda4cu },   { 101, 0x9e3779b97f4a7c15u, 0x9a5f95077eaecb78u },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_true(ftl_hash64(bytes, rows[i].n, rows[i].seed) == rows[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_answers),
        cmocka_unit_test(any_piece_equals_the_whole),
        cmocka_unit_test(uniform_stays_inside_and_has_its_moments),
        cmocka_unit_test(normal_is_box_muller_to_the_last_bit_but_one),
        cmocka_unit_test(bits_are_the_same_on_every_machine),
        cmocka_unit_test(below_covers_its_range),
        cmocka_unit_test(hash_gives_the_published_answers),
    };
    return ftl_test_run(tests);
}
