/* SPDX-License-Identifier: Apache-2.0 */
/* Storage by groups: tensors that share bytes (views, results in place, parts of a concatenation)
 * form one group with one lifetime.
 *
 *   group:  [ part a | part b     | part c ]     bytes
 *              ^ offset of a tensor inside its group
 *
 * For an order of the nodes: build the groups, find each one's first write and last read, then
 * place the groups that live in the workspace.  Several orders x several placements are tried. */
#include "core/memplan.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "core/graph_internal.h"

enum { DEFAULT_ALIGNMENT = 64 };

typedef struct group {
    size_t bytes, offset;
    int32_t first, last; /* positions in the order: first write, last read */
    int32_t output;      /* the cell that holds it, or -1: the workspace   */
    bool is_concat;      /* parts of a concatenation: nothing in place on top */
    bool has_output;     /* some output wants a member: nothing in place on top */
} group;

/* One attempt: an order, and what follows from it. */
typedef struct attempt {
    const ftl_graph *graph;
    const ftl_graph_view *v;
    const ftl_memplan_options *o;
    int32_t *order, *position; /* position: of each node */
    int32_t *group_of;         /* of each tensor, -1: a source, a constant, or never needed */
    size_t *inside;            /* offset of each tensor inside its group */
    int32_t *source_of;        /* tensor whose bytes a view of a source shows, or -1 */
    int32_t *last_read;        /* of each tensor alone, position or -1 */
    bool *is_output;           /* some output wants the tensor */
    group *groups;             /* one a tensor at most, then one a node for scratch */
    int32_t n_groups;
    ftl_memplan_copy *copies;
    int32_t n_copies;
    size_t workspace, lower_bound;
} attempt;

static size_t align_up(size_t bytes, size_t alignment)
{
    return bytes > SIZE_MAX - alignment ? SIZE_MAX
                                        : (bytes + alignment - 1) / alignment * alignment;
}

static bool is_view(const ftl_node *n)
{
    return n->op == FTL_OP_reshape;
}

static size_t bytes_of(const attempt *a, int32_t tensor)
{
    return ftl_desc_bytes_checked(&a->v->tensors[tensor].desc);
}

static int32_t new_group(attempt *a, size_t bytes, int32_t first)
{
    /* first INT32_MAX: no member has joined yet */
    const int32_t last = first == INT32_MAX ? -1 : first;
    a->groups[a->n_groups] = (group){ .bytes = bytes, .first = first, .last = last, .output = -1 };
    return a->n_groups++;
}

/* ---- which tensors share bytes ------------------------------------------------------------- */

/* Inputs of concatenations whose leading axes are 1 get a place inside the output.  Walks from the
 * last concatenation back, so that nested ones end in one group. */
static void group_concats(attempt *a)
{
    for (int32_t p = a->v->n_nodes - 1; p >= 0; p--) {
        const ftl_node *n = &a->v->nodes[a->order[p]];
        if (n->op != FTL_OP_concat || !a->o->concat_in_place) continue;
        const int32_t out = n->out[0];
        const ftl_tensor_desc *d = &a->v->tensors[out].desc;
        if (ftl_desc_span(d, 0, n->attr.axis.axis) != 1) continue;
        if (a->group_of[out] < 0) a->group_of[out] = new_group(a, bytes_of(a, out), INT32_MAX);
        a->groups[a->group_of[out]].is_concat = true;
        size_t at = a->inside[out];
        for (int32_t i = 0; i < n->n_in; i++) {
            const int32_t t = n->in[i];
            const ftl_tensor *x = &a->v->tensors[t];
            const bool is_own = x->producer >= 0 && a->group_of[t] < 0 && !a->is_output[t] &&
                                !is_view(&a->v->nodes[x->producer]) && bytes_of(a, t) > 0;
            if (is_own) {
                a->group_of[t] = a->group_of[out];
                a->inside[t] = at;
            }
            at += bytes_of(a, t);
        }
    }
}

