"""A ledger file: what was committed stays, what cannot be written is said, and other people's files are left alone."""

from __future__ import annotations

import ast
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.accounting import Call, Database, Ledger, Reading, RunRecord
from laconic.accounting.schema import CALL_COLUMNS, calls_of, row_of
from laconic.backends.request import Completion, Message, Request
from laconic.backends.usage import NOTHING, Usage
from laconic.errors import LedgerError

Make = Callable[..., Call]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs `code`; `with` waits for its end."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def committed(path: Path) -> int:
    """Calls that another reader sees in the file."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM calls").fetchone()[0])


class TestWriting:
    def test_anybody_can_read_the_file_with_sql_while_it_is_written(self, path: Path, make: Make) -> None:
        with Database(path) as database:
            for number in range(100):
                database.write_call(make(100, 7, node=f"answer/E{number % 4}", purpose="tool"))
            database.flush()
            query = "SELECT node, SUM(prompt), SUM(completion) FROM calls WHERE purpose = 'tool' GROUP BY node"
            code = f"import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute({query!r}).fetchall())"
            with python(code, path) as reader:
                out, _ = reader.communicate()
            assert ast.literal_eval(out) == [(f"answer/E{number}", 2500, 175) for number in range(4)]
            database.write_call(make())
            database.flush()
            assert committed(path) == 101

    @given(data=st.data())
    def test_a_call_comes_back_as_it_was(self, data: st.DataObject, any_calls: st.SearchStrategy[list[Call]]) -> None:
        calls = data.draw(any_calls)
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute(f"CREATE TABLE calls ({', '.join(CALL_COLUMNS)})")
            marks = ", ".join("?" * len(CALL_COLUMNS))
            connection.executemany(f"INSERT INTO calls VALUES ({marks})", map(row_of, calls))
            assert calls_of(connection.execute("SELECT * FROM calls ORDER BY rowid")) == calls

    def test_thousands_of_calls_in_any_number_come_back_in_order(self, path: Path, make: Make) -> None:
        calls = [make(number, 1, request_hash=str(number)) for number in range(20_011)]
        with Database(path) as database:
            for call in calls:
                database.write_call(call)
            assert database.read_calls() == calls
        assert Ledger.load(path).calls == calls

    def test_what_no_file_can_hold_is_written_as_far_as_it_goes(self, path: Path, make: Make) -> None:
        with Database(path) as database:
            database.write_call(make(5, 5))
            database.write_call(make(2**70, 5, error="half a pair \ud83d here"))
            message = Message("user", "also \ud83d here")
            database.write_response(
                "k", Request(model="m", messages=(message,)), Completion(text="\ud83d", usage=Usage(1, 1))
            )
            database.flush()
            first, second = database.read_calls()
            assert first == make(5, 5)
            assert (second.usage.prompt, second.usage.completion, second.error) == (None, 5, "half a pair ? here")
            answer = database.response("k")
            assert answer is not None
            assert answer.text == "?"

    def test_two_processes_may_write_the_same_file(self, path: Path, make: Make) -> None:
        code = (
            "import sys; from laconic.accounting import Call, Database\n"
            "with Database(sys.argv[1]) as database:\n"
            "    for number in range(500): database.write_call(Call(run='theirs', model='m')); database.flush()"
        )
        with Database(path) as database:
            with python(code, path) as other:
                for _ in range(500):
                    database.write_call(make(run="mine"))
                    database.flush()
            assert other.returncode == 0
            assert len(database.read_calls("mine")) == len(database.read_calls("theirs")) == 500

    def test_folders_are_made(self, tmp_path: Path, make: Make) -> None:
        path = tmp_path / "new" / "folder with % and ?" / "ledger #1.db"
        with Database(path) as database:
            database.write_call(make())
        assert len(Ledger.load(path).calls) == 1
        assert [file.name for file in path.parent.iterdir()] == ["ledger #1.db"]

    def test_nothing_can_be_written_after_close(self, path: Path, make: Make) -> None:
        database = Database(path)
        database.close()
        database.close()
        for use in (lambda: database.write_call(make()), database.read_calls, database.runs):
            with pytest.raises(LedgerError, match="is closed"):
                use()


class TestEndOfAProcess:
    def test_what_is_queued_is_written_when_the_interpreter_ends(self, path: Path) -> None:
        code = (
            "import sys; from laconic.accounting import Call, Database, Ledger\n"
            "ledger = Ledger(Database(sys.argv[1]))\n"
            "for number in range(3000): ledger.append(Call(run='r', model='m'))"
        )
        with python(code, path) as process:
            pass
        assert process.returncode == 0
        assert len(Ledger.load(path).calls) == 3000
        assert not path.with_name("ledger.db-wal").exists()

    def test_a_killed_process_loses_nothing_it_had_committed(self, path: Path) -> None:
        code = (
            "import sys; from laconic.accounting import Call, Database\n"
            "database = Database(sys.argv[1]); number = 0\n"
            "while True:\n"
            "    for _ in range(100): database.write_call(Call(run='r', model='m', error=str(number))); number += 1\n"
            "    database.flush(); print(number, flush=True)"
        )
        with python(code, path) as victim:
            assert victim.stdout is not None
            lines = [int(victim.stdout.readline()) for _ in range(20)]
            victim.kill()
            lines += map(int, victim.stdout.read().split())
        errors = [call.error for call in Ledger.load(path).calls]
        assert len(errors) >= lines[-1]
        assert errors == [str(number) for number in range(len(errors))]
        with Database(path) as database:
            database.write_call(Call(run="next", model="m"))
            database.flush()
            assert len(database.read_calls()) == len(errors) + 1


class TestFullDisk:
    def fill(self, database: Database, make: Make) -> int:
        """Write until the disk is full; how many were written before."""
        for number in range(50):
            database.write_call(make(error=str(number)))
        database.flush()
        with limited(len(database.path.read_bytes()) + 100_000):
            for number in range(50, 5000):
                database.write_call(make(error=str(number) + "x" * 100))
            with pytest.raises(LedgerError, match=r"calls could not be written to .*ledger\.db: .*(full|I/O)"):
                database.flush()
            assert database.fault is not None
            assert len(database.unwritten) + committed(database.path) == 5000
        return committed(database.path)

    def test_what_was_committed_stays_and_the_rest_is_counted(self, path: Path, make: Make) -> None:
        database = Database(path)
        before = self.fill(database, make)
        assert before >= 50
        with limited(path.stat().st_size), pytest.raises(LedgerError, match=f"{5000 - before:,} calls could not be"):
            database.close()
        assert len(database.unwritten) == 5000 - before
        assert [call.error.rstrip("x") for call in Ledger.load(path).calls] == [str(n) for n in range(before)]

    def test_when_there_is_room_again_the_rest_is_written_too(self, path: Path, make: Make) -> None:
        with Database(path) as database:
            self.fill(database, make)
            database.write_call(make(error="5000"))
            database.flush()
            assert database.fault is None
            assert database.unwritten == []
        assert [call.error.rstrip("x") for call in Ledger.load(path).calls] == [str(n) for n in range(5001)]

    def test_a_file_that_may_not_grow(self, path: Path, make: Make) -> None:
        database = Database(path)
        database.write_call(make())
        database.flush()
        database._writer._connection.execute("PRAGMA max_page_count = 20")
        for _ in range(2000):
            database.write_call(make())
        with pytest.raises(LedgerError, match="database or disk is full"):
            database.flush()
        with pytest.raises(LedgerError, match="database or disk is full"):
            database.close()
        assert len(Ledger.load(path).calls) == 2001 - len(database.unwritten)


@contextmanager
def limited(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: to whoever writes, the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestOtherFiles:
    def refused(self, path: Path, match: str) -> None:
        """Neither opening nor reading `path` works; the message says why, and no byte of the folder changes."""
        before = {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
        for use in (Database, Ledger.load):
            with pytest.raises(LedgerError, match=match) as caught:
                use(path)
            assert str(path) in str(caught.value)
        assert {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()} == before

    def test_a_ledger_of_another_version(self, path: Path, make: Make) -> None:
        with Database(path) as database:
            database.write_call(make())
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE meta SET value = '7' WHERE key = 'version'")
            connection.execute("UPDATE meta SET value = 'laconic 9.9' WHERE key = 'made_by'")
            connection.commit()
        self.refused(
            path, r"format 7 \(made by laconic 9\.9\), and this Laconic reads and writes format 1.*give another"
        )

    def test_a_file_that_is_no_database(self, path: Path) -> None:
        path.write_text("name: multihop\n" * 100)
        self.refused(path, "no ledger: file is not a database. It was left as it is")

    def test_a_database_of_somebody_else(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE calls (caller)")
            connection.commit()
        self.refused(path, "an SQLite file, but no ledger")

    def test_a_damaged_ledger(self, path: Path, make: Make) -> None:
        with Database(path) as database:
            for _ in range(2000):
                database.write_call(make())
        content = bytearray(path.read_bytes())
        content[4096 * 10 :] = b"\xff" * (len(content) - 4096 * 10)
        path.write_bytes(content)
        with pytest.raises(LedgerError, match="cannot be read: database disk image is malformed"):
            Ledger.load(path)

    def test_a_folder(self, path: Path) -> None:
        path.mkdir()
        self.refused(path, "is a folder")

    def test_a_path_below_a_file(self, path: Path) -> None:
        path.write_text("")
        with pytest.raises(LedgerError, match="cannot be opened"):
            Database(path / "ledger.db")

    def test_an_empty_file_becomes_a_ledger(self, path: Path, make: Make) -> None:
        path.touch()
        assert Ledger.load(path).calls == []
        with Database(path) as database:
            database.write_call(make())
        assert len(Ledger.load(path).calls) == 1

    def test_no_file(self, path: Path) -> None:
        with pytest.raises(LedgerError, match="there is no ledger"):
            Ledger.load(path)
        assert not path.exists()

    def test_a_folder_that_may_only_be_read(self, make: Make) -> None:
        folder = Path(tempfile.mkdtemp())
        try:
            path = folder / "ledger.db"
            with Database(path) as database:
                database.write_call(make())
            path.chmod(0o444)
            folder.chmod(0o555)
            with nobody():
                assert len(Ledger.load(path).calls) == 1
                with pytest.raises(LedgerError, match=r"cannot be opened: .*readonly"):
                    Database(path)
                with pytest.raises(LedgerError, match="cannot be opened: "):
                    Database(folder / "new.db")
                with pytest.raises(LedgerError, match=r"cannot be opened: .*Permission denied"):
                    Database(folder / "new" / "ledger.db")
        finally:
            folder.chmod(0o755)
            shutil.rmtree(folder)


@contextmanager
def nobody() -> Iterator[None]:
    """Without the superuser's right to write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


