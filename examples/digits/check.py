#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check.py [--model digits.onnx] [--data FOLDER]: is the network what README.md says?

Names pictures/0.png ... 9.png with ONNX Runtime, prepared as the model's metadata asks; with
--data also counts the MNIST test images that are named right. Exit code 1 if a picture is named
wrong, or under 98.5 % of the images. Needs numpy, onnx and onnxruntime.
"""
import argparse
import gzip
import pathlib
import struct
import sys
import zlib

import numpy as np
import onnxruntime as ort

HERE = pathlib.Path(__file__).parent


def read_png(path):
    """[height, width] u8 of an 8-bit gray PNG as pictures/draw.py writes it: filter 0 alone."""
    raw = path.read_bytes()
    at, body, head = 8, b"", None
    while at < len(raw):
        size, kind = struct.unpack_from(">I4s", raw, at)
        if kind == b"IHDR":
            head = struct.unpack_from(">IIBBBBB", raw, at + 8)
        elif kind == b"IDAT":
            body += raw[at + 8:at + 8 + size]
        at += size + 12
    width, height = head[:2]
    rows = np.frombuffer(zlib.decompress(body), np.uint8).reshape(height, width + 1)
    assert head[2:] == (8, 0, 0, 0, 0) and not rows[:, 0].any(), f"{path}: not written by draw.py"
    return rows[:, 1:]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--model", type=pathlib.Path, default=HERE / "digits.onnx")
    p.add_argument("--data", type=pathlib.Path)
    a = p.parse_args()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    net = ort.InferenceSession(a.model, options, providers=["CPUExecutionProvider"])
    meta = net.get_modelmeta().custom_metadata_map
    labels = meta["fettle.labels"].split(",")
    scale, mean, std = (float(meta["fettle.image." + k]) for k in ("scale", "mean", "std"))

    def run(gray):
        x = ((gray.astype(np.float64) * scale - mean) / std).astype(np.float32)
        return net.run(None, {"image": x[:, None]})[0]

    wrong = 0
    pictures = np.stack([read_png(HERE / f"pictures/{digit}.png") for digit in range(10)])
    for digit, row in enumerate(run(pictures)):
        best = int(np.argmax(row))
        wrong += labels[best] != str(digit)
        print(f"pictures/{digit}.png  {labels[best]}  {100 * row[best]:.1f} %"
              + ("" if labels[best] == str(digit) else "   WRONG"))
    share = 1.0
    if a.data:
        images, truth = (gzip.decompress((a.data / f"t10k-{kind}-ubyte.gz").read_bytes())
                         for kind in ("images-idx3", "labels-idx1"))
        images = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
        share = np.mean(np.argmax(run(images), 1) == np.frombuffer(truth, np.uint8, offset=8))
        print(f"test images named right: {100 * share:.2f} % of {len(images)}")
    sys.exit(wrong > 0 or share < 0.985)


if __name__ == "__main__":
    main()