/* The input whose bytes output `o` may take over: dead after this node, alone in its group. */
static int32_t find_in_place(const attempt *a, const ftl_node *n, int32_t o, int32_t p)
{
    if (!a->o->may_overwrite || a->is_output[n->out[o]]) return -1;
    for (int32_t i = 0; i < n->n_in; i++) {
        const int32_t t = n->in[i];
        if (t < 0 || a->group_of[t] < 0 || a->inside[t] != 0) continue;
        const group *g = &a->groups[a->group_of[t]];
        if (g->is_concat || g->has_output || g->last > p) continue;
        bool taken = false; /* by another output of this node */
        for (int32_t k = 0; k < o; k++) taken |= a->group_of[n->out[k]] == a->group_of[t];
        bool twice = false; /* read through another input too: only safe when the node says so */
        for (int32_t k = 0; k < n->n_in; k++)
            twice |= k != i && n->in[k] >= 0 && a->group_of[n->in[k]] == a->group_of[t] &&
                     !a->o->may_overwrite(a->graph, n, o, k);
        if (taken || twice || g->bytes != bytes_of(a, n->out[o])) continue;
        if (a->o->may_overwrite(a->graph, n, o, i)) return t;
    }
    return -1;
}

/* Reads of a view are reads of what it shows: the last read of each tensor, views included. */
static void find_last_reads(attempt *a)
{
    for (int32_t t = 0; t < a->v->n_tensors; t++) a->last_read[t] = -1;
    for (int32_t p = a->v->n_nodes - 1; p >= 0; p--) {
        const ftl_node *n = &a->v->nodes[a->order[p]];
        const int32_t reach =
            is_view(n) && a->last_read[n->out[0]] > p ? a->last_read[n->out[0]] : p;
        for (int32_t i = 0; i < n->n_in; i++)
            if (n->in[i] >= 0 && a->last_read[n->in[i]] < reach) a->last_read[n->in[i]] = reach;
    }
}

static void join(attempt *a, int32_t tensor, int32_t g, size_t inside, int32_t p)
{
    a->group_of[tensor] = g;
    a->inside[tensor] = inside;
    a->groups[g].has_output |= a->is_output[tensor];
    if (a->groups[g].first > p) a->groups[g].first = p;
    if (a->groups[g].last < a->last_read[tensor]) a->groups[g].last = a->last_read[tensor];
    if (a->groups[g].last < p) a->groups[g].last = p;
}

/* One node's outputs into groups.  Outputs of the graph get groups of their own here, so that a
 * later step can move the group into the output's cell. */
static void group_node(attempt *a, int32_t p)
{
    const ftl_node *n = &a->v->nodes[a->order[p]];
    for (int32_t o = 0; o < n->n_out; o++) {
        const int32_t t = n->out[o];
        if (a->group_of[t] >= 0) { /* part of a concatenation */
            join(a, t, a->group_of[t], a->inside[t], p);
            continue;
        }
        if (is_view(n)) {
            const int32_t x = n->in[0];
            if (a->group_of[x] >= 0) {
                join(a, t, a->group_of[x], a->inside[x], p);
                continue;
            }
            const bool is_source = a->v->tensors[x].producer < 0 || a->source_of[x] >= 0;
            if (is_source && !a->is_output[t]) {
                a->source_of[t] = a->source_of[x] >= 0 ? a->source_of[x] : x;
                continue;
            }
        }
        const int32_t x = find_in_place(a, n, o, p);
        join(a, t, x >= 0 ? a->group_of[x] : new_group(a, bytes_of(a, t), p), 0, p);
    }
}

/* ---- outputs ------------------------------------------------------------------------------- */

static int32_t state_of_output(const attempt *a, int32_t output)
{
    for (int32_t i = 0; i < a->v->n_aliases; i++)
        if (a->v->aliases[i].output == output) return a->v->aliases[i].state;
    return -1;
}

