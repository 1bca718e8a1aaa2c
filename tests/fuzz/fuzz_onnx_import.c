/* SPDX-License-Identifier: Apache-2.0 */
/* From bytes to a bound graph that keeps every rule of graph.h, or a refusal; at two sets of
 * dims. */
#include "fuzz.h"

#include "format/onnx_import.h"

static void bind_at(const ftl_onnx_file *file, ftl_dim_value *dims, int32_t n, int64_t value)
{
    ftl_graph *graph;
    for (int32_t i = 0; i < n; i++) dims[i].value = value;
    if (ftl_onnx_bind(&graph, file, dims, n) == FTL_OK && ftl_graph_check(graph) != FTL_OK)
        __builtin_trap();
    ftl_graph_destroy(graph);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ftl_onnx_file *file;
    ftl_arena arena = { 0 };
    ftl_dim_value *dims;
    int32_t n;
    if (ftl_onnx_file_parse(&file, data, size, "fuzz.onnx") == FTL_OK &&
        ftl_onnx_list_dims(&arena, file, &dims, &n) == FTL_OK) {
        bind_at(file, dims, n, 1);
        bind_at(file, dims, n, 3);
    }
    ftl_onnx_file_close(file);
    ftl_arena_deinit(&arena);
    return 0;
}
