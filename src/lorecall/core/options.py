"""Options, each declared once as a field of a frozen dataclass: checked, read from text, described.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class TrainSettings:
        batch_size: int = option(8, "Samples a step.", low=1, laptop=4)

        def __post_init__(self) -> None:
            check_options(self)

Its type says what it may be: a number, yes or no, one of a few words, a text, several of those, or
nothing. What else is named beside the range is the default of a preset.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from lorecall.core.checks import check_levels, check_range, choice
from lorecall.errors import ConfigError

T = TypeVar("T")
Sections = Mapping[str, type]
"""Name of a section -> the dataclass that declares its options; the name "" stands for no name."""

NO_CHANGES: Mapping[str, object] = MappingProxyType({})
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def option(
    default: T, says: str, *, low: float | None = None, high: float | None = None, **presets: object
) -> T:
    """Declare an option: a field of a dataclass.

    Args:
        default: Its value, unless a preset has another.
        says: What it is, in a sentence.
        low: The lowest a number, or each of several, may be.
        high: The highest.
        presets: Values by preset.
    """
    metadata = {"says": says, "low": low, "high": high, "presets": presets}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option as it was declared."""

    section: str
    name: str
    kind: Any
    default: object
    says: str
    low: float | None
    high: float | None
    presets: Mapping[str, object]

    @property
    def full_name(self) -> str:
        """Return the name with its section's."""
        return f"{self.section}.{self.name}" if self.section else self.name

    def default_of(self, presets: Sequence[str]) -> object:
        """Return the value of the first of some presets that has one, or the default."""
        return next((self.presets[p] for p in presets if p in self.presets), self.default)

    @property
    def allowed(self) -> str:
        """Return what it may be, in words."""
        kind, several, none = _parts(self.kind)
        if get_origin(kind) is Literal:
            what = " or ".join(map(str, get_args(kind)))
        else:
            what = ", ".join(part for part in (_KINDS[kind], self._range) if part)
        many = ("; one or more" if kind in {int, float} else "; any number") if several else ""
        return f"{what}{many}{'; or none' if none else ''}"

    @property
    def _range(self) -> str:
        if self.low is None:
            return ""
        return f"{self.low} or more" if self.high is None else f"{self.low} to {self.high}"

    def check(self, value: object) -> object:
        """Return a value as this option's type has it: a list as a tuple, 1 as 1.0 where it is so.

        Raises:
            ConfigError: It is of another type, or outside the range.
        """
        kind, several, none = _parts(self.kind)
        if value is None and none:
            return None
        if not several:
            return self._checked(kind, value)
        items = value if isinstance(value, list | tuple) else (value,)
        found = tuple(self._checked(kind, item) for item in items)
        if kind in {int, float}:
            check_levels(self.name, found, low=self.low)  # pyright: ignore[reportArgumentType]
        return found

    def read(self, text: str) -> object:
        """Return the value that a text stands for; several are separated by commas.

        Raises:
            ConfigError: It stands for none, or for one outside the range.
        """
        kind, several, none = _parts(self.kind)
        if none and text.strip().lower() == "none":
            return None
        parts = [part.strip() for part in text.strip("[]() ").split(",")] if several else [text]
        return self.check([_value(kind, p) for p in parts] if several else _value(kind, parts[0]))

    def _checked(self, kind: Any, value: object) -> object:
        if get_origin(kind) is Literal:
            return choice(self.name, str(value), get_args(kind))
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise ConfigError(
                f"{self.full_name} must be of its type",
                expected=self.allowed,
                got=repr(value),
                next_step="`lorecall options` lists what every option may be.",
            )
        if isinstance(value, int | float) and self.low is not None:
            check_range(self.name, value, low=self.low, high=self.high)
        return value


@cache
def options_of(group: type, section: str = "") -> tuple[Option, ...]:
    """Return the options that a dataclass declares, in their order."""
    kinds = get_type_hints(group)
    return tuple(
        Option(section=section, name=f.name, kind=kinds[f.name], default=f.default, **f.metadata)
        for f in fields(group)
        if "says" in f.metadata
    )


