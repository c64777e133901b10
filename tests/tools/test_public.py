"""What `laconic.tools` offers, and what naming it costs."""

from __future__ import annotations

import subprocess
import sys

import laconic.tools
from laconic.orchestrator import TOOLS


def test_the_public_names_are_sorted_and_there() -> None:
    assert laconic.tools.__all__ == ["SQL", "Ask", "Calculator", "Nothing", "Python", "Search"]
    assert all(getattr(laconic.tools, name).__name__ == name for name in laconic.tools.__all__)
    assert set(laconic.tools.__all__) <= set(dir(laconic.tools))
    assert not hasattr(laconic.tools, "Serach")


def test_every_tool_is_found_by_its_kind_and_describes_itself_to_a_model() -> None:
    for kind in ("ask", "calculator", "python", "search", "sql"):
        tool = TOOLS.find(kind)
        assert tool.kind == kind
        assert "Input:" in tool.model_fields["description"].default
        assert tool.argument()


def test_naming_a_tool_loads_no_numpy() -> None:
    code = "import sys; from laconic.tools import Search; print('numpy' in sys.modules, 'bm25s' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/").stdout
    assert printed.split() == ["False", "False"]
