"""A run that learns placeholders says how many, and its memory remembers."""

from dataclasses import replace
from pathlib import Path

from lorecall.core.progress import SilentReporter
from lorecall.learning.pipeline import learn
from lorecall.lm.base import LanguageModel
from lorecall.settings import LearnSettings
from made_up import a_history


class Listener(SilentReporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        """Keep a line."""
        self.said.append(line)


def test_the_memory_learnt_placeholders(
    llama: LanguageModel, quick: LearnSettings, tmp_path: Path
) -> None:
    """Of every sample whose text names someone; what is said is what is kept."""
    history = a_history()
    first, *others = history.samples
    first = replace(first, response="call 555-010-4477, or ann@example.org")
    telling = replace(history, samples=(first, *others))
    heard = Listener()
    settings = replace(quick, redact=True)
    memory = learn(telling, base=llama, out=tmp_path / "run", settings=settings, reporter=heard)
    training = memory.manifest.training
    assert training.redacted == {"e-mail": 1, "phone": 1}
    assert "redacted: 1 e-mail, 1 phone" in heard.said
    assert first.id not in training.sample_ids
    assert set(training.sample_ids) - {sample.id for sample in others} != set()
