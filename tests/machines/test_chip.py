"""The crossbar machine: domains and converters, energy of reads, programming, leak, ranges, the host in the loop."""

import numpy as np
import pytest
from conftest import Sized, built, close, distance, gradient, gradient_of, machine_options, random_episode, rule

from hwsim import machines, networks
from hwsim.accounts.energy import Tariff, grouped
from hwsim.errors import CapabilityError, ConfigError
from hwsim.initial import Initial
from hwsim.learning import optimizers
from hwsim.learning.horizon import Precision
from hwsim.learning.update import Options, Update
from hwsim.machine import Matrix
from hwsim.units.register import Hold, effective_bits

CLEAN = "ideal_crossbar"


def clean(**changes):
    """The crossbar machine without imperfections, but for `changes` in its parts."""
    return {"like": CLEAN, "parts": changes}


def test_without_imperfections_it_is_the_ideal_machine_to_single_precision():
    """No layer norm here: at these first weights it enlarges errors a hundredfold, out of any range."""
    episode = random_episode()
    for network, learner in (("lru deep", "fpe"), ("lru deep", "fpe seed"), ("lru", "rtrl"), ("tanh", "fpe")):
        exact = gradient(network, "bptt", episode)
        assert distance(gradient(network, learner, episode, on=CLEAN), exact) < 2e-3


def records(made):
    return [record for trace in made.machine.journal.traces for record in trace]


def test_converters_stand_where_domains_change_and_once_a_signal():
    episode, learned = random_episode(), rule("fpe")
    made = built("lru", learned, episode, on="pcm_crossbar")
    gradient_of(made, learned, episode)
    for trace in made.machine.journal.traces:
        converted = [record.reads[0] for record in trace if record.kind in ("dac", "adc")]
        assert len(converted) == len(set(converted))
        for record in trace:
            operands = [trace[slot] for slot in record.reads if isinstance(slot, int)]
            if record.kind == "dac":
                assert record.format == "analog"
                assert operands[0].format != "analog"
            elif record.kind == "adc":
                assert record.format != "analog"
                assert operands[0].format == "analog"
            elif record.kind != "program":
                assert all((operand.format == "analog") == (record.format == "analog") for operand in operands), record
    kinds = {record.kind for record in records(made) if record.format == "analog"}
    assert {"read", "read transposed", "diagonal", "inverse diagonal", "conjugate diagonal", "store"} <= kinds
    assert not kinds & {"outer", "accumulate", "softmax", "exp"}


def test_a_digital_interface_converts_every_output_of_a_tile():
    episode, learned = random_episode(), rule("one_step")
    digital = {"like": "pcm_crossbar", "parts": {"tiles": {"interface": "digital"}}}
    apart = digital | {"periphery": "none"}  # without converters in its tiles
    for on, converter in (("pcm_crossbar", None), (digital, "tile adc"), (apart, "adc")):
        made = built("lru", learned, episode, on=on)
        gradient_of(made, learned, episode)
        for trace in made.machine.journal.traces:
            read = {slot for slot, record in enumerate(trace) if record.kind.startswith("read")}
            converted = {record.reads[0] for record in trace if record.kind == (converter or "adc")}
            assert (read <= converted) == (converter is not None or not read)


@pytest.mark.parametrize("rows", [3, 5, 8])
def test_a_matrix_that_is_larger_than_a_tile_is_split_and_summed_as_numbers(rows):
    episode = random_episode(width=7)
    tile = clean(tiles={"rows": rows, "columns": rows})
    exact = gradient("lru deep", "bptt", episode)
    assert distance(gradient("lru deep", "fpe", episode, on=tile), exact) < 2e-3
    learned = rule("fpe")
    made = built("lru deep", learned, episode, on=tile)
    gradient_of(made, learned, episode)
    for record in records(made):
        if record.kind == "read":
            assert record.size[-1] <= rows
        if record.kind == "read transposed":
            assert record.size[-2] <= rows


