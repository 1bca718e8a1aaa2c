#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""train.py --data FOLDER [--seed 1] [--epochs 12] [--out digits.onnx]

Trains the digit network of this folder on MNIST and writes it as ONNX.
FOLDER holds the four idx .gz files of MNIST. Needs jax (CPU), numpy and onnx.

The pictures are bent at random while training (turned, scaled, slanted, moved, made thicker and
thinner, darker and blurred), so that digits which no one of the MNIST writers wrote are read too.
The last 5,000 training images are held out; the test images are looked at once, at the end.
The graph is written node by node with the onnx package, so it holds what is needed and no more.
"""
import argparse
import gzip
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BATCH, HELD_OUT, PEAK_RATE = 128, 5000, 2e-3
METADATA = {    # the keys are explained in README.md
    "fettle.labels": "0,1,2,3,4,5,6,7,8,9",
    "fettle.image.size": "28x28",
    "fettle.image.channels": "1",
    "fettle.image.scale": "0.00392156862745098",
    "fettle.image.mean": "0",
    "fettle.image.std": "1",
}


def read_idx(path):
    """An idx file of bytes: 0 0 8 rank, the dims as big-endian u32, the data."""
    raw = gzip.decompress(path.read_bytes())
    assert raw[:3] == b"\0\0\x08", f"{path}: not an idx file of bytes"
    dims = np.frombuffer(raw, ">u4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(dims)


def load(folder, part):
    """Images [N,1,28,28] f32 in [0,1] and labels [N] i32."""
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz")
    return images[:, None].astype(np.float32) / 255, labels.astype(np.int32)


def new_weights(rng):
    """He's scale for what feeds a Relu."""
    shapes = {"conv1.weight": (8, 1, 5, 5), "conv2.weight": (16, 8, 5, 5),
              "fc1.weight": (64, 784), "fc2.weight": (10, 64)}
    w = {}
    for name, shape in shapes.items():
        fan_in = np.prod(shape[1:])
        w[name] = rng.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32)
        w[name.replace("weight", "bias")] = np.zeros(shape[0], np.float32)
    return w


def pool(x, size, stride, pad, reduce=jax.lax.max, start=-jnp.inf):
    return jax.lax.reduce_window(x, start, reduce, (1, 1, size, size), (1, 1, stride, stride),
                                 ((0, 0), (0, 0), (pad, pad), (pad, pad)))


def logits(w, x):
    """[N,1,28,28] -> [N,10]: the same net that `graph` writes down."""
    for layer in ("conv1", "conv2"):
        x = jax.lax.conv(x, w[layer + ".weight"], (1, 1), "SAME")
        x = pool(jax.nn.relu(x + w[layer + ".bias"][:, None, None]), 2, 2, 0)
    x = x.reshape(len(x), -1)
    x = jax.nn.relu(x @ w["fc1.weight"].T + w["fc1.bias"])
    return x @ w["fc2.weight"].T + w["fc2.bias"]


def bend(x, key):
    """Each picture of x [N,1,28,28] turned, scaled, slanted, moved, thickened, thinned, dimmed."""
    n, k = len(x), jax.random.split(key, 8)

    def within(i, low, high, shape=(n, 1, 1)):
        return jax.random.uniform(k[i], shape, minval=low, maxval=high)

    angle, slant = within(0, -0.25, 0.25), within(1, -0.25, 0.25)
    scale = within(2, 0.8, 1.2, (n, 2, 1, 1))
    move = within(3, -2.5, 2.5, (n, 2, 1, 1))
    v, u = jnp.mgrid[0:28, 0:28] - 13.5
    u, v = u - move[:, 0], v - move[:, 1]
    c, s = jnp.cos(angle), jnp.sin(angle)
    cols = (c * u + s * v) * scale[:, 0] + slant * v + 13.5
    rows = (c * v - s * u) * scale[:, 1] + 13.5
    x = jax.vmap(lambda img, r, q: jax.scipy.ndimage.map_coordinates(img, [r, q], order=1))(
        x[:, 0], rows, cols)[:, None]

    thick = within(4, -0.6, 0.9, (n, 1, 1, 1))     # above 0: towards the largest neighbour
    most, least = pool(x, 3, 1, 1), -pool(-x, 3, 1, 1)
    x = x + jnp.maximum(thick, 0) * (most - x) + jnp.maximum(-thick, 0) * (least - x)
    blurred = pool(x, 3, 1, 1, jax.lax.add, 0.0) / 9
    x = x + within(5, 0, 0.5, (n, 1, 1, 1)) * (blurred - x)
    return jnp.clip(x * within(6, 0.7, 1.3, (n, 1, 1, 1)), 0, 1)


