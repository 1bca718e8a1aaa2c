/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of a node, each checked for its type and range, and small arithmetic on axes. */
#include <string.h>

#include "format/onnx_op.h"

const ftl_onnx_attr *ftl_onnx_find_attr(const ftl_onnx_call *c, const char *name)
{
    for (size_t i = 0; i < c->node->n_attrs; i++)
        if (strcmp(c->node->attrs[i].name, name) == 0) return &c->node->attrs[i];
    return NULL;
}

/* NULL where it is absent, or of another type, which is refused. */
static const ftl_onnx_attr *typed(ftl_onnx_call *c, const char *name, ftl_onnx_attr_type type)
{
    const ftl_onnx_attr *a = ftl_onnx_find_attr(c, name);
    if (!a || a->type == type) return a;
    ftl_onnx_refuse(c, FTL_EFORMAT, "attribute \"%s\" is of type %d, not %d", name,
                    (int)a->type_number, (int)type);
    return NULL;
}

int64_t ftl_onnx_attr_int(ftl_onnx_call *c, const char *name, int64_t absent)
{
    const ftl_onnx_attr *a = typed(c, name, FTL_ONNX_ATTR_INT);
    return a ? a->i : absent;
}

int32_t ftl_onnx_attr_i32(ftl_onnx_call *c, const char *name, int32_t absent, int32_t min,
                          int32_t max)
{
    const int64_t value = ftl_onnx_attr_int(c, name, absent);
    if (value >= min && value <= max) return (int32_t)value;
    ftl_onnx_refuse(c, FTL_EFORMAT, "attribute \"%s\" is %lld; %d to %d are possible", name,
                    (long long)value, (int)min, (int)max);
    return absent;
}

float ftl_onnx_attr_float(ftl_onnx_call *c, const char *name, float absent)
{
    const ftl_onnx_attr *a = typed(c, name, FTL_ONNX_ATTR_FLOAT);
    return a ? a->f : absent;
}

const char *ftl_onnx_attr_text(ftl_onnx_call *c, const char *name, const char *absent)
{
    const ftl_onnx_attr *a = typed(c, name, FTL_ONNX_ATTR_STRING);
    return a ? a->s : absent;
}

bool ftl_onnx_attr_is(ftl_onnx_call *c, const char *name, const char *absent, const char *text)
{
    return strcmp(ftl_onnx_attr_text(c, name, absent), text) == 0;
}

static bool fits(ftl_onnx_call *c, const ftl_onnx_attr *a, int32_t max)
{
    if (a->n <= (size_t)max) return true;
    ftl_onnx_refuse(c, FTL_EFORMAT, "attribute \"%s\" lists %zu values; %d at most are possible",
                    a->name, a->n, (int)max);
    return false;
}

int32_t ftl_onnx_attr_ints(ftl_onnx_call *c, const char *name, int64_t *out, int32_t max)
{
    const ftl_onnx_attr *a = typed(c, name, FTL_ONNX_ATTR_INTS);
    if (!a || !fits(c, a, max)) return -1;
    for (size_t i = 0; i < a->n; i++) out[i] = a->ints[i];
    return (int32_t)a->n;
}

int32_t ftl_onnx_attr_floats(ftl_onnx_call *c, const char *name, float *out, int32_t max)
{
    const ftl_onnx_attr *a = typed(c, name, FTL_ONNX_ATTR_FLOATS);
    if (!a || !fits(c, a, max)) return -1;
    for (size_t i = 0; i < a->n; i++) out[i] = a->floats[i];
    return (int32_t)a->n;
}

/* ---- axes ---------------------------------------------------------------------------------- */

int32_t ftl_onnx_axis(ftl_onnx_call *c, int64_t axis, int32_t rank)
{
    if (axis >= -rank && axis < rank) return (int32_t)(axis < 0 ? axis + rank : axis);
    ftl_onnx_refuse(c, FTL_EFORMAT, "there is no axis %lld in a tensor of %d dimensions",
                    (long long)axis, (int)rank);
    return 0;
}

uint32_t ftl_onnx_axis_mask(ftl_onnx_call *c, const int64_t *axes, int32_t n, int32_t rank)
{
    uint32_t mask = 0;
    for (int32_t i = 0; i < n; i++) {
        const uint32_t bit = 1u << ftl_onnx_axis(c, axes[i], rank);
        if (mask & bit) ftl_onnx_refuse(c, FTL_EFORMAT, "an axis is listed twice");
        mask |= bit;
    }
    return mask;
}

int32_t ftl_onnx_axes_of(ftl_onnx_call *c, size_t input, int64_t axes[FTL_MAX_RANK])
{
    if (ftl_onnx_has(c, input)) return ftl_onnx_need_ints(c, input, axes, FTL_MAX_RANK);
    return ftl_onnx_attr_ints(c, "axes", axes, FTL_MAX_RANK);
}

int64_t ftl_onnx_product(ftl_onnx_call *c, const ftl_tensor_desc *desc, int32_t from, int32_t to)
{
    int64_t product = 1;
    for (int32_t i = from; i < to; i++)
        if (__builtin_mul_overflow(product, desc->dim[i], &product)) {
            ftl_onnx_refuse(c, FTL_EFORMAT, "a product of dimensions is too large");
            return 0;
        }
    return product;
}

int64_t ftl_onnx_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int32_t ftl_onnx_join(ftl_onnx_call *c, int32_t x, int32_t from, int32_t to)
{
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    int64_t dim[FTL_MAX_RANK + 1];
    int32_t rank = 0;
    for (int32_t i = 0; i < from; i++) dim[rank++] = d.dim[i];
    dim[rank++] = ftl_onnx_product(c, &d, from, to);
    for (int32_t i = to; i < d.rank; i++) dim[rank++] = d.dim[i];
    if (rank > FTL_MAX_RANK) return ftl_onnx_refuse(c, FTL_EUNSUPPORTED, "the rank is over 8");
    return ftl_emit_reshape(c->g, x, rank, dim);
}
