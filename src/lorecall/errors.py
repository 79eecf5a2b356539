"""Every exception the package raises on purpose.

```
LorecallError
├── InputError              the caller gave something that cannot be used (exit code 2)
│   ├── DataError           a data file, a record in it, or a user that is not there
│   ├── ConfigError         a setting or an injection configuration outside its range
│   ├── ModelError          a base model that is missing, unsupported or not the expected one
│   ├── ArtefactError       a memory on disk that is missing, corrupt or of another version
│   ├── RunError            a run directory that holds something else or is in use
│   ├── StorageError        a database or a bucket that cannot be reached
│   ├── JudgeError          a judge that fails its probe, or that does not answer
│   ├── MissingError        a person, a version or a record that is not in a store (exit code 3)
│   ├── ConflictError       someone else works on a person, or did so in between (exit code 4)
│   ├── IntegrityError      a store holds what it did not write, or the keys differ (exit code 5)
│   └── PendingError        what was begun in a store is not finished (exit code 1)
├── SpaceExhaustedError     every configuration of a search space has been tried
└── MissingExtraError       an optional dependency is not installed (exit code 2)
```

Each message is one line: the rule that was broken, what was expected, what was found, and what
to do next.
"""

from typing import ClassVar


class LorecallError(Exception):
    """Base of every error this package raises on purpose.

    Examples:
        >>> import lorecall
        >>> try:
        ...     lorecall.preset("best")
        ... except lorecall.LorecallError as error:
        ...     print(error)
        the preset must be known: expected smoke or laptop or paper, got 'best'. Choose one of them.

    Attributes:
        exit_code: What a command ends with that raises it.
    """

    exit_code: ClassVar[int] = 2


class InputError(LorecallError):
    """The caller gave something that cannot be used.

    Args:
        rule: What must hold, in a few words.
        expected: What would have been accepted.
        got: What was found instead.
        next_step: What the caller can do about it.

    Examples:
        >>> import lorecall
        >>> try:
        ...     lorecall.load_history("history.jsonl", user="eve")
        ... except lorecall.InputError as error:
        ...     print(error.rule)
        ...     print(error.got)
        the user must be in the data
        'eve' (2 users, none fits)
    """

    def __init__(self, rule: str, *, expected: str, got: str, next_step: str) -> None:
        self.rule = rule
        self.expected = expected
        self.got = got
        self.next_step = next_step
        line = f"{rule}: expected {expected}, got {got}. {next_step}"
        super().__init__(" ".join(line.split()))


class DataError(InputError):
    """A data file, a record in it, or a user that is not there.

    Examples:
        >>> import lorecall
        >>> lorecall.load_history("history.jsonl")
        Traceback (most recent call last):
            ...
        lorecall.errors.DataError: a user must be chosen where a source has not one alone: expected
        a user id or the start of one, got none, and 2 users: 'ann', 'bob'. Say whose memory it is
        to be (--user).
    """


class ConfigError(InputError):
    """A setting or an injection configuration outside its range.

    Examples:
        >>> import lorecall
        >>> lorecall.preset("laptop", trials=0)
        Traceback (most recent call last):
            ...
        lorecall.errors.ConfigError: trials must be in range: expected 1 or more, got 0. Change the
        setting.
    """


class ModelError(InputError):
    """A base model that is missing, unsupported or not the expected one.

    Examples:
        >>> import lorecall
        >>> from lorecall.lm import tiny_base
        >>> try:
        ...     lorecall.Memory.load("runs/ann", base=tiny_base("gpt2"))
        ... except lorecall.ModelError as error:
        ...     print(error.rule)
        a memory works on the base it was trained for
    """


class ArtefactError(InputError):
    """A memory on disk that is missing, corrupt or of another version.

    Examples:
        >>> import lorecall
        >>> lorecall.Memory.load("runs/eve")
        Traceback (most recent call last):
            ...
        lorecall.errors.ArtefactError: a memory must be there: expected runs/eve/manifest.json or
        runs/eve/memory/manifest.json, got no such folder. Run `lorecall learn` to its end, or check
        the path.
    """


class RunError(InputError):
    """A run directory that holds something else or is in use.

    Examples:
        >>> import lorecall
        >>> lorecall.RunResult.load("runs/eve")
        Traceback (most recent call last):
            ...
        lorecall.errors.RunError: a run's result must be there: expected runs/eve/result.json, got
        no run. Check the path.
    """


