import unittest

from plugin import OrderKpi
from sluice_sdk.testing import Host

CONFIG = {"address": "http://figures", "figure": "orders"}


class OrderKpiTest(unittest.TestCase):
    def test_a_figure_is_compared_with_the_week_before(self):
        route = "GET http://figures/figures/orders"
        host = Host().at(1_772_366_400_000)
        host.answers(route, 200, {"points": [{"value": 30}, {"value": 15}]})
        host.answers(route, 200, {"points": [{"value": 50}]})
        ran = host.run(OrderKpi, CONFIG)
        self.assertEqual(ran.result.content, {"now": 45.0, "before": 50.0, "ratio": 0.9})
        self.assertIn("from=2026-02-22T11%3A50%3A00Z", ran.requests[1].url)


if __name__ == "__main__":
    unittest.main()
