"""What the documentation shows works as it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import converter_bits
import data_sheet
import frozen_against_fresh
import generate
import numpy as np
import pytest
import transcript
import yaml
from conftest import built, close, distance, gradient, gradient_of, machine_options, random_episode, rule

import hwsim
from hwsim import documents, machines, networks, tasks
from hwsim.accounts.memory import OPTIMIZER
from hwsim.accounts.work import work
from hwsim.catalogue import implementation
from hwsim.cells import CELLS
from hwsim.cells.derived import Derived
from hwsim.config import grid, hardware, measured, plausible
from hwsim.config.experiment import Experiment
from hwsim.config.study import Study
from hwsim.documents import Document, check
from hwsim.episode import Episode
from hwsim.errors import ConfigError
from hwsim.experiments.estimate import estimate
from hwsim.guide.constants import constants
from hwsim.guide.keys import sections
from hwsim.learning import Rule, optimizers
from hwsim.learning.update import Options as UpdateOptions
from hwsim.learning.update import Update
from hwsim.machine import Machine, Signal
from hwsim.machines import MACHINES
from hwsim.machines.chip import Chip
from hwsim.networks import Network
from hwsim.networks.readout import Options as ReadoutOptions
from hwsim.operations import BY_NAME
from hwsim.physics import DataSheet
from hwsim.records import Head, Record

ROOT = Path(__file__).parents[1]
DOCS = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def shown(page: str, name: str) -> ModuleType:
    """The module that a page shows, as if it were the file that the page says."""
    module = ModuleType(name)
    exec(compile(blocks(page, "python")[0], page, "exec", dont_inherit=True), vars(module))
    return module


def shown_rule(**options: Any) -> Rule:
    """The rule that the page on own rules shows."""
    module = shown("docs/own_rule.md", "discounted")
    rule: Rule = implementation(module, Rule)(module.Options(name="discounted", **options))
    return rule


@pytest.mark.parametrize("on", ["ideal", "pcm_crossbar"])
def test_the_rule_that_is_shown_runs_in_strict_mode(on: str) -> None:
    rule, episode = shown_rule(), random_episode()
    found = gradient_of(built("lru deep", rule, episode, on=on, strict=True), rule, episode)
    assert all(np.isfinite(value).all() for value in found.values())


def test_without_errors_of_the_past_the_rule_that_is_shown_is_one_step() -> None:
    rule, episode = shown_rule(discount=0.0), random_episode()
    found = gradient_of(built("lru deep", rule, episode), rule, episode)
    assert distance(found, gradient("lru deep", "one_step", episode)) < 1e-14


def steady(**options: Any) -> Rule:
    """The rule with more than a gradient that the page shows, in the same file."""
    module = shown("docs/own_rule.md", "discounted")
    exec(compile(blocks("docs/own_rule.md", "python")[1], "own_rule.md", "exec", dont_inherit=True), vars(module))
    made: Rule = module.Steady(module.Options(name="discounted", **options))
    return made


def test_the_rule_that_is_shown_with_more_than_a_gradient_costs_in_a_run_what_is_estimated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hwsim.learning.build", lambda options: steady(discount=0.8))
    asked = {
        "name": "own",
        "task": {"name": "random", "steps": 6, "width": 2, "train": 8, "test": 4},
        "network": {"layers": [{"cell": {"name": "lru", "modes": 3, "r_min": 0.5}}]},
        "learning": {"name": "one_step"},
        "machine": "digital_45nm",
        "gradient_check": {"sequences": 2},
        "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 4, "steps": 4},
    }
    real, sketch = (each.summary.systems["substrate"] for each in (hwsim.run(asked), estimate(asked)))
    assert real.energy.run_j == close(sketch.energy.run_j)
    assert real.memory.peak_bytes == sketch.memory.peak_bytes
    assert [each.name for each in real.diagnostics] == ["forgetting", "error_change"]
    assert sketch.diagnostics == []


def test_weights_are_drawn_to_their_average_as_the_page_says() -> None:
    """Two updates with a gradient of zero, by hand."""
    episode, learned = random_episode(), steady(discount=0.5)
    made = built("lru", learned, episode)
    options = UpdateOptions.model_validate({"optimizer": {"name": "sgd", "rate": 0.5}})
    update = Update(made, optimizers.build(options.optimizer, made), options)
    w = made.trainables[0]
    weights, average = w.values.copy(), w.values.copy()
    for moved in (0.3, 0.0):
        w.master.value = w.master.value + moved
        weights = weights + moved
        learned.gradients = lambda network: None  # type: ignore[method-assign]
        with made.machine.showing(episode):
            learned.learn(made, update)
        weights = weights - 0.5 * 0.01 * (weights - average)
        average = 0.9 * average + 0.1 * weights
    np.testing.assert_allclose(w.values, weights, rtol=1e-14)
    np.testing.assert_allclose(learned.average[w].value.reshape(average.shape), average, rtol=1e-14)  # type: ignore[attr-defined]


def test_the_task_that_is_shown_can_be_learned_from_and_has_the_shapes_that_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = shown("docs/own_task.md", "parity")
    monkeypatch.setitem(tasks.TASKS, "parity", task)
    options = task.Options(name="parity", steps=9, train=12, test=5)
    for data, shape in zip(tasks.build(options, 1), tasks.outline(options), strict=True):
        for what in ("inputs", "labels", "mask", "targets"):
            assert getattr(data, what).shape == getattr(shape, what).shape
        assert (data.classes, data.loss_from, data.masked) == (shape.classes, shape.loss_from, shape.masked)
    data, test = tasks.build(options, 1)
    assert data.labels[3, 6] == data.inputs[3, :7].sum() % 2
    assert 12 * 2 <= data.losses < 12 * 9
    assert all(np.isfinite(values).all() for values in gradient("lru", "fpe", data).values())
    assert tasks.numbers(options) == sum(part.inputs.size + part.labels.size + part.mask.size for part in (data, test))


@pytest.fixture
def rectified(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A network of the cell that the page on own cells shows, built on a machine."""
    module = shown("docs/own_cell.md", "rectified")
    monkeypatch.setitem(CELLS, "rectified", module)
    layer = networks.network.LayerOptions.model_construct(
        cell=module.Options(name="rectified", units=6, leak=0.3), readout=ReadoutOptions(hidden=[5])
    )
    options = networks.Options.model_construct(layers=[layer, layer], pooling="none", output_scale=1.0)

    def build(learner: Rule, episode: Episode, on: str = "ideal", strict: bool = False) -> Network:
        stage = machines.build(machine_options(on), chips=1, seed=2, strict=strict)
        made = Network(stage, options, episode.width, episode.outputs, learner.uses)
        made.begin_training()
        made.program()
        stage.journal.close_batch(1)
        return made

    return build


