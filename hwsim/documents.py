"""YAML documents that remember where everything stands, read by a loader that takes nothing for granted.

Differences from PyYAML's safe loader, each of which has bitten somebody: numbers are those of YAML 1.2 (`1e-9` is a
number, `012` is twelve, `on` and `no` are words), a key that stands twice is an error, tags and objects are refused,
and aliases may not blow a small file up into a large document.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ValidationError

from hwsim.errors import ConfigError

Place = tuple[str | int, ...]

_LARGEST_FILE = 4 << 20
_MOST_NODES = 100_000
_LISTED = 32
"""Names that a message lists in full."""
_NULL = {"", "~", "null", "Null", "NULL"}
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")


class Mark(NamedTuple):
    """A point in a file, counted from 1; or what is no file but was typed, with lines and columns of 0."""

    file: str
    line: int
    column: int


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a document: where, what, and what is allowed."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.text}" if self.line else f"{self.file}: {self.text}"


def refuse(problems: Iterable[Problem]) -> ConfigError:
    """An error that lists all problems, in the order of the document."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line, problem.column))
    return ConfigError("\n".join(map(str, ordered)))


@dataclass(frozen=True)
class ByName:
    """Marks a part of a model that a document may give by name, or by what differs from one that it is `like`.

    When a document is checked, the part itself stands in its place; this is for the JSON schema.
    """

    like: bool = True

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        changed = [{"type": "object", "required": ["like"]}] if self.like else []
        return {"anyOf": [{"type": "string"}, *changed, handler(core)]}


class PartError(ValueError):
    """What a validator of a whole says that is wrong with one of its parts.

    Args:
        place: the keys that lead from the whole to the part.
    """

    def __init__(self, place: Place, text: str) -> None:
        super().__init__(place, text)
        self.place, self.text = place, text

    def __str__(self) -> str:
        return self.text


@dataclass
class Document:
    """Plain data, with the place of every key and value in its file.

    Attributes:
        file: the name of the file, as the user gave it.
        data: nested dictionaries, lists and scalars.
        marks: where the value at each place stands; a place is the keys and indices that lead to it.
        keys: where the key itself stands, for places in dictionaries.
    """

    file: str
    data: Any
    marks: dict[Place, Mark] = field(default_factory=dict)
    keys: dict[Place, Mark] = field(default_factory=dict)

    def problem(self, place: Place, text: str, at_key: bool = False) -> Problem:
        """A problem at a place, or at the nearest one around it that stands in the file."""
        table = self.keys if at_key and place in self.keys else self.marks
        while place not in table and place:
            place = place[:-1]
        return Problem(*table.get(place, Mark(self.file, 1, 1)), text)

    def part(self, place: Place) -> Document:
        """The document that stands at a place of this one."""
        data, n = _at(self.data, place), len(place)
        marks = {where[n:]: mark for where, mark in self.marks.items() if where[:n] == place}
        keys = {where[n:]: mark for where, mark in self.keys.items() if where[:n] == place and len(where) > n}
        return Document(self.file, data, marks, keys)

    def without(self, key: str) -> Document:
        """The document without one of its keys."""
        data = {name: value for name, value in self.data.items() if name != key}
        marks = {place: mark for place, mark in self.marks.items() if place[:1] != (key,)}
        return Document(self.file, data, marks, self.keys)

    def over(self, base: Document) -> Document:
        """This document laid over another one: mappings are merged, but for constants; all else is replaced."""
        merged = Document(self.file, _laid(self.data, base.data), dict(base.marks), dict(base.keys))
        for place in list(merged.marks):  # what is replaced as a whole takes its parts with it
            replaced = any(
                place[:n] in self.marks and not _merges(_at(self.data, place[:n])) for n in range(len(place) + 1)
            )
            if replaced:
                del merged.marks[place]
        merged.marks.update(self.marks)
        merged.keys.update(self.keys)
        return merged


