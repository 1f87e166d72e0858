"""A study: an experiment, what varies in it, and the figures of its results."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, field_validator, model_validator

from hwsim.columns import TRAINING_AXES
from hwsim.config.experiment import Name, Whole
from hwsim.documents import MOST, PartError

DottedKey = Annotated[str, Field(pattern=r"^[^.]+(\.[^.]+)*$", description="dotted, as in network.layers.0.cell.r_min")]
Seed = Annotated[int, Field(ge=0, le=MOST)]

Labels = list[str | int | float]


class AxisOptions(BaseModel, extra="forbid"):
    """One axis: a key, several keys with the same value, or several keys that change together."""

    key: Annotated[DottedKey | None, Field(description="key that varies; by default the name of the axis")] = None
    keys: Annotated[list[DottedKey] | None, Field(min_length=1, description="several keys with the same value")] = None
    values: Annotated[list[Any] | None, Field(min_length=1, description="values of the key or keys, one per point")] = (
        None
    )
    zip: Annotated[
        dict[DottedKey, list[Any]] | None,
        Field(min_length=1, description="a list of values per key; the keys change together"),
    ] = None
    labels: Annotated[
        Labels | dict[str, Labels] | None,
        Field(description="labels of the points in tables and figures; or several columns of them, by their names"),
    ] = None

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
        columns = list(self.labels.values()) if isinstance(self.labels, dict) else [self.labels or []]
        for column in columns if self.labels is not None else ():
            if len(column) != len(self):
                raise ValueError(f"{len(column)} labels for {len(self)} points")
        if self.labels is not None and len(set(zip(*(map(str, column) for column in columns), strict=True))) < len(
            self
        ):
            raise ValueError("labels must differ from each other")
        return self

    def __len__(self) -> int:
        return len(self.values if self.values is not None else next(iter((self.zip or {}).values())))


class Axes(BaseModel, extra="allow"):
    """Axes, by name or by dotted key: every combination of their values is a point."""

    one_at_a_time: Annotated[
        dict[str, AxisOptions],
        Field(
            description="axes that vary from the base point, that of the file, one at a time; no combinations of their "
            "values"
        ),
    ] = {}
    __pydantic_extra__: dict[str, AxisOptions]

    @property
    def combined(self) -> dict[str, AxisOptions]:
        """The axes of which every combination is a point."""
        return self.__pydantic_extra__


class Distribution(BaseModel, extra="forbid"):
    """The distribution that the values of a key are drawn from."""

    key: Annotated[DottedKey | None, Field(description="key that is drawn; by default the name")] = None
    keys: Annotated[list[DottedKey] | None, Field(min_length=1, description="several keys with the same value")] = None
    uniform: Annotated[
        list[float] | None, Field(min_length=2, max_length=2, description="uniform between these two")
    ] = None
    log_uniform: Annotated[
        list[float] | None, Field(min_length=2, max_length=2, description="uniform in the logarithm, between these two")
    ] = None
    integers: Annotated[
        list[int] | None,
        Field(min_length=2, max_length=2, description="whole numbers between these two, both included"),
    ] = None
    choice: Annotated[list[Any] | None, Field(min_length=1, description="one of these values")] = None

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
    """Random points, alone or at each point of the grid."""

    count: Annotated[Whole, Field(le=MOST, description="number of random points")]
    keys: Annotated[
        dict[str, Distribution], Field(min_length=1, description="distributions of the keys, by name or by dotted key")
    ]
    seed: Annotated[Seed, Field(description="seed of the random points; the seeds of the trials are `seeds`")] = 0


Scale = Literal["linear", "log"]
Columns = str | Annotated[list[str], Field(min_length=1)]
Bound = Annotated[
    str, Field(pattern=r"^(below|above) -?[0-9]+(\.[0-9]+)?([eE]-?[0-9]+)?$", description="as in below 0.9")
]


class FigureOptions(BaseModel, extra="forbid"):
    """A figure of y over x: `hue` gives colours, `facet` gives panels side by side, `rows` gives rows of panels."""

    name: Annotated[Name, Field(description="name of the figure and of its file")]
    x: Annotated[
        str,
        Field(
            description="an axis of the study, or another column of its table; for learning curves "
            f"{', '.join(TRAINING_AXES[:-1])} or {TRAINING_AXES[-1]}"
        ),
    ]
    y: Annotated[
        str,
        Field(
            description="a column of the table, such as cosine_recurrent or accuracy; for learning curves test_accuracy"
        ),
    ]
    hue: Annotated[str | None, Field(description="column with one line or colour per value")] = None
    facet: Annotated[Columns | None, Field(description="column or columns with one panel per value, side by side")] = (
        None
    )
    rows: Annotated[Columns | None, Field(description="column or columns with one row of panels per value")] = None
    where: Annotated[dict[str, list[Any]], Field(description="rows that are drawn: the allowed values, by column")] = {}
    kind: Annotated[
        Literal["auto", "line", "points", "map"],
        Field(
            description="auto: line where x is a number, points where it is a name; map: a cell per value of x and `up`"
        ),
    ] = "auto"
    exponents: Annotated[
        bool,
        Field(description="also a table of the exponents b in y ~ x^b, between the two largest x of each line"),
    ] = False
    crossings: Annotated[
        bool,
        Field(description="marks where two lines of a panel cross, and a table of these places"),
    ] = False
    up: Annotated[str | None, Field(description="for maps: the axis that goes up; y is what the cells show")] = None
    boundary: Annotated[
        str | None,
        Field(description="for maps: column with a boundary in units of `up`, drawn as a line over its medians at x"),
    ] = None
    center: Annotated[Literal["median", "mean"], Field(description="centre over chips and seeds")] = "median"
    spread: Annotated[
        Literal["quartiles", "range", "deviation", "interval", "none"],
        Field(description="spread over chips and seeds; interval: 95 % interval of the mean"),
    ] = "quartiles"
    title: Annotated[str | None, Field(description="title above the figure: what it shows")] = None
    caption: Annotated[str | None, Field(description="text below the title: how to read the figure")] = None
    names: Annotated[dict[str, str], Field(description="names of columns and values in the figure")] = {}
    units: Annotated[
        dict[str, str], Field(description="units by column, such as %, J, B, s, or a word such as steps")
    ] = {}
    lines: Annotated[
        dict[str, float], Field(description="horizontal lines across each panel: their heights, by name")
    ] = {}
    hollow: Annotated[
        dict[str, Bound],
        Field(max_length=1, description="marks are hollow where the median of this column is below or above a bound"),
    ] = {}
    not_finite: Annotated[
        float | None, Field(description="height of the marks for values that are not finite; by default the bottom")
    ] = None
    x_label: Annotated[str | None, Field(description="label of x; by default the name of the column")] = None
    y_label: Annotated[str | None, Field(description="label of y; by default the name of the column")] = None
    hue_label: Annotated[str | None, Field(description="label of hue; by default the name of the column")] = None
    x_scale: Annotated[
        Literal["linear", "log", "even"], Field(description="scale of x; even: equal distances between values")
    ] = "linear"
    x_limits: Annotated[
        list[float] | None, Field(min_length=2, max_length=2, description="lowest and highest x, where x is a number")
    ] = None
    y_scale: Annotated[Scale, Field(description="scale of y")] = "linear"
    y_limits: Annotated[list[float] | None, Field(min_length=2, max_length=2, description="lowest and highest y")] = (
        None
    )

    @property
    def file(self) -> str:
        """The name of the figure's file, without its extension."""
        return self.name.replace(" ", "_")

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Self:
        for limits, name, scale in ((self.x_limits, "x", self.x_scale), (self.y_limits, "y", self.y_scale)):
            if limits is not None and limits[0] >= limits[1]:
                raise ValueError(f"{name}_limits: the lowest comes first")
            if limits is not None and scale == "log" and limits[0] <= 0:
                raise ValueError(f"{name}_limits: a logarithmic axis begins above zero")
        if self.x_limits is not None and (self.kind == "map" or self.x_scale == "even"):
            raise ValueError("x_limits: only numbers on a scale that is linear or log have them")
        if (self.kind == "map") != (self.up is not None):
            raise ValueError("kind: map and up: the axis that goes up, belong together")
        if self.kind == "map" and self.hue is not None:
            raise ValueError("hue: the colour of a map's cells is y; give facet or rows")
        if self.boundary is not None and self.kind != "map":
            raise ValueError("boundary: only maps have one; give kind: map")
        if self.crossings and (self.hue is None or self.kind in ("map", "points") or self.x_scale == "even"):
            raise ValueError("crossings: only lines cross, one for each hue, over an x that is linear or log")
        if self.crossings and self.over_training:
            raise ValueError("crossings: learning curves have no x in common; take updates from the table of tests")
        return self

    @property
    def placing(self) -> list[str]:
        """The columns that place a mark: along x, upward, in a colour and in a panel."""
        return [name for name in (self.x, self.up, self.hue, *self.across, *self.down) if name is not None]

    @property
    def over_training(self) -> bool:
        """Whether the figure shows learning curves, test by test, rather than final results."""
        return self.x in TRAINING_AXES

    @property
    def across(self) -> list[str]:
        """The columns with one panel per value, side by side."""
        return [self.facet] if isinstance(self.facet, str) else self.facet or []

    @property
    def down(self) -> list[str]:
        """The columns with one row of panels per value."""
        return [self.rows] if isinstance(self.rows, str) else self.rows or []


