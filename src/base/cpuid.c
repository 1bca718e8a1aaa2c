/* SPDX-License-Identifier: Apache-2.0 */
/* Sources: Intel SDM volume 2A, CPUID, and volume 1 section 14.3 (XGETBV before AVX is used);
 * AMD APM volume 3 appendix E; Linux Documentation/arch/arm64/elf_hwcaps.rst. */
#include "base/cpuid.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

static _Atomic uint32_t limit = UINT32_MAX;

/* Each row: bit, name, the bits it builds on.  A row stands after those. */
static const struct isa_row {
    uint32_t bit;
    const char *name;
    uint32_t below;
} rows[] = {
    { FTL_ISA_AVX2, "avx2", 0 },
    { FTL_ISA_AVX_VNNI, "avx_vnni", FTL_ISA_AVX2 },
    { FTL_ISA_AVX512, "avx512", FTL_ISA_AVX2 },
    { FTL_ISA_AVX512_VNNI, "avx512_vnni", FTL_ISA_AVX2 | FTL_ISA_AVX512 },
    { FTL_ISA_AVX512_BF16, "avx512_bf16", FTL_ISA_AVX2 | FTL_ISA_AVX512 | FTL_ISA_AVX512_VNNI },
    { FTL_ISA_NEON, "neon", 0 },
    { FTL_ISA_NEON_DOT, "neon_dot", FTL_ISA_NEON },
    { FTL_ISA_NEON_I8MM, "neon_i8mm", FTL_ISA_NEON | FTL_ISA_NEON_DOT },
    { FTL_ISA_NEON_BF16, "neon_bf16", FTL_ISA_NEON | FTL_ISA_NEON_DOT },
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

enum {
    XCR0_AVX = 0x06,   /* XMM and YMM are saved                 */
    XCR0_AVX512 = 0xe6 /* and the masks, and ZMM 0-15 and 16-31 */
};

static uint64_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__ __volatile__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static int has(uint32_t word, unsigned bit)
{
    return (word >> bit & 1) != 0;
}

static uint32_t detect(void)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    const int has_f16c_fma = has(c, 29) && has(c, 12) && has(c, 28);
    if (!has(c, 27)) return 0; /* OSXSAVE: xgetbv would fault */
    const uint64_t xcr0 = read_xcr0();
    if ((xcr0 & XCR0_AVX) != XCR0_AVX || !has_f16c_fma) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    const uint32_t n_subleaves = a;
    uint32_t isa = has(b, 5) ? FTL_ISA_AVX2 : 0;
    const int has_512 = has(b, 16) && has(b, 17) && has(b, 28) && has(b, 30) && has(b, 31) &&
                        (xcr0 & XCR0_AVX512) == XCR0_AVX512;
    if (has_512) isa |= FTL_ISA_AVX512;
    if (has_512 && has(c, 11)) isa |= FTL_ISA_AVX512_VNNI;
    if (n_subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) {
        if (has(a, 4)) isa |= FTL_ISA_AVX_VNNI;
        if (has_512 && has(a, 5)) isa |= FTL_ISA_AVX512_BF16;
    }
    return isa;
}

/* The brand string of leaves 0x80000002 ... 4: 48 bytes, maybe without an end. */
static void read_name(char *text, size_t size)
{
    uint32_t words[13] = { 0 }, most, b, c, d;
    if (!__get_cpuid(0x80000000u, &most, &b, &c, &d) || most < 0x80000004u) return;
    for (uint32_t i = 0; i < 3; i++)
        __get_cpuid(0x80000002u + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2],
                    &words[4 * i + 3]);
    snprintf(text, size, "%s", (const char *)words);
}
#else
#if defined(__aarch64__)
#include <sys/auxv.h>

/* Bits of the kernel's interface, which older headers lack. */
enum { HWCAP_BIT_ASIMD = 1, HWCAP_BIT_ASIMDDP = 20, HWCAP2_BIT_I8MM = 13, HWCAP2_BIT_BF16 = 14 };

static uint32_t detect(void)
{
    const unsigned long one = getauxval(AT_HWCAP), two = getauxval(AT_HWCAP2);
    if (!(one >> HWCAP_BIT_ASIMD & 1)) return 0;
    uint32_t isa = FTL_ISA_NEON;
    if (one >> HWCAP_BIT_ASIMDDP & 1) isa |= FTL_ISA_NEON_DOT;
    if (two >> HWCAP2_BIT_I8MM & 1) isa |= FTL_ISA_NEON_I8MM;
    if (two >> HWCAP2_BIT_BF16 & 1) isa |= FTL_ISA_NEON_BF16;
    return isa;
}
#else
static uint32_t detect(void)
{
    return 0;
}
#endif

