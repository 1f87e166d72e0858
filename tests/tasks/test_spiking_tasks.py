"""Store and recall, and pattern generation: what is asked for, and how often it comes."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from conftest import close
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from hwsim import streams, tasks
from hwsim.tasks import Dataset, pattern_generation, store_and_recall
from hwsim.tasks.store_and_recall import RECALL, STORE

OPTIONS = TypeAdapter(tasks.AnyOptions)
ONE_IN_A_MILLION = 1e-6


def build(name: str, seed: int = 0, **options: Any) -> Dataset:
    return tasks.build(OPTIONS.validate_python({"name": name, **options}), seed)


def recall(**options: Any) -> Any:
    return OPTIONS.validate_python({"name": "store_and_recall", **options})


# ---- store and recall ----------------------------------------------------------------------------------------


def allowed(symbols: int, delay: float) -> dict[tuple[int, ...], float]:
    """Every sequence of cues that has a recall and none without answer, and its probability among those.

    Written as what a reader of the task's description would enumerate: each symbol is a chance for a cue, but for the
    one behind a store.
    """
    p, found = 1 / (1 + delay), {}
    for cues in product((-1, STORE, RECALL), repeat=symbols):
        stands = [cue for cue in cues if cue >= 0]
        if not stands or stands != [STORE, RECALL] * (len(stands) // 2):
            continue
        if any(cues[at] == STORE and cues[at + 1] == RECALL for at in range(symbols - 1)):
            continue
        chance = 1.0
        for at, cue in enumerate(cues):
            if at and cues[at - 1] == STORE:
                continue  # no chance is taken here
            chance *= 1 - p if cue < 0 else p
        found[cues] = chance
    total = sum(found.values())
    return {cues: chance / total for cues, chance in found.items()}


@pytest.mark.parametrize(("symbols", "delay"), [(3, 1.0), (6, 2.0), (8, 6.0)])
def test_cues_come_as_often_as_they_should(symbols: int, delay: float) -> None:
    """Counts of all sequences with an expectation of 5 at least, by χ²."""
    chances = allowed(symbols, delay)
    drawn = store_and_recall.cued(recall(symbols=symbols, delay=delay), streams.generator(1, "cues"), 20_000)
    counts = dict.fromkeys(chances, 0)
    for row in drawn.tolist():
        counts[tuple(row)] += 1  # another one would be a KeyError
    common = [cues for cues, chance in chances.items() if chance * len(drawn) >= 5]
    observed = [counts[cues] for cues in common]
    expected = np.array([chances[cues] for cues in common]) * len(drawn)
    rest = len(drawn) - sum(observed), len(drawn) - expected.sum()
    if rest[1] > 1e-6:
        observed, expected = [*observed, rest[0]], np.append(expected, rest[1])
    if len(observed) > 1:
        assert stats.chisquare(observed, expected).pvalue > ONE_IN_A_MILLION


def test_the_only_sequence_of_three_symbols_has_its_cues_at_both_ends() -> None:
    assert allowed(3, 1.0) == {(STORE, -1, RECALL): 1.0}


def test_symbols_are_shown_by_their_groups_and_bits_are_to_be_recalled() -> None:
    """With a spike in every step, groups of wires show bits and cues; the answer is what stood with the last store."""
    for episode in build("store_and_recall", symbols=9, duration=3, inputs=8, rate=1.0, delay=2, train=200, test=20):
        assert episode.labels is not None
        assert episode.mask is not None
        assert episode.inputs.shape[1:] == (27, 8)
        shown = episode.inputs.reshape(-1, 9, 3, 4, 2)
        np.testing.assert_array_equal(shown, np.broadcast_to(shown[:, :, :1, :, :1], shown.shape))
        zero, one, store, ask = np.moveaxis(shown[:, :, 0, :, 0], 2, 0)
        np.testing.assert_array_equal(zero + one + ask, 1)  # a bit, but for recalls
        assert not (store * ask).any()
        np.testing.assert_array_equal(episode.mask.reshape(-1, 9, 3), (ask[:, :, None] == 1).repeat(3, 2))
        assert episode.mask.any(1).all()
        for sequence in range(episode.batch):
            kept = -1
            for symbol in range(9):
                if store[sequence, symbol]:
                    kept = int(one[sequence, symbol])
                if ask[sequence, symbol]:
                    assert episode.labels[sequence, 3 * symbol : 3 * symbol + 3].tolist() == [kept] * 3


def test_wires_of_active_groups_spike_at_their_rate_and_others_not() -> None:
    episode = build("store_and_recall", train=20, test=1).train
    per_symbol = episode.inputs.reshape(20, 12, 200, 4, 25).sum((2, 4))
    active = per_symbol[per_symbol > 0]  # a group without spikes in 5000 chances of 5 % would be a wonder
    assert stats.binomtest(int(active.sum()), 5000 * len(active), 0.05).pvalue > ONE_IN_A_MILLION
    spread = stats.chisquare(active, np.full(len(active), active.mean()), ddof=0).statistic / 0.95
    assert ONE_IN_A_MILLION < stats.chi2(len(active) - 1).cdf(spread) < 1 - ONE_IN_A_MILLION


def test_stored_bits_are_fair() -> None:
    episode = build("store_and_recall", duration=1, inputs=4, train=4000, test=1).train
    assert episode.labels is not None
    last = episode.labels[np.arange(4000), episode.ends]
    assert stats.binomtest(int(last.sum()), 4000).pvalue > ONE_IN_A_MILLION


def test_what_store_and_recall_refuses() -> None:
    with pytest.raises(ValidationError, match="inputs: 10 wires are not four groups of equal size"):
        recall(inputs=10)
    with pytest.raises(ValidationError, match="delay: 5000 symbols between cues are too many for sequences of 12"):
        recall(delay=5000)


# ---- pattern generation --------------------------------------------------------------------------------------


def test_targets_are_four_sines_of_stated_sizes() -> None:
    """Of a whole second, the discrete Fourier transform has the four frequencies, and a mean, and nothing else."""
    episode = build("pattern_generation", patterns=50, outputs=4, steps=100).train
    assert episode.values is not None
    assert episode.values.shape == (50, 100, 4)
    np.testing.assert_array_equal(episode.values[:, 0], 0)
    np.testing.assert_allclose(np.abs(episode.values).max(1), 1, rtol=1e-14)
    spectrum = np.abs(np.fft.rfft(episode.values, axis=1)) / 50
    tones = spectrum[:, [1, 2, 3, 5]]
    assert np.delete(spectrum, [0, 1, 2, 3, 5], axis=1).max() < 1e-12
    ratios = tones[:, :1] / tones[:, 1:]
    assert ratios.min() > 0.5 / 2.0
    assert ratios.max() < 2.0 / 0.5


def test_a_curve_is_what_its_numbers_say() -> None:
    amplitudes, phases = np.array([0.5, 1.0, 1.5, 2.0]), np.array([0.1, 0.2, 0.3, 0.4])
    found = pattern_generation.curves(amplitudes.reshape(1, 1, 1, 4), phases.reshape(1, 1, 1, 4), 8)[0, :, 0]
    by_hand = [
        sum(a * np.sin(2 * np.pi * f * t / 8 + p) for a, f, p in zip(amplitudes, (1, 2, 3, 5), phases, strict=True))
        for t in range(8)
    ]
    by_hand = np.array(by_hand) - by_hand[0]
    np.testing.assert_allclose(found, by_hand / np.abs(by_hand).max(), rtol=1e-12, atol=1e-15)


def test_inputs_are_frozen_noise_of_the_stated_rate() -> None:
    data = build("pattern_generation", patterns=4)
    assert data.train is data.test
    spikes = data.train.inputs
    assert spikes.shape == (4, 1000, 100)
    assert stats.binomtest(int(spikes.sum()), spikes.size, 0.05).pvalue > ONE_IN_A_MILLION
    pairs = np.histogram2d(spikes[:, 1:].ravel(), spikes[:, :-1].ravel(), 2)[0]
    assert stats.chi2_contingency(pairs).pvalue > ONE_IN_A_MILLION
    assert spikes.mean() == close(0.05, abs=0.005)


def test_amplitudes_and_phases_are_uniform() -> None:
    """Before scaling, amplitudes are of 0.5 to 2: the ratio of two of them has the distribution of a quotient."""
    episode = build("pattern_generation", patterns=4000, steps=20, inputs=1).train
    assert episode.values is not None
    tones = np.fft.rfft(episode.values[:, :, 0], axis=1)[:, [1, 2, 3, 5]]
    draw = np.random.default_rng(0).uniform(0.5, 2, (2, 100_000))
    ratio = np.abs(tones[:, 0] / tones[:, 3])
    assert stats.ks_2samp(ratio, draw[0] / draw[1]).pvalue > ONE_IN_A_MILLION
    assert 0.25 < ratio.min() < 0.29  # 20 of them are expected to be smaller, and none is once in 10⁸
    for tone in tones.T:
        assert stats.kstest(np.angle(tone), "uniform", (-np.pi, 2 * np.pi)).pvalue > ONE_IN_A_MILLION


@pytest.mark.parametrize("options", [{"name": "pattern_generation", "patterns": 3, "outputs": 2, "steps": 30}])
def test_outlines_are_the_shapes_of_the_data(options: dict[str, Any]) -> None:
    for chosen in (OPTIONS.validate_python(options), recall(duration=5, train=7, test=3)):
        for outline, episode in zip(tasks.outline(chosen), tasks.build(chosen, 0), strict=True):
            assert outline.inputs.shape == episode.inputs.shape
            assert (outline.masked, outline.outputs, outline.target_per_step) == (
                episode.masked,
                episode.outputs,
                episode.target_per_step,
            )
