"""Text-to-SQL over a small database: what is asked, what is run, and what the bill says."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laconic.backends import Request, ScriptedBackend
from laconic.errors import BadRequest, FlowError
from laconic.orchestrator import KINDS, Flow, Result, Runtime

ALL = '{"people": ["name", "age"]}'
GOOD = "SELECT name FROM people WHERE age > 30"
BAD = "SELECT nam FROM people"
NOTHING = "SELECT name FROM people WHERE age > 300"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "town.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript("""
        CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, age INTEGER);
        CREATE TABLE pets (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES people(id), kind TEXT);
        CREATE TABLE weather (day TEXT, rain REAL);
        INSERT INTO people VALUES (1, 'Ann', 41), (2, 'Bo', 29);
        INSERT INTO pets VALUES (1, 1, 'cat');
    """)
    connection.close()
    return path


class Town:
    """Runs a node over the database with a scripted model and keeps what the model was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = ScriptedBackend("")

    async def __call__(
        self,
        node: dict[str, Any],
        answers: list[str] | Callable[[Request], str],
        failures: Callable[[int], Exception | None] = lambda number: None,
    ) -> Result:
        left = iter(answers) if isinstance(answers, list) else None
        self.model = ScriptedBackend(
            answers if callable(answers) else lambda request: next(left or iter(())), failures=failures
        )
        schema = {"schema": "{{ 'CREATE TABLE people (name, age)' }}"} if node["kind"] == "text-to-sql" else {}
        flow = Flow(
            name="town",
            inputs={"question": str},
            models={"large": {"backend": "scripted", "model": "script"}},
            tools={"db": {"kind": "sql", "path": str(self.path)}},
            nodes={"sql": {"question": "{{ question }}", **schema, **node}},
            outputs={"value": "{{ sql }}"},
        )
        async with Runtime(backends={"large": self.model}) as runtime:
            return await flow.run(question="Who is older than 30?", runtime=runtime)

    @property
    def prompts(self) -> list[str]:
        """Each request as one text."""
        return ["\n".join(turn.content for turn in request.messages or ()) for request in self.model.requests]


@pytest.fixture
def town(database: Path) -> Town:
    return Town(database)


def purposes(result: Result) -> list[str]:
    return [call.purpose for call in result.ledger.calls]


WRITE: dict[str, Any] = {"kind": "text-to-sql"}
LINK: dict[str, Any] = {"kind": "link-schema"}


async def test_the_linked_tables_are_given_whole_and_the_linked_columns_counted(town: Town) -> None:
    result = await town(LINK, ['{"PETS": ["pets.kind", "colour"], "people": ["Age", "name"], "ghosts": ["x"]}'])
    value = result.outputs["value"]
    assert (value["tables"], value["columns"], value["joins"]) == (["people", "pets"], 3, 1)
    assert "owner" in value["schema"]
    assert "weather" not in value["schema"]
    assert purposes(result) == ["link"]
    assert "weather" in town.prompts[0]


@pytest.mark.parametrize("answer", ["", "I think people.", '{"ghosts": ["x"]}', '{"people": ["na', "[1]", "{}"])
async def test_where_nothing_is_linked_everything_is_and_it_is_said(town: Town, answer: str) -> None:
    result = await town(LINK, [answer])
    value = result.outputs["value"]
    assert (value["tables"], value["columns"]) == (["people", "pets", "weather"], 8)
    assert "linked every table" in result.explain()


async def test_a_linking_that_cannot_be_asked_for_links_everything(town: Town) -> None:
    result = await town(LINK, [ALL], failures=lambda number: BadRequest("no schema here"))
    assert result.outputs["value"]["columns"] == 8
    assert "no schema here" in result.explain()


async def test_one_call_whose_query_is_not_run(town: Town) -> None:
    result = await town(WRITE | {"evidence": "old is 30"}, [f"```sql\n{BAD};\n```"])
    assert result.outputs["value"] == BAD
    assert purposes(result) == ["draft"]
    prompt = town.prompts[0]
    assert prompt.index("CREATE TABLE people") < prompt.index("Hint: old is 30") < prompt.index("Who is older")


