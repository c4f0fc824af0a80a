"""Write a metric provider for Sluice in Python.

A provider is a class with a `Config`, a `run`, and the decorator `metric_provider`. The same code
runs in unit tests against `sluice_sdk.testing.Host`, without a controller and without Kubernetes.
"""

from . import http, log, secrets, time
from .errors import Error, Failed, InvalidConfig, Transient
from .metric import Context, Measurement, Provider, Verdict, metric_provider

__all__ = [
    "Context",
    "Error",
    "Failed",
    "InvalidConfig",
    "Measurement",
    "Provider",
    "Transient",
    "Verdict",
    "http",
    "log",
    "metric_provider",
    "secrets",
    "time",
]
