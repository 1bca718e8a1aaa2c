/* SPDX-License-Identifier: Apache-2.0 */
/* Vector: safetensors 0.8, safetensors.numpy.save. */
#include "format_test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "format/safetensors.h"

static const uint8_t vector[322] = {
    0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x7b, 0x22, 0x5f, 0x5f, 0x6d, 0x65, 0x74, 0x61,
    0x64, 0x61, 0x74, 0x61, 0x5f, 0x5f, 0x22, 0x3a, 0x7b, 0x22, 0x66, 0x6f, 0x72, 0x6d, 0x61, 0x74,
    0x22, 0x3a, 0x22, 0x70, 0x74, 0x22, 0x2c, 0x22, 0x77, 0x68, 0x6f, 0x22, 0x3a, 0x22, 0x6d, 0x65,
    0x22, 0x7d, 0x2c, 0x22, 0x69, 0x22, 0x3a, 0x7b, 0x22, 0x64, 0x74, 0x79, 0x70, 0x65, 0x22, 0x3a,
    0x22, 0x49, 0x36, 0x34, 0x22, 0x2c, 0x22, 0x73, 0x68, 0x61, 0x70, 0x65, 0x22, 0x3a, 0x5b, 0x32,
    0x5d, 0x2c, 0x22, 0x64, 0x61, 0x74, 0x61, 0x5f, 0x6f, 0x66, 0x66, 0x73, 0x65, 0x74, 0x73, 0x22,
    0x3a, 0x5b, 0x30, 0x2c, 0x31, 0x36, 0x5d, 0x7d, 0x2c, 0x22, 0x65, 0x22, 0x3a, 0x7b, 0x22, 0x64,
    0x74, 0x79, 0x70, 0x65, 0x22, 0x3a, 0x22, 0x46, 0x33, 0x32, 0x22, 0x2c, 0x22, 0x73, 0x68, 0x61,
    0x70, 0x65, 0x22, 0x3a, 0x5b, 0x30, 0x2c, 0x34, 0x5d, 0x2c, 0x22, 0x64, 0x61, 0x74, 0x61, 0x5f,
    0x6f, 0x66, 0x66, 0x73, 0x65, 0x74, 0x73, 0x22, 0x3a, 0x5b, 0x31, 0x36, 0x2c, 0x31, 0x36, 0x5d,
    0x7d, 0x2c, 0x22, 0x77, 0x22, 0x3a, 0x7b, 0x22, 0x64, 0x74, 0x79, 0x70, 0x65, 0x22, 0x3a, 0x22,
    0x46, 0x33, 0x32, 0x22, 0x2c, 0x22, 0x73, 0x68, 0x61, 0x70, 0x65, 0x22, 0x3a, 0x5b, 0x32, 0x2c,
    0x33, 0x5d, 0x2c, 0x22, 0x64, 0x61, 0x74, 0x61, 0x5f, 0x6f, 0x66, 0x66, 0x73, 0x65, 0x74, 0x73,
    0x22, 0x3a, 0x5b, 0x31, 0x36, 0x2c, 0x34, 0x30, 0x5d, 0x7d, 0x2c, 0x22, 0x68, 0x22, 0x3a, 0x7b,
    0x22, 0x64, 0x74, 0x79, 0x70, 0x65, 0x22, 0x3a, 0x22, 0x46, 0x31, 0x36, 0x22, 0x2c, 0x22, 0x73,
    0x68, 0x61, 0x70, 0x65, 0x22, 0x3a, 0x5b, 0x31, 0x5d, 0x2c, 0x22, 0x64, 0x61, 0x74, 0x61, 0x5f,
    0x6f, 0x66, 0x66, 0x73, 0x65, 0x74, 0x73, 0x22, 0x3a, 0x5b, 0x34, 0x30, 0x2c, 0x34, 0x32, 0x5d,
    0x7d, 0x7d, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x3f,
    0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x40, 0x40, 0x00, 0x00, 0x80, 0x40, 0x00, 0x00, 0xa0, 0x40,
    0x00, 0x3e,
};

static ftl_status parse(const void *data, size_t size, const char *name)
{
    ftl_safetensors *f;
    const ftl_status s = ftl_safetensors_parse(&f, data, size, name);
    ftl_safetensors_close(f);
    return s;
}

static void reference_file(void **state)
{
    (void)state;
    ftl_safetensors *f;
    assert_ok(ftl_safetensors_parse(&f, vector, sizeof vector, "a.safetensors"));
    const ftl_host_tensors *all = ftl_safetensors_tensors(f);
    assert_int_equal(all->count, 4);
    const ftl_host_tensor *w = ftl_host_tensors_find(all, "w"),
                          *i = ftl_host_tensors_find(all, "i");
    const ftl_host_tensor *e = ftl_host_tensors_find(all, "e");
    assert_non_null(w);
    assert_non_null(i);
    assert_non_null(e);
    assert_int_equal(w->desc.dtype, FTL_DTYPE_F32);
    assert_int_equal(w->desc.dim[1], 3);
    float last;
    memcpy(&last, (const char *)w->data + 20, 4);
    assert_true(last == 5);
    int64_t first;
    memcpy(&first, i->data, 8);
    assert_int_equal(first, -1);
    assert_int_equal(e->bytes, 0);
    size_t n;
    const ftl_safetensors_pair *meta = ftl_safetensors_metadata(f, &n);
    assert_int_equal(n, 2);
    assert_string_equal(meta[0].key, "format");
    assert_string_equal(meta[1].value, "me");
    ftl_safetensors_close(f);
}

