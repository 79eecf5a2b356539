"""HTML pages from a package's `templates/`, self-contained: opening one fetches nothing."""

from collections.abc import Mapping

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from lorecall.core.provenance import without_password
from lorecall.core.text import plain
from lorecall.report import words

OWN = "lorecall.report"


def render_page(template: str, values: Mapping[str, object], *, package: str = OWN) -> str:
    """Fill in a template; every value is escaped unless it is markup.

    Args:
        template: The file's name in the package's `templates/`. It may include and import the
            files of that folder and of this package's.
        values: What the template names.
        package: Where the file is.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(OWN)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    environment.filters["speaker"] = words.speaker
    environment.filters["without_password"] = without_password
    return environment.get_template(template).render(values)
