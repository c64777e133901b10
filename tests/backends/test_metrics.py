from __future__ import annotations

import pytest

from laconic.backends.backend import Counters
from laconic.backends.metrics import counters

LLAMA = """\
# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed, excluding cached tokens
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 1200
# TYPE llamacpp:prompt_tokens_cached_total counter
llamacpp:prompt_tokens_cached_total 340
llamacpp:prompt_seconds_total 1.5
llamacpp:tokens_predicted_total 77
llamacpp:prompt_tokens_seconds 40.5
"""

VLLM = """\
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="qwen"} 28854.0
vllm:prompt_tokens_total{engine="1",model_name="qwen"} 1.0e+03
vllm:prompt_tokens_total{engine="0",model_name="other"} 5.0
vllm:prompt_tokens_created{engine="0",model_name="qwen"} 1.79e+09
vllm:prompt_tokens_by_source_total{engine="0",model_name="qwen",source="local_compute"} 9.0
vllm:prompt_tokens_cached_total{engine="0",model_name="qwen"} 24512.0
vllm:prompt_tokens_cached_total{engine="1",model_name="qwen"} 200.0
vllm:prompt_tokens_cached_total{engine="0",model_name="other"} 0.0
vllm:generation_tokens_total{engine="0",model_name="qwen"} 600.0 1795411416000
vllm:generation_tokens_total{engine="1",model_name="qwen"} 31.0
vllm:generation_tokens_total{engine="0",model_name="other"} 2.0
"""


def test_llama_cpp_counts_computed_and_cached_apart() -> None:
    assert counters(LLAMA, "any") == Counters(computed=1200, cached=340, generated=77)


def test_vllm_counts_the_cached_within_the_prompt_and_engines_add_up() -> None:
    assert counters(VLLM, "qwen") == Counters(computed=29854 - 24712, cached=24712, generated=631)
    assert counters(VLLM, "other") == Counters(computed=5, cached=0, generated=2)


def test_a_model_the_server_does_not_have_has_no_counters() -> None:
    assert counters(VLLM, "third") is None


def test_a_single_model_is_meant_by_any_of_its_names() -> None:
    single = "\n".join(line for line in VLLM.split("\n") if "other" not in line)
    assert counters(single, "alias-of-qwen") == counters(VLLM, "qwen")


@pytest.mark.parametrize("text", ["", "<html>no metrics</html>", "vllm:prompt_tokens_total nonsense\n"])
def test_no_counters_is_none(text: str) -> None:
    assert counters(text, "m") is None


@pytest.mark.parametrize("missing", ["prompt_tokens_total", "prompt_tokens_cached_total", "generation_tokens_total"])
def test_a_missing_counter_is_not_taken_for_zero(missing: str) -> None:
    text = "\n".join(line for line in VLLM.split("\n") if not line.startswith(f"vllm:{missing}"))
    assert counters(text, "qwen") is None


def test_escaped_labels() -> None:
    model = 'a "b"\\c'
    label = model.replace("\\", "\\\\").replace('"', '\\"')
    text = (
        "".join(
            f'vllm:{name}_total{{x="}}",model_name="{label}"}} {value}\n'
            for name, value in [
                ("prompt_tokens", 10),
                ("prompt_tokens_cached", 4),
                ("generation_tokens", 3),
            ]
        )
        + 'vllm:prompt_tokens_total{model_name="z"} 1\n'
    )
    assert counters(text, model) == Counters(computed=6, cached=4, generated=3)


def test_what_happened_since_an_earlier_snapshot() -> None:
    before, after = Counters(10, 5, 3), Counters(25, 9, 4)
    assert after.since(before) == Counters(15, 4, 1)
    assert after.since(before).prompt == 19