@jax.jit
def train_step(w, m, v, x, labels, step, rate, key):
    """One step of Adam (Kingma & Ba 2015, arXiv 1412.6980) on bent pictures."""
    def loss_of(weights):
        scores = jax.nn.log_softmax(logits(weights, x))
        return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], 1))

    x = bend(x, jax.random.fold_in(key, step))
    loss, g = jax.value_and_grad(loss_of)(w)
    m = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
    v = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
    w = jax.tree.map(lambda p, a, b: p - rate * (a / (1 - 0.9**step))
                     / (jnp.sqrt(b / (1 - 0.999**step)) + 1e-8), w, m, v)
    return w, m, v, loss


def accuracy(w, images, labels):
    forward = jax.jit(logits)
    right = sum(int(jnp.sum(jnp.argmax(forward(w, images[i:i + 500]), 1) == labels[i:i + 500]))
                for i in range(0, len(images), 500))
    return right / len(images)


def train(images, labels, seed, epochs):
    rng, key = np.random.default_rng(seed), jax.random.key(seed)
    kept = len(images) - HELD_OUT
    w = new_weights(rng)
    m = v = jax.tree.map(jnp.zeros_like, w)
    step, steps = 0, epochs * (kept // BATCH)
    for epoch in range(epochs):
        begin, total, order = time.monotonic(), 0.0, rng.permutation(kept)
        for at in range(0, kept - BATCH + 1, BATCH):
            pick, step = order[at:at + BATCH], step + 1
            rate = PEAK_RATE * min(1, step / 200) * 0.5 * (1 + np.cos(np.pi * step / steps))
            w, m, v, loss = train_step(w, m, v, images[pick], labels[pick], step, rate, key)
            total += float(loss)
        print(f"epoch {epoch + 1:2}  loss {total / (kept // BATCH):.4f} (bent pictures)  held-out "
              f"{100 * accuracy(w, images[kept:], labels[kept:]):.2f} %  "
              f"{time.monotonic() - begin:.0f} s", flush=True)
    return w


def graph(w):
    """The network as ONNX, opset 13: image [N,1,28,28] -> probabilities [N,10]."""
    node = helper.make_node
    nodes = []
    x = "image"
    for layer in ("conv1", "conv2"):
        nodes += [node("Conv", [x, layer + ".weight", layer + ".bias"], [layer], layer,
                       kernel_shape=[5, 5], pads=[2, 2, 2, 2]),
                  node("Relu", [layer], [layer + ".relu"], layer + ".relu"),
                  node("MaxPool", [layer + ".relu"], [layer + ".pool"], layer + ".pool",
                       kernel_shape=[2, 2], strides=[2, 2])]
        x = layer + ".pool"
    nodes += [node("Flatten", [x], ["flat"], "flat"),
              node("Gemm", ["flat", "fc1.weight", "fc1.bias"], ["fc1"], "fc1", transB=1),
              node("Relu", ["fc1"], ["fc1.relu"], "fc1.relu"),
              node("Gemm", ["fc1.relu", "fc2.weight", "fc2.bias"], ["fc2"], "fc2", transB=1),
              node("Softmax", ["fc2"], ["probabilities"], "probabilities", axis=1)]
    value = helper.make_tensor_value_info
    g = helper.make_graph(
        nodes, "digits",
        [value("image", TensorProto.FLOAT, ["N", 1, 28, 28])],
        [value("probabilities", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in sorted(w.items())])
    model = helper.make_model(g, opset_imports=[helper.make_opsetid("", 13)], ir_version=7,
                              producer_name="examples/digits/train.py")
    helper.set_model_props(model, METADATA)
    onnx.checker.check_model(model, full_check=True)
    return model


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", type=pathlib.Path, required=True)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--epochs", type=int, default=12)
    p.add_argument("--out", type=pathlib.Path,
                   default=pathlib.Path(__file__).parent / "digits.onnx")
    a = p.parse_args()
    print(f"seed {a.seed}, {a.epochs} epochs, batch {BATCH}, jax {jax.__version__}, "
          f"onnx {onnx.__version__}, numpy {np.__version__}")
    w = train(*load(a.data, "train"), a.seed, a.epochs)
    score = accuracy(w, *load(a.data, "t10k"))
    print(f"test: {100 * score:.2f} % of 10,000 images, "
          f"{sum(np.size(t) for t in w.values())} weights")
    onnx.save(graph(w), a.out)


if __name__ == "__main__":
    main()
