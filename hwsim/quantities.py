"""Physical quantities: strings with a unit in documents, floats in SI units in the program."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Generic, NamedTuple, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, PlainSerializer, PrivateAttr, WithJsonSchema, model_validator

_BITS = re.compile(r"(bit|byte|B\b)")
_NUMBER = r"[-+]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|nan|inf)"
_UNIT = r"[^\W\d_]\w*(?:(?:\^|\*\*)-?[0-9])?"
_PARTS = re.compile(rf"({_NUMBER}) *(.*)")
_WRITTEN = re.compile(rf"{_NUMBER} *{_UNIT}(?:(?: *[*/] *| +){_UNIT})*\Z")
_LONGEST = 200
"""Number of characters that a quantity may have."""
_LEAST, _MOST = 1e-60, 1e30
"""Sizes of quantities in SI units, so that products and ratios of a few of them are numbers, too."""

_PREFIXES = {"a": -18, "f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12}
_SI = {
    "J": "joule", "W": "watt", "s": "second", "V": "volt", "A": "ampere", "S": "siemens", "m": "meter", "Hz": "hertz",
    "ohm": "ohm", "K": "kelvin",
}  # fmt: skip
_USUAL = {
    **{p + symbol: (name, Decimal(10) ** power) for p, power in _PREFIXES.items() for symbol, name in _SI.items()},
    **{f"{prefix}iB": ("bit", Decimal(8 << power)) for prefix, power in {"K": 10, "M": 20, "G": 30}.items()},
    "bit": ("bit", Decimal(1)),
    "B": ("bit", Decimal(8)),
}  # fmt: skip
"""The unit of usual symbols, and how many of it they are."""


def _usual(text: str, unit: str) -> Decimal | None:
    """A quantity in usual symbols; None if it is not written so. pint knows these too, and takes a second to load."""
    number, symbols = _PARTS.fullmatch(text).groups()  # type: ignore[union-attr]
    over = re.split(r" *[/ ] *", symbols.replace("**", "^"))
    factor, names = Decimal(number), []
    for place, symbol in enumerate(over):
        base, _, power = symbol.partition("^")
        if base not in _USUAL:
            return None
        name, size = _USUAL[base]
        names.append(f"{name}^{power}" if power else name)
        factor = factor / size if place else factor * size ** int(power or 1)
    return factor if " / ".join(names) == unit and text.count("/") == len(over) - 1 else None


@cache
def _registry() -> Any:
    import pint  # slow to import, and needed for unusual units only

    return pint.UnitRegistry(non_int_type=Decimal)  # so that 25 uS is 2.5e-05 to the last bit


def parse(text: Any, unit: str, example: str) -> float:
    """The quantity that a string names, in SI units; information is counted in bits.

    >>> parse("25 uS", "siemens", "25 uS")
    2.5e-05

    Raises:
        ValueError: the text is not a number with a unit of the right kind, or the number is not finite.
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        raise ValueError(f"needs its unit, as in '{example}'")
    if not isinstance(text, str):
        raise ValueError(f"must be a quantity such as '{example}'")
    # pint counts a bit as a plain number, so 8 pJ would pass for 8 pJ/bit
    # pint evaluates sums, and reads 1,5 pJ as 15 pJ
    if not _is_written(text) or bool(_BITS.search(text)) != bool(_BITS.search(unit)):
        raise ValueError(f"must be in units of {unit}, as in '{example}'")
    try:
        usual = _usual(text, unit)
        value = float(_registry().Quantity(text).to(unit).magnitude if usual is None else usual)
    except Exception:  # pint's tokenizer raises a dozen kinds of errors
        raise ValueError(f"must be in units of {unit}, as in '{example}'") from None
    if not math.isfinite(value):
        raise ValueError(f"must be finite, as in '{example}'")
    if not _LEAST <= abs(value) <= _MOST and Decimal(_PARTS.fullmatch(text)[1]):  # type: ignore[index]
        raise ValueError(f"must be 0, or from {_LEAST:g} to {_MOST:g} {unit} in size")
    return value


