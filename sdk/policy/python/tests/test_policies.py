"""Whole policies: the README's, and such as are wrong."""

import dataclasses
import json
import re
import types
import unittest
from dataclasses import dataclass
from pathlib import Path

import attorn_policy
from attorn_policy import (
    CounterDeclaration,
    PolicyError,
    Requirements,
    Scope,
    Window,
    allow,
    define_policy,
    deny,
    log,
    public_reason,
)
from attorn_policy.contract import Counter, Level
from attorn_policy.errors import text_of
from attorn_policy.testing import Tested, context, fact, user

README = Path(__file__).parents[1] / "README.md"
RISKY = public_reason("risky", "the user is at risk")


@dataclass(frozen=True)
class Settings:
    risk_max: int = 5


def made(decide, **more):
    options = {"name": "x", "version": "1.0.0", "settings": Settings, "reasons": [RISKY], **more}
    return define_policy(**options)(decide)


def sample(number, **known):
    """A sample of the README, run as a module."""
    module = types.ModuleType("sample")
    vars(module).update(known)
    code = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[number]
    exec(compile(code, f"README sample {number}", "exec"), vars(module))  # noqa: S102 - it is ours
    return module


class Samples(unittest.TestCase):
    def test_the_first_does_what_is_said_of_it(self):
        tested = Tested(sample(0).decide, {"opens": 8, "closes": 18})
        nine = context("faq.read", "article/42")
        assert tested.says(nine) == "allow"
        assert tested.says(dataclasses.replace(nine, time=nine.time - 2 * 3_600_000)) == "deny closed"
        with self.assertRaisesRegex(PolicyError, "at `closes`: 25, expected 0 to 24"):
            Tested(sample(0).decide, {"opens": 8, "closes": 25})

    def test_the_second_asks_for_a_fact(self):
        known = {name: getattr(attorn_policy, name) for name in attorn_policy.__all__}
        decide = sample(1, Settings=Settings, RISKY=RISKY, **known).decide
        tested = Tested(decide, {})
        template = "user/{user.id}/risk"
        assert tested.requirements.facts == [template]
        asked = dataclasses.replace(context("a", "b/1"), user=user("usr-1"))
        for value, said in ((3, "allow"), (7, "deny risky"), (None, "deny risky")):
            assert tested.says(dataclasses.replace(asked, facts=[fact(template, value)])) == said
        with self.assertRaisesRegex(PolicyError, "is not among the requirements"):
            tested.says(asked)

    def test_the_last_is_a_test_that_holds(self):
        sample(2, decide=sample(0).decide)


class Mistakes(unittest.TestCase):
    def test_what_is_no_verdict_is_an_error(self):
        async def wait(_, __):
            return allow()

        for decide, problem in (
            (lambda *_: None, "`decide` gave no verdict, but nothing"),
            (lambda *_: True, "`decide` gave no verdict, but a value of the type `bool`"),
            (lambda *_: allow, "a value of the type `function`"),
            (wait, "`decide` gave something to wait for"),
        ):
            with self.assertRaises(PolicyError) as raised:
                Tested(made(decide), {}).says(context("a", "b/1"))
            assert problem in str(raised.exception), raised.exception

    def test_what_is_wrong_with_a_definition_is_said(self):
        def decide(*_):
            return allow()

        for more, problem in (
            ({"reasons": ["risky"]}, "`reasons` is a list in which everything is a `DeclaredReason`"),
            ({"name": 7}, "`name` and `version` are texts"),
        ):
            with self.assertRaises(PolicyError) as raised:
                made(decide, **more)
            assert problem in str(raised.exception), raised.exception
        for wanted, problem in (
            (None, "`requirements` gave no `Requirements`: None"),
            (Requirements(facts="user"), "`facts` is a list"),
            (Requirements(counters=[CounterDeclaration("a", "b", "user", Window.DAY)]), "is no counter"),
        ):
            with self.assertRaises(PolicyError) as raised:
                Tested(made(decide, requirements=lambda _, wanted=wanted: wanted), {})
            assert problem in str(raised.exception), raised.exception

    def test_what_is_not_declared_is_an_error_of_the_test(self):
        other = public_reason("other", "another")
        with self.assertRaisesRegex(PolicyError, "reason `other` is not declared"):
            Tested(made(lambda *_: deny(other)), {}).says(context("a", "b/1"))
        debits = made(lambda *_: allow().debit("spent", 1, 1))
        with self.assertRaisesRegex(PolicyError, "counter `spent` is not declared"):
            Tested(debits, {}).says(context("a", "b/1"))
        counter = CounterDeclaration("spent", "cents", Scope.USER_AGENT, Window.DAY)
        debits = made(lambda *_: allow().debit("spent", 1, 1), requirements=lambda _: Requirements(counters=[counter]))
        assert Tested(debits, {}).says(context("a", "b/1")) == "allow"


class Contexts(unittest.TestCase):
    def test_a_context_is_read(self):
        asked = dataclasses.replace(
            context("a", "b/1", {"amount": 3}),
            user=dataclasses.replace(user("usr-1"), claims='{"level":2}'),
            counters=[Counter("spent", 7, 0, None)],
            extensions=[("attorn.credential", '{"kind":"postgresql","target":null,"later":1}')],
        )

        @dataclass(frozen=True)
        class Level2:
            level: int

        assert asked.arguments() == {"amount": 3}
        assert asked.arguments(dict[str, int]) == {"amount": 3}
        assert asked.claims(Level2) == Level2(2)
        assert context("a", "b/1").claims() is None
        assert asked.counter("spent").used == 7
        assert asked.label("team") is None
        wanted = asked.wanted_credential()
        assert wanted is not None
        assert (wanted.kind, wanted.target) == ("postgresql", None)
        assert context("a", "b/1").wanted_credential() is None
        with self.assertRaisesRegex(PolicyError, "arguments: at `amount`: a number, expected a text"):
            asked.arguments(dict[str, str])
        odd = dataclasses.replace(asked, extensions=[("attorn.credential", "[]")])
        with self.assertRaisesRegex(PolicyError, "is not said as it is known here"):
            odd.wanted_credential()


class Texts(unittest.TestCase):
    def test_of_a_mistake_it_says_what_and_where(self):
        with self.assertRaises(ValueError) as raised:
            json.loads("{")
        said = text_of(raised.exception)
        assert re.fullmatch(r"JSONDecodeError: Expecting property name .*", said), said
        assert text_of(PolicyError("so")) == "so"
        assert len(text_of(PolicyError("x" * 5000))) == 1000
        assert text_of(PolicyError("\ud800")) == "?"
        assert text_of(KeyboardInterrupt()) == "KeyboardInterrupt"
        assert "a policy has no files" in text_of(FileNotFoundError(2, "No such file", "x"))
        assert "is imported while it is built" in text_of(ModuleNotFoundError("No module named 'x'"))

        class Odd(Exception):
            def __str__(self):
                raise ValueError

        assert text_of(Odd()) == "something was raised that cannot be read"

    def test_nothing_that_is_logged_raises(self):
        class Odd:
            def __str__(self):
                raise ValueError

        lines = []
        log.connect(lambda level, message: lines.append((level, message)))
        log.info("a", 1, None)
        log.error(Odd(), "\ud800")
        log.debug("x" * 100_000)
        assert lines[:2] == [(Level.INFO, "a 1 None"), (Level.ERROR, "(cannot be written) ?")]
        assert len(lines[2][1]) == 16 << 10