/* The first line of /proc/cpuinfo, or of the device tree, that names the part. */
static void read_name(char *text, size_t size)
{
    static const char *const keys[] = { "model name", "Model Name", "Hardware", "cpu model",
                                        "uarch" };
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && !text[0] && fgets(line, sizeof line, f)) {
        const char *value = strchr(line, ':');
        for (size_t k = 0; value && k < sizeof keys / sizeof keys[0]; k++)
            if (strncmp(line, keys[k], strlen(keys[k])) == 0) snprintf(text, size, "%s", value + 1);
    }
    if (f) fclose(f);
    if (!text[0] && (f = fopen("/proc/device-tree/model", "re")) != NULL) {
        if (fgets(line, sizeof line, f)) snprintf(text, size, "%s", line);
        fclose(f);
    }
}
#endif

/* A feature without what it builds on (a hypervisor may show that) is not usable. */
static uint32_t drop_orphans(uint32_t isa)
{
    for (int i = 0; i < N_ROWS; i++)
        if ((isa & rows[i].bit) && (isa & rows[i].below) != rows[i].below) isa &= ~rows[i].bit;
    return isa;
}

uint32_t ftl_cpu_isa_detected(void)
{
    /* The bits plus one marker; a race writes the same value twice. */
    enum { KNOWN = 1 << 30 };
    static _Atomic uint32_t cached;
    uint32_t isa = atomic_load_explicit(&cached, memory_order_relaxed);
    if (!isa) {
        isa = drop_orphans(detect()) | KNOWN;
        atomic_store_explicit(&cached, isa, memory_order_relaxed);
    }
    return isa & ~(uint32_t)KNOWN;
}

uint32_t ftl_cpu_isa(void)
{
    return ftl_cpu_isa_detected() & atomic_load_explicit(&limit, memory_order_relaxed);
}

void ftl_cpu_isa_limit(uint32_t mask)
{
    atomic_store(&limit, mask);
}

const char *ftl_isa_name(uint32_t bit)
{
    if (bit == FTL_ISA_ANY) return "any";
    for (int i = 0; i < N_ROWS; i++)
        if (rows[i].bit == bit) return rows[i].name;
    return NULL;
}

char *ftl_isa_names(char *text, size_t size, uint32_t mask)
{
    if (size == 0) return text;
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < N_ROWS && used < size; i++)
        if (mask & rows[i].bit)
            used +=
                (size_t)snprintf(text + used, size - used, "%s%s", used ? " " : "", rows[i].name);
    if (!text[0]) snprintf(text, size, "any");
    return text;
}

/* One name of n bytes. */
static ftl_status parse_one(uint32_t *mask, const char *name, size_t n)
{
    if ((n == 3 && strncmp(name, "any", n) == 0) || (n == 8 && strncmp(name, "portable", n) == 0))
        return FTL_OK;
    if (n == 6 && strncmp(name, "native", n) == 0) {
        *mask = UINT32_MAX;
        return FTL_OK;
    }
    for (int i = 0; i < N_ROWS; i++)
        if (strlen(rows[i].name) == n && strncmp(name, rows[i].name, n) == 0) {
            *mask |= rows[i].bit | rows[i].below;
            return FTL_OK;
        }
    char known[200];
    return ftl_fail(FTL_EINVAL, "unknown instruction set \"%.*s\": use any, native or some of %s",
                    n > 60 ? 60 : (int)n, name, ftl_isa_names(known, sizeof known, UINT32_MAX));
}

ftl_status ftl_isa_parse(uint32_t *mask, const char *text)
{
    *mask = 0;
    for (const char *name = text;;) {
        const size_t n = strcspn(name, ",");
        const ftl_status s = parse_one(mask, name, n);
        if (s != FTL_OK) {
            *mask = 0;
            return s;
        }
        if (!name[n]) return FTL_OK;
        name += n + 1;
    }
}

char *ftl_cpu_name(char *text, size_t size)
{
    if (size == 0) return text;
    char raw[256] = "";
    read_name(raw, sizeof raw);
    size_t n = 0;
    for (const char *c = raw; *c && n + 1 < size; c++) {
        const char plain = isgraph((unsigned char)*c) ? *c : ' ';
        if (plain != ' ' || (n > 0 && text[n - 1] != ' ')) text[n++] = plain;
    }
    while (n > 0 && text[n - 1] == ' ') n--;
    text[n] = 0;
    if (n == 0) snprintf(text, size, "unknown CPU");
    return text;
}
