"""Plausible values: the ranges of published devices and circuits. Far outside, a unit or an exponent is often wrong.

An impossible value is an error, which the models themselves raise. An implausible value is a warning: such a device may
exist one day, but its data sheet needs a second look. Each quantity of a data sheet and of a machine's parts has an
entry in `PUBLISHED`: the smallest and the largest published value, their sources, and the factor by which a value may
lie beyond them without a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from math import log
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel

from hwsim.config import dotted
from hwsim.config.ages import too_old
from hwsim.config.idle import idle_inverse
from hwsim.documents import Document, Place, Problem
from hwsim.machines import crossbar, digital
from hwsim.machines.crossbar import CrossbarParts
from hwsim.physics import DataSheet
from hwsim.physics.law import Law
from hwsim.quantities import Constant, si
from hwsim.units.periphery import Periphery
from hwsim.units.processor import DigitalParts
from hwsim.units.sram import StaticMemory


class Limit(NamedTuple):
    """An extreme published value, in SI units, and its source."""

    value: float
    source: str


class Published(NamedTuple):
    """The published range of a quantity.

    Attributes:
        key: the dotted key, relative to the model; `*` matches any key.
        unit: of the limits; "" for shares and counts.
        low, high: the smallest and the largest published value; None where no value is too small, or too large.
        margin: the factor by which a value may lie beyond them.
        of: computes the quantity from the model, where it is not the number at `key`; None if it does not apply.
        what: the computed quantity in words.

    Zero is never too small: it means that there is no such effect, and no wrong unit leads to it.
    """

    key: str
    unit: str
    low: Limit | None
    high: Limit | None
    margin: float = 10.0
    of: Callable[[Any], float | None] | None = None
    what: str = ""

    def doubt(self, value: float) -> str | None:
        """The warning about a value; None if it is plausible."""
        for end, beyond, name in ((self.high, 1, "largest"), (self.low, -1, "smallest")):
            if end is not None and value and (value / end.value) ** beyond > self.margin:
                ratio = value / end.value
                times = f"{ratio:.3g} times" if beyond > 0 else f"1/{1 / ratio:.3g} of"
                return f"{times} the {name} published, {written(end.value, self.unit)} ({end.source})"
        return None


class Doubt(NamedTuple):
    """A warning about an implausible number.

    Attributes:
        place: the keys that lead to the number from the checked model.
        text: the number, and why it is implausible.
    """

    place: Place
    text: str


def written(value: float, unit: str) -> str:
    """A value with its unit; a share in percent, an area in mm² or µm²."""
    if unit == "m^2":
        return f"{value * 1e12:.3g} µm²" if value < 1e-9 else f"{value * 1e6:.3g} mm²"
    return si(value, unit) if unit not in ("", "%") else f"{value:.3g}" if not unit else f"{100 * value:.3g} %"


NODES: tuple[int, ...] = get_args(StaticMemory.model_fields["node_nm"].annotation)
"""Technology nodes, in nm, that have tables of static memories."""

_HERE: Place = ()

_IMPLAUSIBLE = "; are its unit and exponent right?"


def doubts(model: BaseModel) -> list[Doubt]:
    """Warnings about a data sheet, a machine, an experiment, or a model that contains some; none is repeated."""
    by_text: dict[str, Doubt] = {}
    for place, owner, own, part in _models(model, (), "", ()):
        rows = PUBLISHED.get(type(part), ())
        known = [(".".join(map(str, each[0])), *each) for each in numbers(part)] if rows else []
        for row in rows:
            for where, value, ends in _values(row, part, known):
                text = row.doubt(value)
                if text is not None:
                    key = ".".join(map(str, (*own, *where)))
                    what = " reaches" if ends else f" {row.what} is" if row.what else " is"
                    text_of_doubt = f"{owner}: {key}{what} {written(value, row.unit)}, {text}{_IMPLAUSIBLE}"
                    by_text.setdefault(text_of_doubt, Doubt((*place, *where), text_of_doubt))
        for where, text in _unmeasured(part):
            text_of_doubt = f"{owner}: {'.'.join(map(str, (*own, *where)))} {text}"
            by_text.setdefault(text_of_doubt, Doubt((*place, *where), text_of_doubt))
        for where, text in too_old(part):
            by_text.setdefault(text, Doubt((*place, *where), f"{'.'.join(where)} {text}"))
        for where, text in idle_inverse(part):
            told = f"{'.'.join(map(str, where))}: {text}"
            by_text.setdefault(told, Doubt((*place, *where), told))
        if isinstance(part, crossbar.Options) and (full := _overloaded(part)):
            by_text.setdefault(full, Doubt((*place, "periphery"), full))
        if isinstance(part, digital.Options) and (half := _half_scaled(part)):
            by_text.setdefault(half, Doubt((*place, "parts", "sram", "node_nm"), half))
    return list(by_text.values())


def _unmeasured(part: BaseModel) -> Iterator[tuple[Place, str]]:
    """The laws of a data sheet, or of the device of a chip with more reach, that are used beyond where they hold."""
    if isinstance(part, DataSheet):
        sheet, reach, place = part, 1.0, _HERE
    elif isinstance(part, crossbar.Options) and part.parts.tiles.reach > 1:
        sheet, reach, place = part.device, part.parts.tiles.reach, ("device",)
    else:
        return
    low = sheet.conductance.min.value
    most = sheet.conductance.max.value if reach == 1 else low + reach * sheet.window
    for where, _, _, law in _models(sheet, place, "", ()):
        if isinstance(law, Law) and (text := law.beyond(low, most)) is not None:
            yield where, text


def _overloaded(machine: crossbar.Options) -> str | None:
    """The warning about an integrator that holds less than a line of a tile can bring; None if it holds it."""
    integrator = machine.periphery.integrator
    text = None if integrator is None else machine.load.beyond(integrator)
    return None if text is None else f"{machine.name}: the integrator of {machine.periphery.name} {text}"


def _half_scaled(machine: digital.Options) -> str | None:
    """The warning about memories of another technology node than the arithmetic; None if the nodes agree."""
    if machine.scaled_to is None:
        return None
    node, memories = machine.scaled_to.node * 1e9, machine.parts.sram.node_nm
    nearest = min(NODES, key=lambda table_node: abs(log(table_node / node)))
    if memories == nearest:
        return None
    return (
        f"{machine.name}: scaled_to scales arithmetic to {node:g} nm, and parts.sram.node_nm leaves memories at "
        f"{memories} nm; the nearest table is that of {nearest} nm, and wires and area have keys of their own"
    )


def located(document: Document, model: BaseModel) -> list[str]:
    """Warnings about the model of a document, each with its file, line and column."""
    marked = [(dotted.mark(document, doubt.place), doubt.text) for doubt in doubts(model)]
    return [str(Problem(*mark, f"warning: {text}")) for mark, text in marked]


def _models(data: Any, place: Place, owner: str, own: Place) -> Iterator[tuple[Place, str, Place, BaseModel]]:
    """All models in `data`: the place of each, the name of its document, its place in that document, and the model."""
    if isinstance(data, Constant):
        return
    if isinstance(data, BaseModel):
        if "sources" in type(data).model_fields:
            owner, own = getattr(data, "name", owner), ()
        yield place, owner, own, data
        for name in type(data).model_fields:
            yield from _models(getattr(data, name), (*place, name), owner, (*own, name))
    elif isinstance(data, list):
        for number, item in enumerate(data):
            yield from _models(item, (*place, number), owner, (*own, number))
    elif isinstance(data, dict):
        for key, item in data.items():
            yield from _models(item, (*place, str(key)), owner, (*own, str(key)))


def _values(
    row: Published, part: BaseModel, known: list[tuple[str, Place, float, bool]]
) -> Iterator[tuple[Place, float, bool]]:
    """The numbers that an entry is about: place, value, and whether it is an end of a constant's range.

    Args:
        known: all numbers of the part, with their dotted keys.
    """
    if row.of is not None:
        value = row.of(part)
        if value is not None:
            yield tuple(row.key.split(".")), value, False
        return
    for key, place, value, ends in known:
        if key == row.key or ("*" in row.key and fnmatchcase(key, row.key)):
            yield place, value, ends


def numbers(data: Any, place: Place = ()) -> Iterator[tuple[Place, float, bool]]:
    """All numbers of a model: place, value, and whether it is an end of a constant's range."""
    if isinstance(data, Constant):
        yield place, data.value, False
        yield from ((place, end, True) for end in data.range or [])
    elif isinstance(data, BaseModel):
        for name in type(data).model_fields:
            yield from numbers(getattr(data, name), (*place, name))
    elif isinstance(data, dict):
        for key, item in data.items():
            yield from numbers(item, (*place, str(key)))
    elif isinstance(data, list):
        for number, item in enumerate(data):
            yield from numbers(item, (*place, number))
    elif isinstance(data, (int, float)) and not isinstance(data, bool):
        yield place, float(data), False


