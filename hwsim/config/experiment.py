"""An experiment: what is learned, by which network and rule, on which machine, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from hwsim import documents, learning, machines, networks, tasks
from hwsim.cells import spiking
from hwsim.config import event_driven, files, hardware, weights
from hwsim.config.deploy import Deploy
from hwsim.config.event_driven import EventDriven
from hwsim.config.not_modelled import NOT_MODELLED
from hwsim.config.weights import Weights
from hwsim.documents import ByName, Document, PartError, Place
from hwsim.errors import ConfigError
from hwsim.learning import update, updates
from hwsim.machines import digital
from hwsim.quantities import Frequency, located
from hwsim.units import neuron_text

NAME = r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$"
Name = Annotated[str, Field(pattern=NAME, max_length=80)]
Whole = Annotated[int, Field(ge=1)]


class GradientCheckOptions(BaseModel, extra="forbid"):
    """Compare the rule's gradient with exact backpropagation through time: at the initial weights, and later on."""

    sequences: Annotated[Whole, Field(description="taken from the training set")] = 16
    at: Annotated[
        list[Annotated[int, Field(ge=0)]],
        Field(description="updates after which the trained network is checked as well; 0 is checked anyway"),
    ] = []
    every: Annotated[
        Whole | None, Field(description="updates from one check of the trained network to the next; or none")
    ] = None

    def again(self, updates: int) -> bool:
        """Whether the network is checked after so many updates."""
        return updates in self.at or (self.every is not None and updates % self.every == 0)


class Training(update.Options):
    """Learn from the training set, and test in between."""

    batch: Annotated[Whole, Field(description="sequences for each update")] = 32
    epochs: Annotated[Whole | None, Field(description="times through the training set; or give `steps`")] = None
    steps: Annotated[Whole | None, Field(description="updates; or give `epochs`")] = None
    test_every: Annotated[Whole | None, Field(description="updates between tests; by default one test per epoch")] = (
        None
    )
    update_rate: Annotated[
        Frequency | None,
        Field(
            description="updates per second in use, for how long devices last; by default one after another, as fast "
            "as the hardware makes them"
        ),
    ] = None

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("epochs and steps both say how long to train; leave one of them out, or set it to null")
        if self.epochs is None and self.steps is None:
            raise ValueError("say how long to train, by epochs or by steps")
        return self


class SystemOptions(BaseModel, extra="forbid"):
    """A learning rule on a machine."""

    learning: Annotated[learning.AnyOptions, Field(description="the learning rule")]
    machine: Annotated[
        machines.AnyOptions,
        ByName(),
        Field(description="name of a machine, a path, or the changes to the one that it is `like`"),
    ]
    chips: Annotated[
        Whole, Field(description="number of chips, each with its own device variation; equal ones are simulated once")
    ] = 1

    @property
    def chips_simulated(self) -> int:
        """Number of chips that are simulated; chips without variation are all alike, so one of them is enough."""
        return self.chips if machines.kind_of(self.machine).is_analog else 1


class Learner(SystemOptions):
    """A learning rule on a machine, with an update scheme and a factor of learning rates of its own."""

    update: Annotated[
        updates.AnyOptions | None,
        Field(description="how its gradients become weights; by default as `training.update` says"),
    ] = None
    recurrent_factor: Annotated[
        float | None,
        Field(
            ge=0,
            allow_inf_nan=False,
            description="learning rate of its recurrent parameters, relative to the others; by default as "
            "`training.recurrent_factor` says. With 0 they keep their initial values, as a control",
        ),
    ] = None
    _weights: Weights | None = PrivateAttr(default=None)

    @property
    def weights_from(self) -> Weights | None:
        """What it starts from, as `weights` of the experiment says; None if its weights are drawn."""
        return self._weights


class Reference(Learner):
    """What the substrate is compared with: the same network and task under another rule or on another machine."""

    name: Annotated[Name, Field(description="its name in tables")]
    chips: Annotated[Whole | None, Field(description="number of chips; by default that of the substrate")] = None  # type: ignore[assignment]


