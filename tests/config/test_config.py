"""Documents composed into experiments: inheritance, names, what is wrong with them, how they are written out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hwsim import documents
from hwsim.config import experiment as config
from hwsim.config import hardware, other_tools
from hwsim.config.experiment import Experiment
from hwsim.config.not_modelled import NOT_MODELLED
from hwsim.config.settings import load_with_settings
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.guide.names import meanings
from hwsim.learning import RULES
from hwsim.learning.updates import UPDATES
from hwsim.quantities import replaced

EXPERIMENT = """\
name: tiny
task: {name: random, steps: 5}
network:
  layers:
    - cell: {name: lru, modes: 4}
learning: {name: fpe}
machine: ideal
training: {optimizer: {name: sgd, rate: 0.01}, steps: 3}
"""


def written(folder: Path, **files: str) -> Path:
    """YAML files by name; the first one is given back."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / f"{next(iter(files))}.yaml"


def machine(path: Path) -> Any:
    return hardware.machine(documents.read(path))


def refused(path: Path) -> list[str]:
    """What is said of an experiment, without the folder that it is in."""
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    return str(caught.value).replace(f"{path.parent}/", "").splitlines()


def changed(*changes: tuple[str, str]) -> str:
    text = EXPERIMENT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


# ---- inheritance ---------------------------------------------------------------------------------------------


def test_a_machine_is_like_another_but_for_what_it_says(tmp_path: Path) -> None:
    base = hardware.machine(Document("test", "pcm_crossbar"))
    found = machine(written(tmp_path, a="like: pcm_crossbar\nname: mine\nparts: {tiles: {count: 3}, adc: {bits: 5}}"))
    assert (found.name, found.parts.tiles.count, found.parts.adc.bits) == ("mine", 3, 5)
    same = found.model_copy(update={"name": base.name, "parts": base.parts})
    assert same == base
    parts = base.parts.model_copy(
        update={
            "tiles": base.parts.tiles.model_copy(update={"count": 3}),
            "adc": base.parts.adc.model_copy(update={"bits": 5}),
        }
    )
    assert found.parts == parts


def test_inheritance_has_any_number_of_steps_and_the_nearest_wins(tmp_path: Path) -> None:
    top = "like: b.yaml\nparts: {tiles: {rows: 64}}"
    middle = "like: c.yaml\nname: b\nparts: {tiles: {rows: 32, columns: 16}}"
    bottom = "like: pcm_crossbar\nname: c\nparts: {tiles: {columns: 8, count: 4}}"
    found = machine(written(tmp_path, a=top, b=middle, c=bottom))
    tiles = found.parts.tiles
    assert (found.name, tiles.rows, tiles.columns, tiles.count) == ("b (changed)", 64, 16, 4)


def test_a_machine_inside_an_experiment_may_be_like_another(tmp_path: Path) -> None:
    inside = "machine:\n  like: {like: ideal, name: between}\n  format: float32\n"
    found = config.load(written(tmp_path, a=changed(("machine: ideal\n", inside)))).machine
    assert (found.kind, found.name, found.format) == ("ideal", "between (changed)", "float32")


def test_a_source_that_is_not_listed_is_an_error_where_it_stands(tmp_path: Path) -> None:
    text = "like: pcm_crossbar\nparts:\n  dac:\n    energy: {value: 1 pJ, source: brams}\n"
    with pytest.raises(ConfigError, match=r"a\.yaml:4:35: unknown source 'brams'; did you mean 'brahms'\?"):
        machine(written(tmp_path, a=text))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a": "like: a.yaml"}, "a.yaml:1:7: a machine cannot be like itself: a.yaml → a.yaml"),
        ({"a": "like: b.yaml", "b": "like: a.yaml"}, "a.yaml:1:7: a machine cannot be like itself: b.yaml → a.yaml"),
        ({"a": "kind: crossbar\nname: a\ndigital: a.yaml"}, "must be a machine of the kind 'digital', not 'crossbar'"),
        ({"a": "like: pcm_crossbar\ndigital: ideal"}, "a.yaml:2:10: must be a machine of the kind 'digital', not 'ide"),
    ],
)
def test_circles_are_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        machine(written(tmp_path, **files))
    assert said in str(caught.value)


