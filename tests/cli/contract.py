# SPDX-License-Identifier: Apache-2.0
"""Checks the JSON of a verb against what docs promise.  Use: contract.py run|plan|fit FILE

A spec is a type, a tuple of allowed ones (None: null), a dict of members (more are welcome), or a
list with the spec of every item.
"""
import json
import sys

NUMBER = (int, float)
MAYBE = (int, float, None)
TEXT = (str,)

RUN = {
    "schema": TEXT, "model": TEXT, "device": TEXT, "threads": (int,), "weights": TEXT,
    "outputs": [{"name": TEXT, "shape": [(int,)], "dtype": TEXT, "file": (str, None)}],
    "inputs": [{"name": TEXT, "shape": [(int,)], "dtype": TEXT, "file": (str, None), "source": TEXT}],
    "latency_s": {"p50": NUMBER, "p10": MAYBE, "p90": MAYBE, "p99": MAYBE, "n": (int,)},
    "memory_bytes": {"predicted": (int,), "peak": (int, None)},
}
PREDICTED = {
    "latency_s": NUMBER, "latency_low_s": NUMBER, "latency_high_s": NUMBER, "throughput_per_s": NUMBER,
    "memory_bytes": (int,), "energy_j": MAYBE, "method": TEXT, "source": TEXT,
}
MEASURED = {
    "latency_s": NUMBER, "throughput_per_s": NUMBER, "memory_bytes": (int, None), "energy_j": MAYBE,
}
PLAN = {
    "schema": TEXT,
    "candidates": [{
        "device": TEXT, "devices": [TEXT], "threads": (int,), "batch": (int,), "dtype": TEXT,
        "fits": (bool,), "missing_bytes": (int,), "reasons": [TEXT], "predicted": PREDICTED,
    }],
    "chosen": (int, None), "baseline": (int, None),
    "passed_over": [{"device": TEXT, "why": TEXT}],
}
SPECS = {"run": RUN, "plan": PLAN, "fit": PLAN}


def fits(value, spec, place):
    if isinstance(spec, dict):
        assert isinstance(value, dict), f"{place} is no object"
        for key, inner in spec.items():
            assert key in value, f"{place}.{key} is missing"
            fits(value[key], inner, f"{place}.{key}")
    elif isinstance(spec, list):
        assert isinstance(value, list), f"{place} is no array"
        for i, item in enumerate(value):
            fits(item, spec[0], f"{place}[{i}]")
    elif value is None:
        assert None in spec, f"{place} is null"
    else:
        types = tuple(t for t in spec if t)
        assert isinstance(value, types), f"{place} is {value!r}"
        assert bool in types or not isinstance(value, bool), f"{place} is {value!r}"


def no_constant(name):
    raise AssertionError(f"{name} is no JSON")


def check_plan(plan, verb):
    for c in plan["candidates"]:
        p = c["predicted"]
        assert 0 < p["latency_low_s"] <= p["latency_s"] <= p["latency_high_s"], p
        assert c["fits"] == (not c["reasons"]), c
        if c["measured"] is not None:
            fits(c["measured"], MEASURED, "measured")
    for which in ("chosen", "baseline"):
        assert plan[which] is None or 0 <= plan[which] < len(plan["candidates"])
    if verb == "fit":
        assert plan["candidates"][plan["chosen"]]["measured"] is not None


def main():
    verb, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        value = json.load(file, parse_constant=no_constant)
    fits(value, SPECS[verb], "$")
    assert value["schema"].startswith(f"fettle.{verb}/"), value["schema"]
    if verb == "run":
        assert value["weights"] in ("file", "random")
        assert value["latency_s"]["n"] >= 100 or value["latency_s"]["p99"] is None
    else:
        check_plan(value, verb)


main()
