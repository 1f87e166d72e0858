"""Deployment: the trained chips wait, and are tested at each age."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from hwsim.quantities import Time


class Repair(BaseModel, extra="forbid"):
    """Learn on, with devices that have drifted."""

    steps: Annotated[int, Field(ge=1, description="updates, with batches from the start of the training set")]
    rate: Annotated[
        float | None,
        Field(gt=0, allow_inf_nan=False, description="constant learning rate; by default that of `training`"),
    ] = None


class Deploy(BaseModel, extra="forbid"):
    """Let the devices drift after training, and test at each age."""

    after: Annotated[
        list[Time],
        Field(
            min_length=1, description="waits since the devices were written, each followed by a test; in rising order"
        ),
    ]
    compensation: Annotated[
        Literal["none", "global"],
        Field(
            description="whether there is a second test at each age, with outputs of each matrix multiplied by one "
            "factor: what all of its devices conducted together before the wait, over what they conduct then"
        ),
    ] = "none"
    repair: Annotated[
        Repair | None,
        Field(
            description="learning goes on at each age for some updates, from the end of training and without the "
            "factors of `compensation`, and there is a test after it"
        ),
    ] = None

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if any(later <= earlier for earlier, later in pairwise(self.after)):
            raise ValueError("after: needs waits in rising order, each once, such as [1 s, 1 h, 1 day]")
        return self
