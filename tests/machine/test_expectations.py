"""What reads draw where values are only expected: Σ (x / full scale)² G of the devices, from means."""

from __future__ import annotations

import numpy as np
from conftest import close, machine_options

from hwsim import machines
from hwsim.accounts.memory import STATE
from hwsim.episode import Episode
from hwsim.initial import Initial
from hwsim.machine import Expectations, Matrix, Shapes

CHIPS, ROWS, COLUMNS, BATCH = 2, 10, 7, 3


def test_reads_of_inputs_and_of_other_signals() -> None:
    numerics = Shapes()
    numerics.expected = Expectations(input=0.31, signal=0.0043, conductance=0.17, written=0.07)
    options = machine_options("pcm_crossbar")
    stage = machines.build(options, chips=CHIPS, numerics=numerics)
    matrix = Matrix(stage, "W", "input", Initial((ROWS, COLUMNS), lambda: np.zeros((ROWS, COLUMNS))))
    episode = Episode(np.zeros((BATCH, 1, COLUMNS)), values=np.zeros((BATCH, 1, 1)))
    with stage.showing(episode), stage.workspace() as workspace:
        state = workspace.register("state", COLUMNS, STATE)
        for step in stage.forward_pass("pass"):
            back = matrix.T @ (matrix @ step.input)
            assert (matrix @ state.load()).width == (matrix @ back).width == ROWS
    (activities,) = stage.journal.totals.activities.values()
    device = options.device.conductance
    siemens = 2 * (device.min.value + 0.17 * (device.max.value - device.min.value))  # of a pair
    each = BATCH * ROWS * COLUMNS * siemens
    expected = [each * 0.31, each * 0.0043, each * 0.0043, each * 0.0043]
    assert activities == close(np.repeat(expected, CHIPS).reshape(4, CHIPS), rel=1e-6)