/* A file of this header and n zero bytes. */
static ftl_status parse_header(const char *header, size_t n)
{
    uint8_t file[1024] = { 0 };
    const size_t header_bytes = strlen(header);
    file[0] = (uint8_t)(header_bytes & 255);
    file[1] = (uint8_t)(header_bytes >> 8);
    memcpy(file + 8, header, header_bytes);
    return parse(file, 8 + header_bytes + n, "lie.safetensors");
}

#define U8(name, begin, end)                                                                       \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[" #begin "," #end "]}"

static void lying_headers(void **state)
{
    (void)state;
    assert_ok(parse_header("{" U8("a", 0, 4) "," U8("b", 4, 8) "}", 8));
    assert_ok(parse_header("{}", 0));
    assert_fails(FTL_EFORMAT, parse_header("{" U8("a", 0, 4) "," U8("b", 2, 6) "}", 6));
    assert_sentence("\"b\" overlaps");
    assert_fails(FTL_EFORMAT, parse_header("{" U8("a", 0, 4) "," U8("b", 5, 9) "}", 9));
    assert_sentence("hole");
    assert_fails(FTL_EFORMAT, parse_header("{" U8("a", 0, 4) "}", 5));
    assert_sentence("belong to no tensor");
    assert_fails(FTL_EFORMAT, parse_header("{" U8("a", 0, 4) "}", 3));
    assert_sentence("outside");
    assert_fails(FTL_EFORMAT, parse_header("{" U8("a", 4, 0) "}", 4));
    assert_fails(FTL_EFORMAT, parse_header("{" U8("a", 0, 3) "}", 3));
    assert_sentence("needs 4 bytes but has 3");
    assert_fails(FTL_EFORMAT, parse_header("{" U8("a", -4, 0) "}", 4));
    assert_fails(FTL_EFORMAT, parse_header("{" U8("a", 0, 99999999999999999999) "}", 4));
    assert_fails(FTL_EFORMAT, parse_header("{" U8("a", 0, 4) "," U8("a", 0, 4) "}", 4));
    assert_fails(FTL_EFORMAT, parse_header("[1]", 0));
    assert_fails(FTL_EFORMAT, parse_header("{\"a\":3}", 0));
    assert_fails(FTL_EFORMAT, parse_header("{\"__metadata__\":{\"a\":3}}", 0));
    assert_fails(
        FTL_EUNSUPPORTED,
        parse_header("{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1));
    assert_sentence("F8_E4M3");
    assert_fails(FTL_EFORMAT,
                 parse_header("{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296,0],"
                              "\"data_offsets\":[0,0]}}",
                              0));
    const uint8_t huge[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{' };
    assert_fails(FTL_EFORMAT, parse(huge, sizeof huge, "huge"));
    const uint8_t less[16] = { 0, 0xe0, 0xf5, 5, 0, 0, 0, 0, '{' };
    assert_fails(FTL_EFORMAT, parse(less, sizeof less, "less"));
    assert_sentence("8 are left");
}

static void written_files_read_back(void **state)
{
    (void)state;
    static const float numbers[3] = { 1, 2, 3 };
    static const int64_t wide[2] = { -5, 6 };
    ftl_host_tensor t[3];
    const ftl_tensor_desc f32 = { FTL_DTYPE_F32, 1, { 3 } }, i64 = { FTL_DTYPE_I64, 2, { 2, 1 } };
    const ftl_tensor_desc bf16 = { FTL_DTYPE_BF16, 0, { 0 } };
    assert_ok(ftl_host_tensor_view(&t[0], "layer.\"0\"/\xc3\xa4", &f32, numbers, sizeof numbers));
    assert_ok(ftl_host_tensor_view(&t[1], "half", &bf16, "\x80\x3f", 2));
    assert_ok(ftl_host_tensor_view(&t[2], "wide", &i64, wide, sizeof wide));
    const ftl_safetensors_pair meta = { "from", "fettle" };
    char path[512];
    snprintf(path, sizeof path, "%s", ftl_test_temp("out.safetensors"));
    const ftl_safetensors_content content = { t, 3, &meta, 1 };
    assert_ok(ftl_safetensors_write(path, &content));
    ftl_safetensors *f;
    assert_ok(ftl_safetensors_open(&f, path));
    const ftl_host_tensors *all = ftl_safetensors_tensors(f);
    for (int i = 0; i < 3; i++) {
        const ftl_host_tensor *back = ftl_host_tensors_find(all, t[i].name);
        assert_non_null(back);
        assert_int_equal(back->bytes, t[i].bytes);
        assert_memory_equal(back->data, t[i].data, t[i].bytes);
    }
    assert_int_equal((uintptr_t)ftl_host_tensors_find(all, "wide")->data % 8, 0);
    size_t n;
    assert_string_equal(ftl_safetensors_metadata(f, &n)->value, "fettle");
    ftl_safetensors_close(f);
    t[1].name = "wide";
    assert_fails(FTL_EINVAL, ftl_safetensors_write(path, &content));
    t[1].name = "\xff\xfe";
    assert_fails(FTL_EINVAL, ftl_safetensors_write(path, &content));
    assert_ok(ftl_safetensors_open(&f, path)); /* the old file is still whole */
    ftl_safetensors_close(f);
}

static void tortures(void **state)
{
    (void)state;
    torture_truncated(parse, vector, sizeof vector, sizeof vector);
    torture_flipped(parse, vector, sizeof vector);
    torture_no_memory(parse, vector, sizeof vector);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_file),
        cmocka_unit_test(lying_headers),
        cmocka_unit_test(written_files_read_back),
        cmocka_unit_test(tortures),
    };
    return ftl_test_run(tests);
}
