#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Wrong use is one line on stderr with the nearest word, and exit code 2.
. "$(dirname "$0")/cli.sh"

run 2 rum @linear-1000
one_line
says "did you mean run?"
run 2 run
one_line
says "a model is wanted"
run 2 run @linear-1000 --treads 2
one_line
says "did you mean --threads?"
run 2 run @linear-1000 --threads none
one_line
says 'not "none"'
run 2 run @linear-1000 --threads 0
one_line
run 2 run @linear-1000 --batch
one_line
says "--batch wants N behind it"
run 2 run @linear-1000 --max-memory 12parsecs
one_line
says "such as 800MB or 2GiB"
run 2 run @linear-1000 --dim tokens
one_line
says "such as tokens=128"
run 2 run a.onnx b.png c.png
one_line
says "one word too many"
run 2 run @resnet50 x.png --image-size 224
one_line
says "WIDTHxHEIGHT"
run 2 run @resnet50 x.png --image-mean 1,2
one_line
run 2 run @resnet50 x.png --image-std 0
one_line
run 2 run @resnet50 x.png --squeeze --resize 256
one_line
run 2 plan
one_line
run 2 plan @linear-1000 --for speed
one_line
run 2 plan @linear-1000 --max-latency 3lightyears
one_line
run 2 fit
one_line
run 2 devices --json --verbos
one_line
FETTLE_ISA=z80 run 2 devices
one_line
finish
