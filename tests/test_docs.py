"""What the documentation says is what there is."""

import re
import tomllib
from pathlib import Path

from tocsin import registry
from tocsin.cli import app
from tocsin.cli.parts import settings_page

ROOT = Path(__file__).parent.parent


def test_every_detector_is_documented_as_its_card_says() -> None:
    page = (ROOT / "docs" / "detectors.md").read_text(encoding="utf-8")
    for modality in registry.modalities():
        for name in registry.names(modality):
            card = registry.find(name, modality).card
            names = ", ".join(card.also_known_as)
            about = (card.family, ", ".join(card.learning), card.summary, card.cost, card.paper)
            row = f"| {' | '.join((f'`{name}`', *about, names))} |"
            assert row.replace("|  |", "| |") in page, name


def test_every_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in app.registered_commands:
        assert command.callback is not None
        assert f"tocsin {command.callback.__name__}" in readme


def test_the_make_targets_named_in_the_documentation_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    for page in ("README.md", "CONTRIBUTING.md", "docs/architecture.md"):
        named = re.findall(r"make ([a-z]+)", (ROOT / page).read_text(encoding="utf-8"))
        assert set(named) <= targets, page


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_page(), "run `make docs`"


def test_the_layers_drawn_are_those_that_are_enforced() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    enforced = contracts["contracts"][0]["layers"]
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = page.split("## Layers")[1].split("```")[1].strip().splitlines()
    assert [line.replace("·", "|").split(" | ") for line in drawn] == [
        line.split(" | ") for line in enforced
    ]


def test_every_room_has_its_line_in_the_architecture() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.split("## Where things live")[1].split("##")[0]
    home = ROOT / "src" / "tocsin"
    rooms = [f"{path.name}/" for path in home.iterdir() if (path / "__init__.py").exists()]
    files = [path.name for path in home.glob("[a-z]*.py")]
    assert [name for name in (*rooms, *files) if f"`{name}" not in table] == []
