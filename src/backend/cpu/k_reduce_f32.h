/* SPDX-License-Identifier: Apache-2.0 */
/* k_reduce_f32.h - reductions over any axes in f32 over one vector layer.
 * Idea: ftl_reduce_shape joins axes, so that the innermost one is either reduced (each output is
 * the sum of rows) or kept (blocks of outputs are sums down columns).
 * not alone: wants a vector layer (k_vec_*.h) included before it. */
#ifndef FTL_BACKEND_CPU_K_REDUCE_F32_H
#define FTL_BACKEND_CPU_K_REDUCE_F32_H

#include "backend/cpu/k_rows_f32.h"

typedef enum reduce_kind { REDUCE_SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_PROD } reduce_kind;

K_INLINE double reduce_start(reduce_kind kind)
{
    switch (kind) {
    case REDUCE_MAX: return -INFINITY;
    case REDUCE_MIN: return INFINITY;
    case REDUCE_PROD: return 1;
    default: return 0;
    }
}

K_INLINE double reduce_join(reduce_kind kind, double a, double b)
{
    switch (kind) {
    case REDUCE_MAX: return a > b || a != a ? a : b;
    case REDUCE_MIN: return a < b || a != a ? a : b;
    case REDUCE_PROD: return a * b;
    default: return a + b;
    }
}

K_INLINE vf reduce_join_v(reduce_kind kind, vf a, vf b)
{
    return kind == REDUCE_MAX ? v_max_nan(a, b) : kind == REDUCE_MIN ? v_min_nan(a, b) : a + b;
}

/* Walks the outer reduced axes; offset of the first element is 0.  False behind the last. */
K_INLINE bool gone_next(const ftl_reduce_shape *s, int32_t n_axes, int64_t *index, int64_t *offset)
{
    for (int32_t i = n_axes - 1; i >= 0; i--) {
        *offset += s->gone_stride[i];
        if (++index[i] < s->gone[i]) return true;
        *offset -= s->gone[i] * s->gone_stride[i];
        index[i] = 0;
    }
    return false;
}

/* Offset of the first element behind output `o`. */
K_INLINE int64_t kept_offset(const ftl_reduce_shape *s, int64_t o)
{
    int64_t offset = 0;
    for (int32_t i = s->n_kept - 1; i >= 0; i--) {
        offset += o % s->kept[i] * s->kept_stride[i];
        o /= s->kept[i];
    }
    return offset;
}

/* ---- the innermost axis is reduced ---------------------------------------------------------- */

K_INLINE double reduce_row(const reduce_kind kind, const float *x, int64_t n)
{
    if (kind == REDUCE_SUM) return row_sum(TERM_X, x, 0.0f, n);
    double all = reduce_start(kind);
    int64_t i = 0;
    if (kind != REDUCE_PROD && n >= K_LANES) {
        vf best = v_load(x);
        for (; i + K_LANES <= n; i += K_LANES) best = reduce_join_v(kind, best, v_load(x + i));
        float lanes[K_LANES];
        v_store(lanes, best);
        for (int l = 0; l < K_LANES; l++) all = reduce_join(kind, all, (double)lanes[l]);
    }
    for (; i < n; i++) all = reduce_join(kind, all, (double)x[i]);
    return all;
}

K_INLINE void reduce_rows(const reduce_kind kind, double divisor, const ftl_reduce_shape *s,
                          float *y, const float *x, int64_t begin, int64_t end)
{
    const int32_t last = s->n_gone - 1;
    for (int64_t o = begin; o < end; o++) {
        int64_t index[FTL_MAX_RANK] = { 0 }, offset = kept_offset(s, o);
        double all = reduce_start(kind);
        do {
            const int64_t n = last >= 0 ? s->gone[last] : 1;
            all = reduce_join(kind, all, reduce_row(kind, x + offset, n));
        } while (gone_next(s, last, index, &offset));
        y[o] = (float)(all / divisor);
    }
}

/* ---- the innermost axis is kept ------------------------------------------------------------- */

enum { K_COLUMNS = 128, K_COLUMN_TERMS = 128 };

