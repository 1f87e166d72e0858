"""Tables that a user gives, as spreadsheets and instruments write them: read, or refused with the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.documents.missing import near_file
from hwsim.documents.table import blocks_of, header, table
from hwsim.errors import ConfigError

COLUMNS = {"device": "str", "count": "int64", "read": "float64"}


def read(folder: Path, content: str | bytes, columns: dict[str, str] = COLUMNS) -> list[list[object]]:
    (folder / "t.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    found = table(folder / "t.csv", columns)
    assert [str(found[name].dtype) for name, kind in columns.items() if kind != "str"] == ["int64", "float64"]
    return found.reset_index().to_numpy().tolist()


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("device,count,read\na,1,2.5\nb,2,-.5e-6\n", (2, 3)),
        ("device, count, read\na, 1, 2.5\nb , 2 ,-5e-7\n", (2, 3)),
        ("device;count;read\na;1;2,5\nb;2;-5e-7\n", (2, 3)),
        ("device;count;read\na;1;2.5\nb;2;-5e-7\n", (2, 3)),
        ("device\tcount\tread\na\t1\t2,5\nb\t2\t-5e-7\n", (2, 3)),
        ("device,count,read\r\na,1,2.5\r\nb,2,-5e-7\r\n", (2, 3)),
        ("\ufeffdevice,count,read\na,1,2.5\nb,2,-5e-7", (2, 3)),
        ("\n\nread,other,device,count\n2.5,µ,a,1\n\n ,,,\n-5e-7,,b,2\n", (4, 7)),
        ('"device","count","read"\n"a","1","2.5"\n"b", "2", "-5e-7"\n', (2, 3)),
        ("device,count,read,\na,1,2.5,\nb,2,-5e-7,\n", (2, 3)),
        ("device,count,read\na,1,2.5\nb,2,-5e-7\n".encode("utf-16"), (2, 3)),
    ],
)
def test_what_spreadsheets_write_is_read(tmp_path: Path, content: str | bytes, lines: tuple[int, int]) -> None:
    assert read(tmp_path, content) == [[lines[0], "a", 1, 2.5], [lines[1], "b", 2, -5e-7]]


START = "device,count,read\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "t.csv: no CSV table: the file is empty; its first line names the columns"),
        ("\n \n", "t.csv: no CSV table: the file is empty; its first line names the columns"),
        ("1,2,3\n4,5,6\n", "t.csv:1:1: 1, 2, 3: numbers; the first line names the columns"),
        (
            "Device,count,read\n",
            "1:1: the column 'device' is missing; did you mean 'Device'? needed: device, count, re",
        ),
        ("chip,count,read\n", "1:1: the column 'device' is missing; needed: device, count, read; there: chip, count"),
        ("device,count,read,read\n", "t.csv:1:1: the column 'read' stands twice"),
        (
            START + "a,1,2.5\na,1,nan\na,1,\na,1,-\n",
            "3:1: read 'nan': must be a number; leave out lines that have none; ",
        ),
        (START + "a,1,nan\na,1,\na,1,2\na,1,-\n", "the same in 2 more: line 3, 5"),
        (START + "a,1,2.5 uS\n", "t.csv:2:1: read '2.5 uS': must be a number"),
        (START + "a,1,1e999\n", "t.csv:2:1: read '1e999': must be at most 1e+100 in size"),
        (START + "a,1\n", "t.csv:2:1: read '': must be a number; leave out lines that have none"),
        (START + "a,1.0,1\n", "t.csv:2:1: count '1.0': must be a whole number, 0 or more"),
        (START + "a,1,2,5\n", "2:1: more values than line 1 names columns, which are 3; with decimal commas, separate"),
        (START + "a,1,2\na,1,2,5,6\n", "t.csv:3:1: more values than line 1 names columns, which are 3"),
        (START + 'a,1,"2,5"\n', "t.csv:2:1: read '2,5': must be a number"),
        ("device;count;read\na;1;2,5\na;1;2.5\n", "3:1: read '2.5': decimal commas and decimal points in one table"),
        (START + 'a,1,"2\na,1,3\n', "t.csv:2:1: a quotation mark that is not closed"),
        ("device,count,read,µ\n".encode("latin-1"), "t.csv:1:19: not UTF-8 (byte 0xb5); save the table as UTF-8"),
        ((START + "é,1,2\n").encode("latin-1"), "t.csv:2:1: not UTF-8 (byte 0xe9); save the table as UTF-8"),
        (START.encode("utf-16-le"), "t.csv: no CSV table: not a text in UTF-8; save the table as UTF-8"),
        (START.encode("utf-16") + b"\n", "not UTF-8"),
    ],
)
def test_what_is_no_such_table_is_refused_with_its_line(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "t.csv"))


def test_a_table_without_rows_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path, START) == read(tmp_path, START.strip()) == []


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "spikes.csv").write_text(START)
    for name, said in (
        ("tables", "is no regular file"),
        ("tables/spike.csv", "; did you mean '"),
        ("table/spikes.csv", "; did you mean '"),
        ("a\0b", "no file"),
        ("n" * 5000, "no file"),
    ):
        with pytest.raises(ConfigError, match=said):
            header(tmp_path / name)


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("experimnts/quick.yaml", "experiments/quick.yaml"),
        ("experiments/quik.yaml", "experiments/quick.yaml"),
        ("experiment/quik.yaml", "experiments/quick.yaml"),
        ("experiments/quick.yml", "experiments/quick.yaml"),
        ("experiments/quick.json", None),
        ("experiments/quick.yaml", None),
        ("nothing/quick.yaml", None),
        ("experiments", None),
        ("qick.yaml", None),
    ],
)
def test_a_path_is_mended_folder_by_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, near: str | None
) -> None:
    (tmp_path / "experiments").mkdir()
    for name in ("quick.yaml", "quick.csv", "other.yaml"):
        (tmp_path / "experiments" / name).write_text("a: 1")
    assert near_file(tmp_path / asked) == (near and tmp_path / near)
    monkeypatch.chdir(tmp_path)
    assert near_file(asked) == (near and Path(near))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**15 - 1), st.floats(-1e90, 1e90).filter(lambda x: not 0 < abs(x) < 1e-90))),
    st.sampled_from(",;\t"),
    st.integers(1, 5),
)
def test_blocks_are_the_rows_that_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float]], separator: str, size: int
) -> None:
    path = tmp_path_factory.mktemp("blocks") / "t.csv"
    path.write_text("\n".join([separator.join("nx"), *(f"{n}{separator}{x!r}" for n, x in rows)]))
    blocks = list(blocks_of(path, {"n": "int64", "x": "float64"}, size))
    assert [n for block in blocks for n in block["n"]] == [n for n, _ in rows]
    np.testing.assert_array_equal([x for block in blocks for x in block["x"]], [x for _, x in rows])
    assert [line for block in blocks for line in block.index] == list(range(2, len(rows) + 2))