# ---- what is published ---------------------------------------------------------------------------------------


def _error(sheet: DataSheet) -> float:
    """The largest programming error, as a share of the range of conductance."""
    low, high = sheet.conductance.min.value, sheet.conductance.max.value
    return sheet.programming.error.extremes(low, high)[1][1] / sheet.window


def _step(sheet: DataSheet) -> float | None:
    """The programming step as a share of the range; None for a device without programming errors."""
    return sheet.programming.step.value / sheet.window if _error(sheet) else None


_NVMEXP = "NVMExplorer, Pentecost et al., HPCA 2022"
_NEUROSIM = "NeuroSim+, Chen et al., IEEE TCAD 37(12), 2018, table II"
_WIRES = "in the table of wires of NeuroSim"
_MARINELLA = "TaOx RRAM, Marinella et al., IEEE JETCAS 8(1), 2018"
_HERMES = "PCM of the HERMES chip, Le Gallo et al., Nat. Electron. 6, 2023"
_HERMES_CORE = "HERMES core, Khaddam-Aljameh et al., IEEE JSSC 57(4), 2022"
_PCM = "PCM, Nandakumar et al., ICECS 2019"
_CMO = "CMO/HfOx RRAM, Falcone et al., 2025, in aihwkit"
_SONOS = "SONOS at 40 nm, Agrawal et al., IEDM 2022, in CrossSim"
_NEURRAM = "NeuRRAM, Wan et al., Nature 608, 2022"
_IN_CIMLOOP = f"{_NEURRAM}, in CiMLoop's model"
_ISAAC = "ISAAC, Shafiee et al., ISCA 2016"
_PUMA = "PUMA, Ankit et al., ASPLOS 2019"
_EYERISS = "Eyeriss, Chen et al., IEEE JSSC 52(1), 2017"
_KIM = "Kim et al., arXiv:2302.14017, 2023"
_TIMELY = "Timely, in the Accelergy component library"
_MURMANN = "ADC survey, B. Murmann, 1997-2025"
_HOROWITZ = "45 nm, Horowitz, ISSCC 2014"
_JOUPPI = "7 nm, Jouppi et al., ISCA 2021"
_ALADDIN = "40 nm, Aladdin, Shao et al., ISCA 2014"
_NEAREST = (Limit(0.0368e-12, f"an adder of currents, {_TIMELY}"), Limit(26e-12, f"a sigmoid, {_ISAAC}"))
_SETTLING = (Limit(1e-9, f"an exponential, {_PUMA}"), Limit(100e-9, f"a sigmoid, {_ISAAC}"))
_READ_ERROR = Limit(0.0194, f"error of whole reads, {_HERMES_CORE}")

