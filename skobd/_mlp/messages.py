"""Messages of errors, and lines of ``verbose``."""

import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def about(name: str) -> Iterator[None]:
    """Begin the message of an error with its subject ``name``, unless it does so already."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if re.search(rf"\b{re.escape(name)}\b", str(error)):
            raise
        # Some kinds of ValueError cannot be made from a message alone.
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name}: {error}") from error


def tell(line: str) -> None:
    """Print a line of ``verbose``, wrapped at 79 columns."""
    wrapped = textwrap.wrap(
        line, 79, subsequent_indent=10 * " ", break_on_hyphens=False, break_long_words=False
    )
    print("\n".join(wrapped))
