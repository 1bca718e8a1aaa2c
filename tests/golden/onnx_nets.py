# SPDX-License-Identifier: Apache-2.0
"""Small whole networks as exporters write them, and the chains of shape arithmetic in between."""
import numpy as np
from onnx import TensorProto, numpy_helper

from onnx_case import C, Net, V, W

PAD1 = [1, 1, 1, 1]
TEXT = tuple({"N": n, "T": t} for n, t in ((1, 5), (3, 4)))   # batch and tokens


def conv(net, x, c_in, c_out, k=3, bias=True, **attributes):
    group = attributes.get("group", 1)
    args = [x, W(c_out, c_in // group, k, k)] + ([W(c_out)] if bias else [])
    return net.op("Conv", *args, kernel_shape=[k, k], **attributes)


def batch_norm(net, x, channels):
    return net.op("BatchNormalization", x, W(channels, fill="positive"), W(channels), W(channels),
                  W(channels, fill="positive"), epsilon=1e-5)


def conv_bn(net, x, c_in, c_out, k=3, **attributes):
    return batch_norm(net, conv(net, x, c_in, c_out, k, bias=False, **attributes), c_out)


def head(net, x, channels, classes=5):
    x = net.op("Flatten", net.op("GlobalAveragePool", x))
    return net.op("Gemm", x, W(classes, channels), W(classes), transB=1)


def lenet(writer):
    for opset, last in ((7, {"axis": 1}), (13, {"axis": -1}), (21, {})):
        net = Net(writer, f"net_lenet_{opset}", opset)
        x = net.x("image", "N", 1, 16, 16)
        x = net.op("MaxPool", net.op("Tanh", conv(net, x, 1, 4, 5, pads=[2, 2, 2, 2])), kernel_shape=[2, 2],
                   strides=[2, 2])
        x = net.op("AveragePool", net.op("Relu", conv(net, x, 4, 6)), kernel_shape=[2, 2], strides=[2, 2])
        x = net.op("Reshape", x, net.ints(-1, 54))
        x = net.op("Relu", net.op("Gemm", x, W(12, 54), W(12), transB=1))
        net.save(net.op("Softmax", net.op("Gemm", x, W(12, 10), W(10)), **last))


def mlp(writer):
    net = Net(writer, "net_mlp_matmul_add", 13)
    x = net.x("x", "N", 20)
    for n_in, n_out in ((20, 16), (16, 16), (16, 7)):
        x = net.op("Add", net.op("MatMul", x, W(n_in, n_out)), W(n_out))
        x = net.op("Relu", x) if n_out != 7 else net.op("Softmax", x)
    net.save(x)


def resnet(writer):
    for opset in (9, 16):
        resnet_of(Net(writer, f"net_resnet_{opset}", opset, tol=1e-4))


def resnet_of(net):
    x = net.op("Relu", conv_bn(net, net.x("image", "N", 3, 17, 17), 3, 6, strides=[2, 2], pads=PAD1))
    x = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=PAD1)
    c_in = 6
    for c_out, stride in ((6, 1), (10, 2)):
        y = net.op("Relu", conv_bn(net, x, c_in, c_out, strides=[stride] * 2, pads=PAD1))
        y = conv_bn(net, y, c_out, c_out, pads=PAD1)
        if c_in != c_out:
            x = conv_bn(net, x, c_in, c_out, 1, strides=[stride] * 2)
        x, c_in = net.op("Relu", net.op("Add", y, x)), c_out
    net.save(head(net, x, c_in))


def densenet(writer):
    net = Net(writer, "net_densenet", 11, tol=1e-4)
    x, channels = conv(net, net.x("image", "N", 3, 12, 12), 3, 4, bias=False, pads=PAD1), 4
    for block in range(2):
        for _ in range(2):      # each layer's output joins all that stand before it
            y = conv(net, net.op("Relu", batch_norm(net, x, channels)), channels, 6, 1, bias=False)
            y = conv(net, net.op("Relu", batch_norm(net, y, 6)), 6, 3, bias=False, pads=PAD1)
            x, channels = net.op("Concat", x, y, axis=1), channels + 3
        if block == 0:
            x = conv(net, net.op("Relu", batch_norm(net, x, channels)), channels, 5, 1, bias=False)
            x, channels = net.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), 5
    net.save(head(net, net.op("Relu", batch_norm(net, x, channels)), channels))