@pytest.mark.parametrize("rows", [3, 256])
@pytest.mark.parametrize(
    ("network", "learner"), [("lru stack", "fpe"), ("lru", "fpe seed"), ("tanh stack", "fpe"), ("lru", "rtrl")]
)
@pytest.mark.parametrize("on", ["pcm_crossbar", "pcm_crossbar_in_the_loop"])
def test_no_operation_has_operands_of_the_other_domain_but_converters(on, network, learner, rows):
    machine = {"like": on, "parts": {"tiles": {"rows": rows, "columns": rows, "count": 9999}}}
    learned, episode = rule("bptt" if on.endswith("loop") else learner), random_episode(width=7)
    made = built(network, learned, episode, on=machine)
    gradient_of(made, learned, episode)
    for trace in made.machine.journal.traces:
        for record in trace:
            if record.kind == "program":  # numbers that set devices
                continue
            domains = {trace[slot].format == "analog" for slot in record.reads if isinstance(slot, int)}
            wanted = record.kind != "dac" if record.format == "analog" else record.kind == "adc"
            assert domains <= {wanted}, record


def test_the_energy_of_a_read_is_that_of_its_voltages_and_conductances():
    """Σ V² G t with V = V_read x / full scale, for the inputs and devices that there really were."""
    episode, learned = random_episode(batch=4, steps=3), rule("one_step")
    made = built("lru", learned, episode, on="pcm_crossbar", chips=2)
    stage, cell = made.machine, made.layers[0].cell
    stage.journal.collect()
    gradient_of(made, learned, episode)
    array, tiles = stage.devices[cell.B.name].devices, stage.parts.tiles
    shown = stage.received(np.ascontiguousarray(episode.inputs, np.float32))  # on the levels of their converter
    conductance = (array.plus + array.minus).sum(1)
    joules = [
        float((np.square(shown / stage.parts.ranges.input * tiles.voltage.value) @ per_chip * tiles.time.value).sum())
        for per_chip in conductance
    ]
    ledger = Tariff(stage.journal.traces, stage.prices()).of_totals(stage.journal.totals, 0.0)
    found = sum(
        spent.energy
        for line, spent in ledger.items()
        if line.component == "devices" and line.operation == "read" and line.unit == f"{cell.B.name} tiles"
    )
    assert found == close(np.mean(joules), rel=1e-5)


def steps(stage, name):
    """The steps that the weights of a matrix were last programmed to, `(chips, rows, columns)`."""
    array = stage.devices.arrays[name]
    return stage.storages[f"{name} steps"].value.reshape(array.weights.shape) / array.mapping.unit


def test_only_devices_that_moved_are_written_and_paid_for():
    episode, learned = random_episode(), rule("one_step")
    made = built("lru", learned, episode, on="pcm_crossbar", chips=2)
    stage = made.machine
    devices = sum(2 * array.plus[0].size for array in stage.devices.arrays.values())
    assert (stage.devices.written == devices).all()  # at first all of them
    options = Options.model_validate({"optimizer": {"name": "sgd", "rate": 0.02}})
    slots = optimizers.build(options.optimizer, made)
    before = {name: (steps(stage, name).copy(), array.plus.copy()) for name, array in stage.devices.arrays.items()}
    stage.journal.collect()
    with stage.showing(episode):
        learned.gradients(made)
        Update(made, slots, options, 0.0)(1)
    expected = np.zeros(2)
    for name, array in stage.devices.arrays.items():
        old, plus = before[name]
        positive = np.maximum(steps(stage, name), 0) != np.maximum(old, 0)
        negative = np.minimum(steps(stage, name), 0) != np.minimum(old, 0)
        expected += positive.sum((1, 2)) + negative.sum((1, 2))
        np.testing.assert_array_equal(array.plus[~positive], plus[~positive])
        np.testing.assert_array_equal(array.writes, 1 + np.stack([positive, negative], 1))  # at first each of them once
    assert 0 < expected.min() < devices / 2
    np.testing.assert_array_equal(stage.devices.written - devices, expected)
    ledger = Tariff(stage.journal.traces, stage.prices()).of_totals(stage.journal.totals, 0.0)
    write, verify = stage.sheet.write, stage.parts.verify.value
    each = write.pulses.value * (write.voltage.value * write.current.value * write.time.value + verify)
    assert grouped(ledger, "component")["programming"].energy == close(each * expected.mean(), rel=1e-12)


