/* SPDX-License-Identifier: Apache-2.0 */
/* The plan is right when running in it gives what running in separate memory gives: random graphs
 * of small integer tensors are executed both ways, node by node. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/memplan.h"

typedef struct machine { /* both memories of one graph */
    const ftl_graph *graph;
    const ftl_graph_view *v;
    const ftl_memplan *plan;
    int32_t **alone;    /* each tensor by itself        */
    int32_t *workspace; /* the plan's                    */
    int32_t **outputs;  /* cells; an aliased one is also the state's */
    int32_t **sources;  /* by tensor */
} machine;

static int64_t count_of(const machine *m, int32_t t)
{
    return ftl_desc_count_checked(&m->v->tensors[t].desc);
}

static int32_t *planned(const machine *m, int32_t t)
{
    const ftl_place *p = &m->plan->place[t];
    switch (p->kind) {
    case FTL_PLACE_WORKSPACE: return m->workspace + p->offset / 4;
    case FTL_PLACE_OUTPUT: return m->outputs[p->index] + p->offset / 4;
    case FTL_PLACE_SOURCE: return m->sources[p->index];
    case FTL_PLACE_NONE: break;
    }
    return NULL;
}

static int32_t value_at(const int32_t *x, int64_t n, int64_t i)
{
    return n == 1 ? x[0] : x[i];
}

/* add, neg, concat along axis 0 and reshape on i32. */
static void run_node(const machine *m, const ftl_node *n,
                     int32_t *(*where)(const machine *, int32_t))
{
    int32_t *out = where(m, n->out[0]);
    int64_t at = 0;
    for (int32_t i = 0; i < n->n_in; i++) {
        const int32_t *x = where(m, n->in[i]);
        const int64_t size = count_of(m, n->in[i]);
        if (n->op == FTL_OP_add) {
            const int32_t *y = where(m, n->in[1]);
            for (int64_t k = 0; k < count_of(m, n->out[0]); k++)
                out[k] = value_at(x, size, k) + value_at(y, count_of(m, n->in[1]), k);
            return;
        }
        for (int64_t k = 0; k < size; k++)
            if (out + at + k != x + k) out[at + k] = n->op == FTL_OP_neg ? -x[k] : x[k];
            else if (n->op == FTL_OP_neg) out[k] = -out[k];
        at += size;
    }
}

static int32_t *alone(const machine *m, int32_t t)
{
    return m->alone[t];
}

static bool may_overwrite(const ftl_graph *g, const ftl_node *n, int32_t o, int32_t i)
{
    (void)o;
    return (n->op == FTL_OP_add || n->op == FTL_OP_neg) &&
           ftl_desc_equal(ftl_graph_peek_desc(g, n->in[i]), ftl_graph_peek_desc(g, n->out[0]));
}

static size_t scratch(void *arg, const ftl_graph *g, int32_t node)
{
    (void)arg;
    (void)g;
    return (size_t)(node % 3) * 100;
}