def _is_written(text: str) -> bool:
    """Whether a text is a number and a unit, known or not."""
    return len(text) <= _LONGEST and _WRITTEN.match(text) is not None


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, in whatever units they are written.

    >>> same("250 ns", "0.25 us")
    True
    """
    if isinstance(one, str) and isinstance(other, str) and _is_written(one) and _is_written(other):
        try:
            return bool(_registry().Quantity(one) == _registry().Quantity(other))
        except Exception:  # as in `parse`
            return False
    return bool(one == other)


DESCRIBED = "a quantity in units of"
"""How the description of a quantity begins in a schema, where its key has none of its own."""


class Wanted(NamedTuple):
    """What a key takes, as its annotation knows it.

    Attributes:
        unit: of the quantity.
        example: how one is written.
        inverse: whether its inverse is as usual: a resistance for a conductance, a time for a frequency.
    """

    unit: str
    example: str
    inverse: bool

    def read(self, text: Any) -> float:
        """The quantity in SI units.

        Raises:
            ValueError: as for `parse`; an inverse is told with what it is.
        """
        try:
            return parse(text, self.unit, self.example)
        except ValueError as error:
            inverted = self.inverted(text)
            raise ValueError(f"{error}{inverted and f'; {text} is {inverted}'}") from None

    def inverted(self, text: Any) -> str:
        """A resistance as the conductance that it is, and so on; empty if the text is no such thing."""
        if not self.inverse or not isinstance(text, str) or not _is_written(text) or _BITS.search(text):
            return ""
        try:
            value = float((1 / _registry().Quantity(text.replace("Ohm", "ohm"))).to(self.unit).magnitude)
        except Exception:  # as in `parse`
            return ""
        return si(value, _SYMBOLS[self.unit]).replace("µ", "u") if _LEAST <= value <= _MOST else ""

    def suggestion(self, value: Any) -> str:
        """A value as it would be written for this key: with the unit of the example where it lacks one."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"{value} {self.example.partition(' ')[2]}"
        with suppress(ValueError):
            parse(value, self.unit, self.example)
            return str(value)
        return self.inverted(value) or self.example


def _quantity(unit: str, example: str, inverse: bool = False, **bounds: Any) -> Any:
    wanted = Wanted(unit, example, inverse)

    schema = {"type": "string", "examples": [example], "description": f"{DESCRIBED} {unit}"}
    written = PlainSerializer(lambda value: f"{value!r} {unit}", when_used="json")
    return Annotated[float, Field(**bounds), BeforeValidator(wanted.read), wanted, written, WithJsonSchema(schema)]


Energy = _quantity("joule", "1.2 pJ", ge=0)
EnergyPerBit = _quantity("joule / bit", "8 pJ/bit", ge=0)
EnergyPerBitLength = _quantity("joule / bit / meter", "100 fJ/bit/mm", ge=0)
Information = _quantity("bit", "64 KiB", gt=0)
Bytes = _quantity("byte", "20 kB", gt=0)
Time = _quantity("second", "10 ns", inverse=True, gt=0)
Frequency = _quantity("hertz", "75 MHz", inverse=True, gt=0)
Length = _quantity("meter", "45 nm", gt=0)
Area = _quantity("meter^2", "990 um^2", ge=0)
Conductance = _quantity("siemens", "25 uS", inverse=True, ge=0)
Resistance = _quantity("ohm", "0.35 ohm", inverse=True, ge=0)
ConductanceStep = _quantity("siemens", "0.5 uS", gt=0)
ConductanceError = _quantity("siemens", "0.26 uS")
ConductanceSpread = _quantity("siemens", "0.26 uS", ge=0)
Voltage = _quantity("volt", "0.2 V", gt=0)
VoltageLength = _quantity("volt * meter", "3.36 mV*um", gt=0)
Capacitance = _quantity("farad", "100 fF", gt=0)
Current = _quantity("ampere", "150 uA", gt=0)
Temperature = _quantity("kelvin", "300 K", gt=0)
Power = _quantity("watt", "2 uW", ge=0)
Count = Annotated[float, Field(ge=0, allow_inf_nan=False)]

ASSUMED = 2.0
"""The factor by which an assumed constant without a range may be too low or too high."""

T = TypeVar("T")


class Origin(NamedTuple):
    """Where a constant stands, and what the document says there.

    Attributes:
        key: the dotted key that `--set` takes. Numbers of a table in the package have its name and their row instead.
        value: as the document has it, with its unit; the program may have scaled it since.
        low, high: the range; None without one.
        source: the key of the source, perhaps with a remark after a comma; None for an assumed constant.
        citation: the text of the source; None for an assumed constant.
        assumed: why the value was chosen without a source.
    """

    key: str
    value: str
    low: str | None
    high: str | None
    source: str | None
    citation: str | None
    assumed: str | None

    @property
    def why(self) -> str:
        """What the value rests on, in words."""
        if self.source is None:
            return f"assumed: {self.assumed}"
        return f"{self.source}: {self.citation}" if self.citation else self.source


class _ConstantPlace(NamedTuple):
    """What an origin is made from when it is asked for: most never are."""

    key: str
    sources: Mapping[str, str]
    written: Constant[Any]
    value: str


