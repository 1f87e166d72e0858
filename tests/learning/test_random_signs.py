"""Unbiased rules against their definitions in NumPy with the same signs, and the error of their mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import SPARSE, built, distance, gradient, gradient_of, perturb, random_episode, rule
from equations import Path

from hwsim.episode import Episode
from hwsim.errors import CapabilityError
from hwsim.machine import Machine
from hwsim.networks import Network
from hwsim.operations import signs

CELLS: dict[str, dict[str, Any]] = {
    "tanh": {"name": "leaky_tanh", "units": 4, "leak": 0.3},
    "gru": {"name": "gru", "units": 3},
    "lstm": {"name": "lstm", "units": 3},
}
GROUPS = {"tanh": [("W", "U", "b")], "gru": [("W",), ("U", "b")], "lstm": [("W", "U", "b")]}
"""Parameters that enter the state by the same rows, in the order in which signs are drawn."""
EPSILON = 1e-7


def moved(cell: dict[str, Any], learner: str, episode: Episode) -> Network:
    made = built({"layers": [{"cell": cell}]}, rule(learner), episode, seed=5)
    perturb(made)
    return made


def noted(stage: Machine) -> list[np.ndarray]:
    """All signs that the machine draws from now on, `(batch, n)`, in order."""
    drawn, draw = [], stage.functions[signs]

    def noting(*words: Any) -> Any:
        value = draw(*words)
        drawn.append(value[0].copy())
        return value

    stage.functions[signs] = noting
    return drawn


def size(*arrays: np.ndarray) -> float:
    return float(np.sqrt(sum((each**2).sum() for each in arrays))) + EPSILON


def uoro(path: Path, drawn: list[np.ndarray], name: str) -> dict[str, np.ndarray]:
    """s ← ρ₀ J s + ρ₁ ν, θ̃ ← θ̃ / ρ₀ + Fᵀν / ρ₁, with one sign per wire and step."""
    sums: dict[str, Any] = {}
    s, theta = np.zeros(len(drawn[0])), {key: np.zeros(F.shape[1:]) for key, F in path.steps[0][1].items()}
    for (J, F, g, _, _), nu in zip(path.steps, drawn, strict=True):
        fresh = {key: np.tensordot(nu, F[key], 1) for key in theta}
        rho_0 = np.sqrt(size(*theta.values()) / size(J @ s))
        rho_1 = np.sqrt(size(*fresh.values()) / np.sqrt(len(nu)))
        s = rho_0 * (J @ s) + rho_1 * nu
        theta = {key: theta[key] / rho_0 + fresh[key] / rho_1 for key in theta}
        sums = {key: sums.get(key, 0) + (g @ s) * theta[key] for key in theta}
    return sums


def kf_rtrl(path: Path, drawn: list[np.ndarray], name: str) -> dict[str, np.ndarray]:
    """u ← c₁p₁u + c₂p₂z, A ← c₁JA/p₁ + c₂D/p₂ for each group of parameters, whose F is z ⊗ D."""
    sums: dict[str, Any] = {}
    for number, group in enumerate(GROUPS[name]):
        u: Any = 0.0
        A: Any = 0.0
        h_before = [np.zeros_like(path.steps[0][4]), *(each[4] for each in path.steps[:-1])]
        for (J, F, g, _, _), (c_1, c_2) in zip(path.steps, drawn[number :: len(GROUPS[name])], strict=True):
            parts = [F[key].reshape(*F[key].shape[:2], -1) for key in group]  # wires, rows, columns
            whole = np.concatenate(parts, 2)
            before = h_before.pop(0)
            if "b" in group:  # whose column is 1
                D = parts[-1][:, :, 0]
                wire, row = np.unravel_index(np.abs(D).argmax(), D.shape)
                z = whole[wire, row] / D[wire, row]
            else:
                D, z = slopes_of_a_gru(path.p, before, path.inputs[len(path.steps) - len(h_before) - 1]), before
            np.testing.assert_allclose(whole, D[:, :, None] * z, atol=1e-12)
            H = J @ A if np.ndim(A) else np.zeros_like(D)
            u = u if np.ndim(u) else np.zeros_like(z)
            p_1, p_2 = np.sqrt(size(H) / size(u)), np.sqrt(size(D) / size(z))
            u, A = c_1 * p_1 * u + c_2 * p_2 * z, c_1 * H / p_1 + c_2 * D / p_2
            start = 0
            for key, part in zip(group, parts, strict=True):
                share = np.outer(A.T @ g, u[start : start + part.shape[2]]).reshape(F[key].shape[1:])
                sums[key], start = sums.get(key, 0) + share, start + part.shape[2]
    return sums


def slopes_of_a_gru(p: dict[str, np.ndarray], h: np.ndarray, x: np.ndarray) -> np.ndarray:
    """∂h'/∂(W h), one column for each row of W."""
    n = len(h)
    w, v = p["W"] @ h, p["U"] @ x + p["b"]
    z, r = (1 / (1 + np.exp(-(w + v)[k * n : (k + 1) * n])) for k in (0, 1))
    c = np.tanh(v[2 * n :] + r * w[2 * n :])
    slope = z * (1 - c**2)
    return np.hstack([np.diag((c - h) * z * (1 - z)), np.diag(slope * w[2 * n :] * r * (1 - r)), np.diag(slope * r)])