# ---- names and files -----------------------------------------------------------------------------------------


def test_a_name_is_that_of_a_shipped_file_and_a_path_that_of_a_file_beside(tmp_path: Path) -> None:
    written(tmp_path, ideal="kind: ideal\nname: my own\n")
    (tmp_path / "inner").mkdir()
    by_name = written(tmp_path / "inner", a=changed())
    by_path = written(tmp_path / "inner", b=changed(("machine: ideal", "machine: ../ideal.yaml")))
    assert config.load(by_name).machine.name == "ideal"
    assert config.load(by_path).machine.name == "my own"


def test_a_path_is_seen_from_the_file_that_says_it(tmp_path: Path) -> None:
    (tmp_path / "hardware").mkdir()
    written(tmp_path / "hardware", a="like: b.yaml", b="kind: ideal\nname: beside")
    written(tmp_path, b="kind: ideal\nname: elsewhere")
    assert config.load(written(tmp_path, e=changed(("ideal", "hardware/a.yaml")))).machine.name == "beside"


def test_a_device_may_be_a_file_or_stand_in_the_machine(tmp_path: Path) -> None:
    sheet = (hardware.shelf("devices") / "ideal.yaml").read_text().replace("name: ideal", "name: mine")
    path = written(tmp_path, a="like: pcm_crossbar\nname: chip\ndevice: sheet.yaml", sheet=sheet)
    inside = yaml.safe_dump({"like": "pcm_crossbar", "name": "chip", "device": yaml.safe_load(sheet)})
    assert machine(path).device.name == "mine"
    assert machine(written(tmp_path, b=inside)) == machine(path)


@pytest.mark.parametrize("kind", ["configs/hardware", "devices", "configs/experiments"])
def test_every_shipped_file_is_valid(kind: str) -> None:
    read: Any = {"configs/hardware": hardware.machine, "devices": hardware.device}.get(kind, config.compose)
    names = hardware.names(kind)
    assert names
    for name in names:
        assert read(documents.read(hardware.shelf(kind) / f"{name}.yaml")).name == name


MACHINES = ", ".join(hardware.names("configs/hardware"))
DEVICES = ", ".join(hardware.names("devices"))


