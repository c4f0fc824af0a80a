"""Why a plugin did not do what it was asked. There are three kinds, and never more."""


class Error(Exception):
    """One of the three kinds below."""

    def __init__(self, message: str):
        super().__init__(message)
        self.message = message


class InvalidConfig(Error):
    """What the user configured is wrong, and trying again will not help. Name the field."""


class Transient(Error):
    """Worth another try: the other side cannot be reached, or is busy."""

    def __init__(self, message: str, after_ms: int | None = None):
        """`after_ms` is when to try again, in milliseconds, if the plugin knows."""
        super().__init__(message)
        self.after_ms = after_ms


class Failed(Error):
    """Neither the user's mistake nor worth another try."""

    def __init__(self, code: str, message: str):
        """`code` is lower-kebab-case and stable: it becomes the label of a metric."""
        super().__init__(message)
        self.code = code
