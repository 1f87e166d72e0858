"""The loader: what a plain value is, where everything stands, and what is refused with all its problems at once."""

from __future__ import annotations

import math
import os
import re
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model
from pydantic_core._pydantic_core import list_all_errors

from hwsim import documents
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.quantities import Conductance, Constant, Energy, Time


def read(text: str) -> Any:
    return documents.parse(text, "f.yaml").data


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        documents.parse(text, "f.yaml")
    return str(caught.value)


# ---- plain values --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-9", 1e-9),
        ("1E5", 1e5),
        ("-1.5e+3", -1500.0),
        (".5", 0.5),
        ("+.5", 0.5),
        ("1.", 1.0),
        ("-0", 0),
        ("+7", 7),
        ("012", 12),
        ("0o14", 12),
        ("0xfF", 255),
        ("-.INF", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("Null", None),
        ("", None),
    ],
)
def test_numbers_truth_and_nothing_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    found = read(f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)


def test_nan_is_no_word() -> None:
    assert math.isnan(read("key: .nan")["key"])


WORDS = [
    "yes",
    "no",
    "on",
    "off",
    "Yes",
    "NO",
    "y",
    "n",
    "tRUE",
    "nULL",
    "1_000",
    "12:30",
    "2001-01-01",
    "0b11",
    "0o8",
    "0xg",
    "1e",
    "1e5.0",
    "e5",
    ".",
    "=",
    ".inF",
    "1e-9J",
]


@pytest.mark.parametrize("word", WORDS)
def test_what_older_yaml_takes_for_something_else_is_a_word(word: str) -> None:
    assert read(f"key: {word}") == {"key": word}


@pytest.mark.parametrize("quoted", ["'1e-9'", '"1e-9"', "|-\n  1e-9", ">-\n  1e-9"])
def test_what_stands_in_quotes_is_a_word(quoted: str) -> None:
    assert read(f"key: {quoted}") == {"key": "1e-9"}


def test_keys_are_words() -> None:
    assert read("1: a\non: b\nnull: c") == {"1": "a", "on": "b", "null": "c"}


def test_an_alias_stands_for_what_it_names() -> None:
    assert read("a: &x {b: [1, 2]}\nc: *x") == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}


PRINTED = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8) | st.sampled_from(
    [*WORDS, "1e5", "0o17", "012", "null", "~", "true", "", "<<", "&a", "*a", "!t", "- a", "a: b", "#", "'", '"']
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | PRINTED
KEYS = PRINTED.filter(lambda key: key != "<<")


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(KEYS, st.recursive(SCALARS, lambda x: st.lists(x, max_size=3) | st.dictionaries(KEYS, x))))
def test_what_is_dumped_is_read_as_the_same(data: dict[str, Any]) -> None:
    found = read(documents.dump(data))
    assert repr(found) == repr(data)


# ---- what is refused -----------------------------------------------------------------------------------------


def test_a_key_that_stands_twice_is_an_error_that_says_where_it_stood_first() -> None:
    assert complaint("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n") == "f.yaml:5:3: 'c' stands twice; first in line 3"


def test_the_same_key_in_two_mappings_is_none() -> None:
    assert read("a: {c: 1}\nb: {c: 2}\nl: [{c: 1}, {c: 2}]")["b"] == {"c": 2}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: !!python/object/apply:os.system [exit]", "1:4"),
        ("a: !!python/name:os.system ''", "1:4"),
        ("a: 1\nb: !!str 3", "2:4"),
        ("a: !local 3", "1:4"),
        ("a: !local '3'", "1:4"),
        ("a: !!set {x, y}", "1:4"),
        ("!!omap [a: 1]", "1:1"),
        ("a: !!int 3", "1:4"),
        ("!!str a: 3", "1:1"),
    ],
)
def test_tags_are_refused_where_they_stand(text: str, place: str) -> None:
    found = complaint(text)
    assert found.startswith(f"f.yaml:{place}: the tag ")
    assert "is not allowed; write plain values" in found


def test_nothing_is_executed(tmp_path: Path) -> None:
    complaint(f"a: !!python/object/apply:pathlib.Path.touch [{tmp_path / 'touched'}]")
    assert not list(tmp_path.iterdir())


