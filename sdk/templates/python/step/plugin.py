"""Runs a job on a server between two weights, and waits for it."""

from dataclasses import dataclass

from sluice_sdk import Failed, Progress, StepContext, http, step


@dataclass
class Config:
    """What a user writes under `config`."""

    address: str
    """The server, such as `http://jobs.shop`."""
    job: str
    """Which job it runs."""


@dataclass
class Started:
    """What one call leaves behind for the next."""

    url: str


@step
class Plugin:
    Config = Config
    State = Started

    def run(self, context: StepContext, config: Config, started: Started | None) -> Progress:
        url = place(context, config, started)
        if started is None:
            answer = http.request("PUT", url, json={"job": config.job})
        else:
            answer = http.get(url)
        match answer.json():
            case {"state": "succeeded"}:
                return Progress.done().keeping(Started(url))
            case {"state": "failed"}:
                return Progress.failed(f"the job {config.job} failed")
            case {"state": "running"}:
                waits = Progress.again(Started(url), 10)
                return waits.with_message(f"waits for the job {config.job}")
        raise Failed("odd-state", "the answer names no state of a job")

    def terminate(self, context: StepContext, config: Config, started: Started | None) -> None:
        stop(place(context, config, started))

    def abort(self, context: StepContext, config: Config, started: Started | None) -> None:
        stop(place(context, config, started))


def place(context: StepContext, config: Config, started: Started | None) -> str:
    """Where the job of a step is.

    It has the step's own name, so that starting it twice starts it once, and an abort finds it
    without a state.
    """
    return started.url if started else f"{config.address}/runs/{context.key}"


def stop(url: str) -> None:
    """A job that is not there is as good as one that was stopped."""
    answer = http.request("DELETE", url)
    if answer.status != 404:
        answer.success()
