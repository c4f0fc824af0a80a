"""The time of the host."""

from . import _host


def now_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return _host.backend().now_ms()
