"""What runs inside the sandbox's process: limits, then a guard, then the code. It imports the standard library only.

`python sandboxed.py confine SECONDS BYTES` takes limits and network away from itself and starts anew as
`python sandboxed.py run`, because the module that reaches the kernel (ctypes) must not be in the process in which the
code runs. The code comes on standard input.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

MOST_FILE_BYTES = 1_000_000
"""Largest file that the code may write into its folder, in bytes."""

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000

_HARMLESS = """
array.__new__ builtins.id builtins.input builtins.input/result compile exec marshal.loads object.__delattr__
object.__getattr__ object.__setattr__ sys._getframe sys.excepthook sys.unraisablehook time.sleep
"""
HARMLESS = frozenset(_HARMLESS.split())
"""What Python may report that it is about to do (PEP 578), whatever it does it to. What is not named is denied."""

_OUTSIDE = """
_ctypes _curses _dbm _gdbm _interpreters _multiprocessing _posixshmem _posixsubprocess _socket _testcapi
_testinternalcapi _tkinter _xxsubinterpreters ctypes multiprocessing nis readline socket spwd subprocess
"""
OUTSIDE = frozenset(_OUTSIDE.split())
"""Modules that reach out of the process, some without reporting what they do."""


def confine(seconds: int, memory: int) -> None:
    """Set the limits, leave the network where the kernel lets anyone, and start anew as what runs the code."""
    import resource  # not on Windows

    if sys.platform == "linux":
        import ctypes

        # Some containers refuse it; then the guard alone denies the network.
        ctypes.CDLL(None).unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    for limit, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, MOST_FILE_BYTES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-B", "-X", "utf8", __file__, "run"])


def run(code: str) -> None:
    """Run the code as `__main__`; if it printed nothing, print its last expression, else its variable `answer`."""
    import ast
    import io

    class Noticing(io.TextIOWrapper):
        noticed = False

        def write(self, text: str, /) -> int:
            self.noticed = self.noticed or bool(text)
            return super().write(text)

    sys.stderr = io.StringIO()  # warnings are no part of the result
    out = sys.stdout = Noticing(sys.stdout.buffer, encoding="utf-8", errors="replace")
    tree = ast.parse(code, "<code>")
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    names: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    body = compile(tree, "<code>", "exec")
    final = compile(ast.Expression(last.value), "<code>", "eval") if isinstance(last, ast.Expr) else None
    sys.addaudithook(guard(os.getcwd(), tuple(sys.path)))
    exec(body, names)
    value = eval(final, names) if final is not None else None
    if not out.noticed:
        value = names.get("answer") if value is None else value
        if value is not None:
            print(value)
    out.flush()


def guard(folder: str, library: tuple[str, ...]) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that lets code compute, import from `library`, and read and write in `folder`: nothing else.

    Everything it uses is bound here, where the code cannot put something else in its place.
    """
    harmless, outside, text, integer, is_a = HARMLESS, OUTSIDE, str, int, isinstance
    readable = tuple(f"{place}/" for place in (*library, folder))
    writable = (f"{folder}/",)
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    refused = PermissionError

    def inside(path: Any, places: tuple[str, ...]) -> bool:
        """Whether a path is below one of the places; no link can be made and `..` is not taken, so its text tells."""
        if path is None or is_a(path, integer):
            return True
        if not is_a(path, text):
            return False
        if ".." in text.split(path, "/"):
            return False
        return not text.startswith(path, "/") or text.startswith(f"{text.rstrip(path, '/')}/", places)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in harmless:
            return
        if event == "import":
            if text.partition(args[0], ".")[0] in outside:
                raise refused(f"the sandbox has no module {args[0]}")
            return
        if event == "open":
            if not inside(args[0], writable if args[2] & writing else readable):
                raise refused(f"the sandbox lets no file be opened outside its own folder: {args[0]!r:.100}")
            return
        if event in ("os.listdir", "os.scandir"):
            if not inside(args[0], readable):
                raise refused(f"the sandbox lets no folder be read but its own: {args[0]!r:.100}")
            return
        raise refused(f"the sandbox does not allow {event}")

    return hook


def reason(error: BaseException) -> str:
    """What went wrong, and in which line of the code."""
    line = getattr(error, "lineno", None)
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<code>":
            line = trace.tb_lineno
        trace = trace.tb_next
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    if isinstance(error, MemoryError):
        said = "it needs more memory than it is given"
    return f"{type(error).__name__}: {said}" + (f" (line {line})" if line else "")


def main() -> None:
    """Do what the command line says."""
    if sys.argv[1] == "confine":
        confine(int(sys.argv[2]), int(sys.argv[3]))
    try:
        run(sys.stdin.buffer.read().decode())
    except SystemExit:
        sys.stdout.flush()
    except BaseException as error:
        sys.stdout.flush()
        assert sys.__stderr__ is not None
        sys.__stderr__.write(reason(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
