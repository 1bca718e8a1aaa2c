/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "core/init.h"
#include "support/graphs.h"

enum { N = 5000 };

static ftl_tensor weight(ftl_dtype dtype, ftl_init_kind kind, float scale, float offset)
{
    return (ftl_tensor){ .name = "w",
                         .kind = FTL_TENSOR_WEIGHT,
                         .id = 77,
                         .desc = { .dtype = dtype, .rank = 1, .dim = { N } },
                         .init = { kind, scale, offset } };
}

static void normal_has_its_deviation_and_stream(void **unused)
{
    (void)unused;
    const ftl_tensor t = weight(FTL_DTYPE_F32, FTL_INIT_NORMAL, 0.5f, 0);
    static float got[N], want[N];
    double sum = 0, square = 0;
    ftl_init_fill(&t, 3, got);
    ftl_rng_fill_normal_f32((ftl_rng){ .seed = 3, .id = 77 }, 0, want, N, 0, 0.5f);
    assert_memory_equal(got, want, sizeof got);
    for (int i = 0; i < N; i++) {
        sum += got[i];
        square += (double)got[i] * got[i];
    }
    assert_true(fabs(sum / N) < 0.03 && fabs(sqrt(square / N) - 0.5) < 0.02);
}

static void parts_are_the_whole(void **unused)
{
    (void)unused;
    static float whole[N], parts[N];
    static const int64_t cut[5] = { 0, 1, 1030, 4097, N };
    for (int kind = FTL_INIT_NORMAL; kind <= FTL_INIT_UNIFORM; kind++) {
        const ftl_tensor t = weight(FTL_DTYPE_F32, (ftl_init_kind)kind, 2, -1);
        ftl_init_fill(&t, 9, whole);
        for (int i = 0; i < 4; i++)
            ftl_init_fill_part(&t, 9, cut[i], cut[i + 1] - cut[i], parts + cut[i]);
        assert_memory_equal(whole, parts, sizeof whole);
    }
}

static void seed_and_id_matter(void **unused)
{
    (void)unused;
    ftl_tensor t = weight(FTL_DTYPE_F32, FTL_INIT_UNIFORM, 1, 0);
    static float a[N], b[N];
    ftl_init_fill(&t, 1, a);
    ftl_init_fill(&t, 1, b);
    assert_memory_equal(a, b, sizeof a);
    ftl_init_fill(&t, 2, b);
    assert_memory_not_equal(a, b, sizeof a);
    t.id++;
    ftl_init_fill(&t, 1, b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void every_float_type_holds_the_f32_rounded(void **unused)
{
    (void)unused;
    static const ftl_dtype types[3] = { FTL_DTYPE_F64, FTL_DTYPE_F16, FTL_DTYPE_BF16 };
    static float base[N];
    static double got[N];
    ftl_tensor t = weight(FTL_DTYPE_F32, FTL_INIT_NORMAL, 1, 0);
    ftl_init_fill(&t, 5, base);
    for (int k = 0; k < 3; k++) {
        t.desc.dtype = types[k];
        ftl_init_fill(&t, 5, got);
        for (int i = 0; i < N; i++) {
            uint64_t rounded;
            ftl_element_set(types[k], &rounded, 0, base[i]);
            assert_true(ftl_element_get(types[k], got, i) ==
                        ftl_element_get(types[k], &rounded, 0));
        }
    }
}

static void uniform_and_fill_stay_in_range(void **unused)
{
    (void)unused;
    static float got[N];
    ftl_tensor t = weight(FTL_DTYPE_F32, FTL_INIT_UNIFORM, 4, -1);
    float low = 99, high = -99;
    ftl_init_fill(&t, 1, got);
    for (int i = 0; i < N; i++) {
        low = fminf(low, got[i]);
        high = fmaxf(high, got[i]);
    }
    assert_true(low >= -1 && low < -0.95f && high < 3 && high > 2.95f);
    t.init = (ftl_init){ FTL_INIT_FILL, 0.25f, 0 };
    ftl_init_fill(&t, 1, got);
    for (int i = 0; i < N; i++) assert_true(got[i] == 0.25f);
}

static void integers_are_whole_and_all_come(void **unused)
{
    (void)unused;
    static int32_t got[N];
    int seen[7] = { 0 };
    ftl_tensor t = weight(FTL_DTYPE_I32, FTL_INIT_UNIFORM, 7, 10);
    ftl_init_fill(&t, 1, got);
    for (int i = 0; i < N; i++) {
        assert_true(got[i] >= 10 && got[i] < 17);
        seen[got[i] - 10]++;
    }
    for (int i = 0; i < 7; i++) assert_true(seen[i] > N / 10);
}

static void silent_inputs_are_normal_or_zero_and_one(void **unused)
{
    (void)unused;
    static float x[N];
    static int64_t ids[N];
    static uint8_t flags[N];
    ftl_tensor t = weight(FTL_DTYPE_F32, FTL_INIT_NORMAL, 0, 0);
    ftl_init_fill(&t, 1, x);
    for (int i = 0; i < N; i++) assert_true(x[i] == 0); /* a weight that says 0 is 0 */
    t.kind = FTL_TENSOR_INPUT;
    double square = 0;
    int64_t n_ids = 0, n_flags = 0;
    ftl_init_fill(&t, 1, x);
    t.desc.dtype = FTL_DTYPE_I64;
    ftl_init_fill(&t, 1, ids);
    t.desc.dtype = FTL_DTYPE_BOOL;
    ftl_init_fill(&t, 1, flags);
    for (int i = 0; i < N; i++) {
        square += (double)x[i] * x[i];
        assert_true((ids[i] == 0 || ids[i] == 1) && flags[i] <= 1);
        n_ids += ids[i];
        n_flags += flags[i];
    }
    assert_true(fabs(sqrt(square / N) - 1) < 0.05);
    assert_true(n_ids > N / 3 && n_ids < 2 * N / 3 && n_flags > N / 3 && n_flags < 2 * N / 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_has_its_deviation_and_stream),
        cmocka_unit_test(parts_are_the_whole),
        cmocka_unit_test(seed_and_id_matter),
        cmocka_unit_test(every_float_type_holds_the_f32_rounded),
        cmocka_unit_test(uniform_and_fill_stay_in_range),
        cmocka_unit_test(integers_are_whole_and_all_come),
        cmocka_unit_test(silent_inputs_are_normal_or_zero_and_one),
    };
    return ftl_test_run(tests);
}
