"""The component: what the host calls, and the way to the host. Only a component imports this.

The modules below `wit_world` are made by componentize-py for the project's own world, so one that
`plugin.yaml` does not ask for is not there.
"""

import json
import math
import time as _time
import traceback

import wit_world
from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import provider as wire
from wit_world.imports import log as _log
from wit_world.imports import types as _types

from . import _host
from .errors import Error, Failed, InvalidConfig, Transient
from .http import Request, Response
from .metric import Calls, Context, Measurement, Verdict, provider

try:
    from wit_world.imports import http as _http
except ImportError:
    _http = None
try:
    from wit_world.imports import secrets as _secrets
except ImportError:
    _secrets = None

_LARGEST_U32 = 0xFFFFFFFF


def _not_asked_for(what: str) -> Failed:
    return Failed("not-requested", f"plugin.yaml does not ask for {what}: add it to `requests`")


class _Controller:
    def send(self, request: Request) -> Response:
        if _http is None:
            raise _not_asked_for("http")
        try:
            answer = _http.send(
                _http.Request(
                    request.method,
                    request.url,
                    request.headers,
                    request.body,
                    request.timeout_ms,
                    request.insecure,
                )
            )
        except Err as error:
            raise _http_error(error.value) from None
        return Response(answer.status, answer.headers, answer.body)

    def secret_of(self, alias: str) -> bytes:
        if _secrets is None:
            raise _not_asked_for("secrets")
        try:
            return _secrets.get(alias)
        except Err as error:
            raise _secret_error(error.value) from None

    def enabled(self, level: str) -> bool:
        return _log.enabled(_log.Level[level.upper()])

    def write(self, level: str, message: str, fields: list[tuple[str, str]]) -> None:
        _log.write(_log.Level[level.upper()], message, fields)

    def now_ms(self) -> int:
        return _time.time_ns() // 1_000_000


def _http_error(error: object) -> Error:
    match error:
        case _http.HttpError_NotGranted(grant):
            return Failed("not-granted", f"the plugin lacks the grant {grant}")
        case _http.HttpError_InvalidRequest(why):
            return Failed("invalid-request", f"invalid request: {why}")
        case _http.HttpError_Timeout():
            return Transient("no answer in time")
        case _http.HttpError_Connect(why):
            return Transient(f"cannot connect: {why}")
        case _http.HttpError_TooLarge(limit):
            return Failed("too-large", f"the answer is larger than {limit} bytes")
        case _http.HttpError_Other(why):
            return Transient(why)
    return Failed("http", repr(error))


def _secret_error(error: object) -> Error:
    match error:
        case _secrets.SecretError_NotGranted(grant):
            return Failed("not-granted", f"the plugin lacks the grant {grant}")
        case _secrets.SecretError_NotFound(what):
            return Failed("secret-not-found", f"secret not found: {what}")
        case _secrets.SecretError_Unavailable(why):
            return Transient(f"secret unavailable: {why}")
    return Failed("secret", repr(error))


def _error(error: Exception) -> Err:
    match error:
        case InvalidConfig():
            return Err(_types.PluginError_InvalidConfig(error.message))
        case Transient():
            after = error.after_ms
            after = None if after is None else max(0, min(int(after), _LARGEST_U32))
            return Err(_types.PluginError_Transient(_types.RetryHint(error.message, after)))
        case Failed():
            return Err(_types.PluginError_Failed(_types.Failure(error.code, error.message)))
    # Whatever the author did not think of has its line in the log, and its text in the answer.
    _log.write(_log.Level.ERROR, "".join(traceback.format_exception(error)), [])
    text = f"{type(error).__name__}: {error}"
    return Err(_types.PluginError_Failed(_types.Failure("exception", text)))


_VERDICTS = {
    Verdict.SUCCESSFUL: wire.Verdict.SUCCESSFUL,
    Verdict.FAILED: wire.Verdict.FAILED,
    Verdict.INCONCLUSIVE: wire.Verdict.INCONCLUSIVE,
}


def _json(value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Failed("not-json", f"the answer is no JSON: {error}") from error


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
            after = max(0, min(measurement.resume_after_ms, _LARGEST_U32))
            return wire.Outcome_Running(wire.InProgress(_json(content), after))
    if isinstance(content, float) and not math.isfinite(content):
        return wire.Outcome_Number(content)
    return wire.Outcome_Value(_json(content))


def _answer(measurement: Measurement) -> object:
    metadata = list(measurement.metadata.items())
    return wire.Measurement(_outcome(measurement), measurement.message, metadata)


def _context(ctx: object) -> Context:
    return Context(ctx.namespace, ctx.analysis_run, ctx.metric, dict(ctx.labels), ctx.index)


class Provider(exports.Provider):
    """What the host calls. Every call is in an instance of its own."""

    def validate(self, config: str) -> None:
        try:
            _CALLS.validate(config)
        except Exception as error:
            raise _error(error) from None

    def run(self, ctx):
        try:
            return _answer(_CALLS.run(_context(ctx), ctx.config))
        except Exception as error:
            raise _error(error) from None

    def resume(self, ctx, token: str):
        try:
            return _answer(_CALLS.resume(_context(ctx), ctx.config, token))
        except Exception as error:
            raise _error(error) from None

    def terminate(self, ctx, token: str) -> None:
        try:
            _CALLS.terminate(_context(ctx), ctx.config, token)
        except Exception as error:
            raise _error(error) from None


_host.use(_Controller())
# Made while the component is built, so that a call finds it ready.
_CALLS = Calls(provider())

__all__ = ["Provider", "wit_world"]
