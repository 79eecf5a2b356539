"""`result.json`: what one run found, as written and as read back.

Every number in it was measured in the run. Texts are masked (`lorecall.data.privacy`).
"""

import re
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Annotated, Any, Literal

from pydantic import BaseModel as Schema
from pydantic import ConfigDict, SerializerFunctionWrapHandler, ValidationError, WrapSerializer

from lorecall.core.files import write_text
from lorecall.errors import ConfigError, RunError
from lorecall.records import InjectionConfig, Interval

System = Literal["vanilla", "default_lora", "memory"]
SYSTEMS: tuple[System, ...] = ("vanilla", "default_lora", "memory")


def _written(config: InjectionConfig, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
    """Leave out a dropout of 0: a file, and its hash, is as before there was dropout."""
    fields: dict[str, Any] = handler(config)
    return {name: value for name, value in fields.items() if name != "dropout" or value}


Theta = Annotated[InjectionConfig, WrapSerializer(_written)]
"""theta as it is written to files."""


class _Frozen(Schema):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scores(_Frozen):
    """One system's scores, or the paired differences of two, with 95% bootstrap intervals."""

    loss: Interval
    rouge1: Interval
    rougeL: Interval  # noqa: N815 - the metric's own name
    persona_f1: Interval


class Trial(_Frozen):
    """One finished trial. `curve` holds (epoch, validation loss)."""

    number: int
    config: Theta
    loss: float
    rougeL: float  # noqa: N815
    on_front: bool
    trainable_parameters: int
    train_tokens: int
    curve: tuple[tuple[float, float], ...]
    seconds: dict[str, float]


class Reply(_Frozen):
    """One test query with the true answer and every system's."""

    query: str
    truth: str
    responses: dict[System, str]


class Quartiles(_Frozen):
    """Spread of one input's importance over the posterior."""

    low: float
    median: float
    high: float


class Hypervolume(_Frozen):
    """How the front grew. `trace` has one value a finished trial, `reference` one an objective."""

    reference: tuple[float, ...]
    trace: tuple[float, ...]
    stopped: str


class RunResult(_Frozen):
    """Everything a run found.

    `finished_at` is in UTC, ISO 8601; `storage` is a URL, or a file in the run's folder.
    """

    user: str
    dataset: str
    model: str
    n_layers: int
    seed: int
    finished_at: str
    config: Theta
    chosen_trial: int
    split: dict[str, int]
    scores: dict[System, Scores]
    difference_to_vanilla: dict[System, Scores]
    persona_tokens: int
    front: tuple[Trial, ...]
    trials: tuple[Trial, ...]
    hypervolume: Hypervolume
    importance: dict[str, dict[str, Quartiles]]
    curves: dict[System, tuple[tuple[float, float], ...]]
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


def without_password(url: str) -> str:
    """Hide the password of a storage URL: results, pages and messages get shown around."""
    return re.sub(r"(://[^:/@\s]*):[^/\s]*@", r"\1:***@", url)


def versions() -> dict[str, str]:
    """Name the versions that decide what a run computes."""
    packages = ("lorecall", "torch", "transformers", "botorch", "optuna")
    return {"python": python_version()} | {name: version(name) for name in packages}