def rectified_loss(parameters: dict[str, np.ndarray], episode: Episode) -> float:
    """The loss of that network with NumPy, from its equations."""
    total = 0.0
    for inputs, values in zip(episode.inputs, episode.values, strict=True):  # type: ignore[arg-type]
        xs = list(inputs)
        for name in ("layer 1", "layer 2"):
            p = {key.removeprefix(f"{name} "): value for key, value in parameters.items() if key.startswith(name)}
            h, ys = np.zeros(6), []
            for x in xs:
                h = 0.7 * h + 0.3 * np.maximum(p["W"] @ h + p["U"] @ x + p["b"], 0)
                ys.append(p["V2"] @ np.maximum(p["V1"] @ h + p["V1 b"], 0) + p["V2 b"])
            xs = ys
        total += 0.5 * sum(float(np.sum((y - value) ** 2)) for y, value in zip(xs, values, strict=True))
    return total


def test_the_cell_that_is_shown_has_the_slope_of_its_loss(rectified: Any) -> None:
    learner, episode, draw = rule("bptt"), random_episode(3, target="values"), np.random.default_rng(4)
    made = rectified(learner, episode, strict=True)
    found = gradient_of(made, learner, episode)
    start = {one.name: one.values[0].copy() for one in made.trainables}
    for name, value in start.items():
        direction = draw.normal(size=value.shape)
        moved = [rectified_loss({**start, name: value + sign * 1e-6 * direction}, episode) for sign in (1, -1)]
        slope = (moved[0] - moved[1]) / 2e-6
        assert float((found[name][0] * direction).sum()) == close(slope, rel=1e-5, abs=1e-7), name


