"""Whether a base is where its name says, asked before anything heavy is imported."""

import re
from pathlib import Path

from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from lorecall.errors import ModelError
from lorecall.settings import DEFAULT_BASE

_ID = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
_WAIT_S = 1.0
_CONFIG = "config.json"


def check_name(name: str) -> None:
    """Refuse the name of a base that is no folder with a model, and no hub's that can be had.

    Raises:
        ModelError: It is neither.
    """
    folder = Path(name)
    if name == DEFAULT_BASE:
        return
    if folder.exists():
        if not (folder / _CONFIG).is_file():
            raise _absent(name, "a folder without one" if folder.is_dir() else "a file")
    elif not _ID.fullmatch(name) or name.startswith("."):
        raise _absent(name, "no such folder")
    elif not isinstance(try_to_load_from_cache(name, _CONFIG), str):
        _check_hub(name)


def _check_hub(name: str) -> None:
    try:
        HfApi().model_info(name, timeout=_WAIT_S)
    except RepositoryNotFoundError as reason:
        raise _absent(name, "no such model on the hub") from reason
    except HfHubHTTPError:  # one that needs a licence, say: the download tells why
        return
    except Exception as reason:  # the hub's client raises its own library's
        raise _absent(name, f"the hub is out of reach, {type(reason).__name__}") from reason


def _absent(name: str, why: str) -> ModelError:
    return ModelError(
        "the base must be there",
        expected=f"{DEFAULT_BASE!r}, a folder with {_CONFIG}, or a Hugging Face id",
        got=f"{name!r} ({why})",
        next_step="Check the spelling and the network, or pass a local folder.",
    )
