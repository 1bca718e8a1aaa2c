/* SPDX-License-Identifier: Apache-2.0 */
/* Loop nests and strided copies: broadcast, transpose, slice, reverse, concat.
 * Idea: axes that both sides walk alike are joined first; what remains is copied as rows, or, where
 * the source runs along another axis than the destination, in tiles that keep the lines of both
 * sides in the cache. */
#include "backend/cpu/kernels_move.h"

#include <string.h>

#include "backend/cpu/k_nest.h"

enum { MOVE_TILE = 32, MOVE_PIECE_BYTES = 16 << 10 };

/* ---- nests ---------------------------------------------------------------------------------- */

static void add_broadcast(ftl_nest *nest, const ftl_tensor_desc *out, const ftl_tensor_desc *in)
{
    int64_t *stride = nest->stride[nest->n_arrays++], step = 1;
    const int32_t shift = out->rank - in->rank;
    for (int32_t i = out->rank - 1; i >= 0; i--) {
        stride[i] = i < shift || in->dim[i - shift] == 1 ? 0 : step;
        if (i >= shift) step *= in->dim[i - shift];
    }
}

void ftl_nest_init(ftl_nest *nest, const ftl_tensor_desc *out, const ftl_tensor_desc *const *in,
                   int32_t n_in)
{
    memset(nest, 0, sizeof *nest);
    nest->rank = out->rank;
    memcpy(nest->dim, out->dim, sizeof nest->dim);
    add_broadcast(nest, out, out);
    for (int32_t i = 0; i < n_in; i++) add_broadcast(nest, out, in[i]);
    ftl_nest_collapse(nest);
}

void ftl_nest_collapse(ftl_nest *nest)
{
    int32_t rank = 0;
    for (int32_t i = 0; i < nest->rank; i++) {
        const int64_t size = nest->dim[i];
        if (size == 1) continue;
        bool joins = rank > 0;
        for (int32_t a = 0; joins && a < nest->n_arrays; a++)
            joins = nest->stride[a][rank - 1] == nest->stride[a][i] * size;
        if (!joins) nest->dim[rank++] = 1;
        nest->dim[rank - 1] *= size;
        for (int32_t a = 0; a < nest->n_arrays; a++) nest->stride[a][rank - 1] = nest->stride[a][i];
    }
    if (rank == 0) {
        nest->dim[rank++] = 1;
        for (int32_t a = 0; a < nest->n_arrays; a++) nest->stride[a][0] = 1;
    }
    nest->rank = rank;
}

int64_t ftl_nest_count(const ftl_nest *nest)
{
    int64_t count = 1;
    for (int32_t i = 0; i < nest->rank; i++) count *= nest->dim[i];
    return count;
}

/* ---- preparing a copy ----------------------------------------------------------------------- */

static void swap_axes(ftl_nest *nest, int32_t a, int32_t b)
{
    const ftl_nest old = *nest;
    nest->dim[a] = old.dim[b];
    nest->dim[b] = old.dim[a];
    for (int32_t i = 0; i < nest->n_arrays; i++) {
        nest->stride[i][a] = old.stride[i][b];
        nest->stride[i][b] = old.stride[i][a];
    }
}

/* The axis along which the source is contiguous becomes the last but one, if it is not the last. */
static bool find_plane(ftl_nest *nest)
{
    const int32_t last = nest->rank - 1;
    if (nest->stride[1][last] == 1 || nest->stride[1][last] == 0) return false;
    for (int32_t i = 0; i < last; i++)
        if (nest->stride[1][i] == 1) {
            swap_axes(nest, i, last - 1);
            return true;
        }
    return false;
}

static int64_t pieces_of(int64_t n, int64_t piece)
{
    return (n + piece - 1) / piece;
}