@pytest.mark.parametrize("options", ["fpe", "fpe seed"])
def test_errors_run_forward_through_the_cell_that_is_shown(rectified: Any, options: str) -> None:
    episode, exact, forward = random_episode(3, target="values"), rule("bptt"), rule(options)
    expected = gradient_of(rectified(exact, episode), exact, episode)
    assert distance(gradient_of(rectified(forward, episode), forward, episode), expected) < 1e-8


def test_the_cell_that_is_shown_runs_on_a_chip(rectified: Any) -> None:
    learner, episode = rule("one_step"), random_episode(3)
    found = gradient_of(rectified(learner, episode, on="pcm_crossbar", strict=True), learner, episode)
    assert all(np.isfinite(value).all() for value in found.values())


# ---- a unit, and an operation ------------------------------------------------------------------------------------


@pytest.fixture
def _forgotten() -> Iterator[None]:
    """Operations that were declared in a test are forgotten when it is over."""
    before = set(BY_NAME)
    yield
    for name in set(BY_NAME) - before:
        BY_NAME[name].forget()


@pytest.mark.usefixtures("_forgotten")
@pytest.mark.parametrize("on", ["ideal", "digital_45nm", "pcm_crossbar"])
def test_the_operation_that_is_shown_is_carried_out_charged_and_derived(on: str) -> None:
    softplus = shown("docs/operations.md", "softplus").softplus

    class Soft(Derived):
        width = 4

        def next(self, h: Signal, x: Signal) -> Signal:
            signal: Signal = softplus(h)
            return signal

    stage, seen = machines.build(machine_options(on), seed=1), []
    cell, episode = Soft(stage, "layer 1"), Episode(np.zeros((1, 1, 4)), values=np.zeros((1, 1, 1)))
    stage.watchers["seen"] = lambda *arrays: seen.extend(array.ravel().astype(float) for array in arrays)
    with stage.showing(episode), stage.workspace() as workspace:
        h = workspace.register("h", 4, OPTIMIZER)  # a number on every machine
        h.value = np.array([-1.0, 0.0, 0.5, 2.0]).reshape(1, 1, 4).astype(stage.dtype)
        for _ in stage.forward_pass("once"):
            x = h.load()
            new, at = cell.step(x, x)
            stage.probe("seen", x, new, cell.transposed(at, x))
    x, y, error = seen
    np.testing.assert_allclose(y, np.log1p(np.exp(x)), rtol=1e-6)
    np.testing.assert_allclose(error, x / (1 + np.exp(-x)), rtol=1e-6)
    record = next(record for record in stage.journal.traces[-1] if record.kind == "softplus")
    assert work(record) == {"exp": 4, "add": 4}
    charges = stage.prices().charges(record)
    assert any(charge.price.name.endswith("functions.exp") for charge in charges) == (on != "ideal")


def test_the_unit_that_is_shown_is_placed_on_a_chip_and_charged_as_a_sum() -> None:
    """Sums of states and drives lie on its grid; on the shipped chip they do not."""
    module, episode, learner = shown("docs/own_unit.md", "grid_adder"), random_episode(), rule("one_step")
    options, sums, priced = machine_options("pcm_crossbar"), {}, {}
    for kind in (module.GridChip, Chip):
        stage = kind(options, seed=2)
        emit, found = stage.emit_analog, sums.setdefault(kind, [])

        def noting(head: Head, value: np.ndarray, *others: Any, emit: Any = emit, found: Any = found) -> Signal:
            if head.kind == "add":
                found.append(value.copy())
            signal: Signal = emit(head, value, *others)
            return signal

        stage.emit_analog = noting
        gradient_of(built("lru", learner, episode, stage=stage), learner, episode)
        record = next(r for trace in stage.journal.traces for r in trace if r.kind == "add" and r.format == "analog")
        assert record.unit.endswith("grid adder") == (kind is module.GridChip)
        priced[kind] = stage.prices().charges(record)
    on_grid = {kind: all((value * 64 == np.round(value * 64)).all() for value in found) for kind, found in sums.items()}
    assert list(on_grid.values()) == [True, False]
    mine, shipped = priced.values()
    assert mine == shipped


def test_weights_go_from_one_experiment_of_the_page_to_the_other(tmp_path: Path) -> None:
    first, second, training = map(yaml.safe_load, blocks("docs/deploy.md", "yaml"))
    training = {**training["training"], "epochs": None, "steps": 1}
    hwsim.run({**first, "training": training}, out=tmp_path / "digital")
    chips = hwsim.load({**first, **second, "weights": {"from": str(tmp_path / "digital")}})
    assert chips.weights is not None
    assert chips.deploy is not None


