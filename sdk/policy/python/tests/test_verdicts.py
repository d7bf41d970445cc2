"""Verdicts, as the host takes them."""

import unittest

from attorn_policy import PolicyError, Verdict, abstain, allow, challenge, deny, private_reason, public_reason
from attorn_policy.contract import (
    Allow,
    ApprovalRequirement,
    Challenge,
    Debit,
    Obligation,
    Reason,
    Terms,
    VerdictAbstain,
    VerdictAllow,
    VerdictChallenge,
    VerdictDeny,
)

GOOD = public_reason("good", "it is good")
BAD = private_reason("bad", "it is bad")


class Verdicts(unittest.TestCase):
    def test_each_is_what_the_contract_has(self):
        terms = Terms(None, None, [], [])
        assert allow().raw() == VerdictAllow(Allow(terms, []))
        assert abstain().raw() == VerdictAbstain()
        assert deny(BAD, GOOD.with_text("here")).raw() == VerdictDeny(
            [Reason("bad", "it is bad"), Reason("good", "here")]
        )
        whole = allow().for_at_most(1).uses(2).debit("spent", 3, 4).oblige("redact", {"fields": ["a", None, 1.5]})
        expected = Terms(1, 2, [Debit("spent", 3, 4)], [Obligation("redact", '{"fields": ["a", null, 1.5]}')])
        assert whole.because(GOOD).raw() == VerdictAllow(Allow(expected, [Reason("good", "it is good")]))
        asked = challenge(BAD).approved_by("operator", 1).approved_by_group("staff", 16)
        people = [ApprovalRequirement("operator", 1), ApprovalRequirement("staff", 16)]
        assert asked.raw() == VerdictChallenge(Challenge(people, terms, Reason("bad", "it is bad")))

    def test_each_method_leaves_the_one_before_as_it_was(self):
        one = allow().debit("a", 1, 1)
        assert one.debit("b", 1, 1) != one
        assert len(one.raw().value.terms.debits) == 1

    def test_what_does_not_fit_is_an_error(self):
        for call, problem in (
            (lambda: allow().for_at_most(0), "grant: 0 is no whole number from 1"),
            (lambda: allow().for_at_most(1.0), "grant: 1.0 is no whole number"),
            (lambda: allow().uses(2**32), "uses: 4294967296 is no whole number"),
            (lambda: allow().uses(True), "uses: True is no whole number"),
            (lambda: allow().debit("a", 0, 1), "amount: 0"),
            (lambda: allow().debit("a", 1, 2**53), "limit: 9007199254740992"),
            (lambda: allow().debit(7, 1, 1), "counter: 7 is no text"),
            (lambda: allow().oblige("k", []), "obligation `k`: its parameters are no object"),
            (lambda: allow().oblige("k", {"a": {1: 2}}), "obligation `k.a`: 1 is no text"),
            (lambda: allow().oblige("k", {"a": (1,)}), "obligation `k.a`: a value of the type `tuple` is not JSON"),
            (lambda: allow().oblige("k", {"a": float("nan")}), "obligation `k`: "),
            (lambda: allow().oblige("k", {"a": "\ud800"}), "half of a character"),
            (lambda: allow().because("good"), "is no reason"),
            (lambda: deny(None), "is no reason"),
            (lambda: GOOD.with_text("\ud800"), "half of a character"),
            (lambda: public_reason("Bad", ""), "`Bad` is no code of a reason"),
            (lambda: public_reason("a\n", ""), "is no code of a reason"),
            (lambda: challenge(GOOD).raw(), "whose approval is needed"),
            (lambda: challenge(GOOD).approved_by("user", 17), "people: 17"),
            (lambda: challenge(GOOD).approved_by_group("user", 1), "`user` is a role"),
            (lambda: Verdict().raw(), "this is no verdict"),
        ):
            with self.assertRaises(PolicyError) as raised:
                call()
            assert problem in str(raised.exception), raised.exception
        endless = {}
        endless["a"] = endless
        with self.assertRaisesRegex(PolicyError, "contains itself"):
            allow().oblige("k", endless)
