#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What programs rely on: one JSON object on stdout, with these members of these types.
. "$(dirname "$0")/cli.sh"

# is SPEC: $out is one JSON object with the members of the spec, checked by contract.py.
is() {
    check "JSON as $1 promises" python3 "$here/contract.py" "$1" "$out"
    check "nothing beside it on stderr" [ ! -s "$err" ]
}
run 0 run @linear-1000 --json
is run
run 0 run @linear-1000 --json --repeat 100 -o files --verbose
is run
check "p99 is there with 100 runs" python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
assert r["latency_s"]["p99"] > 0 and r["latency_s"]["n"] == 100
assert r["outputs"][0]["file"] == "files/y.npy" and len(r["nodes"]) >= 1' "$out"
digits=$SOURCE/examples/digits
run 0 run "$digits/digits.onnx" "$digits/pictures/4.png" --json
is run
check "weights of a file, four on top" python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
assert r["weights"] == "file" and r["classes"][0]["label"] == "4"
assert abs(sum(c["probability"] for c in r["classes"])) <= 1.001 and not r["softmax_applied"]' "$out"
run 0 plan @linear-1000 --quick --json
is plan
run 0 plan @linear-1000 --json --on gpu:h200,cpu:epyc-9654,here --for throughput
is plan
run 1 plan @densenet121 --json --max-memory 10M
check "JSON as plan promises" python3 "$here/contract.py" plan "$out"
check "nothing is chosen, bytes are missing" python3 -c '
import json, sys
p = json.load(open(sys.argv[1]))
assert p["chosen"] is None
assert all(not c["fits"] and c["missing_bytes"] > 0 and c["reasons"] for c in p["candidates"])' "$out"
run 0 fit @linear-1000 --quick --json -o x.fit.json
is fit
check "the file is the same object" python3 -c '
import json, sys
assert json.load(open(sys.argv[1])) == json.load(open("x.fit.json"))' "$out"
run 0 devices --json
check "one JSON object" python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["schema"] == "fettle.devices/1"' "$out"
run 0 devices --catalogue --json
check "one JSON object" python3 -c '
import json, sys
c = json.load(open(sys.argv[1]))
assert c["schema"] == "fettle.catalogue/1" and all(x["source"] for x in c["chips"])' "$out"
no_temporaries
finish
