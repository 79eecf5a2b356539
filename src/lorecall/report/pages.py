"""HTML pages from templates of this package, self-contained: opening one fetches nothing."""

from collections.abc import Mapping
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from lorecall.core.provenance import without_password
from lorecall.report import words

PACKAGE = "lorecall.report"


def render_page(template: str, values: Mapping[str, object], *, package: str = PACKAGE) -> str:
    """Fill in a template; every text is escaped unless it is markup.

    Args:
        template: The file's name in the package.
        values: What the template names.
        package: Where the file is.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["plain"] = words.plain
    environment.filters["without_password"] = without_password
    return environment.from_string(_read(template, package)).render(values)


def own_file(name: str, *, package: str = PACKAGE) -> Markup:
    """Return a style sheet or script of the package, to be put into a page as it is."""
    return Markup(_read(name, package))  # noqa: S704 - a file of this package


def _read(name: str, package: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")