def test_merge_keys_and_keys_that_are_no_words_are_refused() -> None:
    assert "2:5: merge keys" in complaint("a: &a {x: 1}\nb: {<<: *a}")
    assert "1:3: a key must be a plain word" in complaint("? [1, 2]\n: 3")


def test_an_alias_bomb_is_refused_quickly() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{c}: &{c} [{', '.join(['*' + p] * 9)}]" for p, c in zip("abcdefghijk", "bcdefghijkl", strict=True)]
    start = time.perf_counter()
    assert complaint("\n".join(lines)) == "f.yaml: more than 100000 values once its aliases are expanded"
    assert time.perf_counter() - start < 5


def test_an_alias_to_what_it_is_part_of_is_refused() -> None:
    assert complaint("a: &a\n  b: [1, *a]") == "f.yaml:1:4: an alias refers to what it is part of"


@pytest.mark.parametrize("text", ["[" * 5000 + "]" * 5000, "{a: " * 5000 + "1" + "}" * 5000, "- " * 5000 + "a"])
def test_what_is_nested_too_deeply_is_refused(text: str) -> None:
    assert complaint(text) == "f.yaml: nested too deeply"


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_an_empty_document_is_refused(text: str) -> None:
    assert complaint(text).startswith("f.yaml: empty; ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1, 2\nb: 3", "f.yaml:2:2: not YAML: while parsing a flow sequence, expected ',' or ']', but got ':'"),
        ("a:\n\tb: 1", "f.yaml:2:1: not YAML: while scanning for the next token, found character '\\t' that"),
        ("a: 1\n--- \nb: 2", "f.yaml:2:1: not YAML: expected a single document in the stream, but found another"),
        ("a: 'b", "f.yaml:1:6: not YAML: while scanning a quoted scalar, found unexpected end of stream"),
        ("a: *b", "f.yaml:1:4: not YAML: found undefined alias 'b'"),
        ("a: 1\nb: \x00", "f.yaml:2:4: not a text file (character #x00)"),
    ],
)
def test_what_is_not_yaml_is_refused_where_it_stops_being_so(text: str, said: str) -> None:
    assert complaint(text).startswith(said)


def test_a_number_beyond_all_bounds_is_refused() -> None:
    assert complaint("a: " + "9" * 5000) == "f.yaml:1:4: a number of 5000 digits is too long"


def test_all_problems_are_told_at_once_in_the_order_of_the_document() -> None:
    found = complaint("a: !x 1\nb: 1\nb: 2\nc: {<<: 1, d: !y [!z 3]}\n").splitlines()
    assert [line.split(": ")[0] for line in found] == [f"f.yaml:{p}" for p in ("1:4", "3:1", "4:5", "4:15", "4:19")]


# ---- files ---------------------------------------------------------------------------------------------------


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        documents.read(path)
    return str(caught.value).replace(str(path), "FILE")


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe") == "FILE: is no regular file"
    assert refused(Path("/dev/zero")) == "FILE: is no regular file"


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "nothing.yaml") == "FILE: no such file"
    assert refused(tmp_path) == "FILE: is a folder, not a YAML file"
    assert "FILE: cannot be read: " in refused(tmp_path / ("n" * 300))


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\n\x89PNG\xff")
    assert refused(path) == "FILE: not a text file (byte 5 is not UTF-8)"


def test_a_file_that_is_too_large_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert refused(path) == "FILE: larger than 4 MiB, so not a configuration"