def test_a_measured_energy_of_a_pulse_is_charged_as_the_same_energy_by_current_is():
    """PCM takes 8 pulses of 2 V × 150 µA for 150 ns, which are 45 pJ; a write of 360 pJ has one verifying read."""

    def programming(write):
        sheet = {"like": "pcm_gst_90nm", "write": write} if write else "pcm_gst_90nm"
        on = {"like": "pcm_crossbar", "device": sheet}
        made = built("lru", rule("one_step"), random_episode(), on=on)
        stage = made.machine
        ledger = Tariff(stage.journal.traces, stage.prices()).of_totals(stage.journal.totals, 0.0)
        record = next(each for trace in stage.journal.traces for each in trace if each.kind == "program")
        devices = float(stage.devices.written[0])
        return grouped(ledger, "component")["programming"].energy, devices, stage.prices().occupied(record).duration

    def law(energy, time, pulses):
        values = {"energy": energy, "time": time, "pulses": pulses}
        return {"law": "energy", **{key: {"value": value, "assumed": "x"} for key, value in values.items()}}

    verify = machine_options("pcm_crossbar").parts.verify.value
    joules, devices, duration = programming(None)
    assert joules == close(devices * 8 * (45e-12 + verify))
    assert programming(law("45 pJ", "150 ns", 8)) == (close(joules), devices, duration)
    whole, _, shorter = programming(law("360 pJ", "1.2 us", 1))
    assert whole == close(devices * (360e-12 + verify))
    assert shorter < duration


@pytest.mark.parametrize("nudge", [-1e-6, 0.0, 1e-6])
@pytest.mark.parametrize(
    ("device", "weight_range", "step", "w_max"),
    [
        ("rram_hfox_130nm", 2.0, 19, 39 / 19),  # of 39 steps; at w_max = 2 it would be 19.5, a tie
        ("rram_hfox_130nm", 1.2, 32, 39 / 32),
        ("rram_hfox_130nm", 0.5, 39, 0.5),  # the largest is clipped: nothing is held beyond half of it
        ("rram_hfox_130nm", 100.0, 0, 100.0),  # no step is small enough
        ("pcm_gst_90nm", 2.0, 25, 2.0),  # of 50; as if nothing were rounded
        ("pcm_gst_90nm", 4.0, 12, 50 / 12),
    ],
)
def test_the_largest_initial_weight_lies_on_a_step(device, weight_range, step, w_max, nudge):
    """A weight between two steps would be programmed to either of them, by the last bit of what computed it."""
    options = {"like": CLEAN, "device": device, "parts": {"tiles": {"weight_range": weight_range}}}
    stage = machines.build(machine_options(options))
    first = np.array([[0.3, -0.7, 0.1], [0.0, 0.2, 0.699]])
    made = Matrix(stage, "W", "input", Initial(first.shape, lambda: first))
    made.trainable.master.value = made.trainable.master.value * np.float32(1 + nudge)
    with stage.showing(random_episode()):
        for _ in stage.phase("programming"):
            made.program()
    array = stage.devices["W"].devices
    assert steps(stage, "W")[0, 0, 1] == -step
    assert array.mapping.w_max == 0.7 * w_max


def test_factors_are_fetched_from_the_registers_that_hold_them():
    episode, learned = random_episode(), rule("rtrl")
    made = built("lru", learned, episode, on="pcm_crossbar")
    gradient_of(made, learned, episode)
    stage, gamma = made.machine, made.layers[0].cell.gamma
    fetched = {record for trace in stage.journal.traces for record in trace if record.kind == "fetch"}
    assert [record.reads for record in fetched] == [(gamma.name,)]
    (charge,) = stage.prices().charges(*fetched)
    bit = stage.prices().digital.parts.register_bit.value
    assert (charge.component, charge.price.value, charge.amount) == ("registers", bit, gamma.width * 16)


@pytest.mark.parametrize(
    ("on", "row"),  # in microseconds: pulses, and the reads that verify them
    [("pcm_crossbar", 8 * (0.15 + 0.25)), ("rram_crossbar", 8.52 + 0.27)],
)
def test_rows_are_written_and_verified_one_after_another(on, row):
    stage = built("lru", rule("one_step"), random_episode(), on=on).machine
    found = {
        record.size[-2:]: stage.prices().occupied(record).duration
        for trace in stage.journal.traces
        for record in trace
        if record.kind == "program"
    }
    assert found == {(rows, columns): round(rows * row * 1e6) for rows, columns in found}
    assert len(found) > 1


