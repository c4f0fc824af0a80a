"""Write plugins for Sluice in Python.

A metric provider is a class with a `Config`, a `run`, and the decorator `metric_provider`; a step
has the decorator `step`. The same code runs in unit tests against `sluice_sdk.testing.Host`,
without a controller and without Kubernetes.
"""

from . import http, log, secrets, time
from .errors import Error, Failed, InvalidConfig, Transient
from .metric import Context, Measurement, Provider, Verdict, metric_provider
from .steps import Progress, Step, StepContext, step

__all__ = [
    "Context",
    "Error",
    "Failed",
    "InvalidConfig",
    "Measurement",
    "Progress",
    "Provider",
    "Step",
    "StepContext",
    "Transient",
    "Verdict",
    "http",
    "log",
    "metric_provider",
    "secrets",
    "step",
    "time",
]
