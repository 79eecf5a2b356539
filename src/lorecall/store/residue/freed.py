"""The free pages of a SQLite file: what was deleted could still be in them.

The file's header names the first of a chain of pages, each of which names the next, and free pages
beside (sqlite.org/fileformat2.html, section 1.5).
"""

import struct
from collections.abc import Iterator
from pathlib import Path

_PAGE_SIZE, _FIRST, _LARGEST = 16, 32, 65536


def free_pages(path: Path) -> Iterator[bytes]:
    """Yield the pages of a database that nothing is in, as they are in its file."""
    with path.open("rb") as file:
        head = file.read(_FIRST + 4)
        (size,) = struct.unpack_from(">H", head, _PAGE_SIZE)
        size = _LARGEST if size == 1 else size

        def page(number: int) -> bytes:
            file.seek((number - 1) * size)
            return file.read(size)

        (number,) = struct.unpack_from(">I", head, _FIRST)
        while number:
            trunk = page(number)
            yield trunk
            number, n_leaves = struct.unpack_from(">II", trunk)
            for leaf in struct.unpack_from(f">{n_leaves}I", trunk, 8):
                yield page(leaf)
