"""The command line, in a process of its own and in this one."""

import os
import subprocess
import sys

from typer.testing import CliRunner, Result

from tocsin.cli import app


def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own; it ends with this exit code, without a traceback."""
    words = [sys.executable, "-m", "tocsin", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "120"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def invoke(*arguments: object, fails: type[Exception] | None = None) -> Result:
    """Run a command in this process; it succeeds, or raises what it is to fail with."""
    words = [str(argument) for argument in arguments]
    done = CliRunner().invoke(app, words, env={"COLUMNS": "120"})
    if fails is None:
        assert done.exit_code == 0, done.output + repr(done.exception)
    else:
        assert isinstance(done.exception, fails), done.output + repr(done.exception)
    return done