class TestRuns:
    def record(self, run: str, **fields: Any) -> RunRecord:
        return RunRecord(run=run, flow="multihop", text="name: multihop\n", started=time.time(), **fields)

    def test_a_run_comes_back_and_is_brought_up_to_date(self, path: Path) -> None:
        record = self.record("20250101-abc", inputs={"question": "Who?"}, models={"large": {"backend": "local"}})
        done = RunRecord(
            **{name: getattr(record, name) for name in ("run", "flow", "text", "started", "inputs", "models")},
            folder="/flows", status="ok", finished=2e9, outputs={"answer": ["x", 1.5, None]}, budget={"tokens": 10},
        )  # fmt: skip
        with Database(path) as database:
            database.save_run(record)
            assert database.runs() == [record]
            database.save_run(done)
            assert database.runs() == [done]
        with Database(path) as database:
            assert database.run("20250101-abc") == done

    def test_a_run_is_found_by_its_id_the_start_of_it_or_as_the_last(self, path: Path) -> None:
        with Database(path) as database:
            for name in ("ab1", "ab12", "cd3"):
                database.save_run(self.record(name))
            assert database.run("cd").run == "cd3"
            assert database.run("ab1").run == "ab1"
            assert database.run("last").run == "cd3"
            assert [record.run for record in database.runs()] == ["cd3", "ab12", "ab1"]
            with pytest.raises(LedgerError, match=r"2 runs in .* start with 'ab': ab12, ab1. Give more"):
                database.run("ab")
            with pytest.raises(LedgerError, match=r"no run '%' in .* The latest runs are: cd3, ab12, ab1"):
                database.run("%")

    def test_without_runs_none_is_the_last(self, path: Path) -> None:
        with Database(path) as database, pytest.raises(LedgerError, match=r"no run 'last'.*: none"):
            database.run("last")

    def test_inputs_must_come_back_and_outputs_must_be_seen(self, path: Path) -> None:
        with Database(path) as database:
            with pytest.raises(LedgerError, match="run r1 cannot be recorded: its inputs"):
                database.save_run(self.record("r1", inputs={"x": object}))
            database.save_run(self.record("r2", outputs={"x": ValueError("so")}))
            assert database.run("r2").outputs == {"x": "ValueError('so')"}


