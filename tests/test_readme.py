from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

from alertd.config import load

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of that language, in their order."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", README)


def test_example_is_a_valid_configuration(tmp_path: Path) -> None:
    """What a stranger copies from the front page is accepted as it stands, but for the password."""
    (example,) = blocks("toml")
    path = tmp_path / "alertd.toml"
    path.write_text(example)

    config = load(path, {"ALERTD_EMAIL__PASSWORD": "secret"})

    assert ["mobile"] == [source.name for source in config.sources]
    (rule,) = config.rules
    assert ("fatal-burst", 10, 60.0) == (rule.name, rule.more_than, rule.within)


def test_extras_that_the_commands_install_exist() -> None:
    """`pip install '.[typo]'` would only warn, and what follows would fail."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.findall(r"'\.\[(\w+)\]'", README)

    assert {"demo", "test", "dev"} == set(extras)
    assert set(extras) <= set(project["optional-dependencies"])


def test_files_that_the_commands_name_exist() -> None:
    """The steps of an installation start from what is in the clone."""
    words = {word for block in blocks("sh") for word in shlex.split(block, comments=True)}

    assert {"config.example.toml", "systemd/alertd.service"} <= words
    assert (ROOT / "config.example.toml").is_file()
    assert (ROOT / "systemd" / "alertd.service").is_file()
