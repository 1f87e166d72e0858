"""SANA-FE's files: an architecture as an event-driven machine, a network with its mappings as a placement.

The formats are those of SANA-FE 2.2 (Boyle et al., IEEE TCAD 2025, doi:10.1109/TCAD.2025.3537971). What is read: tiles,
cores and hops of a mesh that is the same everywhere; energies and times of synapses, of the neuron circuit, and of
packets; groups, edges between neurons or groups (one by one, dense, sparse, two-dimensional convolution), and mappings.
Nothing is simulated: `synapses` and `parameters` give weights, thresholds and the like to whoever simulates neurons.

An update of a membrane costs SANA-FE's access and update together, an idle neuron the access alone; a core takes spikes
in while it sends its own, as in SANA-FE's `simple` timing. The barrier is looked up for the number of tiles in use.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hwsim import documents
from hwsim.accounts import placement as places
from hwsim.accounts.placement import Placement, Reach
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.units.event_cores import EventMachine

SOURCE = "sanafe"
_RANGE = re.compile(r"(.*)\[(\d+)\.\.(\d+)\]$|(.*)")


class File:
    """A file of SANA-FE, read once for all that is asked of it; what takes a path takes it as well.

    Args:
        path: where it is.

    Raises:
        ConfigError: it cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self._path, self.data = path, _loaded(path)

    def __str__(self) -> str:
        return str(self._path)


Where = str | Path | File


def architecture(path: Where, tiles_used: int = 1, soma: str | None = None) -> EventMachine:
    """The machine of an architecture file.

    Args:
        tiles_used: how many tiles a network is mapped to, by which the barrier is looked up.
        soma: name of the neuron circuit whose costs count; the first by default.

    Raises:
        ConfigError: the file cannot be read, or has what one machine of equal tiles and cores cannot say.
    """
    top = _part(path, _loaded(path), "architecture")
    noc, tiles = _keys(top.get("attributes")), _listed(path, top, "tile")
    (tile, count), (core, cores) = _only(path, tiles, "tile"), _only(path, _listed(path, tiles[0], "core"), "core")
    width, height = (int(_number(path, noc, key, "attributes")) for key in ("width", "height"))
    if count > width * height:
        raise ConfigError(f"{path}: {count} tiles on a mesh of {width} by {height}")
    somas = _listed(path, core, "soma")
    chosen = next((each for each in somas if soma in (None, _name(each)[0])), None)
    if chosen is None:
        raise ConfigError(f"{path}: {documents.unknown('soma', str(soma), [_name(each)[0] for each in somas])}")
    hop = _keys(tile.get("attributes"))
    data = {
        "name": str(top.get("name", Path(str(path)).stem)),
        "what": f"from {Path(str(path)).name}, an architecture of SANA-FE",
        "sources": {SOURCE: f"{path}, as read"},
        "mesh": {"width": width, "height": height, "cores_per_tile": cores},
        "core": {"receives_while_sending": True, **_held(core)},
        "steps": {"barrier": _constant(_barrier(path, noc, tiles_used), "s")},
        "events": {
            **_neuron(path, _keys(chosen.get("attributes"))),
            "packet": _unit(path, core, "axon_out", "message_out"),
            "received": _unit(path, core, "axon_in", "message_in"),
            "within_tile": {"energy": _constant(0.0, "J")},
            "hop_x": _hop(path, hop, "east", "west"),
            "hop_y": _hop(path, hop, "north", "south"),
            "synapses": {
                _name(each)[0]: _event(path, _keys(each.get("attributes")), "process_spike")
                for each in _listed(path, core, "synapse")
            },
        },
    }
    return hardware.event_driven(Document(str(path), data))


def network(path: Where, machine: EventMachine) -> tuple[dict[str, int], Placement]:
    """The groups of a network file, with the number of the first neuron of each, and where all stand.

    Raises:
        ConfigError: the file cannot be read, or does not fit the machine.
    """
    loaded = _loaded(path)
    top = _part(path, loaded, "network")
    first, counts = _counted(path, top)
    total = sum(counts.values())
    core = np.full(total, -1, dtype=np.int64)
    kind = _parameter(path, top, "synapse_hw_name", machine.default_synapse, first, counts)
    for neurons, about in _pairs_of(loaded.get("mappings", [])):
        where = _selected(path, str(neurons), first, counts)
        _mapped(path, where, _keys(about), core, kind, machine)
    if (core < 0).any():
        raise ConfigError(f"{path}: {int((core < 0).sum())} of {total} neurons are mapped to no core")
    return first, _placed(path, _edges(path, top, first, counts), core, kind, machine)


