# SPDX-License-Identifier: Apache-2.0
"""The cases of one node: each operator in the forms that it had in opsets 7 to 21."""
import functools

import ml_dtypes
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from onnx_case import C, Net, V, W, X, ints, one

# Values at which an elementwise function shows what it does at its ends; no result of a function that
# is given ENDS may be finite and large, since the tolerance grows with it.
ENDS = V([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.5, np.inf, -np.inf, np.nan])
FAR = V([0.0, -0.0, 1e-30, -1e-30, 1.0, -1.0, 12.0, -12.0, 90.0, -90.0, 1e30, -1e30])
CUBE = X(2, 3, 4)


def convolutions(case):
    image, kernel = X("N", 3, 9, 7), W(4, 3, 3, 3)
    case("conv1d", 11, "Conv", [X("N", 3, 10), W(4, 3, 3), W(4)], kernel_shape=[3], pads=[1, 1])
    case("conv1d_dilated", 7, "Conv", [X("N", 2, 12), W(3, 2, 3)], dilations=[2], strides=[2], pads=[2, 1])
    case("conv1d_causal_depthwise", 13, "Conv", [X("N", 4, 9), W(4, 1, 4), W(4)], group=4, pads=[3, 0])
    case("conv2d", 11, "Conv", [image, kernel, W(4)], kernel_shape=[3, 3])
    case("conv2d_no_bias", 7, "Conv", [image, kernel], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    case("conv2d_kernel_from_weight", 13, "Conv", [image, W(4, 3, 3, 2), W(4)], pads=[1, 0, 1, 1])
    case("conv2d_uneven_pads", 11, "Conv", [image, kernel, W(4)], pads=[0, 1, 2, 3], strides=[2, 1])
    case("conv2d_strides", 11, "Conv", [image, W(4, 3, 2, 3), W(4)], strides=[2, 3], pads=[1, 1, 0, 1])
    case("conv2d_dilations", 11, "Conv", [image, kernel, W(4)], dilations=[2, 3], pads=[2, 3, 2, 3])
    case("conv2d_groups", 11, "Conv", [X("N", 4, 6, 6), W(6, 2, 3, 3), W(6)], group=2, pads=[1, 1, 1, 1])
    case("conv2d_depthwise", 11, "Conv", [X("N", 5, 7, 7), W(5, 1, 3, 3), W(5)], group=5, strides=[2, 2],
         pads=[1, 1, 1, 1])
    case("conv2d_depthwise_times2", 11, "Conv", [X("N", 3, 6, 5), W(6, 1, 3, 3)], group=3)
    case("conv2d_1x1", 11, "Conv", [image, W(5, 3, 1, 1), W(5)])
    case("conv2d_1x1_stride2", 11, "Conv", [image, W(5, 3, 1, 1)], strides=[2, 2])
    case("conv2d_kernel_is_image", 11, "Conv", [X("N", 3, 4, 5), W(2, 3, 4, 5), W(2)])
    for how in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        case("conv2d_" + how.lower(), 11, "Conv", [image, W(4, 3, 4, 2), W(4)], auto_pad=how,
             kernel_shape=[4, 2], strides=[2, 2])
    case("conv2d_weight_is_input", 11, "Conv", [X(1, 2, 5, 5), X(3, 2, 3, 3), X(3)])
    case("conv3d", 11, "Conv", [X("N", 2, 4, 5, 4), W(3, 2, 2, 3, 2), W(3)], pads=[0, 1, 0, 1, 1, 1])

    small = X("N", 3, 4, 3)
    case("convtranspose2d", 11, "ConvTranspose", [small, W(3, 4, 3, 3), W(4)], kernel_shape=[3, 3])
    case("convtranspose2d_stride2", 11, "ConvTranspose", [small, W(3, 2, 3, 3)], strides=[2, 2],
         pads=[1, 1, 1, 1], output_padding=[1, 1])
    case("convtranspose2d_dilated", 7, "ConvTranspose", [small, W(3, 2, 2, 3), W(2)], dilations=[2, 1],
         strides=[1, 2], pads=[0, 1, 1, 0])
    case("convtranspose2d_groups", 11, "ConvTranspose", [X("N", 4, 3, 3), W(4, 3, 2, 2), W(6)], group=2,
         strides=[2, 2])
    case("convtranspose2d_output_shape", 11, "ConvTranspose", [small, W(3, 2, 3, 3)], strides=[2, 2],
         output_shape=[9, 7])
    for how in ("SAME_UPPER", "SAME_LOWER"):
        case("convtranspose2d_" + how.lower(), 11, "ConvTranspose", [small, W(3, 2, 3, 3)], strides=[2, 2],
             auto_pad=how)
    case("convtranspose1d", 11, "ConvTranspose", [X("N", 2, 5), W(2, 3, 4), W(3)], strides=[3], pads=[1, 2])


def pools(case):
    image = X("N", 2, 9, 8)
    for kind, first in (("MaxPool", 8), ("AveragePool", 7)):
        name = kind.lower()
        case(name + "2d", first, kind, [image], kernel_shape=[2, 2], strides=[2, 2])
        case(name + "2d_stride1_default", 11, kind, [image], kernel_shape=[3, 2])
        case(name + "2d_pads", 11, kind, [image], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 1, 2])
        case(name + "2d_ceil", 11, kind, [image], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
        case(name + "2d_ceil_pads", 19, kind, [image], kernel_shape=[3, 3], strides=[3, 2],
             pads=[1, 1, 1, 1], ceil_mode=1)
        for how in ("SAME_UPPER", "SAME_LOWER", "VALID"):
            case(f"{name}2d_{how.lower()}", 11, kind, [image], kernel_shape=[3, 2], strides=[2, 2],
                 auto_pad=how)
        case(name + "1d", 11, kind, [X("N", 3, 11)], kernel_shape=[3], strides=[2], pads=[1, 1])
        case(name + "3d", 11, kind, [X("N", 2, 4, 5, 6)], kernel_shape=[2, 3, 2], strides=[2, 1, 2])
    case("maxpool2d_dilations", 12, "MaxPool", [image], kernel_shape=[2, 3], dilations=[2, 2])
    case("averagepool2d_dilations", 19, "AveragePool", [image], kernel_shape=[2, 3], dilations=[2, 2],
         pads=[1, 1, 1, 1])
    case("averagepool2d_count_pad", 7, "AveragePool", [image], kernel_shape=[3, 3], strides=[2, 2],
         pads=[1, 1, 1, 1], count_include_pad=1)
    case("averagepool2d_count_pad_ceil", 19, "AveragePool", [image], kernel_shape=[3, 3], strides=[2, 2],
         pads=[1, 1, 1, 1], count_include_pad=1, ceil_mode=1)
    case("maxpool2d_all_negative", 11, "MaxPool", [V(-1 - np.arange(16).reshape(1, 1, 4, 4) / 8)],
         kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    for kind in ("GlobalAveragePool", "GlobalMaxPool"):
        case(kind.lower(), 7, kind, [X("N", 3, 5, 4)])
        case(kind.lower() + "_1d", 13, kind, [X("N", 3, 6)])


def norms(case):
    image = X("N", 3, 4, 5)
    stats = [W(3, fill="positive"), W(3), W(3), W(3, fill="positive")]
    for opset in (7, 9, 14, 15):
        case(f"batchnorm_{opset}", opset, "BatchNormalization", [image, *stats], epsilon=1e-3)
    case("batchnorm_2d", 9, "BatchNormalization", [X("N", 3), *stats])
    case("batchnorm_1d", 15, "BatchNormalization", [X("N", 3, 6), *stats])
    case("instancenorm", 7, "InstanceNormalization", [image, W(3), W(3)], epsilon=1e-2)
    case("instancenorm_1d", 13, "InstanceNormalization", [X("N", 3, 7), W(3), W(3)])
    case("lrn", 7, "LRN", [X("N", 7, 3, 2)], size=5, alpha=0.3, beta=0.7, bias=1.5)
    case("lrn_size3", 13, "LRN", [X("N", 6, 3, 3)], size=3, alpha=0.5)
    tokens = X("N", 5, 8)
    case("layernorm", 17, "LayerNormalization", [tokens, W(8), W(8)], epsilon=1e-6)
    case("layernorm_no_bias", 17, "LayerNormalization", [tokens, W(8)])
    case("layernorm_axis1", 17, "LayerNormalization", [tokens, W(5, 8), W(5, 8)], axis=1)
    case("layernorm_large_mean", 17, "LayerNormalization", [V(1000 + np.arange(16).reshape(2, 8)), W(8), W(8)],
         tol=1e-4)
    case("groupnorm", 21, "GroupNormalization", [X("N", 4, 3, 3), W(4), W(4)], num_groups=2)
    case("lpnorm", 11, "LpNormalization", [X("N", 6)], axis=-1, p=2)
    case("lpnorm_1", 7, "LpNormalization", [X("N", 3, 4)], axis=1, p=1)
    case("meanvariance", 13, "MeanVarianceNormalization", [image], tol=1e-4)


def products(case):
    case("gemm", 7, "Gemm", [X("N", 6), W(6, 4), W(4)])
    case("gemm_trans_b", 11, "Gemm", [X("N", 6), W(4, 6), W(4)], transB=1)
    case("gemm_trans_a", 9, "Gemm", [X(6, 3), W(6, 4), W(4)], transA=1)
    case("gemm_both_alpha_beta", 13, "Gemm", [X(6, 3), W(4, 6), W(3, 4)], transA=1, transB=1, alpha=0.5,
         beta=-2.0)
    case("gemm_no_c", 11, "Gemm", [X("N", 6), W(6, 4)], alpha=2.0)
    case("gemm_c_column", 11, "Gemm", [X(3, 6), W(6, 4), W(3, 1)])
    case("gemm_c_scalar", 11, "Gemm", [X("N", 6), W(6, 4), C(0.75)])
    case("gemm_beta0", 11, "Gemm", [X("N", 6), W(6, 4), W(4)], beta=0.0)
    case("gemm_all_inputs", 13, "Gemm", [X(5, 6), X(6, 7), X(5, 7)])
    for name, a, b in (("2d", (3, 6), (6, 4)), ("vector_left", (6,), (6, 4)), ("vector_right", (3, 6), (6,)),
                       ("vectors", (6,), (6,)), ("batched", (2, 3, 5), (2, 5, 4)),
                       ("batched_left", (2, 3, 5), (5, 4)), ("batched_right", (3, 5), (2, 5, 4)),
                       ("broadcast", (2, 1, 3, 5), (4, 5, 2)), ("vector_batched", (5,), (3, 5, 2)),
                       ("batched_vector", (3, 2, 5), (5,)), ("1x1", (1, 1), (1, 1)),
                       ("tails", (17, 33), (33, 19))):
        case("matmul_" + name, 9 if len(a) < 3 else 13, "MatMul", [X(*a), X(*b)])
    case("matmul_weight", 13, "MatMul", [X("N", 4, 6), W(6, 5)])
    case("matmul_weight_left", 13, "MatMul", [W(5, 4), X("N", 4, 3)])
    for equation, shapes in (("ij,jk->ik", [(3, 4), (4, 5)]), ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]),
                             ("bhid,bhjd->bhij", [(2, 2, 3, 4), (2, 2, 5, 4)]), ("ij->ji", [(3, 4)]),
                             ("bij->bi", [(2, 3, 4)]), ("i,j->ij", [(3,), (4,)]), ("ij,ij->", [(3, 4), (3, 4)]),
                             ("bnd,de->bne", [(2, 3, 4), (4, 5)]), ("bhij,bhjd->bihd", [(2, 2, 3, 4), (2, 2, 4, 5)])):
        name = equation.replace(",", "_").replace("->", "_to_").rstrip("_")
        case("einsum_" + name, 12, "Einsum", [X(*s) for s in shapes], equation=equation)