/* Cuts m->nest, whose strides are set, into units. */
static void prepare(ftl_move *m, size_t bytes)
{
    ftl_nest *nest = &m->nest;
    m->bytes = (int32_t)bytes;
    if (ftl_nest_count(nest) == 0) return; /* n_units stays 0 */
    ftl_nest_collapse(nest);
    const int32_t last = nest->rank - 1;
    m->is_plane = find_plane(nest);
    m->n_units = 1;
    for (int32_t i = 0; i < last - (m->is_plane ? 1 : 0); i++) m->n_units *= nest->dim[i];
    if (m->is_plane) {
        m->tile_rows = pieces_of(nest->dim[last - 1], MOVE_TILE);
        m->tile_cols = pieces_of(nest->dim[last], MOVE_TILE);
        m->n_units *= m->tile_rows * m->tile_cols;
    } else {
        m->row_pieces = pieces_of(nest->dim[last], MOVE_PIECE_BYTES / m->bytes);
        m->n_units *= m->row_pieces;
    }
}

/* Index space `space`, dense strides of dst and src. */
static void start(ftl_move *m, const ftl_tensor_desc *space, const ftl_tensor_desc *dst,
                  const ftl_tensor_desc *src)
{
    memset(m, 0, sizeof *m);
    m->nest.rank = space->rank;
    m->nest.n_arrays = 2;
    memcpy(m->nest.dim, space->dim, sizeof m->nest.dim);
    int64_t to = 1, from = 1;
    for (int32_t i = space->rank - 1; i >= 0; i--) {
        m->nest.stride[0][i] = to;
        m->nest.stride[1][i] = from;
        to *= dst->dim[i];
        from *= src->dim[i];
    }
}

void ftl_move_broadcast(ftl_move *m, const ftl_tensor_desc *out, const ftl_tensor_desc *in)
{
    memset(m, 0, sizeof *m);
    m->nest.rank = out->rank;
    memcpy(m->nest.dim, out->dim, sizeof m->nest.dim);
    add_broadcast(&m->nest, out, out);
    add_broadcast(&m->nest, out, in);
    prepare(m, k_dtype_bytes(out->dtype));
}

void ftl_move_transpose(ftl_move *m, const ftl_tensor_desc *out, const ftl_tensor_desc *in,
                        const ftl_attr_perm *attr)
{
    int64_t stride[FTL_MAX_RANK];
    start(m, out, out, in);
    memcpy(stride, m->nest.stride[1], sizeof stride);
    for (int32_t i = 0; i < out->rank; i++) m->nest.stride[1][i] = stride[attr->perm[i]];
    prepare(m, k_dtype_bytes(out->dtype));
}

void ftl_move_slice(ftl_move *m, const ftl_tensor_desc *out, const ftl_tensor_desc *in,
                    const ftl_attr_slice *attr)
{
    start(m, out, out, in);
    for (int32_t i = 0; i < out->rank; i++) {
        m->first_src += attr->start[i] * m->nest.stride[1][i];
        m->nest.stride[1][i] *= attr->step[i];
    }
    prepare(m, k_dtype_bytes(out->dtype));
}

void ftl_move_reverse(ftl_move *m, const ftl_tensor_desc *out, uint32_t axes)
{
    start(m, out, out, out);
    for (int32_t i = 0; i < out->rank; i++) {
        if (!(axes >> i & 1)) continue;
        m->first_src += (out->dim[i] - 1) * m->nest.stride[1][i];
        m->nest.stride[1][i] = -m->nest.stride[1][i];
    }
    prepare(m, k_dtype_bytes(out->dtype));
}

void ftl_move_concat(ftl_move *m, const ftl_tensor_desc *out, const ftl_tensor_desc *in,
                     int32_t axis, int64_t first)
{
    start(m, in, out, in);
    m->first_dst = first * m->nest.stride[0][axis];
    prepare(m, k_dtype_bytes(out->dtype));
}

/* ---- copying -------------------------------------------------------------------------------- */