/* The source whose bytes a tensor is, through views; else the tensor. */
static int32_t shown_by(const attempt *a, int32_t tensor)
{
    return a->source_of[tensor] >= 0 ? a->source_of[tensor] : tensor;
}

/* May the group be written into the cell of `state` from position `first` on?  Every read of the
 * old value, through views too, must come before, or be the writing node's own, in place. */
static bool may_replace_state(const attempt *a, int32_t state, int32_t first, int32_t tensor)
{
    for (int32_t p = 0; p < a->v->n_nodes; p++) {
        const ftl_node *n = &a->v->nodes[a->order[p]];
        for (int32_t i = 0; i < n->n_in; i++) {
            const int32_t t = n->in[i];
            if (t < 0 || (t != state && a->source_of[t] != state)) continue;
            if (is_view(n) && a->source_of[n->out[0]] == state) continue; /* its readers count */
            if (p < first) continue;
            if (p > first || !a->o->may_overwrite) return false;
            int32_t o = 0;
            while (o < n->n_out && n->out[o] != tensor) o++;
            if (o == n->n_out || !a->o->may_overwrite(a->graph, n, o, i)) return false;
        }
    }
    /* The old value handed out as another output would be overwritten as well. */
    for (int32_t i = 0; i < a->v->n_outputs; i++)
        if (shown_by(a, a->v->outputs[i].tensor) == state) return false;
    return true;
}

/* Copies in an order in which no state is overwritten before it is read. */
static ftl_status order_copies(attempt *a)
{
    for (int32_t done = 0; done < a->n_copies; done++) {
        int32_t pick = -1;
        for (int32_t c = done; pick < 0 && c < a->n_copies; c++) {
            const int32_t state = state_of_output(a, a->copies[c].output);
            bool is_read = false;
            for (int32_t k = done; state >= 0 && k < a->n_copies; k++)
                is_read |= k != c && shown_by(a, a->copies[k].tensor) == state;
            if (!is_read) pick = c;
        }
        if (pick < 0)
            return ftl_fail(FTL_EUNSUPPORTED,
                            "graph \"%s\" hands states round in a circle; put a "
                            "`keep` between",
                            ftl_graph_name(a->graph));
        const ftl_memplan_copy first = a->copies[pick];
        a->copies[pick] = a->copies[done];
        a->copies[done] = first;
    }
    return FTL_OK;
}

/* Gives each output's group to the output's cell where that is possible, else notes a copy. */
static void assign_outputs(attempt *a)
{
    for (int32_t i = 0; i < a->v->n_outputs; i++) {
        const int32_t t = a->v->outputs[i].tensor, state = state_of_output(a, i);
        const int32_t g = a->group_of[t];
        bool direct = g >= 0 && a->groups[g].output < 0 && a->inside[t] == 0 &&
                      a->groups[g].bytes == bytes_of(a, t);
        if (direct && state >= 0) direct = may_replace_state(a, state, a->groups[g].first, t);
        if (direct) a->groups[g].output = i;
        else if (t != state) a->copies[a->n_copies++] = (ftl_memplan_copy){ t, i };
        if (!direct && g >= 0) a->groups[g].last = a->v->n_nodes; /* lives until the copy */
    }
}

/* ---- placement ----------------------------------------------------------------------------- */

static bool in_workspace(const group *g)
{
    return g->output < 0 && g->bytes > 0 && g->first != INT32_MAX;
}

static bool overlap(const group *x, const group *y)
{
    return x->first <= y->last && y->first <= x->last;
}

