# SPDX-License-Identifier: Apache-2.0
"""Builds one small ONNX model, runs it with ONNX Runtime and writes both for test_onnx.c.

A case's numbers come from a generator seeded by (seed, name of the case), so a new case leaves the
bytes of the others alone. The format of what is written is described in make_onnx_cases.py.
"""
import zlib

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

NP_TO_ONNX = helper.np_dtype_to_tensor_dtype
FILLS = {
    "normal": lambda rng, shape: rng.normal(0, 1, shape).astype(np.float32),
    "unit": lambda rng, shape: rng.uniform(-0.95, 0.95, shape).astype(np.float32),
    "positive": lambda rng, shape: rng.uniform(0.1, 2.0, shape).astype(np.float32),
    "wide": lambda rng, shape: rng.uniform(-8, 8, shape).astype(np.float32),
    "bool": lambda rng, shape: rng.integers(0, 2, shape).astype(bool),
    "mask": lambda rng, shape: (rng.random(shape) < 0.7).astype(np.int64),
}


class X:
    """An input: dims are numbers or names; `fill` is a key of FILLS or the upper end of whole numbers."""
    def __init__(self, *dims, fill="normal"):
        self.dims, self.fill = dims, fill

    def make(self, rng, sizes):
        shape = [sizes.get(d, d) for d in self.dims]
        if isinstance(self.fill, int):
            return rng.integers(0, self.fill, shape).astype(np.int64)
        return FILLS[self.fill](rng, shape)


class V:
    """An input with just these values."""
    def __init__(self, values, dtype=np.float32):
        self.values = np.array(values, dtype)
        self.dims, self.dtype = self.values.shape, dtype

    def make(self, _rng, _sizes):
        return self.values


class W:
    """An initializer with random values; from rank 2 on they are scaled by 1/sqrt(fan in)."""
    def __init__(self, *dims, fill="normal"):
        self.dims, self.fill = dims, fill

    def make(self, rng):
        a = FILLS[self.fill](rng, self.dims)
        scale = np.sqrt(np.prod(self.dims[1:])) if len(self.dims) > 1 and self.fill == "normal" else 1
        return (a / np.float32(scale)).astype(a.dtype)


class C(V):
    """An initializer with just these values."""
    def make(self, _rng):
        return self.values


def ints(*values):
    return C(values, np.int64)


class Writer:
    """Writes models, arrays and cases.txt into one folder."""
    def __init__(self, folder, seed, cross_check):
        self.folder, self.seed, self.cross_check = folder, seed, cross_check
        self.lines, self.kinds, self.disagree = [], {}, []
        folder.mkdir(parents=True, exist_ok=True)

    def rng(self, name):
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def array(self, file, a):
        np.save(self.folder / file, a)
        return file

    def finish(self, header):
        with open(self.folder / "cases.txt", "w") as f:
            f.write(header)
            f.write("\n".join(self.lines) + "\n")


