"""A host for unit tests: it answers from a script and records what it was asked.

    ran = Host().answers("GET http://shop/rate", 503, "busy").run(Plugin, {"address": "http://shop"})
    assert isinstance(ran.error, Transient)
"""

import json
from dataclasses import dataclass, field
from typing import Any, Callable

from . import _cluster, _host
from . import config as _config
from .errors import Error, Failed
from .http import Request, Response
from .metric import Calls, Context
from .routers import Calls as RouterCalls
from .routers import Routing
from .steps import Calls as StepCalls
from .steps import StepContext


@dataclass
class Ran:
    """What a call answered, and what it did."""

    result: Any = None
    """What the plugin answered: a measurement, a progress, changes, a verification."""
    error: Error | None = None
    """What the plugin raised, if it did."""
    requests: list[Request] = field(default_factory=list)
    """What was sent, in order."""
    lines: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """What was logged, in order: level, message, fields."""
    objects: list[dict[str, Any]] = field(default_factory=list)
    """What there is after the changes of a router."""


class Host:
    """A host that grants nothing yet, at the beginning of 1970."""

    def __init__(self) -> None:
        self._script: list[list[Any]] = []
        self._secrets: dict[str, bytes] = {}
        self._now_ms = 0
        self._context = Context()
        self._step = StepContext()
        self._objects: list[dict[str, Any]] = []
        self._ran = Ran()

    def answers(
        self, route: str, status: int, body: Any, headers: dict[str, str] | None = None
    ) -> "Host":
        """Answers a route, such as `POST http://shop/search`: text as it is, the rest as JSON.

        A URL's query counts only if the route has one. A route with several answers gives them in
        turn, the last one for ever. What no route covers is not granted.
        """
        text = body if isinstance(body, str) else json.dumps(body)
        response = Response(status, list((headers or {}).items()), text.encode())
        self._script.append([route, response, False])
        return self

    def fails(self, route: str, error: Error) -> "Host":
        """Lets a route fail, as with `Transient("no answer in time")`."""
        self._script.append([route, error, False])
        return self

    def secret(self, alias: str, value: str | bytes) -> "Host":
        """Grants a secret."""
        self._secrets[alias] = value.encode() if isinstance(value, str) else value
        return self

    def at(self, now_ms: int) -> "Host":
        """Sets the time, in milliseconds since the Unix epoch."""
        self._now_ms = now_ms
        return self

    def context(self, context: Context) -> "Host":
        """Sets the measurement that is taken."""
        self._context = context
        return self

    def step(self, context: StepContext) -> "Host":
        """Sets the step that is done."""
        self._step = context
        return self

    def validate(self, plugin: type, config: Any) -> Ran:
        """Calls the `validate` of any plugin, the configuration being read as the controller's is."""
        text = json.dumps(config)

        def validate() -> None:
            _config.opened(plugin, plugin(), text)

        return self._call(validate)

    def run(self, provider: type, config: Any) -> Ran:
        """Calls a provider's `run`."""
        return self._call(lambda: Calls(provider).run(self._context, json.dumps(config)))

    def resume(self, provider: type, config: Any, token: Any) -> Ran:
        """Calls a provider's `resume`."""
        texts = json.dumps(config), json.dumps(token)
        return self._call(lambda: Calls(provider).resume(self._context, *texts))

    def terminate(self, provider: type, config: Any, token: Any) -> Ran:
        """Calls a provider's `terminate`."""
        texts = json.dumps(config), json.dumps(token)
        return self._call(lambda: Calls(provider).terminate(self._context, *texts))

    def run_step(self, step: type, config: Any, state: Any = None) -> Ran:
        """Calls a step's `run` with what an earlier call left behind, as a dataclass or JSON.

        The `state` of the result is JSON, as the next call is given it.
        """

        def run() -> Any:
            progress, text = StepCalls(step).run(self._step, json.dumps(config), _text(state))
            progress.state = None if text is None else json.loads(text)
            return progress

        return self._call(run)

    def terminate_step(self, step: type, config: Any, state: Any = None) -> Ran:
        """Calls a step's `terminate`."""
        texts = json.dumps(config), _text(state)
        return self._call(lambda: StepCalls(step).terminate(self._step, *texts))

    def abort_step(self, step: type, config: Any, state: Any = None) -> Ran:
        """Calls a step's `abort`."""
        texts = json.dumps(config), _text(state)
        return self._call(lambda: StepCalls(step).abort(self._step, *texts))

    def objects(self, *objects: dict[str, Any]) -> "Host":
        """Sets the objects that are there. A router sees those that it asks for, and no other."""
        self._objects = list(objects)
        return self

    def route(self, router: type, config: Any, wanted: Routing) -> Ran:
        """Calls a router's `route`, with what it asks for."""
        return self._change("route", router, config, wanted)

    def release(self, router: type, config: Any, last: Routing) -> Ran:
        """Calls a router's `release`, with what it asks for."""
        return self._change("release", router, config, last)

    def verify(self, router: type, config: Any, wanted: Routing) -> Ran:
        """Calls a router's `verify`, with what it asks for."""
        return self._ask("verify", router, config, wanted)

    def _change(self, name: str, router: type, config: Any, wanted: Routing) -> Ran:
        ran = self._ask(name, router, config, wanted)
        ran.objects = _cluster.applied(self._objects, wanted.namespace, ran.result or [])
        return ran

    def _ask(self, name: str, router: type, config: Any, wanted: Routing) -> Ran:
        calls, text = RouterCalls(router), json.dumps(config)

        def ask() -> Any:
            references = lambda found: calls.references(wanted, text, found)
            seen = _cluster.seen(self._objects, wanted.namespace, references)
            return getattr(calls, name)(wanted, text, seen)

        return self._call(ask)

    def _call(self, work: Callable[[], Any]) -> Ran:
        self._ran = Ran()
        before = _host.use(self)
        try:
            self._ran.result = work()
        except Error as error:
            self._ran.error = error
        finally:
            _host.use(before)
        return self._ran

    def send(self, request: Request) -> Response:
        """For the modules of the SDK."""
        self._ran.requests.append(request)
        whole = f"{request.method} {request.url}"
        fitting = [s for s in self._script if s[0] in (whole, whole.split("?")[0])]
        if not fitting:
            raise Failed("not-granted", f"the plugin lacks the grant {whole}")
        scripted = next((s for s in fitting if not s[2]), fitting[-1])
        scripted[2] = True
        if isinstance(scripted[1], Error):
            raise scripted[1]
        return scripted[1]

    def secret_of(self, alias: str) -> bytes:
        """For the modules of the SDK."""
        if alias not in self._secrets:
            raise Failed("not-granted", f"the plugin lacks the grant secret {alias}")
        return self._secrets[alias]

    def enabled(self, level: str) -> bool:
        """For the modules of the SDK."""
        return True

    def write(self, level: str, message: str, fields: list[tuple[str, str]]) -> None:
        """For the modules of the SDK."""
        self._ran.lines.append((level, message, dict(fields)))

    def now_ms(self) -> int:
        """For the modules of the SDK."""
        return self._now_ms


def _text(state: Any) -> str | None:
    return None if state is None else _config.dump(state)
