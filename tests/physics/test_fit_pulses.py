"""Pulse responses that were made up come back: laws, spreads over devices, noise of pulses apart from that of reads."""

from __future__ import annotations

from pathlib import Path

import fits
import numpy as np
import pandas as pd
import pytest
from conftest import close

import hwsim
from hwsim import documents
from hwsim.config import hardware, measured
from hwsim.errors import ConfigError
from hwsim.physics.fits.found import Fit
from hwsim.physics.fits.pulse_filter import follow

SMALL = {"devices": 8, "cycles": 2, "count": 40}


def written(folder: Path, made: pd.DataFrame) -> Path:
    made.to_csv(folder / "pulses.csv", index=False)
    return folder / "pulses.csv"


def found(folder: Path, made: pd.DataFrame) -> Fit:
    return measured.fit(written(folder, made))


def values(fit: Fit) -> dict[str, float]:
    return {each.name: each.value for each in fit.parameters}


def test_intervals_cover_the_law_behind_a_measurement() -> None:
    """200 intervals of 20 fits: at least 175 cover (at 95 %, fewer in less than 1 of 10,000 tests)."""
    rows, falsely = fits.cover("soft bounds", 20, small=True, first=500)
    assert sum(row.fits for row in rows) >= 160
    assert sum(row.fits - row.covered for row in rows) <= 25
    assert falsely <= 4


@pytest.mark.parametrize(
    "kind", ["constant pulses to bounds", "linear pulses to bounds", "power pulses", "exponential pulses"]
)
def test_intervals_of_other_laws_cover(kind: str) -> None:
    """180 or more intervals of 20 fits: 85 % cover (at 95 % of independent ones, fewer in 1 of 10⁶ tests).

    Each number of its own covers in 14 of 20 (fewer in 3 of 10⁵ tests, for each).
    """
    rows, falsely = fits.cover(kind, 20, small=True, first=500)
    assert sum(row.fits for row in rows) >= 180
    assert sum(row.covered for row in rows) >= 0.85 * sum(row.fits for row in rows)
    assert all(row.covered >= 0.7 * row.fits for row in rows)
    assert falsely <= 4


def test_a_device_that_turns_before_its_bound_has_none_where_it_turns(tmp_path: Path) -> None:
    """Devices that stay a fifth above their lower bound are not said to meet one, and bounds spread as they do.

    Reads of such devices are likelier with a bound at the lowest of them than without, by factors of up to 10⁴.
    """
    law = fits.shrinking("linear")
    for seed in (2003, 2010, 2014):
        low = 5 * np.exp(0.1 * np.random.default_rng(seed).normal(size=16))
        made = law(seed)
        far = made.groupby("device")["G (uS)"].min().to_numpy() > 1.2 * low
        fit = found(tmp_path, made)
        assert far.any()
        assert not fit.data.law.met[far, 0].any()
        assert values(fit)["spread of g_min, of its logarithm"] == close(np.log(low).std(ddof=1), rel=0.25)


def test_the_filter_has_the_likelihood_of_all_reads_at_once() -> None:
    """Soft bounds with noise in steps are linear and normal: reads are one normal vector, whose density is known."""
    u, d, low, high, noise, reading = 0.1, 0.2, 0.1, 1.1, 0.3, 0.02
    pulses = np.array([0, 1, 1, 2, -1, -1, 1, -3])
    draw = np.random.default_rng(1)
    read = 0.3 + 0.1 * draw.normal(size=pulses.size)
    mean, spread = [read[0]], [np.array([reading])]  # of x, as a mean and factors of independent numbers
    for count in pulses[1:]:
        m, f = mean[-1], spread[-1]
        for _ in range(abs(count)):
            rate, bound = (u, high) if count > 0 else (d, low)
            m, f = m + rate * (bound - m), np.append((1 - rate) * f, noise * rate * (high - low) / 2)
        mean.append(m)
        spread.append(f)
    factors = np.zeros((pulses.size, spread[-1].size))
    for row, each in enumerate(spread):
        factors[row, : each.size] = each
    covariance = (factors @ factors.T + reading**2 * np.eye(pulses.size))[1:, 1:]
    off = (read - np.array(mean))[1:]
    expected = (np.linalg.slogdet(covariance)[1] + off @ np.linalg.solve(covariance, off)) / 2
    e, v, foretold, loss = np.zeros((4, pulses.size))
    own, shared = np.array([np.log(u), np.log(d), low, high]), np.log([noise, reading])
    fresh = (np.arange(pulses.size) == 0).astype(np.int64)
    follow(1, own, shared, True, True, np.ones(2, bool), read, pulses, fresh, np.ones_like(fresh), e, v, foretold, loss)
    assert float(loss.sum()) == close(expected, rel=1e-9)


