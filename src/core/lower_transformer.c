/* SPDX-License-Identifier: Apache-2.0 */
/* Decompositions of the transformer rows: rope, kv_write, attention. */
#include <math.h>

#include "base/alloc.h"
#include "core/emit.h"
#include "core/rules.h"

#define ADD(row, ...) FTL_ADD(g, row, NULL, __VA_ARGS__)

/* theta^(-2 i / n_rot), i < n_rot / 2, as a constant. */
static int32_t frequencies(ftl_graph *g, ftl_dtype dtype, double theta, int64_t half)
{
    const ftl_tensor_desc desc = { .dtype = dtype, .rank = 1, .dim = { half } };
    void *data = ftl_calloc((size_t)half, ftl_dtype_bytes(dtype));
    if (!data) return ftl_graph_poison(g, ftl_fail(FTL_ENOMEM, "no memory for frequencies"));
    for (int64_t i = 0; i < half; i++)
        ftl_element_set(dtype, data, i, pow(theta, -(double)i / (double)half));
    const int32_t tensor = ftl_graph_const(g, &desc, data);
    ftl_free(data);
    return tensor;
}

/* (a, b) turned by the angle: (a cos - b sin, b cos + a sin). */
static void turn(ftl_graph *g, int32_t angle, int32_t *a, int32_t *b)
{
    const int32_t c = ADD(cos, angle), s = ADD(sin, angle);
    const int32_t turned_a = ADD(sub, ADD(mul, *a, c), ADD(mul, *b, s));
    *b = ADD(add, ADD(mul, *b, c), ADD(mul, *a, s));
    *a = turned_a;
}

/* Su et al. 2021, arXiv 2104.09864, section 3.2. */
ftl_status ftl_lower_rope(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    const ftl_tensor_desc d = ftl_emit_desc(g, n->in[0]);
    const int64_t n_rot = n->attr.rope.n_rot ? n->attr.rope.n_rot : d.dim[2], half = n_rot / 2;
    out[0] = n->in[0];
    if (half == 0) return FTL_OK;
    const int32_t x = ftl_emit_wide(g, n->in[0]);
    const ftl_dtype wide = ftl_emit_desc(g, x).dtype;
    int32_t freq = ftl_emit_input(n, 2);
    freq = freq >= 0 ? ftl_emit_convert(g, freq, wide)
                     : frequencies(g, wide, n->attr.rope.theta, half);
    const int64_t per_token[3] = { d.dim[0], 1, 1 };
    const int32_t position = ftl_emit_reshape(g, ftl_emit_convert(g, n->in[1], wide), 3, per_token);
    const int32_t angle = ADD(mul, position, freq); /* [N, 1, n_rot / 2] */

    const bool pairs = n->attr.rope.interleaved != 0;
    int32_t parts[3] = { ftl_emit_slice(g, x, 2, 0, pairs ? n_rot : half, pairs ? 2 : 1),
                         ftl_emit_slice(g, x, 2, pairs ? 1 : half, n_rot, pairs ? 2 : 1) };
    turn(g, angle, &parts[0], &parts[1]);
    int32_t n_parts = 2;
    if (pairs) {
        const int64_t apart[4] = { d.dim[0], d.dim[1], half, 1 };
        const int64_t together[3] = { d.dim[0], d.dim[1], n_rot };
        for (int i = 0; i < 2; i++) parts[i] = ftl_emit_reshape(g, parts[i], 4, apart);
        parts[0] = ftl_emit_reshape(g, ftl_emit_concat(g, parts, 2, 3), 3, together);
        n_parts = 1;
    }
    if (n_rot < d.dim[2]) parts[n_parts++] = ftl_emit_slice(g, x, 2, n_rot, d.dim[2], 1);
    out[0] = ftl_emit_convert(g, ftl_emit_concat(g, parts, n_parts, 2), d.dtype);
    return ftl_graph_status(g);
}

