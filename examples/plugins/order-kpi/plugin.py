"""Compares a business figure with the same time a week ago."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from sluice_sdk import Context, Failed, InvalidConfig, Measurement, http, metric_provider, time


@dataclass
class Config:
    """What a user writes under the plugin's name in a metric."""

    address: str
    """The API, such as `https://figures.shop.example`."""
    figure: str
    """Which figure, such as `orders`."""
    window_minutes: int = field(default=10, metadata={"name": "windowMinutes"})
    """Over how many minutes it is summed."""
    days_before: int = field(default=7, metadata={"name": "daysBefore"})
    """With which day it is compared."""
    headers: dict[str, str] = field(default_factory=dict)
    """Sent along, such as a token."""


@metric_provider
class OrderKpi:
    Config = Config

    def validate(self, config: Config) -> None:
        if not 1 <= config.window_minutes <= 24 * 60:
            raise InvalidConfig("windowMinutes: must be 1 to 1440")
        if config.days_before < 1:
            raise InvalidConfig("daysBefore: must be 1 or more")

    def run(self, context: Context, config: Config) -> Measurement:
        end = datetime.fromtimestamp(time.now_ms() // 1000, timezone.utc)
        now = _sum(config, end)
        before = _sum(config, end - timedelta(days=config.days_before))
        if before == 0:
            # A ratio to nothing says nothing: a shop that opened yesterday has no last week.
            return Measurement.no_data().with_message("nothing happened at the time compared with")
        value = {"now": now, "before": before, "ratio": now / before}
        return Measurement.value(value).with_metadata(figure=config.figure)


def _sum(config: Config, end: datetime) -> float:
    start = end - timedelta(minutes=config.window_minutes)
    answer = http.get(
        f"{config.address.rstrip('/')}/figures/{config.figure}",
        query={"from": _text(start), "to": _text(end)},
        headers=config.headers,
        timeout=10,
    ).json()
    try:
        return float(sum(point["value"] for point in answer["points"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Failed("no-points", f"the answer has no points with values: {error!r}") from error


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