class Net:
    """A model in the making. `sizes` lists the values of named dims: one case each."""
    def __init__(self, writer, name, opset, tol=1e-5, sizes=({"N": 1}, {"N": 3})):
        self.writer, self.name, self.opset, self.tol, self.sizes = writer, name, opset, tol, sizes
        self.nodes, self.inputs, self.weights, self.outputs = [], {}, [], []
        self.rng = writer.rng(name)
        self.external = self.typed = False

    def x(self, name, *dims, fill="normal"):
        self.inputs[name] = X(*dims, fill=fill)
        return name

    def w(self, *dims, fill="normal", name=None):
        return self.put(W(*dims, fill=fill), name)

    def c(self, values, dtype=np.float32, name=None):
        return self.put(C(values, dtype), name)

    def ints(self, *values):
        return self.put(ints(*values))

    def put(self, spec, name=None):
        """Name of a spec's tensor, added to the model."""
        if spec is None:
            return ""
        if isinstance(spec, str):
            return spec
        if isinstance(spec, (W, C)):
            name = name or f"w{len(self.weights)}"
            self.weights.append((name, spec.make(self.rng)))
        else:
            name = name or f"x{len(self.inputs)}"
            self.inputs[name] = spec
        return name

    def op(self, kind, *args, outputs=1, **attributes):
        """Adds a node; the name of its output, or names where there are several."""
        names = [self.put(a) for a in args]
        made = [f"{kind.lower()}{len(self.nodes)}" + (f"_{i}" if outputs > 1 else "")
                for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, made, made[0], **attributes))
        return made[0] if outputs == 1 else made

    def model(self):
        infos = [helper.make_tensor_value_info(n, NP_TO_ONNX(s.make(self.writer.rng(""), {}).dtype)
                                               if isinstance(s, V) else self.type_of(s), s.dims)
                 for n, s in self.inputs.items()]
        initializers = [self.tensor(n, a) for n, a in self.weights]
        if self.opset < 9:      # before IR 4 every initializer is a graph input too
            infos += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in initializers]
        graph = helper.make_graph(self.nodes, self.name, infos,
                                  [onnx.ValueInfoProto(name=o) for o in self.outputs], initializers)
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="tests/golden",
                                  ir_version=3 if self.opset < 9 else helper.find_min_ir_version_for(opsets))
        return onnx.shape_inference.infer_shapes(model, data_prop=True)

    @staticmethod
    def type_of(spec):
        kinds = {"bool": TensorProto.BOOL, "mask": TensorProto.INT64}
        return TensorProto.INT64 if isinstance(spec.fill, int) else kinds.get(spec.fill, TensorProto.FLOAT)

    def tensor(self, name, a):
        if self.typed:          # float_data, int32_data, int64_data instead of raw_data
            return helper.make_tensor(name, NP_TO_ONNX(a.dtype), a.shape, a.flatten().tolist())
        return numpy_helper.from_array(a, name)

    def save(self, *outputs):
        """Checks the model, writes it, runs it at each of `sizes` and writes what goes in and out."""
        self.outputs = list(outputs)
        file, model = f"{self.name}.onnx", self.model()
        self.complete(model)
        del model.graph.value_info[:]
        onnx.checker.check_model(model)
        path = self.writer.folder / file
        onnx.save(model, path, save_as_external_data=self.external, all_tensors_to_one_file=True,
                  location=f"{self.name}.weights", size_threshold=0)
        for n in self.nodes:
            self.writer.kinds.setdefault(n.op_type, set()).add(self.opset)
        session = self.session(path)
        named = any(isinstance(d, str) for s in self.inputs.values() for d in s.dims)
        for sizes in self.sizes if named else ({},):
            self.run(session, model, file, sizes)

    @staticmethod
    def session(model):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def complete(self, model):
        """Types and ranks of outputs that the onnx package's inference leaves open: from a run."""
        if all(t.type.tensor_type.HasField("shape") for t in model.graph.output):
            return
        fed = {n: s.make(self.writer.rng(""), self.sizes[0]) for n, s in self.inputs.items()}
        for t in model.graph.output:
            t.type.tensor_type.elem_type = t.type.tensor_type.elem_type or TensorProto.FLOAT
        got = self.session(model.SerializeToString()).run(self.outputs, fed)
        for t, a in zip(model.graph.output, got):
            t.CopyFrom(helper.make_tensor_value_info(t.name, NP_TO_ONNX(a.dtype), [None] * a.ndim))

    def run(self, session, model, file, sizes):
        case = self.name + "".join(f"_{k.lower()}{v}" for k, v in sizes.items())
        rng = self.writer.rng(case)
        fed = {n: s.make(rng, sizes) for n, s in self.inputs.items()}
        got = session.run(self.outputs, fed)
        if self.writer.cross_check:
            self.compare(case, model, fed, got)
        tol = self.tol if any(np.asarray(a).dtype.kind == "f" for a in got) else 0
        put = self.writer.array
        into = [f"{n}={put(f'{case}.in{i}.npy', a)}" for i, (n, a) in enumerate(fed.items())]
        out = [f"{n}={put(f'{case}.out{i}.npy', np.asarray(a))}"
               for i, (n, a) in enumerate(zip(self.outputs, got))]
        self.writer.lines.append(" ".join([case, str(self.opset), f"{tol:g}", file, *into, "->", *out]))

    def compare(self, case, model, fed, got):
        """Says where the onnx package's own evaluator, slow and plain numpy, gives something else."""
        from onnx.reference import ReferenceEvaluator
        try:
            want = ReferenceEvaluator(model).run(None, fed)
        except Exception as e:  # it does not know every operator of old opsets
            self.writer.disagree.append(f"{case}: not evaluated: {type(e).__name__} {str(e)[:80]!r}")
            return
        for name, a, b in zip(self.outputs, map(np.asarray, got), map(np.asarray, want)):
            scale = max(1, np.max(np.abs(b[np.isfinite(b)].astype(np.float64)), initial=0))
            if a.shape != b.shape or a.dtype != b.dtype or not np.allclose(
                    a.astype(float), b.astype(float), rtol=0, atol=self.tol * scale, equal_nan=True):
                self.writer.disagree.append(f"{case}: {name} {a.dtype}{list(a.shape)} differs from "
                                            f"{b.dtype}{list(b.shape)}")


def one(writer, name, opset, kind, args, outputs=1, tol=1e-5, sizes=({"N": 2},), **attributes):
    """A model of one node: each X and V of args is a graph input, each W and C an initializer."""
    net = Net(writer, name, opset, tol, sizes)
    made = net.op(kind, *args, outputs=outputs, **attributes)
    net.save(*([made] if outputs == 1 else made))
