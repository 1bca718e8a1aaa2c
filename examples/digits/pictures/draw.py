#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""draw.py [--out FOLDER]: draws 0.png ... 9.png, the ten pictures of this example.

Each digit is a list of strokes in a square of side 1 (x to the right, y down), written down here by
hand; a stroke is straight lines and arcs. A pixel's brightness is how much of the pen covers it,
taken from its distance to the nearest stroke, so edges are smooth. Ink is white (255), paper is
black (0), as in MNIST; 28 x 28 pixels, 8-bit gray. Needs numpy; the same bytes on every run.
"""
import argparse
import pathlib
import struct
import zlib

import numpy as np

SIDE = 28
BOX = 20.0   # the digit's square in the middle of the picture, in pixels, as in MNIST
PEN = 1.15   # half the width of a stroke, in pixels


def arc(cx, cy, rx, ry, start, stop, steps=24):
    """Points on an ellipse; angles in degrees, 0 = right, 90 = down."""
    t = np.radians(np.linspace(start, stop, steps))
    return [(cx + rx * c, cy + ry * s) for c, s in zip(np.cos(t), np.sin(t))]


DIGITS = {
    0: [arc(0.50, 0.50, 0.30, 0.48, -80, 280)],
    1: [[(0.34, 0.20), (0.54, 0.03), (0.48, 0.97)]],
    2: [arc(0.49, 0.27, 0.27, 0.25, -165, 30) + [(0.22, 0.95), (0.82, 0.93)]],
    3: [arc(0.46, 0.26, 0.27, 0.23, -150, 90), arc(0.46, 0.72, 0.32, 0.24, -90, 150)],
    4: [[(0.36, 0.04), (0.18, 0.56), (0.84, 0.53)], [(0.66, 0.22), (0.60, 0.98)]],
    5: [[(0.78, 0.04), (0.32, 0.06), (0.28, 0.44)] + arc(0.45, 0.68, 0.32, 0.27, -122, 140)],
    6: [[(0.66, 0.03)] + arc(0.60, 0.64, 0.36, 0.58, -110, -200)
        + arc(0.50, 0.74, 0.26, 0.23, 170, -190)],
    7: [[(0.18, 0.10), (0.80, 0.06), (0.44, 0.97)]],
    8: [arc(0.51, 0.26, 0.23, 0.23, 90, -270), arc(0.49, 0.73, 0.28, 0.24, -90, 270)],
    9: [arc(0.50, 0.30, 0.25, 0.26, 0, -360) + [(0.75, 0.32), (0.66, 0.98)]],
}


def draw(strokes):
    """[SIDE, SIDE] u8: strokes as a pen of half width PEN would leave them."""
    rows, cols = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    pixel = np.stack([cols, rows], -1)
    near = np.full((SIDE, SIDE), np.inf)
    for stroke in strokes:
        points = np.array(stroke) * BOX + (SIDE - BOX) / 2
        for a, b in zip(points[:-1], points[1:]):
            along = ((pixel - a) @ (b - a)) / max((b - a) @ (b - a), 1e-12)
            foot = a + np.clip(along, 0, 1)[..., None] * (b - a)
            near = np.minimum(near, np.hypot(*np.moveaxis(pixel - foot, -1, 0)))
    return np.round(255 * np.clip(PEN + 0.5 - near, 0, 1)).astype(np.uint8)


def png(gray):
    """Bytes of an 8-bit gray PNG, every row with filter 0."""
    def chunk(kind, body):
        return (struct.pack(">I", len(body)) + kind + body
                + struct.pack(">I", zlib.crc32(kind + body)))
    height, width = gray.shape
    rows = b"".join(b"\0" + row.tobytes() for row in gray)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
            + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    folder = p.parse_args().out
    for digit, strokes in DIGITS.items():
        (folder / f"{digit}.png").write_bytes(png(draw(strokes)))


if __name__ == "__main__":
    main()