/* Executes in the order of the plan and compares every output, then returns the workspace. */
static size_t check_plan(const ftl_graph *g)
{
    const ftl_graph_view *v = ftl_graph_get_view(g);
    const ftl_memplan_options o = { .struct_size = sizeof o,
                                    .may_overwrite = may_overwrite,
                                    .scratch_bytes = scratch,
                                    .concat_in_place = true };
    ftl_memplan plan;
    assert_ok(ftl_memplan_init(&plan, g, &o));
    assert_true(plan.lower_bound_bytes <= plan.workspace_bytes);
    machine m = { .graph = g, .v = v, .plan = &plan };
    m.alone = calloc((size_t)v->n_tensors, sizeof *m.alone);
    m.sources = calloc((size_t)v->n_tensors, sizeof *m.sources);
    m.outputs = calloc((size_t)v->n_outputs, sizeof *m.outputs);
    m.workspace = malloc(plan.workspace_bytes + 4);
    memset(m.workspace, 0x7f, plan.workspace_bytes + 4);
    for (int32_t t = 0; t < v->n_tensors; t++) {
        m.alone[t] = calloc((size_t)count_of(&m, t) + 1, 4);
        m.sources[t] = calloc((size_t)count_of(&m, t) + 1, 4);
        for (int64_t k = 0; v->tensors[t].producer < 0 && k < count_of(&m, t); k++)
            m.alone[t][k] = m.sources[t][k] = v->tensors[t].data
                                                  ? ((const int32_t *)v->tensors[t].data)[k]
                                                  : (int32_t)(t * 1000 + k);
    }
    bool *is_shared = calloc((size_t)v->n_outputs, sizeof *is_shared);
    for (int32_t i = 0; i < v->n_outputs; i++) {
        for (int32_t a = 0; a < v->n_aliases; a++)
            if (v->aliases[a].output == i) {
                m.outputs[i] = m.sources[v->aliases[a].state];
                is_shared[i] = true;
            }
        if (!m.outputs[i]) m.outputs[i] = calloc((size_t)count_of(&m, v->outputs[i].tensor) + 1, 4);
    }
    for (int32_t p = 0; p < v->n_nodes; p++) run_node(&m, &v->nodes[p], alone);
    for (int32_t p = 0; p < v->n_nodes; p++) {
        const int32_t n = plan.order[p];
        if (o.scratch_bytes(NULL, g, n))
            memset((char *)m.workspace + plan.scratch_offset[n], 0x55, o.scratch_bytes(NULL, g, n));
        if (!plan.is_elided[n]) run_node(&m, &v->nodes[n], planned);
    }
    for (int32_t c = 0; c < plan.n_copies; c++)
        memcpy(m.outputs[plan.copies[c].output], planned(&m, plan.copies[c].tensor),
               (size_t)count_of(&m, plan.copies[c].tensor) * 4);
    for (int32_t i = 0; i < v->n_outputs; i++)
        assert_memory_equal(m.outputs[i], m.alone[v->outputs[i].tensor],
                            (size_t)count_of(&m, v->outputs[i].tensor) * 4);
    const size_t bytes = plan.workspace_bytes;
    for (int32_t i = 0; i < v->n_outputs; i++)
        if (!is_shared[i]) free(m.outputs[i]);
    for (int32_t t = 0; t < v->n_tensors; t++) {
        free(m.alone[t]);
        free(m.sources[t]);
    }
    free(is_shared);
    free(m.alone);
    free(m.sources);
    free(m.outputs);
    free(m.workspace);
    ftl_memplan_deinit(&plan);
    return bytes;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static ftl_tensor_desc vector(int64_t n)
{
    return (ftl_tensor_desc){ .dtype = FTL_DTYPE_I32, .rank = 1, .dim = { n } };
}

/* A random graph over vectors of 4 * 2^k elements, with states and several outputs. */
static ftl_graph *random_graph(uint32_t seed)
{
    ftl_graph *g;
    assert_ok(ftl_graph_create(&g, "random", true));
    int32_t pool[64], n = 0, state[3];
    const int n_states = (int)(seed % 4);
    for (int i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "x%d", i);
        const ftl_tensor_desc d = vector(4 << (i % 2));
        pool[n++] = ftl_graph_input(g, name, &d);
    }
    for (int i = 0; i < n_states && i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%d", i);
        const ftl_tensor_desc d = vector(4);
        state[i] = ftl_graph_state(g, name, &d, (ftl_init){ 0 });
        pool[n++] = state[i];
    }
    while (n < 40) {
        const int32_t a = pool[next_random(&seed) % (uint32_t)n],
                      b = pool[next_random(&seed) % (uint32_t)n];
        const ftl_tensor_desc *da = ftl_graph_peek_desc(g, a), *db = ftl_graph_peek_desc(g, b);
        const uint32_t what = next_random(&seed) % 8;
        const ftl_attr flat = { .shape = { .rank = 1, .dim = { FTL_DIM_INFER } } };
        if (what < 3 && ftl_desc_equal(da, db)) pool[n++] = FTL_ADD(g, add, NULL, a, b);
        else if (what < 5) pool[n++] = FTL_ADD(g, neg, NULL, a);
        else if (what < 6) pool[n++] = FTL_ADD(g, reshape, &flat, a);
        else if (da->dim[0] + db->dim[0] < 2000) pool[n++] = FTL_ADD(g, concat, NULL, a, b);
        assert_ok(ftl_graph_status(g));
    }
    for (int i = 0; i < 3; i++) ftl_graph_output(g, "y", pool[next_random(&seed) % (uint32_t)n]);
    for (int i = 0; i < n_states && i < 3; i++)
        for (int32_t k = n - 1; k >= 0; k--) {
            const bool is_state = ftl_graph_peek(g, pool[k])->kind == FTL_TENSOR_STATE;
            if (is_state || ftl_graph_peek_desc(g, pool[k])->dim[0] != 4) continue;
            if (next_random(&seed) % 3 == 0 || k < 8) {
                ftl_graph_output_state(g, state[i], pool[k]);
                break;
            }
        }
    assert_ok(ftl_graph_status(g));
    return g;
}

static void random_graphs_run_right_in_the_plan(void **s)
{
    (void)s;
    for (uint32_t seed = 1; seed <= 3000; seed++) {
        ftl_graph *g = random_graph(seed);
        check_plan(g);
        ftl_graph_destroy(g);
    }
}

