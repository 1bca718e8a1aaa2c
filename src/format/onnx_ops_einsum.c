/* SPDX-License-Identifier: Apache-2.0 */
/* Einsum: operands are joined from left to right, each pair by transposing to
 * [batch, free, summed] x [batch, summed, free] and one matmul.  An axis of "..." is a label like
 * any other.  A label twice in one operand (a diagonal) is refused. */
#include <string.h>

#include "format/onnx_op.h"

enum {
    ELLIPSIS = 52, /* labels 0-51 are letters; ELLIPSIS + i: axis i of "...", counted from behind */
    LABELS = ELLIPSIS + FTL_MAX_RANK
};

typedef struct term {
    int32_t tensor, n;
    int32_t label[FTL_MAX_RANK];
} term;

typedef struct einsum {
    ftl_onnx_call *call;
    int64_t dim[LABELS]; /* -1: not met yet */
    int32_t count[LABELS];
    int32_t ellipsis; /* most axes that any "..." stands for */
} einsum;

static int32_t refuse_equation(ftl_onnx_call *c, const char *why)
{
    return ftl_onnx_refuse(c, FTL_EUNSUPPORTED, "equation \"%.80s\": %s",
                           ftl_onnx_attr_text(c, "equation", ""), why);
}

static int32_t letter(char ch)
{
    if (ch >= 'a' && ch <= 'z') return ch - 'a';
    return ch >= 'A' && ch <= 'Z' ? ch - 'A' + 26 : -1;
}

static bool has_label(const term *t, int32_t label)
{
    for (int32_t i = 0; i < t->n; i++)
        if (t->label[i] == label) return true;
    return false;
}

static bool push(einsum *e, term *t, int32_t label)
{
    if (t->n == FTL_MAX_RANK || has_label(t, label)) {
        refuse_equation(e->call, "a label stands twice in one place, or there are over 8");
        return false;
    }
    t->label[t->n++] = label;
    return true;
}

/* Labels of one operand or of the result up to ',' or '-' or the end; ellipsis_axes: how many axes
 * "..." stands for.  Returns where it ended, NULL after a refusal. */
static const char *read_labels(einsum *e, const char *text, int32_t ellipsis_axes, term *t)
{
    for (; *text && *text != ',' && *text != '-'; text++) {
        if (*text == ' ') continue;
        if (strncmp(text, "...", 3) == 0) {
            for (int32_t i = ellipsis_axes - 1; i >= 0; i--)
                if (!push(e, t, ELLIPSIS + i)) return NULL;
            text += 2;
        } else if (letter(*text) < 0) {
            refuse_equation(e->call, "it holds a sign that is no letter");
            return NULL;
        } else if (!push(e, t, letter(*text))) {
            return NULL;
        }
    }
    return text;
}

/* Letters of a term; -1 where it has no "...". */
static int32_t count_letters(const char *text, bool *has_ellipsis)
{
    int32_t n = 0;
    *has_ellipsis = false;
    for (; *text && *text != ',' && *text != '-'; text++) {
        *has_ellipsis |= *text == '.';
        n += letter(*text) >= 0;
    }
    return n;
}

static const char *read_operand(einsum *e, const char *text, size_t input, term *t)
{
    *t = (term){ .tensor = ftl_onnx_in(e->call, input) };
    const ftl_tensor_desc d = ftl_emit_desc(e->call->g, t->tensor);
    bool has_ellipsis;
    const int32_t axes = d.rank - count_letters(text, &has_ellipsis);
    if (has_ellipsis && axes > e->ellipsis) e->ellipsis = axes;
    text = read_labels(e, text, has_ellipsis ? axes : 0, t);
    if (!text) return NULL;
    if (t->n != d.rank) {
        refuse_equation(e->call, "its labels are not as many as an operand's axes");
        return NULL;
    }
    for (int32_t i = 0; i < t->n; i++) {
        int64_t *dim = &e->dim[t->label[i]];
        if (*dim >= 0 && *dim != d.dim[i]) {
            refuse_equation(e->call, "one label stands for axes of different length");
            return NULL;
        }
        *dim = d.dim[i];
        e->count[t->label[i]]++;
    }
    return text;
}

/* What follows "->", or where that is left out: "..." and the labels that stand once, sorted as
 * letters are in ASCII. */
static bool read_result(einsum *e, const char *text, term *out)
{
    *out = (term){ .tensor = -1 };
    if (text[0] == '-') {
        if (text[1] != '>') return refuse_equation(e->call, "\"-\" without \">\"") >= 0;
        text = read_labels(e, text + 2, e->ellipsis, out);
        if (!text) return false;
        if (*text) return refuse_equation(e->call, "something follows its result") >= 0;
        for (int32_t i = 0; i < out->n; i++)
            if (e->dim[out->label[i]] < 0)
                return refuse_equation(e->call, "its result has a label that no operand has") >= 0;
        return true;
    }
    for (int32_t i = e->ellipsis - 1; i >= 0; i--)
        if (!push(e, out, ELLIPSIS + i)) return false;
    for (int32_t i = 0; i < ELLIPSIS; i++) {
        const int32_t label = (i + 26) % ELLIPSIS; /* capitals come first */
        if (e->count[label] == 1 && !push(e, out, label)) return false;
    }
    return true;
}

/* ---- emitting ------------------------------------------------------------------------------ */

