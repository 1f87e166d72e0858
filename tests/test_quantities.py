"""Quantities: exact to the last bit, refused without the right unit, written so that they are read as the same."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import close
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from hwsim import quantities
from hwsim.quantities import Constant, Energy, EnergyPerBit, Power, Time, Voltage, parse, same, si

KINDS = {
    "energy": (quantities.Energy, "1.2 pJ", 1.2e-12),
    "energy of a bit": (quantities.EnergyPerBit, "8 pJ/bit", 8e-12),
    "information": (quantities.Information, "64 KiB", 64 * 1024 * 8),
    "time": (quantities.Time, "10 ns", 1e-8),
    "length": (quantities.Length, "45 nm", 4.5e-8),
    "conductance": (quantities.Conductance, "25 uS", 2.5e-5),
    "error of a conductance": (quantities.ConductanceError, "-0.26 uS", -2.6e-7),
    "voltage": (quantities.Voltage, "0.2 V", 0.2),
    "current": (quantities.Current, "150 uA", 1.5e-4),
    "power": (quantities.Power, "2 uW", 2e-6),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def reader(kind: str) -> TypeAdapter[float]:
    return TypeAdapter(KINDS[kind][0])


def refused(kind: str, value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        reader(kind).validate_python(value, strict=True)
    (error,) = caught.value.errors()
    return error["msg"].removeprefix("Value error, ")


@every_kind
def test_a_quantity_is_a_number_in_si_units_to_the_last_bit(kind: str) -> None:
    _, text, value = KINDS[kind]
    assert reader(kind).validate_python(text, strict=True) == value


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("0.1 mS", "siemens", 1e-4),
        ("100 µS", "siemens", 1e-4),
        ("1e-9 s", "second", 1e-9),
        ("3ns", "second", 3e-9),
        ("5 A/V", "siemens", 5.0),
        ("5 kg*m^2/s^2", "joule", 5.0),
        ("5 kg m**2 s**-2", "joule", 5.0),
        ("1 V*A*s", "joule", 1.0),
        ("1 byte", "bit", 8.0),
        ("8 B", "bit", 64.0),
        ("1 MB", "bit", 8e6),
        ("1 MiB", "bit", 8 * 2.0**20),
        ("8 pJ/byte", "joule / bit", 1e-12),
    ],
)
def test_any_unit_of_the_right_kind_will_do(text: str, unit: str, value: float) -> None:
    assert parse(text, unit, "") == value


@every_kind
@pytest.mark.parametrize("value", [3, 3.5, 0, float("nan")])
def test_a_bare_number_needs_its_unit(kind: str, value: float) -> None:
    assert refused(kind, value) == f"needs its unit, as in '{_example(kind)}'"


@every_kind
@pytest.mark.parametrize("value", [None, True, [1], {"value": 3}])
def test_what_is_no_text_is_no_quantity(kind: str, value: Any) -> None:
    assert refused(kind, value) == f"must be a quantity such as '{_example(kind)}'"


@every_kind
@pytest.mark.parametrize("text", ["3", "3 K", "3 furlongz", "", "pJ and more", "pJ 3", "import os", "é", "3 pj"])
def test_a_wrong_or_missing_unit_is_refused(kind: str, text: str) -> None:
    unit = "bit" if kind == "information" else ""
    assert refused(kind, text).startswith(f"must be in units of {unit}")
    assert refused(kind, text).endswith(f"as in '{_example(kind)}'")


@pytest.mark.parametrize(
    ("kind", "text"),
    [("energy", "8 pJ/bit"), ("energy of a bit", "8 pJ"), ("information", "64"), ("time", "8 bit"), ("energy", "8 W")],
)
def test_a_bit_is_not_left_out_and_kinds_are_not_mixed(kind: str, text: str) -> None:
    assert refused(kind, text).startswith("must be in units of ")


@every_kind
@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "-1e999"])
def test_what_is_not_finite_is_refused(kind: str, number: str) -> None:
    text = f"{number} {_example(kind).split()[1]}"
    assert refused(kind, text) in (
        f"must be finite, as in '{_example(kind)}'",
        f"must be in units of {_unit(kind)}, as in '{_example(kind)}'",
    )


@pytest.mark.parametrize(
    "text", ["1,5 pJ", "3 4 pJ", "3 pJ 4", "3 pJ; 4", "1_0 pJ", "2 * 3 pJ", "3 pJ # or 4", "0x3 pJ"]
)
def test_one_number_and_one_unit_are_all_there_is(text: str) -> None:
    assert refused("energy", text) == "must be in units of joule, as in '1.2 pJ'"


@pytest.mark.parametrize("text", ["9**9**9**9 pJ", "10**99999999 J", "(" * 500 + "1 J" + ")" * 500])
def test_a_text_that_is_hard_to_work_out_is_refused(text: str) -> None:
    refused("energy", text)


@pytest.mark.parametrize(
    "text",
    [
        "1" * 10**6 + " J",
        "1" * 10**6,
        "1" + " " * 10**5,
        "1 J" + " " * 10**5 + "x",
        "1 J" + "*J" * 10**5,
        "1" + " a" * 10**5,
    ],
)
def test_a_long_text_is_refused_at_once(text: str) -> None:
    """A pattern that tries each split of a number in two takes hours for these."""
    begun = time.process_time()
    refused("energy", text)
    assert not same(text, "1 J")
    quantities._WRITTEN.match(text)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("text", ["1e-61 J", "1e31 J", "-1e31 J", "1e-999999999 J", "1e-400 J"])
def test_a_quantity_beyond_any_size_is_refused(text: str) -> None:
    """Products and ratios of a few of them would be no numbers, or zero."""
    assert refused("energy", text) == "must be 0, or from 1e-60 to 1e+30 joule in size"
    assert parse("0e-400 J", "joule", "") == 0


@every_kind
def test_a_negative_quantity_is_refused_where_it_has_no_meaning(kind: str) -> None:
    text = f"-3 {_example(kind).split()[1]}"
    if kind == "error of a conductance":
        assert reader(kind).validate_python(text) == -3e-6
    else:
        assert refused(kind, text).startswith("Input should be greater than ")


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [(kind, kind in ("energy", "energy of a bit", "conductance", "power")) for kind in KINDS if "error" not in kind],
)
def test_zero_is_allowed_where_something_may_cost_nothing(kind: str, allowed: bool) -> None:
    text = f"0 {_example(kind).split()[1]}"
    if allowed:
        assert reader(kind).validate_python(text) == 0
    else:
        assert refused(kind, text) == "Input should be greater than 0"


@every_kind
@given(value=st.floats(min_value=1e-60, max_value=1e30))
def test_what_is_written_is_read_as_the_same_number(kind: str, value: float) -> None:
    written = reader(kind).dump_python(value, mode="json")
    assert reader(kind).validate_python(written) == value


@every_kind
def test_the_schema_says_what_the_unit_is(kind: str) -> None:
    schema = reader(kind).json_schema()
    assert schema["type"] == "string"
    assert schema["description"] == f"a quantity in units of {_unit(kind)}"
    reader(kind).validate_python(schema["examples"][0])


# ---- constants -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [{}, {"source": "a paper", "assumed": "because"}])
def test_a_constant_has_either_a_source_or_a_reason(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="either a source or a reason"):
        Constant[quantities.Energy].model_validate({"value": "1 pJ", **given})


@pytest.mark.parametrize("given", [{"source": "a paper"}, {"assumed": "because"}])
def test_a_constant_is_a_number_in_si_units(given: dict[str, str]) -> None:
    assert Constant[quantities.Energy].model_validate({"value": "1 pJ", **given}).value == 1e-12


# ---- printing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 J"),
        (1.0, "1 J"),
        (1.25e-7, "125 nJ"),
        (999.9e-12, "1 nJ"),
        (999.4e-12, "999 pJ"),
        (-3e-3, "-3 mJ"),
        (2e-18, "2 aJ"),
        (2e-20, "0.02 aJ"),
        (1.5e13, "15 TJ"),
        (1e17, "100000 TJ"),
        (float("nan"), "nan J"),
        (float("inf"), "inf J"),
    ],
)
def test_si_chooses_the_prefix(value: float, text: str) -> None:
    assert si(value, "J") == text


def _example(kind: str) -> str:
    return str(reader(kind).json_schema()["examples"][0])


def _unit(kind: str) -> str:
    return str(reader(kind).json_schema()["description"]).removeprefix("a quantity in units of ")


def _pint(text: str, unit: str) -> float:
    """By pint, without the table of usual symbols."""
    registry = quantities._registry()
    return float(registry.Quantity(text).to(unit).magnitude)


@pytest.mark.parametrize("symbol", quantities._USUAL)
def test_usual_symbols_are_what_pint_takes_them_for(symbol: str) -> None:
    unit, _ = quantities._USUAL[symbol]
    for number in ("1", "0.3", "25", "1.7e-3", "-4.25E+7"):
        usual = quantities._usual(f"{number} {symbol}", unit)
        assert usual is not None
        assert float(usual) == _pint(f"{number} {symbol}", unit)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("8 pJ/bit", "joule / bit"),
        ("100 fJ/bit/mm", "joule / bit / meter"),
        ("990 um^2", "meter^2"),
        ("3 mm**2", "meter^2"),
    ],
)
def test_usual_units_are_what_pint_takes_them_for(text: str, unit: str) -> None:
    usual = quantities._usual(text, unit)
    assert usual is not None
    assert float(usual) == _pint(text, unit)


@pytest.mark.parametrize("text", ["5 J s", "5 minute", "5 J/m", "5 eV", "5 V^2", "5 1/s"])
def test_unusual_units_are_left_to_pint(text: str) -> None:
    assert quantities._usual(text, "joule") is None


@pytest.mark.parametrize(
    ("done", "slow"),
    [
        ("import hwsim; hwsim.load('quickstart')", {"pint", "numba", "scipy", "pandas", "matplotlib"}),
        ("import hwsim.cli", {"numpy", "pydantic", "pandas"}),
        ("from hwsim import cli; cli.validate('quickstart')", {"pint", "numba", "scipy", "pandas", "matplotlib"}),
        ("from hwsim import cli; cli.devices(None)", {"pint", "numba", "scipy", "pandas", "matplotlib"}),
        ("import hwsim.experiments.study.trial", {"pint", "scipy.stats", "matplotlib", "distributed"}),
    ],
    ids=["load", "--help", "validate", "devices", "a worker"],
)
def test_nothing_is_imported_that_is_slow_and_not_needed(done: str, slow: set[str]) -> None:
    says = f"import sys; {done}; print('\\n', {slow} & set(sys.modules))"
    said = subprocess.run(
        [sys.executable, "-c", says], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines()[-1].strip() == "set()"


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("250 ns", "0.25 us", True),
        ("250 ns", "2.5e-07 second", True),
        ("250 ns", "251 ns", False),
        ("250 ns", "250 nJ", False),
        ("250 ns", 250, False),
        ("250 ns", "250 nosuch", False),
        (3, 3.0, True),
        ("a name", "a name", True),
    ],
)
def test_values_are_the_same_in_whatever_units(one: object, other: object, equal: bool) -> None:
    assert same(one, other) is same(other, one) is equal


kinds = st.sampled_from([(Energy, "J"), (Time, "s"), (Power, "W"), (EnergyPerBit, "J/bit"), (Voltage, "V")])


@given(st.floats(1e-17, 1e3), kinds)
def test_what_an_origin_says_is_read_as_the_same_value(value: float, quantity: tuple[Any, str]) -> None:
    kind, unit = quantity
    given = {"value": f"{value!r} {unit}", "source": "a, with a remark"}
    constant = Constant[kind].model_validate(given).at("machine.x", {"a": "A. Author, 2020"})
    again = Constant[kind].model_validate({"value": constant.origin.value, "assumed": "as before"})
    assert again.value == close(value, rel=1e-14)
    assert constant.origin.why == "a, with a remark: A. Author, 2020"


def test_where_a_constant_stands_is_no_part_of_it() -> None:
    one = Constant[Energy].model_validate({"value": "2 pJ", "source": "a", "range": ["1 pJ", "3 pJ"]})
    other = one.at("machine.x", {"a": "A"})
    assert (one.key, other.key, other.at("machine.y", {}).key) == ("", "machine.x", "machine.y")
    assert other.at("machine.y", {}).origin.citation == "A", "the first document that it stood in cites it"
    assert (one, hash(one), one.model_dump()) == (other, hash(other), other.model_dump())
    assert one != one.model_copy(update={"value": 3e-12})
    assert other.model_copy(update={"value": 3e-12}).origin == other.origin
