"""A step's component: what the host calls. Only a component imports this."""

import wit_world
from wit_world import exports
from wit_world.exports import step as wire

from ._wire import answered, milliseconds
from .steps import Calls, Progress, StepContext, the_step


def _outcome(progress: Progress) -> object:
    match progress.outcome:
        case "failed":
            return wire.StepOutcome_Failed(progress.why)
        case "again":
            return wire.StepOutcome_Again(milliseconds(progress.after_ms))
    return wire.StepOutcome_Done()


def _run(ctx: object) -> object:
    progress, state = _CALLS.run(_context(ctx), ctx.config, ctx.state)
    return wire.StepResult(_outcome(progress), state, progress.message)


def _context(ctx: object) -> StepContext:
    return StepContext(ctx.namespace, ctx.rollout, ctx.rollout_uid, ctx.revision, ctx.step_index)


class Step(exports.Step):
    """What the host calls. Every call is in an instance of its own."""

    def validate(self, config: str) -> None:
        answered(lambda: _CALLS.validate(config))

    def run(self, ctx):
        return answered(lambda: _run(ctx))

    def terminate(self, ctx) -> None:
        answered(lambda: _CALLS.terminate(_context(ctx), ctx.config, ctx.state))

    def abort(self, ctx) -> None:
        answered(lambda: _CALLS.abort(_context(ctx), ctx.config, ctx.state))


# Made while the component is built, so that a call finds it ready.
_CALLS = Calls(the_step())

__all__ = ["Step", "wit_world"]