NEAREST_MACHINE = f"unknown machine 'ideel'; did you mean 'ideal'? allowed: {MACHINES}"
NEAREST_DEVICE = f"unknown device 'rram_hfox_130'; did you mean 'rram_hfox_130nm'? allowed: {DEVICES}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("ideel", f"7:10: {NEAREST_MACHINE}"),
        ("{like: ideel}", f"7:17: {NEAREST_MACHINE}"),
        ("{like: {like: ideel}}", f"7:24: {NEAREST_MACHINE}"),
        ("hw/ideal.yaml", "7:10: no file 'hw/ideal.yaml'"),
        ("{name: x}", "7:10: kind is missing"),
        ("{kind: idael}", "7:17: unknown kind 'idael'; did you mean 'ideal'? allowed: crossbar, digital, ideal"),
        (
            "{kind: [ideal]}",
            "7:17: unknown kind \"['ideal']\"; did you mean 'ideal'? allowed: crossbar, digital, ideal",
        ),
        ("{kind: ideal, name: x, n: 2}", "7:33: unknown key 'n'; allowed: format, kind, name"),
        ("{like: ideal, kin: ideal}", "7:24: unknown key 'kin'; did you mean 'kind'? allowed: format, kind, name"),
        ("{like: pcm_crossbar, device: pcm}", f"7:39: unknown device 'pcm'; allowed: {DEVICES}"),
        ("{like: pcm_crossbar, device: rram_hfox_130}", f"7:39: {NEAREST_DEVICE}"),
        ("{like: pcm_crossbar, device: 3}", "7:39: must be the name of a device, or a mapping"),
        ("{like: pcm_crossbar, device: }", "7:38: must be the name of a device, or a mapping"),
        ("3", "7:10: must be the name of a machine, or a mapping"),
        ("{like: 3}", "7:17: must be the name of a machine, or a mapping"),
    ],
)
def test_an_unknown_machine_or_device_is_told_with_its_place_and_the_nearest(
    tmp_path: Path, given: str, said: str
) -> None:
    path = written(tmp_path, e=changed(("machine: ideal", f"machine: {given}")))
    assert refused(path) == [f"e.yaml:{said}"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: fpe", "name: fep", "6:18: unknown learning 'fep'; did you mean 'fpe'? allowed: auto, bptt, eprop, "),
        ("name: random", "name: randm", "2:14: unknown task 'randm'; did you mean 'random'? allowed: adding, "),
        (
            "name: lru",
            "name: lur",
            "5:20: unknown network.layers.0.cell 'lur'; did you mean 'lru'? allowed: alif",
        ),
        (
            "name: sgd",
            "name: sdg",
            "8:30: unknown training.optimizer 'sdg'; did you mean 'sgd'? allowed: adam, adamax, adamw, sgd",
        ),
        ("modes: 4", "modes: 4, r_mim: 1", "5:35: unknown key 'r_mim'; did you mean 'r_min'? allowed: max_phase, mode"),
        ("steps: 3", "steps: 3, clp: 1", "8:58: unknown key 'clp'; did you mean 'clip'? allowed: batch, clip, epochs"),
        ("name: tiny", "name: ../tiny", '1:7: name ("../tiny"): must match the pattern ^[A-Za-z0-9]'),
        ("steps: 3", "steps: 3, epochs: 3", "8:11: training: epochs and steps both say how long to train; leave one"),
        ("steps: 3", "steps: null", "8:11: training: say how long to train, by epochs or by steps"),
        ("steps: 3", "steps: 3, clip: 3 %", '8:64: training.clip ("3 %"): must be a number alone; 3 % is 0.03'),
        ("{name: fpe}", "fpe", '6:11: learning ("fpe"): must be a mapping of keys'),
    ],
)
def test_what_else_is_unknown_is_told_so_too(tmp_path: Path, old: str, new: str, said: str) -> None:
    (found,) = refused(written(tmp_path, e=changed((old, new))))
    assert found.startswith(f"e.yaml:{said}")


def test_everything_that_is_wrong_is_told_at_once_in_whichever_file(tmp_path: Path) -> None:
    wrong = changed(("machine: ideal", "machine: m.yaml"), ("name: fpe", "name: fep"), ("modes: 4", "modes: 0"))
    wrong += "references:\n  - {name: a, learning: {name: bptt}, machine: idel}\n"
    wrong += "  - {name: b, learnin: 1, machine: ideal}\n"
    found = refused(written(tmp_path, e=wrong, m="like: ideal\nformat: float23\n"))
    places = [line.split(": ")[0] for line in found]
    assert places == ["m.yaml:2:9", "e.yaml:5:32", "e.yaml:6:18", "e.yaml:10:48", "e.yaml:11:15"]


MISTAKES = """\
name: planted
task: {name: random, steps: 3, train: 4}
network: {layers: [{cell: {name: lru, modes: 4}}]}
learning: {name: fpe}
machine:
  like: pcm_crossbar
  name: mine
  device: pcm_gst_90
  parts:
    adc: {bit: 6}
    tiles:
      time: {value: 250, assumed: fast}
"""


