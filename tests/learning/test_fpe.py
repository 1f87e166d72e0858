"""Forward error propagation with fewer rows of the product at a time, and with series for the inverse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import built, distance, gradient, gradient_of, random_episode, rule
from pydantic import ValidationError

from hwsim.errors import ConfigError
from hwsim.learning import RULES

CELLS = {
    "leaky_tanh": {"name": "leaky_tanh", "units": 5, "leak": 0.2},
    "gru": {"name": "gru", "units": 5},
    "lstm": {"name": "lstm", "units": 3},
}
ACTIVE = [f"layer {number} U" for number in (1, 2, 3)]


def three(cell: str) -> dict[str, Any]:
    return {"layers": [{"cell": CELLS[cell], "readout": {"hidden": [4], "width": 3}}] * 3}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tangents", [1, 2, 4, 5, 9])
def test_rows_in_turn_give_what_the_whole_product_gives(cell: str, tangents: int) -> None:
    """An LSTM nearly forgets h in a step, so its rounding grows fast, and one step has to do."""
    episode = random_episode(steps={"leaky_tanh": 6, "gru": 4, "lstm": 1}[cell])
    whole = gradient(three(cell), "fpe", episode)
    rows = gradient(three(cell), {"name": "fpe", "tangents": tangents}, episode)
    assert distance(rows, whole, ACTIVE) < 1e-12
    assert distance(rows, gradient(three(cell), "bptt", episode), ACTIVE) < 1e-9


@pytest.mark.parametrize(("tangents", "passes"), [(None, 4), (1, 16), (2, 10), (3, 7), (5, 4), (8, 4)])
def test_passes_and_memory_of_rows_in_turn(tangents: int | None, passes: int) -> None:
    learner, episode = rule({"name": "fpe", "tangents": tangents}), random_episode()
    made = built(three("leaky_tanh"), learner, episode)
    gradient_of(made, learner, episode)
    (batch,) = [each for each in made.machine.journal.totals.batches if len(each.sweeps) > 1]
    assert len([sweep for sweep in batch.sweeps if sweep.name.startswith("pass")]) == passes
    assert len(learner.turns(made)) == passes
    with pytest.raises(ConfigError, match=f"{passes + 1} are too many; fpe is exact after {passes}"):
        rule({"name": "fpe", "tangents": tangents, "passes": passes + 1}).check(made)


def test_a_cut_number_of_passes_leaves_lower_layers_without() -> None:
    """With two rows a pass, the top layer warms up in three passes and learns in the fourth."""
    episode = random_episode()
    exact = gradient(three("leaky_tanh"), "bptt", episode)
    for passes in (3, 4):
        found = gradient(three("leaky_tanh"), {"name": "fpe", "tangents": 2, "passes": passes}, episode)
        assert found["layer 3 W"].any() == (passes == 4)
        assert not found["layer 2 W"].any()
        assert distance(found, exact, [name for name in exact if name.startswith("layer 3 V")]) < 1e-10


def test_a_diagonal_product_has_nothing_to_save() -> None:
    learner, episode = rule({"name": "fpe", "tangents": 1}), random_episode()
    assert len(learner.turns(built("lru deep", learner, episode))) == 3


def test_more_terms_of_the_series_come_closer() -> None:
    """Each term is smaller by the norm of I - Jᵀ, which is at most a (1 + gain) here."""
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": 8, "leak": 0.05}, "readout": {"hidden": [4]}}] * 3}
    episode = random_episode(steps=20)
    exact = gradient(network, "bptt", episode)
    missed = [distance(gradient(network, neumann(terms), episode), exact) for terms in (1, 2, 4, 8)]
    assert missed == sorted(missed, reverse=True)
    assert missed[3] < 1e-7 < 1e-3 < missed[0]


def neumann(terms: int) -> dict[str, Any]:
    return {"name": "fpe", "inverse": "neumann", "terms": terms}


def test_one_term_is_two_minus() -> None:
    episode = random_episode()
    one, two_minus = (gradient("tanh stack", each, episode) for each in (neumann(1), "fpe two_minus"))
    assert distance(one, two_minus) < 1e-12


def test_the_series_is_the_sum_of_powers() -> None:
    """One step of one linear mode: λ̄⁻¹ ≈ Σ_k (1 - λ̄)^k for k = 0 … 3, in place of the inverse."""
    episode, network = random_episode(steps=1, batch=1), {"layers": [{"cell": {"name": "lru", "modes": 1}}]}
    found, exact = (gradient(network, each, episode) for each in (neumann(3), "bptt"))
    cell: Any = built(network, rule("bptt"), episode).layers[0].cell
    eigenvalue = complex(*cell.eigenvalues.storage.value[0, 0])
    factor = np.conj(eigenvalue) * sum((1 - np.conj(eigenvalue)) ** k for k in range(4))
    of_b = [complex(*each["layer 1 b"][0]) for each in (found, exact)]
    assert abs(of_b[0] - factor * of_b[1]) < 1e-12 * abs(of_b[1])
    assert abs(of_b[0] - of_b[1]) > 1e-3 * abs(of_b[1])


def test_bad_options_are_refused() -> None:
    options = RULES["fpe"].Options
    for bad in ({"tangents": 0}, {"terms": 0}, {"inverse": "series"}):
        with pytest.raises(ValidationError, match=next(iter(bad))):
            options(name="fpe", **bad)
    with pytest.raises(ValidationError, match="tangents: a trial run needs the whole product"):
        options(name="fpe", tangents=2, warm_up="seed")
