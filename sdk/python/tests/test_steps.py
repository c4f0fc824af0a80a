"""Steps, from the first call to the last."""

import unittest
from dataclasses import dataclass, field

from sluice_sdk import Failed, InvalidConfig, Progress, StepContext, http, step
from sluice_sdk.testing import Host


@dataclass
class Config:
    address: str


@dataclass
class Asked:
    times: int
    last_answer: str = field(default="", metadata={"name": "lastAnswer"})


class Patient:
    Config = Config
    State = Asked

    def validate(self, config):
        if not config.address:
            raise InvalidConfig("address: name a server")

    def run(self, context, config, asked):
        times = (asked.times if asked else 0) + 1
        answer = http.get(f"{config.address}/{context.key}").json()
        if answer == "yes":
            return Progress.done().keeping(Asked(times, answer))
        if times == 3:
            return Progress.failed("asked three times")
        return Progress.again(Asked(times, answer), 5).with_message("asks again")


CONFIG = {"address": "http://s"}


def host(answer):
    context = StepContext(rollout_uid="u", revision="7")
    return Host().step(context).answers("GET http://s/u-7-0", 200, f'"{answer}"')


class StepTest(unittest.TestCase):
    def test_what_a_call_leaves_behind_is_what_the_next_one_finds(self):
        state = None
        for times in (1, 2):
            progress = host("no").run_step(Patient, CONFIG, state).result
            self.assertEqual((progress.outcome, progress.after_ms), ("again", 5000))
            self.assertEqual(progress.state, {"times": times, "lastAnswer": "no"})
            self.assertEqual(progress.message, "asks again")
            state = progress.state
        done = host("yes").run_step(Patient, CONFIG, Asked(1)).result
        self.assertEqual((done.outcome, done.state["times"]), ("done", 2))
        failed = host("no").run_step(Patient, CONFIG, state).result
        self.assertEqual(failed, Progress.failed("asked three times"))

    def test_a_state_of_another_version_is_an_error_and_not_a_no(self):
        for state in ("old", [], {"times": "x"}, {"times": 1, "other": 2}):
            ran = host("yes").run_step(Patient, CONFIG, state)
            self.assertIsInstance(ran.error, Failed)
            self.assertEqual(ran.error.code, "bad-state")
            self.assertEqual(ran.requests, [], "nothing is done on its behalf")

    def test_a_configuration_is_checked_by_its_type_and_by_the_step(self):
        for config, part in [({}, "address"), ({"address": ""}, "name a server")]:
            for ran in (Host().validate(Patient, config), host("no").run_step(Patient, config)):
                self.assertIsInstance(ran.error, InvalidConfig)
                self.assertIn(part, ran.error.message)
        self.assertIsNone(Host().validate(Patient, CONFIG).error)

    def test_a_step_that_has_nothing_to_undo_can_be_stopped_and_undone(self):
        self.assertIsNone(Host().terminate_step(Patient, CONFIG).error)
        self.assertIsNone(Host().abort_step(Patient, CONFIG, Asked(1)).error)

    def test_what_is_no_step_and_no_progress_is_named(self):
        with self.assertRaisesRegex(TypeError, "no method run"):
            step(type("Mute", (), {"Config": Config}))
        with self.assertRaisesRegex(TypeError, "no dataclass Config"):
            step(type("Bare", (), {"run": print}))
        mute = type("Mute", (), {"Config": Config, "run": lambda *_: "done"})
        self.assertEqual(Host().run_step(mute, CONFIG).error.code, "no-progress")
        odd = type("Odd", (), {"Config": Config, "run": lambda *_: Progress.again(object(), 1)})
        self.assertEqual(Host().run_step(odd, CONFIG).error.code, "not-json")


if __name__ == "__main__":
    unittest.main()