ftl_status ftl_lower_kv_write(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    out[0] = ADD(scatter, n->in[0], n->in[2], n->in[1]);
    return ftl_graph_status(g);
}

/* ---- attention ----------------------------------------------------------------------------- */

/* What the steps of one attention share.  Keys are gathered once for each token, or, when there is
 * but one sequence, once for all of them: then B is 1 and M is N, else B is N and M is 1. */
typedef struct attention {
    const ftl_node *node;
    const ftl_attr_attention *attr;
    int64_t tokens, sequences, keys; /* N, R, MB * block_size */
    int64_t kv_heads, group, d, dv;  /* Hkv, Hq / Hkv, D, Dv  */
    int64_t b, m;
} attention;

static attention read_shapes(const ftl_graph *g, const ftl_node *n)
{
    const ftl_tensor_desc q = ftl_emit_desc(g, n->in[0]), k = ftl_emit_desc(g, n->in[1]),
                          v = ftl_emit_desc(g, n->in[2]), table = ftl_emit_desc(g, n->in[3]);
    attention a = {
        .node = n, .attr = &n->attr.attention, .tokens = q.dim[0], .sequences = table.dim[0]
    };
    a.keys = table.dim[1] * n->attr.attention.block_size;
    a.kv_heads = k.dim[1];
    a.group = q.dim[1] / k.dim[1];
    a.d = q.dim[2];
    a.dv = v.dim[2];
    a.b = a.sequences == 1 ? 1 : a.tokens;
    a.m = a.sequences == 1 ? a.tokens : 1;
    return a;
}

/* Pool row of key j of each of the B gathered sequences: [B, keys]. */
static int32_t key_rows(ftl_graph *g, const attention *a)
{
    const int64_t size = a->attr->block_size, blocks = a->keys / size;
    int32_t table = a->node->in[3];
    if (a->sequences != 1) table = ftl_emit_gather(g, table, a->node->in[4], 0);
    const int64_t apart[3] = { a->b, blocks, 1 }, together[2] = { a->b, a->keys };
    const int32_t first = ftl_emit_mul(g, ftl_emit_reshape(g, table, 3, apart), (double)size);
    const int32_t row = ADD(add, first, ftl_emit_iota(g, FTL_DTYPE_I32, size));
    return ftl_emit_reshape(g, row, 2, together);
}

/* Rows of a pool [S, Hkv, width] as [B, Hkv, keys, width]; rows past the sequence's end are zero,
 * because what lies there may be NaN, and 0 * NaN is not 0. */
static int32_t take_rows(ftl_graph *g, const attention *a, int32_t pool, int32_t rows,
                         int32_t is_real)
{
    static const int32_t heads_first[4] = { 0, 2, 1, 3 };
    const int64_t mask[4] = { a->b, a->keys, 1, 1 };
    const int32_t taken = ftl_emit_wide(g, ftl_emit_gather(g, pool, rows, 0));
    const int32_t clean = ftl_emit_select_else(g, ftl_emit_reshape(g, is_real, 4, mask), taken, 0);
    return ftl_emit_transpose(g, clean, heads_first);
}

/* Length of the sequence of each token, 0 where the token is padding: [N]. */
static int32_t token_lengths(ftl_graph *g, const attention *a)
{
    const int32_t seq = a->node->in[4];
    const int32_t ok = ADD(and, ADD(less_equal, ftl_emit_number(g, seq, 0), seq),
                           ADD(less, seq, ftl_emit_number(g, seq, (double)a->sequences)));
    return ftl_emit_select_else(g, ok, ftl_emit_gather(g, a->node->in[6], seq, 0), 0);
}

/* Whether token n sees key j: [N, keys]. */
static int32_t visibility(ftl_graph *g, const attention *a, int32_t key)
{
    const int64_t column[2] = { a->tokens, 1 };
    const int32_t length = ftl_emit_reshape(g, token_lengths(g, a), 2, column);
    const int32_t position = ftl_emit_reshape(g, a->node->in[5], 2, column);
    int32_t sees = ADD(less, key, length);
    if (a->attr->is_causal) sees = ADD(and, sees, ADD(less_equal, key, position));
    if (a->attr->window > 0) {
        const int32_t before = ftl_emit_add(g, position, -(double)a->attr->window);
        sees = ADD(and, sees, ADD(less, before, key));
    }
    return sees;
}