def mobilenet(writer):
    net = Net(writer, "net_mobilenet", 13, tol=1e-4)

    def relu6(x):
        return net.op("Clip", x, C(0), C(6))

    x = relu6(conv_bn(net, net.x("image", "N", 3, 13, 13), 3, 4, strides=[2, 2], pads=PAD1))
    for stride, c_out in ((1, 4), (2, 6)):
        y = relu6(conv_bn(net, x, 4, 12, 1))
        y = relu6(conv_bn(net, y, 12, 12, group=12, strides=[stride] * 2, pads=PAD1))
        y = conv_bn(net, y, 12, c_out, 1)
        x = net.op("Add", x, y) if stride == 1 else y
    net.save(head(net, x, 6))


def squeeze_excite(writer):
    net = Net(writer, "net_squeeze_excite", 14, tol=1e-4)
    x = net.op("HardSwish", conv(net, net.x("image", "N", 3, 8, 8), 3, 8, pads=PAD1))
    gate = net.op("ReduceMean", x, axes=[2, 3], keepdims=1)
    gate = net.op("Relu", conv(net, gate, 8, 2, 1))
    gate = net.op("HardSigmoid", conv(net, gate, 2, 8, 1), alpha=1 / 6, beta=0.5)
    x = net.op("Mul", x, gate)
    sig = net.op("Mul", x, net.op("Sigmoid", x))        # silu as it is exported
    net.save(head(net, sig, 8), gate)


def inception(writer):
    net = Net(writer, "net_inception_lrn", 9, tol=1e-4)
    x = net.op("Relu", conv(net, net.x("image", "N", 3, 10, 10), 3, 6, pads=PAD1))
    x = net.op("LRN", x, size=5, alpha=1e-2, beta=0.75, bias=1.0)
    ways = [conv(net, x, 6, 3, 1), conv(net, conv(net, x, 6, 2, 1), 2, 4, pads=PAD1),
            conv(net, net.op("MaxPool", x, kernel_shape=[3, 3], pads=PAD1, strides=[1, 1]), 6, 2, 1)]
    x = net.op("Dropout", net.op("Concat", *[net.op("Relu", w) for w in ways], axis=1), ratio=0.4)
    net.save(net.op("Softmax", head(net, x, 9), axis=1))


def unet(writer):
    net = Net(writer, "net_unet", 11, tol=1e-4)
    down = net.op("LeakyRelu", conv(net, net.x("image", "N", 2, 8, 8), 2, 4, pads=PAD1), alpha=0.1)
    low = net.op("Relu", conv(net, net.op("MaxPool", down, kernel_shape=[2, 2], strides=[2, 2]), 4, 6, pads=PAD1))
    up = net.op("ConvTranspose", low, W(6, 4, 2, 2), W(4), strides=[2, 2], kernel_shape=[2, 2])
    also = net.op("Resize", low, net.c([]), net.c([1, 1, 2, 2]), mode="nearest", nearest_mode="floor",
                  coordinate_transformation_mode="asymmetric")
    x = net.op("Concat", down, up, also, axis=1)
    net.save(net.op("Sigmoid", conv(net, x, 14, 1, 1)))


def conv1d(writer):
    net = Net(writer, "net_conv1d", 13, tol=1e-4)
    x = net.x("samples", "N", 1, 64)
    for c_in, c_out, stride in ((1, 4, 2), (4, 6, 2), (6, 8, 1)):
        x = net.op("Conv", x, W(c_out, c_in, 5), W(c_out), kernel_shape=[5], strides=[stride], pads=[2, 2])
        x = net.op("Relu", batch_norm(net, x, c_out))
    x = net.op("MaxPool", x, kernel_shape=[2], strides=[2])
    x = net.op("ReduceMean", x, axes=[2], keepdims=0)
    net.save(net.op("LogSoftmax", net.op("Gemm", x, W(3, 8), W(3), transB=1), axis=-1))


def layer_norm(net, x, width):
    """As PyTorch exports it before opset 17."""
    centred = net.op("Sub", x, net.op("ReduceMean", x, axes=[-1]))
    variance = net.op("ReduceMean", net.op("Pow", centred, net.c(2)), axes=[-1])
    deviation = net.op("Sqrt", net.op("Add", variance, net.c(1e-5)))
    return net.op("Add", net.op("Mul", net.op("Div", centred, deviation), W(width, fill="positive")), W(width))


def linear(net, x, n_in, n_out):
    return net.op("Add", W(n_out), net.op("MatMul", x, W(n_in, n_out)))


def gelu(net, x):
    """As PyTorch exports it before opset 20."""
    erf = net.op("Erf", net.op("Div", x, net.c(np.sqrt(2))))
    return net.op("Mul", net.op("Mul", x, net.op("Add", erf, net.c(1))), net.c(0.5))