@pytest.mark.parametrize("law", ["constant", "linear", "power"])
def test_other_laws_are_told_from_soft_bounds(tmp_path: Path, law: str) -> None:
    """Devices that are pulsed by another law than soft bounds: it is chosen, and comes back with its numbers."""
    draw, rows = np.random.default_rng(3), []
    for device in range(10):
        step, low, high = np.exp(0.2 * draw.normal()) * 1.2, 5 * np.exp(0.1 * draw.normal()), 50.0
        g = low
        for cycle in range(3):
            for pulse in range(100):
                up = pulse < 50
                left = (high - g) / (high - low) if up else (g - low) / (high - low)
                size = {
                    "constant": step,
                    "linear": step * (0.6 + 0.8 * left),
                    "power": 2.5 * step * max(left, 0) ** 2,
                }[law]
                g = float(np.clip(g + (1 if up else -1) * size * (1 + 0.3 * draw.normal()), low, high))
                rows.append((device, cycle, "SET" if up else "RESET", g * (1 + 0.005 * draw.normal())))
    made = pd.DataFrame(rows, columns=["device", "cycle", "polarity", "G_uS"])
    fit = found(tmp_path, made)
    assert f"pulses: {law}, " in fit.laws[0]
    assert values(fit)["noise of a pulse, share of the change"] == close(0.3, rel=0.1)
    assert values(fit)["noise of a read, share of g"] == close(0.005, rel=0.15)
    if law == "power":
        assert values(fit)["exponent γ⁺"] == close(2, rel=0.1)
        assert values(fit)["exponent γ⁻"] == close(2, rel=0.1)
    if law == "constant":
        assert values(fit)["s⁺, a pulse up, median"] == close(1.2e-6, rel=0.25)
    sheet = measured.data_sheet(tmp_path / "pulses.csv").sheet
    assert sheet.update is not None
    assert sheet.update.law == law


def test_noise_of_one_size_is_told_from_noise_in_proportion(tmp_path: Path) -> None:
    draw, rows = np.random.default_rng(4), []
    for device in range(8):
        u, low, high = 0.05 * np.exp(0.2 * draw.normal()), 5.0, 50.0
        g = low
        for pulse in range(240):
            up = pulse % 80 < 40
            g += u * ((high - g) if up else (low - g)) + 1.0 * u * 22.5 * draw.normal()
            rows.append((device, 1 if up else -1, g + 1.0 * draw.normal()))
    fit = found(tmp_path, pd.DataFrame(rows, columns=["device", "sign", "G_uS"]))
    assert values(fit)["noise of a pulse, share of a pulse half way"] == close(1.0, rel=0.1)
    assert values(fit)["noise of a read"] == close(1e-6, rel=0.15)


