"""What is read from the log of a vLLM server that is not there."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.backends.vllm_log import SHOWN, diagnose

WORKER = "(Worker pid=52) ERROR 01-02 03:04:05 [multiproc_executor.py:953] "
FOLLOWS = (
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}"
)

LOGS = {
    "memory taken by others": (
        f"{WORKER}ValueError: Free memory on device cuda:0 (3.1/23.6 GiB) on startup is less than desired GPU memory "
        "utilization (0.9, 21.2 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes.",
        "only 3.1 of 23.6 GiB are free",
    ),
    "main memory taken by others": (
        "ValueError: Available memory on node 0 (2.0/8.8 GiB) on startup is less than desired CPU memory utilization "
        "(0.92, 8.1 GiB). On the CPU backend, ...",
        "it was to use 8.1 GiB of memory and only 2.0 of 8.8 GiB are free",
    ),
    "cache too large for the main memory": (
        "ValueError: Available memory on node 0 (2.0/8.8 GiB) on kv cache allocation is less than requested memory for "
        "kv (4.0 GiB). Decrease --kv-cache-memory-bytes, VLLM_CPU_KVCACHE_SPACE, or reduce CPU memory.",
        "no room for a KV cache of 4.0 GiB",
    ),
    "weights too large": (
        f"{WORKER}torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 192.00 MiB.",
        "does not fit in memory",
    ),
    "nothing left for the cache": (
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`",
        "leaves none for the KV cache",
    ),
    "too little cache for the context": (
        "ValueError: To serve at least one request with the model's max seq len (32768), (3.50 GiB KV cache is needed, "
        "which is larger than the available KV cache memory (1.25 GiB). Based on the available memory, the estimated "
        "maximum model length is 11696. Try increasing `gpu_memory_utilization`",
        r"\(32,768 tokens\) needs 3.50 GiB of KV cache, and there are 1.25 GiB. .* 11,696 would fit",
    ),
    "context longer than the model's": (
        "  Value error, User-specified max_model_len (99999) is greater than the derived max_model_len "
        "(max_position_embeddings=8192.0 or model_max_length=None in model's config.json). To allow overriding",
        "context of 99,999 tokens is longer than the 8,192 the model has",
    ),
    "no GPU": ("RuntimeError: Failed to infer device type, please set the environment variable", "`backend: local`"),
    "port in use": ("OSError: [Errno 98] Address already in use", "its port is in use"),
    "no such model": (
        "ValueError: Invalid repository ID or local directory specified: 'no/such'.\nPlease verify",
        "neither a folder .* nor a model that can be had",
    ),
    "no such model, offline": (
        "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached snapshot folder",
        "neither a folder .* nor a model that can be had",
    ),
    "not for everybody": (
        "huggingface_hub.errors.GatedRepoError: 401 Client Error. Access to model a/b is restricted.",
        "HF_TOKEN",
    ),
    "no weights": (f"{WORKER}RuntimeError: Cannot find any model weights with `./tiny`", "holds no weights"),
    "unknown argument": (
        "api_server.py: error: unrecognized arguments: --blok-size 3",
        "does not know --blok-size 3",
    ),
    "wrong value": (
        "api_server.py: error: argument --block-size: invalid choice: 'x' (choose from 16, 32)",
        "does not take that value of --block-size .*invalid choice",
    ),
}


@pytest.mark.parametrize("name", LOGS)
def test_a_cause_is_known_by_vllms_words(name: str) -> None:
    said, told = LOGS[name]
    log = f"(APIServer pid=1) INFO 01-02 03:04:05 [api.py:1] non-default args: {{}}\n{said}\n{FOLLOWS}\n"
    assert re.search(told, diagnose(log, 1))


def test_another_error_is_told_as_it_is() -> None:
    log = f"{WORKER}Traceback (most recent call last):\n{WORKER}ValueError: the moon is full.\n{FOLLOWS}\n"
    assert diagnose(log, 1) == "ValueError: the moon is full."


def test_without_an_error_the_end_is_told() -> None:
    assert diagnose("INFO all is well", -9) == "its process was killed (signal 9), perhaps for want of memory."
    assert diagnose("", 3) == "its process ended with status 3."
    assert diagnose("", None) == "its process ended and said no more."


@given(st.text(), st.none() | st.integers(-64, 255))
def test_any_log_gives_a_short_sentence(log: str, status: int | None) -> None:
    told = diagnose(log, status)
    assert told.endswith(".")
    assert len(told) <= SHOWN + 200
