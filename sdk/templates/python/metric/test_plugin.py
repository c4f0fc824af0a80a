import unittest

from plugin import Plugin
from sluice_sdk.testing import Host

CONFIG = {"address": "http://rates.test", "service": "shop"}


class PluginTest(unittest.TestCase):
    def test_a_rate_is_a_number(self):
        host = Host().answers("GET http://rates.test/rates", 200, {"rate": 0.02})
        ran = host.run(Plugin, CONFIG)
        self.assertIsNone(ran.error)
        self.assertEqual(ran.result.content, 0.02)
        self.assertEqual(ran.requests[0].url, "http://rates.test/rates?service=shop")


if __name__ == "__main__":
    unittest.main()