_SO = ", in aihwkit"
_GONG = f"ReRAM, Gong et al., Nat. Commun. 9, 2018{_SO}"
_HFO2, _OM = (f"{stack} arrays, Gong et al., IEDM 2022{_SO}" for stack in ("HfO2", "optimised ReRAM"))

_SPIKE = (
    Limit(1.61e-15, "a neuron at 28 nm, Besrour et al., arXiv:2408.07734, 2024"),
    Limit(3.6e-12, "at 30 Hz, a neuron at 65 nm, IEEE TCAS-II, 2023, doi:10.1109/TCSII.2023.3324584"),
)
PUBLISHED: dict[type[BaseModel], tuple[Published, ...]] = {
    DataSheet: (
        Published("conductance.min", "S", None, Limit(167e-6, f"STT-MRAM of 6 kΩ, {_NVMEXP}")),
        Published("conductance.max", "S", Limit(32e-9, f"31 MΩ, {_MARINELLA}"), Limit(1e-3, f"PCM of 1 kΩ, {_NVMEXP}")),
        Published(
            "programming.error",
            "%",
            Limit(0.0012, f"verified to 0.2 %, {_CMO}"),
            Limit(0.101, f"after two days, {_NEURRAM}, in aihwkit"),
            margin=4,
            of=_error,
            what="at its largest, as a share of the range,",
        ),
        Published(
            "programming.step",
            "%",
            Limit(1 / 7000, "7000 steps of ECRAM, Kim et al., IEDM 2019, in aihwkit"),
            None,
            of=_step,
            what="as a share of the range",
        ),
        Published(
            "read_noise.deviation_of_g",
            "%",
            None,
            Limit(0.34, f"{_PCM}, at 1 µS after an hour"),
            margin=2.5,
        ),
        Published(
            "read_noise.deviation_of_g_max",
            "%",
            None,
            Limit(0.042, f"{_PCM}, at 25 µS after an hour"),
            margin=5,
        ),
        Published(
            "read_noise.factor", "", Limit(0.00094, f"at 50 µS, {_CMO}"), Limit(0.0123, f"{_HERMES}, when it is on")
        ),
        Published("read_noise.amplitude", "A", Limit(12.58e-9, _SONOS), Limit(12.58e-9, _SONOS)),
        Published("read_noise.scale", "A", Limit(215.4e-9, _SONOS), Limit(215.4e-9, _SONOS)),
        *(
            Published(f"{law}.voltage", "V", Limit(0.1, "CrossSim's default"), Limit(0.5, _IN_CIMLOOP), margin=4)
            for law in ("programming.error", "read_noise", "drift")
        ),
        Published("read_noise.slope", "S", None, Limit(0.0277e-6, _CMO)),
        Published("read_noise.exponent", "", None, Limit(0.65, _PCM), margin=3),
        Published("read_noise.cap", "", Limit(0.04, _HERMES), Limit(0.2, _PCM), margin=4),
        Published("read_noise.read_time", "s", Limit(10e-9, _IN_CIMLOOP), Limit(1e-6, _CMO)),
        Published(
            "read_noise.age",
            "s",
            Limit(250e-9, f"one read, {_PCM}"),
            Limit(3.2e7, f"a year, {_PCM}"),
        ),
        Published(
            "drift.start",
            "s",
            Limit(1.0, _CMO),
            Limit(300.0, f"{_HERMES}, in aihwkit"),
            margin=100,
        ),
        Published("drift.shift", "S", None, Limit(0.089e-6, f"fall per e-fold of time, {_CMO}")),
        Published("drift.spread", "S", Limit(0.412e-6, f"after 1 s, {_CMO}"), Limit(0.412e-6, f"after 1 s, {_CMO}")),
        *(
            Published(f"drift.{key}", "A", Limit(19.9e-9, _SONOS), Limit(34.6e-9, f"after five days, {_SONOS}"))
            for key in ("amplitude", "amplitudes.*")
        ),
        *(
            Published(f"drift.{key}", "A", Limit(176e-9, _SONOS), Limit(207e-9, f"after five days, {_SONOS}"))
            for key in ("scale", "scales.*")
        ),
        Published("drift.largest", "A", Limit(1.6e-6, _SONOS), Limit(3.2e-6, _SONOS)),
        Published("drift.growth", "S", Limit(0.042e-6, f"per e-fold, {_CMO}"), Limit(0.042e-6, f"per e-fold, {_CMO}")),
        Published(
            "write.voltage",
            "V",
            Limit(0.7, f"PCM, Kuzum et al., 2011, in {_NEUROSIM}"),
            Limit(5.0, f"EpiRAM, {_NEUROSIM}"),
            margin=4,
        ),
        Published(
            "write.current",
            "A",
            Limit(10e-9, _MARINELLA),
            Limit(500e-6, "PCM, Singh et al., 2025, a review"),
        ),
        Published(
            "write.energy",
            "J",
            Limit(0.252e-12, f"a write of STT-MRAM, {_NVMEXP}"),
            Limit(4.8e-9, f"AlOx/HfO2, 0.9 V across 16.9 kΩ for 100 µs, {_NEUROSIM}"),
        ),
        Published(
            "write.time",
            "s",
            Limit(0.5e-9, f"a capacitor, {_NEUROSIM}"),
            Limit(50e-3, f"50 pulses of PCMO, {_NEUROSIM}"),
        ),
        Published(
            "write.pulses",
            "",
            Limit(1, "a write"),
            Limit(400, "a capacitor, Li et al., VLSI Technology 2018"),
        ),
        Published(
            "endurance.cycles", "", Limit(1e4, f"the least of RRAM, {_NVMEXP}"), Limit(1e15, f"STT-MRAM, {_NVMEXP}")
        ),
        Published("update.step", "", Limit(2.8214e-4, f"ECRAM, Kim et al., IEDM 2019{_SO}"), Limit(0.4622, _HFO2)),
        Published("update.step_spread", "", None, Limit(0.7829, _OM), margin=3),
        Published("update.low_spread", "", None, Limit(0.599, _HFO2), margin=3),
        Published("update.high_spread", "", None, Limit(0.4295, _HFO2), margin=3),
        Published("update.up_down_spread", "", None, Limit(0.06, f"a capacitor, Li et al., VLSI Technology 2018{_SO}")),
        Published("update.noise", "", None, Limit(5.0, _GONG)),
        Published("update.write_noise", "", None, Limit(75.0, _GONG)),
        Published(
            "leak.time_constant",
            "s",
            Limit(5e-3, "a gain cell, Leroux et al., Nat. Comput. Sci. 2025"),
            Limit(0.5, "10⁶ updates of a capacitor, Li et al., VLSI Technology 2018, each of 500 ns, in aihwkit"),
            margin=100,
        ),
        Published("leak.spread", "", None, Limit(0.3, f"a capacitor, Li et al., VLSI Technology 2018{_SO}"), margin=3),
    ),
    CrossbarParts: (
        Published("tiles.voltage", "V", Limit(0.1, "CrossSim's default"), Limit(0.5, _IN_CIMLOOP), margin=4),
        *(
            Published(
                time,
                "s",
                Limit(6.9e-9, "SRAM, Wang et al., 2022, in CiMLoop's model"),
                Limit(7.5e-6, f"8 bits in and out, {_IN_CIMLOOP}"),
            )
            for time in ("tiles.time", "tiles.time_per_bits.*")
        ),
        Published("tiles.output_noise", "%", None, _READ_ERROR),
        Published(
            "tiles.wires.resistance",
            "ohm",
            Limit(0.15, "a tile with drops in time, aihwkit"),
            Limit(5.1, f"28 nm of a line of 14 nm, {_WIRES}"),
        ),
        Published(
            "tiles.wires.length",
            "m",
            Limit(28e-9, f"two widths of the finest line, {_WIRES}"),
            Limit(4e-6, f"a converter for each column, {_HERMES_CORE}"),
        ),
        *(
            Published(
                f"dac.{energy}",
                "J",
                Limit(0.0375e-12, f"a time-based converter of 8 bits, {_TIMELY}"),
                Limit(5.2e-12, "Albireo, in the Accelergy component library"),
            )
            for energy in ("energy", "energy_per_bits.*")
        ),
        *(
            Published(
                f"adc.{energy}",
                "J",
                Limit(0.145e-12, f"a time-based converter of 8 bits, {_TIMELY}"),
                Limit(110e-12, "12 bits at 65 nm, Andrulis et al., arXiv:2404.06553, 2024"),
            )
            for energy in ("energy", "energy_per_bits.*")
        ),
        *(
            Published(f"{way}.time", "s", Limit(0.1e-9, f"10 GS/s, {_MURMANN}"), Limit(10e-6, f"100 kS/s, {_MURMANN}"))
            for way in ("dac", "adc")
        ),
        Published("adc.circuit.mismatch", "%", None, Limit(0.028, "a capacitor of 1 µm², SKY130")),
        Published("adc.circuit.gain", "%", None, Limit(0.0709, f"before calibration, {_HERMES_CORE}"), margin=5),
        Published("functions.*.energy", "J", *_NEAREST, margin=100),
        Published("functions.*.time", "s", *_SETTLING, margin=100),
        Published("diagonals.*.energy", "J", *_NEAREST, margin=100),
        Published("diagonals.*.time", "s", *_SETTLING, margin=100),
        *(
            Published(f"{circuits}.*.{error}", "%", None, limit, margin)
            for circuits in ("functions", "diagonals")
            for error, limit, margin in (
                ("mismatch", Limit(0.0709, f"gain of converters before correction, {_HERMES_CORE}"), 3.0),
                ("gain_noise", _READ_ERROR, 10.0),
                ("noise", _READ_ERROR, 10.0),
            )
        ),
        Published("spiking.update", "J", *_NEAREST, margin=100),
        *(Published(f"{neurons}.spike", "J", *_SPIKE) for neurons in ("spiking", "neurons")),
        Published(
            "neurons.power",
            "W",
            Limit(108e-12, "3.6 pJ at 30 Hz, a neuron at 65 nm, IEEE TCAS-II, 2023, doi:10.1109/TCSII.2023.3324584"),
            Limit(10.8e-9, "with a homeostatic gain, 180 nm, arXiv:1908.07412, 2019"),
        ),
        Published("spiking.time", "s", *_SETTLING, margin=100),
        Published(
            "spiking.mismatch",
            "%",
            None,
            Limit(0.2, "of thresholds, Büchel et al., Sci. Rep. 2021, doi:10.1038/s41598-021-02779-x"),
            3.0,
        ),
        Published("spiking.noise", "%", None, _READ_ERROR, 10.0),
        Published("integrators.energy", "J", *_NEAREST, margin=100),
        Published(
            "integrators.time", "s", _SETTLING[0], Limit(270e-9, f"an integration step, {_IN_CIMLOOP}"), margin=100
        ),
        Published(
            "integrators.mismatch",
            "%",
            None,
            Limit(0.0709, f"gain of converters before correction, {_HERMES_CORE}"),
            3.0,
        ),
        Published("integrators.noise", "%", None, _READ_ERROR, 10.0),
        Published("solver.response", "s", *_SETTLING, margin=100),
        Published(
            "solver.mismatch",
            "%",
            None,
            Limit(0.0709, f"gain of converters before correction, {_HERMES_CORE}"),
            3.0,
        ),
        Published("solver.noise", "%", None, _READ_ERROR, 10.0),
        Published("solver.offset", "%", None, _READ_ERROR, 10.0),
        Published(
            "registers.energy",
            "J",
            Limit(0.977e-15, f"a sample-and-hold, {_ISAAC}"),
            Limit(1.2e-12, f"a sampling, {_IN_CIMLOOP}"),
        ),
        Published(
            "registers.time",
            "s",
            Limit(65e-9, "gain cells, Leroux et al., Nat. Comput. Sci. 2025"),
            Limit(300e-9, _IN_CIMLOOP),
            margin=100,
        ),
        Published("registers.noise", "%", None, _READ_ERROR),
        Published(
            "registers.retention",
            "s",
            Limit(5e-3, "gain cells, Leroux et al., Nat. Comput. Sci. 2025"),
            Limit(5e-3, "gain cells, Leroux et al., Nat. Comput. Sci. 2025"),
            margin=1000,
        ),
        Published("verify", "J", Limit(0.397e-12, _PUMA), Limit(2e-12, f"PCM, {_NVMEXP}"), margin=100),
    ),
    Periphery: (
        *(
            Published(part, "W", low, Limit(12.9e-3, f"at most, {_HERMES}"))
            for part, low in (("fixed", Limit(209e-6, _ISAAC)), ("unexplained", None))
        ),
        Published("driver", "W", Limit(3.84e-6, _IN_CIMLOOP), Limit(50.5e-6, f"at most, {_HERMES}")),
        Published("output", "W", Limit(9.8e-9, f"sample and hold, {_ISAAC}"), Limit(60.6e-6, f"at most, {_HERMES}")),
        Published("converter", "W", Limit(1.29e-6, _IN_CIMLOOP), Limit(242e-6, f"at most, {_HERMES}")),
        Published("cell", "W", Limit(18.3e-9, _ISAAC), Limit(0.31e-6, f"at most, {_HERMES}")),
        Published("area.fixed", "m^2", Limit(1589e-12, _ISAAC), Limit(0.453e-6, _IN_CIMLOOP)),
        Published("area.driver", "m^2", Limit(0.166e-12, _ISAAC), Limit(1904e-12, f"two word lines, {_IN_CIMLOOP}")),
        Published("area.output", "m^2", Limit(0.039e-12, f"sample and hold, {_ISAAC}"), Limit(1270e-12, _IN_CIMLOOP)),
        Published("area.cell", "m^2", Limit(0.00152e-12, f"1.49 F², {_ISAAC}"), Limit(5.81e-12, _HERMES_CORE)),
    ),
    DigitalParts: (
        Published(
            "arithmetic.*.add",
            "J",
            Limit(0.007e-12, f"int8 at {_JOUPPI}"),
            Limit(0.9e-12, f"float32 at {_HOROWITZ}"),
        ),
        Published(
            "arithmetic.*.multiply",
            "J",
            Limit(0.04e-12, "an int8 product and sum, ZigZag, Mei et al., IEEE TC 2021"),
            Limit(12.68e-12, f"int32 at {_ALADDIN}"),
        ),
        Published(
            "compare",
            "J",
            Limit(0.0295e-12, f"int32 at {_ALADDIN}"),
            Limit(0.251e-12, f"a counter at {_ALADDIN}"),
        ),
        Published(
            "register_bit",
            "J",
            Limit(0.0026e-12, "a file of one byte, ZigZag, Mei et al., IEEE TC 2021"),
            Limit(0.0119e-12, "a file of 128 bytes, ZigZag, Mei et al., IEEE TC 2021"),
        ),
        *(
            Published(
                f"functions.{function}",
                "J",
                Limit(0.22e-12, f"a sigmoid from a table, {_ISAAC}"),
                Limit(1.13e-12, "tanh by shifts and additions, Chen et al., Electronics 9(10), 2020"),
            )
            for function in ("tanh", "exp", "cos")
        ),
        *(
            Published(
                bank,
                "bit",
                Limit(32768, f"4 KiB, {_EYERISS}"),
                Limit(4194304, "512 KiB, a slice of A100's L2, NVIDIA, 2020"),
            )
            for bank in ("sram.bank", "buffer.bank")
        ),
        Published("buffer.capacity", "bit", Limit(8192, f"1 KiB, {_PUMA}"), Limit(33554432, f"4 MiB at {_JOUPPI}")),
        Published(
            "sram.wire",
            "J/bit/m",
            Limit(100e-12, "at 14 nm, Dally et al., CACM 63(7), 2020"),
            Limit(300e-12, "at 28 nm, TrueNorth, Merolla et al., Science 345, 2014"),
        ),
        Published("sram.wires", "", Limit(2.05, f"fitted to {_JOUPPI}"), Limit(3.1, f"fitted to {_JOUPPI}"), margin=4),
        Published(
            "sram.capacity",
            "bit",
            Limit(16384, "2 KiB, the smallest macro in the table of CACTI 7"),
            Limit(1.1e9, f"128 MiB at {_JOUPPI}"),
        ),
        Published(
            "dram.energy",
            "J/bit",
            Limit(3.2e-12, "HBM4, hwcomponents-cacti"),
            Limit(70e-12, "DDR3, Accelergy CACTI plug-in"),
            margin=5,
        ),
        Published(
            "dram.time",
            "s",
            Limit(0.3125e-9, "LPDDR4-3200 on 64 bits"),
            Limit(0.3125e-9, "LPDDR4-3200 on 64 bits"),
            margin=100,
        ),
        Published(
            "area.mac.*",
            "m^2",
            Limit(419e-12, f"int8 at 45 nm, {_KIM}"),
            Limit(11884e-12, f"float32 at 45 nm, {_KIM}"),
            margin=30,
        ),
        Published(
            "area.whole",
            "",
            Limit(2.7, f"bfloat16 at {_JOUPPI}"),
            Limit(9.0, "int8 at 28 nm, Jouppi et al., ISCA 2017"),
            margin=4,
        ),
        Published(
            "timing.clock",
            "s",
            Limit(0.78e-9, f"1.28 GHz, {_ISAAC}"),
            Limit(25e-9, "40 MHz, Jia et al., 2020, in CiMLoop's model"),
        ),
    ),
}
"""Published ranges, by model. Quantities without one are listed in `UNBOUNDED`, with the reason."""

