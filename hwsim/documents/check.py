"""Checks of documents against models: one error lists all problems."""

from __future__ import annotations

import difflib
import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError

from hwsim.documents.document import Document, Place, Problem, refuse

MOST = 2**53
"""Largest whole number, for counts as for seeds: tables, JSON and arithmetic hold larger ones inexactly."""
_LEAST, _LARGEST = 1e-100, 1e100
"""Sizes of other numbers, so that products and ratios of a few of them are numbers, too."""
_LISTED = 32
"""Largest number of names that a message lists in full."""
_ALIKE = 0.65
"""Least share of letters that two names have in common in the same order, for one to be a slip of the other."""
_A_PART = 3
"""Least number of letters by which a part of a name stands for it."""
_LONG = 60
"""Largest number of characters of a value that a message repeats in full."""


def check(model: type[BaseModel], document: Document, absent: Mapping[str, str] = {}) -> Any:
    """The document as a `model`.

    Args:
        absent: what to say of unknown keys with these names.

    Raises:
        ConfigError: each problem as `file:line:column: what, what is allowed`.
    """
    problems: list[Problem] = []
    checked = None
    try:
        checked = model.model_validate(document.data, strict=True)
    except ValidationError as error:
        problems = _problems(model, document, error, absent)
    for place, value, text in _unusable(document.data, ()):
        start = f"{_name(place)} ({_shown(value)}): "
        if not any(problem.text.startswith(start) for problem in problems):
            problems.append(document.problem(place, f"{start}{text}"))
    if problems:
        raise refuse(problems)
    return checked


def _unusable(data: Any, place: Place) -> Iterator[tuple[Place, Any, str]]:
    """The places of numbers and texts that no key takes, with what is wrong there."""
    if isinstance(data, (dict, list)):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            if isinstance(key, str) and not _printable(key):
                yield place, key, "a key has a control character, or half of a surrogate pair"
            yield from _unusable(value, (*place, key))
    elif isinstance(data, float) and not math.isfinite(data):
        yield place, data, "must be a finite number"
    elif isinstance(data, float) and data and not _LEAST <= abs(data) <= _LARGEST:
        yield place, data, f"must be 0, or from {_LEAST:g} to {_LARGEST:g} in size"
    elif isinstance(data, int) and abs(data) > MOST:
        yield place, data, f"whole numbers are at most {MOST} (2^53)"
    elif isinstance(data, str) and not _printable(data):
        yield place, data, "has a control character, or half of a surrogate pair; tables and figures cannot show it"


def _printable(text: str) -> bool:
    """Whether tables and figures can show a text; it may have several lines."""
    return text.isprintable() or all(
        letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cs") for letter in text
    )


def _problems(
    model: type[BaseModel], document: Document, error: ValidationError, absent: Mapping[str, str]
) -> list[Problem]:
    problems = []
    meant = _meant(model, error, absent)
    for where, owner, item in _said(model, error):
        kind, value = item["type"], item.get("input")
        if kind == "extra_forbidden":
            key, allowed = str(where[-1]), sorted(_allowed(owner))
            text = unknown("key", key, allowed)
            if key in absent:
                text = f"unknown key {key!r}; {absent[key]}; allowed here: {', '.join(allowed)}"
            problems.append(document.problem(where, text, at_key=True))
        elif kind == "missing" and where not in meant:
            problems.append(document.problem(where[:-1], f"{_name(where)} is missing"))
        elif kind == "missing":
            continue
        elif kind in ("union_tag_invalid", "union_tag_not_found"):
            names = re.findall(r"'([^']*)'", str(item["ctx"].get("expected_tags", "")))
            tag = value.get(item["ctx"]["discriminator"].strip("'")) if isinstance(value, dict) else None
            key = item["ctx"]["discriminator"].strip("'")
            text = f"{_name(where)} needs a {key!r}" if tag is None else unknown(_name(where), str(tag), names)
            problems.append(document.problem((*where, key) if tag is not None else where, text))
        elif kind == "literal_error" and not _is_constant(value):
            names = [name.strip("'") for name in re.split(", | or ", item["ctx"]["expected"])]
            problems.append(document.problem(where, unknown(_name(where), str(value), names)))
        else:
            shown = "" if isinstance(value, (dict, list)) else f" ({_shown(value)})"
            message = item["msg"].removeprefix("Value error, ")
            if str(item.get("ctx", {}).get("class_name")).startswith("Constant["):
                message = f"needs its origin: {{value: {value}, source: KEY}}, or {{value: {value}, assumed: REASON}}"
            elif kind in ("model_type", "model_attributes_type", "dict_type"):
                message = "must be a mapping of keys"
            elif _is_constant(value) and (kind.endswith(("_type", "literal_error")) or "a quantity" in message):
                message = f"takes a value alone, such as {_shown(value['value'])}"
            elif kind.endswith("_type") and (percent := _percentage(value)):
                message = f"must be a number alone; {percent.group(0)} is {float(percent.group(1)) / 100:g}"
            elif kind in ("int_type", "int_parsing", "int_from_float"):
                number = _whole(value)
                message = f"must be a whole number{number and f' alone, such as {number}'}"
            elif kind == "too_short":
                message = f"needs {item['ctx']['min_length']} or more"
            message = f"{message[0].lower()}{message[1:]}"
            where = (*where, *getattr(item.get("ctx", {}).get("error"), "place", ()))
            whole = kind == "value_error" and not where  # parts that do not fit together
            problems.append(document.problem(where, message if whole else f"{_name(where)}{shown}: {message}"))
    return problems