def activations(case):
    wide = X("N", 3, 5, fill="wide")
    for kind, opset, settings in (
            ("Relu", 7, [{}]), ("LeakyRelu", 7, [{}, {"alpha": 0.2}]), ("Elu", 7, [{}, {"alpha": 0.5}]),
            ("Selu", 7, [{}, {"alpha": 1.5, "gamma": 2.0}]), ("Celu", 12, [{}, {"alpha": 2.0}]),
            ("Sigmoid", 7, [{}]), ("Tanh", 7, [{}]), ("HardSigmoid", 7, [{}, {"alpha": 0.3, "beta": 0.4}]),
            ("HardSwish", 14, [{}]), ("Softplus", 7, [{}]), ("Softsign", 7, [{}]), ("Mish", 18, [{}]),
            ("ThresholdedRelu", 10, [{}, {"alpha": 2.0}]), ("Erf", 9, [{}]), ("Abs", 7, [{}]), ("Neg", 7, [{}]),
            ("Gelu", 20, [{}, {"approximate": "tanh"}]),
            ("Floor", 7, [{}]), ("Ceil", 7, [{}]), ("Round", 11, [{}]), ("Sign", 9, [{}]), ("Sin", 7, [{}]),
            ("Cos", 7, [{}])):
        for i, attributes in enumerate(settings):
            case(kind.lower() + ("_attributes" if i else ""), opset, kind, [wide], **attributes)
    for kind in ("Sqrt", "Log", "Reciprocal", "Exp"):
        case(kind.lower(), 7, kind, [X("N", 3, 5, fill="positive")])
    case("round_halves", 11, "Round", [V([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4999998])])
    for kind in ("Abs", "Neg", "Floor", "Ceil", "Exp", "Sqrt", "Log", "Reciprocal"):
        case(kind.lower() + "_ends", 13, kind, [ENDS])
    for kind in ("Sigmoid", "Tanh", "Erf", "HardSigmoid", "Sign", "Softsign"):
        case(kind.lower() + "_far", 13, kind, [FAR])
    for kind in ("Relu", "Elu", "Selu", "Softplus"):
        case(kind.lower() + "_far", 13, kind, [V(FAR.values[:8])])
    case("exp_far", 13, "Exp", [V([-88, -104, -1e30, 89, 1e30])])
    case("log_far", 13, "Log", [V([1e-38, 3e38, 1e-10])])
    case("isnan", 13, "IsNaN", [ENDS])
    case("isinf", 10, "IsInf", [ENDS])
    case("abs_int64", 13, "Abs", [V([-3, 0, 5], np.int64)])
    case("neg_int64", 13, "Neg", [V([-3, 0, 5], np.int64)])
    for name, slope in (("channels", W(3, 1, 1)), ("one", W(1)), ("full", W(3, 4, 5)), ("last", W(5))):
        case("prelu_" + name, 9, "PRelu", [X("N", 3, 4, 5), slope])
    case("prelu_16", 16, "PRelu", [X("N", 3, 4, 5), W(3, 1, 1)])
    case("clip_6", 7, "Clip", [wide], min=-1.0, max=2.5)
    case("clip_6_max", 10, "Clip", [wide], max=2.5)
    case("clip_11", 11, "Clip", [wide, C(0), C(6)])
    case("clip_13_min", 13, "Clip", [wide, C(0.5)])
    case("clip_13_max", 13, "Clip", [wide, None, C(0.5)])
    case("clip_13_none", 13, "Clip", [wide])
    case("clip_int64", 13, "Clip", [V([-5, 0, 5, 9], np.int64), C(-2, np.int64), C(6, np.int64)])
    for kind in ("Softmax", "LogSoftmax"):
        name = kind.lower()
        for opset in (7, 11):   # before 13: everything from `axis` on is one row; axis is 1 by default
            case(f"{name}_{opset}_default", opset, kind, [X("N", 3, 4, fill="wide")])
            case(f"{name}_{opset}_axis2", opset, kind, [X("N", 3, 4, fill="wide")], axis=2)
        case(name + "_11_axis0", 11, kind, [X(2, 3, 4)], axis=0)
        case(name + "_11_last", 11, kind, [X("N", 3, 4)], axis=-1)
        for axis in (0, 1, 2, -1):
            case(f"{name}_13_axis{axis}".replace("-1", "last"), 13, kind, [X(2, 3, 4, fill="wide")], axis=axis)
        case(name + "_13_default", 13, kind, [X("N", 3, 4)])
        case(name + "_large", 13, kind, [V([[1000, 1001, 999], [-1000, -1001, -1003]])])
    case("softmax_masked", 13, "Softmax", [V([[1, -np.inf, 2], [-np.inf, -np.inf, 3]])])
    case("dropout_7", 7, "Dropout", [X("N", 5)], ratio=0.4)
    case("dropout_13", 13, "Dropout", [X("N", 5), C(0.4)])
    case("dropout_13_mask", 13, "Dropout", [X("N", 5)], outputs=2)
    case("identity", 7, "Identity", [X("N", 5)])


