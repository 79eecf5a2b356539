"""The tree of errors: one line each, with rule, expected, got and next step."""

import pytest

from lorecall import errors
from lorecall.errors import InputError, LorecallError, MissingExtraError

INPUT_ERRORS = [
    errors.DataError,
    errors.ConfigError,
    errors.ModelError,
    errors.ArtefactError,
    errors.RunError,
    errors.StorageError,
    errors.JudgeError,
    errors.MissingError,
    errors.ConflictError,
    errors.IntegrityError,
    errors.PendingError,
]


@pytest.mark.parametrize("kind", INPUT_ERRORS)
def test_an_input_error_names_rule_expected_got_and_next_step(kind: type[InputError]) -> None:
    """Every part is in the message and kept as an attribute."""
    error = kind("the rule", expected="this", got="that", next_step="Do so.")
    assert str(error) == "the rule: expected this, got that. Do so."
    assert (error.rule, error.expected, error.got, error.next_step) == (
        "the rule",
        "this",
        "that",
        "Do so.",
    )


@pytest.mark.parametrize("kind", INPUT_ERRORS)
def test_every_input_error_can_be_caught_as_one(kind: type[InputError]) -> None:
    """The tree of the module's docstring."""
    assert issubclass(kind, InputError)
    assert issubclass(kind, LorecallError)


def test_a_message_is_one_line_whatever_its_parts_hold() -> None:
    """Line breaks and runs of blanks in what was found become single blanks."""
    error = InputError("rule", expected="a\nb", got="c\r\n\td", next_step="e  f")
    assert str(error) == "rule: expected a b, got c d. e f"


def test_a_missing_extra_carries_the_install_line() -> None:
    """It is no input error, and says what to run."""
    error = MissingExtraError("judging", package="judge", install="pip install lorecall[judge]")
    assert isinstance(error, LorecallError)
    assert not isinstance(error, InputError)
    assert str(error).endswith("Run: pip install lorecall[judge]")
    assert (error.feature, error.package) == ("judging", "judge")


def test_the_docstring_draws_every_error() -> None:
    """The tree at the top of the module leaves none out."""
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, LorecallError)
    }
    assert defined
    assert all(name in str(errors.__doc__) for name in defined)
