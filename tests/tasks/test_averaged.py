"""Classifiers without memory: closed forms, and an independent solution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import close

from hwsim.episode import Episode
from hwsim.tasks import Dataset, averaged


def masked(seed: int = 0, count: int = 60) -> Episode:
    """Noise of different length; behind its end a sequence holds what must not count."""
    draw = np.random.default_rng(seed)
    mask = np.arange(7) < draw.integers(1, 8, (count, 1))
    labels = np.arange(count) % 3
    inputs = draw.normal(size=(count, 7, 4)) + np.eye(4)[labels][:, None]
    return Episode(np.where(mask[:, :, None], inputs, 1e6), labels, classes=3, mask=mask)


def test_averages_end_where_a_sequence_does_and_have_deviation_1() -> None:
    episode = masked()
    assert episode.mask is not None
    means = np.array([each[within].mean(0) for each, within in zip(episode.inputs, episode.mask, strict=True)])
    found = averaged.averages(Dataset(episode, masked(1)), episode)
    np.testing.assert_allclose(found, (means - means.mean(0)) / means.std(0), atol=1e-12)
    assert np.abs(averaged.averages(Dataset(episode, masked(1)), masked(1)).mean(0)).max() > 0.01  # not by its own


def test_a_loss_at_the_end_alone_leaves_the_averages() -> None:
    episode = masked()
    np.testing.assert_array_equal(
        averaged.averages(Dataset(episode, episode), episode.at_ends()),
        averaged.averages(Dataset(episode, episode), episode),
    )


def test_the_classifier_solves_its_least_squares() -> None:
    """The same accuracy as by least squares of a larger system, whose last rows are the penalty."""
    data = Dataset(masked(0, 60), masked(1, 200))
    train, test = (averaged.averages(data, each) for each in data)
    assert data.train.labels is not None
    rows = np.vstack([np.c_[train, np.ones(60)], np.c_[np.sqrt(0.06) * np.eye(4), np.zeros(4)]])
    wanted = np.vstack([np.eye(3)[data.train.labels], np.zeros((4, 3))])
    weights = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    expected = (np.c_[test, np.ones(200)] @ weights).argmax(1) == data.test.labels
    assert averaged.linear(data) == close(expected.mean(), rel=1e-15)
    assert 0.5 < averaged.linear(data) < 1


def test_random_features_find_what_no_line_does() -> None:
    """Four groups of points at the corners of a square, two opposite ones alike: a line finds half of them."""
    draw = np.random.default_rng(0)

    def episode(count: int) -> Episode:
        corners = draw.choice([-1.0, 1.0], (count, 2))
        inputs = np.repeat((corners + draw.normal(0, 0.1, (count, 2)))[:, None], 3, 1)
        return Episode(inputs, (corners.prod(1) > 0).astype(int), classes=2)

    data = Dataset(episode(400), episode(200))
    assert averaged.linear(data) < 0.7
    assert averaged.random_features(data, 100, 0) > 0.95
    assert averaged.random_features(data, 100, 0) == averaged.random_features(data, 100, 0)


def test_a_wire_that_never_changes_does_no_harm() -> None:
    episode = masked()
    constant = np.concatenate([episode.inputs, np.full((60, 7, 1), 0.1)], 2)
    assert averaged.linear(Dataset(*(replace(episode, inputs=constant),) * 2)) == averaged.linear(
        Dataset(episode, episode)
    )


def test_a_task_without_a_class_per_sequence_is_refused() -> None:
    episode = Episode(np.zeros((2, 3, 1)), np.zeros((2, 3), int), classes=2)
    with pytest.raises(ValueError, match="one class per sequence"):
        averaged.linear(Dataset(episode, episode))
