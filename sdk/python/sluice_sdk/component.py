"""A provider's component: what the host calls. Only a component imports this."""

import math

import wit_world
from wit_world import exports
from wit_world.exports import provider as wire

from ._wire import answered, milliseconds, to_json
from .metric import Calls, Context, Measurement, Verdict, provider

_VERDICTS = {
    Verdict.SUCCESSFUL: wire.Verdict.SUCCESSFUL,
    Verdict.FAILED: wire.Verdict.FAILED,
    Verdict.INCONCLUSIVE: wire.Verdict.INCONCLUSIVE,
}


def _outcome(measurement: Measurement) -> object:
    content = measurement.content
    match measurement.outcome:
        case "number":
            return wire.Outcome_Number(content)
        case "numbers":
            return wire.Outcome_Numbers(content)
        case "no-data":
            return wire.Outcome_NoData()
        case "judged":
            return wire.Outcome_Judged(_VERDICTS[content])
        case "running":
            after = milliseconds(measurement.resume_after_ms)
            return wire.Outcome_Running(wire.InProgress(to_json(content), after))
    if isinstance(content, float) and not math.isfinite(content):
        return wire.Outcome_Number(content)
    return wire.Outcome_Value(to_json(content))


def _answer(measurement: Measurement) -> object:
    metadata = list(measurement.metadata.items())
    return wire.Measurement(_outcome(measurement), measurement.message, metadata)


def _context(ctx: object) -> Context:
    return Context(ctx.namespace, ctx.analysis_run, ctx.metric, dict(ctx.labels), ctx.index)


class Provider(exports.Provider):
    """What the host calls. Every call is in an instance of its own."""

    def validate(self, config: str) -> None:
        answered(lambda: _CALLS.validate(config))

    def run(self, ctx):
        return answered(lambda: _answer(_CALLS.run(_context(ctx), ctx.config)))

    def resume(self, ctx, token: str):
        return answered(lambda: _answer(_CALLS.resume(_context(ctx), ctx.config, token)))

    def terminate(self, ctx, token: str) -> None:
        answered(lambda: _CALLS.terminate(_context(ctx), ctx.config, token))


# Made while the component is built, so that a call finds it ready.
_CALLS = Calls(provider())

__all__ = ["Provider", "wit_world"]
