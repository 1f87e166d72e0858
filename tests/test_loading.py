"""What a process loads first is left out of collections of garbage, in processes that leave nothing out themselves."""

from __future__ import annotations

import subprocess
import sys

import pytest

FIRST = """
with loading():
    assert not gc.isenabled()
    import decimal
assert gc.isenabled()
assert gc.get_freeze_count() > 1000
with loading():
    assert gc.isenabled()
"""
FAILING = """
try:
    with loading():
        import no_such_module
except ImportError:
    assert gc.isenabled()
else:
    raise AssertionError
"""
FROZEN = """
gc.freeze()
before = gc.get_freeze_count()
with loading():
    assert gc.isenabled()
    import decimal
assert gc.get_freeze_count() == before
"""
DISABLED = """
gc.disable()
with loading():
    import decimal
assert not gc.isenabled()
assert gc.get_freeze_count() == 0
"""


@pytest.mark.parametrize("code", [FIRST, FAILING, FROZEN, DISABLED], ids=["first", "failing", "frozen", "disabled"])
def test_what_is_loaded_first_is_left_out_of_collections(code: str) -> None:
    said = subprocess.run(
        [sys.executable, "-c", f"import gc\nfrom hwsim.loading import loading\ngc.unfreeze()\n{code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stderr) == (0, "")