def _placed(
    path: Where,
    edges: Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]],
    core: np.ndarray,
    kind: np.ndarray,
    machine: EventMachine,
) -> Placement:
    """Edges as reaches by kind of synapse, which is a matter of the neuron that a spike arrives at."""
    reaches: list[Reach] = []
    names = list(machine.events.synapses)
    for unknown in set(kind) - set(names):
        raise ConfigError(f"{path}: {documents.unknown('synapse', str(unknown), names)}")
    for pre, post, _ in edges:
        for name in names:
            of = kind[post] == name
            if of.any():
                reaches.append(places.reach(name, pre[of], post[of], core, machine.cores))
    found = Placement(core, np.zeros(core.size, dtype=bool), tuple(reaches), machine.cores)
    for excess in found.excesses(machine.core.neurons, machine.core.synapses)[:1]:
        raise ConfigError(
            f"{path}: mappings: core {excess.core} would hold {excess.found} {excess.what}; a core of {machine.name} "
            f"holds {excess.allowed}"
        )
    return found


def synapses(path: Where) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The neurons before and behind each synapse of a network file, and its weight in single precision.

    Raises:
        ConfigError: the file cannot be read.
    """
    top = _part(path, _loaded(path), "network")
    each = list(_edges(path, top, *_counted(path, top)))
    pre, post, weight = (np.concatenate(part) for part in zip(*each, strict=True))
    return pre, post, weight


def parameters(path: Where, **defaults: float) -> dict[str, np.ndarray]:
    """Parameters of all neurons of a network file by name, as of a group or of its neurons.

    Args:
        defaults: what each is where the file does not say.

    Raises:
        ConfigError: the file cannot be read.
    """
    top = _part(path, _loaded(path), "network")
    of = _counted(path, top)
    return {name: _parameter(path, top, name, each, *of).astype(float) for name, each in defaults.items()}


def _counted(path: Where, top: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    """The number of the first neuron of each group, and how many it has."""
    first: dict[str, int] = {}
    counts: dict[str, int] = {}
    for group in _listed(path, top, "groups"):
        name = str(group.get("name"))
        first[name] = sum(counts.values())
        bounds = (_bounds(path, str(neurons)) for neurons, _ in _pairs_of(group.get("neurons", [])))
        counts[name] = max((high + 1 for _, high in bounds), default=0)
    return first, counts


def _parameter(
    path: Where, top: dict[str, Any], key: str, default: Any, first: dict[str, int], counts: dict[str, int]
) -> np.ndarray:
    """One attribute of all neurons: of the neuron, or else of its group, or else the default."""
    found = np.empty(sum(counts.values()), dtype=object)
    for group in _listed(path, top, "groups"):
        start = first[str(group.get("name"))]
        found[start : start + counts[str(group.get("name"))]] = _own(group.get("attributes"), key, default)
        for neurons, about in _pairs_of(group.get("neurons", [])):
            if (value := _own(about, key, None)) is not None:
                low, high = _bounds(path, str(neurons))
                found[start + low : start + high + 1] = value
    return found


def _own(about: Any, key: str, default: Any) -> Any:
    """An attribute, which may be addressed to the neuron circuit alone."""
    keys = _keys(about)
    return _keys(keys.get("soma")).get(key, keys.get(key, default))


def _mapped(
    path: Where, where: slice, about: dict[str, Any], core: np.ndarray, kind: np.ndarray, machine: EventMachine
) -> None:
    if "core" in about:
        text = str(about["core"])
        match = re.fullmatch(r"(\d+)\.(\d+)", text)
        tile, place = (int(part) for part in match.groups()) if match else (-1, -1)
        mesh = machine.shape
        if not (0 <= tile < mesh.width * mesh.height and 0 <= place < mesh.cores_per_tile):
            raise ConfigError(
                f"{path}: mappings: core {text!r}: must be TILE.CORE, from 0.0 to "
                f"{mesh.width * mesh.height - 1}.{mesh.cores_per_tile - 1}"
            )
        core[where] = tile * mesh.cores_per_tile + place
    if "synapse" in about:
        kind[where] = str(about["synapse"])


def _edges(
    path: Where, top: dict[str, Any], first: dict[str, int], counts: dict[str, int]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Neurons before and behind the synapses of each edge, and weights; single edges come together."""
    single: list[tuple[int, int, float]] = []
    for key, about in _pairs_of(top.get("edges", [])):
        ends = [part.strip() for part in str(key).split("->")]
        if len(ends) != 2:
            raise ConfigError(f"{path}: edges: {documents.cut(repr(key))}: must be written as FROM -> TO")
        one, other = (_selected(path, end, first, counts) for end in ends)
        if one.stop - one.start == 1 and other.stop - other.start == 1 and "type" not in _keys(about):
            single.append((one.start, other.start, float(_keys(about).get("weight", 0.0))))
        else:
            sizes = one.stop - one.start, other.stop - other.start
            pre, post, place = _hyper(path, str(key), _keys(about), *sizes)
            weights = np.asarray(_keys(about).get("weight", 0.0), dtype=float)
            if weights.ndim and place.max(initial=-1) >= weights.size:
                text = f"{weights.size} weights, and {int(place.max()) + 1} are needed"
                raise ConfigError(f"{path}: edges: {key}: {text}")
            each = weights[place] if weights.ndim else np.broadcast_to(weights, place.shape)
            yield (pre + one.start).astype(np.int32), (post + other.start).astype(np.int32), each.astype(np.float32)
    if single:
        before, behind, weight = zip(*single, strict=True)
        yield np.array(before, np.int32), np.array(behind, np.int32), np.array(weight, np.float32)


