"""The parts of the documentation that are made from the program: keys, constants, commands, and shown code.

What stands between `<!-- made here: commands -->` and `<!-- until here -->` is the part of `PARTS` with that name. It
is part of the checkout, to be read there, and is written anew when keys, constants or commands have changed:

    python docs/generate.py --write           # without --write, say which pages differ

What reports say of the model is made from docs/model.md.

MkDocs calls `on_page_markdown` for each page. A block of Python that only has a comment such as
`# hwsim/learning/rule.py: Rule` becomes that code. `--small` looks at one page.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hwsim import cli, documents, units
from hwsim import operations as words
from hwsim.config import experiment, hardware, plausible
from hwsim.config.experiment import Experiment
from hwsim.config.plausible import Published
from hwsim.config.study import Study
from hwsim.documents import Document
from hwsim.experiments import calibration
from hwsim.experiments.calibration import ReadComparison
from hwsim.experiments.estimate import estimate
from hwsim.experiments.one_read import one_read
from hwsim.guide.choices import opening
from hwsim.guide.constants import ListedConstant, constants
from hwsim.guide.keys import Key, Section, sections
from hwsim.machines import MACHINES
from hwsim.machines.crossbar import CrossbarParts
from hwsim.operations import SPARSE, Operation, held, moves, sparse
from hwsim.operations.feedback import solve_in_loop
from hwsim.physics import DataSheet
from hwsim.quantities import si
from hwsim.reports import efficiency
from hwsim.results.summary import Summary, SummaryPart
from hwsim.units.periphery import Periphery
from hwsim.units.processor import DigitalParts

ROOT = Path(__file__).parents[1]


MODEL_IN_REPORTS = ROOT / "hwsim" / "reports" / "page" / "model.html"
"""What reports say of the model; it is made from its page."""

_MADE = re.compile(r"(<!-- made here: (.+?) -->)(?:(?:(?!<!-- made here:).)*?<!-- until here -->)?", re.DOTALL)
"""A generated part, or where it goes."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A page of the site: its generated parts, and the code that it shows."""
    made = _MADE.sub(lambda match: PARTS[match[2]](), markdown)
    return re.sub(r"```python\n# (\S+\.py)(?:: (\w+))?\n```", _shown, made)


def pages() -> list[Path]:
    """The pages with generated parts."""
    return [page for page in sorted((ROOT / "docs").rglob("*.md")) if _MADE.search(page.read_text(encoding="utf-8"))]


def written(page: Path) -> str:
    """A page of the checkout as it should stand there."""
    text = page.read_text(encoding="utf-8")
    return _MADE.sub(lambda match: f"{match[1]}\n\n{PARTS[match[2]]().strip()}\n\n<!-- until here -->", text)


def modelled() -> str:
    """What is modelled, and what is not, as reports have it: the first part of its page."""
    page = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    short = page[page.index("Every operation") : page.index("## Time and causality")].replace(
        "'", "\N{RIGHT SINGLE QUOTATION MARK}"
    )
    short = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", short, flags=re.DOTALL)
    blocks = []
    for block in short.strip().split("\n\n"):
        if block.startswith("## "):
            blocks.append(f"<h3>{block.removeprefix('## ')}</h3>")
        elif block.startswith("- "):
            items = (re.sub(r"\n +", "\n", item) for item in re.split(r"(?m)^- ", block)[1:])
            blocks.append("\n".join(["<ul>", *(f"<li>{item.strip()}</li>" for item in items), "</ul>"]))
        else:
            blocks.append(f"<p>{block}</p>")
    return "\n".join(blocks) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="write the pages that differ")
    parser.add_argument("--small", action="store_true", help="look at one page")
    asked = parser.parse_args()
    made = {page: written(page) for page in pages()[: 1 if asked.small else None]} | {MODEL_IN_REPORTS: modelled()}
    stale = {page: text for page, text in made.items() if text != page.read_text(encoding="utf-8")}
    for page, text in stale.items():
        print(f"{page.relative_to(ROOT)} {'is written anew' if asked.write else 'differs; --write writes it anew'}")
        if asked.write:
            page.write_text(text, encoding="utf-8")
    raise SystemExit(bool(stale) and not asked.write)


