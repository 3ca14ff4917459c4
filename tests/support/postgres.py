"""A real PostgreSQL server for tests: started, stopped and started again."""

import importlib.util
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text

from support.servers import free_port, missing

NOBODY = 65534


def programs() -> Path | None:
    """The folder of initdb and pg_ctl."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    package = importlib.util.find_spec("pgserver")
    if package is not None and package.origin is not None:
        folders.append(Path(package.origin).parent / "pginstall" / "bin")
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


class Postgres:
    """A PostgreSQL server in a folder of its own; it refuses to run as root."""

    def __init__(self, bin_: Path, folder: Path) -> None:
        self._bin, self._data = bin_, folder / "data"
        self._folder = folder
        self._port = free_port()
        self._run("initdb", "-D", self._data, "-U", "tocsin", "--auth=trust", "--no-sync")
        self.start()

    def url(self, name: str) -> str:
        return f"postgresql://tocsin:hush@127.0.0.1:{self._port}/{name}"

    def create(self) -> str:
        """Return the URL of a new database."""
        name = f"db_{secrets.token_hex(4)}"
        engine = create_engine(
            self.url("postgres").replace("postgresql", "postgresql+psycopg"),
            isolation_level="AUTOCOMMIT",
        )
        with engine.connect() as c:
            c.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)

    def start(self) -> None:
        # Without fsync a killed server still loses nothing, only a machine without power does.
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -k {self._folder} -c fsync=off"
        log = self._folder / "log"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """Stop at once, as a crash does."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: object) -> None:
        other = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
        command = [self._bin / program, *arguments]
        # The server inherits what is open: a pipe would never end.
        done = subprocess.run(
            [str(part) for part in command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            check=False,
            **other,
        )
        assert done.returncode == 0, f"{program} failed: {command}"


@contextmanager
def running() -> Iterator[Postgres]:
    """Start a server for a while, or skip where PostgreSQL is not installed."""
    bin_ = programs() or missing("PostgreSQL is not installed: pip install pgserver")
    folder = Path(tempfile.mkdtemp(prefix="tocsin-pg-"))
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    started = Postgres(bin_, folder)
    yield started
    started.stop()
    shutil.rmtree(folder)
