#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What is printed for people who ask, and for those who mistype.
. "$(dirname "$0")/common.sh"

version() { exits 0 "$FETTLE" --version && grep -qE '^fettle [0-9]+\.[0-9]+\.[0-9]+$' "$temp/stdout"; }
usage() { narrow "$FETTLE" "$1" && grep -q '^  bench ' "$temp/stdout" && grep -q '^examples:' "$temp/stdout"; }
no_verb() { exits 2 "$FETTLE" && grep -q '^usage: ' "$temp/stderr" && [ ! -s "$temp/stdout" ]; }
# Each verb's help has two examples, and each example parses: with --help behind it, it prints help.
help_of() {
    local line n=0
    narrow "$FETTLE" "$1" --help || return
    cp "$temp/stdout" "$temp/help"
    while read -r line; do
        n=$((n + 1))
        # shellcheck disable=SC2086
        exits 0 "$FETTLE" ${line#fettle } --help || return
    done < <(sed -n '/^examples:/,$p' "$temp/help" | grep '^  fettle ')
    [ $n = 2 ] || { echo "$n examples, wanted 2"; return 1; }
}

check "--version" version
check "--help" usage --help
check "help" usage help
check "no verb at all" no_verb
check "a mistyped verb" fails 2 'there is no verb "benhc"; did you mean bench?' "$FETTLE" benhc
check "a verb like nothing" fails 2 'fettle --help lists' "$FETTLE" zzzzzz
check "a mistyped flag of the command" fails 2 'did you mean --version?' "$FETTLE" --verison
for verb in $("$FETTLE" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    check "help of $verb" help_of "$verb"
    check "a mistyped flag of $verb" fails 2 "$verb: there is no flag --jsno" "$FETTLE" "$verb" --jsno
done
check "the help of devices, word by word" prints "$here/help_devices.out" "$FETTLE" devices --help
check "the help of bench, word by word" prints "$here/help_bench.out" "$FETTLE" bench --help
check "an unknown instruction set" fails 2 'unknown instruction set "mmx"' env FETTLE_ISA=mmx "$FETTLE" devices
check "a test hook that is no number" fails 2 FETTLE_TEST_FAIL_ALLOC env FETTLE_TEST_FAIL_ALLOC=x "$FETTLE" devices
if [ -e /dev/full ]; then
    full() { "$FETTLE" devices --json >/dev/full 2>"$temp/stderr"; [ $? = 1 ] && grep -q '^fettle: cannot write' "$temp/stderr"; }
    check "a full disk behind stdout" full
else
    skip "a full disk behind stdout" "there is no /dev/full"
fi
finish