def test_registers_leak_for_as_long_as_they_are_held():
    """exp(-held/τ) for what was stored, exp(-period/τ) a step for what waits."""
    leaky = {"like": CLEAN, "parts": {"registers": {"retention": {"value": "1 ms", "assumed": "for this test"}}}}
    episode = random_episode(batch=2, steps=4)
    stage = machines.build(machine_options(leaky), seed=1)
    learned = rule("fpe")
    built("lru", learned, episode, stage=stage)
    stage.holds = {"first": Hold(200e-6, {"h": 100e-6})}
    with stage.showing(episode), stage.workspace() as workspace:
        h, waits = workspace.register("h", 2), workspace.register("waits", 2, initial=(1.0,))
        previous = np.zeros((1, 2, 2))
        for step in stage.forward_pass("first"):
            np.testing.assert_allclose(h.value, previous * np.exp(-0.1), rtol=1e-6)
            previous = stage.see(stage.analog(step.input))
            h.store(step.input)
    np.testing.assert_allclose(waits.value, np.exp(-4 * 0.2), rtol=1e-6)


def test_a_rehearsal_finds_how_long_registers_are_held_and_long_retention_changes_little():
    from hwsim.config import experiment as config
    from hwsim.documents import Document
    from hwsim.experiments.rehearsal import rehearse

    data = {
        "name": "leak",
        "task": {"name": "random", "steps": 30},
        "network": networks.Options.model_validate({"layers": [{"cell": {"name": "lru", "modes": 3}}]}).model_dump(),
        "learning": {"name": "fpe"},
        "machine": "pcm_crossbar",
    }
    asked = config.compose(Document("test", data))
    from hwsim import tasks

    holds = rehearse(asked, "substrate", asked.systems()["substrate"], tasks.build(asked.task, 0).train)
    assert set(holds) >= {"pass 1", "pass 2", "inference"}
    hold = holds["pass 2"]
    assert 250e-9 < hold.period < 10e-6  # a step takes a few reads of 250 ns each
    assert set(hold.registers) >= {"layer 1 h", "layer 1 error"}
    assert all(0 <= time <= 2 * hold.period for time in hold.registers.values())
    assert hold.registers["layer 1 error"] > 0  # δ waits for the loss gradient of its step


def test_signals_saturate_at_full_scale_and_are_counted():
    episode = random_episode()
    narrow = clean(ranges={"forward": 0.05, "input": 1, "error": 64})
    learned = rule("one_step")
    made = built("lru", learned, episode, on=narrow)
    gradient_of(made, learned, episode)
    values, beyond = np.sum(list(made.machine.clipped["analog"].values()), 0)
    assert 0.05 * values < beyond < values
    made = built("lru", learned, episode, on=CLEAN)
    gradient_of(made, learned, episode)
    assert made.machine.clipped["analog"].keys() >= {"layer 1 B tiles", "layer 1 h", "layer 1 lambda"}
    assert all(beyond == 0 for _, beyond in made.machine.clipped["analog"].values())


def test_chips_differ_and_do_not_depend_on_how_many_there_are():
    episode = random_episode()
    for learner in ("fpe", "rtrl"):
        two = gradient("lru deep", learner, episode, on="pcm_crossbar", chips=2)
        four = gradient("lru deep", learner, episode, on="pcm_crossbar", chips=4)
        for name in two:
            np.testing.assert_allclose(
                four[name][:2], two[name], rtol=2e-5, atol=1e-6
            )  # products are blocked differently
            assert not np.array_equal(four[name][0], four[name][1])


def test_the_same_seed_gives_the_same_bytes_and_another_one_others():
    episode = random_episode()
    runs = [gradient("lru deep", "fpe", episode, on="pcm_crossbar", chips=2, seed=seed) for seed in (4, 4, 5)]
    for name in runs[0]:
        assert runs[0][name].tobytes() == runs[1][name].tobytes()
    assert any(runs[0][name].tobytes() != runs[2][name].tobytes() for name in runs[0])


def test_fresh_noise_differs_from_pass_to_pass_and_frozen_errors_do_not():
    noisy = clean(registers={"noise": 0.01})
    mismatched = clean(diagonals={"forward": {"mismatch": 0.05}})
    episode = random_episode(steps=5)
    for on, alike in ((noisy, False), (mismatched, True)):
        learned = rule("fpe")
        made = built("lru", learned, episode, on=on)
        seen = {}
        made.machine.sequencer.after_step = lambda stage=made.machine, seen=seen: seen.update(
            {(stage.sequencer.sweep_name, stage.sequencer.step_index): stage.storages["layer 1 h"].value.copy()}
        )
        gradient_of(made, learned, episode)
        first, second = ([seen[f"pass {number}", step] for step in range(5)] for number in (1, 2))
        assert np.array_equal(first, second) == alike