/* Lowest offset at which group g meets none of the `n` placed ones that live at the same time. */
static size_t lowest_gap(const attempt *a, const int32_t *placed, int32_t n, const group *g,
                         size_t alignment)
{
    size_t at = 0;
    bool moved = true;
    while (moved) { /* every move passes one placed group: ends after n rounds */
        moved = false;
        for (int32_t i = 0; i < n; i++) {
            const group *other = &a->groups[placed[i]];
            if (!overlap(g, other) || at >= other->offset + other->bytes ||
                at + g->bytes <= other->offset)
                continue;
            at = align_up(other->offset + other->bytes, alignment);
            moved = true;
        }
    }
    return at;
}

enum { BY_SIZE, BY_AREA, BY_START, N_RULES };

static bool comes_before(const group *x, const group *y, int rule)
{
    if (rule == BY_START && x->first != y->first) return x->first < y->first;
    if (rule == BY_AREA) {
        const double ax = (double)x->bytes * (x->last - x->first + 1);
        const double ay = (double)y->bytes * (y->last - y->first + 1);
        if (ax > ay || ax < ay) return ax > ay;
    }
    if (x->bytes != y->bytes) return x->bytes > y->bytes;
    return x < y; /* same bits every time */
}

/* Stable insertion into `ranked`; groups are some thousands at most. */
static int32_t rank_groups(const attempt *a, int rule, int32_t *ranked)
{
    int32_t n = 0;
    for (int32_t g = 0; g < a->n_groups; g++) {
        if (!in_workspace(&a->groups[g])) continue;
        int32_t at = n++;
        while (at > 0 && comes_before(&a->groups[g], &a->groups[ranked[at - 1]], rule)) {
            ranked[at] = ranked[at - 1];
            at--;
        }
        ranked[at] = g;
    }
    return n;
}

static size_t place_all(attempt *a, int rule, int32_t *ranked, size_t alignment)
{
    const int32_t n = rank_groups(a, rule, ranked);
    size_t peak = 0;
    for (int32_t i = 0; i < n; i++) {
        group *g = &a->groups[ranked[i]];
        g->offset = lowest_gap(a, ranked, i, g, alignment);
        if (g->offset + g->bytes > peak) peak = g->offset + g->bytes;
    }
    return align_up(peak, alignment);
}

/* All groups one behind the other: when that is a size, no offset of any placement overflows. */
static ftl_status check_total(const attempt *a, size_t alignment)
{
    size_t total = 0;
    for (int32_t g = 0; g < a->n_groups; g++) {
        const size_t bytes = align_up(a->groups[g].bytes, alignment);
        if (in_workspace(&a->groups[g]) && (bytes > PTRDIFF_MAX || total > PTRDIFF_MAX - bytes))
            return ftl_fail(FTL_EINVAL,
                            "graph \"%s\": its results are more than memory can address",
                            ftl_graph_name(a->graph));
        if (in_workspace(&a->groups[g])) total += bytes;
    }
    return FTL_OK;
}

/* Largest sum of the bytes that are live at one position.  come, go: of each position, room for
 * n_nodes + 2, the bytes that live from it on and those that were live until just before it. */
static size_t find_lower_bound(const attempt *a, size_t alignment, size_t *come, size_t *go)
{
    size_t most = 0, live = 0;
    for (int32_t g = 0; g < a->n_groups; g++) {
        if (!in_workspace(&a->groups[g])) continue;
        come[a->groups[g].first] += align_up(a->groups[g].bytes, alignment);
        go[a->groups[g].last + 1] += align_up(a->groups[g].bytes, alignment);
    }
    for (int32_t p = 0; p <= a->v->n_nodes; p++) {
        live = live - go[p] + come[p];
        if (live > most) most = live;
    }
    return most;
}

/* ---- one attempt --------------------------------------------------------------------------- */

static void attempt_deinit(attempt *a)
{
    ftl_free(a->order);
    ftl_free(a->position);
    ftl_free(a->group_of);
    ftl_free(a->inside);
    ftl_free(a->source_of);
    ftl_free(a->last_read);
    ftl_free(a->is_output);
    ftl_free(a->groups);
    ftl_free(a->copies);
}

