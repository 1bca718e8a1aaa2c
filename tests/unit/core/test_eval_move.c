/* SPDX-License-Identifier: Apache-2.0 */
/* Movement, products and windows of the evaluator, each against an index formula. */
#include <math.h>
#include <string.h>

#include "core/emit.h"
#include "support/graphs.h"

/* Index of element i of a dense tensor, axis by axis. */
static void unravel(const ftl_tensor_desc *d, int64_t i, int64_t *index)
{
    for (int32_t a = d->rank - 1; a >= 0; a--) {
        index[a] = i % d->dim[a];
        i /= d->dim[a];
    }
}

static int64_t ravel(const ftl_tensor_desc *d, const int64_t *index)
{
    int64_t i = 0;
    for (int32_t a = 0; a < d->rank; a++) i = i * d->dim[a] + index[a];
    return i;
}

/* Element types of 1, 2, 4 and 8 bytes whose bytes are told apart. */
static const ftl_dtype types[4] = { FTL_DTYPE_U8, FTL_DTYPE_I16, FTL_DTYPE_I32, FTL_DTYPE_I64 };

enum { MOST = 40 * 70 };

/* Runs one moving node on 0, 1, 2, ... in each type; `source` says where output i comes from. */
static void check_move(ftl_op op, const ftl_attr *attr, ftl_tensor_desc in,
                       int64_t (*source)(const ftl_attr *, const ftl_tensor_desc *in,
                                         const int64_t *index))
{
    static uint64_t x[MOST], y[MOST];
    for (int t = 0; t < 4; t++) {
        in.dtype = types[t];
        ftl_graph *g = ftl_test_graph();
        const int32_t tensor = ftl_test_input(g, in);
        const int32_t moved = ftl_graph_add(g, op, attr, &tensor, 1);
        assert_ok(ftl_graph_status(g));
        const ftl_tensor_desc out = ftl_emit_desc(g, moved);
        const int64_t n = ftl_desc_count_checked(&in), m = ftl_desc_count_checked(&out);
        assert_true(n <= MOST && m <= MOST);
        for (int64_t i = 0; i < n; i++) ftl_element_set(types[t], x, i, (double)(i % 251));
        ftl_test_eval_one(g, moved, (const void *[]){ x }, y);
        for (int64_t i = 0; i < m; i++) {
            int64_t index[FTL_MAX_RANK];
            unravel(&out, i, index);
            const int64_t from = source(attr, &in, index);
            const double want = from < 0 ? 77 : (double)(from % 251);
            assert_true(ftl_element_get(types[t], y, i) == want);
        }
    }
}

static int64_t from_transpose(const ftl_attr *a, const ftl_tensor_desc *in, const int64_t *index)
{
    int64_t source[FTL_MAX_RANK];
    for (int32_t i = 0; i < in->rank; i++) source[a->perm.perm[i]] = index[i];
    return ravel(in, source);
}

static void transposes(void **unused)
{
    (void)unused;
    static const struct {
        int32_t rank;
        int64_t dim[5];
        int32_t perm[5];
    } cases[] = {
        { 2, { 40, 70 }, { 1, 0 } }, /* several tiles with rests */
        { 2, { 1, 70 }, { 1, 0 } },
        { 3, { 3, 33, 17 }, { 0, 2, 1 } },
        { 3, { 3, 33, 17 }, { 2, 1, 0 } },
        { 4, { 2, 3, 4, 5 }, { 0, 2, 3, 1 } },
        { 4, { 2, 3, 4, 5 }, { 3, 0, 2, 1 } },
        { 5, { 2, 2, 3, 2, 3 }, { 4, 1, 0, 3, 2 } },
        { 4, { 2, 3, 4, 5 }, { 0, 1, 2, 3 } },
        { 0, { 0 }, { 0 } },
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ftl_tensor_desc in = { .rank = cases[c].rank };
        ftl_attr attr = ftl_attr_blank();
        for (int32_t i = 0; i < in.rank; i++) {
            in.dim[i] = cases[c].dim[i];
            attr.perm.perm[i] = cases[c].perm[i];
        }
        check_move(FTL_OP_transpose, &attr, in, from_transpose);
    }
}

