"""`laconic router`: from each kind of data to a router file and a table."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from laconic.accounting.call import Call
from laconic.accounting.database import Database
from laconic.accounting.runs import RunRecord
from laconic.backends.usage import Usage
from laconic.routers.router_file import load_router

COSTS = "--costs=basic=100,advanced=400"
LABELLED = ("--data", "items.jsonl", "--label", "best", "--group", "db", "--feature", "linked", COSTS)


def write(path: Path, lines: list[Any]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def items(here: Path) -> list[dict[str, Any]]:
    draw = random.Random(5)
    found = []
    for n in range(60):
        hard = draw.random() < 0.4
        tables = [{"table": f"t{i}", "columns": ["a", "b"]} for i in range(3 if hard else 1)]
        label = "UNSOLVED" if n % 12 == 11 else "ADVANCED" if hard else "BASIC"
        question = "What is the highest ratio?" if hard else "List the names."
        found.append({"id": n, "question": question, "db": f"d{n % 4}", "linked": {"tables": tables}, "best": label})
    write(here / "items.jsonl", found)
    return found


@pytest.mark.usefixtures("items")
def test_train_and_judge_from_labels(laconic: Callable[..., Result], here: Path) -> None:
    trained = laconic("router", "train", *LABELLED, "--out", "r.skops")
    assert trained.exit_code == 0, trained.stderr
    assert "unsolved 5" in trained.stderr
    about = load_router(here / "r.skops").about
    assert about.tiers == ("basic", "advanced")
    assert about.features == {"linked.tables.table": "names", "linked.tables.columns": "names"}
    judged = laconic("router", "eval", *LABELLED, "--recover", "0.9", "--report", "r.md", "--json")
    assert judged.exit_code == 0, judged.stderr
    found = json.loads(judged.stdout)
    figures = {made["name"]: made for made in found["policies"]}
    router = figures["logistic, unsolved cheapest 90%"]
    # What can be told from the question is told, so the router is nearly the oracle.
    oracle = figures["oracle, unsolved to the cheapest"]
    assert router["accuracy"]["value"] == figures["always advanced"]["accuracy"]["value"] == 55 / 60
    assert router["tokens"]["value"] < 1.2 * oracle["tokens"]["value"] < figures["always advanced"]["tokens"]["value"]
    against = {d["other"]: d for d in found["differences"]}
    assert against["random at the cost of logistic, unsolved cheapest 90%"]["accuracy"]["interval"][0] > 0
    report = (here / "r.md").read_text()
    assert "always basic" in report
    assert found["data_sha256"] in report


@pytest.mark.usefixtures("items")
def test_a_router_is_judged_as_it_is_and_told_when_it_knows_the_items(laconic: Callable[..., Result]) -> None:
    laconic("router", "train", *LABELLED, "--out", "r.skops")
    judged = laconic("router", "eval", *LABELLED, "--router", "r.skops")
    assert judged.exit_code == 0, judged.stderr
    assert "was trained on these very outcomes" in judged.stderr
    assert "r 80%" in judged.stdout
    other = laconic("router", "eval", *LABELLED[:-1], "--costs=basic=1,middle=2,advanced=3", "--router", "r.skops")
    assert other.exit_code == 2
    assert "knows the tiers basic, advanced" in other.stderr


def test_a_label_outside_the_tiers_is_shown_with_its_line(
    laconic: Callable[..., Result], here: Path, items: Any
) -> None:
    items[3]["best"] = "advnced"
    write(here / "items.jsonl", items)
    result = laconic("router", "train", *LABELLED, "--out", "r.skops")
    assert result.exit_code == 2
    assert "items.jsonl:4: the label 'advnced' is none of the tiers basic, advanced; did you mean 'advanced'?" in (
        result.stderr
    )


def test_one_label_is_learned_with_a_warning(laconic: Callable[..., Result], here: Path, items: Any) -> None:
    write(here / "items.jsonl", [{**item, "best": "basic"} for item in items])
    result = laconic("router", "train", *LABELLED, "--out", "r.skops")
    assert result.exit_code == 0
    assert "warning: every item has the label 'basic'" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--data", "items.jsonl"), "items.jsonl:1: no outcome"),
        (("--data", "items.jsonl", "--label", "best"), "--label needs --costs"),
        (("--data", "items.jsonl", "--label", "bset", COSTS), "items.jsonl:1: no field 'bset'"),
        (("--data", "items.jsonl", "--label", "best", "--costs", "basic=x"), "must be a number"),
        (("--data", "items.jsonl", "--label", "best", "--costs", "basic=1"), "is none of the tiers basic"),
        ((), "name the outcomes with --data"),
        (("--from-runs",), "there is no ledger"),
    ],
)
@pytest.mark.usefixtures("items")
def test_wrong_options(laconic: Callable[..., Result], options: tuple[str, ...], message: str) -> None:
    result = laconic("router", "train", *options, "--out", "r.skops")
    assert result.exit_code == 2
    assert message in result.stderr


def test_outcomes_as_they_are(laconic: Callable[..., Result], here: Path) -> None:
    lines = [
        {
            "id": str(n),
            "text": "q" * (n % 5),
            "right": {"s": float(n % 5 < 2), "l": 1},
            "tokens": {"s": 10, "l": 50 + n},
        }
        for n in range(30)
    ]
    write(here / "outcomes.jsonl", lines)
    result = laconic("router", "eval", "--data", "outcomes.jsonl", "--method", "knn")
    assert result.exit_code == 0, result.stderr
    assert "always l" in result.stdout
    write(here / "outcomes.jsonl", [*lines, {**lines[0], "id": "x", "right": {"l": 1, "s": 1}}])
    wrong = laconic("router", "eval", "--data", "outcomes.jsonl")
    assert wrong.exit_code == 2
    assert "the item 'x' has the tiers l, s" in wrong.stderr


def test_rows_of_a_comparison_are_outcomes(laconic: Callable[..., Result], here: Path) -> None:
    write(
        here / "items.jsonl", [{"id": n, "question": "hard one" if n % 2 else "easy", "answer": "x"} for n in range(20)]
    )
    rows = [
        {"flow": flow, "id": str(n), "key": "k", "run": "r", "em": float(flow == "dear" or n % 2 == 0), "total": tokens}
        for flow, tokens in (("dear", 90), ("cheap", 30))
        for n in range(20)
    ]
    write(here / "rows.jsonl", rows[:-1])
    result = laconic("router", "eval", "--rows", "rows.jsonl", "--data", "items.jsonl", "--json")
    assert result.exit_code == 0, result.stderr
    assert "1 items have no answer of every flow" in result.stderr
    found = json.loads(result.stdout)
    assert found["tiers"] == ["cheap", "dear"]
    assert found["items"] == 19


CASCADE = """
name: capitals
nodes:
  answer: {kind: cascade, tiers: [basic, advanced], question: "{{ question }}"}
