"""The bytes that a run would take, counted on shapes, in closed form."""

from __future__ import annotations

import numpy as np
from conftest import machine_options

from hwsim import machines
from hwsim.episode import Episode
from hwsim.initial import Initial
from hwsim.machine import Counted, Matrix
from hwsim.machine.counted import HEADER, VALUES, WEIGHTS
from hwsim.machine.machine import meet
from hwsim.machine.shapes import blank
from hwsim.operations import add, gate, solve
from hwsim.units.devices import KEPT, MAKE, PROGRAM
from hwsim.units.function import GAINS, MAKE_BANK
from hwsim.units.mapping import Mapping

CHIPS, ROWS, COLUMNS, BATCH = 3, 10, 7, 2
WHOLE = CHIPS * ROWS * COLUMNS * 4 + HEADER
"""A number of four bytes for each weight of each chip."""


def test_reading_a_matrix_keeps_a_copy_of_weights_and_variances_in_each_direction() -> None:
    numerics = Counted()
    stage = machines.build(machine_options("pcm_crossbar"), chips=CHIPS, numerics=numerics)
    matrix = Matrix(stage, "W", "input", Initial((ROWS, COLUMNS), lambda: np.zeros((ROWS, COLUMNS))))
    live = numerics.gauge.live
    episode = Episode(np.zeros((BATCH, 3, COLUMNS)), values=np.zeros((BATCH, 3, 1)))
    numerics.gauge.kind = VALUES
    begun, seen = live[WEIGHTS], []
    with stage.showing(episode), stage.workspace():
        for step in stage.forward_pass("pass"):
            result = matrix @ step.input
            seen.append(live[WEIGHTS] - begun)
            assert (matrix.T @ result).width == COLUMNS
            seen.append(live[WEIGHTS] - begun)
    assert seen == [2 * WHOLE, *[4 * WHOLE] * 5]


def test_devices_are_their_writes_weights_and_variances_and_more_while_they_are_programmed() -> None:
    numerics = Counted()
    sheet = machine_options("pcm_crossbar").device
    devices = numerics.run(MAKE)(Mapping(sheet, 1.0), blank((CHIPS, 2, ROWS, COLUMNS)))
    kept = numerics.run(KEPT)(devices)
    writes = CHIPS * 2 * ROWS * COLUMNS * 2 + HEADER
    assert numerics.gauge.live[WEIGHTS] == writes + 2 * WHOLE
    numerics.gauge.restart()
    assert len(kept) == 3
    words = 3 * [blank((CHIPS, 1, ROWS * COLUMNS))]
    written, _ = numerics.run(PROGRAM)(devices, *words, [])
    assert numerics.gauge.live[WEIGHTS] == writes + 2 * WHOLE
    assert numerics.gauge.restart()[WEIGHTS] == writes + 2 * WHOLE + 50 * CHIPS * ROWS * COLUMNS
    again, _ = numerics.run(PROGRAM)(devices, *words, [])
    assert (written == 2 * ROWS * COLUMNS).all()  # the first time all of them are written
    assert (again < written).all()


def test_drawing_a_bank_of_circuits_takes_more_for_a_while_than_the_bank() -> None:
    numerics = Counted()
    bank = numerics.run(MAKE_BANK)(1, "tanh", CHIPS, (40,), 0.1, 0.0)
    numerics.run(GAINS)(bank)
    gains = CHIPS * 40 * 4
    assert bank.gains.nbytes == gains
    assert numerics.gauge.live[WEIGHTS] == gains + HEADER
    assert numerics.gauge.restart()[WEIGHTS] == gains + HEADER + 4 * gains // CHIPS + HEADER


def test_solving_takes_operands_and_result_in_double_precision_for_a_while() -> None:
    numerics = Counted()
    jacobian, right = blank((CHIPS, BATCH, 6, 6)), blank((CHIPS, BATCH, 6))
    solution = numerics.functions[solve](jacobian, right)
    assert (solution.shape, solution.dtype) == (right.shape, right.dtype)
    held = right.nbytes + HEADER
    assert sum(numerics.gauge.live.values()) == held
    assert sum(numerics.gauge.restart().values()) == held + 8 * CHIPS * BATCH * 36 + 16 * CHIPS * BATCH * 6


def test_operands_of_compiled_kernels_are_copied_where_they_are_narrower() -> None:
    numerics = Counted()
    shape = (CHIPS, BATCH, 6)
    wide, narrow = blank(shape), blank((CHIPS, BATCH, 1))
    v, w = numerics.alike(gate, wide, narrow)
    assert v is wide
    assert w.shape == shape
    assert sum(numerics.gauge.live.values()) == wide.nbytes + HEADER
    before = sum(numerics.gauge.live.values())
    assert meet(add, wide, narrow, numerics) == (wide, narrow)  # NumPy stretches them itself
    assert sum(numerics.gauge.live.values()) == before
