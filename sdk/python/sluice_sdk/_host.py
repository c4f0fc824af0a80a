"""What does the work of host calls: the controller in a component, a script in unit tests."""

from typing import Protocol


class Backend(Protocol):
    """What the modules `http`, `secrets`, `log` and `time` need."""

    def send(self, request): ...

    def secret_of(self, alias: str) -> bytes: ...

    def enabled(self, level: str) -> bool: ...

    def write(self, level: str, message: str, fields: list[tuple[str, str]]) -> None: ...

    def now_ms(self) -> int: ...


_backend: Backend | None = None


def use(backend: Backend | None) -> Backend | None:
    """Puts a backend in place, and gives the one that was there."""
    global _backend
    before, _backend = _backend, backend
    return before


def backend() -> Backend:
    """The backend in place."""
    if _backend is None:
        raise RuntimeError(
            "there is no host here: call the provider through sluice_sdk.testing.Host"
        )
    return _backend