"""


def remember(
    database: Database, run: str, question: str, calls: list[tuple[str, str, int]], text: str = CASCADE
) -> None:
    database.save_run(RunRecord(run=run, flow="capitals", text=text, inputs={"question": question}, started=1.0))
    for node, status, tokens in calls:
        usage = Usage(tokens - 1, 1, source="server")
        database.write_call(Call(run, f"answer/{node}", model="m", status=status, usage=usage))  # type: ignore[arg-type]  # one of the words of Status


def test_what_cascades_found_out_is_learned_from_the_ledger(laconic: Callable[..., Result], here: Path) -> None:
    (here / ".laconic").mkdir()
    with Database(here / ".laconic" / "laconic.db") as database:
        for n in range(12):
            if n % 3 == 0:  # rejected, then accepted
                calls = [("basic", "discarded", 100), ("advanced/plan", "ok", 300), ("advanced", "ok", 100)]
            else:
                calls = [("basic", "ok", 90)]
            remember(database, f"run{n}", f"{'hard' if n % 3 == 0 else 'easy'} {n}", calls)
        remember(database, "none", "impossible", [("basic", "discarded", 100), ("advanced", "discarded", 500)])
        remember(database, "cut", "cut short", [("basic", "discarded", 100)])
        remember(database, "plain", "no cascade", [("basic", "ok", 5)], text="nodes: {answer: {kind: prompt}}")
    result = laconic("router", "train", "--from-runs", "--out", "r.skops")
    assert result.exit_code == 0, result.stderr
    assert "13 items were answered by the cascade answer (basic, advanced)" in result.stderr
    assert "1 items are left out: the cascade ended, or may have ended, before it had tried every tier" in result.stderr
    about = load_router(here / "r.skops").about
    assert about.labels == {"basic": 8, "advanced": 4}
    assert about.unsolved_items == 1
    assert about.tokens["basic"].mean == pytest.approx((8 * 90 + 5 * 100) / 13)
    assert about.tokens["advanced"].mean == pytest.approx((4 * 400 + 500) / 5)


CASCADE = """
name: ways
inputs: {question: str}
models:
  large:
    backend: scripted
    model: script
    options: {rules: [{match: Think, answer: "yes"}, {match: List, answer: "yes"}, {match: ".", answer: "no"}]}
nodes:
  cheap: {kind: prompt, prompt: "{{ question }}"}
  dear: {kind: prompt, prompt: "Think long and well about this: {{ question }}"}
  answer:
    kind: cascade
    tiers: [cheap, dear]
    question: "{{ question }}"
    accept: {kind: expression, that: "answer == 'yes'"}
