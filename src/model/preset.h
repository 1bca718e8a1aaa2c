/* SPDX-License-Identifier: Apache-2.0 */
/* preset.h - the table of architectures that come with fettle (presets.def).
 * Immutable. */
#ifndef FTL_MODEL_PRESET_H
#define FTL_MODEL_PRESET_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sizes at which a preset is built. */
typedef struct ftl_preset_dims {
    int64_t batch;
    int64_t tokens; /* 0 where the preset has none */
} ftl_preset_dims;

/* Writes the whole architecture into an empty bound graph; failures stay in the graph. */
typedef void (*ftl_preset_fn)(ftl_graph *graph, const ftl_preset_dims *dims);

typedef struct ftl_preset {
    const char *name, *about;
    ftl_preset_fn build;
    ftl_preset_dims defaults;
    int64_t tokens_max;
    int32_t image_side, resize_shorter; /* pixels; 0: takes no picture */
} ftl_preset;

/* NULL past the end. */
const ftl_preset *ftl_preset_at(int32_t i);
/* By the name without the @.  FTL_ENOTFOUND: none; the sentence names the nearest one. */
ftl_status ftl_preset_find(const ftl_preset **out, const char *name) FTL_MUST_USE;
/* Bound at these sizes.  FTL_EINVAL: a size is out of range. */
ftl_status ftl_preset_build(ftl_graph **out, const ftl_preset *preset,
                            const ftl_preset_dims *dims) FTL_MUST_USE;

#define X(function, ...)                                                                           \
    void ftl_preset_build_##function(ftl_graph *graph, const ftl_preset_dims *dims);
#include "model/presets.def"
#undef X

#ifdef __cplusplus
}
#endif
#endif
