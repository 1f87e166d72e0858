"""Files by name or by path: where they are, and what they describe."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path

from hwsim import documents
from hwsim.documents import Document
from hwsim.errors import ConfigError

CALLED = {
    "configs/hardware": "machine",
    "devices": "device",
    "configs/periphery": "periphery",
    "configs/neurons": "neuron",
    "configs/references": "set of references",
    "configs/experiments": "experiment",
    "configs/studies": "study",
    "configs/hardware/event_driven": "event-driven machine",
}
"""What the files of each folder describe."""
_BY_KEY = {
    key: kind
    for kind, keys in {
        "device": ("conductance", "programming", "read_noise", "write"),
        "periphery": ("driver",),
        "neuron": ("equations",),
        "event-driven machine": ("events", "core"),
        "network on cores": ("neurons", "synapses"),
        "study": ("experiment", "vary", "sample", "seeds"),
        "experiment": ("task", "network", "learning"),
        "machine": ("kind", "parts", "digital", "device"),
        "set of references": ("references",),
    }.items()
    for key in keys
}
"""What a file describes, by a key that only files of this kind have."""
USES = {
    "device": "a machine names it, `device: {file}`",
    "periphery": "a machine names it, `periphery: {file}`",
    "neuron": "a cell names it, `cell: {{name: circuit, neuron: {file}}}`",
    "machine": "an experiment names it, `machine: {file}`",
    "event-driven machine": "`hwsim events {file} NETWORK SPIKES` takes it",
    "network on cores": "`hwsim events MACHINE {file} SPIKES` takes it",
    "set of references": "an experiment names it, `references: {file}`",
    "study": "run it with `hwsim study {file}`",
    "experiment": "run it with `hwsim run {file}`",
}
"""How files of each kind are used."""
_PACKAGE = Path(__file__).resolve().parents[1]


def shelf(kind: str) -> Path:
    """The folder of shipped files of a kind: `configs/hardware`, `configs/experiments` or `devices`."""
    installed, checkout = _PACKAGE / "shipped" / kind, _PACKAGE.parent / kind
    return installed if installed.is_dir() else checkout


def names(kind: str) -> list[str]:
    """The shipped files of a kind, by name."""
    return sorted(path.stem for path in shelf(kind).glob("*.yaml"))


def kind_of(document: Document) -> str:
    """What a document describes, by its keys; an experiment if they do not say."""
    like = isinstance(document.data, dict) and "like" in document.data
    return _known_kind(document) or ("machine" if like else "experiment")


def _known_kind(document: Document, trail: tuple[str, ...] = ()) -> str | None:
    """What a document describes, by its keys, or by what it is `like`; None if they do not say."""
    data = document.data
    if isinstance(data, str):
        folder = next((folder for folder in CALLED if data in names(folder)), None)
        path = _beside(document, data)
        if folder is not None or path is None or str(path) in trail:
            return CALLED.get(folder or "")
        return _known_kind(documents.read(path), (*trail, str(path)))
    keys = data if isinstance(data, dict) else {}
    kind = next((kind for key, kind in _BY_KEY.items() if key in keys), None)
    if kind is None and "like" in keys:
        return _known_kind(document.part(("like",)), trail)
    return kind


def a(kind: str) -> str:
    """A kind of file with its article."""
    return f"{'an' if kind.startswith('e') else 'a'} {kind}"


def path_of(source: str | Path, *kinds: str) -> Path:
    """The path of a file, or of the shipped file of that name and of one of `kinds`.

    Raises:
        ConfigError: there is neither; the message suggests the nearest name.
    """
    name = str(source)
    shipped = {each: kind for kind in reversed(kinds) for each in names(kind)}
    _refuse_tables(name)
    if documents.is_file(name) or name.endswith((".yaml", ".yml")):
        stem = Path(name).stem
        if not documents.is_file(name) and stem in shipped and not documents.did_you_mean(name):
            what = CALLED[shipped[stem]]
            raise ConfigError(f"{name}: no such file; did you mean {stem!r}, {a(what)} that is shipped?")
        return Path(name)
    if name in shipped:
        return shelf(shipped[name]) / f"{name}.yaml"
    beside, what = f"{name}.yaml", CALLED[kinds[0]] if len(kinds) == 1 else "name"
    if documents.is_file(beside):
        raise ConfigError(f"no file {name!r}; did you mean {beside!r}?")
    _refuse_results(name)
    with suppress(OSError, ValueError):
        if Path(name).parent != Path() or Path(name).is_dir():
            return Path(name)
    raise ConfigError(f"no file {documents.cut(repr(name))}, and {documents.unknown(what, name, list(shipped))}")


TABLES = {
    ("step", "group", "neuron"): "spikes, for `hwsim events MACHINE NETWORK {file}`",
    ("sample", "label", "channel"): "events, for an experiment with `task: {{name: events, train_file: {file}, …}}`",
    ("from", "to"): "synapses, for the network of `hwsim events`, `synapses: [{{pairs: {file}, …}}]`",
    ("device",): "a measurement of devices, for `hwsim fit {file}`, which makes a data sheet of it",
}
"""What tables hold, and what reads them, by columns that they have."""


def _refuse_tables(name: str) -> None:
    """Refuse a table where YAML is asked for.

    Raises:
        ConfigError: it is one, or would be; the message says what reads it.
    """
    if not name.endswith((".csv", ".tsv")):
        return
    if not documents.is_file(name):
        raise ConfigError(documents.missing(name))
    from hwsim.documents.table import header  # it loads pandas

    columns = header(Path(name))
    fitting = [use for needed, use in TABLES.items() if set(needed) <= set(columns)]
    holds = f"by its columns it holds {fitting[0]}" if fitting else f"tables hold {'; or '.join(TABLES.values())}"
    raise ConfigError(f"{name} is a table, and not a file in YAML; {holds.format(file=name)}")


_OF_RESULTS = {"summary.json": "config.yaml", "limits.json": "config.yaml"} | {
    each: each for each in ("study.yaml", "verdict.yaml")
}
"""Files that only folders of results have, and the file there that was asked."""


def _refuse_results(name: str) -> None:
    """Refuse a folder of results where a file is asked for.

    Raises:
        ConfigError: it is one; the message says what reads it.
    """
    with suppress(OSError, ValueError):
        for mark, asked in _OF_RESULTS.items():
            if Path(name, mark).is_file():
                raise ConfigError(
                    f"{name} is a folder of results: `hwsim report {name}` shows it, and in Python "
                    f"`hwsim.read({name!r})` reads it; what was asked is {Path(name, asked)}"
                )


def opened(document: Document, kind: str) -> Document:
    """The document itself, or the file that it names.

    Raises:
        ConfigError: there is no such file, or it describes something else.
    """
    name, what = document.data, CALLED[kind]
    if not isinstance(name, str):
        return document
    if name in names(kind):
        known = _shipped(shelf(kind) / f"{name}.yaml")
        return known.copied(lent=frozenset({known.file}))
    path = _beside(document, name)
    if path is None:
        raise documents.refuse([document.problem((), _not_there(document, name, kind))])
    named = documents.read(path)
    other = _known_kind(named)
    if other not in (what, None):
        text = f"{name!r} describes {a(other)}, not {a(what)}; {USES[other].format(file=name)}"
        raise documents.refuse([document.problem((), text)])
    return named


@cache
def _shipped(path: Path) -> Document:
    """A shipped file: many documents name the same few, and reading YAML is slow."""
    return documents.read(path)


def _beside(document: Document, name: str) -> Path | None:
    """The file at a path that a document gives, seen from the document or else from the working folder."""
    if not name.endswith((".yaml", ".yml")):
        return None
    seen = (Path(document.file).parent / name, Path(name))
    return next((path for path in seen if documents.is_file(path)), None)


def array_file(document: Document) -> str:
    """The whole path of the .npz file that a document names, seen from the document or else from the working folder.

    Raises:
        ConfigError: there is no such file.
    """
    name = document.data
    seen = (Path(document.file).parent / name, Path(name))
    path = next((path for path in seen if name.endswith(".npz") and documents.is_file(path)), None)
    if path is None:
        near = documents.did_you_mean(seen[0])
        text = f"no file {documents.cut(repr(name))}{near or '; weights are in a .npz, as `numpy.savez` writes it'}"
        raise documents.refuse([document.problem((), text)])
    return str(path.resolve())


def _not_there(document: Document, name: str, kind: str) -> str:
    """Why a name or a path leads to no file, and what may be meant."""
    what, path = CALLED[kind], Path(document.file).parent / name
    if not name.endswith((".yaml", ".yml")):
        if _beside(document, f"{name}.yaml"):
            return f"unknown {what} {name!r}; did you mean the file {f'{name}.yaml'!r}? A path ends in .yaml"
        other = next((called for folder, called in CALLED.items() if name in names(folder)), None)
        if other is not None:
            return f"{name!r} is {a(other)}, not {a(what)}; {USES[other].format(file=name)}"
        return documents.unknown(what, name, names(kind))
    with suppress(OSError, ValueError):
        if path.exists():
            return f"{str(path)!r} is no regular file"
        return documents.missing(path)
    return f"no file has a name like {documents.cut(repr(name))}"
