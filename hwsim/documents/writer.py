"""Plain data as YAML that reads as the same data again; and fingerprints of data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import yaml

from hwsim.documents.reader import FLOAT, INTEGER


def dump(data: Any) -> str:
    """Plain data as YAML that `loads` reads as the same data."""
    return yaml.dump(data, Dumper=_Writer, sort_keys=False, allow_unicode=True)


def inline(data: Any) -> str:
    """Plain data as YAML on one line."""
    text = yaml.dump([data], Dumper=_Writer, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10**6)
    return text.strip()[1:-1]


class _Writer(yaml.SafeDumper):
    """A dumper that quotes words that `loads` would read as numbers, though PyYAML would not."""


def _word(writer: yaml.SafeDumper, text: str) -> yaml.Node:
    quote = "'" if INTEGER.match(text) or FLOAT.match(text) else None
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=quote)


_Writer.add_representer(str, _word)


def plain(data: Any) -> Any:
    """Data made in Python as plain dictionaries, lists and numbers: no other mappings, tuples or NumPy scalars."""
    if isinstance(data, Mapping):
        return {key: plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain(value) for value in data]
    return data.item() if hasattr(data, "item") else data


def fingerprint(data: Any) -> str:
    """SHA-256 of plain data; it does not depend on the order of keys."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, allow_nan=False, default=str).encode()).hexdigest()