def test_a_file_may_hold_any_letters(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("\ufeffλ: Σx²\n".encode())
    assert documents.read(path).data == {"λ": "Σx²"}


# ---- where things stand --------------------------------------------------------------------------------------

TEXT = """\
a: 1
b:
  - x: 2
    y: {z: 3}
  - [4, 5]
"""


@pytest.mark.parametrize(
    ("place", "value", "key"),
    [
        (("a",), (1, 4), (1, 1)),
        (("b",), (3, 3), (2, 1)),
        (("b", 0), (3, 5), (3, 5)),
        (("b", 0, "y", "z"), (4, 12), (4, 9)),
        (("b", 1, 1), (5, 9), (5, 9)),
        (("b", 0, "nothing", 7), (3, 5), (3, 5)),  # the nearest place around it
        (("nothing",), (1, 1), (1, 1)),
    ],
)
def test_a_problem_is_told_with_its_line_and_column(place: Any, value: Any, key: Any) -> None:
    document = documents.parse(TEXT, "f.yaml")
    assert str(document.problem(place, "wrong")) == f"f.yaml:{value[0]}:{value[1]}: wrong"
    at_key = document.problem(place, "wrong", at_key=True)
    assert (at_key.line, at_key.column) == key


def test_a_part_keeps_its_places() -> None:
    part = documents.parse(TEXT, "f.yaml").part(("b", 0))
    assert part.data == {"x": 2, "y": {"z": 3}}
    assert str(part.problem(("y", "z"), "wrong")) == "f.yaml:4:12: wrong"
    assert str(part.problem(("y",), "wrong", at_key=True)) == "f.yaml:4:5: wrong"


def test_a_document_without_a_key_has_no_mark_of_it() -> None:
    document = documents.parse(TEXT, "f.yaml").without("b")
    assert document.data == {"a": 1}
    assert not [place for place in document.marks if place[:1] == ("b",)]


def test_over_merges_mappings_and_replaces_the_rest() -> None:
    base = documents.parse("a: {x: 1, y: 2}\nl: [1, 2, 3]\nc: {value: 1 J, source: s}\nk: 1\n", "base.yaml")
    top = documents.parse("a: {y: 3, z: {w: 4}}\nl: [9]\nc: {value: 2 J, assumed: so}\n", "top.yaml")
    merged = top.over(base)
    assert merged.data == {
        "a": {"x": 1, "y": 3, "z": {"w": 4}},
        "l": [9],
        "c": {"value": "2 J", "assumed": "so"},  # a constant with its source is one thing
        "k": 1,
    }
    stands = {place: mark.file for place, mark in merged.marks.items()}
    assert stands["a", "x"] == stands["k",] == "base.yaml"
    assert stands["a", "y"] == stands["a", "z", "w"] == stands["l", 0] == stands["c", "assumed"] == "top.yaml"
    assert ("l", 1) not in stands
    assert ("c", "source") not in stands
    assert base.data["a"] == {"x": 1, "y": 2}


def test_over_replaces_what_follows_another_law() -> None:
    base = documents.parse("n: {law: a, x: 1}\nm: {law: a, x: 1}\n", "base.yaml")
    merged = documents.parse("n: {law: b, y: 2}\nm: {law: a, y: 2}\n", "top.yaml").over(base)
    assert merged.data == {"n": {"law": "b", "y": 2}, "m": {"law": "a", "x": 1, "y": 2}}
    assert (("n", "x") in merged.marks, ("m", "x") in merged.marks) == (False, True)


def test_a_part_stands_in_the_file_that_says_it() -> None:
    base = documents.parse("a: {x: 1}\nb: 2\n", "base.yaml")
    merged = documents.parse("b: 3\n", "top.yaml").over(base)
    assert (merged.part(("a",)).file, merged.part(("b",)).file) == ("base.yaml", "top.yaml")


# ---- checking ------------------------------------------------------------------------------------------------


class Circle(BaseModel, extra="forbid"):
    name: Literal["circle"]
    radius: Annotated[float, Field(gt=0)]


class Square(BaseModel, extra="forbid"):
    name: Literal["square"]
    side: float = 1.0


class Frame(BaseModel, extra="forbid"):
    width: int


class Picture(BaseModel, extra="forbid"):
    title: str
    colour: Literal["red", "green", "blue"] = "red"
    version: Literal[1] = 1
    shapes: list[Annotated[Circle | Square, Field(discriminator="name")]] = []
    frame: Frame | None = None
    sizes: dict[str, Frame] = {}
    count: int = 0
    weight: float | None = None


def wrong(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        documents.check(Picture, documents.parse(text, "f.yaml"))
    return str(caught.value).splitlines()


KEYS_OF_PICTURE = "colour, count, frame, shapes, sizes, title, version, weight"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tilte: a\ntitle: b", f"1:1: unknown key 'tilte'; did you mean 'title'? allowed: {KEYS_OF_PICTURE}"),
        ("title: b\nqqq: 1", f"2:1: unknown key 'qqq'; allowed: {KEYS_OF_PICTURE}"),
        ("title: b\nframe:\n  wdith: 3\n  width: 3", "3:3: unknown key 'wdith'; did you mean 'width'? allowed: width"),
        ("title: b\nsizes: {a: {w: 3, width: 3}}", "2:13: unknown key 'w'; allowed: width"),
        (
            "title: b\nshapes: [{name: square, sied: 1}]",
            "2:25: unknown key 'sied'; did you mean 'side'? allowed: name, ",
        ),
        ("count: 1", "1:1: title is missing"),
        ("title: b\nshapes:\n  - name: circle", "3:5: shapes.0.radius is missing"),
        ("title: b\nframe: {}", "2:8: frame.width is missing"),
        (
            "title: b\nshapes: [{name: squre}]",
            "2:17: unknown shapes.0 'squre'; did you mean 'square'? allowed: circle, ",
        ),
        ("title: b\nshapes: [{side: 1}]", "2:10: shapes.0 needs a 'name': one of circle, square"),
        ("title: b\nshapes: [square]", '2:10: shapes.0 ("square"): must be a mapping of keys, such as {name: square}'),
        ("title: b\nshapes: {name: square}", "2:9: shapes: must be a list"),
        ("title: b\nshapes: [3]", "2:10: shapes.0 (3): must be a mapping of keys; its name is one of circle, square"),
        ("title: b\nweight: 3 kg", '2:9: weight ("3 kg"): must be a number alone, without a unit'),
        ("title: b\nweight: 3 %", '2:9: weight ("3 %"): must be a number alone; 3 % is 0.03'),
        ("title: b\nweight: much", '2:9: weight ("much"): must be a number'),
        (f"title: b\nweight: {'3' * 400} %", '2:9: weight ("' + "3" * 55 + "… (404 characters)): must be a number"),
        ("title: b\ncount: 3 %", '2:8: count ("3 %"): must be a whole number'),
        ("title: b\nframe: 3", "2:8: frame (3): must be a mapping of keys: width"),
        ("title: b\nsizes: [1]", "2:8: sizes: must be a mapping of keys"),
        ("title: b\ncolour: gren", "2:9: unknown colour 'gren'; did you mean 'green'? allowed: blue, green, red"),
        ("title: b\nversion: 2", "2:10: unknown version '2'; allowed: 1"),
        ("title: 3", '1:8: title (3): must be text, such as "3"'),
        ("title: b\ncount: '3'", '2:8: count ("3"): must be a whole number alone, such as 3'),
        ("title: b\ncount: 64 rows", '2:8: count ("64 rows"): must be a whole number alone, such as 64'),
        ("title: b\ncount: 8.0", "2:8: count (8.0): must be a whole number alone, such as 8"),
        ("title: b\ncount: 2 µS", '2:8: count ("2 µS"): must be a whole number alone, such as 2'),
        ("title: b\ncount: C:\\data", '2:8: count ("C:\\data"): must be a whole number'),
        ("title: b\ncount: true", "2:8: count (true): must be a whole number"),
        ("title: b\ncount: 2.5", "2:8: count (2.5): must be a whole number"),
        ("title: b\ncount:", "2:7: count (null): must be a whole number"),
        ("title: b\nweight: .inf", "2:9: weight (inf): must be a finite number"),
        ("title: b\nweight: -1e999", "2:9: weight (-inf): must be a finite number"),
        ("title: b\nshapes: [{name: circle, radius: -1}]", "2:33: shapes.0.radius (-1): must be greater than 0"),
        ("title: b\nshapes: [{name: circle, radius: .nan}]", "2:33: shapes.0.radius (nan): "),
        ("title: b\nweight: 1e101", "2:9: weight (1e+101): must be 0, or from 1e-100 to 1e+100 in size"),
        ("title: b\nweight: -1e-320", "2:9: weight (-1e-320): must be 0, or from 1e-100 to 1e+100 in size"),
        (
            "title: b\ncount: 9007199254740993",
            "2:8: count (9007199254740993): whole numbers are at most 900719925474099",
        ),
        (
            "title: b\ncount: -9007199254740993",
            "2:8: count (-9007199254740993): whole numbers are at most 90071992547409",
        ),
        ("title: b\ncount: 0x" + "f" * 900, "2:8: count (5104"),
        ("title: b\ncount: " + "9" * 400, f"2:8: count ({'9' * 56}… (400 characters)): whole numbers are at most"),
        ('title: "a\\x1b[31mb"', '1:8: title ("a\\u001b[31mb"): has a control character'),
        ('title: "a\\0"', '1:8: title ("a\\u0000"): has a control character'),
        ('title: b\nsizes: {"a\\x07": {width: 1}}', '2:8: sizes ("a\\u0007"): a key has a control character'),
        ("- title", "1:1: the document: must be a mapping of keys: title, colour, "),
        ("title", '1:1: the document ("title"): must be a mapping of keys'),
    ],
)
def test_a_problem_says_where_what_and_what_is_allowed(text: str, said: str) -> None:
    (found,) = wrong(text)
    assert found.startswith(f"f.yaml:{said}")