async def test_the_schema_stands_first_whatever_is_asked_about_it(town: Town) -> None:
    await town(LINK, [ALL])
    linking = town.prompts[0]
    await town(WRITE | {"divide": True}, [GOOD])
    dividing = town.prompts[0]
    before = "You write SQLite queries for this database:\n\nCREATE TABLE people"
    assert linking.startswith(before)
    assert dividing.startswith(before)


async def test_an_error_is_shown_with_the_query_and_repaired(town: Town) -> None:
    result = await town(WRITE | {"refine": 2, "divide": True}, [f"First this.\n```sql\n{BAD}\n```", GOOD])
    assert result.outputs["value"] == GOOD
    assert purposes(result) == ["draft", "repair"]
    assert BAD in town.prompts[1]
    assert "no such column: nam" in town.prompts[1]
    assert "First this." not in town.prompts[1]
    assert all("divide the question" in prompt for prompt in town.prompts)


async def test_the_question_may_be_divided_only_when_a_query_is_written_again(town: Town) -> None:
    await town(WRITE | {"refine": 1, "divide": "repair"}, [BAD, f"A part.\n```sql\n{GOOD}\n```\n\nIt explains."])
    assert ["divide the question" in prompt for prompt in town.prompts] == [False, True]


async def test_a_query_that_finds_nothing_is_asked_about_and_kept_if_the_next_is_no_better(town: Town) -> None:
    result = await town(WRITE | {"refine": 1}, [NOTHING, BAD])
    assert result.outputs["value"] == NOTHING
    assert "finds nothing" in town.prompts[1]
    assert purposes(result) == ["draft", "repair"]


async def test_a_model_that_repeats_itself_is_not_asked_again(town: Town) -> None:
    result = await town(WRITE | {"refine": 5}, [BAD, BAD])
    assert result.outputs["value"] == BAD
    assert purposes(result) == ["draft", "repair"]
    assert "no such column" in result.explain()


async def test_statements_that_write_are_never_run(town: Town) -> None:
    before = town.path.read_bytes()
    hostile = [
        "DROP TABLE people;",
        "WITH x AS (SELECT 1) DELETE FROM people",
        "```sql\nUPDATE people SET age = 1\n```",
    ]
    result = await town(WRITE | {"refine": 3}, [*hostile, f"DROP TABLE people; {GOOD}"])
    assert result.outputs["value"] == GOOD
    assert purposes(result) == ["draft", "repair", "repair", "repair"]
    assert "no complete SELECT" in town.prompts[1]
    assert town.path.read_bytes() == before


async def test_an_answer_without_a_query_is_an_error_that_shows_it(town: Town) -> None:
    result = await town(WRITE, ["DROP TABLE people;"])
    assert result.status == "failed"
    assert "wrote no query" in str(result.error)
    assert "DROP TABLE people" in str(result.error)


@pytest.mark.parametrize(
    ("answers", "winner", "asked"),
    [
        ([GOOD, GOOD + " AND 1"], GOOD, ["draft", "vote"]),
        (["SELECT 1", GOOD, GOOD + " AND 1"], GOOD, ["draft", "vote", "vote"]),
        (["SELECT 1", GOOD, "SELECT 2"], "SELECT 1", ["draft", "vote", "vote"]),
        ([BAD, GOOD], GOOD, ["draft", "vote"]),
        ([NOTHING, BAD, "no idea"], NOTHING, ["draft", "vote", "vote"]),
    ],
)
async def test_votes_are_counted_by_result_and_not_asked_for_in_vain(
    town: Town, answers: list[str], winner: str, asked: list[str]
) -> None:
    result = await town(WRITE | {"votes": 3}, answers)
    assert result.outputs["value"] == winner
    assert purposes(result) == asked
    assert [request.temperature > 0 for request in town.model.requests] == [name == "vote" for name in asked]
    assert len({request.seed for request in town.model.requests}) == len(asked)