class ReferenceSet(BaseModel, extra="forbid"):
    """A set of references in a file of its own, which experiments name."""

    references: list[Reference]


class Experiment(SystemOptions):
    """One experiment: a substrate that learns a task, and references beside it."""

    schema_version: Annotated[Literal[1], Field(description="version of this kind of file")] = 1
    name: Annotated[Name, Field(description="name of the experiment and of its folder")]
    seed: Annotated[int, Field(ge=0, description="seed of all random draws: the same seed gives the same bytes")] = 0
    called: Annotated[Name, Field(description="name of the substrate in tables")] = "substrate"
    task: Annotated[tasks.AnyOptions, Field(description="what is to be learned")]
    network: Annotated[networks.Options, Field(description="the network, which is the same in all systems")]
    weights: Annotated[
        Weights | None,
        Field(description="start from weights that were trained elsewhere; `null`: initial weights are drawn"),
    ] = None
    gradient_check: Annotated[
        GradientCheckOptions | None,
        Field(description="compare the gradient at the initial weights with the exact one; `null`: no comparison"),
    ] = None
    training: Annotated[
        Training | None, Field(description="learn, and test in between; `null`: weights keep their initial values")
    ] = None
    test: Annotated[
        bool, Field(description="test at the end of training; without training, at the initial weights")
    ] = True
    deploy: Annotated[
        Deploy | None,
        Field(description="test again after waits, in which devices drift; `null`: they are tested fresh only"),
    ] = None
    event_driven: Annotated[
        EventDriven | None,
        ByName(),
        Field(
            description="an event-driven machine on which the spikes of the test are priced as well: its name, or "
            "`machine` and `neurons_per_core`"
        ),
    ] = None
    references: Annotated[
        list[Reference],
        ByName(like=False),
        Field(description="systems to compare the substrate with, or the name of a shipped set, such as `strong`"),
    ] = []

    @field_validator("references")
    @classmethod
    def _names_differ(cls, references: list[Reference], info: ValidationInfo) -> list[Reference]:
        taken = [info.data.get("called", "substrate"), *(reference.name for reference in references)]
        twice = sorted({name for name in taken if taken.count(name) > 1})
        if twice:
            raise ValueError(f"need names of their own; {', '.join(map(repr, twice))} stands twice")
        return references

    @model_validator(mode="after")
    def _weights_are_said_once(self) -> Self:
        if self.weights is None:
            return self
        if self.network.weights is not None:
            raise PartError(
                ("weights",),
                "`network.weights` names weights as well, a .npz for all systems; leave that key out: this one takes "
                f"the same file, `weights: {{from: {Path(self.network.weights).name}}}`",
            )
        names = list(self.systems())
        for number, name in enumerate(self.weights.into or ()):
            if name not in names:
                raise PartError(("weights", "into", number), documents.unknown("system", name, names))
        return self

    @model_validator(mode="after")
    def _checks_have_a_training(self) -> Self:
        check = self.gradient_check
        if check is not None and self.training is None and (check.at or check.every):
            raise ValueError("gradient_check: `at` and `every` count updates, and there is no training")
        return self

    @model_validator(mode="after")
    def _all_spikes(self) -> Self:
        for number, layer in enumerate(self.network.layers if self.event_driven else [], 1):
            cell, readout = layer.cell, layer.readout
            text = getattr(cell, "neuron", None) if cell.name == "circuit" else None
            if cell.name not in ("lif", "alif") and (text is None or text.threshold is None):
                raise ValueError(
                    f"event_driven: layer {number} is of {cell.name}, which does more than spike; take lif, alif or a "
                    "circuit with a threshold"
                )
            if readout.project is not None or readout.norm or readout.hidden:
                raise ValueError(
                    f"event_driven: the readout of layer {number} is more than one linear map; leave out project, norm "
                    "and hidden"
                )
        return self

    @model_validator(mode="after")
    def _devices_drift(self) -> Self:
        if self.deploy is None:
            return self
        if not self.test:
            raise PartError(("deploy",), "needs a test, and `test` is false")
        if self.deploy.repair is not None and self.training is None:
            raise PartError(("deploy", "repair"), "needs `training`, which says how it learns")
        sheets = {name: getattr(system.machine, "device", None) for name, system in self.systems().items()}
        held = {name: sheet for name, sheet in sheets.items() if sheet is not None}
        if not held:
            raise PartError(("deploy",), "needs devices, which no machine here has; take pcm_crossbar, for instance")
        for name, sheet in held.items():
            if sheet.drift is None:
                raise PartError(
                    ("deploy",),
                    f"the devices of {name!r}, {sheet.name}, have no `drift`, so that it is not known how they age; "
                    "give their data sheet one, or take pcm_gst_90nm, which has it",
                )
        return self

    @model_validator(mode="after")
    def _rules_fit_machines(self) -> Self:
        for name, system in self.systems().items():
            no_tape = getattr(system.machine, "attached", "memory") == "nothing"
            if no_tape and learning.build(system.learning).needs_tape:
                raise ValueError(
                    f"{system.learning.name} needs a tape, and {system.machine.name}, the machine of {name!r}, has "
                    "none; take a digital machine, or one with `attached: memory` or `attached: host`"
                )
        return self

    @model_validator(mode="after")
    def _connections_fit_machines(self) -> Self:
        dense = [name for name, system in self.systems().items() if not machines.kind_of(system.machine).sparse]
        for number, layer in enumerate(self.network.layers if dense else ()):
            for key in ("fan_in", "input_fan_in"):
                if getattr(layer.cell, key, None) is not None:
                    raise PartError(
                        ("network", "layers", number, "cell", key),
                        f"{self.systems()[dense[0]].machine.name}, the machine of {dense[0]!r}, multiplies by crossbar "
                        f"tiles, which have a device at every crossing; leave out {key}, or take a digital machine",
                    )
        return self

    @model_validator(mode="after")
    def _spikes_have_slopes(self) -> Self:
        if self.training is None and self.gradient_check is None:
            return self
        blind = [name for name, system in self.systems().items() if learning.build(system.learning).takes_errors]
        for number, layer in enumerate(self.network.layers if blind else ()):
            cell: Any = layer.cell
            neuron: Any = getattr(cell, "neuron", cell) if cell.name == "circuit" else cell
            if getattr(neuron, "threshold", None) is not None and getattr(neuron, "surrogate", True) is None:
                rule = self.systems()[blind[0]].learning.name
                key = "neuron" if cell.name == "circuit" else "surrogate"
                raise PartError(
                    ("network", "layers", number, "cell", key),
                    f"a spike of {neuron.name} has no slope, and {rule}, the rule of "
                    f"{blind[0]!r}, takes errors back through it; give `surrogate: {{name: triangle}}`, one of "
                    f"{', '.join(get_args(neuron_text.Shape if key == 'neuron' else spiking.Shape))}; or take stdp, "
                    "which needs no error",
                )
        return self

    @model_validator(mode="after")
    def _schemes_fit(self) -> Self:
        check, training = self.gradient_check, self.training
        if training is None:
            return self
        for name, system in self.systems().items():
            scheme = updates.of(system.update or training.update)
            if system.update is not None:
                scheme.accepts(training.optimizer, training.clip)
            if check is not None and (check.at or check.every) and not scheme.summed:
                raise ValueError(
                    f"gradient_check: {name!r} sums no gradients in training, which could be compared later on; leave "
                    "out at and every, or take `update: {name: accumulate}`"
                )
        return self

    def learned_by(self, rule: Any) -> Self:
        """The same experiment, whose substrate learns by another rule.

        Raises:
            ConfigError: the rule does not go with its machine, network or update scheme.
        """
        other = self.model_copy(update={"learning": rule})
        try:
            for check in (other._rules_fit_machines, other._spikes_have_slopes, other._schemes_fit):
                check()  # type: ignore[operator]
        except ValueError as error:
            raise ConfigError(str(error)) from None
        return other

    def scheme(self, system: Learner) -> updates.Scheme | None:
        """How the gradients of a system become weights, to be used for one network; None without training."""
        if self.training is None:
            return None
        return updates.build(system.update or self.training.update)

    def of(self, system: Learner) -> Experiment:
        """The experiment as a system carries it out: with its own factor of learning rates, from where it starts."""
        changed: dict[str, Any] = {}
        if self.training is not None and system.recurrent_factor is not None:
            changed["training"] = self.training.model_copy(update={"recurrent_factor": system.recurrent_factor})
        if system.weights_from is not None:
            source = partial(system.weights_from.stored, self.network)
            changed["network"] = self.network.model_copy()
            changed["network"].start_from(source)
        return self.model_copy(update=changed) if changed else self

    def systems(self) -> dict[str, Learner]:
        """All systems by name: the substrate first, then the references."""
        machine = self._limited(self.machine)
        substrate = Learner.model_construct(learning=self.learning, machine=machine, chips=self.chips)
        references = {
            reference.name: Learner.model_construct(
                learning=reference.learning,
                update=reference.update,
                recurrent_factor=reference.recurrent_factor,
                machine=self._limited(reference.machine),
                chips=reference.chips or self.chips,
            )
            for reference in self.references
        }
        systems = {self.called: substrate, **references}
        if self.weights is not None:
            for name in self.weights.into or systems:
                if name in systems:
                    systems[name]._weights = self.weights
        return systems

    def _limited(self, machine: Any) -> Any:
        """The machine with `batch_parallel` limited to the sequences of a batch."""
        part = self.training.batch if self.training else self.gradient_check.sequences if self.gradient_check else None
        if part is None or not isinstance(machine, digital.Options) or machine.parts.dataflow.batch_parallel <= part:
            return machine
        flow = machine.parts.dataflow.model_copy(update={"batch_parallel": part})
        return machine.model_copy(update={"parts": machine.parts.model_copy(update={"dataflow": flow})})

    def resolved(self) -> dict[str, Any]:
        """The experiment as plain data with every default written out; loading it gives the same experiment."""
        data: dict[str, Any] = self.model_dump(mode="json")
        for key in ("event_driven", "deploy", "weights"):
            if data[key] is None:
                del data[key]  # so that other experiments are what they were
        if data["training"] and data["training"]["update_rate"] is None:
            del data["training"]["update_rate"]
        first = ("schema_version", "name", "seed", "task", "network", "called")
        return {key: data[key] for key in (*first, *(key for key in data if key not in first))}