class TestReadings:
    def reading(self, run: str, **fields: Any) -> Reading:
        known = {"server": "http://127.0.0.1:8000/v1", "served": "größe", "backend": "vllm", "moment": "before"}
        return Reading(**{**known, "run": run, "taken": 12.25, "computed": 1, "cached": 2, "generated": 3, **fields})

    def test_readings_come_back_with_their_run_in_order(self, path: Path) -> None:
        mine = [
            self.reading("r1"),
            self.reading("r1", moment="after", requests=7, aborted=0, samples=9, busy=True, computed=2**62),
        ]
        with Database(path) as database:
            for reading in (*mine, self.reading("r2"), self.reading("r1", server="")):
                database.save_reading(reading)
            assert database.readings("r1") == [*mine, self.reading("r1", server="")]
        with Database(path) as database:
            assert database.readings("r2") == [self.reading("r2")]

    def test_a_file_of_before_there_were_readings_is_read_and_taken_on(self, path: Path, make: Make) -> None:
        with Database(path) as database:
            database.write_call(make())
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TABLE readings")
            connection.commit()
        assert len(Ledger.load(path).calls) == 1
        with Database(path) as database:
            assert database.readings("r1") == []
            database.save_reading(self.reading("r1"))
            assert database.readings("r1") == [self.reading("r1")]

    def test_calls_of_all_runs_are_found_by_when_they_began(self, path: Path, make: Make) -> None:
        calls = [make(started=float(number), run=f"r{number % 2}") for number in (5, 1, 2, 3, 4)]
        with Database(path) as database:
            for call in calls:
                database.write_call(call)
            assert database.calls_within(2.0, 4.0) == calls[2:]