async def test_votes_that_are_needed_in_any_case_are_asked_for_together(town: Town) -> None:
    result = await town(WRITE | {"votes": 5}, [GOOD, GOOD, GOOD])
    assert [call.node for call in result.ledger.calls] == ["sql", "sql/vote2", "sql/vote3"]


async def test_a_vote_that_fails_does_not_count_and_does_no_harm(town: Town) -> None:
    def failures(number: int) -> Exception | None:
        return BadRequest("too busy") if number == 2 else None

    result = await town(WRITE | {"votes": 4}, lambda request: GOOD, failures=failures)
    assert result.outputs["value"] == GOOD
    assert [call.status for call in result.ledger.calls] == ["ok", "failed", "ok"]
    assert "too busy" in result.explain()


async def test_examples_are_asked_for_without_the_question_and_shown_if_they_give_rows(town: Town) -> None:
    written = "\n".join(
        [
            "Here are some:",
            "**Question:** How many pets are there?\nSQL: SELECT count(*) FROM pets;",
            "2. Question: Whom does nobody know?\nSQL:\n```sql\nSELECT nobody FROM people\n```",
            "Question: Who is 29?\n```sql\nSELECT name FROM people WHERE age = 29\n```",
            "Question: Which is cut off?\nSQL: SELECT name FROM (SELECT",
        ]
    )
    result = await town(WRITE | {"examples": 4}, [written, GOOD])
    assert purposes(result) == ["examples", "draft"]
    assert "older than 30" not in town.prompts[0]
    assert "weather" in town.prompts[0]
    assert "Question: How many pets are there?\nSQL: SELECT count(*) FROM pets" in town.prompts[1]
    assert "SELECT name FROM people WHERE age = 29" in town.prompts[1]
    assert "nobody" not in town.prompts[1]
    assert "cut off" not in town.prompts[1]
    assert "of 4 examples 2 can be shown" in result.explain()


async def test_a_tool_of_another_kind_is_refused(town: Town) -> None:
    flow = Flow(
        name="wrong",
        models={"large": {"backend": "scripted", "model": "script"}},
        tools={"db": {"kind": "nothing"}},
        nodes={"sql": {"kind": "link-schema", "question": "?"}},
    )
    async with Runtime(backends={"large": ScriptedBackend("")}) as runtime:
        result = await flow.run(runtime=runtime)
    assert "name one of kind sql" in str(result.error)


@pytest.mark.parametrize("name", ["link-schema", "text-to-sql"])
def test_every_field_of_the_kinds_is_explained(name: str) -> None:
    schema = KINDS.find(name).model_json_schema()
    assert all("description" in field for field in schema["properties"].values())


def test_a_missing_tool_is_found_when_the_flow_is_made() -> None:
    with pytest.raises(FlowError, match="no tool 'db'"):
        Flow(
            name="x",
            models={"large": {"backend": "scripted", "model": "script"}},
            nodes={"sql": {"kind": "link-schema", "question": "?"}},
        )


@pytest.mark.parametrize("tier", ["basic", "intermediate", "advanced"])
async def test_the_ready_flows_answer_over_their_sample_database(tier: str) -> None:
    from laconic.workflows import folder

    query = "SELECT count(*) FROM customers"
    model = ScriptedBackend(
        lambda request: '{"customers": ["name"]}' if request.schema else f"Question: How many?\nSQL: {query}"
    )
    async with Runtime(backends={"large": model}) as runtime:
        result = await Flow.load(folder() / "sql" / f"{tier}.yaml").run(
            question="How many customers are there?", runtime=runtime
        )
    assert result.outputs["answer"] == query
    assert (result.outputs["tables"], result.outputs["columns"]) == (1, 1)
    assert result.outputs["rows"]["rows"][0][0] > 0