def shown_machine(bits: int, **kinds: Any) -> Machine:
    """The machine that the page on own machines shows, with the options that it shows."""
    module = shown("docs/own_machine.md", "significant")
    asked = yaml.safe_load(blocks("docs/own_machine.md", "yaml")[0])["machine"]
    return module.SignificantMachine(check(module.Options, Document("shown", {**asked, "bits": bits})), **kinds)


def test_the_machine_that_is_shown_keeps_so_many_bits() -> None:
    learner, episode = rule("fpe"), random_episode()
    exact = gradient("lru deep", "fpe", episode)
    errors = []
    for bits in (8, 20, 40):
        found = gradient_of(
            built("lru deep", learner, episode, stage=shown_machine(bits, strict=True)), learner, episode
        )
        errors.append(distance(found, exact))
    assert errors[0] > 2.0**-9
    assert errors[1] < 2.0**-10
    assert errors[2] < 2.0**-30


def test_the_machine_that_is_shown_has_its_price() -> None:
    learner, episode, stage = rule("one_step"), random_episode(), shown_machine(8)
    made = built("lru", learner, episode, stage=stage)
    gradient_of(made, learner, episode)
    record = Record("add", "somewhere", "layer 1", "inference", "", (3, 4), 12, (0, 1), 2)
    (charge,) = stage.prices().charges(record)
    assert (charge.price.value, charge.amount, charge.price.assumed) == (0.2e-12, 12.0, True)


def test_the_chip_that_is_shown_is_valid(tmp_path: Path) -> None:
    (text,) = re.findall(
        r'```yaml title="my_chip.yaml"\n(.*?)```', (ROOT / "docs/own_machine.md").read_text(), re.DOTALL
    )
    (tmp_path / "my_chip.yaml").write_text(text)
    made = hardware.machine(documents.read(tmp_path / "my_chip.yaml"))
    assert (made.device.name, made.parts.adc.energy.value, made.parts.diagonals.inverse.mismatch) == (
        "rram_hfox_130nm", 0.9e-12, 0.01,
    )  # fmt: skip


def test_the_digital_machine_at_another_node_that_is_shown_is_scaled_as_a_whole(tmp_path: Path) -> None:
    page = (ROOT / "docs/own_machine.md").read_text(encoding="utf-8")
    (text,) = re.findall(r'```yaml title="digital_28nm.yaml"\n(.*?)```', page, re.DOTALL)
    (tmp_path / "digital_28nm.yaml").write_text(text, encoding="utf-8")
    made = hardware.machine(documents.read(tmp_path / "digital_28nm.yaml"))
    assert not plausible.doubts(made)
    older, newer = (machine_options(f"digital_{node}nm").priced_parts() for node in (45, 22))
    multiply = made.priced_parts().arithmetic["float32"].multiply.value
    assert newer.arithmetic["float32"].multiply.value < multiply < older.arithmetic["float32"].multiply.value