static int64_t from_slice(const ftl_attr *a, const ftl_tensor_desc *in, const int64_t *index)
{
    int64_t source[FTL_MAX_RANK];
    for (int32_t i = 0; i < in->rank; i++)
        source[i] = a->slice.start[i] + index[i] * a->slice.step[i];
    return ravel(in, source);
}

static void slices(void **unused)
{
    (void)unused;
    const ftl_attr_slice cases[] = {
        { { 0, 0, 0 }, { 4, 5, 6 }, { 1, 1, 1 } }, { { 1, 2, 3 }, { 4, 5, 6 }, { 1, 1, 1 } },
        { { 0, 1, 1 }, { 4, 5, 6 }, { 3, 2, 2 } }, { { 3, 0, 5 }, { 4, 1, 6 }, { 1, 9, 1 } },
        { { 2, 2, 2 }, { 2, 5, 6 }, { 1, 1, 1 } },
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ftl_attr attr = ftl_attr_blank();
        attr.slice = cases[c];
        check_move(FTL_OP_slice, &attr, DESC(I32, 4, 5, 6), from_slice);
    }
}

static int64_t from_reverse(const ftl_attr *a, const ftl_tensor_desc *in, const int64_t *index)
{
    int64_t source[FTL_MAX_RANK];
    for (int32_t i = 0; i < in->rank; i++)
        source[i] = a->reduce.axes >> i & 1 ? in->dim[i] - 1 - index[i] : index[i];
    return ravel(in, source);
}

static void reverses(void **unused)
{
    (void)unused;
    for (uint32_t axes = 0; axes < 8; axes++) {
        ftl_attr attr = ftl_attr_blank();
        attr.reduce.axes = axes;
        check_move(FTL_OP_reverse, &attr, DESC(I32, 3, 4, 5), from_reverse);
    }
}

static int64_t from_pad(const ftl_attr *a, const ftl_tensor_desc *in, const int64_t *index)
{
    int64_t source[FTL_MAX_RANK];
    for (int32_t i = 0; i < in->rank; i++) {
        const int64_t k = index[i] - a->pad.low[i], step = a->pad.interior[i] + 1;
        if (k < 0 || k % step != 0 || k / step >= in->dim[i]) return -1;
        source[i] = k / step;
    }
    return ravel(in, source);
}

static void pads(void **unused)
{
    (void)unused;
    const ftl_attr_pad cases[] = {
        { { 0, 0 }, { 0, 0 }, { 0, 0 }, 77 },
        { { 1, 2 }, { 3, 0 }, { 0, 0 }, 77 },
        { { 0, 1 }, { 2, 1 }, { 2, 1 }, 77 },
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ftl_attr attr = ftl_attr_blank();
        attr.pad = cases[c];
        check_move(FTL_OP_pad, &attr, DESC(I32, 4, 5), from_pad);
        check_move(FTL_OP_pad, &attr, DESC(I32, 1, 5), from_pad);
        check_move(FTL_OP_pad, &attr, DESC(I32, 0, 5), from_pad);
    }
}

static int64_t from_broadcast(const ftl_attr *a, const ftl_tensor_desc *in, const int64_t *index)
{
    int64_t source[FTL_MAX_RANK];
    for (int32_t i = 0; i < in->rank; i++)
        source[i] = in->dim[i] == 1 ? 0 : index[i + a->shape.rank - in->rank];
    return ravel(in, source);
}

static void broadcasts(void **unused)
{
    (void)unused;
    ftl_attr attr = ftl_attr_blank();
    attr.shape = (ftl_attr_shape){ .rank = 3, .dim = { 2, 3, 4 } };
    check_move(FTL_OP_broadcast, &attr, (ftl_tensor_desc){ 0 }, from_broadcast);
    check_move(FTL_OP_broadcast, &attr, DESC(I32, 4), from_broadcast);
    check_move(FTL_OP_broadcast, &attr, DESC(I32, 3, 1), from_broadcast);
    check_move(FTL_OP_broadcast, &attr, DESC(I32, 2, 1, 4), from_broadcast);
    check_move(FTL_OP_broadcast, &attr, DESC(I32, 2, 3, 4), from_broadcast);
}

