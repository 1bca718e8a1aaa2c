/* SPDX-License-Identifier: Apache-2.0 */
/* Compiling and running: what comes out, what may be shared, what is refused. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "contract/contract.h"
#include "core/op.h"
#include "support/graphs.h"

static ftl_attr blank(void)
{
    ftl_attr attr;
    memset(&attr, 0, sizeof attr);
    return attr;
}

/* ---- one dense layer ----------------------------------------------------------------------- */

typedef struct dense {
    float x[DENSE_X], w[DENSE_W], b[DENSE_B], want[DENSE_Y];
} dense;

static void dense_fill(dense *d, const ftl_graph *g)
{
    contract_floats(d->x, DENSE_X, 1);
    contract_floats(d->w, DENSE_W, 2);
    contract_floats(d->b, DENSE_B, 3);
    void *out[1] = { d->want };
    FTL_TEST_EVAL(g, out, d->x, d->w, d->b);
}

static void dense_put(rig *r, const dense *d)
{
    rig_put(r, 0, d->x);
    rig_put(r, 1, d->w);
    rig_put(r, 2, d->b);
}

/* Runs and compares. */
static void dense_check(rig *r, const dense *d)
{
    float got[DENSE_Y] = { 0 };
    assert_ok(rig_run(r));
    rig_get(r, 0, got);
    ftl_test_assert_close_f32(got, d->want, DENSE_Y, 1e-6, "dense");
}

static void run_equals_the_evaluator(void **unused)
{
    (void)unused;
    rig r;
    dense d;
    ftl_graph *g = contract_dense();
    dense_fill(&d, g);
    rig_init(&r, contract_device, g, 0);
    ftl_graph_destroy(g); /* the program keeps nothing of it */
    ftl_graph_destroy(r.legal);
    r.legal = NULL;
    dense_put(&r, &d);
    dense_check(&r, &d);
    ftl_program_info info;
    assert_ok(ftl_program_get_info(r.program, &info));
    assert_int_equal(info.struct_size, sizeof info);
    assert_true(info.workspace_bytes >= info.workspace_lower_bound_bytes);
    assert_true(info.flops < 0 || info.flops >= 2.0 * 3 * 4 * 5);
    assert_true(info.bytes < 0 || info.bytes > 0);
    rig_deinit(&r);
}

static void cells_are_replaced_between_runs(void **unused)
{
    (void)unused;
    rig r;
    dense d;
    ftl_graph *g = contract_dense();
    dense_fill(&d, g);
    rig_init(&r, contract_device, g, 0);
    dense_put(&r, &d);
    for (uint64_t seed = 10; seed < 13; seed++) {
        contract_floats(d.x, DENSE_X, seed);
        contract_floats(d.w, DENSE_W, seed + 1);
        void *out[1] = { d.want };
        FTL_TEST_EVAL(g, out, d.x, d.w, d.b);
        dense_put(&r, &d);
        dense_check(&r, &d);
    }
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

/* ---- what run refuses ---------------------------------------------------------------------- */

static void refuse(rig *r, const char *part)
{
    const ftl_run_args args = rig_args(r);
    ftl_event *done = (ftl_event *)r;
    assert_fails(FTL_EINVAL, ftl_program_run(r->program, r->queue, &args, &done));
    assert_null(done);
    if (!strstr(ftl_error_text(), part)) {
        print_error("\"%s\" says nothing of \"%s\"\n", ftl_error_text(), part);
        fail();
    }
}

/* Puts `cell` where *slot stands, expects a refusal, puts the old one back. */
static void refuse_cell(rig *r, ftl_buffer **slot, ftl_buffer *cell, const char *part)
{
    ftl_buffer *old = *slot;
    *slot = cell;
    refuse(r, part);
    *slot = old;
}

static void refuse_desc(rig *r, ftl_buffer **slot, ftl_tensor_desc desc, const char *part)
{
    ftl_buffer *cell;
    assert_ok(ftl_buffer_create(&cell, r->device, &desc));
    refuse_cell(r, slot, cell, part);
    ftl_buffer_destroy(cell);
}

static void wrong_cells_are_refused_and_nothing_is_touched(void **unused)
{
    (void)unused;
    rig r, other;
    dense d;
    ftl_device *device = contract_open(NULL);
    ftl_graph *g = contract_dense();
    dense_fill(&d, g);
    rig_init(&r, contract_device, g, 0);
    rig_init(&other, device, g, 0);
    dense_put(&r, &d);
    dense_check(&r, &d);
    refuse_cell(&r, &r.in[0], NULL, "input 0");
    refuse_cell(&r, &r.in[2], NULL, "input 2");
    refuse_cell(&r, &r.out[0], NULL, "output 0");
    refuse_cell(&r, &r.in[0], other.in[0], "another device");
    refuse_cell(&r, &r.out[0], other.out[0], "another device");
    refuse_desc(&r, &r.in[0], DESC(F32, 5, 3), "f32[5,3]");
    refuse_desc(&r, &r.in[0], DESC(I32, 3, 5), "i32[3,5]");
    refuse_desc(&r, &r.in[0], DESC(F32, 15), "f32[15]");
    refuse_desc(&r, &r.in[2], DESC(F32, 4, 1), "f32[4,1]");
    refuse_desc(&r, &r.out[0], DESC(F32, 3, 5), "f32[3,5]");
    refuse_desc(&r, &r.out[0], DESC(F16, 3, 4), "f16[3,4]");
    ftl_queue *queue = r.queue;
    r.queue = other.queue;
    refuse(&r, "two devices");
    r.queue = queue;
    float got[DENSE_Y] = { 0 };
    rig_get(&r, 0, got);
    ftl_test_assert_close_f32(got, d.want, DENSE_Y, 1e-6, "result of the run before");
    dense_check(&r, &d);
    ftl_graph_destroy(g);
    rig_deinit(&r);
    rig_deinit(&other);
    ftl_device_close(device);
}

/* x, y f32[3] inputs; out0 = x + y, out1 = x - y, out2 f32[3] = new value of state s = s + x. */
static ftl_graph *three_outputs(void)
{
    static const ftl_init zero = { .kind = FTL_INIT_FILL };
    const ftl_tensor_desc three = DESC(F32, 3);
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, three), y = ftl_test_input(g, three);
    const int32_t s = ftl_graph_state(g, "s", &three, zero);
    ftl_graph_output(g, "sum", FTL_ADD(g, add, NULL, x, y));
    ftl_graph_output(g, "difference", FTL_ADD(g, sub, NULL, x, y));
    ftl_graph_output_state(g, s, FTL_ADD(g, add, NULL, s, x));
    assert_ok(ftl_graph_status(g));
    return g;
}

