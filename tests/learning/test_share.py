"""A shared memory learnt from a file of people, in a folder that is whole or not there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lorecall.core.progress import SilentReporter
from lorecall.errors import ConfigError, DataError, ModelError, RunError
from lorecall.learning.share import share_learn
from lorecall.learning.share_settings import ShareSettings
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.tiny import tiny_base
from lorecall.memory.shared import SharedMemory

SETTINGS = ShareSettings(replies=40, valid=8, rank=2)
CONSENT = "they were made up"


class Heard(SilentReporter):
    """Keeps what it is told, and stops the work where it is asked to."""

    def __init__(self, *, stops: bool = False) -> None:
        self.planned = self.finished = 0
        self.lines: list[str] = []
        self.share, self.stops = 0.0, stops

    def plan(self, n: int) -> None:
        """Count the stages."""
        self.planned += n

    def say(self, line: str) -> None:
        """Keep the line."""
        self.lines.append(line)

    def advance(self, share: float) -> None:
        """Add the share; or do as Ctrl-C does."""
        self.share += share
        if self.stops and self.share > 0.4:
            raise KeyboardInterrupt

    def finish(self, n: int = 1) -> None:
        """Count the stages that are finished."""
        self.finished += n


def never() -> LanguageModel:
    """Stand for a base that must not be loaded."""
    raise AssertionError("the base was loaded")


def test_it_is_stored_as_it_is_returned(crowd: Path, tmp_path: Path) -> None:
    """Two files; whoever was left out is not in it."""
    shared = share_learn(
        str(crowd),
        out=tmp_path / "shared",
        consent=CONSENT,
        without=["p3"],
        base=tiny_base(),
        settings=SETTINGS,
    )
    names = sorted(file.name for file in (tmp_path / "shared").iterdir())
    assert names == ["manifest.json", "shared.safetensors"]
    kept = SharedMemory.load(tmp_path / "shared")
    assert kept.manifest == shared.manifest
    assert (kept.manifest.consent, len(kept.manifest.donors.samples)) == (CONSENT, 40)
    assert kept.manifest.donors.has_person("p1")
    assert not kept.manifest.donors.has_person("p3")


def test_theta_is_that_of_the_settings(crowd: Path, tmp_path: Path) -> None:
    """Every layer; no more rank than the base has."""
    settings = ShareSettings(replies=40, valid=8, rank=96, kept_rank=96, scaling=2.0)
    shared = share_learn(
        str(crowd), out=tmp_path / "s", consent=CONSENT, base=tiny_base, settings=settings
    )
    assert shared.config.layers == (0, 1, 2)
    assert (shared.config.rank, shared.config.scaling) == (tiny_base().max_rank, 2.0)
    assert shared.manifest.recipe.settings == settings.train


def test_it_is_cut_to_what_is_kept(crowd: Path, tmp_path: Path) -> None:
    """The recipe has the rank that was trained, the memory the one that is left."""
    settings = ShareSettings(replies=40, valid=8, rank=4, kept_rank=1)
    shared = share_learn(
        str(crowd), out=tmp_path / "s", consent=CONSENT, base=tiny_base, settings=settings
    )
    assert (shared.config.rank, shared.manifest.recipe.thetas[0].rank) == (1, 4)
    kept = SharedMemory.load(tmp_path / "s")
    kept.merge_into(tiny_base(), name="s")
    assert kept.sha256 == shared.sha256


def test_someone_is_told(crowd: Path, tmp_path: Path) -> None:
    """Of how many it is learnt, who is left out, and how far it is."""
    heard = Heard()
    share_learn(
        str(crowd),
        out=tmp_path / "s",
        consent=CONSENT,
        without=["p3"],
        base=tiny_base(),
        settings=SETTINGS,
        reporter=heard,
    )
    assert heard.planned == heard.finished == 1
    assert heard.share == pytest.approx(1.0)
    (line,) = heard.lines
    assert line.startswith("40 replies of ")
    assert line.endswith("left out: 1, and their conversations: 4")


class TestRefusals:
    """Before a base is loaded, and nothing is written."""

    @pytest.mark.parametrize("consent", ["", " \n"])
    def test_without_a_word_of_consent(self, crowd: Path, tmp_path: Path, consent: str) -> None:
        """It is kept in the manifest."""
        with pytest.raises(ConfigError, match="from people who agreed to it"):
            share_learn(str(crowd), out=tmp_path / "s", consent=consent, base=never)
        assert not (tmp_path / "s").exists()

    def test_a_folder_that_holds_something(self, crowd: Path, tmp_path: Path) -> None:
        """It stays as it is; a file is none."""
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "notes.txt").write_text("mine")
        for place in (tmp_path / "mine", crowd):
            with pytest.raises(RunError, match="a folder of its own"):
                share_learn(str(crowd), out=place, consent=CONSENT, base=never)
        assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes.txt"]

    def test_too_few_people(self, crowd: Path, tmp_path: Path) -> None:
        """Where five of fourteen are left out."""
        without = [f"p{i}" for i in range(5)]
        with pytest.raises(DataError, match="learnt from many people"):
            share_learn(
                str(crowd),
                out=tmp_path / "s",
                consent=CONSENT,
                without=without,
                base=never,
                settings=SETTINGS,
            )
        assert not (tmp_path / "s").exists()

    def test_a_base_that_holds_one(
        self, crowd: Path, tmp_path: Path, make_shared: Callable[..., SharedMemory]
    ) -> None:
        """Shared memories do not stand on one another."""
        base = tiny_base()
        make_shared(base).merge_into(base, name="first")
        with pytest.raises(ModelError, match="learnt on a bare base"):
            share_learn(
                str(crowd), out=tmp_path / "s", consent=CONSENT, base=base, settings=SETTINGS
            )
        assert not (tmp_path / "s").exists()


def test_an_empty_folder_will_do(crowd: Path, tmp_path: Path) -> None:
    """As for any new one."""
    (tmp_path / "s").mkdir()
    share_learn(
        str(crowd), out=tmp_path / "s", consent=CONSENT, base=tiny_base(), settings=SETTINGS
    )
    assert SharedMemory.load(tmp_path / "s").manifest.consent == CONSENT


class TestStopped:
    """Nothing half-written is left."""

    def test_in_the_middle(self, crowd: Path, tmp_path: Path) -> None:
        """As by Ctrl-C."""
        heard = Heard(stops=True)
        with pytest.raises(KeyboardInterrupt):
            share_learn(
                str(crowd),
                out=tmp_path / "s",
                consent=CONSENT,
                base=tiny_base(),
                settings=SETTINGS,
                reporter=heard,
            )
        assert 0 < heard.share < 1
        assert [file.name for file in tmp_path.iterdir()] == [crowd.name]

    def test_by_a_full_disk(
        self, crowd: Path, tmp_path: Path, file_size_limit: Callable[[int], None]
    ) -> None:
        """At its end, when it is written."""
        base = tiny_base()
        file_size_limit(2000)
        with pytest.raises(OSError, match="File too large"):
            share_learn(
                str(crowd), out=tmp_path / "s", consent=CONSENT, base=base, settings=SETTINGS
            )
        assert [file.name for file in tmp_path.iterdir()] == [crowd.name]