def test_the_periphery_that_is_shown_is_read_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the chip that the page shows, whose values stay analog: no converter takes part in a read of the array."""
    page = (ROOT / "docs/own_machine.md").read_text(encoding="utf-8")
    for name in ("my_chip.yaml", "my_periphery.yaml"):
        (text,) = re.findall(rf'```yaml title="{name}"\n(.*?)```', page, re.DOTALL)
        (tmp_path / name).write_text(text, encoding="utf-8")
    with (tmp_path / "my_chip.yaml").open("a") as chip:
        chip.write("  tiles: {rows: 128, columns: 128, time: {value: 140 ns, source: lab}, phases: 1, scale: null}\n")
        chip.write("periphery: my_periphery.yaml\n")
    monkeypatch.chdir(tmp_path)
    (script,) = re.findall(r'```python title="one_read.py"\n(.*?)```', page, re.DOTALL)
    module: dict[str, Any] = {}
    exec(compile(script, "one_read.py", "exec", dont_inherit=True), module)
    parts = module["read"].by_component
    periphery = sum(parts[name] for name in ("tile control", "tile drivers", "tile outputs"))
    assert periphery == close((2.1e-3 + 128 * 12e-6 + 128 * 25e-6) * 140e-9)


def test_every_shipped_crossbar_machine_is_held_against_a_published_chip() -> None:
    crossbars = {n for n in hardware.names("configs/hardware") if machine_options(n).kind == "crossbar"}
    assert len(crossbars) == 12
    assert crossbars <= set(generate.PEERS)
    table = generate.reads()
    for name in crossbars:
        (row,) = re.findall(rf"^\| `{name}` .*$", table, re.MULTILINE)
        assert re.search(r"×\d+\.\d\d \|$", row)


def test_the_study_that_is_shown_is_valid(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(blocks("docs/studies.md", "yaml")[0])
    shown = grid.load_study(tmp_path / "study.yaml")
    shown.check()
    assert shown.trials == 2 * 2 * 2 * 20 * 5


def test_the_data_sheet_that_is_shown_is_valid(tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text(blocks("docs/own_device.md", "yaml")[0])
    sheet = hardware.device(documents.read(tmp_path / "d.yaml"))
    assert sheet.read_error(np.array([10e-6]))[0] == close(0.02 * 10e-6)


def test_the_neuron_that_is_shown_learns_and_is_refused_as_shown(tmp_path: Path) -> None:
    """On a chip; and with the wrong unit that the page gives, in the words of the page."""
    text, snippet = blocks("docs/own_neuron.md", "yaml")
    (tmp_path / "mine.yaml").write_text(text)
    layers = yaml.safe_load(snippet)["network"]["layers"]
    cell = layers[0]["cell"]
    cell["neuron"] = hardware.neuron(documents.Document("shown", str(tmp_path / cell["neuron"])))
    learner, episode = rule("eprop random"), random_episode(steps=8)
    found = gradient_of(built({"layers": layers}, learner, episode, on="neuron_crossbar"), learner, episode)
    assert all(np.abs(value).max() > 0 for value in found.values())
    (tmp_path / "mine.yaml").write_text(text.replace("(v_rest - v) + I", "(v_rest - v) + g"))
    with pytest.raises(ConfigError) as caught:
        hardware.neuron(documents.read(tmp_path / "mine.yaml"))
    assert blocks("docs/own_neuron.md", "console")[0].splitlines()[1] == str(caught.value).replace(f"{tmp_path}/", "")


def test_the_machine_that_the_readme_shows_is_valid(tmp_path: Path) -> None:
    (snippet,) = blocks("README.md", "yaml")
    (tmp_path / "my_device.yaml").write_text((ROOT / "devices/pcm_gst_90nm.yaml").read_text(encoding="utf-8"))
    file = tmp_path / "machine.yaml"
    file.write_text(snippet)
    document = documents.read(file)
    made = hardware.machine(document.part(("machine",)))
    assert (made.name, made.parts.adc.bits, made.parts.dac.bits) == ("my_chip", 6, 8)


def places() -> list[str]:
    """The rows of CONTRIBUTING.md that name files."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("|") and re.search("`[^`]*/[^`]*`", line)]


def test_many_places_are_named() -> None:
    assert len(places()) > 20


@pytest.mark.parametrize("row", places())
def test_what_is_said_to_be_in_a_file_is_there(row: str) -> None:
    quoted = re.findall("`([^`]+)`", row)
    files = [ROOT / name for name in quoted if "/" in name]
    assert all(file.exists() for file in files)
    text = "".join(file.read_text(encoding="utf-8") for file in files if file.is_file())
    for name in (name for name in quoted if "/" not in name and not name.endswith(".json")):
        for part in name.split("."):
            assert re.search(rf"(?m)^\s*(class|def) {part}\b|^\s*{part}:", text), name


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *DOCS])
def test_pages_link_to_what_exists(page: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    here = (ROOT / page).parent
    missing = [link for link in links if not link.startswith("http") and not (here / link).exists()]
    assert not missing


def test_reports_say_what_the_documentation_says_is_modelled() -> None:
    page = (ROOT / "docs/model.md").read_text(encoding="utf-8")
    short = page[page.index("Every operation") : page.index("## Time and causality")]
    report = (ROOT / "hwsim/reports/page/model.html").read_text(encoding="utf-8").replace("’", "'")
    assert re.sub("<[^>]+>", " ", report).split() == re.sub(r"\*\*|^(##|-) ", " ", short, flags=re.MULTILINE).split()


def test_the_experiments_of_the_examples_are_valid() -> None:
    hwsim.load(converter_bits.experiment(6))
    hwsim.load(frozen_against_fresh.experiment(8, 0))


# ---- what the site shows of the program ----------------------------------------------------------------------


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="the site needs hwsim[docs]")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    html = "".join(page.read_text(encoding="utf-8") for page in tmp_path.rglob("*.html"))
    assert "made here:" not in html
    fetched = re.findall(r'<(?:script|img|link|iframe)[^>]* (?:src|href)="(https?:[^"]+)"', html)
    assert not [address for address in fetched if "sitemap" not in address]