def test_mistakes_in_a_machine_are_told_beside_those_in_its_device(tmp_path: Path) -> None:
    assert [line.partition("; allowed")[0] for line in refused(written(tmp_path, e=MISTAKES))] == [
        f"e.yaml:8:11: unknown device 'pcm_gst_90'; did you mean 'pcm_gst_90nm'? allowed: {DEVICES}",
        "e.yaml:10:11: unknown key 'bit'; did you mean 'bits'? "
        "allowed: bits, circuit, energy, energy_per_bits, shared_by, time",
        "e.yaml:12:21: parts.tiles.time.value (250): needs its unit, as in '10 ns'",
    ]


@pytest.mark.parametrize("key", ["retention", "wire_resistance", "area", "noc"])
def test_what_is_not_modelled_is_told_with_what_to_do_instead(tmp_path: Path, key: str) -> None:
    device = f"{{like: pcm_crossbar, device: {{like: pcm_gst_90nm, {key}: 1}}}}"
    for text, place in (
        (changed(("machine: ideal", f"machine: {device}")), "7:60"),
        (f"{key}: 1\n{EXPERIMENT}", "1:1"),
    ):
        (found,) = refused(written(tmp_path, e=text))
        assert found.startswith(f"e.yaml:{place}: unknown key '{key}'; {NOT_MODELLED[key]}; allowed here: ")
    assert "not" in NOT_MODELLED[key]


def test_what_is_said_to_be_an_option_is_one() -> None:
    """The keys that messages about missing effects name."""
    base = hardware.machine(Document("test", "pcm_crossbar"))
    assert {"rows", "columns", "output_noise"} <= set(type(base.parts.tiles).model_fields)
    assert "retention" in type(base.parts.registers).model_fields
    assert "area" in type(base.periphery).model_fields
    assert "area" in type(base.digital.parts).model_fields
    assert {"in_situ", "mixed_precision"} <= set(UPDATES)


def test_keys_of_other_tools_lead_to_keys_that_there_are() -> None:
    """Each key in backticks is one of hwsim; and each name stands for an effect, or has a text of its own."""
    assert set(NOT_MODELLED) >= {*other_tools.KEYS, *other_tools.EFFECTS}
    for text in other_tools.KEYS.values():
        named = [key for key in re.findall(r"`([^`]+)`", text) if ": " not in key]
        assert named, text
        for key in named:
            assert key in UPDATES or meanings(key).keys, key


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("dw_min", "`update.step` of the device is the change by one pulse"),
        ("NL_LTP", "`update` of a data sheet is the law by which devices answer to pulses"),
        ("maxConductance", "`conductance.max` of the device is what it has when it is on; 10 kOhm is 100 uS"),
        ("yield", "`faults` of the device says which shares are stuck"),
        ("drift_nu", "`drift` of the device is the law"),
    ],
)
def test_keys_of_other_tools_are_told_what_says_the_same(tmp_path: Path, key: str, said: str) -> None:
    device = f"{{like: pcm_crossbar, device: {{like: pcm_gst_90nm, {key}: 1}}}}"
    (found,) = refused(written(tmp_path, e=changed(("machine: ideal", f"machine: {device}"))))
    assert found.startswith(f"e.yaml:7:60: unknown key '{key}'; {said}")


def test_a_key_that_is_near_is_told_beside_what_another_tool_calls_so(tmp_path: Path) -> None:
    text = changed(("{name: sgd, rate: 0.01}", "{name: adam, rate: 0.01, beta: .9}"))
    (found,) = refused(written(tmp_path, e=text))
    assert "unknown key 'beta'; did you mean 'beta1'? `decay` of the cells lif and alif is what" in found


def test_a_key_that_is_misspelt_is_not_missing_too(tmp_path: Path) -> None:
    (found,) = refused(written(tmp_path, e=changed(("network:", "netwrok:"))))
    assert "unknown key 'netwrok'; did you mean 'network'?" in found


