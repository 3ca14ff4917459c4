"""requirements.lock names one version of everything that pyproject.toml asks for, with hashes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if ":: 3." in each]
MACHINES = ["x86_64", "aarch64"]


def _pins() -> Iterator[tuple[Requirement, list[str]]]:
    """Yield each locked requirement and its hashes."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^\s*#.*\n", "", LOCK))
    for line in joined.splitlines():
        requirement, *hashes = re.split(r"\s+--hash=", line.strip())
        yield Requirement(requirement), hashes


PINS = list(_pins())


def _wanted() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    every = [*PROJECT["dependencies"], *(each for extra in extras for each in extra)]
    return [each for each in map(Requirement, every) if each.name != "tocsin"]


def _locked(name: str, python: str, machine: str = "x86_64") -> list[str]:
    """Return the versions that are locked for a Python on Linux."""
    environment: dict[str, str] = {
        **default_environment(),  # type: ignore[dict-item]
        "python_version": python,
        "python_full_version": f"{python}.1",
        "platform_machine": machine,
        "platform_system": "Linux",
        "sys_platform": "linux",
    }
    return [
        next(iter(pin.specifier)).version
        for pin, _ in PINS
        if canonicalize_name(pin.name) == canonicalize_name(name)
        and (pin.marker is None or pin.marker.evaluate(environment))
    ]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("machine", MACHINES)
def test_what_the_project_asks_for_is_locked_once(python: str, machine: str) -> None:
    for wanted in _wanted():
        versions = _locked(wanted.name, python, machine)
        assert len(versions) == 1, f"run `make lock`: {wanted} is locked as {versions}"
        assert wanted.specifier.contains(versions[0]), f"run `make lock`: {wanted}, {versions}"


def test_every_line_is_one_version_with_hashes_and_names_no_place() -> None:
    assert len(PINS) > len(_wanted())
    for pin, hashes in PINS:
        assert [each.operator for each in pin.specifier] == ["=="], pin
        assert hashes, pin
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in hashes), pin
        assert pin.url is None
    assert "://" not in LOCK
    assert not re.search(r"(?m)^\s*-(?!-hash=)", LOCK)


def test_what_locked_packages_ask_for_is_locked_too() -> None:
    """As far as they are installed here in the same version."""
    looked_at = 0
    for pin, _ in PINS:
        try:
            found = distribution(pin.name)
        except PackageNotFoundError:
            continue
        if not pin.specifier.contains(found.version, prereleases=True):
            continue
        looked_at += 1
        for wanted in map(Requirement, found.requires or ()):
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                versions = _locked(wanted.name, "3.11")
                assert len(versions) == 1, f"{pin.name} asks for {wanted}"
                assert wanted.specifier.contains(versions[0], prereleases=True), (pin, wanted)
    assert looked_at > 20
