"""What pydantic finds wrong with a value, in the words of hwsim."""

from __future__ import annotations

import re
from typing import Any

_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
"""For each kind of error the key of its bound, and how it is said."""
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)"
_SHORT = 30
"""Letters of a value that a suggestion repeats."""


def in_words(item: Any) -> str:
    """The message for one of the errors of a `ValidationError`: what a value must be; the value itself is not told."""
    kind, value, context = str(item["type"]), item.get("input"), item.get("ctx", {})
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        bound = context[key]
        return f"must be {words} {f'{bound:g}' if isinstance(bound, float) else bound}"
    match kind:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "unknown key"
        case "int_type" | "int_parsing" | "int_from_float":
            number = _whole(value)
            return f"must be a whole number{number and f' alone, such as {number}'}"
        case "float_type" | "float_parsing":
            return _number(value)
        case "string_type":
            scalar = isinstance(value, int | float) and not isinstance(value, bool) and len(str(value)) <= _SHORT
            return "must be text" + (f', such as "{value}"' if scalar else "")
        case "bool_type" | "bool_parsing":
            return "must be true or false"
        case "list_type":
            scalar = value is not None and not isinstance(value, dict) and len(str(value)) <= _SHORT
            scalar = scalar and str(value).isprintable()  # a message is a line
            return f"must be a list{f', such as [{value}]' if scalar else ''}"
        case "too_short":
            return f"needs {context['min_length']} or more"
        case "too_long":
            return f"takes {context['max_length']} at most"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a mapping of keys"
        case "string_pattern_mismatch":
            return f"must match the pattern {context['pattern']}"
    said = re.sub(r"^[\w ]+ should ", "must ", item["msg"])
    said = said.removeprefix("Value error, ").replace("must be a valid ", "must be a ")
    return f"{said[0].lower()}{said[1:]}"


def _number(value: Any) -> str:
    """What is wrong with a value that is no number; a share in percent is told as a number."""
    if isinstance(value, str) and len(value) <= _SHORT:
        if percent := re.fullmatch(rf"({_NUMBER}) ?%", value, re.ASCII):
            return f"must be a number alone; {value} is {float(percent.group(1)) / 100:g}"
        if re.match(_NUMBER, value, re.ASCII):
            return "must be a number alone, without a unit"
    return "must be a number"


def _whole(value: Any) -> str:
    """The whole number that `64 rows` or `8.0` begins with, as text; empty if there is none."""
    found = re.match(
        r"[-+]?\d{1,15}(?=$|\.0*$| |[^\d.eE%])(?! ?%)", value if isinstance(value, str) else str(value), re.ASCII
    )
    return found.group(0) if found else ""
