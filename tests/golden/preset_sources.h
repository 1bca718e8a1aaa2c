/* SPDX-License-Identifier: Apache-2.0 */
/* preset_sources.h - a preset at the sizes of the golden case, and the bytes of its sources: what
 * dump_preset writes for the other implementation and what test_presets evaluates. */
#ifndef FTL_TESTS_GOLDEN_PRESET_SOURCES_H
#define FTL_TESTS_GOLDEN_PRESET_SOURCES_H

#include "base/alloc.h"
#include "core/init.h"
#include "model/preset.h"

enum { GOLDEN_BATCH = 2, GOLDEN_TOKENS = 16, GOLDEN_SEED = 1, GOLDEN_WORDS = 30000 };

static inline ftl_status golden_preset(ftl_graph **out, const char *name)
{
    const ftl_preset *preset;
    const ftl_preset_dims dims = { GOLDEN_BATCH, GOLDEN_TOKENS };
    *out = NULL;
    FTL_TRY(ftl_preset_find(&preset, name));
    return ftl_preset_build(out, preset, &dims);
}

/* Owner: the caller, by ftl_free(); NULL: no memory. */
static inline void *golden_source(const ftl_tensor *tensor)
{
    ftl_tensor filled = *tensor;
    void *data = ftl_alloc(ftl_desc_bytes_checked(&tensor->desc));
    if (!data) return NULL;
    if (tensor->kind == FTL_TENSOR_INPUT && tensor->desc.dtype == FTL_DTYPE_I32)
        filled.init = (ftl_init){ .kind = FTL_INIT_UNIFORM, .scale = GOLDEN_WORDS };
    ftl_init_fill(&filled, GOLDEN_SEED, data);
    return data;
}

#endif
