#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_onnx_cases.py --out FOLDER [--seed 1] [--archive FILE.tar.gz] [--cross-check]

Writes small ONNX models with inputs and the outputs that ONNX Runtime gives for them: every
operator of convolutional networks, MLPs and transformer encoders in the forms it had between
opset 7 and 21 (onnx_ops.py), and small whole networks (onnx_nets.py). Needs numpy, onnx and
onnxruntime. The same seed and versions write the same files.

FOLDER/cases.txt has one case a line; a line that starts with # is a comment. Fields are separated
by one space, and no name or file holds a space, a comma or an equals sign:

    NAME OPSET TOLERANCE MODEL TENSOR=FILE ... -> TENSOR=FILE ...

  NAME       unique; ends in _n1, _n3, ... where a named dim of the model is bound to 1, 3, ...
  OPSET      of the default domain, 7 ... 21
  TOLERANCE  the case holds if |got - want| <= TOLERANCE * max(1, max|want|) for every element; NaN
             equals NaN, inf equals inf. 0: whole numbers and booleans, equal to the last bit
  MODEL      the .onnx file, in this folder; one model serves all cases that differ in named dims
  before ->  the graph's inputs (possibly none), after -> its outputs, each with the .npy file that
             holds the value: little-endian float32 (<f4), float16 (<f2), int64 (<i8), int32 (<i4),
             int8 (|i1), uint8 (|u1) or bool (|b1), C order. Shapes are exact, 0-d included

--archive packs the folder; the same files give the same bytes.

--cross-check also evaluates each model with the onnx package's own evaluator and lists where the
two differ; it is for whoever changes the cases. In onnx 1.23.2 the evaluator is the one that is
wrong at BatchNormalization 7 and 9 and LRN (and so at the networks that hold them), softmax before
opset 13, LpNormalization with p=1, GlobalMaxPool 1-d and MaxPool SAME_LOWER (its output shape); it
lacks external data, Upsample 7, Resize 10, linear Upsample, negative pads, grouped ConvTranspose and
OneHot with a depth of shape [1]. ONNX Runtime's values of these agree with the formulas of the ONNX
specification, worked out in numpy by hand.
"""
import argparse
import gzip
import pathlib
import tarfile

import onnx
import onnxruntime

import onnx_nets
import onnx_ops
from onnx_case import Writer


def pack(folder, archive):
    """A .tar.gz without times and owners, so that the same files make the same bytes."""
    with open(archive, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as zipped, \
            tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for file in sorted(folder.iterdir()):
            info = tarfile.TarInfo(file.name)
            info.size = file.stat().st_size
            with open(file, "rb") as f:
                tar.addfile(info, f)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--out", type=pathlib.Path, required=True)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--archive", type=pathlib.Path)
    p.add_argument("--cross-check", action="store_true")
    a = p.parse_args()
    writer = Writer(a.out, a.seed, a.cross_check)
    onnx_ops.write(writer)
    onnx_nets.write(writer)
    names = [line.split()[0] for line in writer.lines]
    assert len(set(names)) == len(names), "two cases of one name"
    writer.finish(f"# make_onnx_cases.py --seed {a.seed}; onnx {onnx.__version__}, "
                  f"onnxruntime {onnxruntime.__version__}\n"
                  "# NAME OPSET TOLERANCE MODEL TENSOR=FILE ... -> TENSOR=FILE ...\n")
    if a.archive:
        pack(a.out, a.archive)
    print(f"{len(names)} cases of {len(writer.kinds)} operators in {a.out}")
    for kind, opsets in sorted(writer.kinds.items()):
        print(f"  {kind}: opset {' '.join(map(str, sorted(opsets)))}")
    for line in writer.disagree:
        print("cross-check:", line)


if __name__ == "__main__":
    main()