outputs: {answer: "{{ answer }}"}
"""


def test_what_a_cascade_found_out_is_learned(
    laconic: Callable[..., Result], here: Path, items: list[dict[str, Any]]
) -> None:
    (here / "cascade.yaml").write_text(CASCADE)
    ran = laconic("run", "cascade.yaml", "--data", "items.jsonl")
    assert ran.exit_code == 0, ran.stderr
    result = laconic("router", "train", "--from-runs", "--out", "r.skops")
    assert result.exit_code == 0, result.stderr
    hard = sum("ratio" in item["question"] for item in items)
    assert load_router(here / "r.skops").about.labels == {"cheap": len(items) - hard, "dear": hard}


def test_a_tier_that_was_never_asked_needs_its_cost(laconic: Callable[..., Result], here: Path) -> None:
    (here / ".laconic").mkdir()
    with Database(here / ".laconic" / "laconic.db") as database:
        for n in range(3):
            remember(database, f"run{n}", f"easy {n}", [("basic", "ok", 90)])
    result = laconic("router", "train", "--from-runs", "--out", "r.skops")
    assert result.exit_code == 2
    assert "the tier 'advanced' was never asked" in result.stderr
    assert laconic("router", "train", "--from-runs", "--costs", "advanced=400", "--out", "r.skops").exit_code == 0


FLOW = """
name: {name}
inputs: {{question: str, db: str}}
models: {{large: {{backend: scripted, model: script, options: {{rules: {rules}}}}}}}
nodes: {{answer: {{kind: prompt, prompt: "{prompt}{{{{ question }}}}"}}}}
outputs: {{answer: "{{{{ answer }}}}", hard: "{{{{ 1 if 'highest' in question else 0 }}}}"}}
"""


@pytest.fixture
def ways(items: list[dict[str, Any]], here: Path) -> list[str]:
    """A cheap flow that knows the easy questions, a dear one that knows all, and one that is no tier."""
    write(here / "asked.jsonl", [{**item, "answer": "yes"} for item in items])
    rules = {
        "cheap": '[{match: List, answer: "yes"}, {match: ".", answer: "no"}]',
        "dear": '[{match: ".", answer: "yes"}]',
    }
    prompts = {"cheap": "", "dear": "Think long and well and twice about this: ", "other": "Think: "}
    for name, prompt in prompts.items():
        text = FLOW.format(name=name, prompt=prompt, rules=rules["cheap" if name == "cheap" else "dear"])
        (here / f"{name}.yaml").write_text(text)
    return [f"{name}.yaml" for name in prompts]


def test_flows_are_run_and_judged_in_one_table(laconic: Callable[..., Result], here: Path, ways: list[str]) -> None:
    asked = ("--data", "asked.jsonl", "--group", "db", "--feature", "hard", "--results", "rows.jsonl")
    told = ("--tiers", "cheap,dear", "--recover", "0.9", "--report", "r.md")
    judged = laconic("router", "eval", *ways, *asked, *told)
    assert judged.exit_code == 0, judged.stderr
    policies = [line.split("  ")[0] for line in judged.stdout.split("\n\n")[0].splitlines()[1:]]
    assert policies == [
        "always cheap",
        "always dear",
        "other",
        "random at the cost of other",
        "logistic, unsolved cheapest, likeliest",
        "random at the cost of logistic, unsolved cheapest, likeliest",
        "logistic, unsolved cheapest 90%",
        "random at the cost of logistic, unsolved cheapest 90%",
        "oracle, unsolved to the cheapest",
        "oracle, unsolved to the dearest",
    ]
    report = (here / "r.md").read_text()
    assert "| other | 100.0 %" in report
    assert "## Where it ran" in report
    # What was answered is not asked again, and the rows alone give the same table.
    again = laconic("router", "eval", *ways, *asked, *told)
    assert "180 rows were in rows.jsonl already" in again.stderr
    alone = laconic("router", "eval", "--rows", "rows.jsonl", "--data", "asked.jsonl", *asked[2:6], *told)
    assert judged.stdout == again.stdout == alone.stdout
    # The model's words for its own difficulty are a feature that a router is trained on.
    trained = laconic(
        "router", "train", "--rows", "rows.jsonl", *asked[:6], "--tiers", "cheap,dear", "--out", "r.skops"
    )
    assert trained.exit_code == 0, trained.stderr
    assert load_router(here / "r.skops").about.features == {"hard": "number"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tiers", "cheap,deer"), "there are no rows of the flow 'deer'; did you mean 'dear'?"),
        (("--tiers", "cheap"), "a router needs two tiers or more"),
        (("--feature", "soft"), "no field 'soft'"),
    ],
)
def test_what_is_wrong_with_rows_is_said(
    laconic: Callable[..., Result], ways: list[str], options: tuple[str, ...], said: str
) -> None:
    result = laconic("router", "eval", *ways, "--data", "asked.jsonl", *options)
    assert result.exit_code == 2
    assert said in result.stderr
