#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_light_cases.py --data FOLDER --out FOLDER [--seed 1] [--batch 2]

Cases for test_onnx of two real networks, AlexNet and DenseNet-121, in the format of make_onnx_cases.py.
--data holds the light models of the ONNX project (onnx/backend/test/data/light): light_bvlc_alexnet.onnx,
light_densenet121.onnx and the outputs that belong to them, *_output_0.pb, for the input arange(n) / n.
Their weights are ConstantOfShape nodes, so each class gets the same score; so each network is also
filled with seeded values of a trained network's scale, at batch 1 and at --batch, and run by ONNX
Runtime without the last Softmax. Tolerance: 1e-4 of the largest output.
"""
import argparse
import pathlib
import shutil

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

NETWORKS = ("light_bvlc_alexnet", "light_densenet121")


def readers(graph):
    """For each value the (operator, position) of the first node that computes with it."""
    users = {}
    for node in graph.node:
        for k, name in enumerate(node.input):
            users.setdefault(name, (node, k))

    def first(name):
        node, k = users.get(name, (None, -1))
        while node is not None and node.op_type == "Unsqueeze":
            node, k = users.get(node.output[0], (None, -1))
        return (node.op_type if node else "", k)
    return first


def filled(rng, shape, op, slot):
    if len(shape) >= 2 and op in ("Conv", "Gemm"):
        value = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))   # He 2015, arXiv 1502.01852
    elif (op == "BatchNormalization" and slot in (1, 4)) or op == "Mul":
        value = rng.uniform(0.8, 1.2, shape)
    else:
        value = rng.standard_normal(shape) * 0.05
    return value.astype(np.float32)


def randomise(model, seed):
    graph, rng = model.graph, np.random.default_rng(seed)
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    first, kept, made = readers(graph), [], []
    for node in graph.node:
        if node.op_type == "ConstantOfShape" and node.input[0] in stored:
            shape = tuple(int(d) for d in stored[node.input[0]])
            made.append(numpy_helper.from_array(filled(rng, shape, *first(node.output[0])), node.output[0]))
        else:
            kept.append(node)
    for name, value in stored.items():     # what the files do store is as constant as the rest
        op, slot = first(name)
        if value.dtype == np.float32:
            made.append(numpy_helper.from_array(filled(rng, value.shape, op, slot), name))
        elif op == "Reshape":
            made.append(numpy_helper.from_array(value, name))
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.initializer.extend(made)
    weights = {t.name for t in made}
    used = {name for node in kept for name in node.input} - weights
    inputs = [i for i in graph.input if i.name in used]
    del graph.input[:]
    graph.input.extend(inputs)
    model.ir_version = 8        # from 4 on weights need not be inputs
    if graph.node[-1].op_type == "Softmax":     # it would hide differences
        graph.output[0].name = graph.node[-1].input[0]
        graph.node.pop()


def free_batch(model):
    """The batch becomes the named dim N."""
    graph = model.graph
    graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    rank = len(graph.output[0].type.tensor_type.shape.dim)
    graph.output[0].CopyFrom(helper.make_tensor_value_info(graph.output[0].name, onnx.TensorProto.FLOAT,
                                                           [None] * rank))
    for t in graph.initializer:     # reshapes that fix the batch at 1: 0 copies it
        value = numpy_helper.to_array(t)
        if value.dtype == np.int64 and value.ndim == 1 and value.size > 1 and value[0] == 1:
            value = value.copy()
            value[0] = 0
            t.CopyFrom(numpy_helper.from_array(value, t.name))


class Writer:
    def __init__(self, folder):
        self.folder, self.lines = folder, []
        folder.mkdir(parents=True, exist_ok=True)

    def array(self, name, value):
        np.save(self.folder / f"{name}.npy", value)
        return f"{name}.npy"

    def case(self, name, opset, file, fed, got):
        largest = max(np.abs(a).max() for a in got.values())
        tolerance = 1e-4 * min(1, largest)      # test_onnx takes it times max(1, largest)
        into = [f"{k}={self.array(f'{name}.in{i}', v)}" for i, (k, v) in enumerate(fed.items())]
        out = [f"{k}={self.array(f'{name}.out{i}', v)}" for i, (k, v) in enumerate(got.items())]
        self.lines.append(" ".join([name, str(opset), f"{tolerance:g}", file, *into, "->", *out]))


def input_of(model):
    stored = {t.name for t in model.graph.initializer}
    value = next(i for i in model.graph.input if i.name not in stored)
    return value.name, [d.dim_value for d in value.type.tensor_type.shape.dim]


def write(writer, data, network, seed, batch):
    source = data / f"{network}.onnx"
    model = onnx.load(source)
    opset = model.opset_import[0].version
    shutil.copyfile(source, writer.folder / source.name)
    name, shape = input_of(model)
    n = int(np.prod(shape))
    want = onnx.TensorProto()
    want.ParseFromString((data / f"{network}_output_0.pb").read_bytes())
    writer.case(network, opset, source.name, {name: (np.arange(n) / n).astype(np.float32).reshape(shape)},
                {model.graph.output[0].name: numpy_helper.to_array(want)})
    randomise(model, seed)
    free_batch(model)
    onnx.checker.check_model(model)
    file = f"{network}_random.onnx"
    onnx.save(model, writer.folder / file)
    session = ort.InferenceSession(writer.folder / file, providers=["CPUExecutionProvider"])
    outputs = [o.name for o in model.graph.output]
    for size in (1, batch):
        fed = {name: np.random.default_rng([seed, size]).standard_normal([size, *shape[1:]]).astype(np.float32)}
        writer.case(f"{network}_random_{size}", opset, file, fed, dict(zip(outputs, session.run(outputs, fed))))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", type=pathlib.Path, required=True)
    p.add_argument("--out", type=pathlib.Path, required=True)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--batch", type=int, default=2)
    a = p.parse_args()
    writer = Writer(a.out)
    for network in NETWORKS:
        write(writer, a.data, network, a.seed, a.batch)
    (a.out / "cases.txt").write_text("\n".join(writer.lines) + "\n")


if __name__ == "__main__":
    main()