def arithmetic(case):
    shapes = {"same": ((2, 3, 4), (2, 3, 4)), "scalar": ((2, 3, 4), ()), "row": ((2, 3, 4), (4,)),
              "channel": ((2, 3, 4), (3, 1)), "both_ways": ((2, 1, 4), (3, 1)), "left_small": ((4,), (2, 3, 4))}
    for kind in ("Add", "Sub", "Mul", "Div"):
        for name, (a, b) in shapes.items():
            fill = "positive" if kind == "Div" else "normal"
            case(f"{kind.lower()}_{name}", 7 if name in ("same", "row") else 13, kind, [X(*a), X(*b, fill=fill)])
        case(kind.lower() + "_weight", 14, kind, [X("N", 3, 2, 2), W(3, 1, 1, fill="positive")])
    case("div_int64", 13, "Div", [V([7, 9, 1], np.int64), V([2, 3, 4], np.int64)])
    case("div_by_zero", 13, "Div", [V([1, -1, 0]), V([0, 0, 0])])
    case("add_int64", 13, "Add", [V([7, 9, 1], np.int64), V([2], np.int64)])
    case("mul_int32", 13, "Mul", [V([7, -9, 1], np.int32), V([2, 3, 4], np.int32)])
    case("mod_int64", 13, "Mod", [V([-7, 7, -7, 7], np.int64), V([3, 3, -3, -3], np.int64)])
    case("mod_fmod", 13, "Mod", [V([-7.5, 7.5, -7.5]), V([2, 2, -2])], fmod=1)
    case("pow_scalar2", 7, "Pow", [CUBE, C(2)])
    case("pow_half", 13, "Pow", [X(2, 3, fill="positive"), C(0.5)])
    case("pow_cube_of_negative", 13, "Pow", [V([-2, -0.5, 0, 3]), C(3)])
    case("pow_int_exponent", 12, "Pow", [CUBE, C(2, np.int64)])
    case("pow_arrays", 13, "Pow", [X(2, 3, fill="positive"), X(3)])
    for kind in ("Max", "Min", "Sum", "Mean"):
        case(kind.lower() + "_two", 8, kind, [CUBE, X(3, 1)])
        case(kind.lower() + "_three", 13, kind, [CUBE, X(3, 1), X(1)])
        case(kind.lower() + "_one", 13, kind, [X("N", 3)])
    case("max_int64", 12, "Max", [V([1, 5], np.int64), V([3], np.int64)])
    for kind in ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"):
        opset = 12 if "Or" in kind else 11
        case(kind.lower(), opset, kind, [V([[1, 2, 3], [3, 2, 1]]), V([1, 2, 2])])
        case(kind.lower() + "_int64", 16 if "Or" in kind else 13, kind, [V([1, 2, 3], np.int64), V(2, np.int64)])
    case("equal_int64_7", 7, "Equal", [V([1, 2, 3], np.int64), V([2], np.int64)])
    for kind in ("And", "Or", "Xor"):
        case(kind.lower(), 7, kind, [X(2, 4, fill="bool"), X(4, fill="bool")])
    case("not", 7, "Not", [X(2, 4, fill="bool")])
    case("where", 9, "Where", [X(2, 3, 4, fill="bool"), CUBE, X(4)])
    case("where_scalar", 16, "Where", [X(3, 1, fill="bool"), C(-7.5), CUBE])
    case("where_int64", 9, "Where", [V([True, False, True], bool), V([1, 2, 3], np.int64), V([9], np.int64)])


