"""Keys and sections in words: what each is for, its allowed values and its default, found by its name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from hwsim import documents
from hwsim.config.not_modelled import NOT_MODELLED
from hwsim.errors import ConfigError
from hwsim.guide.keys import ANY, Key, Section, sections
from hwsim.guide.kinds import FILE_KINDS
from hwsim.guide.law_sources import law_of

_DEEPEST = 8
"""Largest number of keys in a dotted name that is searched for."""

_CHOOSING = ("name", "law", "kind")
"""Keys whose value says which keys stand beside them."""


class Entry(NamedTuple):
    """A key where it stands.

    Attributes:
        place: its dotted name.
        section: the mapping that it is in.
        key: the key.
        below: the mappings that may be its value.
    """

    place: str
    section: Section
    key: Key
    below: tuple[Section, ...]


class Described(NamedTuple):
    """A section, and where it may stand.

    Attributes:
        section: the mapping.
        places: the dotted names of the keys that may have it as their value; none for a whole file.
    """

    section: Section
    places: tuple[str, ...]


def entries(name: str) -> list[Entry]:
    """The entries of a dotted name, such as `machine.parts.ranges`, or of its end wherever it stands, such as `ranges`.

    A number, `*` or the name of an item stands for the items of a list, as for `--set`.

    Raises:
        ConfigError: there is no such key.
    """
    known = {section.title: section for group in _groups() for section in group}
    starts = [group[0] for group in _groups()]
    found = _found(name.split("."), starts, known)
    if not found:
        raise ConfigError(_unknown(name, starts, known))
    return list({(entry.section.title, entry.key.name): entry for entry in found}.values())


def names() -> list[str]:
    """The names of all keys."""
    known = {section.title: section for group in _groups() for section in group}
    return sorted({entry.key.name for entry in _all([group[0] for group in _groups()], known)})


def described(name: str) -> list[Described]:
    """The sections with a title, such as `current pulses`, or with that name of their law or kind, such as `current`.

    Capitals, and what joins words, do not count.
    """
    meant = _folded(name)
    return [_placed(each) for group in _groups() for each in group if meant in (_folded(each.title), law_of(each))]


def akin(word: str) -> list[Described]:
    """The sections with a word in their title, in the singular or in the plural."""
    meant = {_folded(each) for each in (word, *numbers(word))}
    return [_placed(each) for group in _groups() for each in group if meant & {*_folded(each.title).split("_")}]


def numbers(name: str) -> list[str]:
    """A name with its last word in the plural, and in the singular.

    >>> numbers("write.pulse")
    ['write.pulses']
    """
    return [name.removesuffix("s")] if name.endswith("s") else [f"{name}s"] if name else []


def titles() -> list[str]:
    """The titles of all sections."""
    return sorted(section.title for group in _groups() for section in group)


def _placed(section: Section) -> Described:
    known = {each.title: each for group in _groups() for each in group}
    every = _all([group[0] for group in _groups()], known)
    return Described(section, tuple(entry.place for entry in every if section.title in entry.key.sections))


def _folded(name: str) -> str:
    return "_".join(name.casefold().replace("-", " ").replace("_", " ").split())


@cache
def _groups() -> list[list[Section]]:
    models = (model for kind in FILE_KINDS for model in kind.models())
    return [group for group in sections(*models).values() if group]


def _found(words: list[str], starts: list[Section], known: dict[str, Section]) -> list[Entry]:
    """The entries of the words from the top of a file on; if there are none, from any key on."""
    from_top = _below(words, starts, known, "")
    if from_top:
        return from_top
    first, *rest = words
    found = [entry for entry in _all(starts, known) if entry.key.name == first]
    if not rest:
        return found
    chosen = _chosen(first, list(known.values())) if not found else []
    if chosen:
        shortest = [min(_placed(each).places, key=len, default="") for each in chosen]
        return [entry for place in shortest for entry in _below([*place.split("."), *words], starts, known, "")]
    places = dict.fromkeys(entry.place for entry in found)
    return [entry for place in places for entry in _below([*place.split("."), *rest], starts, known, "")]


def _below(words: list[str], among: list[Section], known: dict[str, Section], place: str) -> list[Entry]:
    """The entries of the words behind a place, in the mappings that may stand there."""
    first, *rest = words
    found: list[Entry] = []
    chosen = _chosen(first, among)
    if chosen and rest and not any(key.name == first for section in among for key in section.keys):
        return _below(rest, chosen, known, place)
    for section in among:
        own = {key.name for key in section.keys}
        for key in section.keys:
            if key.name != (first if first in own else ANY):
                continue
            below = [known[title] for title in key.sections if title in known]
            at = f"{place}.{first}" if place else first
            if not rest:
                found.append(Entry(at, section, key, tuple(below)))
            elif below:
                found += _below(rest, below, known, at)
                if not found and _has_items(key) and rest[1:]:
                    found += _below(rest[1:], below, known, f"{at}.{rest[0]}")
    return found


def _chosen(name: str, among: list[Section]) -> list[Section]:
    """The sections that a value of `name`, `law` or `kind` chooses: `alif` among those of cells."""
    chosen = (section for section in among if section.title.split()[-1] == name)
    return [each for each in chosen if any(key.kind == name for key in each.keys if key.name in _CHOOSING)]


def _has_items(key: Key) -> bool:
    """Whether a step of a dotted name goes to an item of its value, by number or by name."""
    return "each: " in key.kind or "each with: " in key.kind


def _all(starts: list[Section], known: dict[str, Section]) -> Iterator[Entry]:
    """Every key, once for each mapping that has it, under the shortest of its names."""
    seen, queue = set[str](), [(section, "") for section in starts]
    while queue:
        section, place = queue.pop(0)
        if section.title in seen or place.count(".") > _DEEPEST:
            continue
        seen.add(section.title)
        for key in section.keys:
            name = "*" if key.name == ANY else key.name
            at = f"{place}.{name}" if place else name
            below = [known[title] for title in key.sections if title in known]
            if key.name != ANY:
                yield Entry(at, section, key, tuple(below))
            item = f"{at}.*" if _has_items(key) else at
            queue += [(each, item) for each in below]


def _unknown(name: str, starts: list[Section], known: dict[str, Section]) -> str:
    """The message for a key that is not there: where the name goes wrong, and what is near."""
    words = name.split(".")
    for end in range(len(words) - 1, 0, -1):
        before = _found(words[:end], starts, known)
        if before:
            keys = sorted({key.name for entry in before for section in entry.below for key in section.keys})
            place = ".".join(words[:end])
            if not keys:
                return f"{name}: there is nothing below {place}, which is {before[0].key.kind}"
            return f"{name}: {_not_a_key(words[end], keys)}"
    for section in _chosen(words[0], list(known.values())):
        keys = sorted(key.name for key in section.keys)
        return f"{name}: {_not_a_key(words[1], keys)}" if words[1:] else _not_a_key(words[0], keys)
    names = sorted({entry.key.name for entry in _all(starts, known)})
    return _not_a_key(words[0], names)


def _not_a_key(word: str, allowed: list[str]) -> str:
    if word in NOT_MODELLED:
        return f"unknown key {word!r}; {NOT_MODELLED[word]}"
    return documents.unknown("key", word, allowed)
