"""What is known of a system before it is made for anyone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lorecall.records import Searched

VANILLA, CONTROL, PERSONAL, MEMORY = "vanilla", "default-lora", "personal", "memory"
"""Names of the systems that tables single out: the base, the LoRA that people take without a
search, and our memories, of one design and with a search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemInfo:
    """What a system is.

    Args:
        name: What it is called in tables and files; unlike any other's.
        title: What it is, in a line.
        trains: Whether it puts a memory into the weights.
        searches: What of theta is searched for, where it is a memory of ours.
        notes: Whether it puts notes into the prompt.
        paper: Whether it is one of the paper's own baselines.
        memory_of: The system whose memory it takes; None where it makes its own, or none.

    Examples:
        >>> from lorecall.systems.about import SystemInfo
        >>> SystemInfo(name="mine", title="a try", trains=True, searches="layer").is_ablation
        True
    """

    name: str
    title: str
    trains: bool = False
    searches: Searched | None = None
    notes: bool = False
    paper: bool = False
    memory_of: str | None = None

    @property
    def is_memory(self) -> bool:
        """Whether it is a memory of ours: of the design, searched, or with notes."""
        return self.searches is not None

    @property
    def is_ablation(self) -> bool:
        """Whether it searches only a part of the space: a row of Table 5."""
        return self.searches not in (None, "none", "paper")

    @property
    def is_swappable(self) -> bool:
        """Whether all it knows of a person is a memory, which another person's can stand for."""
        return self.trains and not self.notes

    def with_retrieval(self) -> "SystemInfo":
        """Return what this system is together with retrieval, its memory the same."""
        return replace(
            self,
            name=f"{self.name}-with-retrieval",
            title=f"{self.title}, and retrieval",
            notes=True,
            paper=False,
            memory_of=self.name,
        )


def headline(systems: Sequence[str]) -> str:
    """Return the system that the others are compared with: a memory of ours, or the last."""
    return next((name for name in (PERSONAL, MEMORY) if name in systems), systems[-1])
