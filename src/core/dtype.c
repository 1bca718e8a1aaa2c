/* SPDX-License-Identifier: Apache-2.0 */
#include "core/dtype.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const ftl_dtype_info infos[FTL_DTYPE_COUNT] = {
    [FTL_DTYPE_NONE] = { "none", FTL_KIND_UINT, 1, 0, 0, "", "", "" },
#define X(ID, number, name, kind, block, bytes, onnx, safetensors, npy, stablehlo)                 \
    [FTL_DTYPE_##ID] = { name, FTL_KIND_##kind, block, bytes, onnx, safetensors, npy, stablehlo },
#include "core/dtypes.def"
#undef X
};

/* The public enumeration and the list agree. */
#define X(ID, number, ...) _Static_assert(FTL_DTYPE_##ID == number, "dtypes.def against tensor.h");
#include "core/dtypes.def"
#undef X

const ftl_dtype_info *ftl_dtype_get_info(ftl_dtype dtype)
{
    return &infos[(unsigned)dtype < FTL_DTYPE_COUNT ? dtype : FTL_DTYPE_NONE];
}

const char *ftl_dtype_name(ftl_dtype dtype)
{
    return ftl_dtype_get_info(dtype)->name;
}

size_t ftl_dtype_bytes(ftl_dtype dtype)
{
    return (size_t)ftl_dtype_get_info(dtype)->block_bytes;
}

bool ftl_dtype_is_float(ftl_dtype dtype)
{
    return dtype != FTL_DTYPE_NONE && ftl_dtype_get_info(dtype)->kind == FTL_KIND_FLOAT;
}

bool ftl_dtype_is_int(ftl_dtype dtype)
{
    const enum ftl_dtype_kind kind = ftl_dtype_get_info(dtype)->kind;
    return dtype != FTL_DTYPE_NONE && (kind == FTL_KIND_SINT || kind == FTL_KIND_UINT);
}

/* First row whose text at `offset` of ftl_dtype_info equals `name`. */
static ftl_dtype find_text(const char *name, size_t offset)
{
    for (int d = 1; d < FTL_DTYPE_COUNT; d++) {
        const char *text;
        memcpy(&text, (const char *)&infos[d] + offset, sizeof text);
        if (*text && strcmp(text, name) == 0) return (ftl_dtype)d;
    }
    return FTL_DTYPE_NONE;
}

ftl_dtype ftl_dtype_from_name(const char *name)
{
    return find_text(name, offsetof(ftl_dtype_info, name));
}

ftl_dtype ftl_dtype_from_safetensors(const char *name)
{
    return find_text(name, offsetof(ftl_dtype_info, safetensors));
}

ftl_dtype ftl_dtype_from_npy(const char *name)
{
    return find_text(name, offsetof(ftl_dtype_info, npy));
}

ftl_dtype ftl_dtype_from_onnx(int32_t number)
{
    for (int d = 1; d < FTL_DTYPE_COUNT; d++)
        if (infos[d].onnx == number && number != 0) return (ftl_dtype)d;
    return FTL_DTYPE_NONE;
}

bool ftl_desc_count(const ftl_tensor_desc *desc, int64_t *count)
{
    int64_t span = 1; /* without the zeros: no part of the dims may overflow in ftl_desc_span() */
    bool is_empty = false;
    *count = 0;
    if (desc->rank < 0 || desc->rank > FTL_MAX_RANK) return false;
    for (int32_t i = 0; i < desc->rank; i++) {
        if (desc->dim[i] < 0) return false;
        if (desc->dim[i] == 0) is_empty = true;
        else if (__builtin_mul_overflow(span, desc->dim[i], &span)) return false;
    }
    *count = is_empty ? 0 : span;
    return true;
}

ftl_status ftl_desc_bytes(const ftl_tensor_desc *desc, size_t *bytes)
{
    int64_t count, total;
    char text[FTL_DESC_TEXT];
    *bytes = 0;
    if (ftl_dtype_bytes(desc->dtype) == 0 || !ftl_desc_count(desc, &count) ||
        __builtin_mul_overflow(count, (int64_t)ftl_dtype_bytes(desc->dtype), &total))
        return ftl_fail(FTL_EINVAL, "%s is no tensor that memory can hold",
                        ftl_desc_print(desc, text, sizeof text));
    *bytes = (size_t)total;
    return FTL_OK;
}

int64_t ftl_desc_count_checked(const ftl_tensor_desc *desc)
{
    int64_t count;
    const bool ok = ftl_desc_count(desc, &count);
    assert(ok);
    return ok ? count : 0;
}

size_t ftl_desc_bytes_checked(const ftl_tensor_desc *desc)
{
    return (size_t)ftl_desc_count_checked(desc) * ftl_dtype_bytes(desc->dtype);
}

