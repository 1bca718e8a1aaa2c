/* SPDX-License-Identifier: Apache-2.0 */
#include "format_test.h"

#include <string.h>
#include <zlib.h>

#include "format/idx.h"
#include "format/inflate.h"

static const uint8_t labels[11] = { 0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1 };
static const uint8_t shorts[14] = { 0, 0, 0x0b, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0xfe };

static ftl_status parse_idx(const void *data, size_t size, const char *name)
{
    ftl_host_tensor t;
    const ftl_status s = ftl_idx_parse(&t, data, size, name);
    ftl_host_tensor_deinit(&t);
    return s;
}

/* gzip of `data` into `out`; returns its size. */
static size_t gzip(uint8_t *out, size_t out_size, const uint8_t *data, size_t size)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)data,
                   .avail_in = (uInt)size,
                   .next_out = out,
                   .avail_out = (uInt)out_size };
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t n = z.total_out;
    deflateEnd(&z);
    return n;
}

static void plain_files(void **state)
{
    (void)state;
    ftl_host_tensor t;
    assert_ok(ftl_idx_parse(&t, labels, sizeof labels, "labels"));
    assert_int_equal(t.desc.dtype, FTL_DTYPE_U8);
    assert_int_equal(t.desc.dim[0], 3);
    assert_memory_equal(t.data, "\7\2\1", 3);
    ftl_host_tensor_deinit(&t);
    assert_ok(ftl_idx_parse(&t, shorts, sizeof shorts, "shorts"));
    assert_int_equal(t.desc.rank, 2);
    assert_int_equal(*(const int16_t *)t.data, -2);
    ftl_host_tensor_deinit(&t);
}

static void lying_headers(void **state)
{
    (void)state;
    const uint8_t huge[12] = { 0, 0, 0x0e, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    assert_fails(FTL_EFORMAT, parse_idx(huge, sizeof huge, "huge"));
    const uint8_t claims[8] = { 0, 0, 8, 1, 0x40, 0, 0, 0 };
    assert_fails(FTL_EFORMAT, parse_idx(claims, sizeof claims, "claims"));
    assert_sentence("more than the file can hold");
    const uint8_t rank[4] = { 0, 0, 8, 9 };
    assert_fails(FTL_EUNSUPPORTED, parse_idx(rank, sizeof rank, "rank"));
    const uint8_t type[4] = { 0, 0, 7, 1 };
    assert_fails(FTL_EFORMAT, parse_idx(type, sizeof type, "type"));
    const uint8_t extra[10] = { 0, 0, 8, 1, 0, 0, 0, 1, 5, 5 };
    assert_fails(FTL_EFORMAT, parse_idx(extra, sizeof extra, "extra"));
    uint8_t packed[128];
    size_t n = gzip(packed, sizeof packed, claims, sizeof claims);
    assert_fails(FTL_EFORMAT, parse_idx(packed, n, "claims.gz"));
    n = gzip(packed, sizeof packed, extra, sizeof extra);
    assert_fails(FTL_EFORMAT, parse_idx(packed, n, "extra.gz"));
    assert_sentence("more data than its header claims");
}

static void gzip_members_follow_each_other(void **state)
{
    (void)state;
    uint8_t packed[256];
    size_t n = gzip(packed, sizeof packed, labels, 6);
    n += gzip(packed + n, sizeof packed - n, labels + 6, sizeof labels - 6);
    assert_ok(parse_idx(packed, n, "two.gz"));
    packed[n] = 0;
    assert_fails(FTL_EFORMAT, parse_idx(packed, n + 1, "garbage.gz"));
}

static void tortures(void **state)
{
    (void)state;
    uint8_t packed[128];
    const size_t n = gzip(packed, sizeof packed, shorts, sizeof shorts);
    torture_truncated(parse_idx, labels, sizeof labels, sizeof labels);
    torture_truncated(parse_idx, packed, n, n);
    torture_flipped(parse_idx, shorts, sizeof shorts);
    torture_flipped(parse_idx, packed, n);
    torture_no_memory(parse_idx, packed, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_files),
        cmocka_unit_test(lying_headers),
        cmocka_unit_test(gzip_members_follow_each_other),
        cmocka_unit_test(tortures),
    };
    return ftl_test_run(tests);
}
