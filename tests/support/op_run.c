/* SPDX-License-Identifier: Apache-2.0 */
/* One case of op_cases.h on one device: build, fill, judge, run, compare. */
#include "support/op_cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "core/eval.h"
#include "core/op.h"

enum { MOST_OUTPUTS = 3 };

/* Host arrays of one case. */
typedef struct op_run {
    ftl_op_build build;
    void *in[FTL_OP_CASE_SOURCES], *wide_in[FTL_OP_CASE_SOURCES]; /* as they are, and in f64 */
    double *want[MOST_OUTPUTS];
    void *got[MOST_OUTPUTS];
    ftl_graph *legal;
    ftl_queue *queue;
    ftl_program *program;
    ftl_buffer *cells[FTL_OP_CASE_SOURCES], *results[MOST_OUTPUTS];
} op_run;

static ftl_dtype wide_of(ftl_dtype dtype)
{
    return ftl_dtype_is_float(dtype) ? FTL_DTYPE_F64 : dtype;
}

static void *array_of(const ftl_tensor_desc *desc, ftl_dtype dtype)
{
    return ftl_calloc((size_t)ftl_desc_count_checked(desc) + 1, ftl_dtype_bytes(dtype));
}

static void fill(void *data, const ftl_tensor_desc *desc, const ftl_op_fill *how, uint64_t id)
{
    const int64_t n = ftl_desc_count_checked(desc);
    for (int64_t i = 0; i < n; i++) {
        float uniform;
        ftl_rng_fill_uniform_f32((ftl_rng){ 7, id }, (uint64_t)i, &uniform, 1, 0, 1);
        double value = how->values ? how->values[i % how->n_values]
                                   : how->low + (how->high - how->low) * (double)uniform;
        if (!how->values && !ftl_dtype_is_float(desc->dtype)) value = floor(value);
        ftl_element_set(desc->dtype, data, i, value);
    }
}

static ftl_status build_and_fill(op_run *r, const ftl_op_case *of)
{
    r->build.of = of;
    FTL_TRY(ftl_graph_create(&r->build.graph, of->name, true));
    of->build(&r->build);
    FTL_TRY(ftl_graph_status(r->build.graph));
    FTL_TRY(ftl_graph_check(r->build.graph));
    const ftl_graph_view *v = ftl_graph_get_view(r->build.graph);
    if (v->n_sources > FTL_OP_CASE_SOURCES || v->n_outputs > MOST_OUTPUTS)
        return ftl_fail(FTL_EINTERNAL, "a case of too many tensors");
    for (int32_t i = 0; i < v->n_sources; i++) {
        const ftl_tensor_desc *d = &v->tensors[v->sources[i]].desc;
        r->in[i] = array_of(d, d->dtype);
        r->wide_in[i] = array_of(d, wide_of(d->dtype));
        if (!r->in[i] || !r->wide_in[i]) return ftl_fail(FTL_ENOMEM, "no memory for a case");
        fill(r->in[i], d, &r->build.fill[i], (uint64_t)i);
        ftl_elements_convert(wide_of(d->dtype), r->wide_in[i], d->dtype, r->in[i],
                             ftl_desc_count_checked(d));
    }
    return FTL_OK;
}

/* The exact results, rounded to the output's type and kept as doubles; integers as they are. */
static ftl_status judge(op_run *r)
{
    const ftl_graph_view *v = ftl_graph_get_view(r->build.graph);
    ftl_graph *wide;
    FTL_TRY(ftl_graph_widen(&wide, r->build.graph));
    for (int32_t i = 0; i < v->n_outputs; i++) {
        const ftl_tensor_desc *d = &v->tensors[v->outputs[i].tensor].desc;
        r->want[i] = array_of(d, FTL_DTYPE_F64); /* 8 bytes an element hold any type */
        r->got[i] = array_of(d, FTL_DTYPE_F64);
        if (!r->want[i] || !r->got[i]) {
            ftl_graph_destroy(wide);
            return ftl_fail(FTL_ENOMEM, "no memory for a case");
        }
    }
    const ftl_status s =
        ftl_eval_graph(wide, (const void *const *)r->wide_in, (void *const *)r->want);
    ftl_graph_destroy(wide);
    return s;
}

static ftl_status run_on(op_run *r, ftl_device *device)
{
    FTL_TRY(ftl_device_legalize(&r->legal, device, r->build.graph));
    FTL_TRY(ftl_queue_create(&r->queue, device, 2));
    const ftl_compile_options options = { .struct_size = sizeof options,
                                          .n_threads = ftl_queue_threads(r->queue) };
    FTL_TRY(ftl_program_compile(&r->program, device, r->legal, &options));
    ftl_program_info info;
    FTL_TRY(ftl_program_get_info(r->program, &info));
    const ftl_graph_view *v = ftl_graph_get_view(r->legal);
    for (int32_t i = 0; i < v->n_sources; i++) {
        int32_t layout;
        size_t bytes;
        FTL_TRY(ftl_program_weight_layout(r->program, (uint32_t)i, &layout, &bytes));
        FTL_TRY(ftl_buffer_pack(&r->cells[i], r->queue, layout, r->in[i],
                                &v->tensors[v->sources[i]].desc));
    }
    for (int32_t i = 0; i < v->n_outputs; i++)
        FTL_TRY(ftl_buffer_create(&r->results[i], device, &v->tensors[v->outputs[i].tensor].desc));
    ftl_buffer *workspace = NULL;
    const ftl_tensor_desc room = { FTL_DTYPE_U8, 1, { (int64_t)info.workspace_bytes } };
    if (info.workspace_bytes) FTL_TRY(ftl_buffer_create(&workspace, device, &room));
    const ftl_run_args args = { .struct_size = sizeof args,
                                .inputs = r->cells,
                                .outputs = r->results,
                                .workspace = workspace };
    ftl_status s = ftl_program_run(r->program, r->queue, &args, NULL);
    ftl_buffer_destroy(workspace);
    for (int32_t i = 0; s == FTL_OK && i < v->n_outputs; i++)
        s = ftl_buffer_download(r->queue, r->results[i], r->got[i], r->results[i]->bytes);
    return s;
}

