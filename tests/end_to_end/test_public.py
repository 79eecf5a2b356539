"""The public names, and the README's ten lines."""

import importlib
import re
from pathlib import Path

import pytest

import lorecall

README = Path(__file__).parents[2] / "README.md"


def test_at_most_twenty_names_and_each_is_there() -> None:
    """Every public name can be imported, and there are no more than twenty."""
    assert len(lorecall.__all__) <= 20
    for name in lorecall.__all__:
        assert getattr(lorecall, name).__name__ == name


def test_unknown_name_is_an_attribute_error() -> None:
    """A name that is not public is refused as Python does."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        importlib.import_module("lorecall").nothing  # noqa: B018


def test_readme_lines_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    history_file: Path,
    model_folder: Path,
) -> None:
    """The README's Python runs as it stands, on a small history and a tiny model."""
    block = re.search(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert block is not None
    code = block[1]
    small = 'lorecall.preset("laptop", trials=2, initial=2, samples=8, max_epochs=1)'
    for old, new in (
        ('"chitchat", user="4fde054d"', f'{str(history_file)!r}, user="ada"'),
        ("LanguageModel.load()", f"LanguageModel.load({str(model_folder)!r}, device='cpu')"),
        ('lorecall.preset("laptop")', small),
    ):
        assert code.count(old) == 1, f"the README no longer says {old}"
        code = code.replace(old, new)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - the README's own code
    assert "InjectionConfig" in capsys.readouterr().out
    assert (tmp_path / "runs" / "mine" / "result.json").is_file()
