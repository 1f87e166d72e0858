"""Every script in `benchmarks/`, `examples/` and `docs/` runs: each has a small form, `--small`, of some seconds."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmarks", "examples", "docs")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("**/*.py"))
OPTIONAL = ("torch",)
"""What a part of a benchmark may need that the tests do not install."""


LEFT_OUT = {
    "aihwkit_moments.py": "aihwkit's side is what it gave before",
    "lockstep.py": "MNIST is left out",
    "mutants.py": "are left out",
    "task_baselines.py": "what is fetched is left out",
}
"""What a small form does without, and says so."""


NEEDED = {"mutants.py": "coverage"}
"""What a script needs besides the package."""


def is_script(path: Path) -> bool:
    """Whether a file does something when Python is given it, rather than being imported by one that does."""
    return '__name__ == "__main__"' in path.read_text(encoding="utf-8")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def run_small(path: Path, folder: Path) -> str:
    """What the small form of a script prints; it fails if there is none, or if it leaves anything behind."""
    assert '"--small"' in path.read_text(encoding="utf-8"), f"{path.name} needs a small form: an argument --small"
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, str(path), "--small"]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{path.name} --small\n{done.stdout}{done.stderr}"
    assert not any(folder.iterdir())
    return done.stdout


@pytest.mark.parametrize("path", [path for path in FILES if is_script(path)], ids=_name)
def test_a_script_runs_in_its_small_form(path: Path, tmp_path: Path) -> None:
    if path.name in NEEDED:
        pytest.importorskip(NEEDED[path.name])
    said = run_small(path, tmp_path)
    assert LEFT_OUT.get(path.name, "") in said


@pytest.mark.parametrize("path", [path for path in FILES if not is_script(path)], ids=_name)
def test_what_scripts_are_made_of_can_be_imported(path: Path) -> None:
    try:
        importlib.import_module(path.stem)
    except ModuleNotFoundError as missing:
        if missing.name not in OPTIONAL:
            raise
        pytest.skip(f"{path.name} needs {missing.name}, which is not installed")


def test_all_folders_are_looked_into() -> None:
    assert {path.parent.name for path in FILES} >= set(FOLDERS)
    assert {"speed.py", "lockstep.py", "kill_study.py", "converter_bits.py"} <= {path.name for path in FILES}


def test_a_script_without_a_small_form_is_noticed(tmp_path: Path) -> None:
    script = tmp_path / "new.py"
    script.write_text('if __name__ == "__main__":\n    print("all of it")\n', encoding="utf-8")
    assert is_script(script)
    with pytest.raises(AssertionError, match=r"new\.py needs a small form"):
        run_small(script, tmp_path)


def test_a_small_form_that_fails_or_leaves_something_behind_is_noticed(tmp_path: Path) -> None:
    script, folder = tmp_path / "new.py", tmp_path / "empty"
    folder.mkdir()
    script.write_text('import sys\nassert sys.argv[1] == "--small"\nsys.exit("no such name")\n', encoding="utf-8")
    with pytest.raises(AssertionError, match="no such name"):
        run_small(script, folder)
    script.write_text('open("left", "w").write("--small" "")  # "--small"\n', encoding="utf-8")
    with pytest.raises(AssertionError):
        run_small(script, folder)
