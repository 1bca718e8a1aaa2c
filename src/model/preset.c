/* SPDX-License-Identifier: Apache-2.0 */
#include "model/preset.h"

#include "base/text.h"
#include "fettle/model.h"

static const ftl_preset presets[] = {
#define X(function, text, batch, tokens, most, side, shorter, line)                                \
    { .name = text,                                                                                \
      .about = line,                                                                               \
      .build = ftl_preset_build_##function,                                                        \
      .defaults = { batch, tokens },                                                               \
      .tokens_max = most,                                                                          \
      .image_side = side,                                                                          \
      .resize_shorter = shorter },
#include "model/presets.def"
#undef X
};

enum {
    N_PRESETS = sizeof presets / sizeof *presets,
    /* With it every index of the attention row stays below 2^31. */
    BATCH_MAX = 1 << 20
};

const ftl_preset *ftl_preset_at(int32_t i)
{
    return i >= 0 && i < (int32_t)N_PRESETS ? &presets[i] : NULL;
}

const char *ftl_preset_name(int32_t i)
{
    const ftl_preset *p = ftl_preset_at(i);
    return p ? p->name : NULL;
}

const char *ftl_preset_about(int32_t i)
{
    const ftl_preset *p = ftl_preset_at(i);
    return p ? p->about : NULL;
}

ftl_status ftl_preset_find(const ftl_preset **out, const char *name)
{
    const char *names[N_PRESETS];
    *out = NULL;
    for (int32_t i = 0; i < (int32_t)N_PRESETS; i++) {
        names[i] = presets[i].name;
        if (ftl_text_distance(name, names[i]) == 0) *out = &presets[i];
    }
    if (*out) return FTL_OK;
    const char *nearest = ftl_text_nearest(name, names, N_PRESETS);
    if (nearest)
        return ftl_fail(FTL_ENOTFOUND, "there is no preset \"@%s\": did you mean \"@%s\"?", name,
                        nearest);
    return ftl_fail(FTL_ENOTFOUND,
                    "there is no preset \"@%s\": `fettle plan --list` shows those there are", name);
}

static ftl_status check_dim(const char *preset, const char *name, int64_t value, int64_t most)
{
    if (value >= 1 && value <= most) return FTL_OK;
    return ftl_fail(FTL_EINVAL, "@%s: %s is %lld, but must be 1 to %lld", preset, name,
                    (long long)value, (long long)most);
}

ftl_status ftl_preset_build(ftl_graph **out, const ftl_preset *preset, const ftl_preset_dims *dims)
{
    *out = NULL;
    FTL_TRY(check_dim(preset->name, "batch", dims->batch, BATCH_MAX));
    if (preset->tokens_max)
        FTL_TRY(check_dim(preset->name, "tokens", dims->tokens, preset->tokens_max));
    ftl_graph *graph;
    FTL_TRY(ftl_graph_create(&graph, preset->name, true));
    preset->build(graph, dims);
    const ftl_status s = ftl_graph_status(graph);
    if (s == FTL_OK) *out = graph;
    else ftl_graph_destroy(graph);
    return s;
}