def test_a_sheet_has_the_law_in_its_own_numbers(tmp_path: Path) -> None:
    """Pulses up of a device without spread or noise follow the fit: x is 0 where up and down cancel."""
    fitted = measured.data_sheet(written(tmp_path, fits.pulses(1, **SMALL)))
    told, law, window = values(fitted.fits[0]), fitted.sheet.update, fitted.sheet.conductance
    assert law is not None
    assert law.law == "soft_bounds"
    per_x = fitted.sheet.window / (law.high - law.low)
    drawn = law.model_copy(update=dict.fromkeys(("step_spread", "up_down_spread", "low_spread", "high_spread"), 0.0))
    of_one = drawn.draw(1, lambda _: np.zeros(1))
    for g in (10e-6, 30e-6, 50e-6):
        x = law.low + (np.array([g]) - window.min.value) / per_x
        up, down = told["u, share of the way to g_max, median"], told["d, share of the way to g_min, median"]
        assert law.change(x, True, of_one) * per_x == close(up * (told["g_max, median"] - g), rel=5e-3)
        assert law.change(x, False, of_one) * per_x == close(down * (g - told["g_min, median"]), rel=5e-3)
    assert law.symmetry(of_one) == close(np.zeros(1), abs=1e-3)


def test_a_sheet_spreads_as_the_devices_do(tmp_path: Path) -> None:
    """Bounds as wide as those that were fitted, and steps at x = 0: made of u, d and bounds, they scatter by more."""
    fitted = measured.data_sheet(written(tmp_path, fits.pulses(1, devices=24, cycles=2, count=40)))
    told, law = values(fitted.fits[0]), fitted.sheet.update
    assert law is not None
    per_x = fitted.sheet.window / (law.high - law.low)
    for name, bound, spread in (("g_max", law.high, law.high_spread), ("g_min", -law.low, law.low_spread)):
        wide = told[f"spread of {name}, of its logarithm"] * told[f"{name}, median"]
        assert spread * bound * per_x == close(wide, rel=0.15)
    drawn = law.draw(20_000, lambda purpose: np.random.default_rng(len(purpose)).standard_normal(20_000))
    made = np.log(drawn.up).std(), np.log(drawn.down).std()
    assert np.mean(made) == close(np.hypot(0.3, 0.25), rel=0.3)  # u by 0.3, and what is left of the way by a quarter


def test_a_fitted_sheet_learns_in_place(tmp_path: Path) -> None:
    measured.write(measured.data_sheet(written(tmp_path, fits.pulses(1, **SMALL))), tmp_path / "mine.yaml")
    experiment = {
        "name": "in_place",
        "task": {"name": "digits", "order": "rows"},
        "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 4, "leak": 0.5}}]},
        "learning": {"name": "rflo"},
        "machine": {"like": "ideal_crossbar", "device": str(tmp_path / "mine.yaml")},
        "training": {
            "optimizer": {"name": "sgd", "rate": 0.01},
            "update": {"name": "in_situ"},
            "batch": 1,
            "steps": 10,
        },
    }
    result = hwsim.run(experiment, out=tmp_path / "out")
    assert result is not None


def test_columns_numbers_and_polarities_of_others_are_read(tmp_path: Path) -> None:
    made = fits.pulses(2, **SMALL)
    plain = found(tmp_path, made)
    volts = made.assign(direction=np.where(made["direction"] == "up", "1,2", "-1,5")).rename(
        columns={"direction": "Voltage (V)", "cycle": "Loop", "G (uS)": "Conductance [µS]"}
    )
    volts.to_csv(tmp_path / "volts.csv", index=False, sep=";", decimal=",")
    assert values(measured.fit(tmp_path / "volts.csv")) == values(plain)
    german = made.rename(columns={"device": "Bauteil", "cycle": "Zyklus", "pulse": "Puls", "direction": "Richtung"})
    german = german.rename(columns={"G (uS)": "Leitwert (µS)"}).replace({"up": "auf", "down": "ab"})
    german.to_csv(tmp_path / "german.csv", index=False, sep=";", decimal=",")
    assert values(measured.fit(tmp_path / "german.csv")) == values(plain)
    anew = made.assign(pulse=made["pulse"] % SMALL["count"])  # numbers that begin anew in each direction
    assert values(found(tmp_path, anew)) == values(plain)
    assert values(found(tmp_path, made.drop(columns=["cycle", "pulse"]))) == values(plain)