static void concat_joins_in_order(void **unused)
{
    (void)unused;
    const int64_t a[2][2] = { { 1, 2 }, { 3, 4 } }, b[2][1] = { { INT64_MAX }, { 6 } };
    const int64_t want[10] = { 1, 2, INT64_MAX, 1, 2, 3, 4, 6, 3, 4 };
    int64_t got[10];
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, DESC(I64, 2, 2)), y = ftl_test_input(g, DESC(I64, 2, 1)),
                  z = ftl_test_input(g, DESC(I64, 2, 0));
    const int32_t in[4] = { x, y, z, x };
    ftl_test_eval_one(g, ftl_emit_concat(g, in, 4, 1), (const void *[]){ a, b, a }, got);
    assert_memory_equal(got, want, sizeof want);
}

static void iota_rises_along_its_axis(void **unused)
{
    (void)unused;
    ftl_graph *g = ftl_test_graph();
    ftl_attr attr = ftl_attr_blank();
    attr.shape = (ftl_attr_shape){ .dtype = FTL_DTYPE_BF16, .rank = 3, .dim = { 2, 3, 2 } };
    attr.shape.axis = 1;
    uint16_t got[12];
    ftl_test_eval_one(g, ftl_graph_add(g, FTL_OP_iota, &attr, NULL, 0), NULL, got);
    for (int i = 0; i < 12; i++) assert_true(ftl_bf16_to_f32(got[i]) == (float)(i / 2 % 3));
}

static void gather_clamps(void **unused)
{
    (void)unused;
    const float x[2][3][2] = { { { 1, 2 }, { 3, 4 }, { 5, 6 } },
                               { { 7, 8 }, { 9, 10 }, { 11, 12 } } };
    const int64_t index[4] = { 2, -5, 0, INT64_MAX };
    const float want[16] = { 5, 6, 1, 2, 1, 2, 5, 6, 11, 12, 7, 8, 7, 8, 11, 12 };
    float got[16];
    ftl_graph *g = ftl_test_graph();
    const int32_t data = ftl_test_input(g, DESC(F32, 2, 3, 2));
    const int32_t i = ftl_test_input(g, DESC(I64, 2, 2));
    const int32_t y = ftl_emit_gather(g, data, i, 1);
    assert_int_equal(ftl_emit_desc(g, y).rank, 4);
    ftl_test_eval_one(g, y, (const void *[]){ x, index }, got);
    assert_memory_equal(got, want, sizeof want);
}

static void scatter_skips_replaces_and_adds(void **unused)
{
    (void)unused;
    const float data[3][2] = { { 1, 2 }, { 3, 4 }, { 5, 6 } };
    const float rows[4][2] = { { 10, 20 }, { 30, 40 }, { 50, 60 }, { 70, 80 } };
    const int32_t index[4] = { 2, -1, 2, 3 };
    for (int add = 0; add < 2; add++) {
        ftl_graph *g = ftl_test_graph();
        const int32_t d = ftl_test_input(g, DESC(F32, 3, 2)), i = ftl_test_input(g, DESC(I32, 4)),
                      r = ftl_test_input(g, DESC(F32, 4, 2));
        ftl_attr attr = ftl_attr_blank();
        attr.scatter.add = add;
        float got[3][2];
        ftl_test_eval_one(g, FTL_ADD(g, scatter, &attr, d, i, r),
                          (const void *[]){ data, index, rows }, got);
        assert_memory_equal(got, data, 4 * sizeof(float));
        assert_true(got[2][0] == (add ? 65 : 50) && got[2][1] == (add ? 86 : 60));
    }
}

/* ---- products ------------------------------------------------------------------------------ */

/* f64 [2,1,M,K] x [3,K,N] for every pair of flags; N crosses a panel of 64 columns. */
static void matmul_of_every_orientation(void **unused)
{
    (void)unused;
    enum { M = 3, K = 5, N = 67 };
    static double a[2 * M * K], b[3 * K * N], got[6 * M * N], want[6 * M * N];
    ftl_test_random(a, 2 * M * K, 1, -1, 1);
    ftl_test_random(b, 3 * K * N, 2, -1, 1);
    for (int flags = 0; flags < 4; flags++) {
        const int ta = flags & 1, tb = flags >> 1;
        for (int p = 0; p < 6; p++)
            for (int i = 0; i < M; i++)
                for (int j = 0; j < N; j++) {
                    double sum = 0;
                    for (int k = 0; k < K; k++)
                        sum += a[p / 3 * M * K + (ta ? k * M + i : i * K + k)] *
                               b[p % 3 * K * N + (tb ? j * K + k : k * N + j)];
                    want[(p * M + i) * N + j] = sum;
                }
        ftl_graph *g = ftl_test_graph();
        const int32_t x = ftl_test_input(g, ta ? DESC(F64, 2, 1, K, M) : DESC(F64, 2, 1, M, K));
        const int32_t y = ftl_test_input(g, tb ? DESC(F64, 3, N, K) : DESC(F64, 3, K, N));
        ftl_test_eval_one(g, ftl_emit_matmul(g, x, y, ta, tb), (const void *[]){ a, b }, got);
        ftl_test_assert_close_f64(got, want, 6 * M * N, 1e-15, "matmul");
    }
}