/* Outputs [o, o + n) are neighbours, n <= K_COLUMNS; x: the first element behind output o. */
K_INLINE void reduce_column(const reduce_kind kind, double divisor, const ftl_reduce_shape *s,
                            float *y, const float *x, int64_t n)
{
    double total[K_COLUMNS];
    float part[K_COLUMNS];
    const float start = (float)reduce_start(kind);
    for (int64_t c = 0; c < n; c++) total[c] = reduce_start(kind), part[c] = start;
    int64_t index[FTL_MAX_RANK] = { 0 }, offset = 0, terms = 0;
    do {
        const float *p = x + offset;
        if (kind == REDUCE_PROD) {
            for (int64_t c = 0; c < n; c++) total[c] *= (double)p[c];
            continue;
        }
        int64_t c = 0;
        for (; c + K_LANES <= n; c += K_LANES)
            v_store(part + c, reduce_join_v(kind, v_load(part + c), v_load(p + c)));
        for (; c < n; c++)
            part[c] = kind == REDUCE_SUM ? part[c] + p[c]
                                         : (float)reduce_join(kind, (double)part[c], (double)p[c]);
        if (++terms % K_COLUMN_TERMS == 0 && kind == REDUCE_SUM)
            for (int64_t i = 0; i < n; i++) total[i] += (double)part[i], part[i] = 0.0f;
    } while (gone_next(s, s->n_gone, index, &offset));
    for (int64_t c = 0; c < n; c++)
        y[c] = (float)(reduce_join(kind, total[c], (double)part[c]) / divisor);
}

K_INLINE void reduce_kind_of(const reduce_kind kind, double divisor, const ftl_reduce_shape *s,
                             float *y, const float *x, int64_t begin, int64_t end)
{
    if (s->n_each == 0) {
        for (int64_t o = begin; o < end; o++) y[o] = (float)(reduce_start(kind) / divisor);
        return;
    }
    const int32_t last = s->n_kept - 1;
    if (last < 0 || s->n_gone == 0 || s->gone_stride[s->n_gone - 1] == 1) {
        reduce_rows(kind, divisor, s, y, x, begin, end);
        return;
    }
    for (int64_t o = begin; o < end;) {
        const int64_t run = k_min_i64(s->kept[last] - o % s->kept[last], end - o);
        const int64_t n = k_min_i64(run, K_COLUMNS);
        reduce_column(kind, divisor, s, y + o, x + kept_offset(s, o), n);
        o += n;
    }
}

static void reduce(ftl_op op, const ftl_reduce_shape *s, float *y, const float *x, int64_t begin,
                   int64_t end)
{
    switch (op) {
    case FTL_OP_reduce_sum: reduce_kind_of(REDUCE_SUM, 1, s, y, x, begin, end); break;
    case FTL_OP_reduce_mean:
        reduce_kind_of(REDUCE_SUM, (double)s->n_each, s, y, x, begin, end);
        break;
    case FTL_OP_reduce_max: reduce_kind_of(REDUCE_MAX, 1, s, y, x, begin, end); break;
    case FTL_OP_reduce_min: reduce_kind_of(REDUCE_MIN, 1, s, y, x, begin, end); break;
    case FTL_OP_reduce_prod: reduce_kind_of(REDUCE_PROD, 1, s, y, x, begin, end); break;
    default: break;
    }
}

/* ---- arg_max -------------------------------------------------------------------------------- */

K_INLINE int32_t arg_max_row(const float *x, int64_t n)
{
    const float most = (float)reduce_row(REDUCE_MAX, x, n);
    for (int64_t i = 0; i < n; i++)
        if (x[i] == most || x[i] != x[i]) return (int32_t)i;
    return 0;
}

static void arg_max(int32_t *y, const float *x, int64_t n, int64_t inner, int64_t begin,
                    int64_t end)
{
    if (inner == 1) {
        for (int64_t o = begin; o < end; o++) y[o] = arg_max_row(x + o * n, n);
        return;
    }
    float best[K_COLUMNS];
    for (int64_t o = begin; o < end;) {
        const int64_t column = o % inner;
        const int64_t m = k_min_i64(k_min_i64(inner - column, end - o), K_COLUMNS);
        const float *p = x + o / inner * n * inner + column;
        for (int64_t c = 0; c < m; c++) best[c] = p[c], y[o + c] = 0;
        for (int64_t i = 1; i < n; i++)
            for (int64_t c = 0; c < m; c++) {
                const float v = p[i * inner + c];
                const bool wins = best[c] == best[c] && (v > best[c] || v != v);
                y[o + c] = wins ? (int32_t)i : y[o + c];
                best[c] = wins ? v : best[c];
            }
        o += m;
    }
}

#endif