def _shown(match: re.Match[str]) -> str:
    path, name = match.groups()
    code = (ROOT / path).read_text(encoding="utf-8")
    if name:
        node = next(node for node in ast.parse(code).body if getattr(node, "name", None) == name)
        code = str(ast.get_source_segment(code, node))
    return f'```python title="{path}"\n{code.strip()}\n```'


# ---- keys ----------------------------------------------------------------------------------------------------

ROOTS = {
    "device": [DataSheet],
    "machine": [each.Options for each in MACHINES.values()],
    "experiment": [Experiment],
    "study": [Study],
}
"""The page of each kind of document, and the models that describe it; a section stands where it is first needed."""


def keys(page: str) -> str:
    """Every key of a kind of document: its allowed values, its default, and what it is for."""
    groups = iter(sections(*(model for models in ROOTS.values() for model in models)).values())
    pages = {name: [section for _ in models for section in next(groups)] for name, models in ROOTS.items()}
    where = {
        section.title: f"{'' if name == page else f'{name}.md'}#{_anchor(section.title)}"
        for name, group in pages.items()
        for section in group
    }
    texts = {section.title: section.text.partition("\n")[0] for group in pages.values() for section in group}
    return "\n".join(_section(section, where, texts) for section in pages[page])


def _section(section: Section, where: dict[str, str], texts: dict[str, str]) -> str:
    rows = (_key(key, where, texts) for key in section.keys)
    table = _table(("key", "allowed values", "default", "what it is for"), rows)
    return f"## {section.title} {{ #{_anchor(section.title)} }}\n\n{section.text}\n\n{table}"


def _key(key: Key, where: dict[str, str], texts: dict[str, str]) -> tuple[str, str, str, str]:
    links = ", ".join(f"[{title}]({where[title]})" for title in key.sections)
    about = key.text or (texts[key.sections[0]] if len(key.sections) == 1 else "")
    default = "**required**" if key.default is None else f"`{key.default}`"
    return f"`{key.name}`", f"{key.kind}: {links}" if links else key.kind, default, about


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


# ---- summaries -----------------------------------------------------------------------------------------------


def summary_keys() -> str:
    """Every key of `summary.json`: its type and its meaning."""
    return "\n".join(_part(model) for model in _parts(Summary, {}))


def _parts(model: type[SummaryPart], known: dict[type[SummaryPart], None]) -> Iterable[type[SummaryPart]]:
    """A model and the models of its parts, each where it is first needed."""
    if model not in known:
        known[model] = None
        for field in model.model_fields.values():
            for inner in _models(field.annotation):
                _parts(inner, known)
    return known


def _models(kind: Any) -> Iterator[type[SummaryPart]]:
    if isinstance(kind, type) and issubclass(kind, SummaryPart):
        yield kind
    for inner in get_args(kind):
        yield from _models(inner)


def _part(model: type[SummaryPart]) -> str:
    title, text = _title(model), " ".join(str(model.__doc__).split())
    rows = ((f"`{name}`", _stands(field), field.description) for name, field in model.model_fields.items())
    table = _table(("key", "type", "meaning"), rows)
    return f"### {title} {{ #summary-{_anchor(title)} }}\n\n{text}\n\n{table}"


def _stands(field: FieldInfo) -> str:
    return _value(field.annotation) + ("" if field.is_required() else "; optional")


def _title(model: type[SummaryPart]) -> str:
    words = re.sub("(?<=[a-z])(?=[A-Z])", " ", model.__name__).capitalize()
    return words.removesuffix(" summary")


def _value(kind: Any) -> str:
    """A type in words, with links to parts."""
    if isinstance(kind, type) and issubclass(kind, SummaryPart):
        return f"[{_title(kind)}](#summary-{_anchor(_title(kind))})"
    inner = get_args(kind)
    if get_origin(kind) is Annotated:
        return _value(inner[0])
    if get_origin(kind) is dict:
        return f"by name: {_value(inner[1])}"
    if get_origin(kind) is list:
        return f"list: {_value(inner[0])}"
    if get_origin(kind) is tuple:
        return ", ".join(map(_value, inner))
    if inner:
        return " or ".join(dict.fromkeys(map(_value, inner)))
    return {int: "number", float: "number", str: "text", bool: "true or false", type(None): "null"}[kind]