def _percentage(value: Any) -> re.Match[str] | None:
    """A text such as `3 %`, with its number as the first group."""
    return re.fullmatch(r"([-+]?\d+(?:\.\d*)?|\.\d+) ?%", value, re.ASCII) if isinstance(value, str) else None


def _whole(value: Any) -> str:
    """The whole number that `64 rows` or `8.0` begins with, as text; empty if there is none."""
    found = re.match(r"[-+]?\d{1,15}(?=$|\.0*$| |[^\d.eE])", value if isinstance(value, str) else str(value), re.ASCII)
    return found.group(0) if found else ""


def _is_constant(value: Any) -> bool:
    """Whether a value has the form of a constant."""
    return isinstance(value, dict) and "value" in value


def _meant(model: type[BaseModel], error: ValidationError, absent: Mapping[str, str]) -> set[Place]:
    """The keys that were misspelt, or that a message names for another: they are not reported as missing as well."""
    extra = [(where, owner) for where, owner, item in _said(model, error) if item["type"] == "extra_forbidden"]
    misspelt = {(*where[:-1], *nearest(str(where[-1]), _allowed(owner))) for where, owner in extra}
    named = {(*where[:-1], key) for where, _ in extra for key in re.findall("`(\\w+)`", absent.get(str(where[-1]), ""))}
    return misspelt | named


def _said(model: type[BaseModel], error: ValidationError) -> list[tuple[Place, type[BaseModel] | None, Any]]:
    """The errors with their places, and the models of the last keys.

    A key that takes a number or a mapping gives errors of both. Those are left out which only say that a value is not
    of the other type; if it is of neither, the first is kept.
    """
    said: list[tuple[Place, type[BaseModel] | None, Any]] = []
    items = [(*_resolve(model, item["loc"]), item) for item in error.errors(include_url=False)]
    for number, (where, owner, item) in enumerate(items):
        others = [other for at, other in enumerate(items) if at != number and other[0][: len(where)] == where]
        typed = _of_another_type(item)
        better = any(not _of_another_type(other) or len(place) > len(where) for place, _, other in others)
        if not typed or not (better or any(place == where for place, _, _ in said)):
            said.append((where, owner, item))
    return said


def _of_another_type(item: Any) -> bool:
    """Whether an error only says that a value is not of a type; a number is of another type than a word."""
    kind = str(item["type"])
    return kind.endswith("_type") or (kind == "literal_error" and not isinstance(item.get("input"), str))


def _allowed(owner: type[BaseModel] | None) -> list[str]:
    """The keys of a mapping."""
    return [field.alias or name for name, field in owner.model_fields.items()] if owner else []


def _resolve(model: type[BaseModel], loc: tuple[str | int, ...]) -> tuple[Place, type[BaseModel] | None]:
    """The place for a location of pydantic, which also names the members of unions; and the model of the last key."""
    place: list[str | int] = []
    owner: Any = model
    loc = tuple(part for part in loc if not str(part).startswith("literal["))  # a member of a union
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        owner = _only_model(owner)
        fields = getattr(owner, "model_fields", None)
        if fields is not None:
            place.append(part)
            if not last:
                owner = fields[part].annotation if part in fields else _of_others(owner)
            continue
        chosen, kept = _step_into(owner, part)
        if kept:
            place.append(part)
        owner = chosen
    return tuple(place), owner if hasattr(owner, "model_fields") else None