def load(path: str | Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: it cannot be read, is not YAML, is empty or binary, or uses what is refused here.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ConfigError(f"{path}: larger than {_LARGEST_FILE >> 20} MiB, so not a configuration")
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder, not a YAML file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file (byte {error.start} is not UTF-8)") from None
    return loads(text, str(path))


def loads(text: str, file: str) -> Document:
    """Read YAML from a string; `file` is its name in messages."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        said = ", ".join(filter(None, (error.context, error.problem)))
        raise refuse([Problem(file, line, column, f"not YAML: {said}")]) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = before.count("\n") + 1, error.position - before.rfind("\n")
        raise refuse([Problem(file, *place, f"not a text file (character #x{error.character:02x})")]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{file}: not YAML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{file}: nested too deeply") from None
    if node is None:
        raise ConfigError(f"{file}: empty; see `hwsim schema` for what an experiment says")
    document = Document(file, None)
    reader = _Reader(document)
    try:
        document.data = reader.value(node, ())
    except RecursionError:
        raise ConfigError(f"{file}: nested too deeply") from None
    if reader.problems:
        raise refuse(reader.problems)
    return document


def dump(data: Any) -> str:
    """Plain data as YAML that `loads` reads as the same data."""
    return yaml.dump(data, Dumper=_Writer, sort_keys=False, allow_unicode=True)


def inline(data: Any) -> str:
    """Plain data as YAML on one line."""
    text = yaml.dump([data], Dumper=_Writer, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10**6)
    return text.strip()[1:-1]


class _Writer(yaml.SafeDumper):
    """Puts words into quotes that are numbers to `loads`, though not to PyYAML."""


def _word(writer: yaml.SafeDumper, text: str) -> yaml.Node:
    quote = "'" if _INTEGER.match(text) or _FLOAT.match(text) else None
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=quote)


_Writer.add_representer(str, _word)


class _Loader(yaml.SafeLoader):
    """Makes nodes that have a tag only where the text writes one."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        return ""


class _Reader:
    """Turns nodes into data, noting places and problems."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.nodes = 0
        self.open: set[int] = set()

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.nodes += 1
        if self.nodes > _MOST_NODES:
            raise ConfigError(f"{self.document.file}: more than {_MOST_NODES} values once its aliases are expanded")
        self.document.marks[place] = self._mark(node)
        if id(node) in self.open:
            self._complain(node, "an alias refers to what it is part of")
            return None
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, place)
            if isinstance(node, yaml.SequenceNode):
                self._check_tag(node)
                return [self.value(child, (*place, index)) for index, child in enumerate(node.value)]
            assert isinstance(node, yaml.ScalarNode)
            return self._scalar(node)
        finally:
            self.open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        self._check_tag(node)
        data: dict[str, Any] = {}
        for key_node, child in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._complain(key_node, "a key must be a plain word")
                continue
            self._check_tag(key_node)
            key = key_node.value
            if key == "<<":
                self._complain(key_node, "merge keys (<<) are not supported; write the keys out")
                continue
            where = (*place, key)
            if key in data:
                line = self.document.keys[where].line
                self._complain(key_node, f"{key!r} stands twice; first in line {line}")
                continue
            self.document.keys[where] = self._mark(key_node)
            data[key] = self.value(child, where)
        return data

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = node.value
        self._check_tag(node)
        if node.style in ("'", '"', "|", ">"):
            return text
        if text in _NULL:
            return None
        if text in _TRUTH:
            return _TRUTH[text]
        if _INTEGER.match(text):
            return self._integer(node)
        if _SPECIAL.match(text):
            return float(text.replace(".", "", 1))
        if _FLOAT.match(text):
            return float(text)
        return text

    def _integer(self, node: yaml.ScalarNode) -> int | None:
        text = node.value
        try:
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        except ValueError:  # Python's own limit
            self._complain(node, f"a number of {len(text)} digits is too long")
            return None

    def _check_tag(self, node: yaml.Node) -> None:
        if node.tag:
            self._complain(node, f"the tag {node.tag!r} is not allowed; write plain values")

    def _complain(self, node: yaml.Node, text: str) -> None:
        self.problems.append(Problem(*self._mark(node), text))

    def _mark(self, node: yaml.Node) -> Mark:
        return Mark(self.document.file, node.start_mark.line + 1, node.start_mark.column + 1)


def _laid(data: Any, base: Any) -> Any:
    if _merges(data) and isinstance(base, dict):
        return {**base, **{key: _laid(value, base.get(key)) for key, value in data.items()}}
    return data


def _merges(data: Any) -> bool:
    """Whether data is laid over what is below it key by key; a value with its source is one thing."""
    return isinstance(data, dict) and "value" not in data


def _at(data: Any, place: Place) -> Any:
    for step in place:
        data = data[step]
    return data


def check(model: type[BaseModel], document: Document) -> Any:
    """A document as a `model`, or an error that lists all that is wrong with it.

    Raises:
        ConfigError: each problem as `file:line:column: what, what is allowed`.
    """
    problems: list[Problem] = []
    checked = None
    try:
        checked = model.model_validate(document.data, strict=True)
    except ValidationError as error:
        problems = _problems(model, document, error)
    for place in _endless(document.data, ()):
        said = f"{_name(place)} ({_at(document.data, place)}): "
        if not any(problem.text.startswith(said) for problem in problems):
            problems.append(document.problem(place, f"{said}must be a finite number"))
    if problems:
        raise refuse(problems)
    return checked


def collect(messages: list[str], make: Callable[[], Any], stand_in: Callable[[], Any] = lambda: None) -> Any:
    """What `make` gives; or, with its complaint noted, a stand-in about which there will be no further ones."""
    try:
        return make()
    except ConfigError as error:
        messages.append(str(error))
        return stand_in()


def complain(messages: list[str]) -> None:
    """Raise one error with all that was noted, if anything: each problem once, those of a file in its order."""
    lines = list(dict.fromkeys(line for message in messages for line in message.splitlines()))
    files = list(dict.fromkeys(_standing(line)[0] for line in lines))
    if lines:
        ordered = sorted(lines, key=lambda line: (files.index(_standing(line)[0]), *_standing(line)[1:]))
        raise ConfigError("\n".join(ordered))


def anywhere(message: str) -> str:
    """A list of problems without where they stand, which is the same wherever the files lie."""
    return re.sub(r"^.*?:\d+:\d+: ", "", message, flags=re.MULTILINE)


def _standing(line: str) -> tuple[str, int, int]:
    """Where what a problem's line says stands."""
    found = re.match(r"(.*?):(\d+):(\d+): ", line)
    return (found[1], int(found[2]), int(found[3])) if found else ("", 0, 0)


def plain(data: Any) -> Any:
    """Data that was made in Python as a document holds it: dictionaries, lists, and numbers that are not NumPy's."""
    if isinstance(data, Mapping):
        return {key: plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain(value) for value in data]
    return data.item() if hasattr(data, "item") else data


def _endless(data: Any, place: Place) -> Iterator[Place]:
    """Where numbers stand that are infinite, or none."""
    if isinstance(data, (dict, list)):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _endless(value, (*place, key))
    elif isinstance(data, float) and not math.isfinite(data):
        yield place


def _problems(model: type[BaseModel], document: Document, error: ValidationError) -> list[Problem]:
    found = []
    meant = _meant(model, error)
    for item in error.errors(include_url=False):
        where, owner = _resolve(model, item["loc"])
        kind, value = item["type"], item.get("input")
        if kind == "extra_forbidden":
            allowed = _allowed(owner)
            found.append(document.problem(where, unknown("key", str(where[-1]), allowed), at_key=True))
        elif kind == "missing" and where not in meant:
            found.append(document.problem(where[:-1], f"{_name(where)} is missing"))
        elif kind == "missing":
            continue
        elif kind in ("union_tag_invalid", "union_tag_not_found"):
            names = re.findall(r"'([^']*)'", str(item["ctx"].get("expected_tags", "")))
            tag = value.get(item["ctx"]["discriminator"].strip("'")) if isinstance(value, dict) else None
            key = item["ctx"]["discriminator"].strip("'")
            text = f"{_name(where)} needs a {key!r}" if tag is None else unknown(_name(where), str(tag), names)
            found.append(document.problem((*where, key) if tag is not None else where, text))
        elif kind == "literal_error":
            names = [name.strip("'") for name in re.split(", | or ", item["ctx"]["expected"])]
            found.append(document.problem(where, unknown(_name(where), str(value), names)))
        else:
            said = "" if isinstance(value, (dict, list)) else f" ({_shown(value)})"
            message = item["msg"].removeprefix("Value error, ")
            if kind in ("model_type", "model_attributes_type", "dict_type"):
                message = "must be a mapping of keys"
            elif kind == "too_short":
                message = f"needs {item['ctx']['min_length']} or more"
            message = f"{message[0].lower()}{message[1:]}"
            where = (*where, *getattr(item.get("ctx", {}).get("error"), "place", ()))
            whole = kind == "value_error" and not where  # parts that do not fit together
            found.append(document.problem(where, message if whole else f"{_name(where)}{said}: {message}"))
    return found


def _meant(model: type[BaseModel], error: ValidationError) -> set[Place]:
    """The keys that misspelt ones were meant to be: they are not missing too."""
    places = (
        _resolve(model, item["loc"]) for item in error.errors(include_url=False) if item["type"] == "extra_forbidden"
    )
    return {(*where[:-1], *nearest(str(where[-1]), _allowed(owner))) for where, owner in places}


def _allowed(owner: type[BaseModel] | None) -> list[str]:
    """The keys of a mapping."""
    return [field.alias or name for name, field in owner.model_fields.items()] if owner else []


def _resolve(model: type[BaseModel], loc: tuple[str | int, ...]) -> tuple[Place, type[BaseModel] | None]:
    """A place in the document for a location in pydantic's words, which also name the members of unions."""
    place: list[str | int] = []
    owner: Any = model
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        owner = _only_model(owner)
        fields = getattr(owner, "model_fields", None)
        if fields is not None:
            place.append(part)
            if not last:
                owner = fields[part].annotation if part in fields else None
            continue
        chosen, kept = _step_into(owner, part)
        if kept:
            place.append(part)
        owner = chosen
    return tuple(place), owner if hasattr(owner, "model_fields") else None


def _only_model(annotation: Any) -> Any:
    """The model, if that is what the type is but for None."""
    arguments = [argument for argument in getattr(annotation, "__args__", ()) if argument is not type(None)]
    is_one = len(arguments) == 1 and type(None) in annotation.__args__ and hasattr(arguments[0], "model_fields")
    return arguments[0] if is_one else annotation


def _step_into(annotation: Any, part: str | int) -> tuple[Any, bool]:
    """What a type gives for one part of a location, and whether that part stands in the document."""
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
    """What to say of a name that is none of those allowed; of very many, those that resemble it."""
    close = nearest(name, allowed)
    hint = f"did you mean {close[0]!r}? " if close else ""
    shown = sorted(allowed)
    if close and len(allowed) > _LISTED:
        shown = difflib.get_close_matches(name, allowed, _LISTED // 4, 0.3)
        shown.append(f"and {len(allowed) - len(shown)} more")
    return f"unknown {what} {name!r}; {hint}allowed: {', '.join(shown)}"


def nearest(name: str, allowed: list[str]) -> list[str]:
    """The name that was meant, if one is close."""
    return difflib.get_close_matches(name, allowed, 1, 0.5)


def _name(where: Place) -> str:
    return ".".join(map(str, where)) or "the document"


def _shown(value: Any) -> str:
    return json.dumps(value) if value is None or isinstance(value, (str, bool)) else str(value)


def fingerprint(data: Any) -> str:
    """SHA-256 of plain data, the same for equal data whatever the order of its keys."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, allow_nan=False, default=str).encode()).hexdigest()