def test_reads_after_every_third_pulse_tell_the_same_law(tmp_path: Path) -> None:
    made = fits.pulses(2, devices=8, cycles=4, count=60)
    every, third = found(tmp_path, made), found(tmp_path, made[made["pulse"] % 3 == 2])
    for name in ("u, share of the way to g_max, median", "d, share of the way to g_min, median", "g_max, median"):
        assert values(third)[name] == close(values(every)[name], rel=0.1)
    assert values(third)["noise of a pulse, share of the change"] == close(0.5, rel=0.15)


def test_dead_and_stuck_and_strange_devices_are_named(tmp_path: Path) -> None:
    made = fits.pulses(3, devices=14, cycles=2, count=40)
    made.loc[made["device"] == 2, "G (uS)"] = 0.001
    made.loc[made["device"] == 5, "G (uS)"] = 30 + 0.1 * np.sin(np.arange(160))
    aside = {each.device: each.why for each in found(tmp_path, made).aside}
    assert aside["2"].startswith("dead: reads 1 nS")
    assert aside["5"].startswith("stuck at 30 µS: pulses move it by")
    assert len(aside) == 2
    slow = fits.pulses(3, devices=14, cycles=2, count=40)
    here = slow["device"] == 7
    slow.loc[here, "G (uS)"] *= 6
    assert [each.device for each in found(tmp_path, slow).aside] == ["7"]


