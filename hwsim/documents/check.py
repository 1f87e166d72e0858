"""Checks of documents against models: one error lists all problems."""

from __future__ import annotations

import difflib
import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_type_hints

from pydantic import BaseModel, ValidationError

from hwsim.documents.document import Document, Place, Problem, at, refuse
from hwsim.documents.words import in_words

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
_TAGS = ("name", "kind", "law")
"""Keys that say which of several models a mapping is."""
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
                close = [f"did you mean {each!r}? " for each in nearest(key, allowed) if each.startswith(key)]
                text = f"unknown key {key!r}; {''.join(close)}{absent[key]}; allowed here: {', '.join(allowed)}"
            problems.append(document.problem(where, text, at_key=True))
        elif kind == "missing" and where not in meant:
            problems.append(document.problem(where[:-1], f"{_name(where)} is missing"))
        elif kind == "missing":
            continue
        elif kind in ("union_tag_invalid", "union_tag_not_found"):
            names = re.findall(r"'([^']*)'", str(item["ctx"].get("expected_tags", "")))
            key = item["ctx"]["discriminator"].strip("'")
            tag = value.get(key) if isinstance(value, dict) else None
            told = _told_apart(_models(_resolve(model, item["loc"])[2]))[1]
            text = f"{_name(where)} needs a {key!r}{told and f': one of {_some(told)}'}"
            if tag is not None:
                text = unknown(_name(where), str(tag), names)
            problems.append(document.problem((*where, key) if tag is not None else where, text))
        elif kind == "literal_error" and not _is_constant(value):
            names = [name.strip("'") for name in re.split(", | or ", item["ctx"]["expected"])]
            problems.append(document.problem(where, unknown(_name(where), str(value), names)))
        else:
            message = _message(model, item)
            where = (*where, *getattr(item.get("ctx", {}).get("error"), "place", ()))
            shown = f" ({_shown(_written(document, where, value))})" if _is_scalar(value) else ""
            whole = kind == "value_error" and not where  # parts that do not fit together
            problems.append(document.problem(where, message if whole else f"{_name(where)}{shown}: {message}"))
    return problems


def _message(model: type[BaseModel], item: Any) -> str:
    """What a value must be."""
    kind, value, message = item["type"], item.get("input"), in_words(item)
    wanted = _resolve(model, item["loc"])[2]
    if str(item.get("ctx", {}).get("class_name")).startswith("Constant["):
        constant = next((each for each in _models(wanted) if hasattr(each, "suggestion")), None)
        origin = constant.suggestion(value) if constant else f"{{value: {value}, source: KEY}}"
        return f"needs its origin: {origin}"
    if message == "must be a mapping of keys":
        return f"{message}{_keys_of(wanted, value)}"
    if _is_constant(value) and (kind.endswith(("_type", "literal_error")) or "a quantity" in message):
        return f"takes a value alone, such as {_shown(value['value'])}"
    return message


def _written(document: Document, where: Place, value: Any) -> Any:
    """A value as the document has it: what pydantic saw may be the number that a quantity was read as."""
    try:
        written = at(document.data, where)
    except (KeyError, IndexError, TypeError):
        return value
    return written if _is_scalar(written) else value


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _keys_of(wanted: Any, value: Any) -> str:
    """The keys that a mapping takes, to go behind `must be a mapping of keys`; empty if it takes any."""
    models = _models(wanted)
    if len(models) == 1:
        return f": {_some(_needed_first(models[0]))}" if models[0].model_fields else ""
    tag, names = _told_apart(models)
    if value in names:
        return f", such as {{{tag}: {value}}}"
    return f"; its {tag} is one of {_some(names)}" if names else ""


def _told_apart(models: list[Any]) -> tuple[str, list[str]]:
    """The key that says which of several models a mapping is, and its values; none if there is no such key."""
    for tag in _TAGS:
        fields = [model.model_fields[tag].annotation for model in models if tag in model.model_fields]
        if names := sorted({str(name) for field in fields for name in getattr(field, "__args__", ())}):
            return tag, names
    return "", []


def must_be_keys(what: str, model: type[BaseModel]) -> str:
    """The message about a document that is no mapping."""
    return f"{what} is a mapping of keys: {_some(_needed_first(model))}"


def _needed_first(model: type[BaseModel]) -> list[str]:
    """The keys of a mapping, those that it must have before the others."""
    needed = [field.is_required() for field in model.model_fields.values()]
    named = zip(_allowed(model), needed, strict=True)
    return [name for name, _ in sorted(named, key=lambda each: not each[1])]


def _some(names: list[str]) -> str:
    """Names in a row; of very many the first."""
    return ", ".join(names if len(names) <= _LISTED else [*names[:_LISTED], f"and {len(names) - _LISTED} more"])


def _models(annotation: Any) -> list[Any]:
    """The models that a type allows itself, not in its lists."""
    if hasattr(annotation, "model_fields"):
        return [annotation]
    if getattr(annotation, "__origin__", None) in (list, dict, tuple):
        return []
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models(argument)]


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
    items = [(*_resolve(model, item["loc"])[:2], item) for item in error.errors(include_url=False)]
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


def _resolve(model: type[BaseModel], loc: tuple[str | int, ...]) -> tuple[Place, type[BaseModel] | None, Any]:
    """The place for a location of pydantic, which also names the members of unions.

    Returns:
        The place, the model of the last key, and the type that the last key takes.
    """
    place: list[str | int] = []
    owner: Any = model
    taken: Any = model
    for part in loc:
        if str(part).startswith("literal["):  # a member of a union
            continue
        around = _only_model(taken)
        if hasattr(around, "model_fields"):
            place.append(part)
            owner, taken = around, _type_of(around, part)
            continue
        taken, kept = _step_into(around, part)
        owner = taken
        if kept:
            place.append(part)
    return tuple(place), owner if hasattr(owner, "model_fields") else None, taken


def _type_of(model: type[BaseModel], key: str | int) -> Any:
    """What a key of a model takes."""
    known = (field.annotation for name, field in model.model_fields.items() if key in (name, field.alias))
    return next(known, None) or _of_others(model)


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
    origin = getattr(annotation, "__origin__", None)
    if origin is dict:
        return arguments[-1], True
    if not models and (origin is Union or isinstance(annotation, UnionType)):  # the part names one of them
        return next((each for each in arguments if part.startswith(getattr(each, "__name__", "?"))), None), False
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