def test_shared_multipliers_have_shared_errors():
    """Read from behind they apply the exact transpose of what they really are; in a feedback loop, its exact inverse.

    One number λ̄ᵗ cannot stand for a product of such matrices, so the first error of `fpe` remains off by mismatch.
    """
    episode, learned, mismatch = random_episode(steps=40, width=1), rule("fpe"), {"mismatch": 0.02}
    parts = {"diagonals": {"forward": mismatch, "transposed": mismatch, "inverse": mismatch}}
    own = {"like": CLEAN, "parts": parts}
    shared = {**own, "sharing": {"transposed": "forward", "inverse": "transposed"}}
    for on, exact in ((shared, True), (own, False)):
        made = built("lru", learned, episode, on=on)
        stage, cell = made.machine, made.layers[0].cell
        with stage.showing(episode), stage.workspace() as workspace:
            x, y = (
                workspace.register(name, cell.width, initial=start)
                for name, start in (("x", (1.0, 2.0)), ("y", (3.0, -1.0)))
            )
            for step in stage.forward_pass("once"):
                if step.first:
                    left, right = x.load(), y.load()
                    behind = cell.eigenvalues.T * left
                    ahead = cell.eigenvalues * right
                    there = np.sum(stage.see(behind) * stage.see(right), -1)
                    here = np.sum(stage.see(left) * stage.see(ahead), -1)
                    back = stage.see(cell.inverse * behind) - stage.see(left)
                    assert np.allclose(there, here, rtol=1e-5) == exact
                    assert np.allclose(back, 0, atol=1e-5) == exact
    along = gradient("lru", "bptt", episode, on={**shared, "attached": "memory"})
    kept, lost = (distance(gradient("lru", "fpe", episode, on=on), along) for on in (shared, own))
    assert kept < 0.4 * lost


def test_with_a_host_the_backward_pass_is_digital_at_the_target_weights():
    episode, learned = random_episode(), rule("bptt")
    made = built("lru deep", learned, episode, on="pcm_crossbar_in_the_loop", chips=2)
    gradient_of(made, learned, episode)
    batch = made.machine.journal.latest
    backward = next(sweep for sweep in batch.sweeps if sweep.name == "backward")
    formats = [
        record.format
        for trace, _ in backward.runs
        for record in made.machine.journal.traces[trace]
        if record.kind != "dac"
    ]
    late = [record.format for record in made.machine.journal.traces[backward.runs[-1][0]]]
    assert "analog" not in late
    assert formats.count("analog") <= 3 * len(made.layers)  # the last states are converted once
    clean_host = {"like": CLEAN, "attached": "host"}
    exact = gradient("lru deep", "bptt", episode)
    assert distance(gradient("lru deep", "bptt", episode, on=clean_host), exact) < 1e-4


def test_with_memory_alone_the_backward_pass_is_analog():
    episode = random_episode()
    exact = gradient("lru deep", "bptt", episode)
    assert distance(gradient("lru deep", "bptt", episode, on={"like": CLEAN, "attached": "memory"}), exact) < 1e-3


def test_registers_can_be_digital_and_then_are_converted():
    episode = random_episode()
    digital = clean(registers={"classes": []})
    exact = gradient("lru deep", "bptt", episode)
    assert distance(gradient("lru deep", "fpe", episode, on=digital), exact) < 2e-3
    learned = rule("fpe")
    made = built("lru deep", learned, episode, on=digital)
    gradient_of(made, learned, episode)
    assert not any(record.kind == "store" and record.format == "analog" for record in records(made))


def test_effective_bits_follow_from_noise_and_range():
    stage = machines.build(machine_options("pcm_crossbar"))
    assert effective_bits(0.002) == 8  # log2(2 / (0.002 √12)) = 8.17
    assert effective_bits(0.0005) == 10
    assert effective_bits(0) is None
    held = dict(zip(("bits", "technology"), stage.held_as("state"), strict=True))
    assert held == {"bits": 10, "technology": "analog registers"}


