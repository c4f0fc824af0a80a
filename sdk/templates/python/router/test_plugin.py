import unittest

from plugin import Plugin
from sluice_sdk import Destination, InvalidConfig, Routing
from sluice_sdk.testing import Host

CONFIG = {"route": "shop"}
WANTED = Routing(
    stable=Destination("shop-stable", weight=80), canary=Destination("shop-canary", weight=20)
)
ROUTE = {
    "apiVersion": "gateway.example.com/v1",
    "kind": "WeightedRoute",
    "metadata": {"name": "shop", "generation": 1},
    "spec": {
        "backends": [
            {"service": "shop-stable", "weight": 100},
            {"service": "shop-canary", "weight": 0},
        ]
    },
}


class PluginTest(unittest.TestCase):
    def test_weights_are_moved_once(self):
        ran = Host().objects(ROUTE).route(Plugin, CONFIG, WANTED)
        self.assertIsNone(ran.error)
        backends = ran.objects[0]["spec"]["backends"]
        self.assertEqual([backend["weight"] for backend in backends], [80, 20])
        again = Host().objects(*ran.objects).route(Plugin, CONFIG, WANTED)
        self.assertEqual(again.result, [])

    def test_a_route_must_be_named(self):
        self.assertIsInstance(Host().validate(Plugin, {"route": ""}).error, InvalidConfig)


if __name__ == "__main__":
    unittest.main()
