/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: text that grows, values, and the plain statements.
 * One statement a line:  %v2 = "stablehlo.add"(%a0, %v1) : (T, T) -> T */
#include "backend/pjrt/stablehlo_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

ftl_shlo_value ftl_shlo_fail(ftl_shlo *e, ftl_status status)
{
    if (e->status == FTL_OK) e->status = status;
    return (ftl_shlo_value){ 0 };
}

/* Room for n bytes more and a NUL. */
static bool reserve(ftl_shlo *e, size_t n)
{
    size_t want;
    if (e->status != FTL_OK) return false;
    if (ftl_add_size(e->used, n, &want) && ftl_add_size(want, 1, &want) && want <= e->room)
        return true;
    size_t room = e->room ? e->room : 4096;
    while (room < want && ftl_mul_size(room, 2, &room)) {
    }
    char *text = ftl_realloc(e->text, room);
    if (!text) {
        ftl_shlo_fail(e, ftl_fail(FTL_ENOMEM, "no memory for %zu bytes of StableHLO text", room));
        return false;
    }
    e->text = text;
    e->room = room;
    return true;
}

void ftl_shlo_put(ftl_shlo *e, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    if (n > 0 && reserve(e, (size_t)n)) {
        vsnprintf(e->text + e->used, (size_t)n + 1, format, again);
        e->used += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void ftl_shlo_put_value(ftl_shlo *e, ftl_shlo_value x)
{
    ftl_shlo_put(e, x.is_argument ? "%%a%d" : "%%v%d", (int)x.number);
}

void ftl_shlo_put_type(ftl_shlo *e, const ftl_tensor_desc *desc)
{
    ftl_shlo_put(e, "tensor<");
    for (int32_t i = 0; i < desc->rank; i++) ftl_shlo_put(e, "%" PRId64 "x", desc->dim[i]);
    ftl_shlo_put(e, "%s>", ftl_dtype_get_info(desc->dtype)->stablehlo);
}

void ftl_shlo_put_list(ftl_shlo *e, const char *open, const int64_t *values, int32_t n,
                       const char *close)
{
    ftl_shlo_put(e, "%s", open);
    for (int32_t i = 0; i < n; i++) ftl_shlo_put(e, i ? ", %" PRId64 : "%" PRId64, values[i]);
    ftl_shlo_put(e, "%s", close);
}

void ftl_shlo_put_signature(ftl_shlo *e, const ftl_shlo_value *in, int32_t n,
                            const ftl_tensor_desc *out)
{
    ftl_shlo_put(e, ": (");
    for (int32_t i = 0; i < n; i++) {
        if (i) ftl_shlo_put(e, ", ");
        ftl_shlo_put_type(e, &in[i].desc);
    }
    ftl_shlo_put(e, ") -> ");
    ftl_shlo_put_type(e, out);
    ftl_shlo_put(e, "\n");
}

void ftl_shlo_put_hex(ftl_shlo *e, const void *data, size_t bytes)
{
    static const char digits[] = "0123456789ABCDEF";
    const uint8_t *byte = data;
    size_t n;
    ftl_shlo_put(e, "\"0x");
    if (!ftl_mul_size(bytes, 2, &n) || !reserve(e, n)) return;
    for (size_t i = 0; i < bytes; i++) {
        e->text[e->used++] = digits[byte[i] >> 4];
        e->text[e->used++] = digits[byte[i] & 15];
    }
    e->text[e->used] = 0;
    ftl_shlo_put(e, "\"");
}

ftl_shlo_value ftl_shlo_begin(ftl_shlo *e, const char *op, const ftl_shlo_value *in, int32_t n,
                              const ftl_tensor_desc *out)
{
    const ftl_shlo_value value = { .number = e->n_values++, .desc = *out };
    ftl_shlo_put(e, "    %%v%d = \"%s\"(", (int)value.number, op);
    for (int32_t i = 0; i < n; i++) {
        if (i) ftl_shlo_put(e, ", ");
        ftl_shlo_put_value(e, in[i]);
    }
    ftl_shlo_put(e, ") ");
    return value;
}

/* ---- statements ---------------------------------------------------------------------------- */

ftl_shlo_value ftl_shlo_op(ftl_shlo *e, const char *op, const char *attributes,
                           const ftl_shlo_value *in, int32_t n, const ftl_tensor_desc *out)
{
    const ftl_shlo_value value = ftl_shlo_begin(e, op, in, n, out);
    ftl_shlo_put(e, "%s", attributes);
    ftl_shlo_put_signature(e, in, n, out);
    return value;
}

ftl_shlo_value ftl_shlo_op1(ftl_shlo *e, const char *op, ftl_shlo_value x)
{
    return ftl_shlo_op(e, op, "", &x, 1, &x.desc);
}

ftl_shlo_value ftl_shlo_op2(ftl_shlo *e, const char *op, ftl_shlo_value a, ftl_shlo_value b)
{
    const ftl_shlo_value in[2] = { a, b };
    return ftl_shlo_op(e, op, "", in, 2, &a.desc);
}

ftl_shlo_value ftl_shlo_compare(ftl_shlo *e, const char *direction, ftl_shlo_value a,
                                ftl_shlo_value b)
{
    const ftl_shlo_value in[2] = { a, b };
    ftl_tensor_desc out = a.desc;
    out.dtype = FTL_DTYPE_BOOL;
    const ftl_shlo_value value = ftl_shlo_begin(e, "stablehlo.compare", in, 2, &out);
    ftl_shlo_put(e, "{comparison_direction = #stablehlo<comparison_direction %s>} ", direction);
    ftl_shlo_put_signature(e, in, 2, &out);
    return value;
}

ftl_shlo_value ftl_shlo_select(ftl_shlo *e, ftl_shlo_value c, ftl_shlo_value x, ftl_shlo_value y)
{
    const ftl_shlo_value in[3] = { c, x, y };
    return ftl_shlo_op(e, "stablehlo.select", "", in, 3, &x.desc);
}

/* One element as a literal: floats by their bits, so that nothing is rounded. */
static void put_element(ftl_shlo *e, ftl_dtype dtype, const void *element)
{
    const size_t bytes = ftl_dtype_bytes(dtype);
    uint64_t bits = 0;
    memcpy(&bits, element, bytes); /* little-endian hosts, as PJRT wants its arrays */
    switch (ftl_dtype_get_info(dtype)->kind) {
    case FTL_KIND_FLOAT: ftl_shlo_put(e, "0x%0*" PRIX64, (int)bytes * 2, bits); break;
    case FTL_KIND_BOOL: ftl_shlo_put(e, bits ? "true" : "false"); break;
    case FTL_KIND_UINT: ftl_shlo_put(e, "%" PRIu64, bits); break;
    case FTL_KIND_SINT: {
        const int shift = 64 - 8 * (int)bytes;
        ftl_shlo_put(e, "%" PRId64, (int64_t)(bits << shift) >> shift);
        break;
    }
    }
}

ftl_shlo_value ftl_shlo_splat(ftl_shlo *e, const ftl_tensor_desc *desc, const void *element)
{
    const ftl_shlo_value value = ftl_shlo_begin(e, "stablehlo.constant", NULL, 0, desc);
    ftl_shlo_put(e, "{value = dense<");
    /* an empty tensor takes no element */
    if (ftl_desc_count_checked(desc) > 0) put_element(e, desc->dtype, element);
    ftl_shlo_put(e, "> : ");
    ftl_shlo_put_type(e, desc);
    ftl_shlo_put(e, "} ");
    ftl_shlo_put_signature(e, NULL, 0, desc);
    return value;
}

ftl_shlo_value ftl_shlo_number(ftl_shlo *e, const ftl_tensor_desc *desc, double value)
{
    uint64_t element = 0;
    ftl_element_set(desc->dtype, &element, 0, value);
    return ftl_shlo_splat(e, desc, &element);
}

ftl_shlo_value ftl_shlo_scalar(ftl_shlo *e, ftl_dtype dtype, double value)
{
    const ftl_tensor_desc desc = { .dtype = dtype };
    return ftl_shlo_number(e, &desc, value);
}

static bool is_splat(const uint8_t *data, size_t bytes, size_t element)
{
    return bytes <= element || memcmp(data, data + element, bytes - element) == 0;
}

ftl_shlo_value ftl_shlo_constant(ftl_shlo *e, const ftl_tensor_desc *desc, const void *data)
{
    const size_t bytes = ftl_desc_bytes_checked(desc), element = ftl_dtype_bytes(desc->dtype);
    if (is_splat(data, bytes, element)) return ftl_shlo_splat(e, desc, data);
    /* MLIR packs the bits of an i1 blob; bytes are written instead, and compared with zero */
    ftl_tensor_desc stored = *desc;
    if (desc->dtype == FTL_DTYPE_BOOL) stored.dtype = FTL_DTYPE_U8;
    const ftl_shlo_value value = ftl_shlo_begin(e, "stablehlo.constant", NULL, 0, &stored);
    ftl_shlo_put(e, "{value = dense<");
    ftl_shlo_put_hex(e, data, bytes);
    ftl_shlo_put(e, "> : ");
    ftl_shlo_put_type(e, &stored);
    ftl_shlo_put(e, "} ");
    ftl_shlo_put_signature(e, NULL, 0, &stored);
    if (desc->dtype != FTL_DTYPE_BOOL) return value;
    return ftl_shlo_compare(e, "NE", value, ftl_shlo_number(e, &stored, 0));
}

ftl_shlo_value ftl_shlo_reshape(ftl_shlo *e, ftl_shlo_value x, const ftl_tensor_desc *desc)
{
    if (ftl_desc_equal(&x.desc, desc)) return x;
    return ftl_shlo_op(e, "stablehlo.reshape", "", &x, 1, desc);
}

ftl_shlo_value ftl_shlo_broadcast_axes(ftl_shlo *e, ftl_shlo_value x, const int64_t *map,
                                       const ftl_tensor_desc *desc)
{
    ftl_tensor_desc out = *desc;
    out.dtype = x.desc.dtype;
    const ftl_shlo_value value = ftl_shlo_begin(e, "stablehlo.broadcast_in_dim", &x, 1, &out);
    ftl_shlo_put_list(e,
                      x.desc.rank ? "{broadcast_dimensions = array<i64: "
                                  : "{broadcast_dimensions = array<i64",
                      map, x.desc.rank, ">} ");
    ftl_shlo_put_signature(e, &x, 1, &out);
    return value;
}

ftl_shlo_value ftl_shlo_broadcast(ftl_shlo *e, ftl_shlo_value x, const ftl_tensor_desc *desc)
{
    ftl_tensor_desc out = *desc;
    int64_t map[FTL_MAX_RANK];
    out.dtype = x.desc.dtype;
    if (ftl_desc_equal(&x.desc, &out)) return x;
    for (int32_t i = 0; i < x.desc.rank; i++) map[i] = i + out.rank - x.desc.rank;
    return ftl_shlo_broadcast_axes(e, x, map, &out);
}

ftl_shlo_value ftl_shlo_cast(ftl_shlo *e, ftl_shlo_value x, ftl_dtype dtype)
{
    ftl_tensor_desc out = x.desc;
    out.dtype = dtype;
    if (x.desc.dtype == dtype) return x;
    return ftl_shlo_op(e, "stablehlo.convert", "", &x, 1, &out);
}

ftl_dtype ftl_shlo_wide_dtype(ftl_dtype dtype)
{
    return dtype == FTL_DTYPE_F16 || dtype == FTL_DTYPE_BF16 ? FTL_DTYPE_F32 : dtype;
}

ftl_shlo_value ftl_shlo_wide(ftl_shlo *e, ftl_shlo_value x)
{
    return ftl_shlo_cast(e, x, ftl_shlo_wide_dtype(x.desc.dtype));
}

ftl_shlo_value ftl_shlo_in(const ftl_shlo *e, const ftl_node *node, int32_t i)
{
    return e->of_tensor[node->in[i]];
}

bool ftl_shlo_has(const ftl_node *node, int32_t i)
{
    return i < node->n_in && node->in[i] >= 0;
}
