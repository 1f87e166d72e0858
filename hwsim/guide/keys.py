"""The keys of documents in words, from the JSON schemas of their models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from hwsim.quantities import DESCRIBED as QUANTITY

Schema = dict[str, Any]

ANY = "…"
"""Stands for the names of a mapping that takes any, beside its own keys."""
_CONSTANT = {"value", "source", "assumed"}


class Key(NamedTuple):
    """One key of a section.

    Attributes:
        name: as it is written.
        kind: the allowed values, in words.
        default: the default, as YAML; None for a required key.
        text: what the key is for; may be empty.
        sections: the titles of the sections that describe its value.
    """

    name: str
    kind: str
    default: str | None
    text: str
    sections: tuple[str, ...]


class Section(NamedTuple):
    """A mapping of keys. Titles are unique among the sections that are described together."""

    title: str
    text: str
    keys: tuple[Key, ...]


def sections(*models: type[BaseModel]) -> dict[str, list[Section]]:
    """The sections of each model, by the title of the first: its own, and those below it that no earlier model has."""
    references, schema = models_json_schema([(model, "validation") for model in models])
    titles = _titles(schema["$defs"])
    taken: set[str] = set()
    by_title = {}
    for model in models:
        first = _target(references[model, "validation"])
        below = [_section(name, schema["$defs"], titles) for name in _walk(first, schema["$defs"], taken)]
        by_title[titles[first]] = below
    return by_title


def _walk(name: str, definitions: Schema, taken: set[str]) -> Iterator[str]:
    """A definition, and the definitions that its keys lead to, each once, in the order of the keys."""
    if name in taken or _is_constant(definitions[name]):
        return
    taken.add(name)
    yield name
    for key in _described(definitions[name]).values():
        for below in _targets(key):
            yield from _walk(below, definitions, taken)


def _described(schema: Schema) -> dict[str, Any]:
    """The keys of a mapping, and last what stands under any other name, if it takes any."""
    others = schema.get("additionalProperties")
    return {**schema.get("properties", {}), **({ANY: others} if isinstance(others, dict) else {})}


def _titles(definitions: Schema) -> dict[str, str]:
    """A title for each definition: the name of its model in words, or its kind and its name, as in `rule fpe`."""
    titles = {}
    for name, schema in definitions.items():
        place = name.split("__")
        chosen = [key["const"] for key in schema.get("properties", {}).values() if isinstance(key.get("const"), str)]
        if len(place) > 2 and place[-1] == "Options":
            rooms = {"learning": "rule", "optimizers": "optimizer", "updates": "update scheme", "networks": ""}
            room = rooms.get(place[-3], place[-3].rstrip("s"))
            titles[name] = f"{room} {chosen[0] if chosen else place[-2]}".strip()
        else:
            words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", schema.get("title", name)).lower()
            titles[name] = words.removesuffix(" options")
    return titles


def _section(name: str, definitions: Schema, titles: dict[str, str]) -> Section:
    schema = definitions[name]
    needed = schema.get("required", [])
    keys = []
    for key, value in _described(schema).items():
        default = None if key in needed else _written(value.get("default"))
        below = tuple(titles[target] for target in _targets(value) if not _is_constant(definitions[target]))
        text = value.get("description", "")
        about = "under any other name" if key == ANY else "" if text.startswith(QUANTITY) else text
        keys.append(Key(key, _kind(value, definitions), default, about, below))
    return Section(titles[name], schema.get("description", ""), tuple(keys))


def _kind(schema: Schema, definitions: Schema) -> str:
    """The values that a schema allows, in words."""
    if "$ref" in schema:
        target = definitions[_target(schema)]
        if _is_constant(target):
            return f"constant: {_kind(target['properties']['value'], definitions)}"
        return "mapping"
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False).strip('"')
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "discriminator" in schema:
        return f"mapping, {schema['discriminator']['propertyName']}: {' | '.join(schema['discriminator']['mapping'])}"
    if "anyOf" in schema:
        return _either(schema["anyOf"], definitions)
    if _is_quantity(schema):
        return f"quantity, such as {schema['examples'][0]}"
    if schema.get("type") == "array":
        fewest = {None: "", 2: " of two"}.get(schema.get("minItems"), " (at least one)")
        return f"list{fewest}, each: {_kind(schema['items'], definitions)}"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"names, each with: {_kind(values, definitions)}" if isinstance(values, dict) else "mapping"
    if schema.get("type") == "boolean":
        return "true | false"
    if schema.get("type") in ("integer", "number"):
        return ("whole number" if schema["type"] == "integer" else "number") + _bounds(schema)
    return "text" if "type" in schema else "anything"


def _either(members: list[Schema], definitions: Schema) -> str:
    """The alternatives that a schema allows; a part that may be named has the form `name, file, …`."""
    named = {"type": "object", "required": ["like"]} in members or (
        len(members) == 2 and members[0] == {"type": "string"} and "$ref" in members[1]
    )
    if named:
        like = "mapping with `like`, " if len(members) == 3 else ""
        return f"name, file, {like}or the whole {_kind(members[-1], definitions)}"
    return " or ".join(
        "null" if member.get("type") == "null" else _kind(member, definitions)
        for member in sorted(members, key=lambda member: member.get("type") == "null")
    )


def _bounds(schema: Schema) -> str:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    parts = [f"≥ {low}"] if low is not None else [f"> {above}"] if above is not None else []
    parts += [f"≤ {high:.6g}"] if high is not None else [f"< {below:.6g}"] if below is not None else []
    return " " + " and ".join(parts) if parts else ""


def _written(value: Any) -> str:
    """A default as YAML; a whole mapping is written as `its defaults`, unless it is a name alone."""
    if isinstance(value, dict):
        return f"{{name: {value['name']}}}" if value.keys() == {"name"} else "its defaults"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _targets(schema: Any) -> Iterator[str]:
    """The definitions that a key leads to."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield _target(schema)
        for name in ("anyOf", "oneOf", "items", "additionalProperties"):
            yield from _targets(schema.get(name))
    elif isinstance(schema, list):
        for member in schema:
            yield from _targets(member)


def _target(schema: Any) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _is_constant(schema: Schema) -> bool:
    return schema.get("properties", {}).keys() >= _CONSTANT


def _is_quantity(schema: Schema) -> bool:
    """Whether a schema is of a quantity; its key may have a description of its own."""
    return schema.get("type") == "string" and bool(schema.get("examples"))
