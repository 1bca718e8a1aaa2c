#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fettle bench: figures, files, the store, and an interruption in the middle.
. "$(dirname "$0")/common.sh"

stored() { # how many profiles the store holds
    python3 -c 'import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM profile").fetchone()[0])' "$FETTLE_CACHE/profile.db"
}
intact() {
    python3 -c 'import sqlite3, sys
d = sqlite3.connect(sys.argv[1])
assert d.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
assert d.execute("SELECT count(*) FROM row WHERE profile NOT IN (SELECT id FROM profile)").fetchone()[0] == 0
assert d.execute("SELECT count(*) FROM profile WHERE id NOT IN (SELECT profile FROM row)").fetchone()[0] == 0' "$FETTLE_CACHE/profile.db"
}
no_leftovers() {
    local left
    left=$(find "$temp" -name '*.tmp.*')
    [ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

quick='assert o["schema"] == "fettle.bench/1" and o["device"] == "cpu"
assert o["peak_flops_per_s"]["f32"] > 1e8 and o["read_bytes_per_s"] > 1e7 and o["copy_bytes_per_s"] > 1e7
p = o["power"]
assert p["why"] if p["method"] == "not available" else p["active_w"] > 0
kinds = {r["kind"] for r in o["rows"]}
assert {"peak", "read", "copy", "launch", "step"} <= kinds, kinds
assert all(r["n"] >= 5 and r["min"] <= r["median"] <= r["max"] for r in o["rows"])'
check "--quick --json --export" json "$quick" "$FETTLE" bench --quick --json --export "$temp/a.json"
check "the export is the same" json "$quick" cat "$temp/a.json"
check "it is stored" test "$(stored)" = 1
csv() {
    exits 0 "$FETTLE" bench --quick --csv --threads 1 && python3 -c 'import csv, sys
rows = list(csv.DictReader(open(sys.argv[1])))
assert {"peak", "gemm"} <= {r["kind"] for r in rows}, rows
assert all(r["threads"] == "1" and (r["fault"] == "1" or float(r["median"]) > 0) for r in rows), rows' "$temp/stdout"
}
check "--csv --threads 1" csv
check "--compare of the stored ones" narrow "$FETTLE" bench --compare previous latest
same() { narrow "$FETTLE" bench --compare "$temp/a.json" "$temp/a.json" && grep -q ': 0 differ' "$temp/stdout"; }
check "--compare of a file with itself" same
people() {
    narrow "$FETTLE" bench --quick --power-meter 'echo 20' || return
    [ "$(wc -l <"$temp/stdout")" -le 40 ] || { echo "more than 40 lines"; cat "$temp/stdout"; return 1; }
    grep -q '^Power .*command' "$temp/stdout"
}
check "a page for people, with a power meter" people

check "no such device" fails 1 'device "gpux"' "$FETTLE" bench gpux
check "a test double is refused" fails 1 'test double' "$FETTLE" bench fake
check "--json and --csv" fails 2 'exclude each other' "$FETTLE" bench --json --csv
check "no such profile" fails 1 'neither an exported profile nor' "$FETTLE" bench --compare 9999 latest
check "no such file" fails 1 no-such-file "$FETTLE" bench --compare no-such-file latest
echo '{"schema": "fettle.bench/1"}' >"$temp/short.json"
check "a file that lies" fails 1 "$temp/short.json" "$FETTLE" bench --compare "$temp/short.json" latest

# Interrupted in the middle: exit code 1, one line, nothing half-written, the store as it was.
interrupted() { # SIGNAL
    local before pid code
    before=$(stored)
    env --default-signal=INT,TERM "$FETTLE" bench --json --export "$temp/half.json" >"$temp/stdout" 2>"$temp/stderr" &
    pid=$!
    sleep 2
    kill -s "$1" $pid
    wait $pid
    code=$?
    [ $code = 1 ] || { echo "exit code $code, wanted 1"; cat "$temp/stderr"; return 1; }
    [ ! -s "$temp/stdout" ] && [ ! -e "$temp/half.json" ] || { echo "something was written"; return 1; }
    grep -q '^fettle: interrupted' "$temp/stderr" || { cat "$temp/stderr"; return 1; }
    [ "$(stored)" = "$before" ] && intact && no_leftovers
}
if env --default-signal=INT true 2>/dev/null; then
    check "SIGINT in the middle" interrupted INT
    check "SIGTERM in the middle" interrupted TERM
else
    skip "SIGINT in the middle" "env knows no --default-signal here"
fi

# Without a store that can be used the figures still come.
damaged() {
    FETTLE_CACHE=$temp/damaged
    mkdir -p "$FETTLE_CACHE"
    echo 'this is no database, but it is long enough to be looked at' >"$FETTLE_CACHE/profile.db"
    exits 0 "$FETTLE" bench --quick --threads 1 && grep -q '^Stored *no: .*damaged' "$temp/stdout" &&
        [ "$(grep -c '^fettle: warning' "$temp/stderr")" = 1 ] &&
        grep -q 'no database' "$FETTLE_CACHE/profile.db"
}
check "a damaged store" damaged
check "a damaged store has no profiles" fails 1 damaged/profile.db env "FETTLE_CACHE=$temp/damaged" "$FETTLE" bench --compare latest latest
check "nothing stored yet" fails 1 'run fettle bench first' env "FETTLE_CACHE=$temp/none" "$FETTLE" bench --compare latest latest
check "the store is intact" intact
finish
