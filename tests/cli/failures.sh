#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What can go wrong outside fettle is one line and exit code 1; no file is half-written.
. "$(dirname "$0")/cli.sh"
digits=$SOURCE/examples/digits

# ---- models and inputs -------------------------------------------------------------------------
run 1 run no-such-file.onnx
one_line
says "no-such-file.onnx"
run 1 run @linear-1001
one_line
says "did you mean"
run 1 run linear-1000
one_line
says '"@linear-1000"'
run 1 run "$digits/pictures/7.png"
one_line
says "is data, not a model"
run 1 run "$digits"
one_line
: >empty.onnx
run 1 run empty.onnx
one_line
says "empty.onnx"
for share in 1 20 50 90 99; do
    head -c $(($(wc -c <"$digits/digits.onnx") * share / 100)) "$digits/digits.onnx" >cut.onnx
    run 1 run cut.onnx
    one_line
    says "cut.onnx"
done
head -c 100000 /dev/urandom >noise.onnx
run 1 run noise.onnx
one_line
run 1 run "$digits/digits.onnx" no-such.png
one_line
says "no-such.png"
head -c 60 "$digits/pictures/7.png" >cut.png
run 1 run "$digits/digits.onnx" cut.png
one_line
says "cut.png"
run 1 run @linear-1000 --input x=no-such.npy
one_line
says "no-such.npy"
echo 'no array' >bad.npy
run 1 run @linear-1000 --input x=bad.npy
one_line
says "bad.npy"
run 1 run @linear-1000 --dim tokens=3
one_line
says "tokens"
run 1 run @linear-1000 --device quantum
one_line
says "quantum"
run 1 run @linear-1000 --device pjrt:no-such.so
one_line
says "no-such.so"
run 0 run @linear-1000 --device pjrt:no-such.so,cpu
prints "was passed over"

# ---- plans -------------------------------------------------------------------------------------
run 1 run --plan no-such.json
one_line
says "no-such.json"
echo '{ "schema": "fettle.plan/1" }' >bad.json
run 1 run --plan bad.json
one_line
says "bad.json"
echo '{ "schema": ' >cut.json
run 1 run --plan cut.json
one_line
says "cut.json"
run 1 plan @linear-1000 --on gpu:h2000
one_line
says "did you mean gpu:h200?"
run 1 run @densenet121 --max-memory 10M
one_line
says "does not fit"
run 1 fit @densenet121 --quick --max-memory 10M
says "are missing"

# ---- outputs -----------------------------------------------------------------------------------
mkdir full
ln -s /dev/full full/y.npy
run 1 run @linear-1000 -o full
one_line
says "full/y.npy"
run 1 plan @linear-1000 --quick -o /dev/full
says "/dev/full"
"$FETTLE" run @linear-1000 >/dev/full 2>"$err"
check "a full disk behind stdout ends with 1" [ $? = 1 ]
says "cannot write the output"
run 1 run @linear-1000 -o /proc/fettle
one_line
: >file
run 1 run @linear-1000 -o file
one_line
says "file"
mkdir read-only
chmod 555 read-only
if [ "$(id -u)" != 0 ]; then # root writes everywhere
    run 1 run @linear-1000 -o read-only
    one_line
    says "read-only"
    run 1 fit @linear-1000 --quick -o read-only/x.json
fi
chmod 755 read-only

# ---- memory ------------------------------------------------------------------------------------
# Request number n for memory fails: one line, or success where it is not needed.
codes=
for n in 1 2 3 5 8 13 21 34 55 89 144 233 377 610 987; do
    FETTLE_TEST_FAIL_ALLOC=$n "$FETTLE" run "$digits/digits.onnx" "$digits/pictures/7.png" -o lost >"$out" 2>"$err"
    code=$?
    case $code in
    0) ;;
    1) [ "$(grep -c '^fettle: ' "$err")" -ge 1 ] || codes="$codes $n:silent" ;;
    *) codes="$codes $n:$code" ;;
    esac
done
check "no failing request for memory ends in a crash or silence ($codes)" [ -z "$codes" ]

# ---- an interrupt ------------------------------------------------------------------------------
set -m # else the shell has its background jobs ignore SIGINT
for signal in INT TERM; do
    "$FETTLE" fit @vgg16 --quick -o v.fit.json >"$out" 2>"$err" &
    pid=$!
    sleep 1
    kill -$signal $pid
    wait $pid
    check "SIG$signal in the middle of fit ends with 1" [ $? = 1 ]
    check "no plan is left behind" [ ! -e v.fit.json ]
    check "says so" grep -q interrupted "$err"
done
set +m
no_temporaries
run 0 plan @linear-1000 --quick # the store of profiles is intact
finish
