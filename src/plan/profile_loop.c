/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/profile_loop.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"

static const double disturbed_below = 0.9;         /* of the best reference figure */
static const double overtime = 1.25;               /* of the budget, for second looks */
static const double least_s = 0.015, most_s = 0.6; /* for one row */

typedef struct group {
    size_t first, n;      /* rows of the caller's list           */
    double before, after; /* reference                           */
    double took_s;
} group;

typedef struct loop {
    ftl_profile *profile;
    const ftl_profile_runner *runner;
    const ftl_profile_row *rows;
    size_t n_rows, n_groups;
    group *groups;
    double start_s, budget_s;
    double best, worst; /* of the reference */
} loop;

static double passed_s(const loop *l)
{
    return l->runner->now_s(l->runner->context) - l->start_s;
}

static ftl_status look(loop *l, double *figure)
{
    FTL_TRY(ftl_cancel_check());
    FTL_TRY(l->runner->reference(l->runner->context, figure));
    if (*figure > l->best) l->best = *figure;
    if (l->worst <= 0 || *figure < l->worst) l->worst = *figure;
    return FTL_OK;
}

static bool is_disturbed(const loop *l, const group *g)
{
    return g->before < disturbed_below * l->best || g->after < disturbed_below * l->best;
}

/* A disturbance only slows, so of two looks the faster one counts. */
static bool is_better(const ftl_profile_row *fresh, const ftl_profile_row *old)
{
    return ftl_profile_is_rate(fresh->kind) ? fresh->median > old->median
                                            : fresh->median < old->median;
}

/* One row.  is_again: an earlier figure is there, and the better one stays. */
static ftl_status measure_row(loop *l, const ftl_profile_row *wanted, double seconds, bool is_again)
{
    ftl_profile_row row = *wanted;
    FTL_TRY(ftl_cancel_check());
    const ftl_status s = l->runner->measure(l->runner->context, &row, seconds);
    if (s == FTL_EUNSUPPORTED) return FTL_OK;
    if (s != FTL_OK) return s;
    const ftl_profile_row *old = is_again ? ftl_profile_get(l->profile, &row) : NULL;
    if (old && !is_better(&row, old)) return FTL_OK;
    return ftl_profile_put(l->profile, &row);
}

static double share_for(const loop *l, size_t rows_left)
{
    const double each = (l->budget_s - passed_s(l)) / (double)(rows_left ? rows_left : 1);
    return each < least_s ? least_s : each > most_s ? most_s : each;
}

static void tell(const loop *l, size_t row)
{
    char text[64], what[128];
    if (!l->runner->progress) return;
    const ftl_profile_row *r = &l->rows[row];
    snprintf(what, sizeof what, "%s %s", ftl_profile_kind_name(r->kind),
             ftl_profile_row_text(text, sizeof text, r));
    const double share = (double)row / (double)l->n_rows, time = passed_s(l) / l->budget_s;
    l->runner->progress(l->runner->user, share > time || time > 1 ? share : time, what);
}

static ftl_status measure_group(loop *l, group *g, bool is_again)
{
    const double start = passed_s(l);
    size_t done = 0;
    for (; done < g->n; done++) {
        if (!is_again && l->n_groups > 0 && passed_s(l) > l->budget_s) break;
        tell(l, g->first + done);
        FTL_TRY(measure_row(l, &l->rows[g->first + done], share_for(l, l->n_rows - g->first - done),
                            is_again));
    }
    g->n = done;
    g->took_s = passed_s(l) - start;
    return look(l, &g->after);
}

static ftl_status run_groups(loop *l)
{
    double before;
    FTL_TRY(look(l, &before));
    for (size_t first = 0; first < l->n_rows && (l->n_groups == 0 || passed_s(l) < l->budget_s);
         first += FTL_LOOP_GROUP) {
        group *g = &l->groups[l->n_groups];
        const size_t left = l->n_rows - first;
        *g = (group){ .first = first,
                      .n = left < FTL_LOOP_GROUP ? left : FTL_LOOP_GROUP,
                      .before = before };
        FTL_TRY(measure_group(l, g, false));
        before = g->after;
        l->n_groups++;
    }
    return FTL_OK;
}