/* Sums over the axes whose label is not wanted. */
static void sum_out(einsum *e, term *t, const bool *wanted)
{
    uint32_t axes = 0;
    term kept = { .tensor = t->tensor };
    for (int32_t i = 0; i < t->n; i++) {
        if (wanted[t->label[i]]) kept.label[kept.n++] = t->label[i];
        else axes |= 1u << i;
    }
    if (axes) kept.tensor = ftl_emit_reduce(e->call->g, FTL_OP_reduce_sum, t->tensor, axes, 0);
    *t = kept;
}

static void transpose_to(einsum *e, term *t, const term *order)
{
    int32_t perm[FTL_MAX_RANK] = { 0 };
    for (int32_t i = 0; i < order->n; i++)
        for (int32_t k = 0; k < t->n; k++)
            if (t->label[k] == order->label[i]) perm[i] = k;
    t->tensor = ftl_emit_transpose(e->call->g, t->tensor, perm);
    memcpy(t->label, order->label, sizeof t->label);
}

static int64_t size_of(einsum *e, const term *t)
{
    ftl_tensor_desc d = { .rank = t->n };
    for (int32_t i = 0; i < t->n; i++) d.dim[i] = e->dim[t->label[i]];
    return ftl_onnx_product(e->call, &d, 0, d.rank);
}

/* The labels of t that `other` has or has not, and that are wanted or are not. */
static term pick(const term *t, const term *other, bool in_other, const bool *wanted,
                 bool is_wanted)
{
    term out = { .tensor = -1 };
    for (int32_t i = 0; i < t->n; i++)
        if (has_label(other, t->label[i]) == in_other && wanted[t->label[i]] == is_wanted)
            out.label[out.n++] = t->label[i];
    return out;
}

static bool append(einsum *e, term *to, const term *more)
{
    for (int32_t i = 0; i < more->n; i++)
        if (!push(e, to, more->label[i])) return false;
    return true;
}

/* a <- a x b, summed over what neither the result nor a later operand wants. */
static bool contract(einsum *e, term *a, term *b, const bool *wanted)
{
    ftl_graph *g = e->call->g;
    const term batch = pick(a, b, true, wanted, true), summed = pick(a, b, true, wanted, false);
    bool kept[LABELS];
    for (int32_t i = 0; i < LABELS; i++) kept[i] = wanted[i] || has_label(&summed, i);
    sum_out(e, a, kept);
    sum_out(e, b, kept);
    const term free_a = pick(a, b, false, wanted, true), free_b = pick(b, a, false, wanted, true);
    term order_a = batch, order_b = batch, result = batch;
    if (!append(e, &order_a, &free_a) || !append(e, &order_a, &summed) ||
        !append(e, &order_b, &summed) || !append(e, &order_b, &free_b) ||
        !append(e, &result, &free_a) || !append(e, &result, &free_b))
        return false;
    transpose_to(e, a, &order_a);
    transpose_to(e, b, &order_b);
    const int64_t n = size_of(e, &batch), m = size_of(e, &free_a), k = size_of(e, &summed),
                  cols = size_of(e, &free_b);
    const int32_t skip = batch.n == 0; /* two axes: a product with a weight can be recognised */
    const int64_t dim_a[3] = { n, m, k }, dim_b[3] = { n, k, cols };
    const int32_t left = ftl_emit_reshape(g, a->tensor, 3 - skip, dim_a + skip),
                  right = ftl_emit_reshape(g, b->tensor, 3 - skip, dim_b + skip);
    int64_t dim[FTL_MAX_RANK];
    for (int32_t i = 0; i < result.n; i++) dim[i] = e->dim[result.label[i]];
    result.tensor = ftl_emit_reshape(g, ftl_emit_matmul(g, left, right, 0, 0), result.n, dim);
    *a = result;
    return true;
}

void ftl_onnx_op_einsum(ftl_onnx_call *c)
{
    const size_t n = c->node->n_inputs;
    const char *text = ftl_onnx_attr_text(c, "equation", "");
    einsum e = { .call = c };
    for (int32_t i = 0; i < LABELS; i++) e.dim[i] = -1;
    term *terms = ftl_onnx_scratch(c, (int64_t)n, sizeof *terms), result;
    if (!terms) return;
    for (size_t i = 0; i < n; i++) {
        text = read_operand(&e, text, i, &terms[i]);
        if (!text) return;
        if ((*text == ',') != (i + 1 < n)) {
            refuse_equation(c, "its operands are not as many as the inputs");
            return;
        }
        text += *text == ',';
    }
    if (!read_result(&e, text, &result)) return;
    for (size_t i = 0; i < n; i++) {
        bool wanted[LABELS];
        for (int32_t label = 0; label < LABELS; label++) {
            wanted[label] = has_label(&result, label);
            for (size_t later = i + 1; later < n; later++)
                wanted[label] |= has_label(&terms[later], label);
        }
        if (i > 0 && !contract(&e, &terms[0], &terms[i], wanted)) return;
        if (i == 0 && n == 1) sum_out(&e, &terms[0], wanted);
    }
    if (terms[0].n != result.n) {
        refuse_equation(c, "its result has a label that no operand has");
        return;
    }
    transpose_to(&e, &terms[0], &result);
    c->out[0] = terms[0].tensor;
}