def test_a_text_may_have_several_lines_and_any_letters() -> None:
    text = 'title: "one\\n\\ttwo: λ, 電, 🙂"\ncount: 9007199254740992\nweight: 1e100'
    assert documents.check(Picture, documents.parse(text, "f.yaml")).title == "one\n\ttwo: λ, 電, 🙂"


def test_data_made_in_python_has_the_same_bounds() -> None:
    for data in ({"title": "\ud800"}, {"title": "b", "count": 10**400}, {"title": "b", "weight": 1e308}):
        with pytest.raises(ConfigError, match=r"^made:1:1: \w+ "):
            documents.check(Picture, Document("made", data))


def test_a_key_may_have_a_word_of_its_own_where_it_is_unknown() -> None:
    with pytest.raises(ConfigError) as caught:
        documents.check(Frame, documents.parse("width: 1\ndepth: 2", "f.yaml"), {"depth": "frames are flat"})
    assert str(caught.value) == "f.yaml:2:1: unknown key 'depth'; frames are flat; allowed here: width"


def test_a_constant_is_told_from_a_plain_value() -> None:
    class Part(BaseModel, extra="forbid"):
        energy: Constant[Energy] | None = None
        bits: int = 0
        time: Time = 1.0
        g: Constant[Conductance] | None = None
        share: Constant[float] | None = None

    for text, said in (
        ("energy: 5 pJ", "needs its origin: {value: 5 pJ, source: KEY}, or {value: 5 pJ, assumed: REASON}"),
        ("energy: 5", "needs its origin: {value: 5 pJ, source: KEY}, or {value: 5 pJ, assumed: REASON}"),
        ("energy: 5 V", "needs its origin: {value: 1.2 pJ, source: KEY}, or {value: 1.2 pJ, assumed: REASON}"),
        ("g: 20 kOhm", "{value: 50 uS, source: KEY}, or {value: 50 uS, assumed: REASON}; 20 kOhm is 50 uS"),
        ("g: {value: 20 kΩ, source: a}", "must be in units of siemens, as in '25 uS'; 20 kΩ is 50 uS"),
        ("g: {value: 0 ohm, source: a}", "must be in units of siemens, as in '25 uS'"),
        ("g: {value: -1 uS, source: a}", 'g.value ("-1 uS"): must be at least 0'),
        ("share: 3", "needs its origin: {value: 3, source: KEY}, or {value: 3, assumed: REASON}"),
        ("time: 1 MHz", "must be in units of second, as in '10 ns'; 1 MHz is 1 us"),
        ("bits: {value: 5, source: a}", "takes a value alone, such as 5"),
        ("time: {value: 5 ns, source: a}", 'takes a value alone, such as "5 ns"'),
        ("energy: {value: 5 pJ}", "a constant has either a source or a reason for which it is assumed"),
    ):
        with pytest.raises(ConfigError) as caught:
            documents.check(Part, documents.parse(text, "f.yaml"))
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seeds: x", 'f.yaml:1:8: seeds ("x"): must be a whole number'),
        ("seeds: [x]", 'f.yaml:1:9: seeds.0 ("x"): must be a whole number'),
        ("seeds: [1, -1]", "f.yaml:1:12: seeds.1 (-1): must be at least 0"),
        ("seeds: {a: 1}", "f.yaml:1:8: seeds: must be a whole number"),
        ("rate: x", 'f.yaml:1:7: rate ("x"): must be a number'),
        ("rate: [1, x]", 'f.yaml:1:11: rate.1 ("x"): must be a number'),
    ],
)
def test_a_key_of_several_types_has_one_problem_in_its_own_place(text: str, said: str) -> None:
    class Several(BaseModel, extra="forbid"):
        seeds: int | list[Annotated[int, Field(ge=0)]] = 0
        rate: float | list[float] | None = None

    with pytest.raises(ConfigError) as caught:
        documents.check(Several, documents.parse(text, "f.yaml"))
    assert str(caught.value) == said