class ClusterOptions(BaseModel, extra="forbid"):
    """A Dask cluster on this computer. Whoever runs the study says on the command line which other one to trust."""

    workers: Annotated[Whole, Field(description="worker processes to start on this computer")]

    @model_validator(mode="before")
    @classmethod
    def _names_no_scheduler(cls, data: Any) -> Any:
        if isinstance(data, dict) and "scheduler" in data:
            raise PartError(
                ("scheduler",),
                "a file cannot choose the scheduler, whose answers are carried out here; take it out, and give the "
                "address on the command line: hwsim study FILE --scheduler ADDRESS",
            )
        return data


class Study(BaseModel, extra="forbid"):
    """A grid or a sample of experiments."""

    schema_version: Annotated[Literal[1], Field(description="version of this kind of file")] = 1
    name: Annotated[Name, Field(description="name of the study and of its folder")]
    experiment: Annotated[
        str | dict[str, Any],
        Field(description="path relative to this file, name of a shipped experiment, or the experiment itself"),
    ]
    set: Annotated[
        dict[DottedKey, Any], Field(description="dotted keys with the values that they have in all trials")
    ] = {}
    estimate: Annotated[
        bool, Field(description="trials are estimates: costs from shapes alone, without values or results")
    ] = False
    vary: Annotated[
        Axes, Field(description="axes, by name or by dotted key; every combination of their values is a point")
    ] = Axes()
    sample: Annotated[Sample | None, Field(description="random points, at each point of the grid")] = None
    seeds: Annotated[
        int | list[Seed] | None,
        Field(description="number of seeds, from 0, or a list of seeds; by default the experiment's own"),
    ] = None
    figures: Annotated[list[FigureOptions], Field(description="figures of the results")] = []
    dask: Annotated[ClusterOptions | None, Field(description="carry trials out on a Dask cluster, started here")] = None

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
    def _names_differ(cls, figures: list[FigureOptions]) -> list[FigureOptions]:
        taken = [figure.name for figure in figures]
        twice = sorted({name for name in taken if taken.count(name) > 1})
        if twice:
            raise ValueError(f"need names of their own; {', '.join(map(repr, twice))} stands twice")
        return figures
