"""The way to the host, and what every kind of component needs. Only a component imports this.

The modules below `wit_world` are made by componentize-py for the project's own world, so one that
`plugin.yaml` does not ask for is not there.
"""

import json
import time as _time
import traceback
from typing import Any, Callable

from componentize_py_types import Err
from wit_world.imports import log as _log

from . import _host
from .errors import Error, Failed, InvalidConfig, Transient
from .http import Request, Response

try:
    from wit_world.imports import types as _types
except ImportError:
    # Routers have other types beside these, and then both have longer names.
    from wit_world.imports import sluice_plugin_types as _types
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
            after = None if after is None else milliseconds(after)
            return Err(_types.PluginError_Transient(_types.RetryHint(error.message, after)))
        case Failed():
            return Err(_types.PluginError_Failed(_types.Failure(error.code, error.message)))
    # Whatever the author did not think of has its line in the log, and its text in the answer.
    _log.write(_log.Level.ERROR, "".join(traceback.format_exception(error)), [])
    text = f"{type(error).__name__}: {error}"
    return Err(_types.PluginError_Failed(_types.Failure("exception", text)))


def milliseconds(number: float) -> int:
    """For the host, which cannot count further."""
    return max(0, min(int(number), _LARGEST_U32))


def to_json(value: object) -> str:
    """What is sent as JSON."""
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Failed("not-json", f"the answer is no JSON: {error}") from error


def answered(work: Callable[[], Any]) -> Any:
    """What a call answers, with its errors as the host knows them."""
    try:
        return work()
    except Exception as error:
        raise _error(error) from None


# Made while the component is built, so that a call finds it ready.
_host.use(_Controller())