static void matmul_rounds_once_and_keeps_integers(void **unused)
{
    (void)unused;
    const float a[3] = { 1e8f, 1, -1e8f }, b[3] = { 1, 1, 1 };
    float sum;
    ftl_graph *g = ftl_test_graph();
    int32_t x = ftl_test_input(g, DESC(F32, 1, 3)), y = ftl_test_input(g, DESC(F32, 1, 3));
    ftl_test_eval_one(g, ftl_emit_matmul(g, x, y, 0, 1), (const void *[]){ a, b }, &sum);
    assert_true(sum == 1);
    const int64_t p[2] = { ((int64_t)1 << 53) + 1, 7 }, q[2] = { 1, -1 };
    int64_t exact;
    g = ftl_test_graph();
    x = ftl_test_input(g, DESC(I64, 1, 2));
    y = ftl_test_input(g, DESC(I64, 2, 1));
    ftl_test_eval_one(g, ftl_emit_matmul(g, x, y, 0, 0), (const void *[]){ p, q }, &exact);
    assert_true(exact == ((int64_t)1 << 53) - 6);
    float none[4] = { 1, 1, 1, 1 };
    g = ftl_test_graph();
    x = ftl_test_input(g, DESC(F32, 2, 0));
    y = ftl_test_input(g, DESC(F32, 0, 2));
    ftl_test_eval_one(g, ftl_emit_matmul(g, x, y, 0, 0), (const void *[]){ a, b }, none);
    for (int i = 0; i < 4; i++) assert_true(none[i] == 0);
}

typedef struct conv_case {
    int64_t b, c, h, w, o, kh, kw;
    ftl_attr_conv attr;
} conv_case;

static double conv_at(const conv_case *s, const double *x, const double *w, const int64_t *i)
{
    const int64_t cg = s->c / s->attr.groups, first = i[1] / (s->o / s->attr.groups) * cg;
    double sum = 0;
    for (int64_t c = 0; c < cg; c++)
        for (int64_t kh = 0; kh < s->kh; kh++)
            for (int64_t kw = 0; kw < s->kw; kw++) {
                const int64_t y =
                    i[2] * s->attr.stride[0] + kh * s->attr.dilation[0] - s->attr.pad[0];
                const int64_t z =
                    i[3] * s->attr.stride[1] + kw * s->attr.dilation[1] - s->attr.pad[1];
                if (y < 0 || y >= s->h || z < 0 || z >= s->w) continue;
                sum += x[((i[0] * s->c + first + c) * s->h + y) * s->w + z] *
                       w[((i[1] * cg + c) * s->kh + kh) * s->kw + kw];
            }
    return sum;
}

