"""Ranges of constants, from the file to the sums: bounds multiply in products and add up in sums."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import close, machine_options
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hwsim import machines
from hwsim.accounts.energy import (
    UNPRICED,
    Account,
    Balance,
    Ledger,
    NoPrices,
    Price,
    Spent,
    Tariff,
    charge,
    grouped,
    total,
)
from hwsim.accounts.journal import PASS, Sweep
from hwsim.accounts.runs import Runs
from hwsim.errors import ConfigError
from hwsim.quantities import Constant, Energy, Voltage
from hwsim.records import INFERENCE, Record
from hwsim.units.converter import Converter

PICO = 1e-12


def constant(value: float = 2, low: float | None = None, high: float | None = None, **kinds: str) -> Constant[Any]:
    span = None if low is None else [f"{low} pJ", f"{high} pJ"]
    return Constant[Energy].model_validate({"value": f"{value} pJ", "range": span, **(kinds or {"source": "a paper"})})


# ---- a constant ----------------------------------------------------------------------------------------------


def test_bounds_are_multiples_of_the_value() -> None:
    assert constant(2, 1, 5).bounds == close((0.5, 2.5))
    assert constant(2).bounds == (1, 1)
    assert constant(2, assumed="why").bounds == (0.5, 2)
    assert constant(2, 1.9, 2, assumed="why").bounds == close((0.95, 1))


@pytest.mark.parametrize(("low", "high"), [(3, 5), (0.5, 1), (5, 1)])
def test_the_value_lies_within_its_range(low: float, high: float) -> None:
    with pytest.raises(ValidationError, match="must lie between the lowest and the highest"):
        constant(2, low, high)


@pytest.mark.parametrize("span", [["1 pJ"], ["1 pJ", "2 pJ", "3 pJ"], [1, 2], ["1 V", "5 V"], "1 pJ"])
def test_a_range_is_two_quantities_of_the_same_unit(span: Any) -> None:
    with pytest.raises(ValidationError):
        Constant[Energy].model_validate({"value": "2 pJ", "source": "a paper", "range": span})


def test_zero_has_no_range() -> None:
    with pytest.raises(ValidationError, match="a value of zero cannot have one"):
        constant(0, 0, 1)


def test_what_is_written_is_read_as_the_same_range() -> None:
    first = constant(2, 1, 5)
    assert Constant[Energy].model_validate(first.model_dump(mode="json")) == first


# ---- products and sums ---------------------------------------------------------------------------------------


def test_a_product_of_constants_multiplies_their_bounds() -> None:
    volt = Constant[Voltage].model_validate({"value": "0.2 V", "source": "s", "range": ["0.1 V", "0.5 V"]})
    found = charge("devices", 3, volt, volt, constant(2, 1, 3))
    assert found.energy == close(3 * 0.04 * 2 * PICO)
    assert (found.price.low, found.price.high) == close((0.25 * 0.5, 6.25 * 1.5))
    assert (found.amount, found.activity, found.price.assumed) == (3, None, False)
    assert charge("devices", 1, volt, constant(assumed="why")).price.assumed


factors = st.tuples(st.floats(0.01, 1), st.floats(1, 100))
constants = st.sampled_from([("a", True), ("b", False), ("c", False)])  # a constant is either assumed or it is not
charges = st.lists(st.tuples(constants, st.floats(0, 1e-9), factors), min_size=1, max_size=20)


@given(charges, st.integers(0, 20))
def test_sums_of_sums_have_the_bounds_of_their_parts(parts: list[Any], cut: int) -> None:
    whole, first, second = Spent(), Spent(), Spent()
    for number, ((name, assumed), energy, (low, high)) in enumerate(parts):
        balance = Balance(Price(name, energy, assumed, low, high), 1.0)
        whole.add(balance)
        (first if number < cut else second).add(balance)
    first.absorb(second)
    for found in (whole, first):
        assert found.low == close(sum(energy * low for _, energy, (low, _) in parts))
        assert found.high == close(sum(energy * high for _, energy, (_, high) in parts))
        assert found.assumed == close(sum(energy for (_, assumed), energy, _ in parts if assumed))
        assert found.low <= found.known * (1 + 1e-12)
        assert found.known <= found.high * (1 + 1e-12)
        for field in ("energy", "low", "high"):
            mine = {"energy": found.known, "low": found.low, "high": found.high}[field]
            assert sum(getattr(part, field) for part in found.by_constant.values()) == close(mine)


def test_what_is_unknown_has_no_bounds() -> None:
    spent = Spent()
    spent.add(Balance(Price("known", 1.0), 1.0))
    assert spent.range == (1, 1)
    spent.add(Balance(Price("unknown", None), 2.0))
    assert (spent.energy, spent.range, spent.unknown) == (None, None, {"unknown"})
    whole = Spent()
    whole.add(Balance(Price("other", 2.0), 1.0))
    whole.absorb(spent)
    assert (whole.known, whole.energy, whole.range, whole.unknown) == (3, None, None, {"unknown"})


@pytest.mark.parametrize("on", ["digital_45nm", "digital_7nm", "pcm_crossbar", "rram_crossbar"])
def test_every_price_of_a_machine_lies_within_its_bounds(on: str) -> None:
    prices = machines.build(machine_options(on)).prices()
    for kind, unit in (("read", "array"), ("tanh", "vector unit"), ("store", "state memory"), ("adc", "adc")):
        if kind == "adc" and "digital" in on:
            continue
        for where in ("analog", "float32"):
            record = Record(kind, unit, "layer", INFERENCE, where, (4, 4), 4, (), "h" if kind == "store" else 0)
            for each in prices.charges(record):
                assert 0 <= each.price.low <= 1 <= each.price.high, each
    for leak in prices.leakage():
        assert 0 < leak.price.low <= 1 <= leak.price.high


def test_accounts_of_a_ledger_have_the_bounds_of_their_constants() -> None:
    """A multiplication at 45 nm, by hand: the product has no range, register and number of accesses have."""
    record = Record("multiply", "vector unit", "layer", INFERENCE, "float32", (5,), 5, (), 0)
    ledger: Ledger = {}
    tariff = Tariff([(record,)], machines.build(machine_options("digital_45nm")).prices())
    tariff.charge(ledger, Sweep("pass", PASS, Runs(((0, 2),))), 0, 2, None)
    found = grouped(ledger, "component")
    assert found["vector unit"].range == close((37 * PICO, 37 * PICO))
    energy = 10 * 32 * 3 * 0.009 * PICO
    least, most = energy * 0.5 * 0.0026 / 0.009, energy * 2 * 0.0119 / 0.009
    assert found["registers"].range == close((least, most))
    assert total(ledger).range == close((37 * PICO + least, 37 * PICO + most))
    part = total(ledger).by_constant["parts.register_bit × parts.registers_per_operation"]
    assert (part.energy, part.low, part.high) == close((energy, least, most))
    assert part.assumed


# ---- converters ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "energy"), [(3, 6.3), (4, 7.5), (5, 12.2), (6, 17.6), (7, 26.6), (8, 31.5), (9, 37.1), (10, 45.6)]
)
def test_a_converter_takes_the_energy_of_its_bits(bits: int, energy: float) -> None:
    options = machine_options({"like": "pcm_crossbar", "parts": {"adc": {"bits": bits}}})
    assert options.parts.adc.conversion.value == close(energy * PICO)
    record = Record("adc", "layer adc", "layer", INFERENCE, "float32", (8,), 8, (0,), 1)
    (found,) = machines.build(options).prices().charges(record)
    assert found.price.name == f"parts.adc.energy_per_bits.{bits}"
    assert (found.energy, found.amount) == (close(8 * energy * PICO), 8)


def test_an_input_converter_of_other_bits_is_assumed_to_cost_the_same() -> None:
    for bits in (4, 5, 6, 7, 8, 9, 10, 12):
        options = machine_options({"like": "pcm_crossbar", "parts": {"dac": {"bits": bits}}})
        found = options.parts.dac.conversion
        assert found.value == close(0.291 * PICO)
        assert (found.assumed is None) == (bits == 8)


def test_bits_without_an_energy_are_refused_and_the_known_ones_named() -> None:
    with pytest.raises(
        ConfigError, match=r"no energy is known of 14 bits; energy_per_bits has 3, 4, 5, 6, 7, 8, 9, 10, "
    ):
        machine_options({"like": "pcm_crossbar", "parts": {"adc": {"bits": 14}}})
    own = {"bits": 14, "energy": {"value": "40 pJ", "assumed": "a guess"}}
    options = machine_options({"like": "pcm_crossbar", "parts": {"adc": own}})
    assert options.parts.adc.conversion.value == close(40 * PICO)


def test_a_converter_without_any_energy_is_refused() -> None:
    with pytest.raises(ValidationError, match="energy_per_bits has none"):
        Converter.model_validate({"bits": 8, "time": {"value": "1 ns", "assumed": "why"}})


@pytest.mark.parametrize("what", Account._fields)
def test_each_group_of_a_ledger_keeps_its_constants(what: str) -> None:
    ledger: Ledger = {
        Account("layer 1", "inference", "tiles", "read", "devices", "voltage"): Balance(
            Price("voltage", 2.0, False, 0.5, 2.0), 3.0
        ),
        Account("layer 2", "gradient", "adc", "adc", "converter", "energy"): Balance(
            Price("energy", 5.0, True, 0.5, 2.0), 7.0
        ),
    }
    for account, balance in ledger.items():
        spent = grouped(ledger, what)[getattr(account, what)]
        assert {name: part.energy for name, part in spent.by_constant.items()} == {account.constant: balance.energy}
    assert set(total(ledger).by_constant) == {"voltage", "energy"}


def test_operations_without_prices_are_counted_all_the_same() -> None:
    record = Record("tanh", "unit", "layer 1", INFERENCE, "float64", (4,), 4, (), 0)
    ledger: Ledger = {}
    Tariff([(record, record)], NoPrices()).charge(ledger, Sweep("pass", PASS, Runs(((0, 3),))), 0, 3, None)
    found = {account.constant: (balance.price.value, balance.count) for account, balance in ledger.items()}
    assert found == {UNPRICED: (None, 6.0)}