class Constant(BaseModel, Generic[T], extra="forbid", frozen=True):
    """A number and its origin: a published source, or the reason why it is assumed.

    Where it stands does not count when constants are compared.

    Attributes:
        value: the number, in SI units.
        source: a key of the document's `sources`; a remark may follow after a comma.
        assumed: why this value was chosen without a source.
        range: the lowest and the highest value that sources give.
    """

    value: T
    source: str | None = None
    assumed: str | None = None
    range: Annotated[
        list[T] | None, Field(min_length=2, max_length=2, description="lowest and highest value in the sources")
    ] = None
    _place: _ConstantPlace | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _accounted_for(self) -> Self:
        if (self.source is None) == (self.assumed is None):
            raise ValueError("a constant has either a source or a reason for which it is assumed")
        if self.range is not None:
            low, high = self.range
            if not low <= self.value <= high:  # type: ignore[operator]
                raise ValueError("range: the value must lie between the lowest and the highest, given in this order")
            if not self.value:
                raise ValueError("range: a value of zero cannot have one")
        return self

    @classmethod
    def suggestion(cls, value: Any) -> str:
        """What to write for a value that was given without its origin."""
        kinds = cls.model_fields["value"].metadata
        wanted = next((kind for kind in kinds if isinstance(kind, Wanted)), None)
        written = wanted.suggestion(value) if wanted else value
        inverted = wanted.inverted(value) if wanted else ""
        forms = f"{{value: {written}, source: KEY}}, or {{value: {written}, assumed: REASON}}"
        return f"{forms}{inverted and f'; {value} is {inverted}'}"

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value as multiples of the value.

        A constant that is assumed and has no range may be a factor of two too low or too high.
        """
        if self.range is None:
            return (1 / ASSUMED, ASSUMED) if self.assumed is not None else (1.0, 1.0)
        low, high = self.range
        return low / self.value, high / self.value  # type: ignore[operator]

    @property
    def key(self) -> str:
        """The dotted key that leads to it in its document; empty if it is part of none."""
        return self._place.key if self._place else ""

    @property
    def origin(self) -> Origin:
        """Where it stands, and what the document says there."""
        place = self._place or _ConstantPlace("", {}, self, "")
        source, data = place.written.source, place.written.model_dump(mode="json")
        low, high = map(_short, data["range"]) if data["range"] else (None, None)
        citation = place.sources.get(source.split(",")[0].strip()) if source else None
        value = place.value or _short(data["value"])
        return Origin(place.key, value, low, high, source, citation, place.written.assumed)

    def at(self, key: str, sources: Mapping[str, str], value: str = "") -> Self:
        """The same constant as part of a document.

        Args:
            sources: citations, by the keys of sources.
            value: in words, where several constants have this key.
        """
        copy = self.model_copy()
        copy._place = self._place._replace(key=key) if self._place else _ConstantPlace(key, sources, self, value)
        return copy

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((self.value, self.source, self.assumed))


Replace = Callable[[Constant[Any], tuple[str, ...]], Constant[Any]]
"""Gives a constant for another one, and for the steps that lead to it."""


def replaced(part: Any, replace: Replace, place: tuple[str, ...] = ()) -> Any:
    """A model, or a part of one, with other constants; parts that have none are not copied."""
    if isinstance(part, Constant):
        return replace(part, place)
    if not isinstance(part, BaseModel | dict):
        return part
    inside = part if isinstance(part, dict) else part.__dict__
    after = {name: replaced(each, replace, (*place, str(name))) for name, each in inside.items()}
    if all(each is inside[name] for name, each in after.items()):
        return part
    return after if isinstance(part, dict) else part.model_copy(update=after)


def located(model: Any, root: str = "") -> Any:
    """A model whose constants know where they stand, and what the `sources` of the innermost model around them say.

    Args:
        root: the dotted key of the model itself.
    """
    before = (root,) if root else ()

    def at(constant: Constant[Any], place: tuple[str, ...]) -> Constant[Any]:
        sources = {} if constant._place else _sources_around(model, place)  # the first document that it is in cites it
        return constant.at(".".join((*before, *place)), sources)

    return replaced(model, at)


def _sources_around(model: Any, place: tuple[str, ...]) -> Mapping[str, str]:
    """The `sources` of the innermost model around a place in a model."""
    part, sources = model, getattr(model, "sources", {})
    for step in place[:-1]:
        part = {str(key): value for key, value in part.items()}[step] if isinstance(part, dict) else getattr(part, step)
        sources = getattr(part, "sources", sources)
    known: Mapping[str, str] = sources
    return known


_SYMBOLS = {
    "joule": "J", "watt": "W", "second": "s", "volt": "V", "ampere": "A", "siemens": "S", "meter": "m",
    "hertz": "Hz", "joule / bit": "J/bit", "joule / bit / meter": "J/bit/m", "ohm": "ohm", "kelvin": "K",
}  # fmt: skip


def _short(written: str | float) -> str:
    """A number, or a quantity in SI units, as one would write it."""
    if not isinstance(written, str):
        return f"{written:.15g}"
    number, _, unit = written.partition(" ")
    return si(float(number), _SYMBOLS[unit], 15) if unit in _SYMBOLS else written


def si(value: float, unit: str, digits: int = 3) -> str:
    """A number with an SI prefix.

    >>> si(1.25e-7, "J")
    '125 nJ'
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    power = min(max(math.floor(math.log10(abs(value)) / 3), -6), 4)
    scaled = f"{value / 1000.0**power:.{digits}g}"
    if abs(float(scaled)) >= 1000 and power < 4:
        power += 1
        scaled = f"{value / 1000.0**power:.{digits}g}"
    return f"{float(scaled):.{max(digits, 6)}g} {'afpnµm kMGT'[power + 6].strip()}{unit}"
