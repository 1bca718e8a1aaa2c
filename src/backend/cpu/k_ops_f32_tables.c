/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of f32 kernels, and what is decided before a kernel runs. */
#include "backend/cpu/kernels_ops.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/k_attention.h"
#include "backend/cpu/k_tables_f32.h"

const ftl_ops_f32 *const ftl_ops_f32_tables[] = {
    &k_ops_f32,
#if defined(__x86_64__)
    &k_ops_f32_avx2,
    &k_ops_f32_avx512,
#elif defined(__aarch64__)
    &k_ops_f32_neon,
#endif
};
const int ftl_n_ops_f32_tables = (int)(sizeof ftl_ops_f32_tables / sizeof ftl_ops_f32_tables[0]);

const ftl_ops_f32 *ftl_ops_f32_get(uint32_t isa)
{
    const ftl_ops_f32 *best = ftl_ops_f32_tables[0];
    for (int i = 1; i < ftl_n_ops_f32_tables; i++)
        if ((ftl_ops_f32_tables[i]->isa & isa) == ftl_ops_f32_tables[i]->isa)
            best = ftl_ops_f32_tables[i];
    return best;
}

void ftl_batch_norm_fold(float *k, float *shift, const float *scale, const float *bias,
                         const float *mean, const float *variance, double eps, int64_t channels)
{
    for (int64_t c = 0; c < channels; c++) {
        const double factor = (double)scale[c] / sqrt((double)variance[c] + eps);
        k[c] = (float)factor;
        shift[c] = (float)((double)bias[c] - (double)mean[c] * factor);
    }
}

void ftl_reduce_shape_init(ftl_reduce_shape *s, const ftl_tensor_desc *in, uint32_t axes)
{
    memset(s, 0, sizeof *s);
    s->n_out = s->n_each = 1;
    int64_t stride = in->rank ? 1 : 0;
    for (int32_t i = 0; i < in->rank; i++) stride *= in->dim[i];
    int last_kind = -1;
    for (int32_t i = 0; i < in->rank; i++) {
        const int64_t dim = in->dim[i];
        const int is_gone = (int)(axes >> i & 1);
        stride = dim ? stride / dim : 0;
        if (is_gone) s->n_each *= dim;
        else s->n_out *= dim;
        if (dim == 1) continue;
        int64_t *dims = is_gone ? s->gone : s->kept;
        int64_t *strides = is_gone ? s->gone_stride : s->kept_stride;
        int32_t *n = is_gone ? &s->n_gone : &s->n_kept;
        if (is_gone != last_kind) dims[(*n)++] = 1;
        dims[*n - 1] *= dim;
        strides[*n - 1] = stride;
        last_kind = is_gone;
    }
}

/* ---- attention ------------------------------------------------------------------------------ */

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

void ftl_attention_init(ftl_attention_job *job)
{
    const int64_t group = job->q_heads / job->kv_heads;
    job->block_tokens = group < ATTENTION_ROWS ? ATTENTION_ROWS / group : 1;
    job->n_units = (job->tokens + job->block_tokens - 1) / job->block_tokens * job->kv_heads;
}

size_t k_attention_scratch_cut(k_attention_scratch *s, const ftl_attention_job *job, void *scratch)
{
    const int64_t group = job->q_heads / job->kv_heads;
    const int64_t width = round_up(group < ATTENTION_ROWS ? ATTENTION_ROWS : group, ATTENTION_STEP);
    const int64_t dv_width = round_up(job->dv, ATTENTION_STEP);
    float *const f = scratch;
    const int64_t st = job->d * width, o = st + ATTENTION_KEYS * width, max = o + width * dv_width;
    const int64_t bounds = max + 3 * width, row = bounds + 2 * width;
    if (f)
        *s = (k_attention_scratch){
            .qt = f,
            .st = f + st,
            .o = f + o,
            .max = f + max,
            .sum = f + max + width,
            .factor = f + max + 2 * width,
            .lo = (int32_t *)(f + bounds),
            .hi = (int32_t *)(f + bounds + width),
            .row = (int64_t *)(f + row),
            .dv_width = dv_width,
        };
    return (size_t)row * sizeof(float) + ATTENTION_KEYS * sizeof(int64_t);
}

size_t ftl_attention_scratch_bytes(const ftl_attention_job *job)
{
    return k_attention_scratch_cut(NULL, job, NULL);
}