# ---- constants -----------------------------------------------------------------------------------------------


def constants_of(kind: str) -> str:
    """Every number of the shipped files of a kind."""
    return "\n".join(_constants(hardware.shelf(kind) / f"{name}.yaml") for name in hardware.names(kind))


ROOT_KEYS = {"devices": "machine.device.", "periphery": "machine.periphery.", "hardware": "machine."}
"""What leads to a file of a folder in an experiment."""


def _constants(path: Path) -> str:
    document = documents.read(path)
    root = ROOT_KEYS[path.parent.name]
    rows = [
        row._replace(place=f"{root}{row.place}")
        for row in constants(document, hardware.inherited(document).data.get("sources", {}))
    ]
    like = document.data.get("like")
    text = f"### {path.stem} {{ #{path.parent.name}-{path.stem} }}\n\n{opening(path)}\n"
    text += f"Like [{like}](#{path.parent.name}-{like}), except for these constants.\n" if like else ""
    return f"{text}\n{_table(('key', 'value', 'range', 'where it comes from'), map(_constant, rows))}"


def _constant(row: ListedConstant) -> tuple[str, str, str, str]:
    origin = {
        "source": row.source + (f" ({row.because})" if row.because else ""),
        "assumed": f"**assumed**: {row.because}",
        "choice": f"choice: {row.because}" if row.because else "choice",
    }[row.kind]
    return f"`{row.place}`", row.value, row.range, origin


def plausible_numbers(*models: type[BaseModel]) -> str:
    """The published range of each quantity, and the factor by which a value may lie beyond."""
    rows = (_published(row) for model in models for row in plausible.PUBLISHED[model])
    return _table(("quantity", "smallest published", "largest published", "accepted up to"), rows)


def _published(row: Published) -> tuple[str, str, str, str]:
    ends = [
        "" if limit is None else f"{plausible.written(limit.value, row.unit)} ({limit.source})"
        for limit in (row.low, row.high)
    ]
    what = row.what.removesuffix(",").removeprefix("at its largest, ")
    return f"`{row.key}`{f' {what}' if what else ''}", *ends, f"{row.margin:g} times beyond"


def memories() -> str:
    """The table of static memories."""
    path = Path(str(units.__file__)).with_name("sram_cacti7.yaml")
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    return f"{opening(path)} Source: {table['source']}.\n\n{_table(table['columns'], table['rows'])}"


# ---- published chips -----------------------------------------------------------------------------------------

PEERS = {
    "pcm_crossbar": ("HERMES, one phase", "phase-change memory, 14 nm"),
    "pcm_crossbar_in_the_loop": ("HERMES, one phase", "phase-change memory, 14 nm"),
    "neuron_crossbar": ("HERMES, one phase", "phase-change memory, 14 nm"),
    "spiking_crossbar": ("HERMES, one phase", "phase-change memory, 14 nm"),
    "integrating_crossbar": ("HERMES, one phase", "phase-change memory, 14 nm"),
    "solving_crossbar": ("HERMES, one phase", "phase-change memory, 14 nm"),
    "ideal_crossbar": ("HERMES, one phase", "phase-change memory, 14 nm; devices here draw nothing"),
    "offset_crossbar": ("NeuRRAM", "resistive memory, 130 nm, a pair of devices for each weight"),
    "rram_crossbar": ("NeuRRAM", "resistive memory, 130 nm, lines sensed as voltages"),
    "hermes_14nm": ("HERMES, four phases", "the chip itself"),
    "neurram_130nm": ("NeuRRAM", "the chip itself; fitted at this setting"),
    "isaac_ce_32nm": ("ISAAC", "the study itself, with 8 bits; 16 take four times as much"),
    "digital_45nm_fp16": ("DaDianNao", "16 bits, 28 nm, a whole chip"),
    "digital_45nm_int8_bound": ("Qian 2024", "training, 28 nm, at its peak"),
    "digital_7nm": ("TPUv4", "bfloat16, 7 nm, a whole chip"),
}
"""The published chip that is nearest to a machine in kind, with a description."""


def reads() -> str:
    """The energy of a multiply-accumulate on each shipped machine, and its factor to the nearest published chip."""
    rows = (_read(name) for name in hardware.names("configs/hardware"))
    return _table(("machine", "matrix", "energy / MAC", "nearest published", "factor"), rows)


