# SPDX-License-Identifier: Apache-2.0
# Sourced by script/build, script/test and script/lint, in the root of the tree.

# usage FILE: the comment that a script opens with.
usage() {
    awk 'NR < 3 { next } !/^#/ { exit } { sub("^# ?", ""); print }' "$1"
}

# What meson.build asks for is here, whoever installed it.
needs_are_met() {
    local tool
    for tool in meson ninja pkg-config protoc-c; do
        command -v "$tool" >/dev/null || return 1
    done
    command -v "${CC:-cc}" >/dev/null &&
        pkg-config --exists hwloc jansson sqlite3 libprotobuf-c libpng libjpeg zlib
}

# configure FOLDER OPTION...: meson setup where it is due; a folder set up otherwise starts anew.
# The compiler is part of the options: meson remembers the one it started with.
configure() {
    local folder=$1 wanted
    shift
    wanted="${CC:-cc} $*"
    if [ -f "$folder/build.ninja" ] && [ "$(cat "$folder/.configured" 2>/dev/null)" = "$wanted" ]; then
        return 0 # ninja itself sees changed meson.build files
    fi
    # Not the whole folder: build/ holds other build folders.
    rm -rf "$folder/meson-private" "$folder/meson-info" "$folder/build.ninja" "$folder/.configured"
    mkdir -p "$folder"
    if ! meson setup "$folder" "$@" >"$folder/setup.log" 2>&1; then
        cat "$folder/setup.log"
        echo "meson setup $folder failed: what it lacks stands above, script/bootstrap installs it"
        return 1
    fi
    printf '%s' "$wanted" >"$folder/.configured"
}

# compile FOLDER [TARGET...]: ninja, whose output is shown when something is wrong.
compile() {
    local folder=$1
    shift
    if ! ninja -C "$folder" "$@" >"$folder/compile.log" 2>&1; then
        grep -v '^\[[0-9]*/[0-9]*\]' "$folder/compile.log"
        echo "ninja -C $folder failed: look at the first error above"
        return 1
    fi
}