static void convolutions(void **unused)
{
    (void)unused;
    static const conv_case cases[] = {
        { 2, 3, 5, 6, 4, 3, 3, { { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 }, 1, { 0 } } },
        { 1, 4, 7, 8, 6, 3, 2, { { 2, 3 }, { 1, 2 }, { 0, 2, 1, 0 }, 2, { 0 } } },
        { 1, 4, 5, 5, 4, 3, 3, { { 1, 2 }, { 2, 1 }, { 3, 0, 0, 3 }, 4, { 0 } } },
        { 1, 2, 1, 9, 3, 1, 4, { { 1, 4 }, { 1, 1 }, { 0, 5, 0, 6 }, 1, { 0 } } },
    };
    static double x[512], w[512], got[1024];
    ftl_test_random(x, 512, 5, -1, 1);
    ftl_test_random(w, 512, 6, -1, 1);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const conv_case *s = &cases[c];
        ftl_graph *g = ftl_test_graph();
        ftl_attr attr = ftl_attr_blank();
        attr.conv = s->attr;
        const int32_t in[2] = { ftl_test_input(g, DESC(F64, s->b, s->c, s->h, s->w)),
                                ftl_test_input(
                                    g, DESC(F64, s->o, s->c / s->attr.groups, s->kh, s->kw)) };
        const int32_t y = ftl_graph_add(g, FTL_OP_conv2d, &attr, in, 2);
        assert_ok(ftl_graph_status(g));
        const ftl_tensor_desc d = ftl_emit_desc(g, y);
        ftl_test_eval_one(g, y, (const void *[]){ x, w }, got);
        for (int64_t i = 0; i < ftl_desc_count_checked(&d); i++) {
            int64_t index[4];
            unravel(&d, i, index);
            const double want = conv_at(s, x, w, index);
            ftl_test_assert_close_f64(&got[i], &want, 1, 1e-14, "conv2d");
        }
    }
}

/* ---- pools --------------------------------------------------------------------------------- */

static void pools(void **unused)
{
    (void)unused;
    /* [1,1,3,3], window 2 x 2, stride 2, one row and column of padding at the end. */
    const float x[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    const float want_max[4] = { 5, 6, 8, 9 };
    const float want_avg[4] = { 3, 4.5f, 7.5f, 9 };       /* padding does not count */
    const float want_all[4] = { 3, 2.25f, 3.75f, 2.25f }; /* padding counts */
    const float want_row[4] = { 3, 4.5f, 3.75f, 4.5f };   /* only the row below counts */
    const float *const want[4] = { want_max, want_avg, want_all, want_row };
    static const int32_t counted[4][2] = { { 0, 0 }, { 0, 0 }, { 1, 1 }, { 1, 0 } };
    for (int c = 0; c < 4; c++) {
        ftl_graph *g = ftl_test_graph();
        ftl_attr attr = ftl_attr_blank();
        attr.pool = (ftl_attr_pool){ .kernel = { 2, 2 },
                                     .stride = { 2, 2 },
                                     .dilation = { 1, 1 },
                                     .pad = { 0, 0, 1, 1 },
                                     .count_pad = { 0, 0, counted[c][0], counted[c][1] } };
        const int32_t in = ftl_test_input(g, DESC(F32, 1, 1, 3, 3));
        float got[4];
        ftl_test_eval_one(
            g, ftl_graph_add(g, c ? FTL_OP_avg_pool2d : FTL_OP_max_pool2d, &attr, &in, 1),
            (const void *[]){ x }, got);
        assert_memory_equal(got, want[c], sizeof got);
    }
}

static void max_pool_of_padding_and_nan(void **unused)
{
    (void)unused;
    const float x[4] = { 1, NAN, 2, -3 };
    ftl_graph *g = ftl_test_graph();
    ftl_attr attr = ftl_attr_blank();
    attr.pool = (ftl_attr_pool){
        .kernel = { 1, 2 }, .stride = { 1, 1 }, .dilation = { 1, 3 }, .pad = { 0, 4, 0, 0 }
    };
    const int32_t in = ftl_test_input(g, DESC(F32, 1, 1, 1, 4));
    float got[5];
    ftl_test_eval_one(g, FTL_ADD(g, max_pool2d, &attr, in), (const void *[]){ x }, got);
    assert_true(got[0] == -INFINITY && got[1] == 1 && isnan(got[2]) && got[3] == 2 && got[4] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transposes),
        cmocka_unit_test(slices),
        cmocka_unit_test(reverses),
        cmocka_unit_test(pads),
        cmocka_unit_test(broadcasts),
        cmocka_unit_test(concat_joins_in_order),
        cmocka_unit_test(iota_rises_along_its_axis),
        cmocka_unit_test(gather_clamps),
        cmocka_unit_test(scatter_skips_replaces_and_adds),
        cmocka_unit_test(matmul_of_every_orientation),
        cmocka_unit_test(matmul_rounds_once_and_keeps_integers),
        cmocka_unit_test(convolutions),
        cmocka_unit_test(pools),
        cmocka_unit_test(max_pool_of_padding_and_nan),
    };
    return ftl_test_run(tests);
}
