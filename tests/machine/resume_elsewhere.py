"""Goes on from snapshots in a process of its own: `python resume_elsewhere.py CASES RESULTS`."""

import pickle
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from conftest import built, gradient_of, machine_options, random_episode, rule

from hwsim import machines
from hwsim.machine import resume


def resumed(case):
    """The gradient that a new machine finds when it goes on from a snapshot."""
    learner, episode = rule(case["rule"]), random_episode(steps=case["steps"])
    stage = machines.build(machine_options(case["machine"]), chips=2, seed=3)
    resume(stage, case["snapshot"])
    made = built(case["network"], learner, episode, stage=stage)
    with np.errstate(all="ignore"):
        return gradient_of(made, learner, episode)


if __name__ == "__main__":
    cases = pickle.loads(Path(sys.argv[1]).read_bytes())
    Path(sys.argv[2]).write_bytes(pickle.dumps([resumed(case) for case in cases]))
