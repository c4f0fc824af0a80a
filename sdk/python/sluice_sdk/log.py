"""Log lines, which the host ties to the plugin and to the rollout or run at hand."""

from . import _host

LEVELS = ("trace", "debug", "info", "warn", "error")


def enabled(level: str) -> bool:
    """False if a line of this level would be dropped, so that it need not be built."""
    return _host.backend().enabled(level)


def write(level: str, message: str, **fields: object) -> None:
    """Writes a line; `level` is one of `LEVELS`."""
    if level not in LEVELS:
        raise ValueError(f"{level!r} is none of {', '.join(LEVELS)}")
    pairs = [(name, str(value)) for name, value in fields.items()]
    _host.backend().write(level, message, pairs)


def debug(message: str, **fields: object) -> None:
    """Writes a line for whoever looks for a mistake."""
    write("debug", message, **fields)


def info(message: str, **fields: object) -> None:
    """Writes a line about what happened."""
    write("info", message, **fields)


def warn(message: str, **fields: object) -> None:
    """Writes a line about something that is off."""
    write("warn", message, **fields)


def error(message: str, **fields: object) -> None:
    """Writes a line about something that failed."""
    write("error", message, **fields)
