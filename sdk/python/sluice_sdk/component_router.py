"""A router's component: what the host calls. Only a component imports this."""

import json

import wit_world
from wit_world import exports
from wit_world.imports import sluice_plugin_types as _types
from wit_world.imports import sluice_traffic_types as wire

from ._wire import answered, to_json
from .routers import (
    Calls,
    Destination,
    HeaderMatch,
    HeaderRoute,
    MirrorMatch,
    MirrorRoute,
    ObjectQuery,
    Put,
    Remove,
    Routing,
    StringMatch,
    Verification,
    the_router,
)


def _destination(given: object) -> Destination:
    return Destination(given.service, given.pod_hash, given.weight)


def _match(given: object) -> StringMatch:
    match given:
        case wire.StringMatch_Exact(text):
            return StringMatch("exact", text)
        case wire.StringMatch_Prefix(text):
            return StringMatch("prefix", text)
    return StringMatch("regex", given.value)


def _maybe(given: object) -> StringMatch | None:
    return None if given is None else _match(given)


def _headers(given: list) -> list[HeaderMatch]:
    return [HeaderMatch(one.name, _match(one.value)) for one in given]


def _mirror(given: object) -> MirrorRoute:
    matches = [
        MirrorMatch(_maybe(one.method), _maybe(one.path), _headers(one.headers))
        for one in given.matches
    ]
    return MirrorRoute(given.name, matches, given.percentage)


def _routing(given: object) -> Routing:
    return Routing(
        namespace=given.namespace,
        rollout=given.rollout,
        rollout_uid=given.rollout_uid,
        stable=_destination(given.stable),
        canary=_destination(given.canary),
        additional=[_destination(one) for one in given.additional],
        total_weight=given.total_weight,
        header_routes=[HeaderRoute(one.name, _headers(one.headers)) for one in given.header_routes],
        mirror_routes=[_mirror(one) for one in given.mirror_routes],
        managed_routes=list(given.managed_routes),
        extensions=json.loads(given.extensions),
    )


def _query(query: ObjectQuery) -> object:
    return wire.ObjectQuery(
        query.api_version, query.kind, query.namespace, query.name, query.label_selector
    )


def _change(change: Put | Remove) -> object:
    if isinstance(change, Put):
        return wire.Change_Put(to_json(change.object))
    place = (change.api_version, change.kind, change.namespace, change.name)
    return wire.Change_Remove(_types.ObjectRef(*place))


def _verification(found: Verification) -> object:
    match found.answer:
        case "converged":
            return wire.Verification_Converged()
        case "pending":
            return wire.Verification_Pending(found.missing)
    return wire.Verification_CannotTell()


class Router(exports.Router):
    """What the host calls. Every call is in an instance of its own."""

    def capabilities(self) -> list[str]:
        return _CALLS.capabilities()

    def validate(self, config: str) -> None:
        answered(lambda: _CALLS.validate(config))

    def references(self, wanted, found: list[str]):
        calls = lambda: _CALLS.references(_routing(wanted), wanted.config, found)
        return answered(lambda: [_query(query) for query in calls()])

    def route(self, wanted, objects: list[str]):
        calls = lambda: _CALLS.route(_routing(wanted), wanted.config, objects)
        return answered(lambda: [_change(change) for change in calls()])

    def verify(self, wanted, objects: list[str]):
        calls = lambda: _CALLS.verify(_routing(wanted), wanted.config, objects)
        return answered(lambda: _verification(calls()))

    def release(self, last, objects: list[str]):
        calls = lambda: _CALLS.release(_routing(last), last.config, objects)
        return answered(lambda: [_change(change) for change in calls()])


# Made while the component is built, so that a call finds it ready.
_CALLS = Calls(the_router())

__all__ = ["Router", "wit_world"]
