"""YAML files as documents, read by a strict loader.

It differs from PyYAML's safe loader where that is a known trap: numbers are those of YAML 1.2 (`1e-9` is a
number, `012` is twelve, `on` and `no` are words), a key that stands twice is an error, tags and objects are refused,
and aliases may not expand a small file into a large document.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import yaml

from hwsim.documents.document import Document, Mark, Place, Problem, refuse
from hwsim.documents.missing import did_you_mean
from hwsim.errors import ConfigError

_LARGEST_FILE = 4 << 20
_MOST_NODES = 100_000
_MOST_DIGITS = 1_000
"""Of a whole number, so that messages can repeat it."""
_NULL = {"", "~", "null", "Null", "NULL"}
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INTEGER = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")


def read(path: str | Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: the file cannot be read, is not YAML, is empty or binary, or uses a feature that is refused.
    """
    path = Path(path)
    try:
        about = path.stat()
        if stat.S_ISDIR(about.st_mode):
            raise ConfigError(f"{path}: is a folder, not a YAML file")
        if not stat.S_ISREG(about.st_mode):  # a pipe or a device: reading it may never end
            raise ConfigError(f"{path}: is no regular file")
        if about.st_size > _LARGEST_FILE:
            raise ConfigError(f"{path}: larger than {_LARGEST_FILE >> 20} MiB, so not a configuration")
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file{did_you_mean(path)}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file (byte {error.start} is not UTF-8)") from None
    except ValueError:
        raise ConfigError(f"{str(path)!r}: is no name of a file") from None
    return parse(text, str(path))


def is_file(path: str | Path) -> bool:
    """Whether a path is that of a regular file, or of a link to one; no file has a name that is too long."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def parse(text: str, file: str) -> Document:
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


class _Loader(yaml.SafeLoader):
    """A loader whose nodes have a tag only where the text writes one."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        return ""


class _Reader:
    """Turns nodes into data, and records positions and problems."""

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
        if INTEGER.match(text):
            return self._integer(node)
        if _SPECIAL.match(text):
            return float(text.replace(".", "", 1))
        if FLOAT.match(text):
            return float(text)
        return text

    def _integer(self, node: yaml.ScalarNode) -> int | None:
        text = node.value
        if len(text) > _MOST_DIGITS:
            self._complain(node, f"a number of {len(text)} digits is too long")
            return None
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)

    def _check_tag(self, node: yaml.Node) -> None:
        if node.tag:
            self._complain(node, f"the tag {node.tag!r} is not allowed; write plain values")

    def _complain(self, node: yaml.Node, text: str) -> None:
        self.problems.append(Problem(*self._mark(node), text))

    def _mark(self, node: yaml.Node) -> Mark:
        return Mark(self.document.file, node.start_mark.line + 1, node.start_mark.column + 1)
