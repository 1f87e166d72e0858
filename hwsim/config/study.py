"""A study: an experiment, what varies in it, and what is to be drawn of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, field_validator, model_validator

from hwsim.columns import PROGRESS
from hwsim.config.experiment import Name, Whole

Key = Annotated[str, Field(pattern=r"^[^.]+(\.[^.]+)*$", description="dotted, as in network.layers.0.cell.r_min")]
Seed = Annotated[int, Field(ge=0, lt=2**63)]

MOST = 2**53
"""Of seeds, and of random points; what is more has no numbers that tables could hold."""


class Axis(BaseModel, extra="forbid"):
    """What varies along one axis: one key or several with the same value, or several that change together."""

    key: Annotated[Key | None, Field(description="what varies, if that is not the name of the axis")] = None
    keys: Annotated[list[Key] | None, Field(min_length=1, description="several keys with the same value")] = None
    values: Annotated[list[Any] | None, Field(min_length=1, description="of the key or keys, one a point")] = None
    zip: Annotated[dict[Key, list[Any]] | None, Field(min_length=1, description="a list of values for each key")] = None
    labels: Annotated[list[str | int | float] | None, Field(description="what tables and figures call the points")] = (
        None
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        return {"values": data} if isinstance(data, list) else data

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.values is None) == (self.zip is None):
            raise ValueError("give either values, for a key or keys, or zip with a list of values for each key")
        if self.zip is not None and (self.key or self.keys):
            raise ValueError("lists in zip stand under their keys; leave key and keys out")
        if self.key is not None and self.keys is not None:
            raise ValueError("give either key or keys")
        if self.zip is not None and len({len(values) for values in self.zip.values()}) > 1:
            counts = ", ".join(f"{key}: {len(values)}" for key, values in self.zip.items())
            raise ValueError(f"zipped lists need the same length; {counts}")
        if len(self) == 0:
            raise ValueError("no values")
        if self.labels is not None and len(self.labels) != len(self):
            raise ValueError(f"{len(self.labels)} labels for {len(self)} points")
        if self.labels is not None and len(set(map(str, self.labels))) != len(self.labels):
            raise ValueError("labels must differ from each other")
        return self

    def __len__(self) -> int:
        return len(self.values if self.values is not None else next(iter((self.zip or {}).values())))


class Distribution(BaseModel, extra="forbid"):
    """Where the values of a key are drawn from."""

    key: Annotated[Key | None, Field(description="what is drawn, if that is not the name")] = None
    keys: Annotated[list[Key] | None, Field(min_length=1, description="several keys with the same value")] = None
    uniform: Annotated[list[float] | None, Field(min_length=2, max_length=2, description="between these")] = None
    log_uniform: Annotated[
        list[float] | None, Field(min_length=2, max_length=2, description="uniform in the logarithm, between these")
    ] = None
    integers: Annotated[list[int] | None, Field(min_length=2, max_length=2, description="both included")] = None
    choice: Annotated[list[Any] | None, Field(min_length=1, description="one of these")] = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = self.model_dump(include={"uniform", "log_uniform", "integers", "choice"}, exclude_none=True)
        if len(kinds) != 1:
            raise ValueError("give one of uniform, log_uniform, integers and choice")
        if self.key is not None and self.keys is not None:
            raise ValueError("give either key or keys")
        bounds = self.uniform or self.log_uniform or self.integers
        if bounds is not None and bounds[0] > bounds[1]:
            raise ValueError("the lower bound comes first")
        if self.log_uniform is not None and self.log_uniform[0] <= 0:
            raise ValueError("log_uniform needs bounds above zero")
        return self

    def draw(self, stream: np.random.Generator) -> Any:
        """One value."""
        if self.uniform is not None:
            return float(stream.uniform(self.uniform[0], self.uniform[1]))
        if self.log_uniform is not None:
            return float(np.exp(stream.uniform(*np.log(self.log_uniform))))
        if self.integers is not None:
            return int(stream.integers(self.integers[0], self.integers[1], endpoint=True))
        assert self.choice is not None
        return self.choice[int(stream.integers(len(self.choice)))]


class Sample(BaseModel, extra="forbid"):
    """Random points instead of a grid, or at each point of it."""

    count: Annotated[Whole, Field(le=MOST, description="how many points")]
    keys: Annotated[dict[str, Distribution], Field(min_length=1, description="where values of keys are drawn from")]
    seed: Annotated[Seed, Field(description="of the points; those of the trials are `seeds`")] = 0


Scale = Literal["linear", "log"]
Columns = str | Annotated[list[str], Field(min_length=1)]
Bound = Annotated[
    str, Field(pattern=r"^(below|above) -?[0-9]+(\.[0-9]+)?([eE]-?[0-9]+)?$", description="as in below 0.9")
]


class Figure(BaseModel, extra="forbid"):
    """A figure: y over x, a line or colour for each hue, a column of panels for each facet, and rows of them."""

    name: Annotated[Name, Field(description="of the file that is drawn")]
    x: Annotated[
        str,
        Field(
            description="an axis of the study, or another column of its table; updates or energy_j for learning curves"
        ),
    ]
    y: Annotated[
        str,
        Field(
            description="a column of the table, such as cosine_recurrent or accuracy; test_accuracy of learning curves"
        ),
    ]
    hue: Annotated[str | None, Field(description="a line or colour for each of its values")] = None
    facet: Annotated[Columns | None, Field(description="a panel for each of its values, side by side")] = None
    rows: Annotated[Columns | None, Field(description="a row of panels for each of its values")] = None
    where: Annotated[dict[str, list[Any]], Field(description="only rows with one of these values, by column")] = {}
    kind: Annotated[
        Literal["auto", "line", "points"], Field(description="line for numbers along x, points for names, by default")
    ] = "auto"
    center: Annotated[Literal["median", "mean"], Field(description="what is drawn of chips and seeds")] = "median"
    spread: Annotated[
        Literal["quartiles", "range", "deviation", "interval", "none"],
        Field(description="over chips and seeds; interval is that of 95 % around the mean"),
    ] = "quartiles"
    title: Annotated[str | None, Field(description="above the figure: what is shown")] = None
    caption: Annotated[str | None, Field(description="below the title: how to read it")] = None
    names: Annotated[dict[str, str], Field(description="what columns and values are called in the figure")] = {}
    units: Annotated[
        dict[str, str], Field(description="of the values of a column, such as %, J, B, s, or a word such as steps")
    ] = {}
    lines: Annotated[dict[str, float], Field(description="heights of lines across each panel, by name")] = {}
    hollow: Annotated[
        dict[str, Bound], Field(max_length=1, description="marks are hollow where this column is below or above that")
    ] = {}
    not_finite: Annotated[
        float | None, Field(description="height of the marks of what is not finite; the foot by default")
    ] = None
    x_label: Annotated[str | None, Field(description="instead of the name of the column")] = None
    y_label: Annotated[str | None, Field(description="instead of the name of the column")] = None
    hue_label: Annotated[str | None, Field(description="instead of the name of the column")] = None
    x_scale: Annotated[
        Literal["linear", "log", "even"], Field(description="of the axis; even gives each value the same place")
    ] = "linear"
    y_scale: Annotated[Scale, Field(description="of the axis")] = "linear"
    y_limits: Annotated[
        list[float] | None, Field(min_length=2, max_length=2, description="lowest and highest y that is drawn")
    ] = None

    @property
    def file(self) -> str:
        """The name of the file that is drawn, without its ending."""
        return self.name.replace(" ", "_")

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Self:
        if self.y_limits is not None and self.y_limits[0] >= self.y_limits[1]:
            raise ValueError("y_limits: the lowest comes first")
        if self.y_scale == "log" and self.y_limits is not None and self.y_limits[0] <= 0:
            raise ValueError("y_limits: a logarithmic axis begins above zero")
        return self

    @property
    def placing(self) -> list[str]:
        """The columns that say where a point stands: along x, in which colour and in which panel."""
        return [name for name in (self.x, self.hue, *self.across, *self.down) if name is not None]

    @property
    def over_training(self) -> bool:
        """Whether it shows how learning went, test by test, and not how it ended."""
        return self.x in PROGRESS

    @property
    def across(self) -> list[str]:
        """The columns whose values are panels side by side."""
        return [self.facet] if isinstance(self.facet, str) else self.facet or []

    @property
    def down(self) -> list[str]:
        """The columns whose values are rows of panels."""
        return [self.rows] if isinstance(self.rows, str) else self.rows or []


class Cluster(BaseModel, extra="forbid"):
    """A Dask cluster: the address of its scheduler, or how many worker processes to start here."""

    scheduler: Annotated[str | None, Field(description="address of one that runs, such as tcp://10.0.0.1:8786")] = None
    workers: Annotated[Whole | None, Field(description="worker processes to start on this computer")] = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.scheduler is None) == (self.workers is None):
            raise ValueError("give either the address of a scheduler, or the number of workers to start here")
        return self


class Study(BaseModel, extra="forbid"):
    """A grid or a sample of experiments."""

    schema_version: Annotated[Literal[1], Field(description="version of this kind of file")] = 1
    name: Annotated[Name, Field(description="of the study, and of the folder that it is written to")]
    experiment: Annotated[
        str | dict[str, Any], Field(description="a path beside this file, a shipped name, or the experiment itself")
    ]
    set: Annotated[dict[Key, Any], Field(description="dotted keys that differ from the experiment in all trials")] = {}
    vary: Annotated[dict[str, Axis], Field(description="every combination of these; by name, or by dotted key")] = {}
    sample: Annotated[Sample | None, Field(description="random points, at each combination of what varies")] = None
    seeds: Annotated[
        int | list[Seed] | None, Field(description="how many, from 0, or a list; by default the experiment's own")
    ] = None
    figures: Annotated[list[Figure], Field(description="what is drawn of the table in the end")] = []
    dask: Annotated[Cluster | None, Field(description="carry trials out on a Dask cluster")] = None

    @field_validator("seeds")
    @classmethod
    def _some_seeds(cls, seeds: int | list[int] | None) -> int | list[int] | None:
        if isinstance(seeds, int) and not 1 <= seeds <= MOST:
            raise ValueError(f"must be at least 1 and at most {MOST}")
        if seeds == []:
            raise ValueError("needs one or more")
        if isinstance(seeds, list) and len(set(seeds)) < len(seeds):
            raise ValueError("must differ from each other")
        return seeds

    @field_validator("figures")
    @classmethod
    def _names_differ(cls, figures: list[Figure]) -> list[Figure]:
        taken = [figure.name for figure in figures]
        twice = sorted({name for name in taken if taken.count(name) > 1})
        if twice:
            raise ValueError(f"need names of their own; {', '.join(map(repr, twice))} stands twice")
        return figures