def test_a_source_is_looked_for_even_where_the_sheet_is_wrong_elsewhere(tmp_path: Path) -> None:
    sheet = hardware.shelf("devices").joinpath("pcm_gst_90nm.yaml").read_text()
    sheet = sheet.replace('"joshi2020, an', '"josh2020, an').replace("read_time: 250 ns", "read_time: 250")
    chip = "like: pcm_crossbar\nname: m\ndevice: d.yaml\n"
    said = refused(written(tmp_path, e=changed(("machine: ideal", "machine: m.yaml")), m=chip, d=sheet))
    assert [line.partition("? ")[0] for line in said] == [
        "d.yaml:12:33: unknown source 'josh2020'; did you mean 'joshi2020'",
        "d.yaml:27:14: read_noise.read_time (250): needs its unit, as in '10 ns'",
    ]


def test_a_machine_is_no_experiment(tmp_path: Path) -> None:
    (found,) = refused(written(tmp_path, e="like: ideal\nname: m\n"))
    assert "this is a machine, not an experiment" in found


def test_a_shipped_experiment_has_a_name() -> None:
    assert config.load("quickstart").name == "quickstart"
    with pytest.raises(ConfigError, match=r"no file 'quickstat', and unknown experiment.*did you mean 'quickstart'"):
        config.load("quickstat")


def test_references_have_names_of_their_own(tmp_path: Path) -> None:
    references = "references:\n  - {name: a, learning: {name: bptt}, machine: ideal}\n"
    twice = references + "  - {name: a, learning: {name: bptt}, machine: ideal}\n"
    said = "e.yaml:10:3: references: need names of their own; '{}' stands twice"
    assert refused(written(tmp_path, e=EXPERIMENT + twice)) == [said.format("a")]
    substrate = references.replace("name: a", "name: substrate")
    assert refused(written(tmp_path, e=EXPERIMENT + substrate)) == [said.format("substrate")]
    assert list(config.load(written(tmp_path, e=EXPERIMENT + references)).systems()) == ["substrate", "a"]


def test_a_reference_has_as_many_chips_as_the_substrate_unless_it_says_so(tmp_path: Path) -> None:
    references = "chips: 5\nreferences:\n  - {name: a, learning: {name: bptt}, machine: ideal}\n"
    references += "  - {name: b, learning: {name: bptt}, machine: ideal, chips: 2}\n"
    systems = config.load(written(tmp_path, e=EXPERIMENT + references)).systems()
    assert {name: system.chips for name, system in systems.items()} == {"substrate": 5, "a": 5, "b": 2}


def test_an_experiment_may_be_a_mapping_which_is_left_as_it_was() -> None:
    data = yaml.safe_load(EXPERIMENT)
    before = repr(data)
    assert config.load(data).machine.name == "ideal"
    assert repr(data) == before
    with pytest.raises(ConfigError, match=r"^experiment:1:1: unknown key 'nmae'; did you mean 'name'"):
        config.load({**data, "nmae": "x"})


# ---- written out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", hardware.names("configs/hardware"))
def test_what_is_written_out_describes_the_same_experiment(tmp_path: Path, name: str) -> None:
    text = changed(("name: tiny", "name: '1e5'"), ("machine: ideal", f"machine: {name}"))
    asked = config.load(written(tmp_path, e=text))
    resolved = asked.resolved()
    (tmp_path / "again.yaml").write_text(documents.dump(resolved), encoding="utf-8")
    again = config.load(tmp_path / "again.yaml")
    assert again == asked
    assert again.resolved() == resolved
    assert documents.fingerprint(again.resolved()) == documents.fingerprint(resolved)


def test_what_is_written_out_has_every_default_and_the_version_of_the_schema(tmp_path: Path) -> None:
    resolved = config.load(written(tmp_path, e=EXPERIMENT)).resolved()
    assert list(resolved)[:5] == ["schema_version", "name", "seed", "task", "network"]
    assert resolved["schema_version"] == 1
    assert resolved["task"] == {
        "name": "random", "steps": 5, "width": 1, "outputs": 2, "target": "classes", "loss": "each", "train": 256,
        "test": 64, "shortest": None,
    }  # fmt: skip
    assert resolved["machine"] == {"kind": "ideal", "name": "ideal", "format": "float64"}


