"""Routers, from the objects that they ask for to those that they leave behind."""

import copy
import unittest
from dataclasses import dataclass

from sluice_sdk import (
    Destination,
    Failed,
    InvalidConfig,
    ObjectQuery,
    Put,
    Remove,
    Routing,
    Verification,
    capability,
    first_difference,
    traffic_router,
    update,
)
from sluice_sdk.testing import Host


@dataclass
class Config:
    gateway: str


class Weights:
    """Finds a route by its gateway's name, so that it asks twice."""

    Config = Config
    capabilities = [capability.VERIFY]

    def references(self, wanted, config, found):
        queries = [ObjectQuery("v1", "Gateway", config.gateway)]
        if found:
            selector = f"gateway={config.gateway},!off"
            queries.append(ObjectQuery("v1", "Route", label_selector=selector))
        return queries

    def route(self, wanted, config, objects):
        routes = [object for object in objects if object["kind"] == "Route"]
        if not routes:
            raise InvalidConfig(f"gateway: {config.gateway} has no route")
        after = copy.deepcopy(routes[0])
        after["spec"]["canary"] = wanted.canary.weight
        return update(routes[0], after)

    def verify(self, wanted, config, objects):
        if self.route(wanted, config, objects):
            return Verification.pending("the route is not as wanted")
        return Verification.cannot_tell()

    def release(self, last, config, objects):
        return [Remove("v1", "Route", objects[1]["metadata"]["name"])]


CONFIG = {"gateway": "edge"}
GATEWAY = {"apiVersion": "v1", "kind": "Gateway", "metadata": {"name": "edge"}}
FIFTH = Routing(canary=Destination(weight=20))


def route(name, canary, **labels):
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Route", "metadata": metadata, "spec": {"canary": canary}}


class RouterTest(unittest.TestCase):
    def test_a_router_sees_what_it_asks_for_and_no_other_and_settles(self):
        others = [route("a", 0), route("b", 0, gateway="edge", off="")]
        host = Host().objects(GATEWAY, *others, route("shop", 0, gateway="edge"))
        pending = Verification.pending("the route is not as wanted")
        self.assertEqual(host.verify(Weights, CONFIG, FIFTH).result, pending)
        first = host.route(Weights, CONFIG, FIFTH)
        self.assertEqual(first.result, [Put(route("shop", 20, gateway="edge"))])
        settled = Host().objects(*first.objects)
        self.assertEqual(settled.route(Weights, CONFIG, FIFTH).result, [])
        verified = settled.verify(Weights, CONFIG, FIFTH).result
        self.assertEqual(verified, Verification.cannot_tell())
        released = settled.release(Weights, CONFIG, FIFTH)
        self.assertEqual(released.objects, [GATEWAY, *others])

    def test_objects_are_those_of_the_namespace(self):
        elsewhere = route("shop", 0, gateway="edge")
        elsewhere["metadata"]["namespace"] = "other"
        error = Host().objects(GATEWAY, elsewhere).route(Weights, CONFIG, FIFTH).error
        self.assertIsInstance(error, InvalidConfig)
        self.assertIn("no route", error.message)

    def test_a_broken_configuration_is_refused_by_every_call(self):
        for broken in ([], "text", {"gateway": 1}, {"gateway": "a", "more": 1}):
            self.assertIsInstance(Host().validate(Weights, broken).error, InvalidConfig)
            self.assertIsInstance(Host().route(Weights, broken, FIFTH).error, InvalidConfig)

    def test_what_differs_is_named(self):
        have = {"spec": {"rules": [1], "name": "a"}, "kind": "X"}
        self.assertIsNone(first_difference(have, copy.deepcopy(have)))
        want = {"kind": "X", "spec": {"name": "a", "rules": []}}
        self.assertEqual(first_difference(have, want), "spec.rules")
        self.assertEqual(first_difference(have, {"kind": "X"}), "spec")
        self.assertEqual(first_difference({"a": None}, {}), "a")
        self.assertEqual(first_difference(1, 2), "")

    def test_answers_that_are_none_are_named(self):
        def mute(*_):
            return None

        names = ("references", "route", "verify", "release")
        parts = {"Config": Config, **dict.fromkeys(names, mute)}
        with self.assertRaisesRegex(TypeError, "no method route"):
            traffic_router(type("Bare", (), {"Config": Config, "references": mute}))
        error = Host().route(type("Mute", (), parts), CONFIG, FIFTH).error
        self.assertIsInstance(error, Failed)
        self.assertEqual(error.code, "no-queries")
        parts["references"] = lambda *_: []
        silent = type("Silent", (), parts)
        self.assertEqual(Host().route(silent, CONFIG, FIFTH).error.code, "no-changes")
        self.assertEqual(Host().verify(silent, CONFIG, FIFTH).error.code, "no-verification")


if __name__ == "__main__":
    unittest.main()
