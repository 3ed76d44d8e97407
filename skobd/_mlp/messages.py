"""Messages of errors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def about(name: str) -> Iterator[None]:
    """Begin the message of an error with what it is about, unless it says so itself."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if re.search(rf"\b{re.escape(name)}\b", str(error)):
            raise
        # Some kinds of ValueError cannot be made of a message.
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name}: {error}") from error
