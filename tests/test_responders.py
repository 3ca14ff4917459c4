"""Responders on this machine: what is said, the terminal, files, programs, and apprise."""

from __future__ import annotations

import io
import json
import logging
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from support.notifications import EVIL, alarm, hostile, notification
from support.receiving import Answer, Receiver
from tocsin import registry
from tocsin.base.responder import Responder
from tocsin.responders._sending import payload
from tocsin.responders._text import text_of
from tocsin.responders.apprise import Apprise
from tocsin.responders.command import Command
from tocsin.responders.console import Console
from tocsin.responders.log_file import LogFile


def test_every_responder_is_found_by_name_and_takes_no_unknown_setting() -> None:
    names = registry.part_names("responders")
    assert {"action", "alertmanager", "apprise", "command", "console", "email"} <= set(names)
    for name in names:
        part = registry.find_part("responders", name)
        assert issubclass(part, Responder)
        with pytest.raises(ValidationError, match="no_such_setting"):
            part.model_validate({"no_such_setting": 1})


def test_the_payload_is_the_same_each_time_and_never_too_large() -> None:
    told = notification(*(alarm(f"a{i}", summary="ü" * 3_000) for i in range(100)))
    body = payload(told, 100_000)
    assert body == payload(told, 100_000)
    assert len(body) <= 100_000
    read = json.loads(body)
    assert (read["version"], read["key"], read["kind"]) == (1, "k-1", "opened")
    assert read["created"] == "2026-03-01T12:00:00Z"
    assert 0 < len(read["alarms"]) == 100 - read["omitted"]
    assert read["alarms"][0]["reasons"][0]["seen"] == 98.2
    assert json.loads(payload(notification(), 100_000))["omitted"] == 0


@pytest.mark.parametrize("largest", [16_384, 256_000, 1_000_000])
def test_the_payload_of_hostile_texts_is_plain_json(largest: int) -> None:
    body = payload(hostile(), largest)
    assert len(body) <= largest
    assert body.isascii()
    assert body.decode().isprintable()
    read = json.loads(body)
    assert len(read["alarms"]) == 1
    assert read["alarms"][0]["cut"] is True
    assert read["alarms"][0]["reasons"][0]["seen"] is None


def test_hostile_texts_do_not_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert Console().respond(hostile()).status == "delivered"
    printed = capsys.readouterr().out
    assert all(line.isprintable() for line in printed.rstrip("\n").split("\n"))
    assert max(map(len, printed.split("\n"))) < 2_000
    assert text_of(hostile()) == printed.rstrip("\n")


def test_the_console_prints_to_a_narrow_or_closed_terminal(monkeypatch: Any) -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    assert Console().respond(notification(alarm(summary="Überhitzt"))).status == "delivered"
    assert b"\\xdcberhitzt" in narrow.buffer.getvalue()
    narrow.close()
    assert Console().respond(notification()).status == "rejected"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_log_file_has_a_line_a_notice_and_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "new" / "alarms.log"
    responder = LogFile(path=path, largest=1_000, keep=2)
    assert responder.check() is None
    for i in range(12):
        assert responder.respond(notification(key=f"k{i}")).status == "delivered"
    files = sorted(each.name for each in path.parent.iterdir())
    assert files == ["alarms.log", "alarms.log.1", "alarms.log.2"]
    kept = [each["key"] for name in reversed(files) for each in lines(path.parent / name)]
    assert kept == [f"k{i}" for i in range(12 - len(kept), 12)]
    assert all((path.parent / name).stat().st_size <= 1_000 for name in files)
    assert responder.respond(hostile()).status == "delivered"
    assert len(lines(path)) == 1


def test_a_line_that_a_crash_tore_is_mended_and_other_lines_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "alarms.log"
    responder = LogFile(path=path)
    responder.respond(notification(key="first"))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    responder.respond(notification(key="second"))
    assert [each["key"] for each in lines(path)] == ["first", "second"]
    path.write_bytes(b"not ours")
    responder.respond(notification())
    assert path.read_bytes().startswith(b"not ours\n{")


