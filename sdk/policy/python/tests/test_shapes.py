"""Reading JSON by types."""

import json
import unittest
from dataclasses import dataclass, field
from typing import Annotated, Literal

from attorn_policy import Between, Check, Doc, Length, Pattern, PolicyError
from attorn_policy.shapes import read_json, shape_of


@dataclass(frozen=True)
class Inner:
    count: Annotated[int, Between(1, 3)]


@dataclass(frozen=True)
class Outer:
    name: Annotated[str, Pattern("[a-z]+"), Length(1, 4), Doc("A name.")]
    inner: Inner
    kinds: list[Literal["a", "b"]] = field(default_factory=list)
    more: Inner | None = None

    def __post_init__(self):
        if self.name == "bad":
            raise ValueError("at `name`: it is bad")


@dataclass(frozen=True)
class Left:
    """Fields that are `None` where they are left out, of types that have a part and are no union."""

    actions: list[str] = None
    kind: Literal["a"] = None
    amounts: dict[str, int] = None
    several: Annotated[tuple[int, ...], Length(1, 2)] = None
    limit: int = None
    anything: object = None
    few: Annotated[list[str] | None, Length(1, 2)] = None


def read(value, kind=Outer):
    return read_json("settings", json.dumps(value), kind)


class Shapes(unittest.TestCase):
    def test_what_fits_is_read(self):
        assert read({"name": "x", "inner": {"count": 1}}) == Outer("x", Inner(1))
        whole = {"name": "x", "inner": {"count": 1}, "kinds": ["a"], "more": {"count": 3}}
        assert read(whole) == Outer("x", Inner(1), ["a"], Inner(3))
        assert read([1, 2], tuple[int, ...]) == (1, 2)
        assert read({"a": None}, dict[str, int | None]) == {"a": None}
        assert read(3, float) == 3.0
        assert read([{"a": 1}], object) == [{"a": 1}]

    def test_a_field_that_is_none_where_it_is_left_out_is_still_of_its_type(self):
        assert read({}, Left) == Left()
        whole = {"actions": ["a.b"], "kind": "a", "amounts": {"x": 1}, "several": [1], "limit": 2, "few": ["a"]}
        assert read(whole, Left) == Left(**{**whole, "several": (1,)})
        # What nobody looked at may be anything, `null` too.
        for value in (None, [1], "x", {}):
            assert read({"anything": value}, Left).anything == value
        for value, problem in (
            ({"actions": "a.b"}, "settings: at `actions`: a text, expected a list"),
            ({"actions": None}, "settings: at `actions`: null, expected a list"),
            ({"kind": "b"}, 'settings: at `kind`: "b", expected one of `a`'),
            ({"amounts": {"x": "1"}}, "settings: at `amounts.x`: a text, expected a whole number"),
            ({"several": 1}, "settings: at `several`: a number, expected a list"),
            ({"several": []}, "settings: at `several`: it has 0 entries, and 1 to 2 are expected"),
            ({"few": None}, "settings: at `few`: null, expected a list"),
            ({"few": "ab"}, "settings: at `few`: a text, expected a list"),
            ({"few": []}, "settings: at `few`: it has 0 entries"),
        ):
            with self.assertRaises(PolicyError) as raised:
                read(value, Left)
            assert problem in str(raised.exception), raised.exception
        properties = shape_of(Left).schema["properties"]
        assert properties["actions"] == {"type": "array", "items": {"type": "string"}}
        assert (properties["kind"], properties["anything"]) == ({"enum": ["a"]}, {})
        assert properties["few"]["items"] == {"type": "string"}

    def test_what_does_not_fit_is_told_with_its_path(self):
        good = {"name": "x", "inner": {"count": 1}}
        for value, problem in (
            ([], "settings: a list, expected an object"),
            ({}, "settings: missing field `name`"),
            ({**good, "other": 1}, "settings: at `other`: unknown field `other`, expected `name`, `inner`, `kinds`"),
            ({**good, "name": 7}, "settings: at `name`: a number, expected a text"),
            ({**good, "name": "X"}, 'settings: at `name`: "X" does not match `[a-z]+`'),
            ({**good, "name": "x\n"}, "does not match"),
            ({**good, "name": "abcde"}, "settings: at `name`: it has 5 characters, and 1 to 4 are expected"),
            ({**good, "name": "bad"}, "settings: at `name`: it is bad"),
            ({**good, "inner": None}, "settings: at `inner`: null, expected an object"),
            ({**good, "inner": {}}, "settings: at `inner`: missing field `count`"),
            ({**good, "inner": {"count": 0}}, "settings: at `inner.count`: 0, expected 1 to 3"),
            ({**good, "inner": {"count": True}}, "settings: at `inner.count`: a boolean, expected a whole number"),
            ({**good, "inner": {"count": 1.5}}, "settings: at `inner.count`: a number, expected a whole number"),
            ({**good, "kinds": ["a", "c"]}, 'settings: at `kinds[1]`: "c", expected one of `a`, `b`'),
            # There is one way to leave something out.
            ({**good, "more": None}, "settings: at `more`: null, expected an object"),
        ):
            with self.assertRaises(PolicyError) as raised:
                read(value)
            assert problem in str(raised.exception), raised.exception
        for value, kind, problem in (
            ({"a": [10**400]}, dict[str, list[float]], "settings: at `a[0]`: a number that is too large"),
            (-(10**400), float, "settings: a number that is too large"),
            (2**53, int, "beyond what every reader of JSON holds exactly"),
            ("1", bool, "a text, expected `true` or `false`"),
            ("x", Annotated[str, Check(lambda text: f"{text} is wrong")], "settings: x is wrong"),
        ):
            with self.assertRaises(PolicyError) as raised:
                read(value, kind)
            assert problem in str(raised.exception), raised.exception
        for text in ("", "{", "[" * 200_000):
            with self.assertRaisesRegex(PolicyError, "^settings: "):
                read_json("settings", text, object)

    def test_a_type_is_a_schema(self):
        count = {"type": "integer", "minimum": 1, "maximum": 3}
        inner = {"type": "object", "required": ["count"], "additionalProperties": False, "properties": {"count": count}}
        assert shape_of(Outer).schema == {
            "type": "object",
            "required": ["name", "inner"],
            "additionalProperties": False,
            "properties": {
                "name": {
                    "description": "A name.",
                    "type": "string",
                    "pattern": "^[a-z]+$",
                    "minLength": 1,
                    "maxLength": 4,
                },
                "inner": inner,
                "kinds": {"type": "array", "items": {"enum": ["a", "b"]}},
                "more": inner,
            },
        }
        assert shape_of(Annotated[str, Pattern("a|b")]).schema["pattern"] == "^(?:a|b)$"

    def test_a_type_that_json_has_no_word_for_is_a_mistake_of_the_program(self):
        for kind in (set[int], bytes, dict[int, str], int | str, Literal[1], complex, Annotated[int, 7]):
            with self.assertRaises(TypeError):
                shape_of(kind)
