"""Run as a program: llama.cpp's own server, in a process that ends when the one that started it does.

It is a process of its own because xllamacpp keeps Python's lock while a model loads, which would stop every task of the
caller for seconds, and because its server cannot be stopped while it answers. This file imports nothing of Laconic.

Input, one line of JSON: `{parameters: {...}, path, aliases, keys, threads}`. Output, one line: `{address}` or
`{error}`. The end of the input, which comes with the end of the caller however that happens, ends the process. What
llama.cpp prints goes to the standard error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

PATIENCE = 2.0
"""Seconds to wait for what llama.cpp prints about a failure."""


def main() -> None:
    """Start the server, say where it listens, and wait for the end of the input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the caller's to handle, who then closes our input
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # llama.cpp may print, but not into the answer
    asked = json.loads(sys.stdin.readline())
    server = None
    try:
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = asked["path"]
        parameters.model_alias = set(asked["aliases"])
        parameters.api_keys = asked["keys"]
        if asked["threads"] is not None:
            parameters.cpuparams.n_threads = asked["threads"]
            parameters.cpuparams_batch.n_threads = asked["threads"]
        for name, value in asked["parameters"].items():
            if not hasattr(parameters, name):
                raise AttributeError(f"llama.cpp has no parameter {name!r}")
            setattr(parameters, name, value)
        server = xllamacpp.Server(parameters)
        said = {"address": server.listening_address}
    except Exception as error:  # whatever it is, the caller is waiting to be told
        said = {"error": str(error)}
    answer.write(json.dumps(said) + "\n")
    answer.flush()
    if server is None:
        _let_it_say_why()
        return
    sys.stdin.read()
    os._exit(0)  # taking the server down in order would wait for the answers it is still writing


def _let_it_say_why() -> None:
    """Wait until something has been printed: llama.cpp writes its log in a thread that does not outlive us."""
    last = time.monotonic() + PATIENCE
    while os.fstat(2).st_size == 0 and time.monotonic() < last:
        time.sleep(0.02)


if __name__ == "__main__":
    main()
