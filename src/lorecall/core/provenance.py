"""What a result depends on and where it came from: versions, and URLs fit to be shown."""

import re
from importlib.metadata import version
from platform import python_version


def without_password(url: str) -> str:
    """Hide the password of a storage URL: results, pages and messages get shown around."""
    return re.sub(r"(://[^:/@\s]*):[^/\s]*@", r"\1:***@", url)


def versions() -> dict[str, str]:
    """Name the versions that decide what a run computes."""
    packages = ("lorecall", "torch", "transformers", "botorch", "optuna")
    return {"python": python_version()} | {name: version(name) for name in packages}