def load(source: str | Path | Mapping[str, Any]) -> Experiment:
    """The experiment that a YAML file describes, a mapping with the same keys, or a shipped one by its name.

    Raises:
        ConfigError: all problems of the file, and of the machine and device files that it names, one per line.
    """
    if isinstance(source, Mapping):
        return compose(Document("experiment", documents.plain(source)))
    return compose(documents.read(files.path_of(source, "configs/experiments")))


def _references(document: Document) -> Document:
    """The file of a set of references that a document names; `references`, a list, is its only key."""
    references = files.opened(document.part(("references",)), "configs/references")
    if not isinstance(references.data, dict) or list(references.data) != ["references"]:
        raise documents.refuse(
            [references.problem((), "a set of references has the key references, a list, and no other")]
        )
    return references


def compose(document: Document, machine_of: Callable[[Document, str], Any] = hardware.machine) -> Experiment:
    """The experiment that a document describes; `machine_of` gives the options of each machine, by its dotted key."""
    if not isinstance(document.data, dict):
        raise documents.refuse([document.problem((), documents.must_be_keys("an experiment", Experiment))])
    kind = files.kind_of(document)
    if kind != "experiment":
        text = f"this is {files.a(kind)}, not an experiment; {files.USES[kind].format(file=document.file)}"
        raise documents.refuse([document.problem((), text)])
    messages: list[str] = []
    if isinstance(document.data.get("references"), str):
        named = document
        references = documents.collect(messages, lambda: _references(named))
        document = document.without("references")
        document = document if references is None else document.over(references)
    before = len(messages)
    _make_machines(document, machine_of, messages)
    if len(messages) > before:
        document.data.pop("deploy", None)  # it asks for devices, and nothing is known of those of a refused machine
    _make_neurons(document, messages)
    _make_event_driven(document, messages)
    _find_weights(document, messages)
    _find_start(document, messages)
    experiment = documents.collect(messages, lambda: documents.check(Experiment, document, NOT_MODELLED))
    documents.complain(messages)
    assert isinstance(experiment, Experiment)
    return experiment


