"""Every key is found by its dotted name, or by the end of it, and says what it is for."""

from __future__ import annotations

from typing import Any

import pytest

from hwsim.errors import ConfigError
from hwsim.guide import entries
from hwsim.guide.entries import Entry
from hwsim.guide.keys import ANY


def found(name: str) -> list[str]:
    return [f"{entry.place} ({entry.section.title})" for entry in entries.entries(name)]


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("machine.parts.ranges", ["machine.parts.ranges (crossbar parts)"]),
        ("network.layers.0.cell.r_min", ["network.layers.0.cell.r_min (cell lru)"]),
        ("network.layers.*.cell.r_min", ["network.layers.*.cell.r_min (cell lru)"]),
        ("cell.alif.threshold", ["network.layers.*.cell.threshold (cell alif)"]),
        ("alif.threshold", ["network.layers.*.cell.threshold (cell alif)"]),
        ("references.digital BPTT.learning", ["references.digital BPTT.learning (reference)"]),
        ("vary.bits.key", ["vary.bits.key (axis)"]),
    ],
)
def test_a_dotted_name_is_found_as_set_takes_it(name: str, places: list[str]) -> None:
    assert found(name) == places


def test_a_word_is_found_wherever_it_stands() -> None:
    assert found("ranges") == ["machine.parts.ranges (crossbar parts)"]
    optimizers = {entry.section.title for entry in entries.entries("rate")}
    assert {"optimizer adam", "optimizer sgd"} <= optimizers


def test_the_end_of_a_dotted_name_is_found_as_messages_write_it() -> None:
    assert found("parts.tiles.weight_range") == found("machine.parts.tiles.weight_range") != []
    assert found("programming.error.coefficients") == found("machine.device.programming.error.coefficients") != []


def test_every_key_is_found_by_the_name_under_which_it_is_listed() -> None:
    groups = entries._groups()
    known = {section.title: section for group in groups for section in group}
    every: list[Entry] = list(entries._all([group[0] for group in groups], known))
    assert {(entry.section.title, entry.key.name) for entry in every} == {
        (section.title, key.name) for section in known.values() for key in section.keys if key.name != ANY
    }
    for entry in every:
        assert entry.place.rpartition(".")[2] == entry.key.name
        again = {(each.section.title, each.key.name) for each in entries.entries(entry.place)}
        assert (entry.section.title, entry.key.name) in again, entry.place


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("machine.part.ranges", r"^machine\.part\.ranges: unknown key 'part'; did you mean 'parts'\? allowed: "),
        ("machine.parts.rangs", r"^machine\.parts\.rangs: unknown key 'rangs'; did you mean 'ranges'\? allowed: "),
        ("chps", r"^unknown key 'chps'; did you mean 'chips'\?"),
        ("seed.x", r"^seed\.x: there is nothing below seed, which is whole number ≥ 0$"),
        ("eprop.foo", r"^eprop\.foo: unknown key 'foo'; allowed: feedback, name$"),
        ("parts.rangs", r"^parts\.rangs: unknown key 'rangs'; did you mean 'ranges'\? allowed: "),
        ("ir_drop", r"^unknown key 'ir_drop'; `parts.tiles.wires` is the resistance"),
        (
            "machine.device.retention",
            r"^machine\.device\.retention: unknown key 'retention'; devices lose what they hold by ",
        ),
        ("", r"^unknown key ''; "),
        ("..", r"^unknown key ''; "),
    ],
)
def test_an_unknown_key_is_refused_with_what_is_near(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        entries.entries(name)


def test_the_command_prints_an_entry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from hwsim import cli

    def docs(key: str) -> tuple[Any, str, str]:
        monkeypatch.setattr("sys.argv", ["hwsim", "docs", key])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return (ended.value.code, *capsys.readouterr())

    monkeypatch.setenv("COLUMNS", "160")
    code, out, err = docs("machine.parts.ranges")
    assert (code, err) == (0, "")
    assert out.startswith(
        "machine.parts.ranges (crossbar parts): mapping; by default its defaults\n full scale of analog"
    )
    assert "forward │ number > 0" in out
    code, out, err = docs("training.optimizer")
    assert all(f"│ optimizer {name} " in out for name in ("adam", "adamax", "adamw", "sgd"))
    code, out, err = docs("chps")
    assert (code, out) == (2, "")
    assert err.startswith("unknown name 'chps'; did you mean 'chips'?")
    code, out, err = docs("fpe")
    assert out.startswith("fpe (learning: {name: NAME}): Forward error propagation")
    code, out, err = docs("energy_j")
    assert out == (
        "energy_j (column of metrics.csv of a run, curves.csv of a study): "
        "energy spent from the start to the end of the test: programming, training and tests\n"
    )
