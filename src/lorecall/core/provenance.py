"""What a result depends on and where it came from: versions, and URLs fit to be shown."""

import re
from importlib.metadata import version
from platform import python_version


def without_password(url: str) -> str:
    """Hide the password of a storage URL: results, pages and messages get shown around."""
    return re.sub(r"(://[^:/@\s]*):[^/\s]*@", r"\1:***@", url)


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of packages, or of all that a whole run depends on."""
    names = packages or ("lorecall", "torch", "transformers", "botorch", "optuna")
    return {"python": python_version()} | {name: version(name) for name in names}
