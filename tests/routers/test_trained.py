"""Trained routers: what they learn, that their probabilities mean what they say, and that their files are safe."""

from __future__ import annotations

import json
import random
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io

from laconic.errors import FlowError, InputError, ModelFileError
from laconic.orchestrator import Flow
from laconic.routers.confidence import confidence_for, taken
from laconic.routers.embeddings import embed
from laconic.routers.features import figures
from laconic.routers.outcomes import Outcome, label_of, of_label, tiers_of
from laconic.routers.router_file import load_router, save_router
from laconic.routers.temperature import log_loss, temperature_for, tempered
from laconic.routers.trained import TrainedRouter, folds, questions, train

TIERS = ("basic", "middle", "advanced")
TOKENS = {"basic": 100.0, "middle": 200.0, "advanced": 400.0}


def outcomes(number: int = 90, seed: int = 3) -> list[Outcome]:
    """Questions with one table are easy, with two harder; every tenth is solved by none."""
    draw, found = random.Random(seed), []
    for n in range(number):
        tables = draw.randint(1, 3)
        label = "" if n % 10 == 9 else TIERS[tables - 1]
        text = ["List all names.", "What is the average age?", "Which is the highest ratio of both?"][tables - 1]
        found.append(
            Outcome(
                id=str(n),
                text=f"{text} {draw.randint(1, 99)}",
                group=f"db{n % 6}",
                features={"tables": [f"t{i}" for i in range(tables)], "size": float(n % 7)},
                right=of_label(label, TIERS),
                tokens=TOKENS,
            )
        )
    return found


@pytest.fixture(scope="module")
def known() -> list[Outcome]:
    return outcomes()


@pytest.fixture(scope="module")
def router(known: list[Outcome]) -> TrainedRouter:
    return train(known)


@pytest.mark.parametrize("method", ["knn", "logistic", "boosting"])
def test_what_can_be_learned_is_learned_and_survives_the_file(
    method: Any, known: list[Outcome], tmp_path: Path
) -> None:
    router = train(known, method=method)
    save_router(router, tmp_path / "router.skops")
    loaded = load_router(tmp_path / "router.skops")
    assert loaded.about == router.about
    unseen = [outcome for outcome in outcomes(60, seed=8) if any(outcome.right.values())]
    chances = loaded.chances(questions(unseen))
    assert np.allclose(chances, router.chances(questions(unseen)))
    assert np.allclose(chances.sum(axis=1), 1)
    right = [
        int(number) == label_of(outcome, "cheapest") for outcome, number in zip(unseen, chances.argmax(1), strict=True)
    ]
    assert sum(right) / len(right) > 0.9


def test_unsolved_items_teach_what_was_chosen(known: list[Outcome], router: TrainedRouter) -> None:
    nothing = Outcome(id="x", text="", right=of_label("", TIERS), tokens=TOKENS)
    assert (label_of(nothing, "cheapest"), label_of(nothing, "dearest")) == (0, 2)
    cheap, dear = router, train(known, unsolved="dearest")
    asked = questions(known)
    assert dear.chances(asked)[:, 2].mean() > cheap.chances(asked)[:, 2].mean() + 0.02


def test_the_head_says_how_it_was_made(known: list[Outcome], router: TrainedRouter) -> None:
    about = router.about
    assert about.labels == {tier: sum(o.right == of_label(tier, TIERS) for o in known) for tier in TIERS}
    assert (about.items, about.groups, about.unsolved_items) == (90, 6, 9)
    assert about.tokens["advanced"].mean == about.tokens["advanced"].p90 == 400
    assert about.features == {"tables": "names", "size": "number"}
    assert len(about.data_sha256) == 64


def test_one_label_gives_a_router_that_always_says_it(tmp_path: Path) -> None:
    same = [Outcome(id=str(n), text="?", right=of_label("middle", TIERS), tokens=TOKENS) for n in range(6)]
    save_router(train(same), tmp_path / "r.skops")
    assert load_router(tmp_path / "r.skops").chances([("anything", {})]).argmax() == 1


def test_a_word_that_only_the_judged_have_is_not_known_to_the_router(
    known: list[Outcome], router: TrainedRouter
) -> None:
    assert router.classifier.features is not None
    assert "zebra" not in router.classifier.features.words.vocabulary_
    a, b = ("List all names. zebra", known[0].features), ("List all names. quagga", known[0].features)
    assert np.allclose(router.chances([a])[0], router.chances([b])[0], atol=0.2)


