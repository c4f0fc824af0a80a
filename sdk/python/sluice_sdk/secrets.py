"""Secrets by the alias that a grant gave them.

Where it is possible, let the host add the credential to the request on its way out instead: then
the plugin never sees it.
"""

from . import _host
from .errors import Failed


def get(alias: str) -> bytes:
    """The bytes behind an alias."""
    return _host.backend().secret_of(alias)


def text(alias: str) -> str:
    """The text behind an alias."""
    try:
        return get(alias).decode()
    except UnicodeDecodeError as error:
        raise Failed("secret-not-text", f"secret {alias} is not UTF-8") from error
