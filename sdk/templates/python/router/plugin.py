"""Moves weights between the backends of a WeightedRoute."""

import copy
from dataclasses import dataclass, replace

from sluice_sdk import (
    InvalidConfig,
    ObjectQuery,
    Put,
    Remove,
    Routing,
    Verification,
    capability,
    traffic_router,
    update,
)

API_VERSION = "gateway.example.com/v1"
KIND = "WeightedRoute"


@dataclass
class Config:
    """What a user writes under the plugin's name in a rollout's `trafficRouting.plugins`."""

    route: str
    """The name of the WeightedRoute, in the rollout's namespace."""


@traffic_router
class Plugin:
    Config = Config
    capabilities = [capability.VERIFY]

    def validate(self, config: Config) -> None:
        if not config.route:
            raise InvalidConfig(f"route: must be the name of a {KIND}")

    def references(self, wanted: Routing, config: Config, found: list[dict]) -> list[ObjectQuery]:
        return [ObjectQuery(API_VERSION, KIND, config.route)]

    def route(self, wanted: Routing, config: Config, objects: list[dict]) -> list[Put | Remove]:
        if not objects:
            raise InvalidConfig(f"route: there is no {KIND} {config.route}")
        changed = copy.deepcopy(objects[0])
        for side in (wanted.stable, wanted.canary):
            backend(changed, config, side.service)["weight"] = side.weight
        return update(objects[0], changed)

    def verify(self, wanted: Routing, config: Config, objects: list[dict]) -> Verification:
        if self.route(wanted, config, objects):
            return Verification.pending(f"{KIND} {config.route} has other weights")
        # The gateway says for which generation of the object its status is.
        route = objects[0]
        seen = route.get("status", {}).get("observedGeneration")
        if seen == route["metadata"].get("generation"):
            return Verification.converged()
        return Verification.pending("the gateway has not read the weights yet")

    def release(self, last: Routing, config: Config, objects: list[dict]) -> list[Put | Remove]:
        # A route that is gone has nothing of the rollout's left in it.
        if not objects:
            return []
        stable = replace(last.stable, weight=last.total_weight)
        canary = replace(last.canary, weight=0)
        return self.route(replace(last, stable=stable, canary=canary), config, objects)


def backend(route: dict, config: Config, service: str) -> dict:
    """The backend of a route that leads to a service."""
    for one in route.get("spec", {}).get("backends", []):
        if one.get("service") == service:
            return one
    raise InvalidConfig(f'route: {KIND} {config.route} has no backend "{service}"')
