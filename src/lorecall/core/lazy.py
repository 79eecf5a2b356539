"""Public names that cost nothing until they are used, and parts that declare themselves."""

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules


def lazy_names(package: str) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return a package's `__getattr__` and `__dir__`, which import a public name when it is used.

    The public names are those that the package imports for type checkers.
    """
    places = {
        alias.name: str(node.module)
        for block in ast.parse(inspect.getsource(sys.modules[package])).body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    def get(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)
        value: object = getattr(import_module(places[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted(places)


def declared(package: str, name: str) -> Iterator[object]:
    """Yield what the modules of a package declare in a tuple of this name, module by module."""
    for module in iter_modules(import_module(package).__path__, f"{package}."):
        yield from getattr(import_module(module.name), name, ())
