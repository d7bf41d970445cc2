"""Amounts, times and patterns, by the vectors that all SDKs share."""

import json
import unittest
from datetime import timedelta
from pathlib import Path

from attorn_policy import (
    PolicyError,
    action_matches,
    is_action_pattern,
    is_resource_pattern,
    ms,
    parse_amount,
    resource_matches,
    utc,
)

VECTORS = Path(__file__).parents[4] / "tests/vectors/patterns.json"


class Patterns(unittest.TestCase):
    def test_they_cover_what_all_sdks_say_they_cover(self):
        vectors = json.loads(VECTORS.read_text())
        for kind, matches, is_pattern in (
            ("actions", action_matches, is_action_pattern),
            ("resources", resource_matches, is_resource_pattern),
        ):
            for row in vectors[kind]["covers"]:
                assert is_pattern(row["pattern"]), row
                for path in row["yes"]:
                    assert matches(row["pattern"], path), (row["pattern"], path)
                for path in row["no"]:
                    assert not matches(row["pattern"], path), (row["pattern"], path)
            for pattern in vectors[kind]["refused"]:
                assert not is_pattern(pattern), pattern
                with self.assertRaisesRegex(PolicyError, "is no pattern of"):
                    matches(pattern, "a")


class Amounts(unittest.TestCase):
    def test_nothing_is_rounded_and_nothing_is_read_in_two_ways(self):
        for value, amount in (
            (1, 1),
            (2**53 - 1, 2**53 - 1),
            ("1", 1),
            ("9223372036854775807", 2**63 - 1),
        ):
            assert parse_amount(value) == amount
        for value in (
            0,
            -1,
            2**53,
            1.0,
            True,
            None,
            [],
            "",
            "0",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1\n",
            "1.0",
            "1e3",
            "1_000",
            "\uff11",
            "\u0663",
            "9223372036854775808",
            "1" * 5000,
        ):
            assert parse_amount(value) is None, value


class Times(unittest.TestCase):
    def test_a_time_is_taken_apart_in_utc(self):
        when = utc(1_767_603_600_123)
        assert when.isoformat() == "2026-01-05T09:00:00.123000+00:00"
        assert when.isoweekday() == 1
        assert ms(timedelta(minutes=5)) == 300_000
        with self.assertRaisesRegex(PolicyError, "9007199254740991 is no time"):
            utc(2**53 - 1)