def test_an_experiment_that_is_restored_says_where_its_constants_stand() -> None:
    asked = config.load("configs/experiments/quickstart.yaml")
    again = config.restored(asked.resolved())
    assert again == asked
    origins: list[list[Any]] = [[], []]
    for found, one in zip(origins, (asked, again), strict=True):
        for system in one.systems().values():
            replaced(system.machine, lambda constant, _, found=found: found.append(constant.origin) or constant)
    assert origins[0] == origins[1]
    assert len({origin.key for origin in origins[0]}) > 100
    assert all(origin.citation or origin.assumed for origin in origins[1])


def test_another_version_of_the_schema_is_refused(tmp_path: Path) -> None:
    found = refused(written(tmp_path, e="schema_version: 2\n" + EXPERIMENT))
    assert found == ["e.yaml:1:17: unknown schema_version '2'; allowed: 1"]


# ---- the JSON schema -----------------------------------------------------------------------------------------

SCHEMA = Experiment.model_json_schema()
VALID = {
    "shipped": (hardware.shelf("configs/experiments") / "quickstart.yaml").read_text(),
    "by name": changed(),
    "like": changed(("machine: ideal", "machine: {like: pcm_crossbar, device: ideal, parts: {adc: {bits: 5}}}")),
    "path": changed(("machine: ideal", "machine: mine.yaml")),
    "whole": changed(("machine: ideal", "machine: {kind: ideal, name: x, format: float32}")),
    "null": changed(("training: {", "gradient_check: null\ntraining: {clip: null, ")),
    "reference": EXPERIMENT + "references: [{name: a, learning: {name: bptt}, machine: {like: digital_45nm}}]",
}


@pytest.mark.parametrize("name", VALID)
def test_the_schema_accepts_what_the_loader_accepts(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, e=VALID[name], mine="kind: ideal\nname: mine")
    resolved = config.load(path).resolved()
    jsonschema.validate(documents.read(path).data, SCHEMA)
    jsonschema.validate(resolved, SCHEMA)