def _read(name: str) -> tuple[str, str, str, str, str]:
    product = one_read(hardware.machine(Document(name, name)))
    size = f"{product.rows} × {product.columns}"
    if product.per_mac is None:
        return f"`{name}`", size, "operations are counted only", "", ""
    if name not in PEERS:
        return f"`{name}`", size, si(product.per_mac, "J"), "none in this format", ""
    peer, why = PEERS[name]
    published = efficiency.chips()[peer].energy_per_mac_pj * 1e-12
    return (
        f"`{name}`",
        size,
        si(product.per_mac, "J"),
        f"{peer}: {si(published, 'J')} ({why})",
        f"×{product.per_mac / published:.2f}",
    )


def comparisons() -> str:
    """Every published read beside the simulated one."""
    columns = ("chip", "setting", "machine", "published", "here", "ratio", "")
    return _table(columns, map(_comparison, calibration.comparisons()))


def _comparison(made: ReadComparison) -> tuple[str, ...]:
    asked = made.published
    on = f"`{asked.like}`" + (f" with `{asked.periphery}`" if asked.periphery else "")
    verdict = f"**missed**: {asked.because}" if asked.is_ == "missed" else asked.is_
    energies = si(made.published_energy, "J", 4), si(made.energy, "J", 4)
    return asked.chip, f"{asked.setting} ({asked.source})", on, *energies, f"{made.ratio:.2f}", verdict


TRAINING = [
    ("digital_45nm", "bptt"),
    ("digital_45nm_fp16", "bptt"),
    ("digital_45nm_int8_bound", "bptt"),
    ("digital_7nm", "bptt"),
    ("digital_45nm_fp16", "one_step"),
    ("pcm_crossbar", "one_step"),
    ("hermes_14nm", "one_step"),
    ("pcm_crossbar", "spatial"),
    ("hermes_14nm", "spatial"),
]
"""The machines and rules in the table of training steps."""
STEPS = 1000


def training_steps() -> str:
    """The energy per step of a gradient, in a layer of 256 units."""
    head = ("machine", "rule", "inference", "gradient", "gradient / inference")
    return _table(head, (_training_step(*machine_and_rule) for machine_and_rule in TRAINING))


def _training_step(machine: str, rule: str) -> tuple[str, ...]:
    asked = {
        "name": "a step",
        "task": {"name": "random", "steps": STEPS, "width": 1, "outputs": 1, "train": 1, "test": 1},
        "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 256}}]},
        "learning": {"name": rule},
        "machine": machine,
        "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 1, "steps": 2},
    }
    energy = estimate(experiment.load(asked)).summary.systems["substrate"].energy
    both = energy.gradient_j_per_sequence, energy.inference_j_per_sequence
    gradient, inference = (each / STEPS for each in both if each is not None)
    return f"`{machine}`", rule, si(inference, "J"), si(gradient, "J"), f"{gradient / inference:.2g}"


def sources_of_reads() -> str:
    """Citations of published reads and chips."""
    citations = {**efficiency.sources(), **calibration.sources()}
    return "\n".join(f"- *{key}*: {text}" for key, text in sorted(citations.items()))


# ---- commands ------------------------------------------------------------------------------------------------


def commands() -> str:
    """Every command, with its arguments and options."""
    return "\n".join(_commands(typer.main.get_command(cli.app), "hwsim"))


def _commands(command: Any, name: str) -> Iterator[str]:
    if hasattr(command, "commands"):
        for word, below in command.commands.items():
            yield from _commands(below, f"{name} {word}")
        return
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    rows = [_parameter(each) for each in command.params]
    options = ["[OPTIONS]"] if len(rows) > len(arguments) else []
    usage = " ".join([name, *map(_metavar, arguments), *options])
    table = _table(("argument or option", "default", "what it is for"), rows) if rows else ""
    yield f"## {name}\n\n```console\n{usage}\n```\n\n{command.help}\n\n{table}"


def _parameter(parameter: Any) -> tuple[str, str, str]:
    named = parameter.param_type_name == "option"
    names = ", ".join((*parameter.opts, *parameter.secondary_opts)) if named else _metavar(parameter)
    default = "" if parameter.default in (None, False) else f"`{parameter.default}`"
    return f"`{names}`", "**required**" if parameter.required else default, parameter.help or ""


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


