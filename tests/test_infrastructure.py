"""What fails a test by itself: an error in a log or an answer, and a process that is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path

import pytest

from tests.errors import errors_of_postgres, errors_of_process, judged
from tests.leftovers import MARK, PATIENCE
from tests.processes import DEADLINE_S

ROOT = Path(__file__).parents[1]


def run_tests(tmp_path: Path, source: str) -> subprocess.CompletedProcess[str]:
    """pytest over these tests, with our fixtures and in a run of its own."""
    (tmp_path / "test_made_up.py").write_text(textwrap.dedent(source))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-c"]
    options = [ROOT / "pyproject.toml", "--rootdir", ROOT, "-p", "tests.conftest", tmp_path / "test_made_up.py"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [*command, *options],
        cwd=ROOT,
        env=env | {MARK: uuid.uuid4().hex, PATIENCE: "1"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


IN_THIS_PROCESS = """
    import httpx, pytest

    pytestmark = [pytest.mark.parametrize("database_kind", ["sqlite"]), {marker}]

    def test_it(settings, serve):
        server = serve(settings)

        @server.app.get("/broken")
        def broken():
            raise ZeroDivisionError("a planted mistake")

        assert httpx.get(server.url + "/broken", trust_env=False).status_code == 500
"""


def test_a_500_of_a_server_in_this_process_fails_its_test(tmp_path: Path) -> None:
    ran = run_tests(tmp_path, IN_THIS_PROCESS.format(marker=""))
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "1 passed, 1 error" in ran.stdout, ran.stdout
    assert "500 answered to GET /broken" in ran.stdout
    assert "ZeroDivisionError: a planted mistake" in ran.stdout


def test_an_error_that_a_test_expects_fails_nothing(tmp_path: Path) -> None:
    marker = 'pytest.mark.expects_errors("500 answered to GET /broken", "a planted mistake")'
    ran = run_tests(tmp_path, IN_THIS_PROCESS.format(marker=marker))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_traceback_of_a_process_fails_its_test(tmp_path: Path) -> None:
    ran = run_tests(
        tmp_path,
        """
        import sys
        from tests.processes import Process

        def test_it(tmp_path):
            process = Process([sys.executable, "-c", "1 / 0"], tmp_path, {}, "broken")
            process.start()
            assert process.wait() == 1
        """,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "1 passed, 1 error" in ran.stdout, ran.stdout
    assert "broken.log: Traceback (most recent call last)" in ran.stdout


@pytest.mark.parametrize(("said", "wrong"), [("Traceback (most recent call last)", True), ("all is well", False)])
def test_what_a_process_logged_before_it_was_killed_counts_and_not_its_orphan(
    tmp_path: Path, said: str, wrong: bool
) -> None:
    orphan = "import sys; sys.stdin.read(); print('Traceback (most recent call last)', file=sys.stderr)"
    parent = f"""
        import subprocess, sys
        print({said!r}, flush=True)
        child = subprocess.Popen([sys.executable, "-c", {orphan!r}], stdin=subprocess.PIPE)
        print("ready", flush=True)
        child.wait()
        """
    (tmp_path / "parent.py").write_text(textwrap.dedent(parent))
    ran = run_tests(
        tmp_path,
        f"""
        import sys
        from tests.processes import Process, wait_until

        def test_it(tmp_path):
            process = Process([sys.executable, {str(tmp_path / "parent.py")!r}], tmp_path, {{}}, "killed")
            process.start()
            process.wait_until(lambda: "ready" in process.output, "it was ready")
            process.kill()
            wait_until(lambda: process.output.endswith("(most recent call last)\\n"), "the orphan complained")
        """,
    )
    assert ran.returncode == wrong, ran.stdout + ran.stderr


def test_a_deadlock_that_only_postgresql_tells_of_fails_its_test(tmp_path: Path) -> None:
    ran = run_tests(
        tmp_path,
        """
        import threading, psycopg

        def test_it(postgres_url):
            with psycopg.connect(postgres_url, autocommit=True) as one:
                one.execute("CREATE TABLE t (id int PRIMARY KEY)")
                one.execute("INSERT INTO t VALUES (1), (2)")
            together = threading.Barrier(2)

            def lock(first, second):
                with psycopg.connect(postgres_url) as one:
                    one.execute("SELECT * FROM t WHERE id = %s FOR UPDATE", [first])
                    together.wait(60)
                    try:
                        one.execute("SELECT * FROM t WHERE id = %s FOR UPDATE", [second])
                    except psycopg.errors.DeadlockDetected:
                        pass

            threads = [threading.Thread(target=lock, args=pair) for pair in ((1, 2), (2, 1))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        """,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "1 passed, 1 error" in ran.stdout, ran.stdout
    assert "deadlock detected" in ran.stdout


def test_a_process_that_is_left_behind_fails_the_run_and_is_ended(tmp_path: Path) -> None:
    ran = run_tests(
        tmp_path,
        """
        import subprocess

        def test_it():
            subprocess.Popen(["sleep", "86399"], start_new_session=True).returncode = 0
        """,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout
    assert "sleep 86399" in ran.stdout
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert b"sleep\x0086399\x00" not in running


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "request failed", "level": "error", "exception": "Traceback ..."}',
        '{"event": "request", "method": "GET", "path": "/v1/studies", "status": 503, "level": "warning"}',
        "Traceback (most recent call last):",
    ],
)
def test_an_error_in_a_log_is_found(line: str) -> None:
    quiet = '{"event": "request", "status": 404, "level": "debug"}\n{"event": "lease lost", "level": "warning"}\n'
    assert list(errors_of_process(f"{quiet}{line}\n{quiet}"))
    assert list(errors_of_process(quiet)) == []


def test_an_ordinary_line_of_postgresqls_log_is_no_error() -> None:
    assert list(errors_of_postgres("LOG:  checkpoint starting\nERROR:  duplicate key value\n")) == []


def test_a_test_that_expects_an_error_which_does_not_come_is_told() -> None:
    assert judged([], []) == ""
    assert judged(["503 answered"], ["503"]) == ""
    assert "no error fits it: sampler failed" in judged([], ["sampler failed"])
    assert "500 answered" in judged(["503 answered", "500 answered"], ["503"])
    assert judged([], [], ["503"]) == judged(["503 answered"], [], ["503"]) == ""
    assert "500 answered" in judged(["500 answered"], [], ["503"])
