from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import laconic.accounting as accounting


def test_public_names_are_sorted_and_there() -> None:
    assert accounting.__all__ == sorted(accounting.__all__)
    assert len(set(accounting.__all__)) == len(accounting.__all__)
    for name in accounting.__all__:
        assert getattr(accounting, name) is not None
    assert set(accounting.__all__) <= set(dir(accounting))


def test_no_public_name_hides_a_module() -> None:
    modules = {path.stem for path in Path(accounting.__file__ or "").parent.glob("*.py")}
    assert modules.isdisjoint(accounting.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(accounting, "Tally")


def test_importing_the_floor_loads_none_of_it() -> None:
    code = "import sys, laconic.accounting; print([n for n in sys.modules if n.startswith('laconic.accounting.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
