#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_decode_case.py [--out decode.h] [--seed 1]: a one-layer decoder, token by token, in f64.

The layer of the Llama family, written out for one token at position p with the keys and values of
positions 0 ... p. All weights are [out, in]; y = W x. Needs numpy.

    x = embed[token]
    q = Wq rms(x, attn_norm)   k = Wk rms(...)   v = Wv rms(...)       heads of HEAD_DIM
    q, k = rope(q, p), rope(k, p);  key p and value p join the cache
    head h reads the cache of kv head h / (HEADS / KV_HEADS):
        y_h = sum_j softmax_j(q_h . k_j / sqrt(HEAD_DIM)) v_j          over j <= p
    x = x + Wo y
    x = x + Wdown (silu(Wgate n) * (Wup n)),  n = rms(x, ffn_norm)
    logits = head rms(x, out_norm)

    rms(x, g) = g * x / sqrt(mean(x^2) + EPS)        silu(u) = u / (1 + exp(-u))
    rope turns element i of a head's first half with element i of its second half by the angle
    p * THETA^(-2i / HEAD_DIM): (a, b) -> (a cos - b sin, b cos + a sin)

The same is computed a second time over all tokens at once with a causal mask; the two must agree.
"""
import argparse
import pathlib

import numpy as np

from c_header import header, rounded

HIDDEN, HEADS, KV_HEADS, HEAD_DIM, FFN, VOCAB, CONTEXT = 16, 4, 2, 4, 24, 11, 8
EPS, THETA = 1e-5, 10000.0
SHAPES = {"embed": (VOCAB, HIDDEN), "attn_norm": (HIDDEN,), "wq": (HEADS * HEAD_DIM, HIDDEN),
          "wk": (KV_HEADS * HEAD_DIM, HIDDEN), "wv": (KV_HEADS * HEAD_DIM, HIDDEN),
          "wo": (HIDDEN, HEADS * HEAD_DIM), "ffn_norm": (HIDDEN,), "w_gate": (FFN, HIDDEN),
          "w_up": (FFN, HIDDEN), "w_down": (HIDDEN, FFN), "out_norm": (HIDDEN,), "head": (VOCAB, HIDDEN)}


def rms(x, g):
    return g * x / np.sqrt(np.mean(x * x, -1, keepdims=True) + float(np.float32(EPS)))


def rope(x, position):
    """x [..., HEAD_DIM]."""
    half = HEAD_DIM // 2
    angle = position * THETA ** (-2 * np.arange(half) / HEAD_DIM)
    a, b = x[..., :half], x[..., half:]
    c, s = np.cos(angle), np.sin(angle)
    return np.concatenate([a * c - b * s, b * c + a * s], -1)


def ffn(w, x):
    n = rms(x, w["ffn_norm"])
    gate = n @ w["w_gate"].T
    return x + (gate / (1 + np.exp(-gate)) * (n @ w["w_up"].T)) @ w["w_down"].T


def step(w, token, position, keys, values):
    """Logits [VOCAB]; keys and values [CONTEXT, KV_HEADS, HEAD_DIM] get row `position`."""
    x = w["embed"][token]
    n = rms(x, w["attn_norm"])
    q = rope((w["wq"] @ n).reshape(HEADS, HEAD_DIM), position)
    keys[position] = rope((w["wk"] @ n).reshape(KV_HEADS, HEAD_DIM), position)
    values[position] = (w["wv"] @ n).reshape(KV_HEADS, HEAD_DIM)
    mixed = []
    for h in range(HEADS):
        kv = h // (HEADS // KV_HEADS)
        score = np.exp(keys[:position + 1, kv] @ q[h] / np.sqrt(HEAD_DIM))
        mixed.append(score / score.sum() @ values[:position + 1, kv])
    x = x + w["wo"] @ np.concatenate(mixed)
    return w["head"] @ rms(ffn(w, x), w["out_norm"])


def all_at_once(w, tokens):
    """Logits [T, VOCAB] by one masked pass; rope by complex numbers."""
    count = len(tokens)
    x = w["embed"][tokens]
    n = rms(x, w["attn_norm"])
    turn = np.exp(1j * np.outer(np.arange(count), THETA ** (-2 * np.arange(HEAD_DIM // 2) / HEAD_DIM)))

    def heads(weight, turned):
        y = np.einsum("ti,oi->to", n, weight).reshape(count, -1, HEAD_DIM)
        if turned:
            z = (y[..., :HEAD_DIM // 2] + 1j * y[..., HEAD_DIM // 2:]) * turn[:, None]
            y = np.concatenate([z.real, z.imag], -1)
        return np.repeat(y, HEADS * HEAD_DIM // len(weight), axis=1)

    q, k, v = heads(w["wq"], True), heads(w["wk"], True), heads(w["wv"], False)
    score = np.einsum("thd,shd->hts", q, k) / np.sqrt(HEAD_DIM)
    score = np.where(np.tri(count, dtype=bool), score, -np.inf)
    score = np.exp(score - score.max(-1, keepdims=True))
    mixed = np.einsum("hts,shd->thd", score / score.sum(-1, keepdims=True), v).reshape(count, -1)
    return rms(ffn(w, x + mixed @ w["wo"].T), w["out_norm"]) @ w["head"].T


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "decode.h")
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    rng = np.random.default_rng(args.seed)
    w = {}
    for name, shape in SHAPES.items():
        scale = 1.0 if name == "embed" else 1.5 / np.sqrt(shape[-1])
        norm = "norm" in name
        w[name] = rounded(rng.uniform(0.5, 1.5, shape) if norm else rng.normal(0, scale, shape), 2)
    tokens = rng.integers(0, VOCAB, CONTEXT)
    keys, values = (np.zeros((CONTEXT, KV_HEADS, HEAD_DIM)) for _ in range(2))
    logits = np.stack([step(w, t, i, keys, values) for i, t in enumerate(tokens)])
    assert np.abs(logits - all_at_once(w, tokens)).max() < 1e-12

    arrays = {"decode_" + name: a for name, a in w.items()}
    arrays |= {"decode_tokens": tokens, "decode_logits": logits, "decode_keys": keys,
               "decode_values": values}
    comment = [f"a one-layer decoder token by token, by make_decode_case.py --seed {args.seed}.",
               "The formulas stand there. All row-major; weights are [out, in]. decode_tokens[p] goes in at",
               "position p, decode_logits[p] comes out. decode_keys (after rope) and decode_values are the",
               "cache after the last token, [position, kv head, element]. Rope turns element i of a head with",
               "element i + DECODE_HEAD_DIM / 2. Results were computed in f64 and rounded to f32."]
    args.out.write_text(header("decode", comment, {
        "DECODE_HIDDEN": HIDDEN, "DECODE_HEADS": HEADS, "DECODE_KV_HEADS": KV_HEADS,
        "DECODE_HEAD_DIM": HEAD_DIM, "DECODE_FFN": FFN, "DECODE_VOCAB": VOCAB, "DECODE_CONTEXT": CONTEXT,
        "DECODE_RMS_EPS": f"{EPS}f", "DECODE_ROPE_THETA": f"{THETA}f"}, arrays))


if __name__ == "__main__":
    main()
