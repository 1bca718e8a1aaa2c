/* SPDX-License-Identifier: Apache-2.0 */
#include "core/init.h"

#include "base/rng.h"

enum { CHUNK = 1024 };

/* What the tensor says, or the rule for inputs that say nothing. */
static ftl_init wanted_init(const ftl_tensor *tensor)
{
    const bool is_given = tensor->kind == FTL_TENSOR_INPUT || tensor->kind == FTL_TENSOR_PARAM;
    const bool is_silent =
        tensor->init.kind == FTL_INIT_NORMAL && tensor->init.scale == 0 && tensor->init.offset == 0;
    if (!is_given || !is_silent) return tensor->init;
    if (ftl_dtype_is_float(tensor->desc.dtype))
        return (ftl_init){ .kind = FTL_INIT_NORMAL, .scale = 1 };
    return (ftl_init){ .kind = FTL_INIT_UNIFORM, .scale = 2 };
}

/* n <= CHUNK values as floats. */
static void draw(const ftl_init *init, bool is_float, ftl_rng rng, uint64_t first, float *out,
                 size_t n)
{
    const bool is_whole = init->kind == FTL_INIT_UNIFORM && !is_float;
    const float range = init->scale > 1 ? init->scale : 1;
    if (init->kind == FTL_INIT_FILL)
        for (size_t i = 0; i < n; i++) out[i] = init->scale;
    else if (init->kind == FTL_INIT_NORMAL)
        ftl_rng_fill_normal_f32(rng, first, out, n, 0, init->scale);
    else if (is_whole)
        for (size_t i = 0; i < n; i++)
            out[i] = init->offset +
                     (float)ftl_rng_below(rng, first + i,
                                          range < 4294967040.0f ? (uint32_t)range : UINT32_MAX);
    else ftl_rng_fill_uniform_f32(rng, first, out, n, init->offset, init->offset + init->scale);
}

void ftl_init_fill_part(const ftl_tensor *tensor, uint64_t seed, int64_t first, int64_t n,
                        void *out)
{
    const ftl_dtype dtype = tensor->desc.dtype;
    const ftl_init init = wanted_init(tensor);
    const ftl_rng rng = { .seed = seed, .id = tensor->id };
    const bool is_float = ftl_dtype_is_float(dtype);
    float chunk[CHUNK];
    for (int64_t done = 0; done < n; done += CHUNK) {
        const int64_t now = n - done < CHUNK ? n - done : CHUNK;
        void *to = (char *)out + (size_t)done * ftl_dtype_bytes(dtype);
        draw(&init, is_float, rng, (uint64_t)(first + done), chunk, (size_t)now);
        ftl_elements_convert(dtype, to, FTL_DTYPE_F32, chunk, now);
    }
}

void ftl_init_fill(const ftl_tensor *tensor, uint64_t seed, void *out)
{
    ftl_init_fill_part(tensor, seed, 0, ftl_desc_count_checked(&tensor->desc), out);
}
