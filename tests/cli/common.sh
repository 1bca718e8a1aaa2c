# SPDX-License-Identifier: Apache-2.0
# Sourced by the cases of tests/cli: TAP, a folder of its own, the command as $FETTLE.
# A case calls `check NAME COMMAND...` (must succeed) for each test and `finish` at its end.
set -u
: "${FETTLE:?the path of the command}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
temp=$(mktemp -d) || exit 2
trap 'chmod -R u+w "$temp"; rm -rf "$temp"' EXIT
export FETTLE_CACHE=$temp/cache
unset FETTLE_ISA FETTLE_PJRT_PLUGINS FETTLE_TEST_FAIL_ALLOC
count=0
failures=0

check() { # NAME COMMAND...
    local name=$1 said
    shift
    count=$((count + 1))
    if said=$("$@" 2>&1); then
        echo "ok $count - $name"
    else
        echo "not ok $count - $name"
        printf '%s\n' "$said" | head -n 40 | sed 's/^/# /'
        failures=$((failures + 1))
    fi
}
skip() { # NAME REASON
    count=$((count + 1))
    echo "ok $count - $1 # SKIP $2"
}
finish() {
    echo "1..$count"
    [ $failures = 0 ]
    exit
}

# exits CODE COMMAND...: the command ends with this code.
exits() {
    local want=$1 code
    shift
    "$@" >"$temp/stdout" 2>"$temp/stderr"
    code=$?
    [ $code = "$want" ] && return
    echo "exit code $code, wanted $want: $*"
    cat "$temp/stdout" "$temp/stderr"
    return 1
}
# fails CODE TEXT COMMAND...: this code, nothing on stdout, and one line "fettle: ...TEXT..." on stderr.
fails() {
    local code=$1 text=$2
    shift 2
    exits "$code" "$@" || return
    [ ! -s "$temp/stdout" ] || { echo "stdout is not empty"; return 1; }
    [ "$(wc -l <"$temp/stderr")" = 1 ] || { echo "stderr is not one line:"; cat "$temp/stderr"; return 1; }
    grep -q '^fettle: ' "$temp/stderr" && grep -qF -- "$text" "$temp/stderr" && return
    echo "wanted: $text"
    cat "$temp/stderr"
    return 1
}
# prints FILE COMMAND...: success, and stdout is the file.
prints() {
    local file=$1
    shift
    exits 0 "$@" && diff -u "$file" "$temp/stdout"
}
# narrow COMMAND...: success, and no line is wider than 80 columns.
narrow() {
    exits 0 "$@" || return
    awk 'length($0) > 80 { print "wider than 80: " $0; bad = 1 } END { exit bad }' "$temp/stdout"
}
# json SCRIPT COMMAND...: success, stdout is one JSON object `o`, and the Python assertion holds.
json() {
    local script=$1
    shift
    exits 0 "$@" || return
    python3 -c 'import json, sys
o = json.load(open(sys.argv[1]))
exec(sys.argv[2])' "$temp/stdout" "$script"
}
