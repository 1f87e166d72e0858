"""What a read of a whole tile takes on published chips, beside what the shipped machines make of it."""

from __future__ import annotations

import pytest
from conftest import close, machine_options

from hwsim.experiments.calibration import PublishedRead, compared, published_reads, sources
from hwsim.experiments.one_read import Read, one_read

FITTED, PREDICTED = 1.05, 1.5
"""By how much an energy may differ, either way."""
READS = [pytest.param(each, id=f"{each.chip}, {each.setting}") for each in published_reads()]


def within(found: float, published: float, factor: float) -> bool:
    return 1 / factor <= found / published <= factor


@pytest.mark.parametrize("published", READS)
def test_a_published_read(published: PublishedRead) -> None:
    found = compared(published)
    limit = FITTED if published.is_ == "fitted" else PREDICTED
    assert within(found.energy, found.published_energy, limit) == (published.is_ != "missed")
    assert (published.is_ == "missed") == (published.because is not None)
    assert published.source in sources()
    if found.published_time is not None:
        assert found.simulated.time == close(
            found.published_time, rel=0.025
        )  # 130 ns, where 132.9 were published of 64 cores


def test_the_chips_are_compared_at_all_that_was_published() -> None:
    listed = [
        (each.chip, each.is_) for each in published_reads() if each.like != "hermes_14nm" or each.chip == "HERMES"
    ]
    assert listed.count(("HERMES", "fitted")) == listed.count(("NeuRRAM", "fitted")) == 1
    assert listed.count(("HERMES", "predicted")) == 2
    assert listed.count(("NeuRRAM", "predicted")) == 7


def test_energies_and_times_of_published_reads() -> None:
    def read(**told: float) -> PublishedRead:
        return PublishedRead.model_validate(
            {"chip": "c", "setting": "s", "is": "fitted", "like": "l", "parts": {}, "source": "x", **told}
        )

    assert read(energy_nj=2, time_ns=3).energy(10) == close(2e-9)
    assert read(energy_nj=2, time_ns=3).time(10) == close(3e-9)
    assert read(tops_per_w=5, tops=2, cores=4).energy(10) == close(2e-12)
    assert read(tops_per_w=5, tops=2, cores=4).time(10) == close(2e-11)
    assert read(pj_per_mac=0.5).energy(10) == close(2.5e-12)
    assert read(pj_per_mac=0.5).time(10) is None


def test_the_power_of_a_core_hardly_depends_on_its_phases() -> None:
    for phases, published in ((1, 0.1011), (4, 0.1014)):
        tiles = {"phases": phases, "weight_range": 1.58}
        options = machine_options({"like": "hermes_14nm", "name": "chip", "parts": {"tiles": tiles}})
        found: Read = one_read(options)
        assert found.energy is not None
        assert within(found.energy / found.time, published, FITTED)