def references(document: Document) -> list[Reference]:
    """The references of a set that a document describes."""
    messages: list[str] = []
    _make_machines(document, hardware.machine, messages)
    checked = documents.collect(messages, lambda: documents.check(ReferenceSet, document, NOT_MODELLED))
    documents.complain(messages)
    assert isinstance(checked, ReferenceSet)
    return checked.references


def _make_machines(document: Document, machine_of: Callable[[Document, str], Any], messages: list[str]) -> None:
    """Put the options of each machine in the place of its name or of its document."""
    places: list[tuple[str, Place]] = [("machine", ("machine",))]
    listed = document.data.get("references")
    if isinstance(listed, list):
        items = [(number, item) for number, item in enumerate(listed) if isinstance(item, dict)]
        places += [(f"references.{_step(*each)}.machine", ("references", each[0], "machine")) for each in items]
    for key, place in places:
        owner = document.data
        for step in place[:-1]:
            owner = owner[step]
        if "machine" in owner:
            make = partial(machine_of, document.part(place), key)
            owner["machine"] = documents.collect(messages, make, partial(hardware.machine, Document("ideal", "ideal")))


def _make_neurons(document: Document, messages: list[str]) -> None:
    """Put the text of each neuron in the place of its name or of its document."""
    network = document.data.get("network")
    layers = network.get("layers") if isinstance(network, dict) else None
    for number, layer in enumerate(layers if isinstance(layers, list) else []):
        cell = layer.get("cell") if isinstance(layer, dict) else None
        if isinstance(cell, dict) and cell.get("name") == "circuit" and "neuron" in cell:
            make = partial(hardware.neuron, document.part(("network", "layers", number, "cell", "neuron")))
            cell["neuron"] = documents.collect(messages, make, partial(hardware.neuron, Document("lif", "lif")))