@pytest.mark.parametrize("page", generate.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_generated_parts_are_in_the_checkout_as_the_program_has_them(page: Path) -> None:
    """`python docs/generate.py --write` writes them anew."""
    assert page.read_text(encoding="utf-8") == generate.written(page)
    assert "<!-- until here -->" in page.read_text(encoding="utf-8")


def test_the_site_has_generated_parts_once() -> None:
    text = (ROOT / "docs/reference/study.md").read_text(encoding="utf-8")
    made = generate.on_page_markdown(text)
    assert made.count("## study {") == text.count("## study {") == 1
    assert generate.on_page_markdown("<!-- made here: keys of studies -->").strip() in made
    assert "made here" not in made


def test_the_reference_shows_commands_and_keys_as_they_are_typed() -> None:
    commands, machines = generate.commands(), generate.keys("machine")
    for usage in (
        "hwsim compare RUN RUN... [OPTIONS]",
        "hwsim validate FILE",
        "hwsim devices [NAME] [OPTIONS]",
        "hwsim schema",
    ):
        assert f"\n{usage}\n" in commands
    assert "`fixed<16,12>`" in machines
    assert "fixed&lt;bits" in machines


@pytest.mark.parametrize("page", ["spiking.md", "tutorial.md"])
def test_commands_print_what_the_page_shows(page: str, tmp_path: Path) -> None:
    for said in transcript.carried_out(ROOT / "docs" / page, tmp_path):
        if said.printed is not None:
            assert transcript.same(said.expected, said.printed), f"$ {said.command}\n{said.printed}"


def test_a_transcript_that_says_something_else_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '```text title="a"\n1\n2\n```\n```console\n$ cat a\n…\n$ echo 3.5 nJ and more\n4 pJ and less\n```\n'
    )
    (tmp_path / "run").mkdir()
    said = list(transcript.carried_out(page, tmp_path / "run"))
    assert [transcript.same(one.expected, str(one.printed)) for one in said] == [True, False]
    assert "$ cat a\n…\n$ echo 3.5 nJ and more\n3.5 nJ and more\n" in transcript.rewritten(page, said)
    assert transcript.same("4 pJ and more\n", "3.5 nJ and more\n")


def test_every_shipped_constant_has_an_origin() -> None:
    listed = 0
    for kind in ("devices", "configs/hardware"):
        for name in hardware.names(kind):
            document = hardware.inherited(documents.read(hardware.shelf(kind) / f"{name}.yaml"))
            rows = constants(document, document.data.get("sources", {}))
            listed += len(rows)
            for row in rows:
                assert row.kind != "source" or row.source, row
                assert row.kind != "assumed" or row.because, row
    assert listed > 200


def test_every_key_says_what_it_is_for() -> None:
    choosing = ("name", "kind", "law")
    for found in sections(DataSheet, *(each.Options for each in MACHINES.values()), Experiment, Study).values():
        for section in found:
            assert section.text, section.title
            silent = [key.name for key in section.keys if not (key.text or key.sections or key.name in choosing)]
            assert not silent, section.title


def test_the_scatter_of_a_measurement_is_told_apart(tmp_path: Path) -> None:
    """What is made up from known laws comes back: 480 devices, so σ is known to 10 % a target (3 of its errors)."""
    sheet = hardware.device(Document("device", "pcm_gst_90nm"))
    data_sheet.pretend("pcm_gst_90nm", devices=400, factor=1.0).to_csv(tmp_path / "m.csv")
    found = measured.fit(tmp_path / "m.csv").table
    target = found["target"].to_numpy()
    assert found["programming"].to_numpy() == close(sheet.programming_error(target), rel=0.15)
    assert found["reading"].to_numpy() == close(sheet.read_error(target), rel=0.05)
