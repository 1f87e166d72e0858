"""`hwsim docs` says what a name stands for: laws with their mathematics, kinds of files, and all that can be asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hwsim.cli import app
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.guide import entries, kinds
from hwsim.guide.law_sources import law_of, shipped_laws
from hwsim.guide.starting import KINDS

Docs = Callable[..., str]


@pytest.fixture
def docs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Docs:
    """What the command prints, in one line each; it has to end well."""
    from hwsim import cli

    def run(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["hwsim", "docs", *words])
        monkeypatch.setenv("COLUMNS", "400")
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0, capsys.readouterr().err
        return re.sub(r" +", " ", capsys.readouterr().out)

    return run


def test_a_law_is_printed_with_its_mathematics_its_keys_and_the_sources_of_shipped_sheets(docs: Docs) -> None:
    noise, write = docs("read_noise"), docs("write")
    for text in (
        "σ = g Q √ln((t + t_read) / (2 t_read))",
        "σ(g) = deviation_of_g × g",
        "σ = deviation_of_g_max × g_max",
        "│ read_time │ quantity, such as 10 ns │ required │ t_read, how long a read takes │",
        "Nandakumar et al.",
        "read_noise of pcm_hermes_14nm: M. J. Rasch et al., AICAS 2021",
    ):
        assert text in noise
    for text in (
        "E = pulses × voltage × current × time",
        "E = voltage² × conductance × time",
        "│ voltage │ constant: quantity, such as 0.2 V │ required │ across device and driver │",
        "write of rram_hfox_130nm: T. Andrulis et al., CiMLoop, ISPASS 2024",
    ):
        assert text in write
    assert "σ(g) = c₀ + c₁ r + c₂ r² + …" in docs("programming.error")


@pytest.mark.parametrize(
    ("name", "first", "said"),
    [
        ("flicker", "flicker (law: flicker; at machine.device.read_noise)", "│ cap │"),
        ("read_noise.flicker", "flicker (law: flicker; at machine.device.read_noise)", "│ cap │"),
        ("current", "machine.device.write.current (current pulses)", "E = pulses × voltage"),
        ("pulse", "machine.device.write.pulses (current pulses)", "voltage pulses (law: voltage"),
        ("write.pulse", "machine.device.write.pulses (current pulses)", "of one write, on average"),
        ("read noise", "machine.device.read_noise (data sheet)", "1/f noise"),
        ("crossbar", "machine crossbar (at machine", "│ periphery │"),
        ("fpe", "fpe (learning: {name: NAME}): Forward error propagation", "δ_t = J_{t-1}⁻ᵀ (δ_{t-1} - g_{t-1})"),
        ("lif", "lif (neuron: NAME)", "equations: |"),
        ("task", "task (experiment)", "│ task copy │"),
        ("device", "machine.device (machine crossbar)", "`hwsim fit` fits tables"),
        ("network", "network (experiment)", "network on cores (a kind of file): `hwsim events MACHINE FILE SPIKES`"),
        ("events", "events (event-driven machine)", "step, group and neuron"),
    ],
)
def test_a_law_a_section_or_a_key_is_found_by_what_a_user_calls_it(
    docs: Docs, name: str, first: str, said: str
) -> None:
    printed = docs(*name.split())
    assert printed.startswith(first)
    assert said in printed


@pytest.mark.parametrize("kind", kinds.FILE_KINDS, ids=lambda kind: kind.name)
def test_a_kind_of_file_is_printed_with_its_use_and_every_key(docs: Docs, kind: kinds.FileKind) -> None:
    for name in (kind.name, *kind.aliases[:1]):
        printed = docs(name)
        assert f"{kind.name} (a kind of file): {kind.used}" in printed
        for model in kind.models():
            for key, field in model.model_fields.items():
                assert f"│ {field.alias or key} │" in printed
    assert kind.new is None or kind.new in KINDS


def test_without_a_name_it_lists_all_that_can_be_asked(docs: Docs) -> None:
    printed = docs()
    for text in ("flicker", "current pulses", "group of neurons", "fpe_anchored", "pcm_hermes_14nm", "accuracy"):
        assert text in printed
    for kind in kinds.FILE_KINDS:
        assert f"\n {kind.name} " in printed
    kind_names = "|".join(kind.name for kind in kinds.FILE_KINDS)
    lines = [line.strip() for line in printed.partition("what files")[0].splitlines()[4:] if line.strip()]
    joined = " ".join(re.sub(rf"^({kind_names}) ", ", ", line) for line in lines)
    for title in re.split(r"[ ,]*, +", joined.strip(", "))[::7]:
        assert entries.described(title), title


def test_titles_are_unique_and_every_law_of_a_shipped_sheet_has_its_sources() -> None:
    titles = entries.titles()
    assert len(titles) == len({*titles})
    for place in ("machine.device.read_noise", "machine.device.write"):
        (found,) = entries.entries(place)
        assert all(map(law_of, found.below))
        sheets = [shipped for section in found.below for shipped in shipped_laws(section, place)]
        assert sorted(shipped.sheet for shipped in sheets) == hardware.names("devices")
        for shipped in sheets:  # a law has sources, or all of it is assumed
            law = getattr(hardware.device(Document("test", shipped.sheet)), place.rpartition(".")[2])
            assert shipped.sources or "assumed=" in repr(law).replace("assumed=None", ""), shipped


SHEET = """\
name: mine
what: hafnium oxide, 100 nm
sources: {x: a notebook}
conductance: {min: {value: 1 uS, source: x}, max: {value: 2 uS, source: x}}
"""


@pytest.mark.parametrize(
    ("text", "first", "then"),
    [
        (SHEET, "d.yaml (device: FILE): hafnium oxide, 100 nm", "conductance.min"),
        (f"# A device of ours.\n{SHEET}", "d.yaml (device: FILE): A device of ours", "hafnium oxide, 100 nm"),
        ("like: pcm_hermes_14nm\nwhat: ours\n", "d.yaml (device: FILE): ours", "conductance.min"),
        (
            "neurons: {a: {count: 1, cores: [0], source: true}}\nsynapses: []\n",
            "d.yaml (network on cores: FILE)",
            "count",
        ),
    ],
)
def test_a_file_of_ones_own_is_shown_with_its_description(
    text: str, first: str, then: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Path("d.yaml").write_text(text, encoding="utf-8")
    shown = CliRunner().invoke(app, ["devices", "d.yaml"])
    assert shown.exit_code == 0
    line, rest = shown.stdout.split("\n", 1)
    assert line.startswith(first)
    assert then in rest