def _make_event_driven(document: Document, messages: list[str]) -> None:
    """Put the event-driven machine in the place of its name or of its document."""
    given = document.data.get("event_driven")
    if isinstance(given, str) or (isinstance(given, dict) and ("like" in given or "machine" in given)):
        part = document.part(("event_driven",))
        document.data["event_driven"] = documents.collect(messages, lambda: event_driven.written_out(part))


def _find_weights(document: Document, messages: list[str]) -> None:
    """Put the path of the file of initial weights, as it is seen from everywhere, in the place of the one given."""
    network = document.data.get("network")
    if isinstance(network, dict) and isinstance(network.get("weights"), str):
        named = document.part(("network", "weights"))
        found = documents.collect(messages, lambda: files.array_file(named))
        network["weights"] = found or network["weights"]


def _find_start(document: Document, messages: list[str]) -> None:
    """Put where the weights to start from are, seen from everywhere, and their checksum, into `weights`."""
    given = document.data.get("weights")
    if isinstance(given, dict) and isinstance(given.get("from"), str):
        named = document.part(("weights",))
        given |= documents.collect(messages, lambda: weights.found(named)) or {}


def restored(resolved: dict[str, Any]) -> Experiment:
    """The experiment that `Experiment.resolved` described; its constants know where they stand, as after `compose`."""
    experiment = Experiment.model_validate(resolved, strict=True)
    references = [
        reference.model_copy(
            update={"machine": located(reference.machine, f"references.{_step(number, each)}.machine")}
        )
        for number, (reference, each) in enumerate(zip(experiment.references, resolved["references"], strict=True))
    ]
    machine = located(experiment.machine, "machine")
    return experiment.model_copy(update={"machine": machine, "references": references})


def _step(number: int, item: dict[str, Any]) -> str | int:
    """The step of a dotted key to an item of a list: its name, unless that could be an index."""
    name = item.get("name")
    return name if isinstance(name, str) and not name.isdecimal() else number
