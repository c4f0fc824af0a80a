"""Traffic routers: from the routing that a rollout wants and the objects that are there, the objects
as they should be.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from . import config as _config
from .errors import Failed


class capability:
    """What a router can do besides weights."""

    HEADER_ROUTES = "header-routes"
    """Routes by header, as the step `setHeaderRoute` wants."""
    MIRROR_ROUTES = "mirror-routes"
    """Copies of requests, as the step `setMirrorRoute` wants."""
    ADDITIONAL_DESTINATIONS = "additional-destinations"
    """Weight for more than canary and stable, as experiments want."""
    VERIFY = "verify"
    """`verify` can tell that the data plane does what is wanted."""
    AFFINITY = "affinity"
    """Requests of one client stay with one version."""
    PING_PONG = "ping-pong"
    """Two Services that take turns in being the stable one."""


@dataclass
class Destination:
    """Where a part of the traffic goes."""

    service: str = ""
    """A Service; empty where the rollout names none."""
    pod_hash: str = ""
    """The value of `rollouts-pod-template-hash`; empty while there is no ReplicaSet."""
    weight: int = 0
    """In parts of `Routing.total_weight`."""


@dataclass
class StringMatch:
    """How a text is compared."""

    how: str
    """`exact`, `prefix` or `regex`, in the dialect of the data plane."""
    text: str


@dataclass
class HeaderMatch:
    """A header that must be there, and its value."""

    name: str
    value: StringMatch


@dataclass
class HeaderRoute:
    """What matches all headers goes to the canary, whatever the weights say."""

    name: str
    headers: list[HeaderMatch] = field(default_factory=list)


@dataclass
class MirrorMatch:
    """One way for a request to match a mirror route."""

    method: StringMatch | None = None
    path: StringMatch | None = None
    headers: list[HeaderMatch] = field(default_factory=list)


@dataclass
class MirrorRoute:
    """What fits one of `matches` is copied to the canary; answers to the copies are dropped."""

    name: str
    matches: list[MirrorMatch] = field(default_factory=list)
    percentage: int = 100
    """How many of the matching requests are copied."""


@dataclass
class Routing:
    """All that a rollout wants, complete at every call.

    A route that is not in it goes, if its name is one of `managed_routes`.
    """

    namespace: str = "default"
    rollout: str = ""
    rollout_uid: str = ""
    """For owner references."""
    stable: Destination = field(default_factory=Destination)
    canary: Destination = field(default_factory=Destination)
    additional: list[Destination] = field(default_factory=list)
    """Experiments and the like."""
    total_weight: int = 100
    """What all weights add up to."""
    header_routes: list[HeaderRoute] = field(default_factory=list)
    mirror_routes: list[MirrorRoute] = field(default_factory=list)
    managed_routes: list[str] = field(default_factory=list)
    """Names that this rollout may make and remove routes by; earlier ones come first."""
    extensions: dict[str, Any] = field(default_factory=dict)
    """What later versions want, by the name of the capability; empty today."""


@dataclass(frozen=True)
class ObjectQuery:
    """What a router has to see."""

    api_version: str
    """Such as `networking.k8s.io/v1`."""
    kind: str
    name: str | None = None
    """None is every object that the selector selects."""
    namespace: str | None = None
    """None is the rollout's."""
    label_selector: str | None = None
    """In the notation of `kubectl --selector`."""


@dataclass
class Put:
    """The whole object as it should be; made if it is not there. The host writes what differs."""

    object: dict[str, Any]


@dataclass
class Remove:
    """An object that is to go."""

    api_version: str
    kind: str
    name: str
    namespace: str | None = None
    """None is for kinds that belong to the cluster."""


@dataclass(frozen=True)
class Verification:
    """Whether the data plane does what is wanted. Make one with the functions below."""

    answer: str
    missing: str = ""

    @staticmethod
    def converged() -> "Verification":
        """It does."""
        return Verification("converged")

    @staticmethod
    def pending(missing: str) -> "Verification":
        """Not yet, and what is missing."""
        return Verification("pending", missing)

    @staticmethod
    def cannot_tell() -> "Verification":
        """The objects are as wanted, and nothing tells more: the host waits a while."""
        return Verification("cannot-tell")


