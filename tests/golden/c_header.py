# SPDX-License-Identifier: Apache-2.0
"""Prints numpy arrays as a C header of `static const` arrays."""
import numpy as np


def number(value):
    """Shortest text that a C compiler reads back as the same float."""
    text = np.format_float_positional(np.float32(value), unique=True, trim="0")
    small = np.format_float_scientific(np.float32(value), unique=True, trim="-", exp_digits=1)
    return (text if len(text) <= len(small) else small) + "f"


def array(name, a):
    """Rows of at most 100 columns; the name's comment is its shape."""
    a = np.asarray(a)
    whole = a.dtype.kind in "iu"
    shape = "".join(f"[{n}]" for n in a.shape)
    lines, line = [], "   "
    for text in (str(v) if whole else number(v) for v in a.ravel()):
        if len(line) + len(text) + 2 > 100:
            lines.append(line)
            line = "   "
        line += f" {text},"
    return (f"static const {'int32_t' if whole else 'float'} {name}[{a.size}] = {{ /* {shape} */\n"
            + "\n".join(lines + [line]) + "\n};\n")


def header(name, comment, defines, arrays):
    """The whole file; `comment` is the text of its opening comment, a list of lines."""
    guard = f"FTL_TESTS_GOLDEN_{name.upper()}_H"
    width = max(map(len, defines))
    return "\n".join(
        ["/* SPDX-License-Identifier: Apache-2.0 */", f"/* {name}.h - {comment[0]}",
         *[" * " + line for line in comment[1:]], " */",
         f"#ifndef {guard}", f"#define {guard}", "", "#include <stdint.h>", "", "/* clang-format off */",
         *[f"#define {key:<{width}} {value}" for key, value in defines.items()], ""]
        + [array(key, a) for key, a in arrays.items()] + ["/* clang-format on */", "#endif", ""])


def rounded(a, digits):
    """f32 values with few decimal digits, as f64: what the header holds is what is computed with."""
    return np.round(a, digits).astype(np.float32).astype(np.float64)