def reductions(case):
    for kind in ("Mean", "Sum", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"):
        name, full = "reduce" + kind.lower(), "Reduce" + kind
        cube = X(2, 3, 4, fill="positive" if kind == "LogSum" else "normal")
        case(name + "_last", 7, full, [cube], axes=[2])
        case(name + "_negative_axis", 11, full, [cube], axes=[-1], keepdims=0)
        case(name + "_two_axes", 7, full, [cube], axes=[0, 2], keepdims=0)
        case(name + "_all", 7, full, [cube], keepdims=0)
        case(name + "_all_keep", 11, full, [cube])
        case(name + "_input", 13 if kind == "Sum" else 18, full, [cube, ints(1)], keepdims=0)
        case(name + "_input_two", 13 if kind == "Sum" else 18, full, [cube, ints(-1, 0)])
        case(name + "_input_none", 18, full, [cube])
        case(name + "_noop", 18, full, [cube, C([], np.int64)], noop_with_empty_axes=1)
    case("reducemean_image", 13, "ReduceMean", [X("N", 3, 4, 5)], axes=[2, 3], keepdims=0)
    case("reducesum_int64", 13, "ReduceSum", [V([[1, 2], [3, 4]], np.int64), ints(0)])
    case("reducemax_int64", 13, "ReduceMax", [V([[1, 2], [4, 3]], np.int64)], axes=[1])
    ties = V([[2, 1, 1, 3, 3, 0], [5, 5, 5, 5, 5, 5]])
    for kind in ("ArgMax", "ArgMin"):
        case(kind.lower(), 7, kind, [X("N", 5, 4)], axis=1)
        case(kind.lower() + "_default", 11, kind, [CUBE])
        case(kind.lower() + "_flat", 13, kind, [X("N", 5)], axis=-1, keepdims=0)
        case(kind.lower() + "_first_of_ties", 11, kind, [ties], axis=1)
        case(kind.lower() + "_last_of_ties", 12, kind, [ties], axis=1, select_last_index=1)
    case("topk_7", 7, "TopK", [X("N", 7)], outputs=2, k=3)
    case("topk_10", 10, "TopK", [X("N", 7), ints(2)], outputs=2, axis=1)
    case("topk_11_smallest", 11, "TopK", [X(2, 5, 3), ints(2)], outputs=2, axis=1, largest=0)
    case("topk_ties", 11, "TopK", [V([[1, 3, 3, 2, 3]]), ints(3)], outputs=2)
    case("cumsum", 11, "CumSum", [CUBE, C(1, np.int64)])
    case("cumsum_exclusive_reverse", 14, "CumSum", [CUBE, C(-1, np.int64)], exclusive=1, reverse=1)
    case("cumsum_int64", 14, "CumSum", [X("N", 6, fill="mask"), C(1, np.int64)])


def shapes(case):
    case("transpose_default", 7, "Transpose", [CUBE])
    for perm in ([0, 2, 1], [1, 0, 2], [2, 0, 1], [0, 1, 2]):
        case("transpose_" + "".join(map(str, perm)), 13, "Transpose", [CUBE], perm=perm)
    case("transpose_heads", 13, "Transpose", [X("N", 5, 2, 3)], perm=[0, 2, 1, 3])
    case("transpose_5d", 13, "Transpose", [X(2, 3, 2, 3, 2)], perm=[0, 3, 1, 4, 2])
    case("transpose_int64", 13, "Transpose", [X(2, 3, fill=9)], perm=[1, 0])
    case("reshape", 7, "Reshape", [CUBE, ints(6, 4)])
    case("reshape_minus1", 13, "Reshape", [X("N", 3, 4), ints(-1, 12)])
    case("reshape_zero", 7, "Reshape", [X("N", 3, 4), ints(0, -1)])
    case("reshape_zero_middle", 13, "Reshape", [X("N", 4, 6), ints(0, 0, 2, 3)])
    case("reshape_allowzero", 14, "Reshape", [X(0, 3, 4), ints(3, 0)], allowzero=1)
    case("reshape_to_scalar", 13, "Reshape", [X(1, 1), C([], np.int64)])
    for axis in (0, 1, 2, 3):
        case(f"flatten_{axis}", 9, "Flatten", [CUBE], axis=axis)
    case("flatten_default", 7, "Flatten", [X("N", 3, 2, 2)])
    case("flatten_negative", 13, "Flatten", [CUBE], axis=-1)
    for opset, extra in ((7, "attr"), (11, "attr"), (13, "input")):
        axes = {"axes": [0, 3]} if extra == "attr" else {}
        more = [ints(0, 3)] if extra == "input" else []
        case(f"squeeze_{opset}", opset, "Squeeze", [X(1, 3, 2, 1), *more], **axes)
        case(f"unsqueeze_{opset}", opset, "Unsqueeze", [X(3, 2), *more], **axes)
    case("squeeze_all", 13, "Squeeze", [X(1, 3, 1, 2)])
    case("squeeze_negative", 11, "Squeeze", [X(3, 1)], axes=[-1])
    case("unsqueeze_negative", 13, "Unsqueeze", [X(3, 2), ints(-1)])
    case("unsqueeze_scalar", 13, "Unsqueeze", [V(3, np.int64), ints(0)])
    for axis in (0, 1, 2, -1):
        case(f"concat_{axis}".replace("-1", "last"), 11 if axis < 0 else 7, "Concat", [CUBE, X(2, 3, 4)], axis=axis)
    case("concat_channels", 13, "Concat", [X("N", 2, 3, 3), X("N", 1, 3, 3), X("N", 4, 3, 3)], axis=1)
    case("concat_one", 13, "Concat", [CUBE], axis=1)
    case("concat_int64", 13, "Concat", [V([1], np.int64), V([2, 3], np.int64)], axis=0)
    case("split_7_even", 7, "Split", [X("N", 6)], outputs=3, axis=1)
    case("split_11_sizes", 11, "Split", [X("N", 6)], outputs=2, axis=-1, split=[1, 5])
    case("split_13_sizes", 13, "Split", [X("N", 6), ints(4, 2)], outputs=2, axis=1)
    case("split_13_even", 13, "Split", [X(4, 3)], outputs=2)
    case("split_18_num_outputs", 18, "Split", [X("N", 7)], outputs=3, axis=1, num_outputs=3)
    case("slice_9", 9, "Slice", [CUBE], axes=[1, 2], starts=[1, -3], ends=[3, 1000])
    case("slice_9_no_axes", 7, "Slice", [CUBE], starts=[0, 1], ends=[1, 3])
    case("slice_10", 10, "Slice", [X("N", 5, 6), ints(1, 0), ints(4, 5), ints(1, 2)])
    case("slice_steps", 11, "Slice", [X("N", 5, 6), ints(0, 1), ints(5, 6), ints(1, -1), ints(2, 3)])
    case("slice_backwards", 13, "Slice", [X("N", 6), ints(-1), ints(-1000), ints(1), ints(-1)])
    case("slice_backwards_steps", 13, "Slice", [X(7, 4), ints(5), ints(0), ints(0), ints(-2)])
    case("slice_to_int_max", 13, "Slice", [X("N", 6), ints(2), ints(2**63 - 1), ints(1)])
    case("slice_empty", 13, "Slice", [X(2, 6), ints(3), ints(3), ints(1)])
    case("slice_int32_indices", 10, "Slice", [X(4, 3), C([1], np.int32), C([3], np.int32), C([0], np.int32)])
    image = X("N", 2, 4, 5)
    case("pad_2_constant", 7, "Pad", [image], pads=[0, 0, 1, 2, 0, 0, 3, 0], value=0.5)
    case("pad_2_reflect", 10, "Pad", [image], mode="reflect", pads=[0, 0, 1, 2, 0, 0, 3, 1])
    for mode in ("constant", "reflect", "edge"):
        case("pad_11_" + mode, 11, "Pad", [image, ints(0, 0, 1, 2, 0, 0, 2, 1)], mode=mode)
    case("pad_13_value", 13, "Pad", [image, ints(0, 1, 0, 0, 0, 0, 0, 2), C(-1.5)])
    case("pad_13_crop", 13, "Pad", [image, ints(0, 0, -1, 0, 0, 0, 0, -2)])
    case("pad_18_axes", 18, "Pad", [image, ints(1, 2, 0, 1), C(0.25), ints(2, -1)])
    case("pad_19_wrap", 19, "Pad", [X(3, 4), ints(1, 2, 0, 1)], mode="wrap")
    case("expand", 8, "Expand", [X(3, 1), ints(2, 3, 4)])
    case("expand_keeps_larger", 13, "Expand", [X(2, 3, 4), ints(3, 1)])
    case("tile", 7, "Tile", [X(2, 3), ints(2, 3)])
    case("tile_channels", 13, "Tile", [X("N", 2, 1), ints(1, 1, 4)])
    case("shape", 7, "Shape", [X("N", 3, 4)])
    case("shape_15_part", 15, "Shape", [X("N", 3, 4, 5)], start=1, end=-1)
    case("shape_scalar", 13, "Shape", [X()])
    case("size", 7, "Size", [X("N", 3, 4)])
    case("depthtospace_dcr", 7, "DepthToSpace", [X("N", 8, 2, 3)], blocksize=2)
    case("depthtospace_crd", 11, "DepthToSpace", [X("N", 8, 2, 3)], blocksize=2, mode="CRD")
    case("spacetodepth", 7, "SpaceToDepth", [X("N", 2, 4, 6)], blocksize=2)
    case("trilu_upper", 14, "Trilu", [X("N", 4, 5)])
    case("trilu_lower_k", 14, "Trilu", [X(4, 5), C(1, np.int64)], upper=0)
    case("trilu_negative_k", 14, "Trilu", [X(5, 4), C(-2, np.int64)], upper=1)


def indices(case):
    table = W(7, 4)
    case("gather_rows", 7, "Gather", [table, X("N", 3, fill=7)])
    case("gather_axis1", 11, "Gather", [CUBE, V([2, 0], np.int64)], axis=1)
    case("gather_scalar", 13, "Gather", [CUBE, C(1, np.int64)], axis=1)
    case("gather_negative", 13, "Gather", [CUBE, V([[-1, 0], [1, -4]], np.int64)], axis=-1)
    case("gather_int32", 13, "Gather", [table, V([[1, 6]], np.int32)])
    case("gatherelements", 11, "GatherElements", [X(3, 4), V([[0, 2, 1, 0], [2, 2, -1, 1]], np.int64)], axis=0)
    case("gatherelements_last", 13, "GatherElements", [X("N", 4), C([[3, 0]], np.int64)], axis=1, sizes=({"N": 1},))
    case("gathernd", 11, "GatherND", [CUBE, V([[0, 1], [1, 2]], np.int64)])
    case("gathernd_batch", 12, "GatherND", [CUBE, V([[1], [-1]], np.int64)], batch_dims=1)
    case("scatternd", 11, "ScatterND", [X(4, 3), V([[1], [3]], np.int64), X(2, 3)])
    case("scatterelements", 11, "ScatterElements", [X(2, 5), V([[1, 4], [0, 2]], np.int64), X(2, 2)], axis=1)
    case("onehot", 9, "OneHot", [X("N", 2, fill=5), C(5, np.int64), C([0, 1])])
    case("onehot_axis0", 11, "OneHot", [V([1, -1, 7], np.int64), C([4], np.int64), C([-1, 2])], axis=0)
    case("range", 11, "Range", [V(2, np.int64), V(11, np.int64), V(3, np.int64)])
    case("range_down", 11, "Range", [V(5, np.int64), V(-1, np.int64), V(-2, np.int64)])
    case("range_float", 11, "Range", [V(0), V(1), V(0.25)])
    case("constantofshape", 9, "ConstantOfShape", [ints(2, 3)],
         value=numpy_helper.from_array(np.array([1.5], np.float32)))
    case("constantofshape_default", 9, "ConstantOfShape", [ints(4)])
    case("constantofshape_int64", 9, "ConstantOfShape", [ints(2)],
         value=numpy_helper.from_array(np.array([-3], np.int64)))
    case("constantofshape_scalar", 9, "ConstantOfShape", [C([], np.int64)])
    values = np.arange(6, dtype=np.float32).reshape(2, 3) - 2.5
    case("constant", 7, "Constant", [], value=numpy_helper.from_array(values))
    case("constant_float_data", 7, "Constant", [], value=helper.make_tensor("", TensorProto.FLOAT, (2, 3), values.ravel()))
    case("constant_int64", 11, "Constant", [], value=numpy_helper.from_array(np.array([1, -1], np.int64)))
    for key, value in (("value_float", 2.5), ("value_floats", [1.0, 2.0]), ("value_int", -3), ("value_ints", [4, 5])):
        case("constant_" + key, 13, "Constant", [], **{key: value})
    odd = V([-2.7, -1.0, -0.2, 0.0, 0.7, 1.0, 100.9])
    for name, to in (("int64", TensorProto.INT64), ("int32", TensorProto.INT32), ("bool", TensorProto.BOOL),
                     ("float16", TensorProto.FLOAT16), ("int8", TensorProto.INT8), ("float", TensorProto.FLOAT)):
        case("cast_to_" + name, 13, "Cast", [odd], to=to)
    for dtype in (np.int64, np.int32, bool, np.float16, np.uint8, np.int8):
        case("cast_from_" + np.dtype(dtype).name, 9, "Cast", [V([0, 1, 1, 3], dtype)], to=TensorProto.FLOAT)
    case("cast_from_bfloat16", 13, "Cast", [C([1.5, -2.0, 0.1], ml_dtypes.bfloat16)], to=TensorProto.FLOAT)
    case("castlike", 15, "CastLike", [odd, C([0], np.int64)])


def resizes(case):
    image = X("N", 2, 4, 3)
    case("upsample_7", 7, "Upsample", [image], scales=[1.0, 1.0, 2.0, 3.0])
    case("upsample_9", 9, "Upsample", [image, C([1, 1, 2, 2])])
    case("upsample_9_linear", 9, "Upsample", [image, C([1, 1, 2, 2])], mode="linear")
    case("resize_10", 10, "Resize", [image, C([1, 1, 2, 2])])
    none = C([])
    for opset in (11, 13):
        roi = none if opset == 11 else None
        for how in ("asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel"):
            for mode in ("nearest", "linear"):
                more = {"nearest_mode": "floor"} if mode == "nearest" else {}
                scales = C([1, 1, 2, 2 if how == "align_corners" else 1.5])
                case(f"resize_{opset}_{mode}_{how}", opset, "Resize", [image, roi, scales],
                     mode=mode, coordinate_transformation_mode=how, **more)
    for how in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
        case("resize_nearest_" + how, 13, "Resize", [X("N", 1, 5, 4), None, C([1, 1, 0.7, 1.7])], mode="nearest",
             nearest_mode=how)
    case("resize_sizes_linear", 11, "Resize", [image, none, none, ints(3, 2, 7, 5)], mode="linear",
         coordinate_transformation_mode="pytorch_half_pixel", sizes=({"N": 3},))
    case("resize_sizes_nearest", 13, "Resize", [image, None, None, ints(1, 2, 8, 6)], mode="nearest",
         coordinate_transformation_mode="asymmetric", nearest_mode="floor", sizes=({"N": 1},))
    case("resize_down_linear", 13, "Resize", [X("N", 1, 6, 8), None, C([1, 1, 0.5, 0.5])], mode="linear")
    case("resize_cubic", 13, "Resize", [image, None, C([1, 1, 2, 2])], mode="cubic", cubic_coeff_a=-0.75)
    case("resize_18_axes", 18, "Resize", [image, None, C([2, 2])], mode="linear", axes=[2, 3])
    case("resize_19_linear", 19, "Resize", [image, None, C([1, 1, 2, 2])], mode="linear")


def encodings(writer):
    """The ways in which a file holds a weight."""
    for opset in (7, 13):
        net = Net(writer, f"typed_data_{opset}", opset)
        net.typed = True
        x = net.op("Reshape", net.x("x", "N", 2, 3), net.ints(-1, 6))
        net.save(net.op("Gemm", x, W(6, 4), W(4)))
    for dtype in (np.float16, ml_dtypes.bfloat16, np.int8, np.uint8, bool, np.int32):
        for typed in (False, True):
            name = np.dtype(dtype).name
            net = Net(writer, f"weight_{name}_{'typed' if typed else 'raw'}", 13)
            net.typed = typed
            values = np.round(8 * net.rng.uniform(0, 3, (4, 3))) / 8
            w = net.op("Cast", C(values, dtype), to=TensorProto.FLOAT)
            net.save(net.op("MatMul", net.x("x", "N", 4), w))
    net = Net(writer, "external_data", 13)
    net.external = True
    h = net.op("Relu", net.op("Gemm", net.x("x", "N", 6), W(5, 6), W(5), transB=1))
    net.save(net.op("MatMul", h, W(5, 4)))


def write(writer):
    case = functools.partial(one, writer)
    for family in (pools, norms, activations, arithmetic, reductions, shapes, indices, resizes):
        family(case)
    for family in (convolutions, products):     # kernels tend to have a way of their own for batch 1
        family(functools.partial(case, sizes=({"N": 1}, {"N": 3})))
    encodings(writer)
