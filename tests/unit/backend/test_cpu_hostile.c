/* SPDX-License-Identifier: Apache-2.0 */
/* What a file can ask of the CPU that no memory holds. */
#include "support/test.h"

#include "core/graph.h"
#include "device/device.h"

/* Taps 2^30 pixels apart over a padded image of one pixel: the output is one pixel, but a window
 * with the reach of the taps would be 2^60 floats. */
static void taps_far_apart_need_no_window(void **s)
{
    (void)s;
    enum { FAR = 1 << 30 };
    ftl_graph *g;
    assert_ok(ftl_graph_create(&g, "far", true));
    const ftl_tensor_desc xd = { .dtype = FTL_DTYPE_F32, .rank = 4, .dim = { 1, 1, 1, 1 } };
    const ftl_tensor_desc wd = { .dtype = FTL_DTYPE_F32, .rank = 4, .dim = { 1, 1, 2, 2 } };
    const int32_t x = ftl_graph_input(g, "x", &xd), w = ftl_graph_input(g, "w", &wd);
    const ftl_attr a = { .conv = { .stride = { 1, 1 },
                                   .dilation = { FAR, FAR },
                                   .pad = { FAR, FAR, 0, 0 },
                                   .groups = 1 } };
    ftl_graph_output(g, "y", FTL_ADD(g, conv2d, &a, x, w));
    ftl_device *device;
    ftl_queue *queue;
    ftl_program *program;
    ftl_program_info info;
    assert_ok(ftl_device_open_name(&device, "cpu", NULL));
    assert_ok(ftl_queue_create(&queue, device, 2));
    const ftl_compile_options o = { .struct_size = sizeof o, .n_threads = 2 };
    assert_ok(ftl_program_compile(&program, device, g, &o));
    assert_ok(ftl_program_get_info(program, &info));
    assert_true(info.workspace_bytes < 1 << 20);
    const ftl_tensor_desc rd = { .dtype = FTL_DTYPE_U8,
                                 .rank = 1,
                                 .dim = { (int64_t)info.workspace_bytes } };
    ftl_buffer *in[2], *out[1], *room;
    assert_ok(ftl_buffer_create(&in[0], device, &xd));
    assert_ok(ftl_buffer_create(&in[1], device, &wd));
    assert_ok(ftl_buffer_create(&out[0], device, &xd));
    assert_ok(ftl_buffer_create(&room, device, &rd));
    const float image = 3, weights[4] = { 5, 7, 11, 13 };
    float y = 0;
    assert_ok(ftl_buffer_upload(queue, in[0], &image, sizeof image));
    assert_ok(ftl_buffer_upload(queue, in[1], weights, sizeof weights));
    const ftl_run_args args = {
        .struct_size = sizeof args, .inputs = in, .outputs = out, .workspace = room
    };
    assert_ok(ftl_program_run(program, queue, &args, NULL));
    assert_ok(ftl_buffer_download(queue, out[0], &y, sizeof y));
    assert_true(y == 39); /* the last tap alone meets the pixel */
    ftl_buffer *all[] = { in[0], in[1], out[0], room };
    for (size_t i = 0; i < 4; i++) ftl_buffer_destroy(all[i]);
    ftl_program_destroy(program);
    ftl_queue_destroy(queue);
    ftl_device_close(device);
    ftl_graph_destroy(g);
}

static void too_many_threads_are_refused(void **s)
{
    (void)s;
    ftl_graph *g;
    ftl_device *device;
    ftl_program *program;
    assert_ok(ftl_graph_create(&g, "threads", true));
    const ftl_tensor_desc d = { .dtype = FTL_DTYPE_F32, .rank = 1, .dim = { 4 } };
    ftl_graph_output(g, "y", FTL_ADD(g, neg, NULL, ftl_graph_input(g, "x", &d)));
    assert_ok(ftl_device_open_name(&device, "cpu", NULL));
    const ftl_compile_options o = { .struct_size = sizeof o, .n_threads = UINT32_MAX };
    assert_fails(FTL_EINVAL, ftl_program_compile(&program, device, g, &o));
    ftl_device_close(device);
    ftl_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taps_far_apart_need_no_window),
        cmocka_unit_test(too_many_threads_are_refused),
    };
    return ftl_test_run(tests);
}
