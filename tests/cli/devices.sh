#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fettle devices.
. "$(dirname "$0")/common.sh"

check "a page of 80 columns" narrow "$FETTLE" devices
check "JSON" json 'assert o["schema"] == "fettle.devices/1"
h = o["host"]
assert h["cpu"] and h["cores"] >= 1 and h["memory_bytes"] > 0 and h["usable_cpus"] >= 1
d = {e["device"]: e for e in o["devices"]}
assert d["cpu"]["usable"] and d["cpu"]["why"] is None and d["cpu"]["memory_bytes"] > 0
assert "fake" not in d
assert all(e["usable"] or e["why"] for e in o["devices"] + o["accelerators"])
assert all(m["available"] or m["why"] for m in o["power_meters"])' "$FETTLE" devices --json
check "the limit of the instruction set" json 'assert o["host"]["isa"] == "any"' \
    env FETTLE_ISA=portable "$FETTLE" devices --json
check "a plug-in that is not there" json 'p = [e for e in o["devices"] if "no/such/plugin" in e["device"]]
assert len(p) == 1 and not p[0]["usable"] and p[0]["why"]' \
    env FETTLE_PJRT_PLUGINS=/no/such/plugin.so "$FETTLE" devices --json
check "a power meter of the user's" json 'm = o["power_meters"][0]
assert m["method"] == "command" and m["available"]' "$FETTLE" devices --json --power-meter 'echo 12.5'
if taskset -c 0 true 2>/dev/null; then
    check "an affinity mask" json 'assert o["host"]["usable_cpus"] == 1' taskset -c 0 "$FETTLE" devices --json
else
    skip "an affinity mask" "taskset cannot choose CPU 0 here"
fi
# Whatever allocation fails, it ends with one line or succeeds.
memory() {
    local n code
    for n in $(seq 1 7 400); do
        FETTLE_TEST_FAIL_ALLOC=$n "$FETTLE" devices --json >"$temp/stdout" 2>"$temp/stderr"
        code=$?
        [ $code = 0 ] && continue
        [ $code = 1 ] && grep -q '^fettle: ' "$temp/stderr" && continue
        echo "allocation $n: exit code $code"
        cat "$temp/stderr"
        return 1
    done
}
check "failing allocations" memory
finish