/* [N, Hq, D] as [B, Hkv, M * group, D], and back for the result. */
static int32_t split_heads(ftl_graph *g, const attention *a, int32_t q)
{
    static const int32_t heads_first[5] = { 0, 2, 1, 3, 4 };
    const int64_t apart[5] = { a->b, a->m, a->kv_heads, a->group, a->d };
    const int64_t flat[4] = { a->b, a->kv_heads, a->m * a->group, a->d };
    const int32_t split = ftl_emit_reshape(g, ftl_emit_wide(g, q), 5, apart);
    return ftl_emit_reshape(g, ftl_emit_transpose(g, split, heads_first), 4, flat);
}

static int32_t join_heads(ftl_graph *g, const attention *a, int32_t y)
{
    static const int32_t tokens_first[5] = { 0, 2, 1, 3, 4 };
    const int64_t apart[5] = { a->b, a->kv_heads, a->m, a->group, a->dv };
    const int64_t flat[3] = { a->tokens, a->kv_heads * a->group, a->dv };
    const int32_t split = ftl_emit_reshape(g, y, 5, apart);
    return ftl_emit_reshape(g, ftl_emit_transpose(g, split, tokens_first), 3, flat);
}

static int32_t weigh(ftl_graph *g, const attention *a, int32_t scores, int32_t sees)
{
    const double scale = a->attr->scale != 0 ? a->attr->scale : 1 / sqrt((double)a->d);
    const double cap = a->attr->soft_cap;
    const int64_t apart[5] = { a->b, a->kv_heads, a->m, a->group, a->keys };
    const int64_t flat[4] = { a->b, a->kv_heads, a->m * a->group, a->keys };
    const int64_t mask[5] = { a->b, 1, a->m, 1, a->keys };
    scores = ftl_emit_mul(g, scores, scale);
    if (cap > 0) scores = ftl_emit_mul(g, ADD(tanh, ftl_emit_mul(g, scores, 1 / cap)), cap);
    scores = ftl_emit_select_else(g, ftl_emit_reshape(g, sees, 5, mask),
                                  ftl_emit_reshape(g, scores, 5, apart), -INFINITY);
    return ftl_emit_softmax(g, FTL_OP_softmax, ftl_emit_reshape(g, scores, 4, flat), 3);
}

ftl_status ftl_lower_attention(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    ftl_tensor_desc result = { 0 };
    FTL_TRY(ftl_infer_attention(g, n, &result));
    const attention a = read_shapes(g, n);
    if (a.sequences == 0 || a.keys == 0 || ftl_desc_count_checked(&result) == 0) {
        out[0] = ftl_emit_full(g, &result, 0);
        return ftl_graph_status(g);
    }
    const int32_t rows = key_rows(g, &a), key = ftl_emit_iota(g, FTL_DTYPE_I32, a.keys);
    const int64_t column[2] = { a.b, 1 };
    const int32_t length = a.sequences == 1 ? n->in[6] : token_lengths(g, &a);
    const int32_t is_real = ADD(less, key, ftl_emit_reshape(g, length, 2, column));
    const int32_t k = take_rows(g, &a, n->in[1], rows, is_real);
    const int32_t v = take_rows(g, &a, n->in[2], rows, is_real);
    const int32_t scores = ftl_emit_matmul(g, split_heads(g, &a, n->in[0]), k, 0, 1);
    const int32_t p = weigh(g, &a, scores, visibility(g, &a, key));
    const int32_t y = join_heads(g, &a, ftl_emit_matmul(g, p, v, 0, 0));
    out[0] = ftl_emit_convert(g, y, result.dtype);
    return ftl_graph_status(g);
}
