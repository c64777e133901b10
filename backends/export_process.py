"""Run as a program, by an interpreter that has transformers: turns a GGUF into a folder with safetensors.

It is a process of its own because that interpreter need not be Laconic's, and because it takes gigabytes of memory that
must come back. This file imports nothing of Laconic.

Input, one line of JSON: `{gguf, folder}`. Output, one line: `{}` or `{error}`. The end of the input, which comes with
the end of the caller however that happens, ends the process. What transformers prints goes to the standard error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path


def main() -> None:
    """Convert, and say whether it worked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the caller's to handle, who then ends us
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # transformers may print, but not into the answer
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    said = {}
    try:
        convert(Path(asked["gguf"]), asked["folder"])
    except Exception as error:  # whatever it is, the caller is waiting to be told
        said = {"error": f"{type(error).__name__}: {error}"}
    answer.write(json.dumps(said) + "\n")
    answer.flush()
    os._exit(0)


def convert(gguf: Path, folder: str) -> None:
    """Weights in bfloat16, tokenizer and chat template of `gguf`, written to `folder`."""
    import torch
    import transformers

    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    # Releases that have no such setting always take the weights out of their quantised form.
    whole = transformers.GgufConfig(dequantize=True) if hasattr(transformers, "GgufConfig") else None
    model = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.bfloat16, quantization_config=whole)
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(**where).save_pretrained(folder)


def _end_with_the_caller() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