def dim(net, x, axis):
    """Length of one axis as a tensor [1], by Shape, Gather and Unsqueeze."""
    axes = net.ints(0)
    return net.op("Unsqueeze", net.op("Gather", net.op("Shape", x), net.c(axis, np.int64), axis=0), axes)


def heads_of(net, x, heads, width, perm):
    shape = net.op("Concat", dim(net, x, 0), dim(net, x, 1), net.ints(heads), net.ints(width // heads), axis=0)
    return net.op("Transpose", net.op("Reshape", x, shape), perm=perm)


def attention(net, x, bias, heads, width):
    q = heads_of(net, linear(net, x, width, width), heads, width, [0, 2, 1, 3])
    k = heads_of(net, linear(net, x, width, width), heads, width, [0, 2, 3, 1])
    v = heads_of(net, linear(net, x, width, width), heads, width, [0, 2, 1, 3])
    scores = net.op("Div", net.op("MatMul", q, k), net.c(np.sqrt(width / heads)))
    weights = net.op("Softmax", net.op("Add", scores, bias), axis=-1)
    mixed = net.op("Transpose", net.op("MatMul", weights, v), perm=[0, 2, 1, 3])
    shape = net.op("Concat", dim(net, mixed, 0), dim(net, mixed, 1), net.ints(width), axis=0)
    return linear(net, net.op("Reshape", mixed, shape), width, width)


def bert(writer):
    net = Net(writer, "net_bert", 13, tol=1e-4, sizes=TEXT)
    width = 8
    ids, mask = net.x("input_ids", "N", "T", fill=11), net.x("attention_mask", "N", "T", fill="mask")
    bias = net.op("Cast", net.op("Unsqueeze", mask, net.ints(1, 2)), to=TensorProto.FLOAT)
    bias = net.op("Mul", net.op("Sub", net.c(1), bias), net.c(-10000))
    places = net.op("Slice", net.c(np.arange(16).reshape(1, 16), np.int64), net.ints(0), dim(net, ids, 1),
                    net.ints(1), net.ints(1))
    x = net.op("Add", net.op("Gather", W(11, width), ids), net.op("Gather", W(16, width), places))
    x = layer_norm(net, x, width)
    for _ in range(2):
        x = layer_norm(net, net.op("Add", attention(net, x, bias, 2, width), x), width)
        y = linear(net, gelu(net, linear(net, x, width, 16)), 16, width)
        x = layer_norm(net, net.op("Add", y, x), width)
    first = net.op("Gather", x, net.c(0, np.int64), axis=1)
    net.save(x, net.op("Tanh", net.op("Gemm", first, W(width, width), W(width), transB=1)))


def vit(writer):
    net = Net(writer, "net_vit", 20, tol=1e-4)
    width, heads, tokens = 8, 2, 10
    x = conv(net, net.x("image", "N", 3, 12, 12), 3, width, 4, strides=[4, 4])
    batch = net.op("Shape", x, start=0, end=1)
    x = net.op("Transpose", net.op("Reshape", x, net.ints(0, width, -1)), perm=[0, 2, 1])
    first = net.op("Expand", W(1, 1, width), net.op("Concat", batch, net.ints(1, width), axis=0))
    x = net.op("Add", net.op("Concat", first, x, axis=1), W(1, tokens, width))
    y = net.op("LayerNormalization", x, W(width, fill="positive"), W(width), epsilon=1e-6)
    qkv = net.op("Reshape", linear(net, y, width, 3 * width), net.ints(0, tokens, 3, heads, width // heads))
    q, k, v = net.op("Split", net.op("Transpose", qkv, perm=[2, 0, 3, 1, 4]), outputs=3, num_outputs=3)
    q, k, v = (net.op("Squeeze", t, net.ints(0)) for t in (q, k, v))
    scores = net.op("MatMul", net.op("Mul", q, net.c(0.5)), net.op("Transpose", k, perm=[0, 1, 3, 2]))
    y = net.op("Transpose", net.op("MatMul", net.op("Softmax", scores), v), perm=[0, 2, 1, 3])
    x = net.op("Add", x, linear(net, net.op("Reshape", y, net.ints(0, 0, width)), width, width))
    y = net.op("LayerNormalization", x, W(width, fill="positive"), W(width), epsilon=1e-6)
    x = net.op("Add", x, linear(net, net.op("Gelu", linear(net, y, width, 16)), 16, width))
    x = net.op("Gather", x, net.c(0, np.int64), axis=1)
    net.save(net.op("Gemm", x, W(4, width), W(4), transB=1))


def causal(writer):
    """A masked encoder layer whose mask is made from shapes: Range, Unsqueeze, LessOrEqual, Where."""
    net = Net(writer, "net_causal", 13, tol=1e-4, sizes=TEXT)
    width = 8
    x = net.x("x", "N", "T", width)
    count = net.op("Gather", net.op("Shape", x), net.c(1, np.int64), axis=0)
    row = net.op("Range", net.c(0, np.int64), count, net.c(1, np.int64))
    seen = net.op("LessOrEqual", net.op("Unsqueeze", row, net.ints(0)), net.op("Unsqueeze", row, net.ints(1)))
    bias = net.op("Where", seen, net.c(0), net.c(-1e4))
    net.save(net.op("Add", x, attention(net, x, bias, 2, width)))


def chains(writer):
    net = Net(writer, "chain_view", 11)     # x.view(x.size(0), -1)
    x = net.x("x", "N", 3, 4)
    size = net.op("Gather", net.op("Shape", x), net.c(0, np.int64), axis=0)
    shape = net.op("Concat", net.op("Unsqueeze", size, axes=[0]), net.ints(-1), axis=0)
    net.save(net.op("Reshape", x, shape))

    net = Net(writer, "chain_expand", 13)   # expand() with -1: where(shape == -1, 1, shape)
    x = net.x("x", "N", 3)
    shape = net.op("Concat", dim(net, x, 0), net.ints(-1), net.ints(2), axis=0)
    ones = net.op("ConstantOfShape", net.op("Shape", shape), value=numpy_helper.from_array(np.array([1])))
    minus = net.op("Mul", ones, net.c(-1, np.int64))
    shape = net.op("Where", net.op("Equal", shape, minus), ones, shape)
    net.save(net.op("Expand", net.op("Unsqueeze", x, net.ints(2)), shape))

    net = Net(writer, "chain_half", 13, sizes=({"N": 2}, {"N": 4}))     # sum of half a named dim
    x = net.x("x", "N", 3)
    half = net.op("Div", dim(net, x, 0), net.ints(2))
    net.save(net.op("ReduceSum", net.op("Slice", x, net.ints(0), half, net.ints(0)), net.ints(0)))

    net = Net(writer, "chain_resize_like", 13, tol=1e-5)    # interpolate(x, size of y)
    x, y = net.x("x", "N", 2, 3, 4), net.x("y", "N", 1, 6, 7)
    sizes = net.op("Concat", net.op("Slice", net.op("Shape", x), net.ints(0), net.ints(2)),
                   net.op("Cast", net.op("Slice", net.op("Shape", y), net.ints(2), net.ints(4)),
                          to=TensorProto.INT64), axis=0)
    net.save(net.op("Resize", x, None, None, sizes, mode="linear", coordinate_transformation_mode="half_pixel"))

    net = Net(writer, "chain_shuffle", 9)   # channel shuffle
    x = net.op("Reshape", net.x("x", "N", 6, 2, 2), net.ints(-1, 2, 3, 2, 2))
    x = net.op("Transpose", x, perm=[0, 2, 1, 3, 4])
    net.save(net.op("Reshape", x, net.ints(-1, 6, 2, 2)))

    net = Net(writer, "chain_normalize", 11)    # x / max(|x|, eps)
    x = net.x("x", "N", 5)
    norm = net.op("Expand", net.op("Clip", net.op("ReduceL2", x, axes=[1]), C(1e-12)), net.op("Shape", x))
    net.save(net.op("Div", x, norm))

    net = Net(writer, "graph_reuse", 13)    # unused node, output used inside, input given twice
    x = net.x("x", "N", 4)
    y = net.op("Relu", x)
    net.op("Exp", x)
    z = net.op("Mul", y, y)
    net.save(z, y, net.op("Identity", z))

    net = Net(writer, "graph_constant_output", 13)  # an output that no input reaches
    x = net.x("x", "N", 2)
    net.save(net.op("Neg", x), net.op("Add", net.c([1, 2]), net.c([3, 4])))

    net = Net(writer, "graph_optional_outputs", 13) # MaxPool's second output is the winners' places
    net.inputs["x"] = V(np.arange(32).reshape(1, 2, 4, 4) * 7 % 32)
    best, where = net.op("MaxPool", "x", outputs=2, kernel_shape=[2, 2], strides=[2, 2])
    net.save(best, where)


def write(writer):
    for make in (lenet, mlp, resnet, densenet, mobilenet, squeeze_excite, inception, unet, conv1d,
                 bert, vit, causal, chains):
        make(writer)
