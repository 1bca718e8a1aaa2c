# SPDX-License-Identifier: Apache-2.0
# Sourced by tools/check-*: where the tree is and which files belong to it.
# A check takes the root of the tree as its argument (default: this one), prints
# "file:line: what is wrong, what to do" and exits 0 fine, 1 wrong, 77 cannot be done here.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "${1:-$here}" || exit 2

# tree_files PATTERN...: files of the tree, tracked or about to be, whose path matches one of the
# shell patterns.  A tree without git (an unpacked archive) is searched instead.
tree_files() {
    local file pattern
    { git ls-files -co --exclude-standard 2>/dev/null ||
        find . -type f -not -path './.git/*' -not -path './build*' | sed 's,^\./,,'; } |
        sort -u | while IFS= read -r file; do
            [ -f "$file" ] || continue # deleted, not yet committed
            for pattern; do
                # shellcheck disable=SC2053
                if [[ $file == $pattern ]]; then
                    printf '%s\n' "$file"
                    break
                fi
            done
        done
}