DEFINITIONS = {"uoro": uoro, "kf_rtrl": kf_rtrl}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("learner", DEFINITIONS)
def test_it_is_what_its_definition_gives_with_the_same_signs(learner: str, name: str) -> None:
    episode = random_episode(2, batch=2, steps=5, target="values")
    made = moved(CELLS[name], learner, episode)
    p = {each.name.removeprefix("layer 1 "): each.values[0].copy() for each in made.trainables}
    drawn, wanted = noted(made.machine), dict[str, Any]()
    mine = gradient_of(made, rule(learner), episode)
    assert {tuple(np.unique(each)) for each in drawn} <= {(-1.0, 1.0), (-1.0,), (1.0,)}
    for row in range(episode.batch):
        assert episode.values is not None
        path = Path(CELLS[name], p, episode.inputs[row], episode.values[row])
        each = DEFINITIONS[learner](path, [signs[row] for signs in drawn], name)
        wanted = {key: wanted.get(key, 0) + value for key, value in each.items()}
    assert distance({key: mine[f"layer 1 {key}"][0] for key in wanted}, wanted) < 1e-9


@pytest.mark.parametrize("learner", DEFINITIONS)
def test_signs_are_fresh_for_each_step_sequence_and_chip(learner: str) -> None:
    episode = random_episode(2, batch=40, steps=20, target="values")
    made = built({"layers": [{"cell": CELLS["tanh"]}]}, rule(learner), episode, chips=2)
    drawn, draw = list[np.ndarray](), made.machine.functions[signs]
    made.machine.functions[signs] = lambda *words: drawn.append(draw(*words)) or drawn[-1]  # type: ignore[func-returns-value]
    for _ in range(2):
        gradient_of(made, rule(learner), episode)
    values = np.stack(drawn).astype(float)  # step, chip, sequence, wire
    assert abs(values.mean()) < 5 / np.sqrt(values.size)  # false alarms: one in 1.7 million
    for axis in range(4):
        for shift in range(1, values.shape[axis]):
            product = (values * np.roll(values, shift, axis)).mean()
            assert abs(product) < 5 / np.sqrt(values.size / 2), (axis, shift)


@pytest.mark.parametrize(
    ("learner", "name"), [("uoro", "tanh"), ("uoro", "gru"), ("uoro", "lru"), ("kf_rtrl", "tanh"), ("kf_rtrl", "gru")]
)
def test_the_error_of_the_mean_falls_with_the_root_of_the_number_of_draws(learner: str, name: str) -> None:
    """Copies of a sequence in a batch draw signs of their own; 20 chips give 20 means of 100, 400 and 1600 draws.

    If the rule is unbiased, the slope is -1/2.
    """
    cell = CELLS.get(name, {"name": "lru", "modes": 3, "r_min": 0.5})
    one, errors, network = random_episode(2, batch=1, steps=4, target="values"), [], {"layers": [{"cell": cell}]}
    exact = gradient(network, "rtrl", one, seed=5)
    names = [key for key in exact if " V" not in key]
    for draws in (100, 400, 1600):
        assert one.values is not None
        many = Episode(np.repeat(one.inputs, draws, 0), values=np.repeat(one.values, draws, 0))
        found = gradient(network, learner, many, chips=20, seed=5)
        errors.append(np.sqrt(sum(((found[key] / draws - exact[key]) ** 2).sum() for key in names)))
    print(learner, name, np.diff(np.log(errors)) / np.log(4))
    assert -0.6 < np.log(errors[2] / errors[0]) / np.log(16) < -0.4


def test_kf_rtrl_keeps_what_a_diagonal_cell_has() -> None:
    episode = random_episode()
    assert distance(gradient("lru", "kf_rtrl", episode), gradient("lru", "rtrl", episode)) == 0


def test_kf_rtrl_refuses_sparse_matrices() -> None:
    with pytest.raises(CapabilityError, match=r"layer 1 has a sparse one; leave out fan_in, or take `snap`"):
        rule("kf_rtrl").check(built(SPARSE, rule("kf_rtrl"), random_episode()))


def test_uoro_takes_sparse_matrices() -> None:
    found = gradient(SPARSE, "uoro", random_episode())
    assert all(value.any() and np.isfinite(value).all() for value in found.values())