/* Second looks come last, so that a busy machine shortens none of the list. */
static ftl_status repeat_disturbed(loop *l)
{
    for (size_t i = 0; i < l->n_groups; i++) {
        group *g = &l->groups[i];
        if (!is_disturbed(l, g) || passed_s(l) + g->took_s > l->budget_s * overtime) continue;
        FTL_TRY(look(l, &g->before));
        FTL_TRY(measure_group(l, g, true));
    }
    return FTL_OK;
}

static void mark_disturbed(loop *l)
{
    for (size_t i = 0; i < l->n_groups; i++) {
        const group *g = &l->groups[i];
        if (!is_disturbed(l, g)) continue;
        for (size_t k = 0; k < g->n; k++)
            for (size_t r = 0; r < l->profile->n_rows; r++)
                if (ftl_profile_is_same(&l->profile->rows[r], &l->rows[g->first + k])) {
                    l->profile->rows[r].flags |= FTL_PROFILE_DISTURBED;
                    l->profile->is_disturbed = true;
                }
    }
    if (l->best > 0) l->profile->drift = 1 - l->worst / l->best;
}

/* Would a better figure of `row` clear a fault of `faulty`? */
static bool is_ceiling_of(const ftl_profile_row *row, const ftl_profile_row *faulty)
{
    if (row->threads != faulty->threads) return false;
    if (faulty->kind == FTL_PROFILE_GEMM || faulty->kind == FTL_PROFILE_CONV)
        return row->kind == FTL_PROFILE_PEAK;
    if (faulty->kind == FTL_PROFILE_STREAM)
        return row->kind == FTL_PROFILE_READ || row->kind == FTL_PROFILE_COPY;
    return row->kind == faulty->kind && strcmp(row->name, "memory") != 0;
}

/* A ceiling that was measured too low looks like a fault of what lies below it: both once more. */
static ftl_status look_again(loop *l)
{
    if (ftl_profile_check_floor(l->profile) == 0) return FTL_OK;
    for (size_t i = 0; i < l->profile->n_rows; i++) {
        const ftl_profile_row row = l->profile->rows[i];
        bool helps = (row.flags & FTL_PROFILE_FAULT) != 0;
        for (size_t k = 0; k < l->profile->n_rows && !helps; k++)
            helps = (l->profile->rows[k].flags & FTL_PROFILE_FAULT) != 0 &&
                    is_ceiling_of(&row, &l->profile->rows[k]);
        if (!helps || passed_s(l) > l->budget_s * overtime) continue;
        /* Of the faulty one the new figure counts, of a ceiling the better one. */
        FTL_TRY(measure_row(l, &row, least_s * 2, !(row.flags & FTL_PROFILE_FAULT)));
    }
    ftl_profile_check_floor(l->profile);
    return FTL_OK;
}

ftl_status ftl_profile_loop(ftl_profile *profile, const ftl_profile_runner *runner,
                            const ftl_profile_row *rows, size_t n, double seconds)
{
    loop l = { .profile = profile,
               .runner = runner,
               .rows = rows,
               .n_rows = n,
               .budget_s = seconds,
               .start_s = runner->now_s(runner->context) };
    l.groups = ftl_calloc(n / FTL_LOOP_GROUP + 1, sizeof *l.groups);
    if (!l.groups) return ftl_fail(FTL_ENOMEM, "no memory to measure %zu figures", n);
    ftl_status s = run_groups(&l);
    if (s == FTL_OK) s = repeat_disturbed(&l);
    if (s == FTL_OK) s = look_again(&l);
    if (s == FTL_OK) mark_disturbed(&l);
    ftl_free(l.groups);
    return s;
}