bool ftl_desc_equal(const ftl_tensor_desc *a, const ftl_tensor_desc *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank) return false;
    for (int32_t i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

int64_t ftl_desc_span(const ftl_tensor_desc *desc, int32_t from, int32_t to)
{
    int64_t span = 1;
    for (int32_t i = from; i < to; i++) span *= desc->dim[i];
    return span;
}

char *ftl_desc_print(const ftl_tensor_desc *desc, char *text, size_t size)
{
    size_t n = (size_t)snprintf(text, size, "%s[", ftl_dtype_name(desc->dtype));
    for (int32_t i = 0; i < desc->rank && i < FTL_MAX_RANK && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, i ? ",%lld" : "%lld", (long long)desc->dim[i]);
    if (n < size) snprintf(text + n, size - n, "]");
    return text;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754-2008 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
uint16_t ftl_f32_to_f16(float value)
{
    const uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000;
    const uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* rounds to 65536 or above */
    if (magnitude < 0x38800000) {
        /* Subnormal: adding 0.5 lets the adder of binary32 round at 2^-24. */
        return (uint16_t)(sign | (bits_of(float_of(magnitude) + 0.5f) - 0x3f000000));
    }
    const uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | ((magnitude - 0x38000000 + 0xfff + odd) >> 13));
}

float ftl_f16_to_f32(uint16_t bits)
{
    const uint32_t sign = (uint32_t)(bits & 0x8000) << 16, magnitude = bits & 0x7fff;
    if (magnitude >= 0x7c00) return float_of(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
    if (magnitude < 0x400) return (sign ? -1.0f : 1.0f) * (float)magnitude * 0x1p-24f;
    return float_of(sign | ((magnitude << 13) + 0x38000000));
}

uint16_t ftl_f32_to_bf16(float value)
{
    const uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float ftl_bf16_to_f32(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

double ftl_element_get(ftl_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case FTL_DTYPE_F32: return ((const float *)data)[i];
    case FTL_DTYPE_F16: return ftl_f16_to_f32(((const uint16_t *)data)[i]);
    case FTL_DTYPE_BF16: return ftl_bf16_to_f32(((const uint16_t *)data)[i]);
    case FTL_DTYPE_F64: return ((const double *)data)[i];
    case FTL_DTYPE_I8: return ((const int8_t *)data)[i];
    case FTL_DTYPE_U8: return ((const uint8_t *)data)[i];
    case FTL_DTYPE_I16: return ((const int16_t *)data)[i];
    case FTL_DTYPE_U16: return ((const uint16_t *)data)[i];
    case FTL_DTYPE_I32: return ((const int32_t *)data)[i];
    case FTL_DTYPE_U32: return ((const uint32_t *)data)[i];
    case FTL_DTYPE_I64: return (double)((const int64_t *)data)[i];
    case FTL_DTYPE_U64: return (double)((const uint64_t *)data)[i];
    case FTL_DTYPE_BOOL: return ((const uint8_t *)data)[i] != 0;
    case FTL_DTYPE_NONE: break;
    }
    return 0;
}

static int64_t clamp_signed(double value, int bits)
{
    const double limit = ldexp(1.0, bits - 1);
    if (isnan(value)) return 0;
    if (value >= limit) return bits == 64 ? INT64_MAX : ((int64_t)1 << (bits - 1)) - 1;
    if (value < -limit) return bits == 64 ? INT64_MIN : -((int64_t)1 << (bits - 1));
    return (int64_t)value;
}

static uint64_t clamp_unsigned(double value, int bits)
{
    if (!(value > 0)) return 0;
    if (value >= ldexp(1.0, bits)) return bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    return (uint64_t)value;
}

void ftl_element_set(ftl_dtype dtype, void *data, int64_t i, double value)
{
    switch (dtype) {
    case FTL_DTYPE_F32: ((float *)data)[i] = (float)value; break;
    case FTL_DTYPE_F16: ((uint16_t *)data)[i] = ftl_f32_to_f16((float)value); break;
    case FTL_DTYPE_BF16: ((uint16_t *)data)[i] = ftl_f32_to_bf16((float)value); break;
    case FTL_DTYPE_F64: ((double *)data)[i] = value; break;
    case FTL_DTYPE_I8: ((int8_t *)data)[i] = (int8_t)clamp_signed(value, 8); break;
    case FTL_DTYPE_U8: ((uint8_t *)data)[i] = (uint8_t)clamp_unsigned(value, 8); break;
    case FTL_DTYPE_I16: ((int16_t *)data)[i] = (int16_t)clamp_signed(value, 16); break;
    case FTL_DTYPE_U16: ((uint16_t *)data)[i] = (uint16_t)clamp_unsigned(value, 16); break;
    case FTL_DTYPE_I32: ((int32_t *)data)[i] = (int32_t)clamp_signed(value, 32); break;
    case FTL_DTYPE_U32: ((uint32_t *)data)[i] = (uint32_t)clamp_unsigned(value, 32); break;
    case FTL_DTYPE_I64: ((int64_t *)data)[i] = clamp_signed(value, 64); break;
    case FTL_DTYPE_U64: ((uint64_t *)data)[i] = clamp_unsigned(value, 64); break;
    case FTL_DTYPE_BOOL: ((uint8_t *)data)[i] = value != 0; break;
    case FTL_DTYPE_NONE: break;
    }
}

void ftl_elements_convert(ftl_dtype to, void *out, ftl_dtype from, const void *in, int64_t n)
{
    if (to == from) {
        memcpy(out, in, (size_t)n * ftl_dtype_bytes(to));
        return;
    }
    /* 64-bit integers do not fit a double: keep them exact between integer types. */
    if (from == FTL_DTYPE_I64 && to == FTL_DTYPE_I32) {
        for (int64_t i = 0; i < n; i++) {
            const int64_t v = ((const int64_t *)in)[i];
            ((int32_t *)out)[i] = v > INT32_MAX   ? INT32_MAX
                                  : v < INT32_MIN ? INT32_MIN
                                                  : (int32_t)v;
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) ftl_element_set(to, out, i, ftl_element_get(from, in, i));
}
