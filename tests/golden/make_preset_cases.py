#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_preset_cases.py --dump BUILD/tests/golden/dump_preset [--out presets.h]: outputs of the
presets by the libraries that they follow.

The seeded weights of each preset go into torchvision's or Hugging Face's module with
load_state_dict(strict=True), so every name and shape must be theirs; the module is run on the seeded
input and its parameters are counted. An output is kept as every n-th element, and the largest
magnitude of all.

Made with torch 2.4.1, torchvision 0.19.1, transformers 4.45.2 (CPU, f32).
"""
import argparse
import pathlib
import subprocess
import tempfile

import numpy as np
import torch
import torchvision
from transformers import BertConfig, BertModel

from c_header import header

KEPT = 40  # elements of each output
MODULES = {
    "alexnet": torchvision.models.alexnet,
    "vgg16": torchvision.models.vgg16,
    "resnet50": torchvision.models.resnet50,
    "densenet121": torchvision.models.densenet121,
    "mobilenet-v2": torchvision.models.mobilenet_v2,
    "vit-b16": torchvision.models.vit_b_16,
    "bert-base": lambda: BertModel(BertConfig()),
}


def read_dump(folder):
    """{"input": {name: tensor}, "weight": {name: tensor}}"""
    data, at = np.fromfile(folder / "data.bin", np.uint8), 0
    found = {"input": {}, "weight": {}}
    for line in (folder / "index.txt").read_text().splitlines():
        kind, name, dtype, *dims = line.split()
        shape = [int(d) for d in dims]
        end = at + 4 * int(np.prod(shape))
        array = data[at:end].view({"f32": np.float32, "i32": np.int32}[dtype]).reshape(shape)
        found[kind][name] = torch.from_numpy(array.copy())
        at = end
    assert at == data.size
    return found


def run(name, dump):
    """{output: array} and the number of parameters."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([dump, name, folder], check=True)
        found = read_dump(pathlib.Path(folder))
    module = MODULES[name]().eval()
    weights = found["weight"]
    for key, value in module.state_dict().items():
        if key.endswith("num_batches_tracked"):  # plays no part in inference
            weights[key] = value
    module.load_state_dict(weights, strict=True)
    (x,) = found["input"].values()
    with torch.no_grad():
        y = module(x.long()) if name == "bert-base" else module(x)
    outputs = ({"last_hidden_state": y.last_hidden_state, "pooler_output": y.pooler_output}
               if name == "bert-base" else {"probabilities": torch.softmax(y, -1)})
    return {k: v.numpy().ravel() for k, v in outputs.items()}, sum(p.numel() for p in module.parameters())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dump", required=True)
    parser.add_argument("--out", default="presets.h")
    options = parser.parse_args()
    rows, arrays = [], {}
    for name in MODULES:
        outputs, n_parameters = run(name, options.dump)
        print(name, n_parameters, "parameters")
        for output, values in outputs.items():
            step = values.size // KEPT
            key = f"golden_{name}_{output}".replace("-", "_")
            arrays[key] = values[::step][:KEPT]
            rows.append(f'X("{name}", "{output}", {step}, {np.abs(values).max():.9g}, {key})')
    text = header("presets", ["every n-th element of what the presets give, by make_preset_cases.py.",
                              "Batch 2, 16 tokens, seed 1; how they were made stands there.",
                              "X(preset, output, n, largest magnitude of the whole output, array)"],
                  {"GOLDEN_KEPT": str(KEPT), "GOLDEN_PRESETS(X)": " ".join(rows)}, arrays)
    pathlib.Path(options.out).write_text(text.replace(") X(", ") \\\n    X("))


if __name__ == "__main__":
    main()
