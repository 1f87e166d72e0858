"""YAML documents with the position of every key and value: read, checked against a model, written."""

from hwsim.documents.check import check, nearest, unknown
from hwsim.documents.document import (
    ByName,
    Document,
    Mark,
    PartError,
    Place,
    Problem,
    anywhere,
    collect,
    complain,
    refuse,
)
from hwsim.documents.reader import parse, read
from hwsim.documents.writer import dump, fingerprint, inline, plain

__all__ = [
    "ByName", "Document", "Mark", "PartError", "Place", "Problem", "anywhere", "check", "collect", "complain", "dump",
    "fingerprint", "inline", "nearest", "parse", "plain", "read", "refuse", "unknown",
]  # fmt: skip
