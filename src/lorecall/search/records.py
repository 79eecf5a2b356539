"""What a search leaves behind, as it is written to files."""

from pydantic import BaseModel as Schema
from pydantic import ConfigDict

from lorecall.records import InjectionConfig


class _Frozen(Schema):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Trial(_Frozen):
    """One finished trial. `curve` holds (epoch, validation loss)."""

    number: int
    config: InjectionConfig
    loss: float
    rougeL: float  # noqa: N815
    on_front: bool
    trainable_parameters: int
    train_tokens: int
    curve: tuple[tuple[float, float], ...]
    seconds: dict[str, float]


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
