"""Steps: something to do between two weights."""

import json
from dataclasses import dataclass
from typing import Any

from . import config as _config
from .errors import Failed, InvalidConfig


@dataclass
class StepContext:
    """The step that is done."""

    namespace: str = ""
    """Namespace of the rollout."""
    rollout: str = ""
    """Name of the rollout."""
    rollout_uid: str = ""
    """Tells the rollout from one of the same name before it."""
    revision: str = ""
    """The revision that is released, as in `rollout.argoproj.io/revision`."""
    step_index: int = 0
    """Among the rollout's steps, from zero."""

    @property
    def key(self) -> str:
        """A name for this step of this release that no other has, and a repeated call has again.

        A server that is given it can tell a repeated request from a second one.
        """
        return f"{self.rollout_uid}-{self.revision}-{self.step_index}"


@dataclass
class Progress:
    """How far a step is. Make one with `done`, `failed` or `again`."""

    outcome: str
    why: str = ""
    after_ms: int = 0
    state: Any = None
    message: str | None = None

    @staticmethod
    def done() -> "Progress":
        """The release may go on."""
        return Progress("done")

    @staticmethod
    def failed(why: str) -> "Progress":
        """The release must not go on: it is aborted."""
        return Progress("failed", why=str(why))

    @staticmethod
    def again(state: Any, after: float) -> "Progress":
        """`run` is called again with this state, after so many seconds: from one to an hour.

        The state is a dataclass or JSON, of at most 16 KiB. It outlives the controller and this
        version of the plugin.
        """
        return Progress("again", after_ms=int(after * 1000), state=state)

    def keeping(self, state: Any) -> "Progress":
        """Leaves something behind, which `abort` finds even when the step is done."""
        self.state = state
        return self

    def with_message(self, text: str) -> "Progress":
        """Says something to people."""
        self.message = text
        return self


class Step:
    """What a step may have besides `run`. To inherit from it is good for editors only.

    Nothing is kept between calls but the state: each runs in an instance of its own.
    """

    Config: type
    State: type | None = None
    """The dataclass of what one call leaves behind for the next; without it, any JSON."""

    def validate(self, config: Any) -> None:
        """Raises `InvalidConfig` if a configuration is not right, beyond what its type says.

        There is neither network nor cluster.
        """

    def run(self, context: StepContext, config: Any, state: Any) -> Progress:
        """Does the step, or goes on with it. `state` is None before the first call.

        After a crash it may be called again with the same state, which must do no harm;
        `context.key` helps. What is raised is no failure of the step: it means that nobody knows
        yet.
        """
        raise NotImplementedError

    def terminate(self, context: StepContext, config: Any, state: Any) -> None:
        """The release goes on without the step: stop what was started. It may never have run."""

    def abort(self, context: StepContext, config: Any, state: Any) -> None:
        """The release is aborted: undo what was done. It may never have run, or be done."""


_step: Any = None


def step(given: type) -> type:
    """Makes a class the component's step. Its `Config`, and `State` if any, are dataclasses."""
    global _step
    _step = _config.plugin(given, ["run"])
    return given


def the_step() -> Any:
    """The component's step."""
    if _step is None:
        raise RuntimeError("plugin.py has no class with @step")
    return _step


class Calls:
    """A step's functions, from JSON to its progress. A state is a text, or None."""

    def __init__(self, given: type):
        self._type = given
        self._step = given()

    def _open(self, config: str, state: str | None) -> tuple[Any, Any]:
        return _config.opened(self._type, self._step, config), self._read(state)

    def _read(self, text: str | None) -> Any:
        if text is None:
            return None
        of = getattr(self._type, "State", None)
        try:
            return json.loads(text) if of is None else _config.parse(of, text)
        except (InvalidConfig, ValueError) as error:
            raise Failed("bad-state", f"cannot read the state: {error}") from error

    def validate(self, config: str) -> None:
        _config.opened(self._type, self._step, config)

    def run(self, context: StepContext, config: str, state: str | None):
        """The progress, and the text of its state."""
        progress = self._step.run(context, *self._open(config, state))
        if not isinstance(progress, Progress):
            name = type(progress).__name__
            raise Failed("no-progress", f"the step answered {name} and no Progress")
        return progress, None if progress.state is None else _config.dump(progress.state)

    def terminate(self, context: StepContext, config: str, state: str | None) -> None:
        self._end("terminate", context, config, state)

    def abort(self, context: StepContext, config: str, state: str | None) -> None:
        self._end("abort", context, config, state)

    def _end(self, name: str, context: StepContext, config: str, state: str | None) -> None:
        end = getattr(self._step, name, None)
        if end is not None:
            end(context, *self._open(config, state))
