from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.accounting import Calibration, Call, load_calibration, save_calibration
from laconic.accounting.calibration import check_writable, fit
from laconic.backends.usage import Usage
from laconic.errors import InputError, LedgerError

seconds = st.floats(0, 1e3)
lengths = st.lists(st.integers(1, 4096), min_size=1, max_size=6, unique=True).map(sorted)


@st.composite
def calibrations(draw: st.DrawFn) -> Calibration:
    prompts = draw(lengths)
    taken = sorted(draw(st.lists(seconds, min_size=len(prompts), max_size=len(prompts))))
    points = tuple(zip(prompts, taken, strict=True))
    return Calibration(model="m", prefill=points, per_token=draw(st.floats(0, 1)))


def test_between_two_points_the_seconds_are_in_proportion() -> None:
    calibration = Calibration(model="m", prefill=((100, 1.0), (300, 5.0)), per_token=0.5)
    assert [calibration.reading(tokens) for tokens in (0, 50, 100, 200, 300)] == [0.0, 0.5, 1.0, 3.0, 5.0]
    assert calibration.reading(600) == 10.0, "past the last point in proportion to the prompt"


def test_cached_tokens_are_not_read_again() -> None:
    calibration = Calibration(model="m", prefill=((100, 1.0), (300, 5.0)), per_token=0.5)
    assert calibration.seconds(300, 0, 4) == 5.0 + 4 * 0.5
    assert calibration.seconds(300, 100, 4) == 4.0 + 4 * 0.5
    assert calibration.seconds(300, 300, 0) == 0.0


@given(calibration=calibrations(), prompts=st.lists(st.integers(0, 20_000), min_size=2, max_size=2).map(sorted))
def test_a_longer_prompt_is_never_faster(calibration: Calibration, prompts: list[int]) -> None:
    short, long = prompts
    assert calibration.reading(short) <= calibration.reading(long) * (1 + 1e-9)
    assert calibration.reading(0) == 0
    assert calibration.seconds(long, short, 3) >= 3 * calibration.per_token * (1 - 1e-9) - 1e-9


@given(calibration=calibrations())
def test_what_was_measured_is_what_is_said(calibration: Calibration) -> None:
    assert all(calibration.reading(tokens) == pytest.approx(taken) for tokens, taken in calibration.prefill)


@given(calibration=calibrations(), parts=st.lists(st.integers(0, 5000), min_size=3, max_size=3).map(sorted))
def test_reading_in_two_calls_takes_as_long_as_in_one(calibration: Calibration, parts: list[int]) -> None:
    cached, middle, prompt = parts
    apart = calibration.seconds(middle, cached, 0) + calibration.seconds(prompt, middle, 7)
    assert apart == pytest.approx(calibration.seconds(prompt, cached, 7))


@pytest.mark.parametrize(
    "wrong",
    [
        {"prefill": []},
        {"prefill": [[0, 1.0]]},
        {"prefill": [[5, 1.0], [5, 2.0]]},
        {"prefill": [[5, 2.0], [9, 1.0]]},
        {"prefill": [[5, -1.0]]},
        {"per_token": -0.1},
        {"prefill": 3},
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    file = tmp_path / "c.json"
    file.write_bytes(msgspec.json.encode({"model": "m", "prefill": [[5, 1.0]], "per_token": 0.1, **wrong}))
    with pytest.raises(InputError, match=r"c.json' is no file of `laconic calibrate`"):
        load_calibration(file)


@given(calibration=calibrations())
def test_a_file_gives_back_what_was_saved(tmp_path_factory: pytest.TempPathFactory, calibration: Calibration) -> None:
    file = tmp_path_factory.mktemp("calibration") / "c.json"
    save_calibration(calibration, file)
    assert load_calibration(file) == calibration


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_calibration(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot be written"):
        save_calibration(Calibration(model="m", prefill=((1, 1.0),), per_token=0), tmp_path / "no" / "c.json")


def test_a_place_is_tried_out_and_left_as_it_was(tmp_path: Path) -> None:
    check_writable(tmp_path / "c.json")
    assert not list(tmp_path.iterdir())
    (tmp_path / "old.json").write_text("kept")
    check_writable(tmp_path / "old.json")
    assert (tmp_path / "old.json").read_text() == "kept"
    with pytest.raises(InputError, match="is a folder; name a file"):
        check_writable(tmp_path)
    with pytest.raises(InputError, match=r"cannot be written: File name too long"):
        check_writable(tmp_path / f"{'long' * 100}.json")


def answered(prompt: int, completion: int, taken: float, cached: int | None = 0, **more: Any) -> Call:
    return Call(run="r", model="large", usage=Usage(prompt, completion, cached), seconds=taken, **more)


@given(
    lengths=lengths,
    rate=st.floats(1e-4, 0.1),
    per_token=st.floats(1e-3, 1),
    noise=st.lists(st.floats(0, 5), min_size=3, max_size=3),
)
def test_a_machine_that_follows_the_formula_is_found_out(
    lengths: list[int], rate: float, per_token: float, noise: list[float]
) -> None:
    def calls(prompt: int, completion: int) -> list[Call]:
        exact = rate * prompt + per_token * completion
        return [answered(prompt, completion, exact + late) for late in [*noise, 0.0]]

    taken = [call for prompt in lengths for call in calls(prompt, 1)]
    taken += [call for completion in (8, 40) for call in calls(lengths[0], completion)]
    points, found = fit(taken)
    assert found == pytest.approx(per_token)
    assert [prompt for prompt, _ in points] == lengths
    assert [spent for _, spent in points] == pytest.approx([rate * prompt for prompt in lengths], abs=1e-9)
    Calibration(model="m", prefill=points, per_token=found)


@given(taken=st.lists(seconds, min_size=6, max_size=6))
def test_whatever_the_noise_the_result_is_a_calibration(taken: list[float]) -> None:
    shapes = [(32, 1), (128, 1), (512, 1), (2048, 1), (128, 8), (128, 40)]
    points, per_token = fit(answered(*shape, spent) for shape, spent in zip(shapes, taken, strict=True))
    Calibration(model="m", prefill=points, per_token=per_token)


def test_a_longer_prompt_that_was_faster_shows_the_noise_of_the_shorter() -> None:
    points, _ = fit([answered(32, 1, 9.0), answered(64, 1, 2.0), answered(32, 5, 9.0), answered(32, 1, 8.0)])
    assert [tokens for tokens, _ in points] == [32, 64]
    assert points[0][1] == points[1][1]


def test_prompts_from_a_cache_and_calls_that_failed_do_not_count() -> None:
    good = [answered(100, 1, 1.1), answered(100, 8, 1.8), answered(100, 40, 5.0)]
    assert fit([*good, answered(100, 1, 0.1, cached=96), answered(100, 1, 0.1, status="failed")]) == fit(good)
    assert fit([answered(100, 1, 1.1, cached=None), *good[1:]]) == fit(good)


def test_an_answer_that_ended_early_still_gives_a_slope() -> None:
    assert fit([answered(100, 1, 1.0), answered(100, 3, 2.0)])[1] == 0.5


@pytest.mark.parametrize(
    ("calls", "why"),
    [
        ([], "more than one token"),
        ([answered(100, 1, 1.0)], "more than one token"),
        ([answered(100, 8, 1.0), answered(100, 40, 2.0)], "read a whole prompt"),
        ([answered(100, 40, 2.0), answered(50, 1, 2.0)], "no slope"),
    ],
)
def test_calls_that_do_not_tell_are_refused(calls: list[Call], why: str) -> None:
    with pytest.raises(LedgerError, match=why):
        fit(calls)