def test_devices_that_do_not_work_are_faults_of_the_sheet(tmp_path: Path) -> None:
    """Dead ones conduct nothing, others stay low, high, or in between; 1 of 20 each, and 2 of 20 are high."""
    made = fits.pulses(3, devices=20, cycles=2, count=40)
    for device, reads in ((2, 0.001), (5, 30.0), (6, 5.2), (11, 59.0), (12, 61.0)):
        made.loc[made["device"] == device, "G (uS)"] = reads * (1 + 1e-3 * np.sin(np.arange(160)))
    fitted = measured.data_sheet(written(tmp_path, made))
    faults, law, told = fitted.sheet.faults, fitted.sheet.update, values(fitted.fits[0])
    assert faults is not None
    assert law is not None
    assert (faults.unformed, faults.low, faults.high, law.corrupt) == (0.05, 0.05, 0.1, 0.05)
    assert faults.source == "measurement, 4 of 20 devices"
    window = fitted.sheet.conductance
    x = law.low + (30e-6 - window.min.value) / (fitted.sheet.window / (law.high - law.low))
    assert law.corrupt_range == close(abs(x), rel=1e-2)
    dead = next(each for each in fitted.fits[0].parameters if each.name == "dead devices, share of all")
    assert (dead.low, dead.high) == (close(0.001265, rel=1e-3), close(0.248733, rel=1e-3))  # Clopper and Pearson
    assert told["devices stuck in between, share of all"] == 0.05
    fits.program_and_verify(1, devices=36, reads=5).to_csv(tmp_path / "verify.csv", index=False)
    both = measured.data_sheet([tmp_path / "pulses.csv", tmp_path / "verify.csv"]).sheet.faults
    assert both is not None  # dead ones are those of the file with most devices
    assert (both.unformed, both.low, both.high) == (0.00694, 0.05, 0.1)
    assert both.source == "measurement, 4 of 20 devices in pulses.csv, 3 of 432 devices in verify.csv"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda made: made[made["direction"] == "up"], "pulses.csv:2:1: pulses go up only; a law of pulses needs both"),
        (lambda made: made[made["device"] == 0], "one device only; two or more, such as twenty, tell how devices"),
        (lambda made: made.assign(direction="sideways"), "pulses.csv:2:1: polarity 'sideways': up or down? Known are"),
        (lambda made: made.assign(direction="0"), "polarity '0': up or down?"),
        (
            lambda made: made.assign(direction=made["direction"].map({"up": "down", "down": "up"})),
            "pulses up lower the conductance, and pulses down raise it; are the names",
        ),
        (lambda made: made.assign(**{"G (uS)": -made["G (uS)"]}), "pulses.csv:2:1: a conductance below 0, -"),
        (lambda made: made.assign(pulse=made["pulse"].where(made.index != 9, 3)), "pulses.csv:11:1: pulse 3 of device"),
        (lambda made: made.assign(pulse=made["pulse"] - 1), "pulses.csv:2:1: pulse '-1': must be a whole number"),
        (lambda made: made.assign(cycle=made["cycle"] + 0.5), "cycle '0.5': must be a whole number"),
        (lambda made: made.assign(cycle=[0, 1, 0, *made["cycle"][3:]]), "pulses.csv:4:1: cycle 0 of device '0' goes"),
        (lambda made: made[made["pulse"].isin([0, 1, 78, 79])], "no device has 8 reads or more of pulses up and as"),
        (lambda made: made.rename(columns={"G (uS)": "G"}), "the column 'G' has no unit"),
        (lambda made: made.drop(columns="G (uS)"), "needed for pulses: device, polarity, conductance (S); there: "),
        (lambda made: made.assign(time_s=1.0), "this may be pulses or drift; say --kind pulses"),
    ],
)
def test_what_tells_nothing_is_refused(tmp_path: Path, change: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        found(tmp_path, change(fits.pulses(1, **SMALL)))  # type: ignore[operator]
    assert said in str(caught.value)


def test_one_cycle_and_few_devices_are_said(tmp_path: Path) -> None:
    fit = found(tmp_path, fits.pulses(1, devices=4, cycles=1, count=60))
    assert "chosen of constant, soft_bounds, linear, power, exponential on Schwarz's criterion" in fit.laws[0]
    assert fit.remarks[0].startswith("4 devices tell spreads over devices to ± 80 %")
    assert fit.remarks[1].startswith("one cycle of each device")


def test_several_files_make_one_sheet(tmp_path: Path) -> None:
    """The range of conductance is that of pulses, and the error of programming, counted from it, stays what it was."""
    fits.program_and_verify(1, devices=20, reads=5, dead=0).to_csv(tmp_path / "verify.csv", index=False)
    fits.drift(1).to_csv(tmp_path / "drift.csv", index=False)
    fits.pulses(1, **SMALL).to_csv(tmp_path / "pulses.csv", index=False)
    alone = measured.data_sheet(tmp_path / "verify.csv").sheet
    files = [tmp_path / name for name in ("drift.csv", "pulses.csv", "verify.csv")]
    fitted = measured.data_sheet(files, "mine", "wafer 7")
    sheet, g = fitted.sheet, np.linspace(10e-6, 50e-6, 5)
    assert sheet.update is not None
    assert sheet.drift is not None
    assert sheet.conductance.max.value != alone.conductance.max.value
    assert sheet.programming_error(g) == close(alone.programming_error(g), rel=2e-3)
    assert sheet.read_error(g) == close(alone.read_error(g), rel=2e-3)
    assert sheet.sources == {"measurement": "wafer 7 (drift.csv, pulses.csv, verify.csv)"}
    reloaded = hardware.device(documents.parse(measured.text(fitted), "mine"))
    assert reloaded == sheet
    with pytest.raises(ConfigError, match="are both of drift; a data sheet is of one file of each kind"):
        measured.data_sheet([files[0], *files])


def test_a_wait_of_a_sheet_begins_at_the_first_read(tmp_path: Path) -> None:
    """What is left after a wait is what the fit has at that time after programming: waits begin 20 s after it."""
    fits.program_and_verify(1, devices=20, reads=5, dead=0).to_csv(tmp_path / "verify.csv", index=False)
    fits.drift(1).to_csv(tmp_path / "drift.csv", index=False)
    sheet = measured.data_sheet([tmp_path / "verify.csv", tmp_path / "drift.csv"]).sheet
    fit = measured.fit(tmp_path / "drift.csv")
    g = sheet.drifted(np.array([20e-6]), np.zeros(1), 1e5 - 20)
    assert g == close(20e-6 * (1e5 / 20) ** -values(fit)["drift, mean of ν"], rel=1e-4)
