"""`result.json`: what one run found, as written and as read back.

Every number in it was measured in the run. Texts are masked (`lorecall.data.privacy`).
"""

from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel as Schema
from pydantic import ConfigDict, ValidationError

from lorecall.core.files import write_text
from lorecall.errors import ConfigError, RunError
from lorecall.metrics.personal import Picked
from lorecall.records import InjectionConfig, Interval, Turn
from lorecall.search.records import Hypervolume, Quartiles, Trial

RunSystem = Literal["base", "shared", "own", "other", "default-lora"]
"""What the test is read with: the base as it was shipped; with the shared memory, if it has one; on
that, with the person's own memory, with another person's, or with a LoRA that needs no search."""
RUN_SYSTEMS: tuple[RunSystem, ...] = get_args(RunSystem)

ScoreIntervals = dict[str, Interval]
"""metric -> one system's mean, or the paired difference of two, with its 95% interval."""


class _Frozen(Schema):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HeldOutReply(_Frozen):
    """One test query with the true answer and every system's, drawn, and the turns before it."""

    earlier: tuple[Turn, ...] = ()
    query: str
    truth: str
    responses: dict[RunSystem, str]


class PersonalResult(_Frozen):
    """What is the person's own in it; intervals are over the test replies, losses in nats a token.

    `own_less_shared` is the own memory's loss less that without it; `gain` (PG) by how much other
    people's memories read the same replies worse; `rank` the own memory's place among all `of`
    them, from 1; `auc` the share of single replies that prefer the own one to another. All but the
    first are None where nobody else was read.
    """

    own_less_shared: Interval
    gain: Interval | None = None
    rank: int | None = None
    of: int | None = None
    auc: float | None = None
    which_of_eight: Picked | None = None


class RunResult(_Frozen):
    """Everything a run found.

    `finished_at` is in UTC, ISO 8601. `shared` is the name or folder of the shared memory in the
    base's weights; where there is none, the base itself stands in its place. What a search leaves
    (`chosen_trial` to `importance`, and `storage`, a URL or a file in the run's folder) is empty or
    None where nothing was searched. `factor` is what validation multiplied the memory by.

    Examples:
        >>> from lorecall import RunResult
        >>> result = RunResult.load("runs/ann")
        >>> result.user, result.split
        ('ann', {'train': 18, 'valid': 3, 'test': 3})
        >>> list(result.scores), list(result.scores["own"])
        (['base', 'own'], ['loss', 'rouge1', 'rougeL', 'persona_f1'])
        >>> loss = result.scores["own"]["loss"]
        >>> loss.low <= loss.value <= loss.high
        True
    """

    user: str
    dataset: str
    model: str
    shared: str | None
    n_layers: int
    seed: int
    finished_at: str
    config: InjectionConfig
    factor: float
    split: dict[str, int]
    scores: dict[RunSystem, ScoreIntervals]
    difference_to_shared: dict[RunSystem, ScoreIntervals]
    personal: PersonalResult
    persona_tokens: int
    chosen_trial: int | None
    front: tuple[Trial, ...]
    trials: tuple[Trial, ...]
    hypervolume: Hypervolume | None
    importance: dict[str, dict[str, Quartiles]]
    curves: dict[RunSystem, tuple[tuple[float, float], ...]]
    replies: tuple[HeldOutReply, ...]
    drawn: dict[str, float]
    seconds: dict[str, float]
    sizes: dict[str, int]
    signature: dict[str, str]
    settings: dict[str, object]
    storage: str | None
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
