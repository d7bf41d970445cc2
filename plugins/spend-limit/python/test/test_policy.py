"""The policy without a sandbox."""

import dataclasses
import json
import re
import unittest
from pathlib import Path

from attorn_policy import Context, PolicyError
from attorn_policy.contract import Counter
from attorn_policy.testing import Tested, context, user

from policy import decide

SETTINGS = {
    "amount_argument": "amount",
    "currency_argument": "currency",
    "currency": "EUR",
    "scope": "user_agent",
    "window": "day",
    "allow_max": 5000,
    "challenge": {"max": 20000, "role": "operator", "count": 1},
}


def spending(used: int, amount: int) -> Context:
    asked = context("payment.create", "account/42", {"amount": str(amount), "currency": "EUR"})
    return dataclasses.replace(asked, user=user("usr-alice"), counters=[Counter("spent_eur", used, 0, None)])


class SpendLimit(unittest.TestCase):
    def test_no_way_of_spending_passes_a_limit(self) -> None:
        tested = Tested(decide, SETTINGS)
        for used in (0, 1, 4999, 5000, 5001, 19999, 20000, 20001, 2**53 - 1):
            for amount in (1, 2, 4999, 5000, 5001, 19999, 20000, 20001, 2**32 - 1, 2**63 - 1):
                with self.subTest(used=used, amount=amount):
                    total = used + amount
                    expected = "deny over_limit"
                    if total <= 5000:
                        expected = "allow within_limit"
                    elif total <= 20000:
                        expected = "challenge above_limit"
                    self.assertEqual(tested.says(spending(used, amount)), expected)

    def test_settings_are_taken_or_refused_as_in_all_languages(self) -> None:
        cases = json.loads((Path(__file__).parents[2] / "cases/settings.json").read_text())["cases"]
        for case in cases:
            refused = case["expect"].get("init_error")
            with self.subTest(case["name"]):
                if refused is None:
                    Tested(decide, case["settings"])
                else:
                    with self.assertRaisesRegex(PolicyError, re.escape(refused)):
                        Tested(decide, case["settings"])

    def test_a_host_that_counts_nothing_gets_an_error_and_no_verdict(self) -> None:
        asked = dataclasses.replace(spending(0, 1), counters=[])
        with self.assertRaisesRegex(PolicyError, "counter `spent_eur` is not among the requirements"):
            Tested(decide, SETTINGS).says(asked)


if __name__ == "__main__":
    unittest.main()
