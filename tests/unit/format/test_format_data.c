/* SPDX-License-Identifier: Apache-2.0 */
/* Real files of the shared test data; the program skips without them. */
#include "format_test.h"

#include <string.h>

#include "format/detect.h"
#include "format/idx.h"
#include "format/onnx_file.h"
#include "format/safetensors.h"

static void mnist(void **state)
{
    (void)state;
    ftl_host_tensor images, labels;
    ftl_format format;
    assert_ok(ftl_format_detect(&format, ftl_test_data("mnist/t10k-images-idx3-ubyte.gz")));
    assert_int_equal(format, FTL_FORMAT_IDX);
    assert_ok(ftl_idx_read(&images, ftl_test_data("mnist/t10k-images-idx3-ubyte.gz")));
    assert_ok(ftl_idx_read(&labels, ftl_test_data("mnist/t10k-labels-idx1-ubyte.gz")));
    assert_int_equal(images.desc.rank, 3);
    assert_true(images.desc.dim[0] == 10000 && images.desc.dim[1] == 28 &&
                images.desc.dim[2] == 28);
    assert_int_equal(labels.desc.dim[0], 10000);
    /* The first ten digits of the set, as its description prints them. */
    assert_memory_equal(labels.data, "\7\2\1\0\4\1\4\x09\5\x09", 10);
    ftl_host_tensor_deinit(&images);
    ftl_host_tensor_deinit(&labels);
}

static void silero(void **state)
{
    (void)state;
    ftl_safetensors *f;
    assert_ok(ftl_safetensors_open(&f, ftl_test_data("safetensors/silero_vad_16k.safetensors")));
    const ftl_host_tensors *all = ftl_safetensors_tensors(f);
    assert_int_equal(all->count, 15);
    for (size_t i = 0; i < all->count; i++) {
        assert_int_equal(all->items[i].desc.dtype, FTL_DTYPE_F32);
        assert_ptr_equal(ftl_host_tensors_find(all, all->items[i].name), &all->items[i]);
    }
    ftl_safetensors_close(f);
}

static void densenet(void **state)
{
    (void)state;
    ftl_onnx_file *f;
    assert_ok(ftl_onnx_file_open(&f, ftl_test_data("onnx/light_densenet121.onnx")));
    const ftl_onnx_graph *g = &ftl_onnx_file_model(f)->graph;
    assert_int_equal(ftl_onnx_file_opset(f), 9);
    size_t n_convs = 0;
    for (size_t i = 0; i < g->n_nodes; i++) n_convs += strcmp(g->nodes[i].op_type, "Conv") == 0;
    assert_int_equal(n_convs, 121); /* 120 of the blocks and transitions, and the classifier */
    ftl_onnx_file_close(f);
    assert_ok(ftl_onnx_file_open(&f, ftl_test_data("onnx/light_bvlc_alexnet.onnx")));
    ftl_onnx_file_close(f);
}

int main(void)
{
    ftl_test_data("onnx/light_densenet121.onnx");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mnist),
        cmocka_unit_test(silero),
        cmocka_unit_test(densenet),
    };
    return ftl_test_run(tests);
}