static void copy_row(int32_t bytes, void *dst, int64_t sd, const void *src, int64_t ss, int64_t n)
{
    if (sd == 1 && ss == 1) {
        memcpy(dst, src, (size_t)n * (size_t)bytes);
        return;
    }
    switch (bytes) {
#define ROW(type)                                                                                  \
    {                                                                                              \
        type *to = dst;                                                                            \
        const type *from = src;                                                                    \
        if (sd == 1 && ss == 0)                                                                    \
            for (int64_t i = 0; i < n; i++) to[i] = *from;                                         \
        else if (sd == 1)                                                                          \
            for (int64_t i = 0; i < n; i++) to[i] = from[i * ss];                                  \
        else                                                                                       \
            for (int64_t i = 0; i < n; i++) to[i * sd] = from[i * ss];                             \
    }
    case 1: ROW(uint8_t) break;
    case 2: ROW(uint16_t) break;
    case 4: ROW(uint32_t) break;
    default: ROW(uint64_t) break;
#undef ROW
    }
}

/* A whole tile of 4-byte elements: eight rows of the source at a time give eight neighbours of each
 * row of the destination.  sd: of the axis along which the source is contiguous; ss: of the axis
 * along which the destination is. */
static void turn_tile(uint32_t *restrict dst, int64_t sd, const uint32_t *restrict src, int64_t ss)
{
    enum { STEP = 8 };
    for (int64_t c = 0; c < MOVE_TILE; c += STEP)
        for (int64_t r = 0; r < MOVE_TILE; r++) {
            uint32_t row[STEP];
            for (int i = 0; i < STEP; i++) row[i] = src[(c + i) * ss + r];
            memcpy(dst + r * sd + c, row, sizeof row);
        }
}

static void copy_tile(const ftl_move *m, char *dst, const char *src, int64_t tile)
{
    const int32_t p = m->nest.rank - 2, q = m->nest.rank - 1;
    const int64_t r0 = tile / m->tile_cols * MOVE_TILE, c0 = tile % m->tile_cols * MOVE_TILE;
    const int64_t rows = m->nest.dim[p] - r0 < MOVE_TILE ? m->nest.dim[p] - r0 : MOVE_TILE;
    const int64_t cols = m->nest.dim[q] - c0 < MOVE_TILE ? m->nest.dim[q] - c0 : MOVE_TILE;
    const int64_t dp = m->nest.stride[0][p], dq = m->nest.stride[0][q];
    const int64_t sp = m->nest.stride[1][p], sq = m->nest.stride[1][q];
    dst += (r0 * dp + c0 * dq) * m->bytes;
    src += (r0 * sp + c0 * sq) * m->bytes;
    if (m->bytes == 4 && rows == MOVE_TILE && cols == MOVE_TILE && dq == 1 && sp == 1) {
        turn_tile((uint32_t *)(void *)dst, dp, (const uint32_t *)(const void *)src, sq);
        return;
    }
    for (int64_t r = 0; r < rows; r++)
        copy_row(m->bytes, dst + r * dp * m->bytes, dq, src + r * sp * m->bytes, sq, cols);
}

void k_move(const ftl_move *m, void *dst, const void *src, int64_t begin, int64_t end)
{
    const ftl_nest *nest = &m->nest;
    const int32_t n_inner = m->is_plane ? 2 : 1, last = nest->rank - 1;
    const int64_t in_each = m->is_plane ? m->tile_rows * m->tile_cols : m->row_pieces;
    const int64_t piece = MOVE_PIECE_BYTES / m->bytes;
    for (int64_t u = begin; u < end; u++) {
        int64_t outer = u / in_each, to = m->first_dst, from = m->first_src;
        for (int32_t i = nest->rank - n_inner - 1; i >= 0; i--) {
            to += outer % nest->dim[i] * nest->stride[0][i];
            from += outer % nest->dim[i] * nest->stride[1][i];
            outer /= nest->dim[i];
        }
        char *d = (char *)dst + to * m->bytes;
        const char *s = (const char *)src + from * m->bytes;
        if (m->is_plane) {
            copy_tile(m, d, s, u % in_each);
            continue;
        }
        const int64_t first = u % in_each * piece, rest = nest->dim[last] - first;
        const int64_t sd = nest->stride[0][last], ss = nest->stride[1][last];
        copy_row(m->bytes, d + first * sd * m->bytes, sd, s + first * ss * m->bytes, ss,
                 rest < piece ? rest : piece);
    }
}
