"""The SDK itself: configurations, requests, and the scripted host."""

import unittest
from dataclasses import dataclass, field
from typing import Any

from sluice_sdk import Failed, InvalidConfig, Measurement, Transient, http, log, secrets, time
from sluice_sdk.config import parse
from sluice_sdk.testing import Host


@dataclass
class Header:
    key: str
    value: str = ""


@dataclass
class Config:
    address: str
    count: int = 1
    share: float | None = None
    headers: list[Header] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    rest: Any = None
    query_name: str = field(default="", metadata={"name": "queryName"})


class Poll:
    """Uses everything that a host has."""

    Config = Config

    def validate(self, config):
        if not config.address:
            raise InvalidConfig("address: must not be empty")

    def run(self, context, config):
        log.info("started", metric=context.metric)
        headers = {"x-token": secrets.text("token")}
        body = {"now": time.now_ms()}
        answer = http.post(config.address, json=body, headers=headers, timeout=5).json()
        return Measurement.running(answer["id"], 10)

    def resume(self, context, config, token):
        answer = http.get(config.address, query={"id": token}).json()
        return Measurement.value(answer).with_metadata(id=token).with_message("done")


class ConfigTest(unittest.TestCase):
    def test_every_kind_of_field_is_read(self):
        text = """{"address": "a", "count": 2, "share": 1, "headers": [{"key": "k"}],
            "labels": {"a": "b"}, "rest": [1], "queryName": "q"}"""
        expected = Config("a", 2, 1.0, [Header("k")], {"a": "b"}, [1], "q")
        self.assertEqual(parse(Config, text), expected)
        self.assertEqual(parse(Config, '{"address": "a", "share": null}'), Config("a"))

    def test_errors_name_the_field(self):
        for text, expected in [
            ("[]", "must be an object, and is []"),
            ("{", "no JSON"),
            ("{}", "address: is missing"),
            ('{"address": 5}', "address: must be a string, and is 5"),
            ('{"address": "a", "count": true}', "count: must be an integer, and is true"),
            ('{"address": "a", "share": "x"}', 'share: must be a number, and is "x"'),
            ('{"address": "a", "headers": [{}]}', "headers[0].key: is missing"),
            ('{"address": "a", "labels": {"b": 1}}', "labels.b: must be a string, and is 1"),
            ('{"adress": "a"}', "adress: unknown field, expected address, count"),
            ('{"address": "a", "query_name": "q"}', "query_name: unknown field"),
        ]:
            with self.assertRaises(InvalidConfig) as raised:
                parse(Config, text)
            self.assertIn(expected, raised.exception.message)


class HostTest(unittest.TestCase):
    def test_everything_that_the_host_gives_is_scripted_and_recorded(self):
        host = Host().answers("POST http://poll/", 200, {"id": 7}).secret("token", "s").at(1000)
        ran = host.run(Poll, {"address": "http://poll/"})
        self.assertEqual(ran.result, Measurement.running(7, 10))
        self.assertEqual(ran.lines, [("info", "started", {"metric": ""})])
        sent = ran.requests[0]
        self.assertEqual(sent.body, b'{"now": 1000}')
        self.assertEqual(sent.headers[0], ("x-token", "s"))
        self.assertEqual(sent.timeout_ms, 5000)

    def test_answers_come_in_turn_and_the_last_one_stays(self):
        host = Host().answers("GET http://poll/", 503, "busy", {"Retry-After": "3"})
        host.answers("GET http://poll/", 200, 0.5)
        first = host.resume(Poll, {"address": "http://poll/"}, 7).error
        self.assertIsInstance(first, Transient)
        self.assertEqual((first.message, first.after_ms), ("HTTP 503: busy", 3000))
        for _ in range(2):
            ran = host.resume(Poll, {"address": "http://poll/"}, 7)
            self.assertEqual(ran.result.content, 0.5)
        self.assertEqual(ran.requests[0].url, "http://poll/?id=7")

    def test_what_was_not_scripted_is_not_granted(self):
        ran = Host().run(Poll, {"address": "http://poll/"})
        self.assertIsInstance(ran.error, Failed)
        self.assertEqual(ran.error.code, "not-granted")

    def test_statuses_become_errors(self):
        for status, kind, code in [(404, Failed, "http-404"), (429, Transient, None)]:
            host = Host().answers("GET http://poll/", status, "")
            error = host.resume(Poll, {"address": "http://poll/"}, 7).error
            self.assertIsInstance(error, kind)
            self.assertEqual(getattr(error, "code", None), code)
        error = Host().answers("GET http://poll/", 200, "<html>")
        error = error.resume(Poll, {"address": "http://poll/"}, 7).error
        self.assertEqual(error.code, "bad-json")

    def test_a_configuration_is_checked_before_each_call(self):
        self.assertIsInstance(Host().run(Poll, {"address": ""}).error, InvalidConfig)
        self.assertIsInstance(Host().validate(Poll, {"address": ""}).error, InvalidConfig)
        self.assertIsNone(Host().terminate(Poll, {"address": "a"}, 1).error)

    def test_outside_of_a_host_nothing_works(self):
        with self.assertRaises(RuntimeError):
            http.get("http://poll/")


if __name__ == "__main__":
    unittest.main()
