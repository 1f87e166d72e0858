"""What classifiers of averages over time give: what a network has to beat for its dynamics to count."""

from __future__ import annotations

from statistics import median
from typing import Any

from hwsim.tasks import Dataset, averaged

TASKS = "csv", "events", "japanese_vowels", "spoken_digits"
"""Tasks whose inputs are recordings of one class each, so that an average over time says much of it."""
FEATURES, SEEDS = 256, 5
_MOST = 200_000_000
"""Values of the inputs, beyond which it takes more than a second or two, and is left out."""


def averages(task: str, data: Dataset) -> dict[str, Any] | None:
    """Accuracies of a linear map of inputs averaged over time, and of random features of them.

    Returns:
        None for other tasks, and where sequences have no class of their own, or go on from one another.
    """
    labels = data.train.labels
    if task not in TASKS or labels is None or labels.ndim == 2 or data.train.lanes:
        return None
    if data.train.inputs.size + data.test.inputs.size > _MOST:
        return None
    found = [averaged.random_features(data, FEATURES, seed) for seed in range(SEEDS)]
    return {
        "accuracy": averaged.linear(data),
        "features": FEATURES,
        "features_accuracy": median(found),
        "seeds": list(range(SEEDS)),
    }