static ftl_status attempt_init(attempt *a, const ftl_graph *graph, const ftl_memplan_options *o)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    const size_t nodes = (size_t)v->n_nodes + 1, tensors = (size_t)v->n_tensors + 1;
    *a = (attempt){ .graph = graph, .v = v, .o = o };
    a->order = ftl_calloc(nodes, sizeof *a->order);
    a->position = ftl_calloc(nodes, sizeof *a->position);
    a->group_of = ftl_calloc(tensors, sizeof *a->group_of);
    a->inside = ftl_calloc(tensors, sizeof *a->inside);
    a->source_of = ftl_calloc(tensors, sizeof *a->source_of);
    a->last_read = ftl_calloc(tensors, sizeof *a->last_read);
    a->is_output = ftl_calloc(tensors, sizeof *a->is_output);
    a->groups = ftl_calloc(tensors + nodes, sizeof *a->groups);
    a->copies = ftl_calloc((size_t)v->n_outputs + 1, sizeof *a->copies);
    if (a->order && a->position && a->group_of && a->inside && a->source_of && a->last_read &&
        a->is_output && a->groups && a->copies)
        return FTL_OK;
    attempt_deinit(a);
    return ftl_fail(FTL_ENOMEM, "no memory to plan the memory of \"%s\"", ftl_graph_name(graph));
}

/* Tries the rules of placement and leaves the offsets of the best one. */
static ftl_status place_best(attempt *a)
{
    const size_t alignment = a->o->alignment ? a->o->alignment : DEFAULT_ALIGNMENT;
    const size_t positions = (size_t)a->v->n_nodes + 2;
    int32_t *ranked = ftl_calloc((size_t)a->n_groups + 1, sizeof *ranked);
    size_t *flow = ftl_calloc(2 * positions, sizeof *flow);
    ftl_status s = ranked && flow ? check_total(a, alignment)
                                  : ftl_fail(FTL_ENOMEM, "no memory to plan memory");
    if (s == FTL_OK) {
        a->lower_bound = find_lower_bound(a, alignment, flow, flow + positions);
        size_t best = SIZE_MAX, last = 0;
        int best_rule = 0, last_rule = 0;
        for (int rule = 0; rule < N_RULES && best > a->lower_bound; rule++) {
            last = place_all(a, rule, ranked, alignment);
            last_rule = rule;
            if (last >= best) continue;
            best = last;
            best_rule = rule;
        }
        a->workspace = best_rule == last_rule ? last : place_all(a, best_rule, ranked, alignment);
    }
    ftl_free(ranked);
    ftl_free(flow);
    return s;
}

/* Groups, lifetimes and placement for the order that a->order holds. */
static ftl_status attempt_run(attempt *a, int32_t *scratch_group)
{
    const ftl_graph_view *v = a->v;
    for (int32_t p = 0; p < v->n_nodes; p++) a->position[a->order[p]] = p;
    for (int32_t t = 0; t < v->n_tensors; t++) a->group_of[t] = a->source_of[t] = -1;
    for (int32_t i = 0; i < v->n_outputs; i++) a->is_output[v->outputs[i].tensor] = true;
    find_last_reads(a);
    group_concats(a);
    for (int32_t p = 0; p < v->n_nodes; p++) group_node(a, p);
    assign_outputs(a);
    FTL_TRY(order_copies(a));
    for (int32_t n = 0; n < v->n_nodes; n++) {
        const size_t bytes = a->o->scratch_bytes ? a->o->scratch_bytes(a->o->arg, a->graph, n) : 0;
        scratch_group[n] = new_group(a, bytes, a->position[n]);
    }
    return place_best(a);
}

/* ---- orders -------------------------------------------------------------------------------- */

static void given_order(attempt *a)
{
    for (int32_t p = 0; p < a->v->n_nodes; p++) a->order[p] = p;
}