def test_temperature_makes_what_is_too_sure_honest() -> None:
    draw = np.random.default_rng(1)
    labels = draw.integers(0, 2, 400)
    said = np.where(draw.random(400) < 0.7, labels, 1 - labels)  # right 70 % of the time, and always 99 % sure
    sure = np.full((400, 2), 0.01)
    sure[np.arange(400), said] = 0.99
    honest = tempered(sure, temperature_for(sure, list(labels)))
    assert log_loss(honest, list(labels)) < log_loss(sure, list(labels)) - 0.5
    assert honest.max() == pytest.approx((said == labels).mean(), abs=0.01)
    assert (honest.argmax(1) == sure.argmax(1)).all()


def test_the_confidence_that_keeps_a_share_of_the_gap_costs_least() -> None:
    found = [
        Outcome(id=str(n), text="", right={"small": float(n < 5), "large": 1.0}, tokens={"small": 1.0, "large": 3.0})
        for n in range(10)
    ]
    chances = np.array([[0.95 - 0.1 * n, 0.05 + 0.1 * n] for n in range(10)])
    for recover, to_large in ((0.0, 0), (0.4, 2), (0.5, 3), (1.0, 5)):
        numbers = taken(chances, confidence_for(chances, found, recover))
        assert numbers == [0] * (10 - to_large) + [1] * to_large, recover


def test_no_confidence_is_asked_for_where_the_dearest_gains_nothing() -> None:
    found = [Outcome(id="a", text="", right={"s": 1.0, "l": 1.0}, tokens={"s": 1.0, "l": 2.0})]
    assert confidence_for(np.array([[0.1, 0.9]]), found, 0.9) == 0.0


def test_no_group_is_learned_from_and_judged() -> None:
    groups = [f"g{n % 7}" for n in range(40)]
    judged: list[int] = []
    for inside, outside in folds(groups, 3):
        assert not {groups[row] for row in inside} & {groups[row] for row in outside}
        judged += outside
    assert sorted(judged) == list(range(40))
    with pytest.raises(InputError, match="two groups"):
        list(folds(["g"] * 5, None))


def test_figures_tell_what_a_question_asks() -> None:
    found = figures(
        'Which school has the highest average, more than 12.5 in "Alameda"?', {"tables": ["a", "b"], "db": "x"}
    )
    assert found["asks: superlative"] == found["asks: average"] == found["asks: threshold"] == found["numbers"] == 1
    assert found["quoted"] == 1
    assert found["given: tables"] == 2
    assert found["db = x"] == 1
    assert found["asks: ratio"] == 0


def test_a_feature_that_is_missing_or_of_another_kind_is_named(router: TrainedRouter) -> None:
    with pytest.raises(InputError, match="'size' is missing"):
        router.chances([("?", {"tables": []})])
    with pytest.raises(InputError, match="'tables' was a names"):
        router.chances([("?", {"tables": 3.0, "size": 1.0})])


def test_outcomes_with_other_tiers_are_refused(known: list[Outcome]) -> None:
    other = Outcome(id="odd", text="", right={"basic": 1.0}, tokens={"basic": 1.0})
    with pytest.raises(InputError, match="'odd'"):
        tiers_of([known[0], other])
    with pytest.raises(InputError, match="nothing to route"):
        tiers_of([other])


def rewritten(path: Path, **changes: Any) -> Path:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    head = json.loads(files["laconic.json"])
    files["laconic.json"] = json.dumps({**head, **changes}).encode()
    out = path.with_name("changed.skops")
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "was made with format 99"),
        ({"feature_set": 0}, "was made with feature set 0"),
        ({"scikit_learn": "0.1.2"}, "was made with scikit-learn 0.1"),
        ({"tiers": "all"}, "head of the router file"),
    ],
)
def test_a_file_of_another_version_is_refused(
    change: dict[str, Any], message: str, router: TrainedRouter, tmp_path: Path
) -> None:
    save_router(router, tmp_path / "r.skops")
    with pytest.raises(InputError, match=message):
        load_router(rewritten(tmp_path / "r.skops", **change))


class Hostile:
    """Something that no router consists of."""


