from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from laconic.backends import tokenizers
from laconic.backends.openai import OpenAIBackend
from laconic.backends.opening import open_backend
from laconic.backends.replay import Recorded, ReplayBackend
from laconic.backends.request import Completion, Message, Request
from laconic.backends.scripted import ScriptedBackend
from laconic.backends.tokenizers import FileTokenizer, TiktokenTokenizer
from laconic.backends.usage import Usage
from laconic.errors import (
    BackendUnreachable,
    BadRequest,
    FlowError,
    InputError,
    ModelFileError,
    TokenizerUnavailable,
)

HI = Request(model="m", messages=(Message("user", "What is the capital of France?"),))
OTHER = {"data": [{"id": "m", "owned_by": "someone"}]}
VLLM = {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 4096}]}


class TestScripted:
    async def test_rules_as_yaml_has_them(self) -> None:
        rules = [{"match": "(?i)CAPITAL", "answer": "Paris"}, {"match": "year", "answer": 1969}]
        backend = await open_backend("scripted", "m", context=100, options={"rules": rules, "block": 4})
        assert isinstance(backend, ScriptedBackend)
        assert (backend.model, backend.context) == ("m", 100)
        assert (await backend.complete(HI)).text == "Paris"
        year = Request(model="m", messages=(Message("user", "which year?"),))
        assert (await backend.complete(year)).text == "1969"

    async def test_one_answer_for_everything(self) -> None:
        backend = await open_backend("scripted", "m", options={"answer": "yes", "cache": False})
        assert (await backend.complete(HI)).text == "yes"

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({}, "need `rules`"),
            ({"rules": "all"}, "need `rules`"),
            ({"rules": [], "answer": "x"}, "not both"),
            ({"rules": [{"match": "x"}]}, "a rule of the scripted model 'm'"),
            ({"rules": [{"match": "(", "answer": "x"}]}, "no regular expression"),
            ({"answer": "x", "latency": 3}, "no option 'latency'"),
        ],
    )
    async def test_wrong_options_are_named(self, options: dict[str, Any], told: str) -> None:
        with pytest.raises(FlowError, match=told):
            await open_backend("scripted", "m", options=options)


class TestReplay:
    async def test_reads_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        said = Completion(text="Paris", usage=Usage(9, 1))
        (tmp_path / "calls.jsonl").write_bytes(msgspec.json.encode(Recorded("k", HI, said)))
        monkeypatch.setenv("RECORDINGS", str(tmp_path))
        backend = await open_backend("replay", "m", options={"store": "$RECORDINGS/calls.jsonl"})
        assert isinstance(backend, ReplayBackend)
        assert await backend.complete(HI) == said

    async def test_a_missing_file_or_option_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(FlowError, match=r"options: \{store"):
            await open_backend("replay", "m")
        with pytest.raises(InputError, match="cannot be read"):
            await open_backend("replay", "m", options={"store": str(tmp_path / "none.jsonl")})
        with pytest.raises(FlowError, match="no option 'rules'"):
            await open_backend("replay", "m", options={"store": "x", "rules": []})


