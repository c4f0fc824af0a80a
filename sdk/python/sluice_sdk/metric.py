"""Metric providers: one measurement of one metric."""

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Iterable

from . import config as _config
from .errors import Failed


@dataclass
class Context:
    """The measurement that is taken."""

    namespace: str = ""
    """Namespace of the analysis run."""
    analysis_run: str = ""
    """Name of the analysis run."""
    metric: str = ""
    """Name of the metric."""
    labels: dict[str, str] = field(default_factory=dict)
    """Good for labels of queries: rollout, revision, the hashes of canary and stable."""
    index: int = 0
    """Zero for the metric's first measurement."""


class Verdict(Enum):
    """What a provider judges by itself."""

    SUCCESSFUL = "successful"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass
class Measurement:
    """One measurement. The host judges the user's conditions on it.

    Make one with `number`, `numbers`, `value`, `no_data`, `judged` or `running`.
    """

    outcome: str
    content: Any = None
    resume_after_ms: int = 0
    message: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def number(number: float) -> "Measurement":
        """One number; NaN and infinities are numbers."""
        return Measurement("number", float(number))

    @staticmethod
    def numbers(numbers: Iterable[float]) -> "Measurement":
        """Several numbers."""
        return Measurement("numbers", [float(number) for number in numbers])

    @staticmethod
    def value(value: Any) -> "Measurement":
        """Any JSON."""
        return Measurement("value", value)

    @staticmethod
    def no_data() -> "Measurement":
        """The query was fine, and nothing came back."""
        return Measurement("no-data")

    @staticmethod
    def judged(verdict: Verdict) -> "Measurement":
        """The provider's own judgement."""
        return Measurement("judged", verdict)

    @staticmethod
    def running(token: Any, resume_after: float) -> "Measurement":
        """It takes longer: the host calls `resume` with the token, after so many seconds.

        The token is JSON of at most 16 KiB, and outlives the controller and this version of the
        plugin.
        """
        return Measurement("running", token, resume_after_ms=int(resume_after * 1000))

    def with_message(self, text: str) -> "Measurement":
        """Says something to people."""
        self.message = text
        return self

    def with_metadata(self, **metadata: object) -> "Measurement":
        """Adds to what is kept with the measurement: the query as it was sent, a link."""
        self.metadata.update({name: str(value) for name, value in metadata.items()})
        return self


class Provider:
    """What a provider may have besides `run`. To inherit from it is good for editors only."""

    Config: type

    def validate(self, config: Any) -> None:
        """Raises `InvalidConfig` if a configuration is not right, beyond what its type says.

        There is neither network nor cluster.
        """

    def run(self, context: Context, config: Any) -> Measurement:
        """Takes a measurement. After a crash it may be called again, which must do no harm."""
        raise NotImplementedError

    def resume(self, context: Context, config: Any, token: Any) -> Measurement:
        """Goes on after `Measurement.running`. By default that starts over."""
        return self.run(context, config)

    def terminate(self, context: Context, config: Any, token: Any) -> None:
        """Nobody waits any more: cancel what was started, as well as can be."""


_provider: Any = None


def metric_provider(provider: type) -> type:
    """Makes a class the component's provider. Its `Config` is a dataclass."""
    global _provider
    _provider = _config.plugin(provider, ["run"])
    return provider


def provider() -> Any:
    """The component's provider."""
    if _provider is None:
        raise RuntimeError("plugin.py has no class with @metric_provider")
    return _provider


class Calls:
    """A provider's functions, from JSON to a measurement."""

    def __init__(self, provider: type):
        self._type = provider
        self._provider = provider()

    def _part(self, name: str) -> Any:
        return getattr(self._provider, name, None) or getattr(Provider(), name)

    def _config(self, text: str) -> Any:
        return _config.opened(self._type, self._provider, text)

    def validate(self, config: str) -> None:
        self._config(config)

    def run(self, context: Context, config: str) -> Measurement:
        return self._measured(self._provider.run(context, self._config(config)))

    def resume(self, context: Context, config: str, token: str) -> Measurement:
        resume = getattr(self._provider, "resume", None)
        if resume is None:
            return self.run(context, config)
        return self._measured(resume(context, self._config(config), json.loads(token)))

    def terminate(self, context: Context, config: str, token: str) -> None:
        self._part("terminate")(context, self._config(config), json.loads(token))

    def _measured(self, measurement: Any) -> Measurement:
        if not isinstance(measurement, Measurement):
            raise Failed(
                "no-measurement",
                f"the provider answered {type(measurement).__name__} and no Measurement",
            )
        return measurement
