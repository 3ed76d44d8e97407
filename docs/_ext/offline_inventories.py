"""Inventories for building without a connection, from the short lists in ``docs/inventories``.

Each line of a list is ``name domain:type priority location title``, as in Sphinx's own format,
which is compressed; lists of text can be read and reviewed.
"""

import zlib
from pathlib import Path


def pack(folder, target):
    """Compress each list of the folder; return the files by the name of the project."""
    target.mkdir(parents=True, exist_ok=True)
    packed = {}
    for source in sorted(Path(folder).glob("*.txt")):
        name = source.stem
        header = (
            f"# Sphinx inventory version 2\n# Project: {name}\n# Version: \n"
            "# The remainder of this file is compressed using zlib.\n"
        )
        packed[name] = target / f"{name}.inv"
        packed[name].write_bytes(header.encode() + zlib.compress(source.read_bytes()))
    return packed
