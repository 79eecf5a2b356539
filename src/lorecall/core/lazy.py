"""Public names that cost nothing until they are used, and parts that declare themselves."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pkgutil import iter_modules


def lazy_names(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return a package's `__getattr__` and `__dir__`, which import a public name when it is used.

    Args:
        package: The package's name.
        homes: module of the package -> the public names that it has.
    """
    places = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)
        value: object = getattr(import_module(f"{package}.{places[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted(places)


def declared(package: str, name: str) -> Iterator[object]:
    """Yield what the modules of a package declare in a tuple of this name, module by module."""
    for module in iter_modules(import_module(package).__path__, f"{package}."):
        yield from getattr(import_module(module.name), name, ())
