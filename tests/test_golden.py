"""Rules give what they gave before on each machine: records, energy, time, memory, and values but for rounding.

Every two of a rule, a network and a machine meet in a case; `python tests/golden.py` carries all cases out.
"""

from __future__ import annotations

from pathlib import Path

import golden
import pytest
from conftest import RULES, in_pairs
from golden import CASES, Case, Row


@pytest.fixture(scope="module")
def kept() -> dict[tuple[Case, str], Row]:
    return golden.kept()


HELD = in_pairs(CASES)


@pytest.mark.parametrize(("network", "machine"), dict.fromkeys((case.network, case.machine) for case in HELD))
def test_what_was_found_before_is_found_again(
    network: str, machine: str, kept: dict[tuple[Case, str], Row], tmp_path: Path
) -> None:
    # where the last bit of a product moves a converter to its next step, values move by much more than that bit
    tolerance = {"sum": 1e-6, "value": 0.05 if golden.analog(machine) else 1e-6}
    cases = [case for case in HELD if (case.network, case.machine) == (network, machine)]
    now = [row for case in cases for row in golden.rows(case, tmp_path / str(case))]
    assert golden.differences(now, kept, tolerance) == []


def test_every_rule_is_held_to_something() -> None:
    assert {case.rule for case in HELD} == RULES.keys()
