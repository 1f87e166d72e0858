"""`fpe` and `bptt` learn in lockstep: the first 24 updates of `benchmarks/lockstep.py`, on images that are shipped.

Digits of 8 by 8 pixels, blown up to 28 by 28, stand in for MNIST: 98 steps of eight averaged pixels, as in MNIST98.
"""

import numpy as np
from lockstep import apart, batches
from mnist98 import Learner

from hwsim import tasks
from hwsim.episode import Episode


def blown_up(episode):
    images = np.kron(episode.inputs, np.ones((3, 3)))
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    return Episode(images.reshape(-1, 98, 8).mean(2)[..., None], episode.labels, classes=10)


def test_two_dozen_updates_leave_the_weights_together():
    digits = tasks.build(tasks.TASKS["digits"].Options(name="digits"), 1)
    data = tasks.Dataset(blown_up(digits.train), blown_up(digits.test))
    bptt, fpe = (Learner(rule, seed=1) for rule in ("bptt", "fpe"))
    start, stream = fpe.weights(), batches(data, 1)
    for _ in range(24):
        episode = next(stream)
        bptt.learn(episode)
        fpe.learn(episode)
    assert apart(fpe, bptt, start) <= 1e-9
    assert np.linalg.norm(fpe.weights() - start) > 0.1 * np.linalg.norm(start) / 10  # they did move