/* Bytes that come alive less those that die when the node runs now. */
static double growth_of(const attempt *a, const ftl_node *n, const int32_t *uses)
{
    double change = 0;
    for (int32_t o = 0; o < n->n_out; o++) change += (double)bytes_of(a, n->out[o]);
    for (int32_t i = 0; i < n->n_in; i++) {
        const int32_t t = n->in[i];
        if (t >= 0 && a->v->tensors[t].producer >= 0 && uses[t] == 1)
            change -= (double)bytes_of(a, t);
    }
    return change;
}

/* How many inputs of the node the given producer writes; -1: any producer. */
static int32_t count_produced(const attempt *a, const ftl_node *n, int32_t producer)
{
    int32_t count = 0;
    for (int32_t i = 0; i < n->n_in; i++) {
        const int32_t from = n->in[i] >= 0 ? a->v->tensors[n->in[i]].producer : -1;
        count += from >= 0 && (producer < 0 || from == producer);
    }
    return count;
}

/* Of the nodes that wait for nothing, the one that leaves the fewest bytes alive. */
static int32_t pick_ready(const attempt *a, const int32_t *waits, const int32_t *uses)
{
    int32_t pick = -1;
    double least = 0;
    for (int32_t n = 0; n < a->v->n_nodes; n++) {
        if (waits[n] != 0) continue;
        const double change = growth_of(a, &a->v->nodes[n], uses);
        if (pick >= 0 && change >= least) continue;
        pick = n;
        least = change;
    }
    return pick;
}

/* List scheduling. */
static ftl_status thrifty_order(attempt *a)
{
    const ftl_graph_view *v = a->v;
    int32_t *waits = ftl_calloc((size_t)v->n_nodes + 1, sizeof *waits), *uses = NULL;
    ftl_status s = ftl_graph_count_uses(&uses, a->graph);
    if (s == FTL_OK && !waits) s = ftl_fail(FTL_ENOMEM, "no memory to order nodes");
    for (int32_t n = 0; s == FTL_OK && n < v->n_nodes; n++)
        waits[n] = count_produced(a, &v->nodes[n], -1);
    for (int32_t p = 0; s == FTL_OK && p < v->n_nodes; p++) {
        const int32_t pick = pick_ready(a, waits, uses);
        assert(pick >= 0);
        a->order[p] = pick;
        waits[pick] = -1;
        for (int32_t i = 0; i < v->nodes[pick].n_in; i++)
            if (v->nodes[pick].in[i] >= 0) uses[v->nodes[pick].in[i]]--;
        for (int32_t n = 0; n < v->n_nodes; n++)
            if (waits[n] > 0) waits[n] -= count_produced(a, &v->nodes[n], pick);
    }
    ftl_free(waits);
    ftl_free(uses);
    return s;
}

/* ---- the result ---------------------------------------------------------------------------- */

static ftl_place place_of(const attempt *a, int32_t t)
{
    const int32_t g = a->group_of[t], shown = shown_by(a, t);
    if (g >= 0 && a->groups[g].output >= 0)
        return (ftl_place){ FTL_PLACE_OUTPUT, a->groups[g].output, a->inside[t] };
    if (g >= 0) return (ftl_place){ FTL_PLACE_WORKSPACE, 0, a->groups[g].offset + a->inside[t] };
    if (a->v->tensors[shown].producer >= 0) return (ftl_place){ FTL_PLACE_NONE, 0, 0 };
    /* index: the tensor that is shown, a source or a constant */
    return (ftl_place){ FTL_PLACE_SOURCE, shown, 0 };
}

static bool node_is_elided(const attempt *a, const ftl_node *n)
{
    if (is_view(n)) return a->source_of[n->out[0]] >= 0 || a->group_of[n->in[0]] >= 0;
    if (n->op != FTL_OP_concat) return false;
    const int32_t out = n->out[0];
    size_t at = a->inside[out];
    for (int32_t i = 0; i < n->n_in; i++) {
        if (a->group_of[n->in[i]] != a->group_of[out] || a->inside[n->in[i]] != at) return false;
        at += bytes_of(a, n->in[i]);
    }
    return ftl_desc_span(&a->v->tensors[out].desc, 0, n->attr.axis.axis) == 1;
}

