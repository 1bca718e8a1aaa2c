/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue is a table of constants: catalogue.def says where each number is from. */
#include "fettle/catalogue.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/status.h"
#include "base/text.h"

#define GIB(n)                 ((uint64_t)(n) << 30)
#define LINK(text, host, peer) (text), (host), (peer)
/* One way, after the coding of the line: 8b/10b below PCIe 3.0, 128b/130b from there on. */
#define PCIE3_X16 15.75e9
#define PCIE4_X8  15.75e9
#define PCIE4_X16 31.5e9
#define PCIE5_X8  31.5e9
#define PCIE5_X16 63e9

#define PEAK(f32, f16, i8) (f32), (f16), (i8)
/* Two flops a CUDA core and cycle; tensor cores of GeForce cards give 4 times (Turing) or twice
 * that with f16 products and f32 sums, 16 or 8 times that with i8.
 * Source: NVIDIA's white papers of the four architectures, peak rates tables. */
#define SHADERS(cores, mhz)   (2e6 * (cores) * (mhz))
#define TURING(cores, mhz)    SHADERS(cores, mhz), 4 * SHADERS(cores, mhz), 16 * SHADERS(cores, mhz)
#define AMPERE(cores, mhz)    SHADERS(cores, mhz), 2 * SHADERS(cores, mhz), 8 * SHADERS(cores, mhz)
#define ADA(cores, mhz)       AMPERE(cores, mhz)
#define BLACKWELL(cores, mhz) AMPERE(cores, mhz)
/* Operations a cycle and core; those of f16 and i8 only where a matrix unit gives them. */
#define CPU(cores, ghz, f32, f16, i8)                                                              \
    1e9 * (cores) * (ghz) * (f32), 1e9 * (cores) * (ghz) * (f16), 1e9 * (cores) * (ghz) * (i8)
#define NEON(cores, ghz, f16, i8)   CPU(cores, ghz, 16, f16, i8)
#define AVX2(cores, ghz, f16, i8)   CPU(cores, ghz, 32, f16, i8)
#define AVX512(cores, ghz, f16, i8) CPU(cores, ghz, 64, f16, i8)

#define GEFORCE_20        "computed from cores and reference boost: NVIDIA product pages, 2018-2019"
#define GEFORCE_30        "computed from cores and reference boost: NVIDIA product pages, 2020-2022"
#define GEFORCE_40        "computed from cores and reference boost: NVIDIA product pages, 2022-2024"
#define GEFORCE_50        "computed from cores and reference boost: NVIDIA product pages, 2025"
#define GEFORCE_20_LAPTOP "computed from cores and highest boost: NVIDIA laptop GPU table, 2019"
#define GEFORCE_30_LAPTOP                                                                          \
    "computed from cores and highest boost: NVIDIA laptop GPU table, 2021-2022"
#define GEFORCE_40_LAPTOP "computed from cores and highest boost: NVIDIA laptop GPU table, 2023"
#define GEFORCE_50_LAPTOP "computed from cores and highest boost: NVIDIA laptop GPU table, 2025"

/* The members in the order of ftl_chip. */
#define X(kind, name, title, ...) { kind ":" name, kind, title, __VA_ARGS__ },
static const ftl_chip rows[] = {
#include "plan/catalogue.def"
};
#undef X
enum { N_ROWS = sizeof rows / sizeof rows[0] };

const ftl_chip *ftl_catalogue_at(int32_t i)
{
    return i >= 0 && i < N_ROWS ? &rows[i] : NULL;
}

/* "h200" and "GPU:H200" are both "gpu:h200". */
static bool is_called(const ftl_chip *chip, const char *name)
{
    return strcasecmp(chip->name, name) == 0 ||
           strcasecmp(chip->name + strlen(chip->kind) + 1, name) == 0;
}

static const char *nearest(const char *name)
{
    const char *names[2 * N_ROWS];
    for (int i = 0; i < N_ROWS; i++) {
        names[i] = rows[i].name;
        names[N_ROWS + i] = rows[i].name + strlen(rows[i].kind) + 1;
    }
    return ftl_text_nearest(name, names, strchr(name, ':') ? N_ROWS : 2 * N_ROWS);
}

ftl_status ftl_catalogue_find(const ftl_chip **out, const char *name)
{
    *out = NULL;
    for (int i = 0; i < N_ROWS; i++)
        if (is_called(&rows[i], name)) *out = &rows[i];
    if (*out) return FTL_OK;
    const char *guess = nearest(name);
    if (guess)
        return ftl_fail(FTL_ENOTFOUND, "the catalogue has no chip \"%.60s\"; did you mean %s?",
                        name, guess);
    return ftl_fail(FTL_ENOTFOUND,
                    "the catalogue has no chip \"%.60s\"; fettle devices --catalogue lists it",
                    name);
}

/* 0 is "not stated". */
static json_t *stated(double x)
{
    return x > 0 ? ftl_json_new_real(x) : json_null();
}

static json_t *row_json(const ftl_chip *c)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:I, s:o, s:s, s:o, s:o, s:o, s:i, s:s}",
                     "name", c->name, "kind", c->kind, "title", c->title, "f32_flops_per_s",
                     stated(c->f32_flops_per_s), "f16_flops_per_s", stated(c->f16_flops_per_s),
                     "i8_ops_per_s", stated(c->i8_ops_per_s), "memory_bytes",
                     (json_int_t)c->memory_bytes, "memory_bytes_per_s",
                     stated(c->memory_bytes_per_s), "link", c->link, "host_bytes_per_s",
                     stated(c->host_bytes_per_s), "peer_bytes_per_s", stated(c->peer_bytes_per_s),
                     "tdp_w", stated(c->tdp_w), "cores", (int)c->n_cores, "source", c->source);
}

ftl_status ftl_catalogue_json(char **out)
{
    json_t *chips = json_array();
    bool bad = !chips;
    *out = NULL;
    for (int i = 0; i < N_ROWS && !bad; i++)
        bad = json_array_append_new(chips, row_json(&rows[i])) != 0;
    json_t *root = json_pack("{s:s, s:s, s:o}", "schema", "fettle.catalogue/1", "method",
                             "data sheet", "chips", chips); /* takes chips, also when it fails */
    ftl_status s = FTL_OK;
    if (bad || !root) s = ftl_fail(FTL_ENOMEM, "no memory for the JSON of the catalogue");
    else s = ftl_json_write_text(out, root);
    json_decref(root);
    return s;
}