def test_what_was_discarded_is_so_in_the_file(path: Path, make: Make) -> None:
    with Database(path) as database:
        ledger = Ledger(database)
        for number in range(3):
            ledger.append(make(100, 30, node=f"answer/basic/{number}", item="1"))
        ledger.append(make(10, 3, node="answer/route", item="1"))
        database.flush()
        ledger.append(make(100, 30, node="answer/basic", item="1"))
        ledger.append(make(node="answer/basic/9", item="1", status="replayed", usage=NOTHING, avoided=Usage(5, 5)))
        ledger.discard(run="r1", item="1", node="answer/basic")
        ledger.append(make(50, 3, node="answer/basic", item="1", started=time.time() + 1))
        for number, request in enumerate(("one", "two", "two")):
            ledger.append(make(7, 3, node="answer/route", item="1", request_hash=request, started=50.0 + number))
        ledger.discard_call(ledger.calls[-3], 2)
        ledger.discard_call(ledger.calls[-1])
    statuses = [(call.node, call.status) for call in Ledger.load(path).calls]
    assert [(call.node, call.status, call.unused) for call in Ledger.load(path).calls] == [
        (call.node, call.status, call.unused) for call in ledger.calls
    ]
    assert ledger.calls[-3].unused == 2
    assert [status for _, status in statuses].count("discarded") == 6
    assert [status for _, status in statuses[-3:]] == ["ok", "ok", "discarded"]
    assert Ledger.load(path).total() == ledger.total()