def test_a_file_with_anything_else_in_it_is_refused_unbuilt(router: TrainedRouter, tmp_path: Path) -> None:
    save_router(router, tmp_path / "good.skops")
    with zipfile.ZipFile(tmp_path / "good.skops") as archive:
        head = archive.read("laconic.json")
    path = tmp_path / "hostile.skops"
    skops.io.dump({"model": Hostile(), "only": 0}, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("laconic.json", head)
    with pytest.raises(InputError, match=r"refused: it holds .*Hostile"):
        load_router(path)


def test_what_is_no_router_file_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no router file"):
        load_router(tmp_path / "missing.skops")
    (tmp_path / "text.skops").write_text("hello")
    with pytest.raises(InputError, match="is no router file"):
        load_router(tmp_path / "text.skops")


def test_embeddings_without_the_package_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModelFileError, match=r"laconic\[embeddings\]"):
        embed("no-such-model", ["text"])


def test_embeddings_become_features(monkeypatch: pytest.MonkeyPatch, known: list[Outcome]) -> None:
    class Encoder:
        def __init__(self, name: str) -> None:
            assert name == "tiny-test"

        def encode(self, texts: list[str], **_: Any) -> Any:
            return np.array([[float("average" in text), 1.0] for text in texts])

    monkeypatch.setitem(sys.modules, "sentence_transformers", types.SimpleNamespace(SentenceTransformer=Encoder))
    plain, more = train(known[:30]), train(known[:30], embeddings="tiny-test")
    assert more.classifier.model.n_features_in_ == plain.classifier.model.n_features_in_ + 2


def flow(by: dict[str, Any], base: Path, tiers: list[str], features: dict[str, Any]) -> Flow:
    return Flow(
        name="routed",
        base=base,
        inputs={"question": "str"},
        models={"m": {"backend": "scripted", "model": "m", "options": {"rules": [{"match": ".", "answer": "done"}]}}},
        nodes={
            **{tier: {"kind": "prompt", "model": "m", "prompt": tier} for tier in tiers},
            "answer": {"kind": "route", "tiers": tiers, "question": "{{ question }}", "features": features, "by": by},
        },
        outputs={"answer": "{{ answer }}"},
    )


async def test_a_flow_is_routed_by_the_file(known: list[Outcome], tmp_path: Path) -> None:
    save_router(train(known, method="knn"), tmp_path / "r.skops")
    for kind in ("knn", "classifier"):
        for tables, tier in ((["a"], "basic"), (["a", "b", "c"], "advanced")):
            asks = "List all names." if tier == "basic" else "Which is the highest ratio of both?"
            by = {"kind": kind, "file": "r.skops"}
            routed = flow(by, tmp_path, list(TIERS), {"tables": tables, "size": 1})
            result = await routed.run(question=asks)
            assert [call.node for call in result.ledger.calls] == [f"answer/{tier}"], result.explain()
            assert f"about {TOKENS[tier]:,.0f} tokens" in result.explain()


async def test_what_does_not_fit_the_router_is_said(router: TrainedRouter, tmp_path: Path) -> None:
    save_router(router, tmp_path / "r.skops")
    by = {"kind": "classifier", "file": "r.skops"}
    missing = await flow(by, tmp_path, list(TIERS), {"tables": []}).run(question="?")
    assert "'size' is missing" in str(missing.error)
    other = await flow(by, tmp_path, ["basic", "advanced"], {"tables": [], "size": 1}).run(question="?")
    assert "knows the tiers basic, middle, advanced" in str(other.error)
    with pytest.raises(FlowError, match="there is no router file"):
        flow({"kind": "classifier", "file": "gone.skops"}, tmp_path, list(TIERS), {})
    with pytest.raises(FlowError, match="trained with logistic"):
        flow({"kind": "knn", "file": "r.skops"}, tmp_path, list(TIERS), {})


def test_a_damaged_head_is_said(tmp_path: Path) -> None:
    path = tmp_path / "r.skops"
    save_router(train(outcomes()), path)
    content = path.read_bytes()
    start = content.rindex(b"laconic.json", 0, content.rindex(b"PK\x01\x02")) + 14
    path.write_bytes(content[:start] + b"\xff" * 12 + content[start + 12 :])
    with pytest.raises(InputError, match="is no router file"):
        load_router(path)