class TestServed:
    async def test_needs_a_url(self) -> None:
        with pytest.raises(FlowError, match="needs the `url` of the server"):
            await open_backend("openai", "m")

    async def test_passes_on_what_a_flow_says(self, server: Any) -> None:
        server.reply("/v1/models", OTHER)
        backend = await open_backend("openai", "m", url=server.url, key="secret", timeout=3, estimate=True)
        assert isinstance(backend, OpenAIBackend)
        assert (backend.name, backend.model, backend.timeout, backend.estimate) == ("openai", "m", 3, True)
        assert (await backend.count(HI)).source == "estimated"
        assert server.requests[0].headers["authorization"] == "Bearer secret"
        await backend.aclose()

    async def test_vllm_must_be_vllm(self, server: Any) -> None:
        server.reply("/v1/models", OTHER)
        with pytest.raises(BadRequest, match="is no vLLM server; write `backend: openai`"):
            await open_backend("vllm", "m", url=server.url)
        server.reply("/v1/models", VLLM)
        server.reply("/version", {"version": "0.32"})
        backend = await open_backend("vllm", "m", url=server.url)
        assert backend.name == "vllm"
        assert (await backend.facts()).context == 4096
        await backend.aclose()

    async def test_a_server_that_is_not_there_is_known_at_once(self) -> None:
        with pytest.raises(BackendUnreachable):
            await open_backend("openai", "m", url="http://127.0.0.1:9/v1")

    async def test_a_tokenizer_can_be_named(self, server: Any, tmp_path: Path) -> None:
        server.reply("/v1/models", OTHER)
        file = str(Path(tokenizers.__file__).with_name("tokenizer.json"))
        backend = await open_backend("openai", "m", url=server.url, options={"tokenizer": file})
        assert isinstance(backend, OpenAIBackend)
        assert isinstance(backend.tokenizer, FileTokenizer)
        assert (await backend.count(Request(model="m", prompt="hello"))).source == "counted"
        await backend.aclose()
        with pytest.raises(TokenizerUnavailable, match="There is no tokenizer file"):
            await open_backend("openai", "m", url=server.url, options={"tokenizer": str(tmp_path)})
        with pytest.raises(FlowError, match="no option 'tokeniser'; it has tokenizer"):
            await open_backend("openai", "m", url=server.url, options={"tokeniser": file})

    async def test_openais_models_get_openais_tokenizer(self, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        import tiktoken

        def refused(name: str) -> None:
            raise ConnectionError

        monkeypatch.setattr(tiktoken, "get_encoding", refused)
        server.reply("/v1/models", {"data": [{"id": "gpt-4o", "owned_by": "system"}]})
        backend = await open_backend("openai", "gpt-4o", url=server.url)
        assert isinstance(backend, OpenAIBackend)
        assert isinstance(backend.tokenizer, TiktokenTokenizer)
        with pytest.raises(TokenizerUnavailable, match="'o200k_base' of the model 'gpt-4o'"):
            await backend.count(Request(model="gpt-4o", prompt="hi"))
        await backend.aclose()


class TestLocal:
    async def test_a_model_that_is_not_there_says_how_to_get_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LACONIC_MODELS", str(tmp_path))
        with pytest.raises(ModelFileError, match="laconic models pull smollm2-135m-instruct"):
            await open_backend("local", "smollm2-135m-instruct")

    async def test_a_file_of_another_kind_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x.gguf").write_bytes(b"PK\x03\x04")
        with pytest.raises(ModelFileError, match="is not a GGUF file"):
            await open_backend("local", str(tmp_path / "x.gguf"))

    async def test_what_llama_cpp_says_of_a_broken_file_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "x.gguf").write_bytes(b"GGUF" + b"\0" * 1000)
        with pytest.raises(ModelFileError, match=r"llama\.cpp cannot load .*x\.gguf: gguf_init"):
            await open_backend("local", str(tmp_path / "x.gguf"))

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"options": {"n_gpu_layer": 3}}, "Did you mean n_gpu_layers"),
            ({"options": {"n_gpu_layers": [3]}}, r"can be set to \[3\]"),
            ({"options": {"threads": 0}}, "`threads`"),
        ],
    )
    async def test_wrong_options_are_named(self, tmp_path: Path, given: dict[str, Any], told: str) -> None:
        (tmp_path / "x.gguf").write_bytes(b"GGUF")
        with pytest.raises(FlowError, match=told):
            await open_backend("local", str(tmp_path / "x.gguf"), **given)

    async def test_without_llama_cpp_the_extra_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from laconic.errors import BackendError

        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(BackendError, match=r'pip install "laconic\[local\]"'):
            await open_backend("local", str(tmp_path / "x.gguf"))


async def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(FlowError, match="there is no backend 'ollama'; there is local, openai"):
        await open_backend("ollama", "m")
