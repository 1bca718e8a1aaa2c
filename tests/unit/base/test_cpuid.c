/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/cpuid.h"

static void parse_brings_all_that_a_name_builds_on(void **state)
{
    (void)state;
    uint32_t m;
    assert_ok(ftl_isa_parse(&m, "avx2"));
    assert_int_equal(m, FTL_ISA_AVX2);
    assert_ok(ftl_isa_parse(&m, "avx512"));
    assert_int_equal(m, FTL_ISA_AVX2 | FTL_ISA_AVX512);
    assert_ok(ftl_isa_parse(&m, "avx512_vnni"));
    assert_int_equal(m, FTL_ISA_AVX2 | FTL_ISA_AVX512 | FTL_ISA_AVX512_VNNI);
    assert_ok(ftl_isa_parse(&m, "avx_vnni,neon_i8mm"));
    assert_int_equal(m, FTL_ISA_AVX2 | FTL_ISA_AVX_VNNI | FTL_ISA_NEON | FTL_ISA_NEON_DOT |
                            FTL_ISA_NEON_I8MM);
    assert_ok(ftl_isa_parse(&m, "portable"));
    assert_int_equal(m, 0);
    assert_ok(ftl_isa_parse(&m, "native"));
    assert_int_equal(m, UINT32_MAX);
    static const char *const bad[] = {
        "", "avx", "avx2,", ",avx2", "AVX2", "avx2 avx512", "avx22"
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        m = 77;
        assert_fails(FTL_EINVAL, ftl_isa_parse(&m, bad[i]));
        assert_int_equal(m, 0);
        assert_non_null(strstr(ftl_error_text(), "avx512_bf16"));
    }
}

static void names_and_parse_are_inverse(void **state)
{
    (void)state;
    char text[200];
    for (int i = 0; i < 32; i++) {
        const char *name = ftl_isa_name((uint32_t)1 << i);
        if (!name) continue;
        uint32_t m;
        assert_ok(ftl_isa_parse(&m, name));
        assert_true(m >> i & 1);
    }
    assert_string_equal(ftl_isa_name(FTL_ISA_ANY), "any");
    assert_null(ftl_isa_name(3));
    assert_string_equal(ftl_isa_names(text, sizeof text, 0), "any");
    assert_string_equal(ftl_isa_names(text, sizeof text, FTL_ISA_AVX2 | FTL_ISA_AVX512),
                        "avx2 avx512");
    assert_string_equal(ftl_isa_names(text, 6, FTL_ISA_AVX2 | FTL_ISA_AVX512), "avx2 ");
}

static void limit_only_takes_away(void **state)
{
    (void)state;
    const uint32_t all = ftl_cpu_isa_detected();
    ftl_cpu_isa_limit(0);
    assert_int_equal(ftl_cpu_isa(), 0);
    ftl_cpu_isa_limit(FTL_ISA_AVX2 | FTL_ISA_NEON);
    assert_int_equal(ftl_cpu_isa(), all & (FTL_ISA_AVX2 | FTL_ISA_NEON));
    assert_int_equal(ftl_cpu_isa_detected(), all);
    ftl_cpu_isa_limit(UINT32_MAX);
    assert_int_equal(ftl_cpu_isa(), all);
}

/* True when the kernel lists the feature as a whole word. */
static int kernel_lists(const char *flags, const char *word)
{
    char padded[64];
    snprintf(padded, sizeof padded, " %s ", word);
    return strstr(flags, padded) != NULL;
}

static void detection_agrees_with_the_kernel(void **state)
{
    (void)state;
    static char line[16384], flags[16384];
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (!f) return; /* no kernel to ask */
    while (fgets(line, sizeof line, f))
        if (strncmp(line, "flags", 5) == 0 || strncmp(line, "Features", 8) == 0) {
            line[strcspn(line, "\n")] = 0;
            snprintf(flags, sizeof flags, "%.16000s ", strchr(line, ':') + 1);
            break;
        }
    fclose(f);
    const uint32_t isa = ftl_cpu_isa_detected();
    static const struct {
        uint32_t bit;
        const char *words[6];
    } rows[] = {
        { FTL_ISA_AVX2, { "avx2", "fma", "f16c" } },
        { FTL_ISA_AVX512, { "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd" } },
        { FTL_ISA_AVX512_VNNI, { "avx512_vnni" } },
        { FTL_ISA_AVX512_BF16, { "avx512_bf16" } },
        { FTL_ISA_AVX_VNNI, { "avx_vnni" } },
        { FTL_ISA_NEON, { "asimd" } },
        { FTL_ISA_NEON_DOT, { "asimddp" } },
        { FTL_ISA_NEON_I8MM, { "i8mm" } },
        { FTL_ISA_NEON_BF16, { "bf16" } },
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        int all = 1;
        for (int w = 0; w < 6 && rows[r].words[w]; w++)
            all &= kernel_lists(flags, rows[r].words[w]);
        if (all != ((isa & rows[r].bit) != 0)) print_error("%s\n", rows[r].words[0]);
        assert_int_equal(all, (isa & rows[r].bit) != 0);
    }
}

static void name_is_clean_text(void **state)
{
    (void)state;
    char name[100], cut[5];
    ftl_cpu_name(name, sizeof name);
    assert_true(strlen(name) > 0);
    assert_null(strstr(name, "  "));
    assert_true(name[0] != ' ' && name[strlen(name) - 1] != ' ');
    assert_true(strlen(ftl_cpu_name(cut, sizeof cut)) <= 4);
    assert_int_equal(strncmp(name, cut, strlen(cut)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_brings_all_that_a_name_builds_on),
        cmocka_unit_test(names_and_parse_are_inverse),
        cmocka_unit_test(limit_only_takes_away),
        cmocka_unit_test(detection_agrees_with_the_kernel),
        cmocka_unit_test(name_is_clean_text),
    };
    return ftl_test_run(tests);
}
