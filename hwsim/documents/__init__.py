"""YAML documents with the position of every key and value: read, checked against a model, written."""

from hwsim.documents.check import MOST, check, cut, must_be_keys, nearest, unknown
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
from hwsim.documents.missing import did_you_mean, missing
from hwsim.documents.reader import is_file, parse, read
from hwsim.documents.words import in_words
from hwsim.documents.writer import dump, fingerprint, inline, plain

__all__ = [
    "MOST", "ByName", "Document", "Mark", "PartError", "Place", "Problem", "anywhere", "check", "collect", "complain",
    "cut", "did_you_mean", "dump", "fingerprint", "in_words", "inline", "is_file", "missing", "must_be_keys",
    "nearest", "parse", "plain", "read", "refuse", "unknown",
]  # fmt: skip