class StorageError(InputError):
    """A database or a bucket that cannot be reached: Optuna's trials', or a store's.

    Examples:
        >>> import lorecall
        >>> from lorecall.lm import tiny_base
        >>> history = lorecall.load_history("history.jsonl", user="ann")
        >>> try:
        ...     lorecall.learn(history, out="runs/new", base=tiny_base(), storage="nosql://host/db")
        ... except lorecall.StorageError as error:
        ...     print(error.rule)
        the storage of the trials must be reachable
    """


class JudgeError(InputError):
    """A judge that fails its sanity probe, or that does not answer.

    Examples:
        >>> from lorecall import JudgeError
        >>> def score(answer: str) -> float:
        ...     if not answer.isdecimal():
        ...         raise JudgeError(
        ...             "a judge must answer with a score",
        ...             expected="0 to 10",
        ...             got=repr(answer),
        ...             next_step="Take another judge.",
        ...         )
        ...     return float(answer)
        >>> score("fine")
        Traceback (most recent call last):
            ...
        lorecall.errors.JudgeError: a judge must answer with a score: expected 0 to 10, got 'fine'.
        Take another judge.
    """


class MissingError(InputError):
    """A person, a version or a record that a store does not have.

    Examples:
        >>> import lorecall
        >>> with lorecall.Store.open("people") as store:
        ...     store.person("ada").log()
        Traceback (most recent call last):
            ...
        lorecall.errors.MissingError: the person must be in the store: expected someone it has, got
        'ada'. Check the spelling, or remember something of theirs first.
    """

    exit_code: ClassVar[int] = 3


class ConflictError(InputError):
    """Someone else works on a person, or has changed what was expected, or a name is too alike.

    Examples:
        >>> import lorecall
        >>> with lorecall.Store.open("people") as store:
        ...     _ = store.person("ada").remember("history.jsonl", user="ann")
        ...     _ = store.person("ADA").remember("history.jsonl", user="ann")
        Traceback (most recent call last):
            ...
        lorecall.errors.ConflictError: a person's name must not look like another's: expected a name
        of its own, got 'ADA', which looks like 'ada'. Use that one, or choose another name.
    """

    exit_code: ClassVar[int] = 4


class IntegrityError(InputError):
    """What a store holds is not what it wrote, or its keys are another's.

    Examples:
        >>> import lorecall
        >>> lorecall.Store.open("one").close()
        >>> lorecall.Store.open("two").close()
        >>> try:
        ...     lorecall.Store.open("one", keys="two-keys")
        ... except lorecall.IntegrityError as error:
        ...     print(error.rule)
        a store is opened with its own keys
    """

    exit_code: ClassVar[int] = 5


class PendingError(InputError):
    """What was begun in a store is not finished; the message says how to finish it.

    Examples:
        >>> from lorecall import PendingError
        >>> PendingError.exit_code
        1
    """

    exit_code: ClassVar[int] = 1


class SpaceExhaustedError(LorecallError):
    """No valid point is left that was not evaluated and is not being tried.

    Args:
        trial_number: The trial that asked; it is still running.

    Examples:
        >>> import optuna
        >>> from lorecall import SaasNehviSampler, SpaceExhaustedError
        >>> space = {"rank": optuna.distributions.IntDistribution(1, 3)}
        >>> sampler = SaasNehviSampler(search_space=space, n_initial=3, repeat=False)
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> study = optuna.create_study(sampler=sampler)
        >>> try:
        ...     study.optimize(lambda trial: trial.suggest_int("rank", 1, 3), n_trials=4)
        ... except SpaceExhaustedError as error:
        ...     print(f"trial {error.trial_number}: the best of all is {study.best_value:.0f}")
        trial 3: the best of all is 1
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

    Examples:
        >>> from lorecall import MissingExtraError
        >>> install = "pip install lorecall[judge]"
        >>> raise MissingExtraError("a judge behind an endpoint", package="openai", install=install)
        Traceback (most recent call last):
            ...
        lorecall.errors.MissingExtraError: a judge behind an endpoint needs a package that is not
        installed: expected openai, got nothing. Run: pip install lorecall[judge]
    """

    def __init__(self, feature: str, *, package: str, install: str) -> None:
        self.feature = feature
        self.package = package
        self.install = install
        super().__init__(
            f"{feature} needs a package that is not installed: expected {package}, got nothing."
            f" Run: {install}"
        )