def check_options(group: object) -> None:
    """Refuse a group of options with a value that its option may not have."""
    for each in options_of(type(group)):
        each.check(getattr(group, each.name))


def make(
    group: type[T],
    values: Mapping[str, object],
    *,
    section: str = "",
    presets: Sequence[str] = (),
    parts: Mapping[str, object] = NO_CHANGES,
) -> T:
    """Make a group of options.

    Raises:
        ConfigError: A value is none that its option may have.
    """
    given = {
        each.name: each.check(values.get(each.full_name, each.default_of(presets)))
        for each in options_of(group, section)
    }
    return group(**given, **parts)


def belonging(sections: Sections, values: Mapping[str, object]) -> dict[str, object]:
    """Return those of some values whose options stand in these sections."""
    names = {each.full_name for section, g in sections.items() for each in options_of(g, section)}
    return {name: value for name, value in values.items() if name in names}


def find_option(sections: Sections, name: str) -> Option:
    """Find an option by its full name, or by its last part where only one has it.

    Raises:
        ConfigError: There is none, or there are several.
    """
    known = [each for section, group in sections.items() for each in options_of(group, section)]
    found = [each for each in known if name == each.full_name] or [
        each for each in known if name == each.name
    ]
    if len(found) == 1:
        return found[0]
    names = {each.full_name: each.full_name for each in known}
    names |= {each.name: each.full_name for each in known}
    near = [each.full_name for each in found]
    near = near or [names[n] for n in get_close_matches(name, names, n=1, cutoff=0.5)]
    raise ConfigError(
        "an option must be known",
        expected=" or ".join(near) or "one that `lorecall options` lists",
        got=repr(name),
        next_step="`lorecall options` lists them all.",
    )


def read_options(
    sections: Sections, *, file: Path | None = None, texts: Iterable[str] = ()
) -> dict[str, object]:
    """Read options from a TOML file, then from texts `name=value`, which win.

    Returns:
        Full name -> value.

    Raises:
        ConfigError: The file or a text cannot be read, an option is not known, or a value is none
            that its option may have.
    """
    values = _from_file(sections, file) if file is not None else {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(
                "an option is set by its name and a value",
                expected="for example train.learning_rate=1e-3",
                got=repr(text),
                next_step="`lorecall options` lists the names.",
            )
        found = find_option(sections, name.strip())
        values[found.full_name] = found.read(value.strip())
    return values


def _from_file(sections: Sections, file: Path) -> dict[str, object]:
    try:
        content = tomllib.loads(file.read_bytes().decode())
    except (OSError, ValueError) as reason:  # TOML's and UTF-8's own errors are ValueErrors
        raise ConfigError(
            "a file of options must be TOML",
            expected="for example the lines [train] and learning_rate = 1e-3",
            got=f"{file}: {getattr(reason, 'strerror', None) or reason}",
            next_step="Check the path and the line.",
        ) from reason
    values: dict[str, object] = {}
    for name, value in content.items():
        table: Mapping[str, object] = value if isinstance(value, dict) else {"": value}
        for key, one in table.items():
            found = find_option(sections, ".".join(part for part in (name, key) if part))
            values[found.full_name] = found.check(one)
    return values


def _parts(kind: Any) -> tuple[Any, bool, bool]:
    """Return the type of one value, whether there are several, and whether it may be nothing."""
    inner = [each for each in get_args(kind) if each is not NoneType]
    if NoneType in get_args(kind):
        return (*_parts(inner[0])[:2], True)
    return (inner[0], True, False) if get_origin(kind) is tuple else (kind, False, False)


def _value(kind: Any, text: str) -> object:
    """Return the value that a text stands for, or the text."""
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text) if kind in {int, float} else text
    except (ValueError, KeyError):
        return text
