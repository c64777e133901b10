"""Memory shared out between servers: never more than there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from laconic.backends import memory_shares
from laconic.backends.memory_shares import ALL, GIB, Wanted, cpu_cache, share, shares
from laconic.errors import FlowError

SIZES = st.none() | st.floats(0.01, 500)
EXPLICIT = st.none() | st.floats(0.01, 0.5)


@given(
    st.lists(st.tuples(SIZES, EXPLICIT, st.sampled_from([None, 1, 2, 8])), min_size=1, max_size=6),
    st.none() | st.integers(GIB, 200 * GIB),
)
def test_together_they_never_take_more_than_all(
    models: list[tuple[float | None, float | None, int | None]], total: int | None
) -> None:
    explicit = [given for _, given, _ in models if given is not None]
    assume(len(explicit) < len(models))
    assume(sum(explicit) < ALL)
    wanted = [
        Wanted(
            f"m{number}", parameters=size, options={"gpu_memory_utilization": given, "tensor_parallel_size": devices}
        )
        for number, (size, given, devices) in enumerate(models)
    ]
    found = shares(wanted, total)
    assert sum(found) <= ALL + 1e-9
    assert all(one > 0 for one in found)
    assert [one for one, (_, given, _) in zip(found, models, strict=True) if given is not None] == explicit


def test_each_gets_its_weights_and_an_equal_part_of_the_rest() -> None:
    large, small = Wanted("a", parameters=8), Wanted("b", parameters=1)
    found = shares([large, small], 40 * 10**9)
    assert found == pytest.approx([0.4 + 0.225, 0.05 + 0.225])
    assert found[0] - found[1] == pytest.approx(0.35)


def test_the_files_of_a_folder_are_its_weights(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(6000))
    found = shares([Wanted(str(tmp_path)), Wanted("b", parameters=1e-6)], 20_000)
    assert found == pytest.approx([0.3 + 0.25, 0.1 + 0.25])


def test_with_something_unknown_the_parts_are_equal() -> None:
    assert shares([Wanted("a", parameters=8), Wanted("b")], GIB) == pytest.approx([0.45, 0.45])
    assert shares([Wanted("a", parameters=8), Wanted("b", parameters=1)], None) == pytest.approx([0.45, 0.45])


def test_what_leaves_nothing_for_the_others_is_said() -> None:
    greedy = Wanted("a", options={"gpu_memory_utilization": 0.95})
    assert shares([greedy], None) == [0.95]
    with pytest.raises(FlowError, match="leave none for 'b'"):
        shares([greedy, Wanted("b")], None)
    with pytest.raises(FlowError, match="a share between 0 and 1, not 90"):
        shares([Wanted("a", options={"gpu_memory_utilization": 90})], None)


def test_equal_servers_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_shares, "accelerator_memory", lambda: None)
    assert share(Wanted("a"), [Wanted("a"), Wanted("a"), Wanted("b")]) == pytest.approx(0.45)


def test_the_cache_of_a_cpu_is_between_one_and_eight_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    for available, part, cache in [(24, 0.9, 6), (24, 0.45, 3), (24, None, 6), (2, 0.9, 1), (500, 0.9, 8)]:
        monkeypatch.setattr(memory_shares, "_available", lambda available=available: available * GIB)
        assert cpu_cache(part) == cache