static ftl_status take_result(ftl_memplan *plan, const attempt *a, const int32_t *scratch_group)
{
    const ftl_graph_view *v = a->v;
    ftl_memplan_deinit(plan);
    plan->n_tensors = v->n_tensors;
    plan->n_nodes = v->n_nodes;
    plan->n_copies = a->n_copies;
    plan->order = ftl_arena_array(&plan->arena, (size_t)v->n_nodes + 1, sizeof *plan->order);
    plan->place = ftl_arena_array(&plan->arena, (size_t)v->n_tensors + 1, sizeof *plan->place);
    plan->scratch_offset =
        ftl_arena_array(&plan->arena, (size_t)v->n_nodes + 1, sizeof *plan->scratch_offset);
    plan->is_elided =
        ftl_arena_array(&plan->arena, (size_t)v->n_nodes + 1, sizeof *plan->is_elided);
    plan->copies = ftl_arena_array(&plan->arena, (size_t)a->n_copies + 1, sizeof *plan->copies);
    if (!plan->order || !plan->place || !plan->scratch_offset || !plan->is_elided ||
        !plan->copies) {
        ftl_memplan_deinit(plan);
        return ftl_fail(FTL_ENOMEM, "no memory to keep a memory plan");
    }
    memcpy(plan->order, a->order, (size_t)v->n_nodes * sizeof *plan->order);
    memcpy(plan->copies, a->copies, (size_t)a->n_copies * sizeof *plan->copies);
    for (int32_t t = 0; t < v->n_tensors; t++) plan->place[t] = place_of(a, t);
    for (int32_t n = 0; n < v->n_nodes; n++) {
        plan->scratch_offset[n] = a->groups[scratch_group[n]].offset;
        plan->is_elided[n] = node_is_elided(a, &v->nodes[n]);
    }
    plan->workspace_bytes = a->workspace;
    plan->lower_bound_bytes = a->lower_bound;
    return FTL_OK;
}

ftl_status ftl_memplan_init(ftl_memplan *plan, const ftl_graph *graph,
                            const ftl_memplan_options *options)
{
    *plan = (ftl_memplan){ 0 };
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    if (!v->is_bound)
        return ftl_fail(FTL_EINVAL, "graph \"%s\" is not bound", ftl_graph_name(graph));
    int32_t *scratch_group = ftl_calloc((size_t)v->n_nodes + 1, sizeof *scratch_group);
    if (!scratch_group) return ftl_fail(FTL_ENOMEM, "no memory to plan memory");
    size_t best = SIZE_MAX;
    ftl_status s = FTL_OK;
    /* With state, reads of an old value must stay before its replacement: the given order. */
    const int n_orders = v->n_aliases > 0 || v->n_nodes > 2000 ? 1 : 2;
    for (int k = 0; s == FTL_OK && k < n_orders; k++) {
        attempt a;
        s = attempt_init(&a, graph, options);
        if (s != FTL_OK) break;
        given_order(&a);
        if (k == 1) s = thrifty_order(&a);
        if (s == FTL_OK) s = attempt_run(&a, scratch_group);
        if (s == FTL_OK && a.workspace < best) {
            best = a.workspace;
            s = take_result(plan, &a, scratch_group);
        }
        attempt_deinit(&a);
    }
    if (s != FTL_OK) ftl_memplan_deinit(plan);
    ftl_free(scratch_group);
    return s;
}

void ftl_memplan_deinit(ftl_memplan *plan)
{
    if (!plan) return;
    ftl_arena_deinit(&plan->arena);
    *plan = (ftl_memplan){ 0 };
}