UNBOUNDED: dict[type[BaseModel], dict[str, str]] = {
    DataSheet: {
        "programming.error.coefficients.*": "the error that they make is looked at as a whole",
        "programming.error.amplitude": "the error that it makes is looked at as a whole",
        "programming.error.scale": "the error that it makes is looked at as a whole",
        "programming.error.valid.*": "where the law was measured",
        "read_noise.valid.*": "where the law was measured",
        "read_noise.bandwidth": "of the circuit that reads, from slow to fast",
        "read_noise.temperature": "a choice of where it is used",
        "drift.mean*": "an exponent, without a unit to be wrong",
        "drift.deviation*": "an exponent, without a unit to be wrong",
        "drift.coefficients.*": "those of an error that is like that of programming",
        "drift.shifts.*": "the shape of a law",
        "drift.ages.*": "when something was measured",
        "read_noise.amount.*": "a share, without a unit to be wrong",
        "spread.*": "of a logarithm, without a unit to be wrong",
        "update.reference_spread": "of x, without a unit to be wrong",
        "faults.*": "shares from 0 to 1, or it is an error",
        "colour.slow": "as long as the longest measurement, from seconds to years",
        "colour.fast": "of traps and of circuits, from nanoseconds to seconds",
        "colour.per_decade": "1 to 10, or it is an error",
        "colour.share": "a share from 0 to 1, or it is an error",
        "endurance.spread": "of a logarithm, without a unit to be wrong",
        "endurance.narrows": "a share from 0 to 1, or it is an error",
        "update.low": "x has the unit that its source chose",
        "update.high": "x has the unit that its source chose",
        "update.up_down": "between -1 and 1, or it is an error",
        "update.corrupt": "0 to 1, or it is an error",
        "update.corrupt_range": "x has the unit that its source chose",
        "update.noise_added": "x has the unit that its source chose",
        "update.noise_slope": "the shape of a law",
        "update.reset*": "x has the unit that its source chose",
        "update.bend_*": "the shape of a law",
        "update.amplitude_*": "the shape of a law",
        "update.rate_*": "the shape of a law",
        "update.slope": "the shape of a law",
        "update.offset": "the shape of a law",
        "update.exponent_*": "the shape of a law",
        "update.up.*": "the shape of a law",
        "update.down.*": "the shape of a law",
    },
    CrossbarParts: {
        "tiles.rows": "a choice",
        "tiles.columns": "a choice",
        "tiles.count": "a choice",
        "tiles.slices.cells": "a choice",
        "tiles.slices.full_scale": "a choice, in states of a cell",
        "tiles.parallel": "a choice",
        "tiles.percentile": "a choice",
        "tiles.phases": "1, 2 or 4",
        "tiles.scale.*": "factors from one node to another",
        "tiles.weight_range": "a choice, in units of the network's numbers",
        "tiles.reach": "a choice: what if?",
        "tiles.management.bound": "0 to 10, or it is an error",
        "tiles.wires.width_nm": "one of those in NeuroSim's table, or it is an error",
        "tiles.wires.temperature": "a choice",
        "tiles.wires.times": "a choice: what if?",
        "ranges.*": "choices, in units of the network's numbers",
        "*.bits": "1 to 24, or it is an error",
        "*.shared_by": "a choice",
        "adc.circuit.offset": "a share from 0 to 1, or it is an error",
        "adc.circuit.clock": "a choice: a conversion takes 2^bits of them",
        "solver.power": "no published figure was found for an amplifier of such a circuit",
        "solver.gain": "a choice",
        "solver.slowest": "0 to 1, or it is an error",
        "solver.settled": "0 to 1, or it is an error",
        "neurons.speedup": "a choice, from the time of biology to 1000 times as fast and beyond",
        "neurons.mismatch": "a factor on what the neuron states",
        "neurons.noise": "a factor on what the neuron states",
        "neurons.expected_spikes": "what an estimate assumes",
    },
    Periphery: {"integrator.*": "warned of beside what the lines of a tile bring"},
    DigitalParts: {
        "registers_per_operation": "a count",
        "expansions.*": "counts",
        "sram.node_nm": "one of those in CACTI's table, or it is an error",
        "sram.scale": "a factor on CACTI's table",
        "sram.leakage_scale": "a factor on CACTI's table",
        "sram.area_scale": "a factor on CACTI's table",
        "area.scale": "a factor from one node to another",
        "dataflow.*": "choices",
        "timing.macs": "a choice",
        "timing.lanes": "a choice",
    },
}
