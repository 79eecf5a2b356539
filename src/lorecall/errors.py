"""Every exception the package raises on purpose.

```
LorecallError
├── InputError              the caller gave something that cannot be used (exit code 2)
│   ├── DataError           a data file, a record in it, or a user that is not there
│   ├── ConfigError         a setting or an injection configuration outside its range
│   ├── ModelError          a base model that is missing, unsupported or not the expected one
│   ├── ArtefactError       a memory on disk that is missing, corrupt or of another version
│   ├── RunError            a run directory that holds something else or is in use
│   ├── StorageError        an Optuna storage that cannot be reached
│   └── JudgeError          a judge that fails its probe, or that does not answer
├── SpaceExhaustedError     every configuration of a search space has been tried
└── MissingExtraError       an optional dependency is not installed (exit code 2)
```

Each message is one line: the rule that was broken, what was expected, what was found, and what
to do next.
"""


class LorecallError(Exception):
    """Base of every error this package raises on purpose."""


class InputError(LorecallError):
    """The caller gave something that cannot be used.

    Args:
        rule: What must hold, in a few words.
        expected: What would have been accepted.
        got: What was found instead.
        next_step: What the caller can do about it.
    """

    def __init__(self, rule: str, *, expected: str, got: str, next_step: str) -> None:
        self.rule = rule
        self.expected = expected
        self.got = got
        self.next_step = next_step
        line = f"{rule}: expected {expected}, got {got}. {next_step}"
        super().__init__(" ".join(line.split()))


class DataError(InputError):
    """A data file, a record in it, or a user that is not there."""


class ConfigError(InputError):
    """A setting or an injection configuration outside its range."""


class ModelError(InputError):
    """A base model that is missing, unsupported or not the expected one."""


class ArtefactError(InputError):
    """A memory on disk that is missing, corrupt or of another version."""


class RunError(InputError):
    """A run directory that holds something else or is in use."""


class StorageError(InputError):
    """An Optuna storage that cannot be reached."""


class JudgeError(InputError):
    """A judge that fails its sanity probe, or that does not answer."""


class SpaceExhaustedError(LorecallError):
    """No valid point is left that was not evaluated and is not being tried.

    Args:
        trial_number: The trial that asked; it is still running.
    """

    def __init__(self, trial_number: int | None = None) -> None:
        self.trial_number = trial_number
        super().__init__(
            "the search space must have an untried point: expected 1 or more, got none."
            " Every candidate has been tried; read the front, or widen the space."
        )


class MissingExtraError(LorecallError):
    """An optional dependency is not installed.

    Args:
        feature: What the caller asked for.
        package: The distribution that provides it.
        install: The command that installs it.
    """

    def __init__(self, feature: str, *, package: str, install: str) -> None:
        self.feature = feature
        self.package = package
        self.install = install
        super().__init__(
            f"{feature} needs a package that is not installed: expected {package}, got nothing."
            f" Run: {install}"
        )