def test_no_message_is_in_the_words_of_pydantic() -> None:
    for error in list_all_errors():
        item = {"type": error["type"], "msg": error["message_template_python"], "ctx": error["example_context"] or {}}
        said = documents.in_words(item)
        assert not re.search(r"[Ii]nput should|String should|valid (integer|number|string|list|bool)|Field req", said)


def test_everything_that_is_wrong_is_told_at_once_in_the_order_of_the_document() -> None:
    found = wrong("colour: gren\nshapes:\n  - {name: circle, radius: 0}\n  - {nme: square}\nweight: .nan\ncuont: 1\n")
    places = [line.split(": ")[0].removeprefix("f.yaml:") for line in found]
    assert places == ["1:1", "1:9", "3:28", "4:5", "5:9", "6:1"]


def test_problems_at_one_place_come_in_the_order_of_the_model() -> None:
    names = [f"key_{number}" for number in range(30)]
    fields: Any = dict.fromkeys(names, (int, ...))
    with pytest.raises(ConfigError) as caught:
        documents.check(create_model("Long", **fields), documents.parse("{}", "f.yaml"))
    assert str(caught.value).splitlines() == [f"f.yaml:1:1: {name} is missing" for name in names]


def test_a_problem_in_what_is_inherited_stands_in_the_other_file() -> None:
    base = documents.parse("title: a\n\ncount: many\n", "base.yaml")
    with pytest.raises(ConfigError, match=r"^base\.yaml:3:8: count"):
        documents.check(Picture, documents.parse("title: b", "top.yaml").over(base))