def test_threads_that_share_a_log_file_tear_no_line(tmp_path: Path) -> None:
    path = tmp_path / "alarms.log"

    def write(name: str) -> None:
        for i in range(30):
            LogFile(path=path, largest=20_000, keep=50).respond(notification(key=f"{name}{i}"))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each["key"] for file in tmp_path.iterdir() for each in lines(file)}) == 90


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """The limit on the size of files stands for the disk; it holds for a process of its own."""
    path = tmp_path / "alarms.log"

    def write(answer: Any) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500, 1_500))
        answer.send([LogFile(path=path).respond(notification(key=str(i))) for i in range(4)])

    here, there = multiprocessing.Pipe(duplex=False)
    writer = multiprocessing.get_context("fork").Process(target=write, args=(there,))
    writer.start()
    assert here.poll(10)
    told = here.recv()
    writer.join(10)
    assert [each.status for each in told] == ["delivered", "delivered", "retry", "retry"]
    assert "File too large" in told[-1].reason
    assert path.read_bytes().endswith(b"\n")
    assert [each["key"] for each in lines(path)] == ["0", "1"]


def test_a_log_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    responder = LogFile(path=tmp_path / "file" / "alarms.log")
    assert "cannot be written" in str(responder.check())
    assert responder.respond(notification()).status == "retry"
    assert "cannot be written" in str(LogFile(path=tmp_path).check())


def script(folder: Path, text: str) -> Path:
    path = folder / "told.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def command(program: Path, *arguments: str, timeout: float = 5.0) -> Command:
    return Command(command=(str(program), *arguments), allow=(program,), timeout=timeout)


def test_a_program_gets_the_notice_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_HUSH", "hush")
    program = script(
        tmp_path, f'cat > {tmp_path}/in; env > {tmp_path}/env; echo "$1" > {tmp_path}/arg'
    )
    responder = command(program, "$(id); `id`")
    assert responder.check() is None
    assert responder.respond(hostile()).status == "delivered"
    assert json.loads((tmp_path / "in").read_bytes())["key"] == "k-1"
    assert (tmp_path / "arg").read_text() == "$(id); `id`\n"
    environment = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert set(environment) - {"_", "PWD", "SHLVL", "OLDPWD"} == {"PATH", "LANG", "TOCSIN_KEY"}


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        ("exit 75", "retry", "ended with 75"),
        ("printf 'no \\033[31m paper' >&2; exit 3", "rejected", r"ended with 3: no \x1b[31m paper"),
        ("head -c 5000000 /dev/zero >&2; exit 1", "rejected", "ended with 1"),
        ("kill -9 $$", "unknown", "ended with -9, a signal"),
        ("kill -9 $PPID", "unknown", "nobody knows what became of"),
    ],
)
def test_the_exit_status_says_what_became_of_it(
    tmp_path: Path, text: str, status: str, reason: str
) -> None:
    delivery = command(script(tmp_path, text)).respond(notification())
    assert (delivery.status, reason in delivery.reason) == (status, True), delivery
    assert delivery.reason.isprintable()
    assert len(delivery.reason) < 1_500