@pytest.mark.parametrize("name", hardware.names("configs/hardware"))
def test_the_schema_accepts_machines_that_stand_in_the_experiment(name: str) -> None:
    asked = yaml.safe_load(EXPERIMENT)
    data = documents.read(hardware.shelf("configs/hardware") / f"{name}.yaml").data
    assert config.load({**asked, "machine": data}).machine.name == name
    jsonschema.validate({**asked, "machine": data}, SCHEMA)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: fpe", "name: fep"),
        ("modes: 4", "mode: 4"),
        ("modes: 4", "modes: 0"),
        ("modes: 4", "modes: '4'"),
        ("machine: ideal", "machine: 3"),
        ("machine: ideal", "machine: {kind: idael, name: x}"),
        ("machine: ideal", "nothing: 1"),
        ("training:", "trainng:"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(tmp_path: Path, old: str, new: str) -> None:
    path = written(tmp_path, e=changed((old, new)))
    assert refused(path)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(documents.read(path).data, SCHEMA)


def test_the_schema_explains_and_lists_what_may_be_said() -> None:
    rules = SCHEMA["properties"]["learning"]["discriminator"]["mapping"]
    assert set(rules) == set(RULES) > {"bptt", "fpe"}
    energy = next(part for name, part in SCHEMA["$defs"].items() if name == "DynamicMemory")["properties"]["energy"]
    constant = SCHEMA["$defs"][energy["$ref"].rpartition("/")[2]]
    assert constant["properties"]["value"]["examples"] == ["8 pJ/bit"]


# ---- sets of references ----------------------------------------------------------------------------------------


def test_a_shipped_set_of_references_is_had_by_its_name(tmp_path: Path) -> None:
    listed = documents.read(hardware.shelf("configs/references") / "strong.yaml").data["references"]
    path = written(tmp_path, e=changed(("machine: ideal", "machine: ideal\nreferences: strong")))
    found = config.load(path)
    assert [reference.name for reference in found.references] == [item["name"] for item in listed]
    machines = [item["machine"] if isinstance(item["machine"], str) else item["machine"]["name"] for item in listed]
    assert [reference.machine.name for reference in found.references] == machines
    assert config.load(found.resolved()) == found
    path = written(tmp_path, e=changed(("machine: ideal", "machine: ideal\nreferences: stong")))
    assert refused(path) == ["e.yaml:8:13: unknown set of references 'stong'; did you mean 'strong'? allowed: strong"]
    written(tmp_path, own="references:\n  - {name: x, learning: {name: bptt}, machine: idel}\n")
    path = written(tmp_path, e=changed(("machine: ideal", "machine: ideal\nreferences: own.yaml")))
    assert "own.yaml:2:48: unknown machine 'idel'" in refused(path)[0]
    written(tmp_path, own="references: []\nmore: 1\n")
    assert "own.yaml:1:1: a set of references has the key references" in refused(path)[0]


# ---- constants know where they stand -------------------------------------------------------------------------


def test_constants_know_the_keys_that_lead_to_them(tmp_path: Path) -> None:
    """By the name of a reference, unless it could be an index; in a machine alone, from the top of its file."""
    references = "references:\n" + "".join(
        f'  - {{name: "{name}", learning: {{name: fpe}}, machine: pcm_crossbar}}\n' for name in ("chip v1.2", "7")
    )
    found = config.load(written(tmp_path, e=EXPERIMENT + references))
    for machine, key in zip(found.references, ("references.chip v1.2", "references.1"), strict=True):
        assert machine.machine.digital.parts.dram.energy.key == f"{key}.machine.digital.parts.dram.energy"
        assert machine.machine.parts.adc.conversion.key == f"{key}.machine.parts.adc.energy_per_bits.8"
    alone = hardware.machine(Document("test", "pcm_crossbar"))
    assert alone.periphery.driver.key == "periphery.driver"
    assert alone == found.references[0].machine, "where a machine stands does not make it another one"


@pytest.mark.parametrize("text", ["8 pJ/bit", "8e-12 J/bit", "9 pJ/bit"])
def test_a_constant_that_is_set_to_its_own_value_keeps_its_source(text: str, tmp_path: Path) -> None:
    file = written(tmp_path, e=EXPERIMENT.replace("machine: ideal", "machine: digital_45nm"))
    before = config.load(file).machine.parts.dram.energy
    after = load_with_settings(file, [f"machine.parts.dram.energy={text}"]).machine.parts.dram.energy
    assert (after == before) == (text != "9 pJ/bit")
    assert (after.source is None) == (text == "9 pJ/bit")
    assert after.origin.value == f"{text[0]} pJ/bit"


@pytest.mark.parametrize("given", ["none", "{name: own, what: mine, sources: {}, driver: D, output: D}"])
def test_a_key_goes_below_a_periphery(given: str, tmp_path: Path) -> None:
    chip = "{like: pcm_crossbar, periphery: " + given.replace("D", "{value: 1 uW, assumed: a}") + "}"
    file = written(tmp_path, e=EXPERIMENT.replace("machine: ideal", f"machine: {chip}"))
    found = load_with_settings(file, ["machine.periphery.driver=3 uW"]).machine.periphery
    assert (found.driver.value, found.driver.key) == (3e-6, "machine.periphery.driver")
    with pytest.raises(ConfigError, match="unknown key 'drivr'; did you mean 'driver'"):
        load_with_settings(file, ["machine.periphery.drivr=3 uW"])