def _of_others(model: type[BaseModel]) -> Any:
    """The type of the keys that a model takes besides its fields; None if it takes none, or any."""
    others = model.__annotations__.get("__pydantic_extra__")
    if isinstance(others, str):
        others = get_type_hints(model).get("__pydantic_extra__")
    return getattr(others, "__args__", (None,))[-1]


def _only_model(annotation: Any) -> Any:
    """The model of a type `Model | None`; any other type as it is."""
    arguments = [argument for argument in getattr(annotation, "__args__", ()) if argument is not type(None)]
    is_one = len(arguments) == 1 and type(None) in annotation.__args__ and hasattr(arguments[0], "model_fields")
    return arguments[0] if is_one else annotation


def _step_into(annotation: Any, part: str | int) -> tuple[Any, bool]:
    """The type behind one part of a location, and whether the part is a key or an index of the document."""
    arguments: tuple[Any, ...] = getattr(annotation, "__args__", ())
    models = [argument for argument in arguments if hasattr(argument, "model_fields")]
    if isinstance(part, int):
        return (arguments[0] if arguments else None), True
    for model in models:
        name = model.model_fields.get("name") or model.model_fields.get("kind") or model.model_fields.get("law")
        if part == model.__name__ or (name is not None and part in getattr(name.annotation, "__args__", ())):
            return model, False
    for argument in arguments:
        if getattr(argument, "__args__", ()):
            inner, kept = _step_into(argument, part)
            if inner is not None:
                return inner, kept
    if getattr(annotation, "__origin__", None) is dict:
        return arguments[-1], True
    for model in models:
        if part in model.model_fields:
            return model.model_fields[part].annotation, True
    return None, len(models) == 0 and not str(part).startswith(("function-", "constrained-"))


def unknown(what: str, name: str, allowed: list[str]) -> str:
    """The message about a name that is not allowed; of very many allowed names it lists those that resemble it."""
    close, near, shown = nearest(name, allowed), _near(name, allowed)[: _LISTED // 4], sorted(allowed)
    hint = f"did you mean {close[0]!r}? " if close else ""
    if near and len(allowed) > _LISTED:
        shown = [*near, f"and {len(allowed) - len(near)} more"]
    return f"unknown {what} {cut(repr(name))}; {hint}allowed: {', '.join(shown)}"


def nearest(name: str, allowed: list[str]) -> list[str]:
    """The nearest allowed name, in a list; an empty list if none is near, or if it is a part of several."""
    near = _near(name, allowed)
    return near[:1] if len(near) == 1 or any(_likeness(name, each) >= _ALIKE for each in near[:1]) else []


def _near(name: str, allowed: list[str]) -> list[str]:
    """The allowed names that one may have meant, best first: slips of it, and those that it is a part of.

    Capitals, and what joins words, do not count. Names that share a few letters by chance are left out.
    """
    likeness = {each: _likeness(name, each) for each in allowed if each}
    near = [each for each, like in likeness.items() if like >= _ALIKE or _is_part(name, each) or _is_part(each, name)]
    return sorted(near, key=lambda each: (-likeness[each], each))


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, _folded(one), _folded(other)).ratio()


def _is_part(part: str, name: str) -> bool:
    """Whether a name has words that begin so."""
    begins = f"_{_folded(part)}"
    return len(begins) > _A_PART and begins in f"_{_folded(name)}"


def _folded(name: str) -> str:
    return re.sub(r"[\s_.-]+", "_", name.casefold())


def _name(where: Place) -> str:
    return ".".join(map(str, where)) or "the document"


def _shown(value: Any) -> str:
    """A value as it is written in a file; what cannot be printed is escaped."""
    if isinstance(value, str):
        return cut('"' + "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in value) + '"')
    return cut(json.dumps(value) if value is None or isinstance(value, bool) else str(value))


def cut(text: str) -> str:
    """A text as a message repeats it; of a long one the beginning."""
    return text if len(text) <= _LONG else f"{text[: _LONG - 4]}… ({len(text)} characters)"