def update(before: dict[str, Any], after: dict[str, Any]) -> list[Put | Remove]:
    """What makes one object of the other: no change if they are the same."""
    return [] if before == after else [Put(after)]


def first_difference(have: Any, want: Any) -> str | None:
    """The path of the first field in which two objects differ, such as `spec.rules`.

    None if there is no difference. Lists are not looked into; for two values of which one is no
    object, the path is empty.
    """
    if have == want:
        return None
    if not isinstance(have, dict) or not isinstance(want, dict):
        return ""
    missing = object()
    for name in sorted(have.keys() | want.keys()):
        one, other = have.get(name, missing), want.get(name, missing)
        rest = first_difference(one, other)
        if rest is not None:
            return f"{name}.{rest}" if rest else name
    return None


class TrafficRouter:
    """What a router has. To inherit from it is good for editors only.

    It reads and writes nothing by itself: the host reads the objects that it asks for, and writes
    what it answers. An object is a dict, as in its YAML.
    """

    Config: type
    capabilities: list[str] = []
    """What it can do besides weights, by the names in `capability`."""

    def validate(self, config: Any) -> None:
        """Raises `InvalidConfig` if a configuration is not right, beyond what its type says."""

    def references(self, wanted: Routing, config: Any, found: list[dict]) -> list[ObjectQuery]:
        """Which objects it must see.

        Asked again with what was found, up to four times, until it asks for nothing new.
        """
        raise NotImplementedError

    def route(self, wanted: Routing, config: Any, objects: list[dict]) -> list[Put | Remove]:
        """What has to change, in an order that is safe to stop at any point.

        Nothing means that the objects say what is wanted.
        """
        raise NotImplementedError

    def verify(self, wanted: Routing, config: Any, objects: list[dict]) -> Verification:
        """Whether the data plane does what is wanted."""
        raise NotImplementedError

    def release(self, last: Routing, config: Any, objects: list[dict]) -> list[Put | Remove]:
        """The rollout is going, or uses another router: takes back what is the rollout's."""
        raise NotImplementedError


_router: Any = None


def traffic_router(given: type) -> type:
    """Makes a class the component's router. Its `Config` is a dataclass."""
    global _router
    _router = _config.plugin(given, ["references", "route", "verify", "release"])
    return given


def the_router() -> Any:
    """The component's router."""
    if _router is None:
        raise RuntimeError("plugin.py has no class with @traffic_router")
    return _router


class Calls:
    """A router's functions, from JSON on. Objects are texts."""

    def __init__(self, given: type):
        self._type = given
        self._router = given()

    def capabilities(self) -> list[str]:
        return list(getattr(self._router, "capabilities", []))

    def validate(self, config: str) -> None:
        _config.opened(self._type, self._router, config)

    def references(self, wanted: Routing, config: str, found: list[str]) -> list[ObjectQuery]:
        return _listed(ObjectQuery, "queries", self._call("references", wanted, config, found))

    def route(self, wanted: Routing, config: str, objects: list[str]) -> list[Put | Remove]:
        return _listed((Put, Remove), "changes", self._call("route", wanted, config, objects))

    def release(self, last: Routing, config: str, objects: list[str]) -> list[Put | Remove]:
        return _listed((Put, Remove), "changes", self._call("release", last, config, objects))

    def verify(self, wanted: Routing, config: str, objects: list[str]) -> Verification:
        answer = self._call("verify", wanted, config, objects)
        if not isinstance(answer, Verification):
            name = type(answer).__name__
            raise Failed("no-verification", f"the router answered {name} and no Verification")
        return answer

    def _call(self, name: str, wanted: Routing, config: str, texts: list[str]) -> Any:
        opened = _config.opened(self._type, self._router, config)
        try:
            objects = [json.loads(text) for text in texts]
        except ValueError as error:
            raise Failed("bad-object", f"cannot read an object: {error}") from error
        return getattr(self._router, name)(wanted, opened, objects)


def _listed(of: Any, what: str, answer: Any) -> list[Any]:
    if isinstance(answer, (list, tuple)) and all(isinstance(item, of) for item in answer):
        return list(answer)
    name = type(answer).__name__
    raise Failed(f"no-{what}", f"the router answered {name} and no list of {what}")
