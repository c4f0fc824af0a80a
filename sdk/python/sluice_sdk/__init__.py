"""Write plugins for Sluice in Python.

A metric provider is a class with a `Config`, a `run`, and the decorator `metric_provider`; a
traffic router has the decorator `traffic_router`, and a step has `step`. The same code runs in unit tests against `sluice_sdk.testing.Host`,
without a controller and without Kubernetes.
"""

from . import http, log, secrets, time
from .errors import Error, Failed, InvalidConfig, Transient
from .metric import Context, Measurement, Provider, Verdict, metric_provider
from .routers import (
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
    TrafficRouter,
    Verification,
    capability,
    first_difference,
    traffic_router,
    update,
)
from .steps import Progress, Step, StepContext, step

__all__ = [
    "Context",
    "Destination",
    "Error",
    "Failed",
    "HeaderMatch",
    "HeaderRoute",
    "InvalidConfig",
    "Measurement",
    "MirrorMatch",
    "MirrorRoute",
    "ObjectQuery",
    "Progress",
    "Provider",
    "Put",
    "Remove",
    "Routing",
    "Step",
    "StepContext",
    "StringMatch",
    "TrafficRouter",
    "Transient",
    "Verdict",
    "Verification",
    "capability",
    "first_difference",
    "http",
    "log",
    "metric_provider",
    "secrets",
    "step",
    "time",
    "traffic_router",
    "update",
]