def test_what_is_right_is_a_model() -> None:
    text = "title: b\nweight: 1\nshapes: [{name: square}, {name: circle, radius: 1e-9}]\nframe: {width: 3}"
    found = documents.check(Picture, documents.parse(text, "f.yaml"))
    assert found.shapes == [Square(name="square"), Circle(name="circle", radius=1e-9)]
    assert found.frame.width == 3


def test_data_made_in_python_is_checked_too() -> None:
    data = documents.plain({"title": "a", "count": np.int64(3), "weight": np.float32(0.5), "shapes": ()})
    assert documents.check(Picture, Document("experiment", data)).count == 3
    assert [type(value) for value in data.values()] == [str, int, float, list]
    with pytest.raises(ConfigError, match=r"^experiment:1:1: weight \(nan\): must be a finite number$"):
        documents.check(Picture, Document("experiment", documents.plain({"title": "a", "weight": np.nan})))


# ---- names and fingerprints ----------------------------------------------------------------------------------


def test_an_unknown_name_is_told_with_the_nearest_and_all_that_are_known() -> None:
    assert documents.unknown("rule", "btpt", ["fpe", "bptt"]) == (
        "unknown rule 'btpt'; did you mean 'bptt'? allowed: bptt, fpe"
    )
    assert documents.unknown("rule", "xyz", ["fpe", "bptt"]) == "unknown rule 'xyz'; allowed: bptt, fpe"


def test_a_fingerprint_is_of_the_content_and_not_of_its_order() -> None:
    first = documents.fingerprint({"a": 1, "b": [1, 2]})
    assert first == documents.fingerprint({"b": [1, 2], "a": 1})
    assert first != documents.fingerprint({"a": 1, "b": [2, 1]})
    assert first != documents.fingerprint({"a": 1.5, "b": [1, 2]})


def test_the_example_of_a_list_is_on_the_line_of_the_message() -> None:
    assert wrong('title: b\nshapes: "\\n"') == ['f.yaml:2:9: shapes ("\\n"): must be a list']
