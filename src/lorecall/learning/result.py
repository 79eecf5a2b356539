"""`result.json`: what one run found, as written and as read back.

Every number in it was measured in the run. Texts are masked (`lorecall.data.privacy`).
"""

from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel as Schema
from pydantic import ConfigDict, ValidationError

from lorecall.core.files import write_text
from lorecall.errors import ConfigError, RunError
from lorecall.records import InjectionConfig, Interval, Turn
from lorecall.search.records import Hypervolume, Quartiles, Trial

RunSystem = Literal["vanilla", "default-lora", "memory"]
SYSTEMS: tuple[RunSystem, ...] = get_args(RunSystem)

Scores = dict[str, Interval]
"""metric -> one system's mean, or the paired difference of two, with its 95% interval."""


class _Frozen(Schema):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Reply(_Frozen):
    """One test query with the true answer and every system's, and the turns before it."""

    earlier: tuple[Turn, ...] = ()
    query: str
    truth: str
    responses: dict[RunSystem, str]


class RunResult(_Frozen):
    """Everything a run found.

    `finished_at` is in UTC, ISO 8601; `storage` is a URL, or a file in the run's folder.

    Examples:
        >>> from lorecall import RunResult
        >>> result = RunResult.load("runs/ann")
        >>> result.user, result.split
        ('ann', {'train': 18, 'valid': 3, 'test': 3})
        >>> list(result.scores), list(result.scores["memory"])
        (['vanilla', 'default-lora', 'memory'], ['loss', 'rouge1', 'rougeL', 'persona_f1'])
        >>> loss = result.scores["memory"]["loss"]
        >>> loss.low <= loss.value <= loss.high
        True
    """

    user: str
    dataset: str
    model: str
    n_layers: int
    seed: int
    finished_at: str
    config: InjectionConfig
    chosen_trial: int
    split: dict[str, int]
    scores: dict[RunSystem, Scores]
    difference_to_vanilla: dict[RunSystem, Scores]
    persona_tokens: int
    front: tuple[Trial, ...]
    trials: tuple[Trial, ...]
    hypervolume: Hypervolume
    importance: dict[str, dict[str, Quartiles]]
    curves: dict[RunSystem, tuple[tuple[float, float], ...]]
    replies: tuple[Reply, ...]
    seconds: dict[str, float]
    sizes: dict[str, int]
    signature: dict[str, str]
    settings: dict[str, object]
    storage: str
    versions: dict[str, str]

    def save(self, path: Path) -> None:
        """Write the file whole."""
        write_text(path, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> "RunResult":
        """Read the result of a finished run.

        Raises:
            RunError: There is none, or it is not whole.
        """
        path = Path(folder) / "result.json"
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as reason:
            unfinished = (Path(folder) / "run.json").is_file()
            raise RunError(
                "a run's result must be there",
                expected=str(path),
                got="a run that has not finished" if unfinished else "no run",
                next_step="Give the same `lorecall learn` command again to finish it."
                if unfinished
                else "Check the path.",
            ) from reason
        except (ValidationError, ConfigError) as reason:
            raise RunError(
                "a run's result must be whole",
                expected=f"every field in {path}",
                got=str(reason).splitlines()[0],
                next_step="Give the same `lorecall learn` command again after removing the file.",
            ) from reason