/* What a computation of that type may be off by, relative to max(1, |want|): f32 some roundings,
 * f16 and bf16 two roundings of the result. */
static double default_tolerance(ftl_dtype dtype)
{
    switch (dtype) {
    case FTL_DTYPE_F64: return 1e-12;
    case FTL_DTYPE_F16: return 2e-3;
    case FTL_DTYPE_BF16: return 1.6e-2;
    default: return 4e-6;
    }
}

static bool is_close(double got, double want, double tolerance)
{
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got);
    if (got == want) return true;
    return fabs(got - want) <= tolerance * fmax(1, fabs(want));
}

/* 0: close.  want: f64 for floats, else the type itself. */
static int compare(const op_run *r, int32_t output)
{
    const ftl_op_case *of = r->build.of;
    const ftl_graph_view *v = ftl_graph_get_view(r->build.graph);
    const ftl_tensor_desc *d = &v->tensors[v->outputs[output].tensor].desc;
    const int64_t n = ftl_desc_count_checked(d);
    const size_t bytes = ftl_dtype_bytes(d->dtype);
    const bool is_float = ftl_dtype_is_float(d->dtype);
    const double tolerance = of->tolerance > 0 ? of->tolerance : default_tolerance(d->dtype);
    for (int64_t i = 0; i < n; i++) {
        const char *got_at = (const char *)r->got[output] + (size_t)i * bytes;
        const char *want_at = (const char *)r->want[output] + (size_t)i * bytes;
        const double got = ftl_element_get(d->dtype, got_at, 0);
        double want = is_float ? r->want[output][i] : ftl_element_get(d->dtype, want_at, 0);
        if (is_float) {
            uint64_t rounded = 0;
            ftl_element_set(d->dtype, &rounded, 0, want);
            want = ftl_element_get(d->dtype, &rounded, 0);
        }
        if (is_float ? is_close(got, want, tolerance) : memcmp(got_at, want_at, bytes) == 0)
            continue;
        printf("# %s, output %d, element %lld of %lld: got %.9g, want %.9g, allowed %.3g\n",
               of->name, (int)output, (long long)i, (long long)n, got, want,
               is_float ? tolerance * fmax(1, fabs(want)) : 0);
        return 1;
    }
    return 0;
}

static void deinit(op_run *r)
{
    for (int i = 0; i < FTL_OP_CASE_SOURCES; i++) {
        ftl_free(r->in[i]);
        ftl_free(r->wide_in[i]);
        ftl_buffer_destroy(r->cells[i]);
    }
    for (int i = 0; i < MOST_OUTPUTS; i++) {
        ftl_free(r->want[i]);
        ftl_free(r->got[i]);
        ftl_buffer_destroy(r->results[i]);
    }
    ftl_program_destroy(r->program);
    ftl_queue_destroy(r->queue);
    ftl_graph_destroy(r->legal);
    ftl_graph_destroy(r->build.graph);
}

int ftl_op_case_check(ftl_device *device, const ftl_op_case *of)
{
    op_run r = { .queue = NULL };
    ftl_status s = build_and_fill(&r, of);
    if (s == FTL_OK) s = judge(&r);
    if (s == FTL_OK) s = run_on(&r, device);
    int failed = 0;
    if (s != FTL_OK) {
        printf("# %s: %s\n", of->name, ftl_error_text());
        failed = 1;
    }
    const int32_t n = s == FTL_OK ? ftl_graph_get_view(r.build.graph)->n_outputs : 0;
    for (int32_t i = 0; !failed && i < n; i++) failed = compare(&r, i);
    deinit(&r);
    return failed;
}

ftl_op ftl_op_cases_lack(void)
{
    bool has[FTL_OP_COUNT] = { false };
    for (int32_t i = 0; i < ftl_n_op_cases; i++) has[ftl_op_cases[i].op] = true;
    for (int op = 0; op < FTL_OP_COUNT; op++)
        if (!has[op]) return (ftl_op)op;
    return FTL_OP_COUNT;
}

int ftl_op_cases_main(ftl_device *device)
{
    const char *only = getenv("FETTLE_TEST_CASE"); /* part of a name, for one's own hunting */
    int n = 1, n_failed = 0;
    const ftl_op lacking = ftl_op_cases_lack();
    const bool is_whole = lacking == FTL_OP_COUNT;
    printf("%s 1 - every row has a case%s%s\n", is_whole ? "ok" : "not ok",
           is_whole ? "" : ", but not ", is_whole ? "" : ftl_op_get_info(lacking)->name);
    n_failed += !is_whole;
    for (int32_t i = 0; i < ftl_n_op_cases; i++) {
        if (only && !strstr(ftl_op_cases[i].name, only)) continue;
        const int failed = ftl_op_case_check(device, &ftl_op_cases[i]);
        printf("%s %d - %s\n", failed ? "not ok" : "ok", ++n, ftl_op_cases[i].name);
        fflush(stdout);
        n_failed += failed;
    }
    printf("1..%d\n", n);
    return n_failed ? 1 : 0;
}
