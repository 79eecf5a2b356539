"""`lorecall options` lists what every command takes."""

import json

from typer.testing import CliRunner

from lorecall.bench.settings import BENCH
from lorecall.cli.app import app
from lorecall.core.options import options_of
from lorecall.learning.share_settings import SHARE
from lorecall.settings import LEARN


def listed(*arguments: str) -> str:
    """Return what the command prints."""
    result = CliRunner().invoke(app, ["options", *arguments], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result.output


def test_every_section_is_listed() -> None:
    """Those of a memory, of a shared one and of a bench, each option once."""
    names = [each["name"] for each in json.loads(listed("--json"))["options"]]
    sections = {**LEARN, **SHARE, **BENCH}
    declared = [o.full_name for name, group in sections.items() for o in options_of(group, name)]
    assert names == declared
    assert len(names) == len({*names})
    assert {"design.rank", "share.replies", "base.shared", "others"} <= {*names}


def test_they_are_listed_as_markdown() -> None:
    """A table a section."""
    text = listed("--markdown")
    assert all(f"### [{name}]" in text for name in ("design", "train", "search", "base", "share"))
    assert "| `share.replies` |" in text


def test_they_are_listed_for_a_person() -> None:
    """With their values."""
    text = listed()
    assert "share.replies" in text
    assert "design.scaling" in text
