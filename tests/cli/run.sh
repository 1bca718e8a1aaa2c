#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run: tensors in and out, seeds, plans, pictures.
. "$(dirname "$0")/cli.sh"

# ---- tensors -----------------------------------------------------------------------------------
run 0 run @linear-1000 -o a
narrow
prints "weights are random (seed 0)"
prints "random, seed 0"
prints "predicted"
check "writes 64 x 1000 floats" [ "$(wc -c <a/y.npy)" = $((64 * 1000 * 4 + 128)) ]
run 0 run @linear-1000 -o b --repeat 12 --threads 1
prints "median of 12 runs"
prints "p99 wants 100 runs"
check "same seed, same bits, whatever the threads and repetitions" cmp a/y.npy b/y.npy
run 0 run @linear-1000 -o c --seed 1
check "another seed, other values" bash -c '! cmp -s a/y.npy c/y.npy'
run 0 run @linear-1000 -o d --batch 3
check "writes 3 x 1000 floats" [ "$(wc -c <d/y.npy)" = $((3 * 1000 * 4 + 128)) ]

# An output goes back in as the input of the same shape; the batch comes from the file.
run 0 run @linear-1000 --input x=d/y.npy -o e
prints "batch 3"
prints "d/y.npy"
run 0 run @linear-1000 --input d/y.npy -o f
check "the name may be left out of a lone input" cmp e/y.npy f/y.npy
run 1 run @linear-1000 --input z=d/y.npy
one_line
says "the model's inputs are x"
run 1 run @linear-1000 --input x=d/y.npy --batch 4
one_line
says "f32[3,1000]"
run 1 run @linear-1000 --input x=d/y.npy --input x=d/y.npy
one_line
says "given twice"
run 0 run @linear-1000 --top 3
prints "softmax applied"
check "three classes, the most probable first" \
    [ "$(sed -n '/^CLASS/,/^softmax/p' "$out" | grep -cE "^ +[0-9]+ +[0-9.]+ % ")" = 3 ]
run 0 run @linear-1000 --verbose
prints "linear"
narrow

# ---- a plan ------------------------------------------------------------------------------------
run 0 plan @linear-1000 --quick --threads 1 --batch 5 -o p.json
run 0 run --plan p.json
prints "@linear-1000 on cpu, 1 thread, batch 5"
run 0 run @linear-1000 --plan p.json --batch 2
prints "1 thread, batch 2"
run 0 run @keras-mlp --plan p.json
says "was made for @linear-1000"

# ---- pictures ----------------------------------------------------------------------------------
ln -s "$SOURCE/examples/digits" digits # short paths
digits=digits
for digit in 0 1 2 3 4 5 6 7 8 9; do
    "$FETTLE" run "$digits/digits.onnx" "$digits/pictures/$digit.png" >"$out" 2>"$err"
    check "the picture of $digit is a $digit" \
        [ "$(sed -n '/^CLASS/{n;p;}' "$out" | awk '{ print $1, ($2 > 50), $4 }')" = "$digit 1 $digit" ]
done
narrow
prints "source: model metadata"
prints "the output is probabilities"
run 0 run "$digits/digits.onnx" "$digits/pictures/7.png" --top 2 --image-mean 0.5
check "two classes" [ "$(sed -n '/^CLASS/,/^the output/p' "$out" | grep -cE '^ +[0-9]')" = 2 ]
prints "model metadata and"
printf 'zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\r\nnine' >names.txt
run 0 run "$digits/digits.onnx" "$digits/pictures/8.png" --labels names.txt
check "names come from the file" grep -qE '^ +8 +[0-9.]+ % +eight$' "$out"
head -n 9 names.txt >short.txt
run 1 run "$digits/digits.onnx" "$digits/pictures/8.png" --labels short.txt
one_line
says "short.txt has 9 lines, but the model has 10 classes"
run 1 run @linear-1000 "$digits/pictures/8.png"
one_line
says "takes no picture"
run 1 run "$digits/digits.onnx" "$digits/pictures/8.png" --image-size 32x32
one_line
says "the model's input is 28x28"
run 0 run @alexnet "$digits/pictures/3.png" --top 1 --batch 2
prints "batch 2"
no_temporaries
finish