def test_a_slow_program_is_killed_with_what_it_started(tmp_path: Path) -> None:
    program = script(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; wait")
    started = time.monotonic()
    delivery = command(program, timeout=0.5).respond(notification())
    assert delivery.status == "unknown"
    assert time.monotonic() - started < 3
    child = int((tmp_path / "child").read_text())
    until = time.monotonic() + 2
    while alive(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not alive(child)


@pytest.mark.parametrize(
    "start",
    [
        "setsid sleep 60 & echo $! > child; wait",
        "setsid -f sh -c 'echo $$ > child; exec sleep 60'; sleep 60",
        "(setsid -f sh -c 'setsid -f sh -c \"echo \\$\\$ > child; exec sleep 60\"') & sleep 60",
        "(trap '' TERM HUP INT; sleep 60 & echo $! > child; wait) & sleep 60",
    ],
    ids=["session", "orphan", "orphan of an orphan", "deaf"],
)
def test_what_a_program_starts_is_killed_wherever_it_hides(tmp_path: Path, start: str) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux gives orphans to a process that asks for them")
    program = script(tmp_path, f"cd {tmp_path}; {start}")
    assert command(program, timeout=1).respond(notification()).status == "unknown"
    assert not alive(int((tmp_path / "child").read_text()))


def test_what_a_program_leaves_behind_when_it_ends_in_time_goes_on(tmp_path: Path) -> None:
    program = script(tmp_path, f"setsid -f sh -c 'echo $$ > {tmp_path}/child; exec sleep 60'")
    assert command(program).respond(notification()).status == "delivered"
    until = time.monotonic() + 5
    while not (tmp_path / "child").exists() and time.monotonic() < until:
        time.sleep(0.02)
    child = int((tmp_path / "child").read_text())
    assert alive(child)
    os.kill(child, signal.SIGKILL)


def test_a_program_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    program = script(tmp_path, "exit 0")
    program.write_text("#!/no/such/interpreter\n")
    delivery = command(program).respond(notification())
    assert (delivery.status, "No such file" in delivery.reason) == ("retry", True)


@pytest.mark.parametrize("shared", ["links", "middle", "real"])
def test_nobody_else_may_turn_a_link_on_the_way(tmp_path: Path, shared: str) -> None:
    for name in ("links", "middle", "real"):
        (tmp_path / name).mkdir(mode=0o755)
    real = script(tmp_path / "real", f"echo real > {tmp_path}/ran")
    (tmp_path / "middle" / "folder").symlink_to("../real")
    link = tmp_path / "links" / "told.sh"
    link.symlink_to(Path("../middle/folder") / real.name)
    assert command(link).check() is None
    assert command(link).respond(notification()).status == "delivered"
    (tmp_path / "ran").unlink()
    (tmp_path / shared).chmod(0o777)
    assert f"others may write {tmp_path / shared}" in str(command(link).check())
    assert command(link).respond(notification()).status == "retry"
    assert not (tmp_path / "ran").exists()


def test_links_in_a_circle_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert "Too many levels of symbolic links" in str(command(tmp_path / "a").check())


def test_the_program_that_was_looked_at_is_run_wherever_a_link_leads_by_then(
    tmp_path: Path,
) -> None:
    real = script(tmp_path, f"echo real > {tmp_path}/ran")
    link = tmp_path / "link.sh"
    link.symlink_to(real)
    assert command(link).respond(notification()).status == "delivered"
    assert (tmp_path / "ran").read_text() == "real\n"
    other = tmp_path / "other.sh"
    other.write_text(f"#!/bin/sh\necho other > {tmp_path}/ran\n")
    other.chmod(0o777)
    link.unlink()
    link.symlink_to(other)
    assert "others may write" in str(command(link).check())


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_only_allowed_and_guarded_programs_are_run(tmp_path: Path) -> None:
    program = script(tmp_path, f"touch {tmp_path}/ran")
    for given, allowed in (("told.sh", "told.sh"), (str(program), "/bin/true")):
        with pytest.raises(ValidationError, match="absolute path"):
            Command(command=(given,), allow=(Path(allowed),))
    program.chmod(0o777)
    assert "others may write" in str(command(program).check())
    assert command(program).respond(notification()).status == "retry"
    program.chmod(0o755)
    tmp_path.chmod(0o777)
    assert "others may write" in str(command(program).check())
    tmp_path.chmod(0o700)
    program.chmod(0o644)
    assert "not an executable program" in str(command(program).check())
    program.unlink()
    assert "No such file" in str(command(program).check())
    assert command(program).respond(notification()).status == "retry"
    assert not (tmp_path / "ran").exists()


def test_apprise_tells_a_chat_and_keeps_its_secrets(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("apprise")
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("CHAT", f"json://me:hush@127.0.0.1:{receiver.port}/hush")
    monkeypatch.setenv("NONSENSE", "hush://hush")
    responder = Apprise.model_validate({"urls": [{"env": "CHAT"}]})
    assert responder.check() is None
    assert responder.respond(hostile()).status == "delivered"
    told = json.loads(receiver.requests[0].body)
    assert told["title"].startswith("ALARM [critical]")
    assert "\n" not in told["title"]
    assert EVIL[:10] not in told["message"]
    receiver.answer = Answer(500)
    refused = responder.respond(notification())
    assert (refused.status, refused.reason) == ("retry", "not accepted: env CHAT")
    bad = Apprise.model_validate({"urls": [{"env": "CHAT"}, {"env": "NONSENSE"}]})
    assert bad.check() == bad.respond(notification()).reason
    assert "hush" not in f"{bad.check()}{bad!r}{caplog.text}"


def test_a_slow_chat_does_not_keep_apprise_from_the_others(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("apprise")
    receiver.answer = Answer(wait=30)
    with Receiver() as quick:
        monkeypatch.setenv("SLOW", f"json://127.0.0.1:{receiver.port}/")
        monkeypatch.setenv("QUICK", f"json://127.0.0.1:{quick.port}/")
        settings = {"urls": [{"env": "SLOW"}, {"env": "QUICK"}], "timeout": 1}
        delivery = Apprise.model_validate(settings).respond(notification())
        assert (delivery.status, delivery.reason) == ("retry", "not accepted: env SLOW")
        assert len(quick.requests) == 1


def test_secrets_that_are_not_there_are_told_and_waited_for() -> None:
    os.environ.pop("TOCSIN_NOT_SET", None)
    responder = Apprise.model_validate({"urls": [{"env": "TOCSIN_NOT_SET"}]})
    assert "TOCSIN_NOT_SET" in str(responder.check())
    assert responder.respond(notification()).status == "retry"
