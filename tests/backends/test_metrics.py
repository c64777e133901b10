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


REQUESTS = (
    VLLM
    + """\
vllm:request_params_n_count{engine="0",model_name="qwen"} 40.0
vllm:request_params_n_count{engine="1",model_name="qwen"} 2.0
vllm:request_params_n_sum{engine="0",model_name="qwen"} 47.0
vllm:request_params_n_sum{engine="1",model_name="qwen"} 2.0
vllm:request_success_total{engine="0",finished_reason="stop",model_name="qwen"} 46.0
vllm:request_success_total{engine="0",finished_reason="abort",model_name="qwen"} 1.0
vllm:request_success_total{engine="1",finished_reason="abort",model_name="qwen"} 1.0
vllm:num_requests_running{engine="0",model_name="qwen"} 3.0
vllm:num_requests_running{engine="1",model_name="qwen"} 0.0
vllm:num_requests_waiting{engine="0",model_name="qwen"} 5.0
vllm:num_requests_waiting{engine="1",model_name="qwen"} 0.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="qwen",reason="capacity"} 5.0
"""
)


def test_vllm_counts_requests_and_the_answers_they_asked_for() -> None:
    found = counters(REQUESTS, "qwen")
    assert found is not None
    assert (found.requests, found.samples, found.aborted, found.busy) == (42, 49, 2, 8)
    other = counters(REQUESTS, "other")
    assert other is not None
    assert (other.requests, other.samples, other.aborted, other.busy) == (None, None, None, None)


def test_llama_cpp_tells_what_it_is_at_and_counts_no_requests() -> None:
    found = counters(LLAMA + "llamacpp:requests_processing 1\nllamacpp:requests_deferred 2\n", "any")
    assert found == Counters(1200, 340, 77, busy=3)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "many"])
def test_what_is_no_number_counts_nothing(value: str) -> None:
    assert counters(LLAMA.replace("1200", value), "any") is None


def test_a_total_that_one_side_does_not_know_is_unknown() -> None:
    known, unknown = Counters(10, 5, 3, 7, 1, 9, 2), Counters(1, 1, 1)
    assert known.since(Counters(4, 4, 1, 2, 0, 3, 5)) == Counters(6, 1, 2, 5, 1, 6, 2)
    assert known.since(unknown) == Counters(9, 4, 2, busy=2)
    assert known + known == Counters(20, 10, 6, 14, 2, 18, 4)
    assert known + unknown == Counters(11, 6, 4)