def _hyper(
    path: Where, key: str, about: dict[str, Any], pre: int, post: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Synapses between two groups, as numbers within them, and which of the listed weights each has."""
    kind = about.get("type")
    if kind == "dense":
        return np.repeat(np.arange(pre), post), np.tile(np.arange(post), pre), np.arange(pre * post)
    if kind == "sparse":
        pairs = np.array(about.get("source_target_pairs", []), dtype=np.int64).reshape(-1, 2)
        if ((pairs < 0) | (pairs >= (pre, post))).any():
            raise ConfigError(f"{path}: edges: {key}: source_target_pairs has numbers beyond its groups")
        return pairs[:, 0], pairs[:, 1], np.arange(len(pairs))
    if kind == "conv2d":
        return _convolved(path, key, about, pre, post)
    raise ConfigError(f"{path}: edges: {key}: {documents.unknown('type', str(kind), ['conv2d', 'dense', 'sparse'])}")


def _convolved(
    path: Where, key: str, about: dict[str, Any], pre: int, post: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Synapses of a convolution without padding; neurons are numbered by channel, then y, then x."""
    width, height, channels, across, down, count = (
        int(_number(path, about, name, f"edges: {key}"))
        for name in ("input_width", "input_height", "input_channels", "kernel_width", "kernel_height", "kernel_count")
    )
    step_x, step_y = int(about.get("stride_width", 1)), int(about.get("stride_height", 1))
    wide, high = (width - across) // step_x + 1, (height - down) // step_y + 1
    if (channels * width * height, count * wide * high) != (pre, post):
        raise ConfigError(
            f"{path}: edges: {key}: a convolution of {channels * width * height} to {count * wide * high} neurons, "
            f"between groups of {pre} and {post}"
        )
    out, y, x, of, dy, dx = np.ogrid[:count, :high, :wide, :channels, :down, :across]
    source = (of * height + y * step_y + dy) * width + x * step_x + dx
    target = (out * high + y) * wide + x
    whole = (count, high, wide, channels, down, across)
    weight = ((dy * across + dx) * channels + of) * count + out
    one, other, place = (np.broadcast_to(each.astype(np.int32), whole).ravel() for each in (source, target, weight))
    return one, other, place


def _selected(path: Where, text: str, first: dict[str, int], counts: dict[str, int]) -> slice:
    """The neurons that `group`, `group.3` or `group.3..7` names."""
    if text in first:
        return slice(first[text], first[text] + counts[text])
    group, _, numbers = text.partition(".")
    if group not in first:
        raise ConfigError(f"{path}: {documents.unknown('group', group, list(first))}")
    low, high = _bounds(path, numbers)
    if high >= counts[group]:
        raise ConfigError(f"{path}: {text}: {group} has the neurons 0 to {counts[group] - 1}")
    return slice(first[group] + low, first[group] + high + 1)


def _bounds(path: Where, text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    if match is None:
        raise ConfigError(f"{path}: {documents.cut(repr(text))}: must be a number, or a range such as 0..7")
    return int(match[1]), int(match[2] or match[1])


def _loaded(path: Where) -> dict[str, Any]:
    """The mappings of a file. SANA-FE takes files that the package's own strict reader refuses as too long."""
    if isinstance(path, File):
        return path.data
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    try:
        with _uncollected():
            data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # numbers are converted below
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must be a mapping of keys")
    return data


@contextmanager
def _uncollected() -> Iterator[None]:
    """Garbage is not looked for: among so many new objects, all in use, that takes longer than to make them."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _part(path: Where, data: dict[str, Any], key: str) -> dict[str, Any]:
    part = data.get(key)
    if not isinstance(part, dict):
        raise ConfigError(f"{path}: {key} is missing: is this a file of SANA-FE?")
    return part


def _listed(path: Where, part: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = part.get(key)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ConfigError(f"{path}: {key} is missing, or is no list")
    return found


def _keys(about: Any) -> dict[str, Any]:
    """Attributes, which may be a mapping or a list of mappings."""
    if isinstance(about, list):
        return {key: value for each in about if isinstance(each, dict) for key, value in each.items()}
    return about if isinstance(about, dict) else {}


def _pairs_of(entries: Any) -> Iterator[tuple[Any, Any]]:
    """The keys and values of a list of mappings; entries without a value too."""
    for each in entries if isinstance(entries, list) else []:
        if isinstance(each, dict):
            yield from each.items()
        else:
            yield each, {}


def _name(part: dict[str, Any]) -> tuple[str, int]:
    """The name of a part, and how many a range such as `tile[0..3]` stands for."""
    match = _RANGE.match(str(part.get("name", "")))
    assert match is not None
    return (match[4], 1) if match[1] is None else (match[1], int(match[3]) - int(match[2]) + 1)


def _only(path: Where, parts: list[dict[str, Any]], what: str) -> tuple[dict[str, Any], int]:
    """A part that stands for all of its kind, and their number."""
    if any({**each, "name": ""} != {**parts[0], "name": ""} for each in parts):
        raise ConfigError(f"{path}: {what}: they differ; a machine here has one kind of {what}")
    return parts[0], sum(_name(each)[1] for each in parts)


def _held(core: dict[str, Any]) -> dict[str, Any]:
    most = _keys(core.get("attributes")).get("max_neurons_supported")
    return {} if most is None else {"neurons": int(most)}


def _number(path: Where, part: dict[str, Any], key: str, where: str) -> float:
    try:
        return float(part[key])
    except KeyError:
        raise ConfigError(f"{path}: {where}: {key} is missing") from None
    except (TypeError, ValueError):
        text = f"{documents.cut(repr(part[key]))}: must be a number alone, in joules or seconds"
        raise ConfigError(f"{path}: {where}: {key} {text}") from None


def _constant(value: float, unit: str) -> dict[str, Any]:
    return {"value": f"{value!r} {unit}", "source": SOURCE} if value or unit == "J" else {}


def _event(path: Where, part: dict[str, Any], *names: str) -> dict[str, Any]:
    """Energies and times of what happens together."""
    energy = sum(_number(path, part, f"energy_{name}", "attributes") for name in names)
    time = sum(_number(path, part, f"latency_{name}", "attributes") for name in names)
    return {"energy": _constant(energy, "J"), **({"time": _constant(time, "s")} if time else {})}


def _neuron(path: Where, part: dict[str, Any]) -> dict[str, Any]:
    return {
        "idle": _event(path, part, "access_neuron"),
        "update": _event(path, part, "access_neuron", "update_neuron"),
        "spike": _event(path, part, "spike_out"),
    }


def _unit(path: Where, core: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    return _event(path, _keys(_listed(path, core, kind)[0].get("attributes")), name)


def _hop(path: Where, part: dict[str, Any], one: str, other: str) -> dict[str, Any]:
    found = [_event(path, part, f"{way}_hop") for way in (one, other)]
    if found[0] != found[1]:
        raise ConfigError(f"{path}: attributes: hops to the {one} and to the {other} differ; here they cost the same")
    return found[0]


def _barrier(path: Where, noc: dict[str, Any], tiles: int) -> float:
    """The barrier for so many tiles: that of the largest number in the table which is no more."""
    table = noc.get("latency_sync", 0.0)
    if not isinstance(table, dict):
        return float(table)
    keys = sorted(int(key) for key in table)
    below = [key for key in keys if key <= tiles] or keys[:1]
    return _number(path, {str(key): value for key, value in table.items()}, str(below[-1]), "latency_sync")


def tiles_used(placement: Placement, machine: EventMachine) -> int:
    """How many tiles hold neurons."""
    return int(np.unique(placement.core // machine.mesh.cores_per_tile).size)
