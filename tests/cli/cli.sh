# SPDX-License-Identifier: Apache-2.0
# What every case of the command starts with.  A case is a bash script that prints TAP:
#
#     . "$(dirname "$0")/cli.sh"
#     run 0 run @linear-1000               # the command with these words ends with this code
#     check "says the device" grep -q 'on cpu' "$out"
#     finish
#
# $FETTLE is the command, $SOURCE the top of the tree; $work is a folder of this case's own, where it
# runs, with a profile store of its own.  $out and $err are what the last command printed.
set -u
[ -x "$FETTLE" ] || { echo "Bail out! there is no command at $FETTLE"; exit 1; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 99
export FETTLE_CACHE=$work/cache LC_ALL=C
unset FETTLE_ISA FETTLE_PJRT_PLUGINS FETTLE_TEST_FAIL_ALLOC
out=$work/.out
err=$work/.err
tests=0

report() { # ok|not ok NAME
    tests=$((tests + 1))
    echo "$1 $tests - $2"
}
# What went wrong, as TAP comments.
show() {
    sed 's/^/# out: /' "$out" | head -n 30
    sed 's/^/# err: /' "$err" | head -n 10
}
# check NAME COMMAND...: the command succeeds.
check() {
    local name=$1
    shift
    if "$@" >"$work/.check" 2>&1; then
        report ok "$name"
    else
        report 'not ok' "$name"
        sed 's/^/# /' "$work/.check" | head -n 20
        show
    fi
}
# run CODE WORD...: fettle with these words; its exit code is one test.
run() {
    local want=$1 code
    shift
    "$FETTLE" "$@" >"$out" 2>"$err" </dev/null
    code=$?
    check "fettle $* ends with $want" [ $code = "$want" ]
}
# The last command printed what stands in NAME.out beside the case.
same() {
    check "prints $1.out" diff -u "$here/$1.out" "$out"
}
# The last command failed with one line on stderr, nothing on stdout.
one_line() {
    check "says it in one line" one_line_is_all
}
one_line_is_all() {
    [ "$(wc -l <"$err")" = 1 ] && grep -q '^fettle: ' "$err" && [ ! -s "$out" ]
}
says() {
    check "says \"$1\"" grep -qF -- "$1" "$err"
}
prints() {
    check "prints \"$1\"" grep -qF -- "$1" "$out"
}
# Nothing is wider than a terminal.
narrow() {
    check "fits 80 columns" narrow_is_all
}
narrow_is_all() {
    ! LC_ALL=C.UTF-8 grep -nE '^.{81,}$' "$out"
}
# Nothing was left behind half-written.
no_temporaries() {
    check "leaves no temporary file" [ -z "$(find "$work" -name '*.tmp.*')" ]
}
finish() {
    echo "1..$tests"
}
