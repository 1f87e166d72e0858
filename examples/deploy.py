"""What is left of weights on chips that age: learned there, or written to them, with and without noise before?

Handwritten digits, the network and the chips of the experiment `deployed`. Weights are learned on the chips by a
forward rule; or on a digital machine by exact backpropagation through time, and then written to the chips. The digital
machine trains plainly, or aware of noise (`noise_aware`; Joshi et al., Nature Communications 11:2473, 2020). All chips
then wait. They are tested at each age as they are, with drift compensated, and after 60 more updates by the forward
rule on the chip.

    python examples/deploy.py --figure deploy.svg

`--small` takes few updates and one chip, which tells nothing but that it works.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import yaml
from matplotlib.ticker import PercentFormatter
from rich.console import Console
from rich.progress import track
from rich.table import Table

import hwsim
from hwsim.reports.ageing import WAYS, span
from hwsim.reports.figures import canvas

DEPLOYED = Path(__file__).parents[1] / "configs" / "experiments" / "deployed.yaml"
AWARE = {"name": "noise_aware", "clip": 2.5}
ORIGINS: dict[str, dict[str, Any] | None] = {
    "learned on the chip": None,
    "written": {"name": "accumulate"},
    "written, noise of 3.8 %": {**AWARE, "deviation": 0.038},
    "written, noise of 10 %": {**AWARE, "deviation": 0.1},
}
"""How the update scheme of the digital machine is, where one trains."""


def elsewhere(asked: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    """The same network and task, learned on a digital machine."""
    training = {**asked["training"], "update": update}
    changed = {"learning": {"name": "bptt"}, "machine": "digital_45nm", "chips": 1, "training": training}
    return {key: value for key, value in asked.items() if key != "deploy"} | changed


def written(asked: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Chips that start from these weights, and are deployed; one update that changes next to nothing comes first.

    A repair learns as `training` says, so that there has to be one.
    """
    training = {**asked["training"], "optimizer": {"name": "adamw", "rate": 1e-9}, "steps": 1}
    del training["epochs"]
    return {**asked, "training": training, "weights": {"from": str(folder)}}


def ages(run: hwsim.Run) -> list[dict[str, Any]]:
    """The accuracy of each chip at each age, for each thing that may be done about drift."""
    system = run.systems["substrate"]
    fresh = system.accuracy
    assert fresh is not None
    rows = [{"way": way, "age": "just written", "chips": fresh.per_chip} for way in WAYS]
    for age in system.aged:
        tests = {way: getattr(age, way) for way in WAYS}
        rows += [{"way": way, "age": span(age.after_s), "chips": test.accuracy.per_chip} for way, test in tests.items()]
    return rows


def measured(asked: dict[str, Any], seeds: int, origins: list[str]) -> pd.DataFrame:
    """A row for each seed, origin, way, age and chip."""
    rows = []
    for seed in track(range(1, seeds + 1), "seeds"):
        for origin in origins:
            update = ORIGINS[origin]
            with TemporaryDirectory() as folder:
                place, seeded = Path(folder) / "trained", {**asked, "seed": seed}
                if update is not None:
                    hwsim.run(elsewhere(seeded, update), out=place)
                found = ages(hwsim.run(seeded if update is None else written(seeded, place)))
            rows += [
                {"seed": seed, "origin": origin, "way": row["way"], "age": row["age"], "accuracy": accuracy}
                for row in found
                for accuracy in row["chips"]
            ]
    return pd.DataFrame(rows)


def drawn(found: pd.DataFrame) -> str:
    """The figure, as SVG: a panel for each way, a line for each origin."""
    order = list(dict.fromkeys(found.age))
    with canvas.canvas(330, 900) as figure:
        panels = figure.subplots(1, len(WAYS), sharey=True)
        for axes, (way, words) in zip(panels, WAYS.items(), strict=True):
            for place, origin in enumerate(dict.fromkeys(found.origin)):
                of = found[(found.way == way) & (found.origin == origin)]
                by_age = of.groupby("age").accuracy.quantile([0, 0.5, 1]).unstack().loc[order]
                places, colour = np.arange(len(order)), canvas.SERIES[place]
                axes.fill_between(places, by_age[0], by_age[1], color=colour, alpha=0.1, linewidth=0)
                axes.plot(
                    places,
                    by_age[0.5],
                    canvas.DASHES[place % len(canvas.DASHES)],
                    marker=canvas.MARKERS[place % len(canvas.MARKERS)],
                    markersize=4.5,
                    color=colour,
                    label=origin,
                )
            axes.set_title(words, fontsize="medium")
            axes.set_xticks(np.arange(len(order)), [age.replace(" ", "\n") for age in order])
            axes.grid()
        panels[0].set_ylabel("test accuracy")
        panels[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        canvas.legend(figure, panels[0], 4)
        return canvas.alone(canvas.drawing(figure, "deploy", "Accuracy over the age of devices", "", wide=True))


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracy of chips that age, by where their weights come from.")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--figure", type=Path, help="a file for the figure, .svg")
    parser.add_argument("--small", action="store_true", help="few updates, one chip, one seed: to see that it works")
    given = parser.parse_args()
    asked: dict[str, Any] = yaml.safe_load(DEPLOYED.read_text(encoding="utf-8"))
    if given.small:
        short = {**asked["training"], "epochs": 1, "batch": 720}
        asked |= {"chips": 1, "training": short, "deploy": {**asked["deploy"], "repair": {"steps": 1, "rate": 0.003}}}
        asked["deploy"]["after"] = asked["deploy"]["after"][-1:]
        given.seeds = 1
    origins = list(ORIGINS)[:: 2 if given.small else 1]
    found = measured(asked, given.seeds, origins)
    order = list(dict.fromkeys(found.age))
    chips = found.groupby(["origin", "way", "age"]).size().iloc[0]
    table = Table("weights", "devices", *order, title=f"Test accuracy: median of {chips} chips (worst to best)")
    for origin in origins:
        for way, words in WAYS.items():
            of = found[(found.origin == origin) & (found.way == way)].groupby("age").accuracy
            low, middle, high = (of.quantile(share).loc[order] for share in (0, 0.5, 1))
            cells = (f"{m:.1%}\n({w:.0%}–{b:.0%})" for w, m, b in zip(low, middle, high, strict=True))
            table.add_row(origin, words, *cells)
    Console(width=110).print(table)
    if given.figure:
        given.figure.write_text(drawn(found), encoding="utf-8")


if __name__ == "__main__":
    main()
