import unittest

from plugin import Plugin
from sluice_sdk import StepContext
from sluice_sdk.testing import Host

CONFIG = {"address": "http://jobs.test", "job": "migrate"}


def host():
    return Host().step(StepContext(rollout_uid="u", revision="2"))


class PluginTest(unittest.TestCase):
    def test_a_job_is_started_once_and_then_looked_after(self):
        running = host().answers("PUT http://jobs.test/runs/u-2-0", 200, {"state": "running"})
        first = running.run_step(Plugin, CONFIG)
        self.assertIsNone(first.error)
        self.assertEqual((first.result.outcome, first.result.after_ms), ("again", 10_000))
        done = host().answers("GET http://jobs.test/runs/u-2-0", 200, {"state": "succeeded"})
        second = done.run_step(Plugin, CONFIG, first.result.state)
        self.assertEqual(second.result.outcome, "done")
        self.assertEqual(len(second.requests), 1)

    def test_an_abort_before_the_first_call_finds_no_job(self):
        ran = host().answers("DELETE http://jobs.test/runs/u-2-0", 404, "").abort_step(Plugin, CONFIG)
        self.assertIsNone(ran.error)
        self.assertEqual(len(ran.requests), 1)


if __name__ == "__main__":
    unittest.main()
