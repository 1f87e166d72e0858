"""Networks on event-driven machines: groups of neurons, the cores that they are spread over, and who reaches whom."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field

from hwsim import documents
from hwsim.accounts import placement as places
from hwsim.accounts.placement import Placement, Reach
from hwsim.documents import Document, Problem
from hwsim.documents.table import table
from hwsim.units.event_cores import EventMachine


class Group(BaseModel, extra="forbid", title="Group of neurons"):
    """Neurons that are alike."""

    count: Annotated[int, Field(ge=1, description="number of neurons")]
    cores: Annotated[
        list[Annotated[int, Field(ge=0)]],
        Field(min_length=1, description="the cores that they are spread over evenly, in this order"),
    ]
    source: Annotated[
        bool, Field(description="whether spikes come from outside: they enter at the core, and nothing is updated")
    ] = False


class Connections(BaseModel, extra="forbid", validate_by_name=True):
    """Synapses from one group to another: of each with each, or of listed pairs."""

    origin: Annotated[str, Field(alias="from", description="group whose spikes are sent")]
    to: Annotated[str, Field(description="group that receives them")]
    pairs: Annotated[
        str | None,
        Field(description="CSV file with the columns from and to, numbers in the groups from 0; all pairs without it"),
    ] = None
    kind: Annotated[str | None, Field(description="kind of synapse, of those of the machine; its first without it")] = (
        None
    )


class Network(BaseModel, extra="forbid", title="Network on cores"):
    """A network that is placed on the cores of an event-driven machine, for `hwsim events`."""

    name: Annotated[str, Field(description="what tables call it")] = "network"
    neurons: Annotated[dict[str, Group], Field(min_length=1, description="groups by name")]
    synapses: Annotated[list[Connections], Field(description="who reaches whom")]

    @property
    def first(self) -> dict[str, int]:
        """The number of the first neuron of each group: neurons are numbered through all groups."""
        counts = [group.count for group in self.neurons.values()]
        return dict(zip(self.neurons, np.cumsum([0, *counts[:-1]]).tolist(), strict=True))


_SENDER = "the group whose spikes are sent is `from`"
_RECEIVER = "the group that receives them is `to`"
_FOREIGN = {
    **dict.fromkeys(("source", "src", "pre", "presynaptic", "origin"), _SENDER),
    **dict.fromkeys(("target", "dest", "destination", "dst", "post", "postsynaptic"), _RECEIVER),
    **dict.fromkeys(("size", "n", "neurons"), "the number of neurons of a group is `count`"),
    **dict.fromkeys(("core", "tile"), "the cores of a group are a list, `cores: [0]`"),
    **dict.fromkeys(("weight", "weights"), "weights are not needed: what a spike costs does not depend on them"),
    **dict.fromkeys(("connections", "edges", "projections"), "who reaches whom is `synapses`"),
    **dict.fromkeys(("groups", "populations", "layers"), "groups of neurons are below `neurons`"),
}
"""What a message says of keys that files of other tools have."""


def network(document: Document) -> Network:
    """The network of a document.

    Raises:
        ConfigError: each problem with its file, line and column.
    """
    checked: Network = documents.check(Network, document, _FOREIGN)
    problems = []
    for number, each in enumerate(checked.synapses):
        for key, name in (("from", each.origin), ("to", each.to)):
            if name not in checked.neurons:
                text = documents.unknown("group", name, list(checked.neurons))
                problems.append(document.problem(("synapses", number, key), text))
    if problems:
        raise documents.refuse(problems)
    return checked


def placed(document: Document, machine: EventMachine) -> tuple[Network, Placement]:
    """The network of a document, on the cores of a machine.

    Raises:
        ConfigError: a core is missing, or would hold more neurons or synapses than it can.
    """
    net = network(document)
    _on_cores(document, net, machine)
    core = np.concatenate([places.spread(group.count, group.cores) for group in net.neurons.values()])
    source = np.concatenate([np.full(group.count, group.source) for group in net.neurons.values()])
    reaches = tuple(_reach(document, number, net, core, machine) for number in range(len(net.synapses)))
    found = Placement(core, source, reaches, machine.cores)
    _within(document, net, found, machine)
    return net, found


def _on_cores(document: Document, net: Network, machine: EventMachine) -> None:
    problems = []
    for name, group in net.neurons.items():
        for at, core in enumerate(group.cores):
            if core >= machine.cores:
                text = f"core {core}: {machine.name} has the cores 0 to {machine.cores - 1}"
                problems.append(document.problem(("neurons", name, "cores", at), text))
    for number, each in enumerate(net.synapses):
        if each.kind is not None and each.kind not in machine.events.synapses:
            text = documents.unknown("kind of synapse", each.kind, list(machine.events.synapses))
            problems.append(document.problem(("synapses", number, "kind"), text))
    if problems:
        raise documents.refuse(problems)


def _reach(document: Document, number: int, net: Network, core: np.ndarray, machine: EventMachine) -> Reach:
    each = net.synapses[number]
    kind = each.kind or machine.default_synapse
    first, origin, to = net.first, net.neurons[each.origin], net.neurons[each.to]
    if each.pairs is None:
        pre = np.arange(origin.count) + first[each.origin]
        return places.dense(kind, pre, np.arange(to.count) + first[each.to], core)
    pairs = _pairs(document, number, each, origin.count, to.count)
    return places.reach(
        kind,
        pairs["from"].to_numpy() + first[each.origin],
        pairs["to"].to_numpy() + first[each.to],
        core,
        machine.cores,
    )


def _pairs(document: Document, number: int, each: Connections, origins: int, targets: int) -> pd.DataFrame:
    """The listed pairs, seen from the network's file."""
    assert each.pairs is not None
    path = Path(document.file).parent / each.pairs
    if not documents.is_file(path):
        raise documents.refuse([document.problem(("synapses", number, "pairs"), documents.missing(path))])
    found = table(path, {"from": "int64", "to": "int64"})
    for column, group, count in (("from", each.origin, origins), ("to", each.to, targets)):
        wrong = found.index[(found[column] < 0) | (found[column] >= count)]
        if len(wrong):
            at = int(wrong[0])
            text = f"{column} {found[column][at]}: {group} has the neurons 0 to {count - 1}"
            raise documents.refuse([Problem(str(path), at, 1, text)])
    return found


def _within(document: Document, net: Network, found: Placement, machine: EventMachine) -> None:
    """Refuse what a core cannot hold, where the file puts most of it there."""
    problems = []
    for excess in found.excesses(machine.core.neurons, machine.core.synapses):
        if excess.what == "neurons":
            held = Counter({name: int((places.spread(g.count, g.cores) == excess.core).sum())
                            for name, g in net.neurons.items() if not g.source})  # fmt: skip
            where: tuple[str | int, ...] = ("neurons", held.most_common(1)[0][0], "cores")
        else:
            most = [int(each.synapses[each.core == excess.core].sum()) for each in found.reaches]
            where = ("synapses", most.index(max(most)))
        text = (
            f"core {excess.core} would hold {excess.found} {excess.what}; a core of {machine.name} holds "
            f"{excess.allowed}: spread the group over more cores"
        )
        problems.append(document.problem(where, text))
    if problems:
        raise documents.refuse(problems)