# ---- Markdown ------------------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table in Markdown; `|` in cells, and `<` outside of code, are escaped."""
    body = [tuple(row) for row in rows]
    if any(len(row) != len(head) for row in body):
        raise ValueError(f"a row of the table with the head {', '.join(head)} has another number of cells")
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def _cell(value: Any) -> str:
    parts = re.split("(`[^`]*`)", " ".join(str(value).split()).replace("|", "&#124;"))
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


# ---- operations ----------------------------------------------------------------------------------------------


def operations() -> str:
    """Every operation: how it is written, its elementary work, and the analog circuit that can carry it out."""
    rows = (
        (f"`{word}`", operation.kind, _work(operation), _circuit(operation), "yes" if operation.derivative else "")
        for word, operation in sorted(_words())
    )
    return _table(("written", "record", "elementary operations", "circuit on a chip", "derivative"), rows)


def _words() -> Iterator[tuple[str, Operation]]:
    """Operations, by the word that cells and rules import, or by what they write."""
    yield from ((name, each) for name, each in vars(words).items() if isinstance(each, Operation))
    written = {
        "W @ x": held.read, "W.T @ e": held.read_transposed, "x + b": held.bias, "g * x": held.gain,
        "gamma * h": held.mode_gain, "gamma.spread(x)": held.spread, "d * h": held.diagonal,
        "d.T * e": held.conjugate_diagonal, "inverse * e": held.inverse_diagonal, "loop.solve(phi, v)": solve_in_loop,
        "W.columns()": held.columns,
        "W.diagonal()": held.main_diagonal, "S @ x": sparse.read, "S.T @ e": sparse.read_transposed,
        "S.columns()": sparse.columns, "S.diagonal()": sparse.main_diagonal,
        "S.gradient.add_outer(e, x)": sparse.outer, "gradient.add(x)": moves.accumulate,
        "gradient.add_outer(e, x)": moves.outer,
    }  # fmt: skip
    yield from written.items()


def _work(operation: Operation) -> str:
    """Counts per wire where they are proportional to wires, else for eight wires, or a matrix of eight by eight."""
    if operation.wiring or operation.kind.endswith("fetch"):
        return "none"
    if operation.traffic in SPARSE:
        return "1 mac per connection"
    try:
        once, twice = operation.work((8,)), operation.work((16,))
        proportional = all(twice[name] == 2 * count and count % 8 == 0 for name, count in once.items())
    except (ValueError, IndexError):
        once, proportional = operation.work((8, 8)), False
    if operation.product or not proportional:
        once = operation.work((8, 8)) if operation.product else once
        size = "8 × 8" if operation.product else "8 wires"
        return ", ".join(f"{count} {name}" for name, count in once.items() if count) + f" ({size})"
    return ", ".join(f"{count // 8} {name}" for name, count in once.items()) + " per wire" if once else "none"


def _circuit(operation: Operation) -> str:
    if operation.wiring:
        return "wires"
    if isinstance(operation, held.Held) and operation.multiplier:
        return f"{operation.multiplier} multipliers"
    if operation is solve_in_loop:
        return "inverse solver"
    return "tiles" if operation in (held.read, held.read_transposed) else operation.circuit or ""


PARTS: dict[str, Callable[[], str]] = {
    "operations": operations,
    "keys of data sheets": lambda: keys("device"),
    "keys of machines": lambda: keys("machine"),
    "keys of experiments": lambda: keys("experiment"),
    "keys of studies": lambda: keys("study"),
    "keys of summaries": summary_keys,
    "constants of devices": lambda: constants_of("devices"),
    "constants of peripheries": lambda: constants_of("configs/periphery"),
    "reads of machines": reads,
    "published reads": comparisons,
    "training steps": training_steps,
    "sources of published reads": sources_of_reads,
    "constants of machines": lambda: constants_of("configs/hardware"),
    "static memories": memories,
    "plausible numbers of devices": lambda: plausible_numbers(DataSheet),
    "plausible numbers of machines": lambda: plausible_numbers(CrossbarParts, Periphery, DigitalParts),
    "commands": commands,
}

if __name__ == "__main__":
    main()
