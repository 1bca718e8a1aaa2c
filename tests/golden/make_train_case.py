#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_train_case.py [--out mlp_adam.h] [--seed 1]: one training step of a small MLP, in f64.

The formulas are derived by hand below and checked here against central differences; nothing of the
library takes part. Needs numpy.

    h = x W1^T + b1    [B,H]      a = max(h, 0)      z = a W2^T + b2    [B,C]
    loss = mean over the batch of  log(sum_j exp z_j) - z_label

    dz = (softmax(z) - onehot(label)) / B            dh = (dz W2) where h > 0, else 0
    dW2 = dz^T a    db2 = sum over batch of dz       dW1 = dh^T x    db1 = sum over batch of dh

Adam is algorithm 1 of Kingma & Ba 2015 (arXiv 1412.6980), with eps outside the root and after the
correction of the bias, as PyTorch has it:

    m = beta1 m + (1 - beta1) g            v = beta2 v + (1 - beta2) g^2
    w = w - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

eps is large here, so that a kernel which puts it elsewhere is found out.
"""
import argparse
import pathlib

import numpy as np

from c_header import header, rounded

BATCH, IN, HIDDEN, CLASSES = 6, 9, 12, 5
STEP, RATE, BETA1, BETA2, EPS = 3, 0.01, 0.9, 0.99, 1e-3
NAMES = ("w1", "b1", "w2", "b2")


def forward(w, x, labels):
    h = x @ w["w1"].T + w["b1"]
    a = np.maximum(h, 0)
    z = a @ w["w2"].T + w["b2"]
    top = z.max(1, keepdims=True)
    log_sum = top[:, 0] + np.log(np.exp(z - top).sum(1))
    loss = np.mean(log_sum - z[np.arange(len(x)), labels])
    return loss, h, a, z, np.exp(z - log_sum[:, None])


def gradients(w, x, labels):
    _, h, a, _, p = forward(w, x, labels)
    dz = (p - np.eye(CLASSES)[labels]) / len(x)
    dh = np.where(h > 0, dz @ w["w2"], 0)
    return {"w1": dh.T @ x, "b1": dh.sum(0), "w2": dz.T @ a, "b2": dz.sum(0)}


def assert_right(w, x, labels, g, step=1e-6):
    """Each gradient against (loss(w + step) - loss(w - step)) / 2 step."""
    for name in NAMES:
        for i in np.ndindex(w[name].shape):
            ends = []
            for sign in (1, -1):
                moved = {k: a.copy() for k, a in w.items()}
                moved[name][i] += sign * step
                ends.append(forward(moved, x, labels)[0])
            assert abs((ends[0] - ends[1]) / (2 * step) - g[name][i]) < 1e-8, (name, i)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "mlp_adam.h")
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    rng = np.random.default_rng(args.seed)
    shapes = {"w1": (HIDDEN, IN), "b1": (HIDDEN,), "w2": (CLASSES, HIDDEN), "b2": (CLASSES,)}
    x = rounded(rng.normal(0, 1, (BATCH, IN)), 2)
    labels = rng.integers(0, CLASSES, BATCH)
    w = {k: rounded(rng.normal(0, 0.4, s), 3) for k, s in shapes.items()}
    m = {k: rounded(rng.normal(0, 0.05, s), 3) for k, s in shapes.items()}
    v = {k: rounded(rng.uniform(0, 0.004, s), 5) for k, s in shapes.items()}
    rate, beta1, beta2, eps = (float(np.float32(c)) for c in (RATE, BETA1, BETA2, EPS))

    loss, _, _, z, probabilities = forward(w, x, labels)
    g = gradients(w, x, labels)
    assert_right(w, x, labels, g)
    arrays = {"mlp_x": x, "mlp_labels": labels, "mlp_logits": z, "mlp_probabilities": probabilities}
    for k in NAMES:
        new_m = beta1 * m[k] + (1 - beta1) * g[k]
        new_v = beta2 * v[k] + (1 - beta2) * g[k]**2
        new_w = w[k] - rate * (new_m / (1 - beta1**STEP)) / (np.sqrt(new_v / (1 - beta2**STEP)) + eps)
        for kind, a in (("", w[k]), ("_m", m[k]), ("_v", v[k]), ("_grad", g[k]), ("_new", new_w),
                        ("_m_new", new_m), ("_v_new", new_v)):
            arrays[f"mlp_{k}{kind}"] = a
    comment = [f"one step of Adam on an MLP, by make_train_case.py --seed {args.seed}.",
               "x -> Linear w1 b1 -> relu -> Linear w2 b2 -> softmax cross entropy, mean over the batch.",
               "All row-major; weights are [out, in]. Into the step go mlp_x, mlp_labels, mlp_w1 ..., and the",
               "moments _m, _v; out come mlp_logits, mlp_probabilities, MLP_LOSS, _grad and the new values",
               "_new, _m_new, _v_new, computed in f64 and rounded to f32. MLP_STEP is t of the correction of",
               "the bias, counted from 1; MLP_EPS stands outside the root."]
    args.out.write_text(header("mlp_adam", comment, {
        "MLP_BATCH": BATCH, "MLP_IN": IN, "MLP_HIDDEN": HIDDEN, "MLP_CLASSES": CLASSES, "MLP_STEP": STEP,
        "MLP_RATE": f"{RATE}f", "MLP_BETA1": f"{BETA1}f", "MLP_BETA2": f"{BETA2}f", "MLP_EPS": f"{EPS}f",
        "MLP_LOSS": f"{loss:.12g}"}, arrays))


if __name__ == "__main__":
    main()