static void a_chain_lives_in_one_place(void **s)
{
    (void)s;
    ftl_graph *g;
    assert_ok(ftl_graph_create(&g, "chain", true));
    const ftl_tensor_desc d = vector(1024);
    int32_t x = ftl_graph_input(g, "x", &d);
    for (int i = 0; i < 10; i++) x = FTL_ADD(g, neg, NULL, x);
    ftl_graph_output(g, "y", FTL_ADD(g, neg, NULL, x));
    const ftl_memplan_options o = { .struct_size = sizeof o, .may_overwrite = may_overwrite };
    ftl_memplan plan;
    assert_ok(ftl_memplan_init(&plan, g, &o));
    assert_int_equal(plan.workspace_bytes, 4096);
    assert_int_equal(plan.lower_bound_bytes, 4096);
    ftl_memplan_deinit(&plan);
    ftl_graph_destroy(g);
}

static void nested_concatenations_are_written_in_place(void **s)
{
    (void)s;
    ftl_graph *g;
    assert_ok(ftl_graph_create(&g, "dense", true));
    const ftl_tensor_desc d = vector(64);
    int32_t x = FTL_ADD(g, neg, NULL, ftl_graph_input(g, "x", &d));
    for (int i = 0; i < 4; i++) x = FTL_ADD(g, concat, NULL, x, FTL_ADD(g, neg, NULL, x));
    ftl_graph_output(g, "y", FTL_ADD(g, neg, NULL, x));
    const ftl_graph_view *v = ftl_graph_get_view(g);
    const ftl_memplan_options o = { .struct_size = sizeof o, .concat_in_place = true };
    ftl_memplan plan;
    assert_ok(ftl_memplan_init(&plan, g, &o));
    for (int32_t n = 0; n < v->n_nodes; n++)
        assert_int_equal(plan.is_elided[n], v->nodes[n].op == FTL_OP_concat);
    assert_int_equal(plan.workspace_bytes, 64 * 16 * 4);
    ftl_memplan_deinit(&plan);
    check_plan(g);
    ftl_graph_destroy(g);
}

static void states_that_change_places_are_refused(void **s)
{
    (void)s;
    ftl_graph *g;
    assert_ok(ftl_graph_create(&g, "swap", true));
    const ftl_tensor_desc d = vector(4);
    const int32_t a = ftl_graph_state(g, "a", &d, (ftl_init){ 0 });
    const int32_t b = ftl_graph_state(g, "b", &d, (ftl_init){ 0 });
    ftl_graph_output_state(g, a, b);
    ftl_graph_output_state(g, b, a);
    const ftl_memplan_options o = { .struct_size = sizeof o };
    ftl_memplan plan;
    assert_fails(FTL_EUNSUPPORTED, ftl_memplan_init(&plan, g, &o));
    ftl_graph_destroy(g);
}

/* Results of 2^62 bytes each: four of them would come out as a workspace of 0 bytes. */
static void a_workspace_that_overflows_is_refused(void **s)
{
    (void)s;
    ftl_graph *g;
    assert_ok(ftl_graph_create(&g, "huge", true));
    const ftl_tensor_desc d = vector(1);
    const ftl_attr huge = { .shape = { .rank = 1, .dim = { (int64_t)1 << 60 } } };
    const int32_t x = ftl_graph_input(g, "x", &d);
    int32_t sum = FTL_ADD(g, broadcast, &huge, x);
    for (int i = 0; i < 4; i++)
        sum = FTL_ADD(g, add, NULL, sum, FTL_ADD(g, broadcast, &huge, FTL_ADD(g, neg, NULL, x)));
    ftl_graph_output(g, "y", FTL_ADD(g, neg, NULL, sum));
    const ftl_memplan_options o = { .struct_size = sizeof o };
    ftl_memplan plan;
    assert_fails(FTL_EINVAL, ftl_memplan_init(&plan, g, &o));
    ftl_graph_destroy(g);
}

static void every_failing_allocation_is_reported(void **s)
{
    (void)s;
    ftl_graph *g = random_graph(77);
    const ftl_memplan_options o = { .struct_size = sizeof o, .concat_in_place = true };
    ftl_memplan plan;
    for (uint64_t n = 1;; n++) {
        ftl_alloc_fail_at(n, false);
        const ftl_status status = ftl_memplan_init(&plan, g, &o);
        ftl_alloc_fail_at(0, false);
        ftl_memplan_deinit(&plan);
        if (status == FTL_OK) break;
        assert_int_equal(status, FTL_ENOMEM);
        assert_true(n < 1000);
    }
    ftl_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_run_right_in_the_plan),
        cmocka_unit_test(a_chain_lives_in_one_place),
        cmocka_unit_test(nested_concatenations_are_written_in_place),
        cmocka_unit_test(states_that_change_places_are_refused),
        cmocka_unit_test(a_workspace_that_overflows_is_refused),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return ftl_test_run(tests);
}
