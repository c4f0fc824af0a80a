"""Says which share of a service's requests fails."""

from dataclasses import dataclass

from sluice_sdk import Context, Measurement, http, metric_provider


@dataclass
class Config:
    """What a user writes under the plugin's name in a metric."""

    address: str
    """The server, such as `http://rates.monitoring`."""
    service: str
    """Which service."""


@metric_provider
class Plugin:
    Config = Config

    def run(self, context: Context, config: Config) -> Measurement:
        answer = http.get(f"{config.address}/rates", query={"service": config.service}).json()
        if answer["rate"] is None:
            return Measurement.no_data()
        return Measurement.number(answer["rate"]).with_metadata(service=config.service)
