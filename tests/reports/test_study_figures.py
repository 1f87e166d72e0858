"""Figures and tables of a study say what the table says, and leave nothing out that has no value."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import close
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from pydantic import ValidationError

from hwsim.columns import COLUMNS
from hwsim.config.study import FigureOptions
from hwsim.printing import Terminal
from hwsim.reports import study as report
from hwsim.reports import trials
from hwsim.reports.exponents import exponents
from hwsim.reports.figures import map as maps
from hwsim.reports.figures import study as pictures
from hwsim.reports.figures.canvas import INK, MUTED, PALETTE, PAPER, RULE, canvas
from hwsim.reports.figures.points import drawn, points
from hwsim.reports.vocabulary import Vocabulary
from hwsim.results.study_folder import StudyFolder

SYSTEMS = ("forward propagation", "one step", "BPTT in the loop")
FIGURE: dict[str, Any] = {
    "name": "noise",
    "title": "What a rule survives",
    "caption": "How to read it",
    "x": "bits",
    "y": "cosine_input",
    "hue": "system",
    "facet": ["device", "steps"],
    "rows": "read_noise",
    "names": {"read_noise": "read noise"},
    "units": {"read_noise": "%", "steps": "steps"},
}


@pytest.fixture
def table() -> pd.DataFrame:
    """A study with four axes: one rule's gradient is all zero at 4 bits, another's diverges on one chip or all."""
    rows = [
        {"device": device, "steps": steps, "read_noise": noise, "bits": bits, "system": system, "chip": chip}
        for device in ("PCM", "RRAM")
        for steps in (8, 64)
        for noise in (0.0005, 0.01)
        for bits in (4, 6, 8)
        for system in SYSTEMS
        for chip in range(4)
    ]
    found = pd.DataFrame(rows).assign(status="done", seed=0, rule="fpe", machine="pcm", non_finite=False)
    found["cosine_input"] = 0.1 * found["bits"] + 0.01 * found["chip"]
    found["relative_error_input"] = 1.0
    found["peak_memory_bytes"] = 1000 * found["steps"]
    zero = (found["system"] == "one step") & (found["bits"] == 4)
    found.loc[zero, "cosine_input"] = np.nan
    lost = (found["system"] == "BPTT in the loop") & (found["bits"] == 8) & (found["device"] == "RRAM")
    lost &= (found["chip"] == 2) | (found["steps"] == 64)
    found.loc[lost, ["cosine_input", "relative_error_input"]] = np.nan
    found.loc[lost, "non_finite"] = True
    return found


def svg(folder: Path, table: pd.DataFrame, **changed: Any) -> str:
    figure = FigureOptions.model_validate({**FIGURE, **changed})
    return pictures.draw(figure, table, folder / "figures").read_text(encoding="utf-8")


def texts(drawing: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", drawing)


def test_a_point_is_the_middle_of_chips_with_what_is_missing_counted(table: pd.DataFrame) -> None:
    figure = FigureOptions.model_validate(FIGURE | {"hollow": {"relative_error_input": "above 0.5"}})
    at = "device == 'RRAM' and steps == 8 and read_noise == 0.01 and system == "
    middle = list(points(figure, table.query(f"{at} 'BPTT in the loop'")))
    assert [(point.x, point.total, point.lost, point.undefined) for point in middle] == [
        (4, 4, 0, 0),
        (6, 4, 0, 0),
        (8, 4, 1, 0),
    ]
    last = middle[-1]
    assert (last.low, last.middle, last.high) == close((0.805, 0.81, 0.82))  # of .80, .81 and .83
    assert all(point.hollow for point in middle)
    first = next(points(figure, table.query(f"{at} 'one step'")))
    assert (first.middle, first.lost, first.undefined) == (None, 0, 4)


def test_systems_of_which_a_quantity_is_not_known_are_left_out(table: pd.DataFrame) -> None:
    table.loc[table["system"] == "one step", ["cosine_input", "relative_error_input"]] = np.nan
    assert set(drawn(FigureOptions.model_validate(FIGURE), table)["system"]) == {
        "forward propagation",
        "BPTT in the loop",
    }


def test_panels_are_named_in_words_with_units(table: pd.DataFrame, tmp_path: Path) -> None:
    said = texts(svg(tmp_path, table))
    for title in ("PCM, 8 steps", "PCM, 64 steps", "RRAM, 8 steps", "RRAM, 64 steps", "What a rule survives"):
        assert said.count(title) == 1
    assert said.count("read noise") == 2
    assert [text for text in said if "%" in text] == ["0.05\u00a0%", "1\u00a0%"]
    assert {*SYSTEMS, "How to read it"} <= set(said)


def test_what_has_no_value_is_marked_and_explained(table: pd.DataFrame, tmp_path: Path) -> None:
    drawing = svg(tmp_path, table)
    assert len(re.findall(r'id="undefined-4', drawing)) == 8  # at each device, length and noise
    assert len(re.findall(r'id="lost-1', drawing)) == 2
    assert len(re.findall(r'id="lost-4', drawing)) == 2
    said = texts(drawing)
    assert "not finite: 1 to 4 of 4 chips; small where some have a value" in said
    assert "undefined, the gradient being all zero: 4 of 4 chips" in said
    whole = svg(tmp_path, table[table["bits"] == 6])
    assert "finite" not in whole
    assert "undefined" not in whole


def test_one_palette_no_background_and_the_same_bytes(table: pd.DataFrame, tmp_path: Path) -> None:
    drawing = svg(tmp_path, table)
    assert drawing == svg(tmp_path, table)
    used = set(re.findall(r"#[0-9a-f]{6}\b", drawing))
    assert used <= {*PALETTE.values(), INK, MUTED, RULE, PAPER}
    ground = re.search(r'<g id="patch_1">\s*<path[^>]*style="([^"]*)"', drawing)
    assert ground is None or "fill: none" in ground[1] or "opacity: 0" in ground[1]


def test_on_a_page_the_title_and_caption_stand_beside_the_drawing(table: pd.DataFrame) -> None:
    made = pictures.on_a_page(FigureOptions.model_validate(FIGURE), table, "noise")
    assert made is not None
    assert (made.heading, made.caption, made.wide) == ("What a rule survives", "How to read it", True)
    assert "What a rule survives" not in texts(made.svg)
    assert not re.search(r"(?<!, )#[0-9a-f]{6}", made.svg)
    assert pictures.on_a_page(FigureOptions.model_validate(FIGURE), table[:0], "noise") is None


def test_lines_that_end_apart_are_named_there_and_units_have_prefixes(table: pd.DataFrame, tmp_path: Path) -> None:
    changed = {"facet": None, "rows": None, "x": "steps", "y": "peak_memory_bytes", "hue": "device"}
    far = table.assign(peak_memory_bytes=table["peak_memory_bytes"] * (1 + 9 * (table["device"] == "PCM")))
    drawing = svg(tmp_path, far, **changed, y_scale="log")
    assert {"PCM", "RRAM", "10 kB", "100 kB"} <= set(texts(drawing))
    assert 'id="legend_1"' not in drawing


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 300), min_size=1, max_size=8))
def test_labels_are_apart_in_order_and_as_near_as_may_be(wanted: dict[str, float]) -> None:
    placed = pictures._apart(wanted, 14)
    order = sorted(wanted, key=lambda label: wanted[label])
    gaps = np.diff([placed[label] for label in order])
    assert (gaps >= 14 - 1e-6).all()
    assert sum(placed.values()) == close(sum(wanted.values()), abs=1e-6)
    if all(np.diff([wanted[label] for label in order]) >= 14):
        assert placed == close(wanted)


@pytest.mark.parametrize(
    "changed",
    [
        {"hollow": {"cosine_all": "under 0.9"}},
        {"facet": []},
        {"y_limits": [1, 0]},
        {"y_limits": [0, 1], "y_scale": "log"},
        {"x_limits": [8, 4]},
        {"x_limits": [0, 8], "x_scale": "log"},
        {"x_limits": [0, 8], "x_scale": "even"},
        {"lines": {"exact": "one"}},
        {"x_scale": "evenly"},
    ],
)
def test_figures_that_make_no_sense_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FigureOptions.model_validate(FIGURE | changed)


def folder_of(table: pd.DataFrame, path: Path) -> StudyFolder:
    by = ["device", "steps", "read_noise", "bits", "system", "rule", "machine"]
    lines = []
    for key, rows in table.groupby(by, sort=False):
        values = rows["cosine_input"].dropna()
        lost = int((rows["cosine_input"].isna() & rows["non_finite"]).sum())
        where = dict(zip(by, key, strict=True))
        if len(values) or lost:
            found = {"median": values.median(), "count": len(values), "non_finite": lost}
            lines.append(where | {"quantity": "cosine_input"} | found)
        if rows["relative_error_input"].notna().any():
            lines.append(where | {"quantity": "relative_error_input", "median": 1.0, "count": 1, "non_finite": 0})
    return StudyFolder(path, {"name": "noise", "figures": [FIGURE]}, table, pd.DataFrame(lines), {})


def test_exponents_are_those_of_numbers_above_zero(table: pd.DataFrame, tmp_path: Path) -> None:
    """Words have no logarithm, and neither has a size of zero or less."""

    def exponent(values: list[Any]) -> list[str]:
        rows = table.assign(
            peak_memory_bytes=table["bits"] ** 2, size=table["bits"].map(dict(zip((4, 6, 8), values, strict=True)))
        )
        figure = FigureOptions(name="f", x="size", y="peak_memory_bytes", exponents=True)
        found = exponents(folder_of(rows, tmp_path), [figure])
        assert found is not None
        return [str(cell) for line in found.rows for cell in line.cells]

    assert exponent([4, 6, 8]) == ["2.00"]
    assert exponent([-4, 6, 8]) == ["2.00"]
    assert exponent([-4, 0, 8]) == exponent(["a", "null", "1"]) == []


def test_the_table_has_systems_as_columns_and_only_axes_that_vary(table: pd.DataFrame, tmp_path: Path) -> None:
    (whole,) = trials.pivots(folder_of(table, tmp_path))
    assert (whole.corner, whole.columns) == ("device", ("steps", "read noise", "bits", *SYSTEMS))
    said = {(line.label, *map(str, line.cells[:3])): [str(cell) for cell in line.cells[3:]] for line in whole.rows}
    assert len(said) == 24
    assert said["PCM", "8", "0.05 %", "4"] == ["0.415", "undefined", "0.415"]
    assert said["RRAM", "8", "1 %", "8"] == ["0.815", "0.815", "0.810 (1 not finite)"]
    assert said["RRAM", "64", "1 %", "8"] == ["0.815", "0.815", "not finite"]
    (part,) = trials.pivots(folder_of(table.query("device == 'PCM' and steps == 8"), tmp_path))
    assert (part.corner, part.columns) == ("read noise", ("bits", *SYSTEMS))


def test_a_system_that_a_point_does_not_have_is_not_undefined_there(table: pd.DataFrame, tmp_path: Path) -> None:
    (whole,) = trials.pivots(folder_of(table.query("system != 'one step' or bits != 4"), tmp_path))
    at = {cell for line in whole.rows for cell in map(str, line.cells) if str(line.cells[2]) == "4"}
    assert "-" in at
    assert "undefined" not in at


def axes_of(table: pd.DataFrame, **changed: Any) -> Axes:
    """The first panel of a figure, with all that is drawn in it."""
    plain = FIGURE | {"facet": None, "rows": None} | changed
    with canvas(0.1) as sheet:
        pictures._compose(sheet, FigureOptions.model_validate(plain), table, titled=True)
        sheet.draw_without_rendering()
        return sheet.axes[0]


def ticks(ax: Axes, way: str) -> list[str]:
    axis = getattr(ax, f"{way}axis")
    low, high = sorted(axis.get_view_interval())
    return [tick.label1.get_text() for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


@pytest.mark.parametrize(("names", "said"), [(("low", "mid", "high"), ["low", "mid", "high"]),
                                             ((True, False, True), ["false", "true"])])  # fmt: skip
def test_names_along_x_have_places_in_the_order_of_the_table(table: pd.DataFrame, names: Any, said: list[str]) -> None:
    renamed = table.assign(bits=[dict(zip((4, 6, 8), names, strict=True))[bits] for bits in table["bits"]])
    ax = axes_of(renamed, x="bits")
    assert ticks(ax, "x") == said
    assert all(line.get_linestyle() == "None" for line in ax.lines)  # nothing lies between names


def test_what_is_not_finite_keeps_its_place_beyond_all_that_is(table: pd.DataFrame) -> None:
    table.loc[table["bits"] == 8, ["cosine_input", "relative_error_input"]] = np.nan
    ax = axes_of(table.assign(non_finite=table["bits"] == 8))
    low, high = ax.get_xlim()
    assert low < 4 < 8 < high


@pytest.mark.parametrize("height", [None, 0.0, 2.0])
def test_what_is_not_finite_is_marked_at_its_height_which_is_in_view(table: pd.DataFrame, height: float | None) -> None:
    """Of accuracies too, of some chips or of all."""
    lost = (table["bits"] == 8) | ((table["bits"] == 6) & (table["chip"] == 0))
    accuracy = (0.1 * table["bits"]).mask(lost)
    ax = axes_of(table.assign(accuracy=accuracy, non_finite=lost), y="accuracy", not_finite=height)
    marks = [line for line in ax.lines if (line.get_gid() or "").startswith("lost-")]
    assert len(marks) == 2 * len(SYSTEMS)
    low, high = ax.get_ylim()
    for line in marks:
        (at,) = line.get_ydata()
        if height is None:
            assert at == pictures._FOOT  # as a share of the panel
        else:
            assert low < at == height < high
            assert ax.transData.inverted().transform(line.get_transform().transform((8, at)))[1] == close(at)
    assert not [line for line in ax.lines if (line.get_gid() or "").startswith("undefined-")]


def test_tests_that_are_lost_are_so_on_a_learning_curve() -> None:
    """Accuracy of tests and loss of training; what was not trained yet has none, and is not lost."""
    rows = [
        {"system": system, "seed": 0, "chip": chip, "updates": updates, "energy_j": 1e-9 * updates,
         "train_loss": None if updates == 0 else 0.5, "test_loss": 0.5, "test_accuracy": 0.6}
        for system in ("A", "B") for chip in range(2) for updates in (0, 1, 2)
    ]  # fmt: skip
    curve = pd.DataFrame(rows).astype({"train_loss": float})
    late = (curve["system"] == "B") & (curve["updates"] == 2)
    curve.loc[late, ["train_loss", "test_loss", "test_accuracy"]] = np.nan
    curve.loc[(curve["system"] == "A") & (curve["updates"] == 1) & (curve["chip"] == 0), "train_loss"] = np.nan
    for y, wanted in (
        ("test_accuracy", {"A": [0, 0, 0], "B": [0, 0, 2]}),
        ("test_loss", {"A": [0, 0, 0], "B": [0, 0, 2]}),
        ("train_loss", {"A": [0, 1, 0], "B": [0, 0, 2]}),
    ):
        figure = FigureOptions.model_validate({"name": "f", "x": "updates", "y": y, "hue": "system"})
        shown = drawn(figure, curve)
        for system, lost in wanted.items():
            found = list(points(figure, shown[shown["system"] == system]))
            assert [point.lost for point in found] == lost
            undefined = 2 if y == "train_loss" else 0
            assert [point.undefined for point in found] == [undefined, 0, 0]


@pytest.mark.parametrize("spread", ["quartiles", "range", "deviation", "interval", "none"])
def test_the_spread_is_that_of_what_is_finite(table: pd.DataFrame, spread: str) -> None:
    """It has no width where one chip is left, none at all where none is, and none that is beyond all numbers."""
    figure = FigureOptions.model_validate(FIGURE | {"spread": spread, "facet": None, "rows": None})
    mine = table.query("system == 'BPTT in the loop' and device == 'PCM' and steps == 8 and read_noise == 0.01")
    for gone in range(5):
        lost = mine["chip"] < gone
        (*_, last) = points(figure, mine.assign(cosine_input=mine["cosine_input"].mask(lost), non_finite=lost))
        assert (last.lost, last.total) == (gone, 4)
        ends = (last.low, last.middle, last.high)
        assert ends == (None,) * 3 if gone == 4 else all(np.isfinite(ends))
        assert gone != 3 or last.low == last.middle == last.high
    far = list(points(figure, mine.assign(cosine_input=[1e200, -1e200, 0, 1] * 3)))
    assert np.isfinite([(point.low, point.middle, point.high) for point in far]).all()


def test_an_axis_of_powers_has_ticks_within_one_of_them(table: pd.DataFrame) -> None:
    ax = axes_of(table.assign(cosine_input=0.6 + 0.01 * table["cosine_input"]), y_scale="log")
    assert len(ticks(ax, "y")) > 1
    assert ticks(axes_of(table.assign(cosine_input=10.0 ** table["bits"]), y_scale="log"), "y")[:2] == [
        "10000",
        "100000",
    ]


def test_an_axis_of_numbers_has_the_limits_that_are_asked_for(table: pd.DataFrame) -> None:
    for scale in ("linear", "log"):
        assert axes_of(table, x_scale=scale, x_limits=[5, 20]).get_xlim() == (5, 20)
    assert axes_of(table, x="device", x_limits=[5, 20]).get_xlim() == (-0.5, 1.5)


def test_an_axis_of_powers_reaches_down_to_zero(table: pd.DataFrame) -> None:
    ax = axes_of(
        table.assign(bits=table["bits"] - 4, cosine_input=(table["bits"] - 4) * 100), x_scale="log", y_scale="log"
    )
    assert ticks(ax, "x") == ["0", "2", "4"]
    assert {"0", "200", "400"} <= set(ticks(ax, "y"))
    assert ax.transData.transform((0, 0))[0] < ax.transData.transform((2, 0))[0]
    assert ax.get_ylim()[0] < 0 < 400 < ax.get_ylim()[1]


def test_ticks_say_small_quantities_and_do_not_lie_over_each_other(table: pd.DataFrame) -> None:
    ax = axes_of(table.assign(energy_run_j=2.5e-13 * table["bits"]), y="energy_run_j")
    assert {"1.5 pJ", "2 pJ"} <= set(ticks(ax, "y"))
    ax = axes_of(table.assign(steps=table["bits"].map({4: 1, 6: 2, 8: 1000})), x="steps")
    assert ticks(ax, "x") == ["1", "1000"]


def test_numbers_that_a_colour_or_panel_needs_may_be_missing(table: pd.DataFrame, tmp_path: Path) -> None:
    table["horizon_fresh_steps"] = table["bits"].where(table["bits"] > 4)
    changed = FIGURE | {"x": "steps", "hue": "horizon_fresh_steps", "facet": "horizon_fresh_steps", "rows": None}
    assert set(drawn(FigureOptions.model_validate(changed), table)["bits"]) == {6, 8}
    assert pictures.draw(FigureOptions.model_validate(changed), table.query("bits == 4"), tmp_path) is None


def test_colours_that_stand_for_numbers_say_of_what(table: pd.DataFrame, tmp_path: Path) -> None:
    changed = {"x": "device", "hue": "bits", "facet": None, "rows": None}
    assert {"bits 4", "bits 6", "bits 8"} <= set(texts(svg(tmp_path, table, **changed)))
    assert {"converter", "4", "6", "8"} <= set(texts(svg(tmp_path, table, **changed, hue_label="converter")))


def test_many_colours_stay_near_the_value_that_they_are_of(table: pd.DataFrame) -> None:
    many = pd.concat([table.assign(system=f"rule {number}") for number in range(40)])
    ax = axes_of(many)
    places = ax.transData.transform([(bits, 0.5) for bits in (4, 6, 8)])[:, 0]
    drawn_at = np.concatenate([line.get_transform().transform(line.get_xydata())[:, 0] for line in ax.lines])
    assert np.abs(drawn_at[:, None] - places).min(1).max() < 0.4 * np.diff(places).min()


def test_lines_are_named_at_their_ends_where_values_have_even_places_too(table: pd.DataFrame) -> None:
    far = table.assign(cosine_input=table["cosine_input"] * (table["system"].map(SYSTEMS.index) + 1))
    ax = axes_of(far, x_scale="even")
    assert {(text.get_text(), text.xy[0]) for text in ax.texts} == {(system, 2) for system in SYSTEMS}


def test_names_that_are_long_leave_room_for_the_panels(table: pd.DataFrame, tmp_path: Path) -> None:
    words = " which has a very long name that goes on and on and on, much wider than a panel can be"
    long = table.assign(**{name: table[name].astype(str) + words for name in ("device", "bits", "system")})
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Matplotlib warns of panels that have lost all their size
        for x, hue, facet in (("bits", "device", "system"), ("device", "system", "bits"), ("steps", "system", None)):
            svg(tmp_path, long, x=x, hue=hue, facet=facet, rows=None)


def test_points_without_a_gradient_check_are_not_undefined(table: pd.DataFrame, tmp_path: Path) -> None:
    table.loc[table["steps"] == 8, ["cosine_input", "relative_error_input"]] = np.nan
    only = table.query("system == 'forward propagation'")
    assert "undefined" not in svg(tmp_path, only)


def test_the_table_fits_a_terminal_without_breaking_words(table: pd.DataFrame, tmp_path: Path) -> None:
    out = io.StringIO()
    for one in trials.pivots(folder_of(table.query("device == 'PCM'"), tmp_path)):
        Terminal(file=out, width=80).print(report._printable(one))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert {"propagation", "undefined", "noise"} <= set(text.split())
    assert len(text.splitlines()) < 20  # a line for each point


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("read_noise", 0.002, "read noise 0.2 %"),
        ("steps", 64, "64 steps"),
        ("energy_run_j", 2.5e-7, "energy of everything 250 nJ"),
        ("rule", "fpe", "forward propagation"),
        ("bits", 4, "bits 4"),
        ("bits", -4, "bits −4"),
        ("rate", 1e30, "rate 1e+30"),
        ("test", np.True_, "test true"),
        ("clip", "null", "clip null"),
        ("hidden", "[4, 3]", "hidden [4, 3]"),
    ],
)
def test_values_are_said_in_words(column: str, value: Any, said: str) -> None:
    words = Vocabulary(
        {"read_noise": "read noise", "fpe": "forward propagation"}, {"read_noise": "%", "steps": "steps"}
    )
    assert words.level(column, value) == said


def test_a_dotted_key_stays_as_it_is_written() -> None:
    assert Vocabulary().column("machine.device.read_noise.deviation_of_g") == "machine.device.read_noise.deviation_of_g"


def test_the_columns_that_the_documentation_lists_are_those_of_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
    begin = page.index("| `seed` | seed of the trial |")
    listed = re.findall(r"^\| `(\w+)` \| (.*) \|$", page[begin:], re.M)
    assert dict(listed[: len(COLUMNS)]) == COLUMNS


# ---- maps -------------------------------------------------------------------------------------------------------


@pytest.fixture
def mapped() -> pd.DataFrame:
    """Cosines that fall behind a horizon of 30 / (1 - r) steps; one cell is not finite."""
    rows = [
        {"r": r, "steps": steps, "horizon_fresh_steps": 30 / (1 - r), "cosine_input": float(steps < 30 / (1 - r))}
        for r in (0.4, 0.7, 0.94)
        for steps in (10, 100, 1000)
    ]
    made = pd.DataFrame(rows).assign(status="done", seed=0, system="fpe", chip=0, non_finite=False)
    made["relative_error_input"] = 1.0
    lost = (made.r == 0.4) & (made.steps == 1000)
    made.loc[lost, ["cosine_input", "relative_error_input"]] = np.nan
    made.loc[lost, "non_finite"] = True
    return made


MAP: dict[str, Any] = {
    "name": "map",
    "kind": "map",
    "x": "r",
    "up": "steps",
    "y": "cosine_input",
    "boundary": "horizon_fresh_steps",
    "y_limits": [0, 1],
}


def test_a_map_has_a_cell_per_point_the_fuller_the_larger(mapped: pd.DataFrame) -> None:
    with canvas(0.1) as sheet:
        maps.compose(sheet, FigureOptions.model_validate(MAP), mapped, titled=True)
        (ax,) = sheet.axes
        full = {(round(p.get_x() + 0.47), round(p.get_y() + 0.46)): p.get_alpha() for p in ax.patches}
        written = {tuple(map(float, text.get_position())): text.get_text() for text in ax.texts}
    assert len(full) == 9
    assert full[0, 0] == 1
    assert full[0, 1] == 0
    assert full[2, 1] == 1
    assert written[0, 2] == "×"
    assert written[2, 0] == "1"
    assert written[2, 2] == "0"


def test_the_boundary_of_a_map_lies_between_the_cells_that_it_parts(mapped: pd.DataFrame) -> None:
    with canvas(0.1) as sheet:
        maps.compose(sheet, FigureOptions.model_validate(MAP), mapped, titled=True)
        (line,) = sheet.axes[0].lines
        places, heights = line.get_data()
    assert list(places) == [0, 1, 2]
    assert list(heights) == close([np.log10(5), 1.0, 1 + np.log10(5)])  # 50, 100 and 500 steps over 10, 100, 1000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"up": None}, "up: the axis that goes up"),
        ({"kind": "line"}, "up: the axis that goes up"),
        ({"hue": "system"}, "facet or rows"),
        ({"kind": "line", "up": None}, "only maps have one"),
    ],
)
def test_what_a_map_needs_is_said(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FigureOptions.model_validate({**MAP, **options})
