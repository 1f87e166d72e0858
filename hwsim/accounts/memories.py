"""The memories of a digital machine, what each holds, and what moves in and out of them."""

from __future__ import annotations

from typing import Literal, NamedTuple

from hwsim.accounts.memory import (
    ACCUMULATORS,
    DELAY,
    INPUT_REPLAY,
    LEARNING,
    MASTER,
    OPTIMIZER,
    STATE,
    TAPE,
    TARGET_REPLAY,
    WEIGHTS,
)

WEIGHT_MEMORY = "weight memory"
GRADIENT_MEMORY = "gradient memory"
STATE_MEMORY = "state memory"
SEQUENCE_MEMORY = "sequence memory"
MEMORIES = {
    WEIGHT_MEMORY: (WEIGHTS, MASTER, OPTIMIZER),
    GRADIENT_MEMORY: (ACCUMULATORS,),
    STATE_MEMORY: (STATE, LEARNING, DELAY),
    SEQUENCE_MEMORY: (TAPE, INPUT_REPLAY, TARGET_REPLAY),
}
"""The memories of a digital machine, and the classes of the memory ledger that each holds.

The memory for sequences also holds operands that wait for those of other steps, which are buffers to the ledger.
"""

BUFFER = "local buffer"
"""The memory in front of the multipliers; it holds copies, and nothing of the memory ledger."""

REGISTERS = "coefficient registers"
"""What holds the few words that circuits multiply by, right beside them."""


class Move(NamedTuple):
    """What moves in or out of a memory, for one sequence in one step.

    Attributes:
        amount: numbers, or bits.
        assumed: whether it was typed in, rather than found from sizes.
        sums: whether these numbers are sums of products, which may have more bits than others.
        bits: of each, if they are indices; otherwise they are as wide as sums, or numbers.
    """

    memory: str
    way: Literal["read", "write"]
    amount: float
    assumed: bool = False
    sums: bool = False
    bits: int | None = None


def memory_of(kind: str) -> str:
    """The memory that holds a class."""
    return next(memory for memory, kinds in MEMORIES.items() if kind in kinds)
