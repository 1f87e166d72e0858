"""Files to start from: valid, quick to run, and with a comment on each key, made from the schema."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from hwsim import documents
from hwsim.config import hardware
from hwsim.config.experiment import NAME, Experiment
from hwsim.config.study import Study
from hwsim.documents import Document
from hwsim.errors import ConfigError, OutputError
from hwsim.guide.keys import ANY, Key, Section, sections
from hwsim.machines import MACHINES
from hwsim.physics import DataSheet
from hwsim.units.neuron_text import NeuronText
from hwsim.units.periphery import Periphery

_COLUMN = 42
"""Column at which comments begin."""
_WIDTH = 120


class Start(NamedTuple):
    """The content of a file to start from.

    Attributes:
        model: the model that the file describes.
        text: the comment at the top.
        data: its keys and values.
        base: values of keys that it leaves out, if they differ from the schema's defaults.
        following: the commands to type next; `{file}` stands for the name of the file.
    """

    model: type[BaseModel]
    text: str
    data: dict[str, Any]
    base: dict[str, Any]
    following: tuple[str, ...]


def experiment(name: str) -> Start:
    layer = {"cell": {"name": "lru", "modes": 8, "r_min": 0.8}, "readout": {"hidden": [16]}}
    return Start(
        Experiment,
        "An experiment: a network that learns handwritten digits on two simulated chips of phase-change memory, and "
        "beside them the same network under backpropagation through time on a digital chip. It takes some seconds.",
        {
            "schema_version": 1,
            "name": name,
            "seed": 1,
            "task": {"name": "digits", "order": "rows"},
            "network": {"layers": [layer], "pooling": "cumulative_mean"},
            "learning": {"name": "fpe"},
            "machine": "pcm_crossbar",
            "chips": 2,
            "gradient_check": {"sequences": 16},
            "training": {
                "optimizer": {"name": "adamw", "rate": 0.02},
                "schedule": "cosine",
                "clip": 1.0,
                "batch": 32,
                "epochs": 2,
            },
            "references": [{"name": "digital BPTT", "learning": {"name": "bptt"}, "machine": "digital_45nm"}],
        },
        {},
        ("hwsim validate {file}", "hwsim run {file}"),
    )


def machine(name: str) -> Start:
    base = hardware.inherited(Document("pcm_crossbar", "pcm_crossbar")).data
    parts = base["parts"]
    taken = {
        "tiles": ("rows", "columns", "time", "output_noise"),
        "dac": ("bits",),
        "adc": ("bits", "time"),
        "registers": ("noise", "retention"),
    }
    forward = {key: parts["diagonals"]["forward"][key] for key in ("mismatch", "noise")}
    return Start(
        MACHINES[base["kind"]].Options,
        "A machine like pcm_crossbar, which so far differs in nothing but its name. Change what your chip does "
        "differently. `bits` of a converter change its values and, by `energy_per_bits`, its energy; give its time.",
        {
            "like": "pcm_crossbar",
            "name": name,
            "sources": {"mine": "where your numbers come from: who measured or published them, and when"},
            "device": base["device"],
            "parts": {
                **{part: {key: parts[part][key] for key in keys} for part, keys in taken.items()},
                "diagonals": {"forward": forward},
            },
        },
        base,
        ("hwsim validate {file}", "in an experiment, `machine: {file}`"),
    )


_GUESS = "a number to start from, measured nowhere"


def _guessed(value: str | float) -> dict[str, Any]:
    return {"value": value, "assumed": _GUESS}


def device(name: str) -> Start:
    return Start(
        DataSheet,
        "A data sheet of a conductance device. Its numbers are there to be replaced by yours: list your sources, and "
        "let constants have `source: KEY` instead of `assumed: REASON`. A measurement can make one as well: "
        "`hwsim fit` fits tables of what conductances were programmed to and read as, and writes the sheet; "
        "docs/own_device.md explains it.",
        {
            "name": name,
            "what": "an example",
            "sources": {"example": _GUESS},
            "conductance": {"min": _guessed("1 uS"), "max": _guessed("25 uS")},
            "programming": {
                "error": {"law": "polynomial", "coefficients": ["0.3 uS", "1 uS"], "source": "example"},
                "step": _guessed("0.5 uS"),
            },
            "read_noise": {"law": "relative", "deviation_of_g": 0.02, "source": "example"},
            "write": {"law": "voltage", "voltage": _guessed("2 V"), "time": _guessed("1 us")},
        },
        {},
        ("hwsim validate {file}", "in a machine, `device: {file}`"),
    )


def periphery(name: str) -> Start:
    return Start(
        Periphery,
        "The periphery of a tile: the power that its circuits draw while the tile is read. Its numbers are there to be "
        "replaced by yours: list your sources, and let constants have `source: KEY` instead of `assumed: REASON`.",
        {
            "name": name,
            "what": "an example",
            "sources": {"example": _GUESS},
            "fixed": _guessed("5 mW"),
            "driver": _guessed("30 uW"),
            "output": _guessed("40 uW"),
            "converter": _guessed("200 uW"),
            "area": {"output": _guessed("1000 um^2"), "cell": _guessed("1 um^2")},
        },
        {},
        ("hwsim validate {file}", "in a machine, `periphery: {file}`"),
    )


def study(name: str) -> Start:
    return Start(
        Study,
        "A study: the gradient check of the quickstart with converters of several sizes, for two learning rules and "
        "two seeds. Eight trials of some seconds; those that are done stay done when it is stopped.",
        {
            "schema_version": 1,
            "name": name,
            "experiment": "quickstart",
            "set": {"training": None, "test": False, "references": [], "chips": 2, "gradient_check.sequences": 8},
            "vary": {
                "bits": {"key": "machine.parts.adc.bits", "values": [6, 8]},
                "algorithm": {"key": "learning.name", "values": ["fpe", "one_step"]},
            },
            "seeds": 2,
            "figures": [{"name": "alignment", "x": "bits", "y": "cosine_recurrent", "hue": "algorithm"}],
        },
        {},
        ("hwsim validate {file}", "hwsim study {file} --dry-run", "hwsim study {file}"),
    )


def network(name: str) -> Start:
    from hwsim.config.event_network import Network  # it loads SciPy, which other files do without

    return Start(
        Network,
        "A network on the cores of an event-driven machine, whose spikes `hwsim events` prices: groups of neurons, the "
        "cores that each is spread over, and who reaches whom. The spikes are a CSV file with the columns step, group "
        "and neuron: a row for each spike, in the order of steps. `hwsim devices` lists the machines.",
        {
            "name": name,
            "neurons": {
                "input": {"count": 64, "cores": [0], "source": True},
                "hidden": {"count": 256, "cores": [0, 1, 4, 8]},
            },
            "synapses": [{"from": "input", "to": "hidden"}, {"from": "hidden", "to": "hidden"}],
        },
        {},
        ("hwsim validate {file}", "hwsim events loihi_like {file} spikes.csv"),
    )


def neuron(name: str) -> Start:
    return Start(
        NeuronText,
        "A neuron told by equations, which Brian2 integrates: the language is Brian2's. This one leaks, and has a "
        "synapse that decays. A parameter with a `spread` differs from neuron to neuron of a chip by so much. Its "
        "numbers are there to be replaced by yours: list your sources, and let parameters have `source: KEY` instead "
        "of `assumed: REASON`.",
        {
            "name": name,
            "what": "an example",
            "sources": {"example": _GUESS},
            "equations": "dv/dt = (I - v)/tau : 1\ndI/dt = -I/tau_s : 1\n",
            "arrival": "I += drive",
            "threshold": "v > theta",
            "reset": "v -= theta",
            "refractory": "t_ref",
            "surrogate": {"name": "triangle", "of": "(v - theta)/theta", "height": 0.3},
            "parameters": {
                "tau": {**_guessed("20 ms"), "spread": 0.1},
                "tau_s": _guessed("5 ms"),
                "theta": {**_guessed(0.6), "spread": 0.1},
                "t_ref": _guessed("2 ms"),
            },
            "dt": "0.1 ms",
            "step": "1 ms",
        },
        {},
        ("hwsim validate {file}", "in an experiment, `cell: {{name: circuit, units: 32, neuron: {file}}}`"),
    )


def event_driven(name: str) -> Start:
    from hwsim.units.event_cores import EventMachine  # it loads SciPy and SimPy, which other files do without

    return Start(
        EventMachine,
        "An event-driven machine: cores on a mesh, which work when spikes come. What a spike, a synapse and a hop cost "
        "are numbers to be replaced by yours: list your sources, and let constants have `source: KEY` instead of "
        "`assumed: REASON`.",
        {
            "name": name,
            "what": "an example",
            "sources": {"example": _GUESS},
            "mesh": {"width": 4, "height": 4, "cores_per_tile": 1},
            "core": {"neurons": 256},
            "leakage": _guessed("10 mW"),
            "events": {
                "update": {"energy": _guessed("50 pJ"), "time": _guessed("5 ns")},
                "spike": {"energy": _guessed("20 pJ")},
                "hop_x": {"energy": _guessed("3 pJ"), "time": _guessed("4 ns")},
                "hop_y": {"energy": _guessed("3 pJ"), "time": _guessed("4 ns")},
                "synapses": {"synapse": {"energy": _guessed("20 pJ"), "time": _guessed("3 ns")}},
            },
        },
        {},
        (
            "hwsim validate {file}",
            "hwsim events {file} network.yaml spikes.csv",
            "in an experiment, `event_driven: {file}`",
        ),
    )


KINDS = {
    "experiment": experiment,
    "study": study,
    "device": device,
    "periphery": periphery,
    "machine": machine,
    "neuron": neuron,
    "event_driven": event_driven,
    "network": network,
}
"""The kinds of files that `hwsim new` writes."""


def write(kind: str, name: str, file: Path | None = None) -> tuple[Path, Start]:
    """Write a file to start from: `file`, or `NAME.yaml`.

    Raises:
        ConfigError: there is no such kind, or the name cannot be one.
        OutputError: the file exists already, or cannot be written.
    """
    if kind not in KINDS:
        raise ConfigError(documents.unknown("kind", kind, list(KINDS)))
    name = name.removesuffix(".yaml")
    if not re.match(NAME, name):
        raise ConfigError(f"name {name!r}: letters, digits, spaces, dots, dashes; the folder goes into --out")
    file, start = file or Path(f"{name.replace(' ', '_')}.yaml"), KINDS[kind](name)
    text = written(start)
    try:
        with file.open("x", encoding="utf-8") as new:
            try:
                new.write(text)
                new.flush()
            except BaseException:  # such as a full disk
                file.unlink()
                raise
    except FileExistsError:
        raise OutputError(f"{file} exists already, and nothing is overwritten; choose another name, or --out") from None
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror}; choose another place with --out") from None
    return file, start


def written(start: Start) -> str:
    """The file as YAML, with a comment on each key; keys that it leaves out are comments."""
    known = {section.title: section for group in sections(start.model).values() for section in group}
    head = textwrap.wrap(start.text, _WIDTH - 2)
    lines = _mapping(start.data, start.base, next(iter(known.values())), known, set())
    return "\n".join([*(f"# {line}" for line in head), "", *(_commented(*line) for line in lines)]) + "\n"


CommentedLines = Iterator[tuple[str, str]]
"""Lines of YAML, and the comment on each."""
SectionsByTitle = dict[str, Section]
"""All sections, by their title."""


def _mapping(
    data: dict[str, Any],
    base: dict[str, Any],
    section: Section | None,
    known: SectionsByTitle,
    said: set[str],
    others: str = "",
) -> CommentedLines:
    """The keys of a mapping, then the keys that it leaves out; without comments if its section is in `said`.

    Args:
        others: the names of the sections that may replace it.
    """
    keys = {key.name: key for key in section.keys} if section else {}
    again = section is not None and section.title in said
    said |= {section.title} if section else set()
    for name, value in data.items():
        own = keys.get(name)
        comment = "" if again else _about(own, known) if own else _OTHERS.get(name, "")
        key = own or keys.get(ANY)
        if section and key and not again and _chooses(key, value):
            comment = f"{_line(section)} ({others})" if others else _line(section)
        if isinstance(value, dict) and key and key.kind.startswith("names, each with: mapping"):
            yield f"{name}:", comment
            for item_name, item in value.items():
                yield f"  {item_name}:", ""
                lines = _mapping(item, {}, _below(key, item, known), known, said)
                yield from _indented(_indented(lines))
        elif isinstance(value, dict) and not _is_constant(value):
            yield f"{name}:", comment
            below, instead = _below(key, value, known), key.kind.partition(": ")[2] if key else ""
            yield from _indented(_mapping(value, base.get(name, {}), below, known, said, instead))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{name}:", comment
            for item in value:
                yield from _indented(_item(_mapping(item, {}, _below(key, item, known), known, said)))
        elif isinstance(value, str) and "\n" in value:
            yield f"{name}: |", comment
            yield from _indented((line, "") for line in value.splitlines())
        else:
            yield f"{name}: {documents.inline(value)}", comment
    for name, key in keys.items():
        if not again and name not in (*data, "kind", ANY) and (name in base or key.default is not None):
            yield f"# {name}: {_left_out(name, base, key, known)}", _about(key, known)


_OTHERS = {"like": "all keys of that machine, except those that follow"}
"""Keys that are resolved before the model is checked, with their comments."""


def _left_out(name: str, base: dict[str, Any], key: Key, known: SectionsByTitle) -> str:
    """The value of a key that is left out, or the names of the keys below it."""
    value = base.get(name)
    if value is None and key.default != "its defaults":
        return str(key.default)
    if value is None or (isinstance(value, dict) and not _is_constant(value)):
        names = value or [key_below.name for title in key.sections for key_below in known[title].keys]
        return f"{{{', '.join(f'{key_below}: …' for key_below in names)}}}"
    return documents.inline(value)


def _about(key: Key, known: SectionsByTitle) -> str:
    """The comment on a key: what it is for, and its other allowed values."""
    text = key.text or (_line(known[key.sections[0]]) if len(key.sections) == 1 else "")
    allowed = _allowed(key)
    return f"{text} ({allowed})" if text and allowed else text or allowed


def _allowed(key: Key) -> str:
    """The allowed values of a key, where its present value does not show them."""
    if key.name in ("machine", "digital", "device", "periphery") and key.kind.startswith("name"):
        folders = {"device": "devices", "periphery": "configs/periphery"}
        names = hardware.names(folders.get(key.name, "configs/hardware"))
        fit = [name for name in names if key.name != "digital" or _kind_of(name) == "digital"]
        return " | ".join([*fit, "a file"])
    if key.kind.startswith("mapping, name: ") and key.default is not None:
        return key.kind.removeprefix("mapping, name: ")
    if " | " in key.kind or (key.kind.startswith(("number", "whole")) and " or list" not in key.kind):
        return "" if key.sections else key.kind.removeprefix("whole ").removeprefix("number").strip()
    return ""


def _kind_of(name: str) -> str:
    """The kind of a shipped machine."""
    return str(hardware.inherited(Document(name, name)).data["kind"])


def _chooses(key: Key, value: Any) -> bool:
    """Whether the value of a key chooses its section among several."""
    return key.name in ("name", "kind", "law") and key.kind == value


def _line(section: Section) -> str:
    return section.text.partition("\n")[0].rstrip(".")


def _below(key: Key | None, value: dict[str, Any], known: SectionsByTitle) -> Section | None:
    """The section that describes a mapping: the only one, or the one that its name, kind or law chooses."""
    candidates = [known[title] for title in key.sections] if key else []
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    return next(
        section
        for section in candidates
        if any(_chooses(key_of_section, value.get(key_of_section.name)) for key_of_section in section.keys)
    )


def _indented(lines: CommentedLines) -> CommentedLines:
    return ((f"  {line}", comment) for line, comment in lines)


def _item(lines: CommentedLines) -> CommentedLines:
    """Lines of a mapping as an item of a list."""
    return ((f"{'- ' if number == 0 else '  '}{line}", comment) for number, (line, comment) in enumerate(lines))


def _is_constant(value: Any) -> bool:
    return isinstance(value, dict) and "value" in value


def _commented(line: str, comment: str) -> str:
    """A line with its comment beside it, wrapped; or above it, if both together are too long."""
    if not comment:
        return line
    column = max(_COLUMN, len(line) + 2)
    above = column > _COLUMN or line.endswith(": |")  # below it, a comment would be a line of the text
    if above and column + 2 + len(comment) > _WIDTH:
        indent = " " * (len(line) - len(line.lstrip()))
        return "\n".join([*(f"{indent}# {part}" for part in _wrapped(comment, len(indent))), line])
    first, *rest = _wrapped(comment, column)
    return "\n".join([f"{line:<{column}}# {first}", *(f"{'':<{column}}# {part}" for part in rest)])


def _wrapped(comment: str, column: int) -> list[str]:
    """A comment wrapped to the width of the file; a sign is not separated from its number."""
    kept = re.sub(r"([<>≤≥]) ", "\\1\N{NO-BREAK SPACE}", comment)
    return [
        line.replace("\N{NO-BREAK SPACE}", " ") for line in re.split("\n", textwrap.fill(kept, _WIDTH - column - 2))
    ]