def test_the_horizon_counts_mismatch_between_multipliers_that_are_separate():
    def frozen(sharing):
        multiplier = {"mismatch": 0.03}
        parts = {"diagonals": {"forward": multiplier, "transposed": multiplier, "inverse": {"mismatch": 0.04}}}
        options = machine_options({"like": CLEAN, "parts": parts, "sharing": sharing})
        return Precision.of(Sized(machines.build(options), 1.0)).frozen

    assert frozen({}) == close(0.05)
    assert frozen({"inverse": "transposed"}) == close(np.sqrt(2) * 0.03)
    assert frozen({"inverse": "transposed", "transposed": "forward"}) == 0


def test_the_horizon_counts_the_noises_on_the_way_of_an_error_back():
    """Of the tile, of subtraction, of multipliers by the inverse and of storing, as shares of the range of errors."""
    noises = {
        "tiles": {"output_noise": 0.003},
        "functions": {"add": {"noise": 0.005}},
        "diagonals": {"inverse": {"noise": 0.007, "gain_noise": 0.011}},
        "registers": {"noise": 0.013},
        "ranges": {"input": 2.0, "forward": 3.0, "error": 5.0},
    }
    found = machines.build(machine_options(clean(**noises)))
    share = np.sqrt(0.003**2 + 0.005**2 + 0.007**2 + 0.013**2)
    assert Precision.of(Sized(found, 0.5)).fresh == close(np.hypot(5.0 * share / 0.5, 0.011))
    assert Precision.of(Sized(found, 0.0)).fresh == close(0.011)
    exact = machines.build(machine_options(CLEAN))
    assert Precision.of(Sized(exact, 0.5)).fresh == 2.0**-24  # numbers are rounded all the same
    assert Precision.of(Sized(exact, 0.5)).frozen == 0


def test_shared_multipliers_are_one_circuit():
    """Programmed once, held once, one operation at a time."""
    learned, episode = rule("fpe"), random_episode()
    units, held, programmed = [], [], []
    for sharing in ({}, {"transposed": "forward", "inverse": "transposed"}):
        made = built("lru", learned, episode, on={"like": CLEAN, "sharing": sharing})
        gradient_of(made, learned, episode)
        found = [record for record in records(made) if record.kind.endswith("diagonal")]
        units.append({record.unit for record in found})
        held.append({name for name in made.machine.storages if "lambda" in name and "gradient" not in name})
        programmed.append({record.writes for record in records(made) if "lambda" in str(record.writes)})
    assert [len(each) for each in units] == [3, 1]
    assert [len(each) for each in held] == [3, 1]
    assert len(programmed[0]) > len(programmed[1])


def test_a_chip_works_on_one_sequence_at_a_time():
    parts = {"dataflow": {"batch_parallel": 4}}
    with pytest.raises(ConfigError, match="one sequence at a time"):
        machine_options({"like": "pcm_crossbar", "digital": {"like": "digital_45nm", "parts": parts}})


def test_only_what_is_in_a_memory_makes_it_larger_and_leak():
    """Devices, analog registers and coefficient registers are not in static memory."""
    learned, episode = rule("fpe"), random_episode()
    made = built("tanh", learned, episode, on="pcm_crossbar")
    gradient_of(made, learned, episode)
    ledger = made.machine.memory
    assert ledger.most["weight memory"] < sum(h.total_bits for h in ledger.peak_holdings() if "weight" in h.kind)
    assert made.machine.prices().digital.memory.stores["state memory"].banks == 0


@pytest.mark.parametrize("format_", ["float64", "fixed<32,24>"])
def test_a_digital_unit_with_wider_updates_than_analog_values_have_is_refused(format_):
    with pytest.raises(ConfigError, match="at most 24 significant bits"):
        machine_options({"like": "pcm_crossbar", "digital": {"like": "digital_45nm", "update": format_}})


def test_a_network_may_take_all_tiles_that_there_are_and_fills_what_it_takes():
    """One layer of 4 modes, 2 inputs, 5 units, 3 classes: B, V1 and V2, on one tile each."""

    def fill(count):
        tiles = {"rows": 16, "columns": 16, "count": count}
        chip = {"like": "pcm_crossbar", "name": "small", "parts": {"tiles": tiles}}
        return built("lru", rule("one_step"), random_episode(), on=chip).machine.devices.fill

    matrices = 8 * 2 + 5 * 8 + 3 * 5
    assert fill(3) == fill(100) == close(matrices / (3 * 16 * 16))
    with pytest.raises(CapabilityError, match="the network needs 3 tiles of 16 by 16"):
        fill(2)
