#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Help is on stdout, wide enough for a terminal, with two examples that can be run.
. "$(dirname "$0")/cli.sh"

run 2
check "usage without words is on stderr" grep -q '^usage: fettle VERB' "$err"
run 0 --version
check "the version is three numbers" grep -qE '^fettle [0-9]+\.[0-9]+\.[0-9]+$' "$out"
run 0 --help
narrow
for verb in devices bench plan fit run; do
    check "the usage names $verb" grep -qE "^  $verb +[a-z]" "$out"
done
for verb in devices bench plan fit run; do
    run 0 $verb --help
    narrow
    check "$verb: the usage comes first" grep -qE "^usage: fettle $verb" "$out"
    check "$verb: two examples" [ "$(sed -n '/^examples:/,$p' "$out" | grep -c '^  fettle ')" = 2 ]
    check "$verb: nothing on stderr" [ ! -s "$err" ]
done
run 0 run @no-such-preset --help # help comes before all else
same help_run

# The examples of run work where they stand, in the tree.
cd "$SOURCE" || exit 99
run 0 run examples/digits/digits.onnx examples/digits/pictures/7.png
cd "$work" || exit 99
run 0 run @linear-1000 --repeat 20 -o outputs
check "the example wrote its output" [ -s outputs/y.npy ]
run 0 plan --list
narrow
for preset in linear-1000 keras-mlp alexnet densenet121 resnet50 vgg16 mobilenet-v2 bert-base vit-b16; do
    check "the presets have @$preset" grep -qE "^@$preset +[^ ]" "$out"
done
run 0 devices --catalogue
narrow
check "the catalogue has an H200" grep -qE '^gpu:h200 +141 GiB +4.80 TB/s' "$out"
run 0 devices --catalogue RTX-4090
prints "source"
finish