static void cells_given_twice_are_refused(void **unused)
{
    (void)unused;
    rig r;
    ftl_graph *g = three_outputs();
    rig_init(&r, contract_device, g, 0);
    refuse_cell(&r, &r.in[1], r.in[0], "input 1");
    refuse_cell(&r, &r.in[0], r.in[2], "input 2"); /* the state's cell as an input too */
    refuse_cell(&r, &r.out[1], r.out[0], "output 1");
    refuse_cell(&r, &r.out[0], r.in[0], "output 0");
    refuse_cell(&r, &r.out[1], r.in[2], "output 1");
    ftl_buffer *cell;
    const ftl_tensor_desc three = DESC(F32, 3);
    assert_ok(ftl_buffer_create(&cell, contract_device, &three));
    refuse_cell(&r, &r.out[2], cell, "one cell for both"); /* the alias wants the same cell */
    refuse_cell(&r, &r.in[2], cell, "one cell for both");
    ftl_buffer_destroy(cell);
    assert_ok(rig_run(&r));
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

static void workspace_is_checked(void **unused)
{
    (void)unused;
    rig r, other;
    ftl_graph *g = contract_dense();
    ftl_device *device = contract_open(NULL);
    rig_init(&r, contract_device, g, 0);
    rig_init(&other, device, g, 0);
    rig_put_zeros(&r);
    ftl_program_info info;
    assert_ok(ftl_program_get_info(r.program, &info));
    if (info.workspace_bytes) {
        refuse_cell(&r, &r.workspace, NULL, "workspace");
        refuse_desc(&r, &r.workspace, DESC(U8, (int64_t)info.workspace_bytes - 1), "workspace");
        refuse_cell(&r, &r.workspace, other.workspace, "workspace");
        refuse_cell(&r, &r.workspace, r.in[0], "workspace"); /* too small, or a cell of the run */
    }
    assert_ok(rig_run(&r));
    /* A larger one is fine, and so is one where none is needed. */
    const ftl_tensor_desc more = DESC(U8, (int64_t)info.workspace_bytes + 100);
    ftl_buffer *large, *old = r.workspace;
    assert_ok(ftl_buffer_create(&large, contract_device, &more));
    r.workspace = large;
    assert_ok(rig_run(&r));
    r.workspace = old;
    ftl_buffer_destroy(large);
    ftl_graph_destroy(g);
    rig_deinit(&r);
    rig_deinit(&other);
    ftl_device_close(device);
}

/* y = x * rate + step; both parameters change from run to run. */
static void parameters_are_read_at_each_run(void **unused)
{
    (void)unused;
    rig r;
    const ftl_tensor_desc f = DESC0(F32), i = DESC0(I32);
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, DESC(F32, 5));
    const int32_t rate = ftl_graph_param(g, "rate", &f), step = ftl_graph_param(g, "step", &i);
    ftl_attr to = blank();
    to.convert.dtype = FTL_DTYPE_F32;
    const int32_t shift = FTL_ADD(g, convert, &to, step);
    ftl_graph_output(g, "y", FTL_ADD(g, add, NULL, FTL_ADD(g, mul, NULL, x, rate), shift));
    rig_init(&r, contract_device, g, 0);
    float in[5], got[5], want[5];
    contract_floats(in, 5, 4);
    rig_put(&r, 0, in);
    refuse(&r, "host values");
    for (int32_t n = -1; n < 3; n++) {
        const float factor = 0.5f * (float)n;
        uint32_t bits;
        memcpy(&bits, &factor, 4);
        const int64_t params[2] = { bits, n };
        r.params = params;
        rig_put(&r, 1, &factor);
        rig_put(&r, 2, &n);
        assert_ok(rig_run(&r));
        rig_get(&r, 0, got);
        for (int k = 0; k < 5; k++) want[k] = in[k] * factor + (float)n;
        ftl_test_assert_close_f32(got, want, 5, 1e-6, "x * rate + step");
    }
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

/* ---- odd outputs --------------------------------------------------------------------------- */

static void a_program_without_nodes_copies(void **unused)
{
    (void)unused;
    rig r;
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, DESC(F32, 2, 3));
    ftl_graph_output(g, "y", x);
    rig_init(&r, contract_device, g, 0);
    float in[6], got[6] = { 0 };
    contract_floats(in, 6, 5);
    rig_put(&r, 0, in);
    assert_ok(rig_run(&r));
    memset(in, 0, sizeof in); /* a copy, not a view */
    rig_put(&r, 0, in);
    rig_get(&r, 0, got);
    contract_floats(in, 6, 5);
    assert_memory_equal(got, in, sizeof in);
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

/* The same value twice, a source, a weight, a constant, a view, one value under a view. */
static void outputs_may_be_anything_and_the_same(void **unused)
{
    (void)unused;
    enum { N = 6, OUTPUTS = 8 };
    static const ftl_init zero = { .kind = FTL_INIT_FILL };
    static const float fixed[N] = { 9, 8, 7, 6, 5, 4 };
    rig r;
    const ftl_tensor_desc desc = DESC(F32, 2, 3);
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, desc);
    const int32_t w = ftl_graph_weight(g, "w", &desc, NULL, zero);
    const int32_t c = ftl_graph_const(g, &desc, fixed);
    const int32_t sum = FTL_ADD(g, add, NULL, x, w);
    ftl_attr flat = blank();
    flat.shape.rank = 1;
    flat.shape.dim[0] = N;
    const int32_t tensors[OUTPUTS] = {
        sum, sum, x, w, c, FTL_ADD(g, reshape, &flat, x), FTL_ADD(g, reshape, &flat, sum), c
    };
    for (int i = 0; i < OUTPUTS; i++) {
        char name[16];
        snprintf(name, sizeof name, "y%d", i);
        ftl_graph_output(g, name, tensors[i]);
    }
    rig_init(&r, contract_device, g, 0);
    float in[N], weight[N], total[N], got[N];
    contract_floats(in, N, 6);
    contract_floats(weight, N, 7);
    for (int i = 0; i < N; i++) total[i] = in[i] + weight[i];
    rig_put(&r, 0, in);
    rig_put(&r, 1, weight);
    const float *const want[OUTPUTS] = { total, total, in, weight, fixed, in, total, fixed };
    for (int round = 0; round < 2; round++) {
        assert_ok(rig_run(&r));
        for (int i = 0; i < OUTPUTS; i++) {
            rig_get(&r, i, got);
            assert_memory_equal(got, want[i], sizeof got);
        }
    }
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

static void empty_tensors_and_scalars_run(void **unused)
{
    (void)unused;
    rig r;
    ftl_graph *g = ftl_test_graph();
    const int32_t none = ftl_test_input(g, DESC(F32, 0, 4)), one = ftl_test_input(g, DESC0(F32));
    ftl_attr all = blank();
    all.reduce.axes = 3;
    ftl_graph_output(g, "nothing", FTL_ADD(g, add, NULL, none, one));
    ftl_graph_output(g, "sum", FTL_ADD(g, reduce_sum, &all, none));
    ftl_graph_output(g, "twice", FTL_ADD(g, add, NULL, one, one));
    rig_init(&r, contract_device, g, 0);
    const float three = 3;
    float sum = 1, twice = 0;
    rig_put(&r, 0, "");
    rig_put(&r, 1, &three);
    assert_ok(rig_run(&r));
    rig_get(&r, 0, &sum);
    rig_get(&r, 1, &sum);
    rig_get(&r, 2, &twice);
    assert_true(sum == 0 && twice == 6);
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

/* ---- state --------------------------------------------------------------------------------- */

/* Outputs: old value times ten, the old value itself, the new value s + x. */
static void state_is_new_afterwards_and_old_before(void **unused)
{
    (void)unused;
    enum { N = 37 };
    static const ftl_init zero = { .kind = FTL_INIT_FILL };
    rig r;
    const ftl_tensor_desc desc = DESC(F32, N);
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, desc), s = ftl_graph_state(g, "s", &desc, zero);
    const int32_t next = FTL_ADD(g, add, NULL, s, x);
    ftl_graph_output(g, "old", s);
    ftl_graph_output_state(g, s, next);
    ftl_graph_output(g, "ten",
                     FTL_ADD(g, mul, NULL, s, ftl_graph_const_scalar(g, FTL_DTYPE_F32, 10)));
    ftl_graph_output(g, "new", next);
    rig_init(&r, contract_device, g, 0);
    float in[N], state[N] = { 0 }, got[N];
    contract_floats(in, N, 8);
    rig_put(&r, 0, in);
    for (int run = 0; run < 5; run++) {
        float ten[N];
        assert_ok(rig_run(&r));
        rig_get(&r, 0, got);
        assert_memory_equal(got, state, sizeof got);
        for (int i = 0; i < N; i++) ten[i] = state[i] * 10;
        rig_get(&r, 2, got);
        assert_memory_equal(got, ten, sizeof got);
        for (int i = 0; i < N; i++) state[i] += in[i];
        rig_get(&r, 1, got);
        assert_memory_equal(got, state, sizeof got);
        rig_get(&r, 3, got);
        assert_memory_equal(got, state, sizeof got);
    }
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

/* a takes b's value and b takes a's (through `keep`: a bare circle may be refused, memplan.h); c
 * turns round; d stays itself. */
static void states_change_places(void **unused)
{
    (void)unused;
    enum { N = 5, STATES = 4 };
    static const ftl_init zero = { .kind = FTL_INIT_FILL };
    rig r;
    const ftl_tensor_desc desc = DESC(F32, N);
    ftl_graph *g = ftl_test_graph();
    int32_t s[STATES];
    static const char *const names[STATES] = { "a", "b", "c", "d" };
    for (int i = 0; i < STATES; i++) s[i] = ftl_graph_state(g, names[i], &desc, zero);
    ftl_attr axis = blank();
    axis.reduce.axes = 1;
    ftl_graph_output_state(g, s[0], FTL_ADD(g, keep, NULL, s[1]));
    ftl_graph_output_state(g, s[1], FTL_ADD(g, keep, NULL, s[0]));
    ftl_graph_output_state(g, s[2], FTL_ADD(g, reverse, &axis, s[2]));
    ftl_graph_output_state(g, s[3], s[3]);
    assert_ok(ftl_graph_status(g));
    rig_init(&r, contract_device, g, 0);
    float value[STATES][N], got[N];
    for (int i = 0; i < STATES; i++) {
        contract_floats(value[i], N, 20 + (uint64_t)i);
        rig_put(&r, i, value[i]);
    }
    for (int run = 0; run < 3; run++) {
        assert_ok(rig_run(&r));
        for (int i = 0; i < N; i++) {
            const float a = value[0][i];
            value[0][i] = value[1][i];
            value[1][i] = a;
        }
        for (int i = 0; i < N / 2; i++) {
            const float c = value[2][i];
            value[2][i] = value[2][N - 1 - i];
            value[2][N - 1 - i] = c;
        }
        for (int i = 0; i < STATES; i++) {
            rig_get(&r, i, got);
            assert_memory_equal(got, value[i], sizeof got);
        }
    }
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

/* A shift register, told in the order in which copying one after the other would be wrong:
 * c takes x, b takes c, a takes b, and a falls out. */
static void states_move_on_by_one(void **unused)
{
    (void)unused;
    enum { N = 3 };
    static const ftl_init zero = { .kind = FTL_INIT_FILL };
    rig r;
    const ftl_tensor_desc desc = DESC(F32, N);
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, desc), a = ftl_graph_state(g, "a", &desc, zero);
    const int32_t b = ftl_graph_state(g, "b", &desc, zero);
    const int32_t c = ftl_graph_state(g, "c", &desc, zero);
    ftl_graph_output_state(g, c, x);
    ftl_graph_output_state(g, b, c);
    ftl_graph_output_state(g, a, b);
    ftl_graph_output(g, "out", a);
    assert_ok(ftl_graph_status(g));
    rig_init(&r, contract_device, g, 1);
    for (int run = 0; run < 6; run++) {
        const float in[N] = { (float)run + 1, (float)run + 2, (float)run + 3 };
        rig_put(&r, 0, in);
        assert_ok(rig_run(&r));
        for (int o = 0; o < 4; o++) { /* output o shows x of o runs ago */
            float got[N];
            rig_get(&r, o, got);
            for (int i = 0; i < N; i++) assert_true(got[i] == (run < o ? 0 : in[i] - (float)o));
        }
    }
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

/* ---- a larger graph: repeatability, threads, sharing --------------------------------------- */

enum { NET_X = 2 * 3 * 16 * 16, NET_W = 8 * 3 * 3 * 3, NET_V = 64 * 8 * 14 * 14, NET_Y = 2 * 64 };

/* x [2,3,16,16], w [8,3,3,3], v [64,1568] -> conv, relu, linear, softmax. */
static ftl_graph *net(void)
{
    static const ftl_init zero = { .kind = FTL_INIT_FILL };
    const ftl_tensor_desc w = DESC(F32, 8, 3, 3, 3), v = DESC(F32, 64, 8 * 14 * 14);
    ftl_graph *g = ftl_test_graph();
    const int32_t x = ftl_test_input(g, DESC(F32, 2, 3, 16, 16));
    const int32_t wt = ftl_graph_weight(g, "w", &w, NULL, zero);
    const int32_t vt = ftl_graph_weight(g, "v", &v, NULL, zero);
    ftl_attr conv = blank(), flat = blank(), none = blank(), over = blank();
    conv.conv.stride[0] = conv.conv.stride[1] = 1;
    conv.conv.dilation[0] = conv.conv.dilation[1] = 1;
    conv.conv.groups = 1;
    conv.conv.act.kind = FTL_ACT_RELU;
    flat.shape.rank = 2;
    flat.shape.dim[0] = 2;
    flat.shape.dim[1] = 8 * 14 * 14;
    over.norm.axis = 1;
    const int32_t h = FTL_ADD(g, reshape, &flat, FTL_ADD(g, conv, &conv, x, wt));
    ftl_graph_output(g, "y", FTL_ADD(g, softmax, &over, FTL_ADD(g, linear, &none, h, vt)));
    assert_ok(ftl_graph_status(g));
    return g;
}

typedef struct net_data {
    float x[NET_X], w[NET_W], v[NET_V], want[NET_Y];
} net_data;

static net_data *net_create(const ftl_graph *g)
{
    net_data *d = malloc(sizeof *d);
    assert_non_null(d);
    contract_floats(d->x, NET_X, 31);
    contract_floats(d->w, NET_W, 32);
    contract_floats(d->v, NET_V, 33);
    for (int i = 0; i < NET_V; i++) d->v[i] *= 0.1f;
    void *out[1] = { d->want };
    FTL_TEST_EVAL(g, out, d->x, d->w, d->v);
    return d;
}

static void net_put(rig *r, const net_data *d)
{
    rig_put(r, 0, d->x);
    rig_put(r, 1, d->w);
    rig_put(r, 2, d->v);
}

static void runs_repeat_their_bits(void **unused)
{
    (void)unused;
    rig r;
    ftl_graph *g = net();
    net_data *d = net_create(g);
    rig_init(&r, contract_device, g, 0);
    net_put(&r, d);
    float first[NET_Y], again[NET_Y];
    for (int run = 0; run < 8; run++) {
        assert_ok(rig_run(&r));
        rig_get(&r, 0, run ? again : first);
        if (run) assert_memory_equal(first, again, sizeof first);
    }
    ftl_test_assert_close_f32(first, d->want, NET_Y, 1e-5, "net");
    free(d);
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

static void the_number_of_threads_changes_no_bit(void **unused)
{
    (void)unused;
    ftl_graph *g = net();
    net_data *d = net_create(g);
    float first[NET_Y], again[NET_Y];
    for (uint32_t threads = 1; threads <= 3; threads++) {
        rig r;
        rig_init(&r, contract_device, g, threads);
        net_put(&r, d);
        assert_ok(rig_run(&r));
        rig_get(&r, 0, threads > 1 ? again : first);
        if (threads > 1) assert_memory_equal(first, again, sizeof first);
        rig_deinit(&r);
    }
    free(d);
    ftl_graph_destroy(g);
}

/* Where the program depends on the number of threads, another number is refused; elsewhere any
 * queue will do. */
static void a_queue_of_other_threads_is_refused_or_right(void **unused)
{
    (void)unused;
    rig r;
    dense d;
    ftl_graph *g = contract_dense();
    dense_fill(&d, g);
    rig_init(&r, contract_device, g, 2);
    dense_put(&r, &d);
    ftl_queue *own = r.queue;
    assert_ok(ftl_queue_create(&r.queue, contract_device, 3));
    if (contract_is("cpu")) refuse(&r, "threads");
    else dense_check(&r, &d);
    ftl_queue_destroy(r.queue);
    r.queue = own;
    dense_check(&r, &d);
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

/* Two programs, each with a queue, read the same cells of weights. */
static void queues_and_programs_share_weights(void **unused)
{
    (void)unused;
    rig a, b;
    ftl_graph *g = net();
    net_data *d = net_create(g);
    rig_init(&a, contract_device, g, 1);
    rig_init(&b, contract_device, g, 1);
    net_put(&a, d);
    for (int i = 1; i < 3; i++) {
        ftl_buffer_destroy(b.in[i]);
        b.in[i] = a.in[i];
        b.is_shared[i] = true;
    }
    rig_put(&b, 0, d->x);
    float from_a[NET_Y], from_b[NET_Y];
    for (int run = 0; run < 2; run++) {
        assert_ok(rig_run(&a));
        assert_ok(rig_run(&b));
        rig_get(&a, 0, from_a);
        rig_get(&b, 0, from_b);
        assert_memory_equal(from_a, from_b, sizeof from_a);
    }
    ftl_test_assert_close_f32(from_b, d->want, NET_Y, 1e-5, "shared weights");
    ftl_queue *own = b.queue; /* one program on two queues */
    b.queue = a.queue;
    assert_ok(rig_run(&b));
    b.queue = own;
    free(d);
    ftl_graph_destroy(g);
    rig_deinit(&b);
    rig_deinit(&a);
}

/* One thread's own queue, cells and workspace around a program of all. */
typedef struct worker {
    rig r;
    float first[NET_Y];
    ftl_status status;
    bool is_same;
} worker;

static void *work(void *arg)
{
    worker *w = arg;
    float got[NET_Y];
    w->is_same = true;
    for (int run = 0; w->status == FTL_OK && run < 20; run++) {
        w->status = rig_run(&w->r);
        if (w->status == FTL_OK)
            w->status = ftl_buffer_download(w->r.queue, w->r.out[0], got, sizeof got);
        if (run == 0) memcpy(w->first, got, sizeof got);
        w->is_same = w->is_same && memcmp(w->first, got, sizeof got) == 0;
    }
    return NULL;
}

static void a_program_runs_in_two_threads_at_once(void **unused)
{
    (void)unused;
    worker w[2] = { { .status = FTL_OK } };
    pthread_t threads[2];
    ftl_graph *g = net();
    net_data *d = net_create(g);
    ftl_program *own = NULL;
    for (int i = 0; i < 2; i++) {
        rig_init(&w[i].r, contract_device, g, 2);
        if (i) {
            own = w[i].r.program;
            w[i].r.program = w[0].r.program;
        }
        net_put(&w[i].r, d);
    }
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, work, &w[i]), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(w[i].status, FTL_OK);
        assert_true(w[i].is_same);
    }
    assert_memory_equal(w[0].first, w[1].first, sizeof w[0].first);
    ftl_test_assert_close_f32(w[1].first, d->want, NET_Y, 1e-5, "two threads");
    w[1].r.program = own;
    for (int i = 0; i < 2; i++) rig_deinit(&w[i].r);
    free(d);
    ftl_graph_destroy(g);
}

/* ---- layouts ------------------------------------------------------------------------------- */

/* The program as it likes its weights, and one that was told to read them row-major. */
static void packed_weights_give_the_results_of_row_major_ones(void **unused)
{
    (void)unused;
    static const int32_t rows[3] = { 0, 0, 0 };
    rig packed, plain;
    ftl_graph *g = net();
    net_data *d = net_create(g);
    rig_init(&packed, contract_device, g, 2);
    rig_init(&plain, contract_device, g, 2);
    ftl_program_destroy(plain.program);
    const ftl_compile_options o = { .struct_size = sizeof o,
                                    .n_threads = 2,
                                    .weight_layout = rows };
    assert_ok(ftl_program_compile(&plain.program, contract_device, plain.legal, &o));
    ftl_program_info info;
    assert_ok(ftl_program_get_info(plain.program, &info));
    const ftl_tensor_desc room = DESC(U8, (int64_t)info.workspace_bytes);
    ftl_buffer_destroy(plain.workspace);
    plain.workspace = NULL;
    if (info.workspace_bytes) assert_ok(ftl_buffer_create(&plain.workspace, plain.device, &room));
    float a[NET_Y], b[NET_Y];
    net_put(&packed, d);
    net_put(&plain, d);
    assert_ok(rig_run(&packed));
    assert_ok(rig_run(&plain));
    rig_get(&packed, 0, a);
    rig_get(&plain, 0, b);
    ftl_test_assert_close_f32(a, b, NET_Y, 1e-6, "packed against row-major");
    ftl_test_assert_close_f32(a, d->want, NET_Y, 1e-5, "packed");
    for (int i = 1; i < 3; i++) {
        int32_t layout;
        size_t bytes;
        assert_ok(ftl_program_weight_layout(plain.program, (uint32_t)i, &layout, &bytes));
        assert_int_equal(layout, 0);
        assert_int_equal(plain.in[i]->layout, 0);
        if (!packed.in[i]->layout) continue;
        refuse_cell(&plain, &plain.in[i], packed.in[i], "layout");
        refuse_cell(&packed, &packed.in[i], plain.in[i], "layout");
        assert_fails(FTL_EINVAL, ftl_buffer_upload(packed.queue, packed.in[i], i == 1 ? d->w : d->v,
                                                   packed.in[i]->bytes));
        assert_fails(FTL_EINVAL,
                     ftl_buffer_copy(plain.queue, plain.in[i], packed.queue, packed.in[i]));
    }
    free(d);
    ftl_graph_destroy(g);
    rig_deinit(&packed);
    rig_deinit(&plain);
}

static void wrong_layouts_are_refused(void **unused)
{
    (void)unused;
    static const int32_t odd[3] = { 0, 12345, 0 };
    static const float zeros[DENSE_W] = { 0 };
    rig r;
    ftl_graph *g = contract_dense();
    rig_init(&r, contract_device, g, 1);
    int32_t layout = 77;
    size_t bytes = 0;
    assert_ok(ftl_program_weight_layout(r.program, 0, &layout, &bytes)); /* no weight */
    assert_int_equal(layout, 0);
    assert_int_equal(bytes, DENSE_X * 4);
    assert_fails(FTL_EINVAL, ftl_program_weight_layout(r.program, 3, &layout, &bytes));
    ftl_buffer *cell;
    const ftl_tensor_desc desc = DESC(F32, 4, 5);
    const ftl_status s = ftl_buffer_pack(&cell, r.queue, 12345, zeros, &desc);
    assert_true(s == FTL_EINVAL || s == FTL_EUNSUPPORTED);
    assert_null(cell);
    ftl_program *program;
    const ftl_compile_options o = { .struct_size = sizeof o, .n_threads = 1, .weight_layout = odd };
    assert_fails(FTL_EINVAL, ftl_program_compile(&program, contract_device, r.legal, &o));
    assert_null(program);
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

static void wrapped_cells_are_run_inputs(void **unused)
{
    (void)unused;
    if (!(contract_caps() & FTL_CAP_WRAP_HOST)) return; /* refused: test_cells.c */
    rig r;
    dense d;
    ftl_graph *g = contract_dense();
    dense_fill(&d, g);
    rig_init(&r, contract_device, g, 1);
    dense_put(&r, &d);
    ftl_buffer *wrapped, *result, *old = r.in[0];
    const ftl_tensor_desc in = DESC(F32, 3, 5), out = DESC(F32, 3, 4);
    assert_ok(ftl_buffer_wrap(&wrapped, contract_device, &in, d.x, sizeof d.x));
    r.in[0] = wrapped;
    dense_check(&r, &d);
    r.in[0] = old;
    float memory[DENSE_Y] = { 0 };
    assert_ok(ftl_buffer_wrap(&result, contract_device, &out, memory, sizeof memory));
    refuse_cell(&r, &r.out[0], result, "read only");
    for (int i = 0; i < DENSE_Y; i++) assert_true(memory[i] == 0);
    ftl_buffer_destroy(result);
    ftl_buffer_destroy(wrapped);
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

/* ---- events -------------------------------------------------------------------------------- */

static void events_end_and_may_be_dropped(void **unused)
{
    (void)unused;
    rig r;
    ftl_graph *g = net();
    net_data *d = net_create(g);
    rig_init(&r, contract_device, g, 2);
    net_put(&r, d);
    const ftl_run_args args = rig_args(&r);
    float got[NET_Y];
    ftl_event *done;
    assert_ok(ftl_program_run(r.program, r.queue, &args, &done));
    const ftl_status s = ftl_event_wait(done, 0);
    assert_true(s == FTL_OK || s == FTL_ETIMEOUT);
    assert_ok(ftl_event_wait(done, -1));
    assert_ok(ftl_event_wait(done, -1)); /* again, at once */
    assert_ok(ftl_event_wait(done, 0));
    rig_get(&r, 0, got);
    ftl_test_assert_close_f32(got, d->want, NET_Y, 1e-5, "after the event");
    ftl_event_destroy(done);
    for (int run = 0; run < 3; run++) { /* nobody waits: the work is done all the same */
        assert_ok(ftl_program_run(r.program, r.queue, &args, &done));
        ftl_event_destroy(done);
    }
    memset(got, 0, sizeof got);
    rig_get(&r, 0, got);
    ftl_test_assert_close_f32(got, d->want, NET_Y, 1e-5, "without a wait");
    ftl_event *many[4]; /* in flight together, waited for in the other order */
    for (int i = 0; i < 4; i++) assert_ok(ftl_program_run(r.program, r.queue, &args, &many[i]));
    for (int i = 3; i >= 0; i--) {
        assert_ok(ftl_event_wait(many[i], -1));
        ftl_event_destroy(many[i]);
    }
    assert_ok(ftl_event_wait(NULL, 0));
    ftl_event_destroy(NULL);
    free(d);
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

/* ---- extension "profile" ------------------------------------------------------------------- */

static void a_timed_run_is_a_run(void **unused)
{
    (void)unused;
    const ftl_profile_extension *profile = ftl_device_extension(contract_device, "profile");
    if (!profile) return; /* backends are free to leave it out */
    rig r;
    ftl_graph *g = net();
    net_data *d = net_create(g);
    rig_init(&r, contract_device, g, 2);
    net_put(&r, d);
    const ftl_run_args args = rig_args(&r);
    const int32_t n_nodes = ftl_graph_get_view(r.legal)->n_nodes;
    double *seconds = calloc((size_t)n_nodes, sizeof *seconds), sum = 0;
    assert_non_null(seconds);
    for (int32_t n = 0; n < n_nodes; n++) seconds[n] = -1;
    assert_ok(profile->run_timed(r.program, r.queue, &args, seconds));
    for (int32_t n = 0; n < n_nodes; n++) {
        assert_true(seconds[n] >= 0 && seconds[n] < 60);
        sum += seconds[n];
    }
    assert_true(sum > 0);
    float got[NET_Y];
    rig_get(&r, 0, got);
    ftl_test_assert_close_f32(got, d->want, NET_Y, 1e-5, "timed run");
    free(seconds);
    free(d);
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_equals_the_evaluator),
        cmocka_unit_test(cells_are_replaced_between_runs),
        cmocka_unit_test(wrong_cells_are_refused_and_nothing_is_touched),
        cmocka_unit_test(cells_given_twice_are_refused),
        cmocka_unit_test(workspace_is_checked),
        cmocka_unit_test(parameters_are_read_at_each_run),
        cmocka_unit_test(a_program_without_nodes_copies),
        cmocka_unit_test(outputs_may_be_anything_and_the_same),
        cmocka_unit_test(empty_tensors_and_scalars_run),
        cmocka_unit_test(state_is_new_afterwards_and_old_before),
        cmocka_unit_test(states_change_places),
        cmocka_unit_test(states_move_on_by_one),
        cmocka_unit_test(runs_repeat_their_bits),
        cmocka_unit_test(the_number_of_threads_changes_no_bit),
        cmocka_unit_test(a_queue_of_other_threads_is_refused_or_right),
        cmocka_unit_test(queues_and_programs_share_weights),
        cmocka_unit_test(a_program_runs_in_two_threads_at_once),
        cmocka_unit_test(packed_weights_give_the_results_of_row_major_ones),
        cmocka_unit_test(wrong_layouts_are_refused),
        cmocka_unit_test(wrapped_cells_are_run_inputs),
        cmocka_unit_test(events_end_and_may_be_dropped),
        cmocka_unit_test(a_timed_run_is_a_run),
    };
    return contract_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
