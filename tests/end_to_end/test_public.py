"""The public names, and the README's lines of Python."""

import importlib
import re
from pathlib import Path

import pytest

import lorecall
from lorecall import errors

README = Path(__file__).parents[2] / "README.md"


def test_each_public_name_is_there() -> None:
    """Every public name can be imported."""
    for name in lorecall.__all__:
        assert getattr(lorecall, name).__name__ == name


def test_every_error_is_public() -> None:
    """Whatever a docstring says is raised can be caught by its public name."""
    own = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert {name for name in own if name.endswith("Error")} <= {*lorecall.__all__}


def test_unknown_name_is_an_attribute_error() -> None:
    """A name that is not public is refused as Python does."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        importlib.import_module("lorecall").nothing  # noqa: B018


def test_readme_lines_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    history_file: Path,
    model_folder: Path,
) -> None:
    """The README's Python runs as it stands, on a small history and a tiny model."""
    block = re.search(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert block is not None
    code = block[1]
    base = f"lorecall.LanguageModel.load({str(model_folder)!r}, device='cpu')"
    small = 'lorecall.preset("laptop", trials=2, initial=2, samples=8, max_epochs=1)'
    for old, new in (
        ('"chat.txt", user="NAME"', f'{str(history_file)!r}, user="ada"'),
        ('out="runs/me"', f'out="runs/me", base={base}, settings={small}'),
    ):
        assert code.count(old) == 1, f"the README no longer says {old}"
        code = code.replace(old, new)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - the README's own code
    assert (tmp_path / "runs" / "me" / "result.json").is_file()
