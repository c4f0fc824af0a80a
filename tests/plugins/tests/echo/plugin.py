"""Writes down what is wanted, as it came, and removes what is old."""

from dataclasses import dataclass

from sluice_sdk import ObjectQuery, Remove, Verification, traffic_router, update

API_VERSION = "example.com/v1"


@dataclass
class Config:
    name: str


def destination(given):
    return {"service": given.service, "podHash": given.pod_hash, "weight": given.weight}


def match(given):
    return {given.how: given.text}


def headers(given):
    return [{"name": header.name, "value": match(header.value)} for header in given]


def mirror(given):
    ways = []
    for one in given.matches:
        way = {"headers": headers(one.headers)}
        way |= {"method": match(one.method)} if one.method else {}
        way |= {"path": match(one.path)} if one.path else {}
        ways.append(way)
    return {"name": given.name, "matches": ways, "percentage": given.percentage}


def spec(wanted):
    routes = wanted.header_routes
    return {
        "namespace": wanted.namespace,
        "rollout": wanted.rollout,
        "rolloutUid": wanted.rollout_uid,
        "stable": destination(wanted.stable),
        "canary": destination(wanted.canary),
        "additional": [destination(one) for one in wanted.additional],
        "totalWeight": wanted.total_weight,
        "headerRoutes": [{"name": one.name, "headers": headers(one.headers)} for one in routes],
        "mirrorRoutes": [mirror(one) for one in wanted.mirror_routes],
        "managedRoutes": wanted.managed_routes,
        "extensions": wanted.extensions,
    }


@traffic_router
class Echo:
    Config = Config
    capabilities = ["header-routes", "mirror-routes", "additional-destinations", "ping-pong"]

    def references(self, wanted, config, found):
        selector = f"of={config.name}"
        return [
            ObjectQuery(API_VERSION, "Echo", config.name),
            ObjectQuery(API_VERSION, "Old", namespace="attic", label_selector=selector),
        ]

    def route(self, wanted, config, objects):
        echo = next((one for one in objects if one["kind"] == "Echo"), {})
        place = {"name": config.name, "namespace": wanted.namespace}
        metadata = echo.get("metadata", {}) | place
        after = {"apiVersion": API_VERSION, "kind": "Echo", "metadata": metadata}
        changes = update(echo, after | {"spec": spec(wanted)})
        old = [one["metadata"] for one in objects if one["kind"] == "Old"]
        return changes + [Remove(API_VERSION, "Old", one["name"], one["namespace"]) for one in old]

    def verify(self, wanted, config, objects):
        left = len(self.route(wanted, config, objects))
        return Verification.pending(f"{left} to go") if left else Verification.converged()

    def release(self, last, config, objects):
        there = any(one["kind"] == "Echo" for one in objects)
        return [Remove(API_VERSION, "Echo", config.name, last.namespace)] if there else []
