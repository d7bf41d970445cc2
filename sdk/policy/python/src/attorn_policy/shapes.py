"""Shapes: what settings, arguments, claims and facts have to look like, said by types.

A shape is a type that is read from JSON or refused, and that is a JSON Schema: a dataclass, `str`, `int`, `float`,
`bool`, `list[…]`, `tuple[…, ...]`, `dict[str, …]`, `Literal[…]`, one of these or `None`, and `object` for whatever
nobody has looked at. `Annotated` with `Between`, `Length`, `Pattern`, `Doc` or a `Check` says more of one.

Nothing is converted and nothing is ignored: a text is no number, and a member without a field is a mistake.
"""

import dataclasses
import json
import re
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from .errors import PolicyError
from .help import NUMBER_MAX

Schema = dict[str, Any]
"""A JSON Schema (2020-12), or a part of one."""

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Between:
    """A number is no smaller and no larger."""

    min: int = -NUMBER_MAX
    max: int = NUMBER_MAX


@dataclasses.dataclass(frozen=True)
class Length:
    """A text has so many characters, and a list so many entries."""

    min: int = 0
    max: int = NUMBER_MAX


@dataclasses.dataclass(frozen=True)
class Pattern:
    """All of a text matches. Letters and digits are those of ASCII."""

    text: str


@dataclasses.dataclass(frozen=True)
class Doc:
    """What it is for, for people who read the schema."""

    text: str


@dataclasses.dataclass(frozen=True)
class Check:
    """What else has to hold; `refuse` says what is wrong, or `None`."""

    refuse: Callable[[Any], str | None]


Reader = Callable[[object, str], Any]


@dataclasses.dataclass(frozen=True)
class Shape:
    """A type, taken apart once: how it is read, and its schema."""

    read: Reader
    schema: Schema


def shape_of(kind: Any) -> Shape:
    """The shape of a type; an error if there is none of it."""
    if get_origin(kind) is Annotated:
        base, *more = get_args(kind)
        return _narrowed(kind, shape_of(base), more)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _record(kind)
    plain = _PLAIN.get(kind)
    if plain is not None:
        return plain
    return _composed(kind)


def read_json(what: str, text: str, kind: type[T] | Shape) -> T:
    """Read one JSON text. The error begins with `what`, and names the path to what is wrong."""
    shape = kind if isinstance(kind, Shape) else shape_of(kind)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"{what}: {error}") from None
    try:
        return cast("T", shape.read(value, ""))
    except PolicyError as error:
        raise PolicyError(f"{what}: {error}") from None


def _wrong(path: str, problem: str) -> PolicyError:
    return PolicyError(f"at `{path}`: {problem}" if path else problem)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), "something else")


def _plain(kind: type, expected: str, schema: Schema) -> Shape:
    def read(value: object, path: str) -> object:
        # Not `isinstance`, to which `True` is an `int`.
        if type(value) is not kind:
            raise _wrong(path, f"{_kind(value)}, expected {expected}")
        return value

    return Shape(read, schema)


def _number(value: object, path: str) -> object:
    if type(value) is int or type(value) is float:
        try:
            return float(value)
        except OverflowError:
            raise _wrong(path, "a number that is too large") from None
    raise _wrong(path, f"{_kind(value)}, expected a number")


def _integer(value: object, path: str) -> object:
    # JSON has one kind of numbers, and the canonical form writes a whole one up to 10^21 without a point.
    if type(value) is not int:
        raise _wrong(path, f"{_kind(value)}, expected a whole number")
    if not -NUMBER_MAX <= value <= NUMBER_MAX:
        raise _wrong(path, f"{value} is beyond what every reader of JSON holds exactly")
    return value


_PLAIN: Mapping[Any, Shape] = {
    str: _plain(str, "a text", {"type": "string"}),
    bool: _plain(bool, "`true` or `false`", {"type": "boolean"}),
    int: Shape(_integer, {"type": "integer"}),
    float: Shape(_number, {"type": "number"}),
    object: Shape(lambda value, _: value, {}),
    Any: Shape(lambda value, _: value, {}),
    types.NoneType: _plain(types.NoneType, "null", {"type": "null"}),
}


def _composed(kind: Any) -> Shape:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is list and len(parts) == 1:
        return _several(shape_of(parts[0]), list)
    if origin is tuple and len(parts) == 2 and parts[1] is Ellipsis:
        return _several(shape_of(parts[0]), tuple)
    if origin is dict and len(parts) == 2 and parts[0] is str:
        return _named(shape_of(parts[1]))
    if origin is Literal and all(isinstance(one, str) for one in parts):
        return _one_of(parts)
    if _is_union(kind) and len(parts) == 2 and types.NoneType in parts:
        return _or_none(shape_of(next(one for one in parts if one is not types.NoneType)))
    raise TypeError(f"`{getattr(kind, '__name__', kind)}` cannot be read from JSON: see `attorn_policy.shapes`")


def _several(of: Shape, into: Callable[[list[Any]], Any]) -> Shape:
    def read(value: object, path: str) -> object:
        if type(value) is not list:
            raise _wrong(path, f"{_kind(value)}, expected a list")
        return into([of.read(one, f"{path}[{at}]") for at, one in enumerate(value)])

    return Shape(read, {"type": "array", "items": of.schema})


def _named(of: Shape) -> Shape:
    def read(value: object, path: str) -> object:
        if type(value) is not dict:
            raise _wrong(path, f"{_kind(value)}, expected an object")
        return {name: of.read(one, _below(path, name)) for name, one in value.items()}

    return Shape(read, {"type": "object", "additionalProperties": of.schema})


def _one_of(texts: tuple[Any, ...]) -> Shape:
    def read(value: object, path: str) -> object:
        if type(value) is not str or value not in texts:
            shown = json.dumps(value) if type(value) is str else _kind(value)
            raise _wrong(path, f"{shown}, expected one of {', '.join(f'`{text}`' for text in texts)}")
        return value

    return Shape(read, {"enum": list(texts)})


def _or_none(of: Shape) -> Shape:
    return Shape(
        lambda value, path: None if value is None else of.read(value, path), {"anyOf": [of.schema, {"type": "null"}]}
    )


def _record(kind: type) -> Shape:
    """An object with a member for each field, which may be missing where the field has a default, and no other."""
    hints = get_type_hints(kind, include_extras=True)
    fields = [field for field in dataclasses.fields(kind) if field.init]
    shapes = {field.name: _field_shape(hints[field.name], field) for field in fields}
    required = [field.name for field in fields if _is_required(field)]
    known = ", ".join(f"`{name}`" for name in shapes) or "none"

    def read(value: object, path: str) -> object:
        if type(value) is not dict:
            raise _wrong(path, f"{_kind(value)}, expected an object")
        for name in value:
            if name not in shapes:
                raise _wrong(_below(path, name), f"unknown field `{name}`, expected {known}")
        for name in required:
            if name not in value:
                raise _wrong(path, f"missing field `{name}`")
        given = {name: shapes[name].read(one, _below(path, name)) for name, one in value.items()}
        try:
            return kind(**given)
        except (PolicyError, ValueError) as error:
            # What `__post_init__` says of the whole.
            raise _wrong(path, str(error)) from None

    properties = {name: shape.schema for name, shape in shapes.items()}
    schema = {"type": "object", "required": required, "additionalProperties": False, "properties": properties}
    return Shape(read, schema)


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _field_shape(kind: Any, field: "dataclasses.Field[Any]") -> Shape:
    """A field that is `None` where its member is missing reads no `null`: there is one way to leave it out."""
    shape = shape_of(kind)
    return _without_null(kind, shape) if field.default is None else shape


def _without_null(kind: Any, shape: Shape) -> Shape:
    base, *more = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    # Only of a union: the part of a list is not what the list is read by.
    if not _is_union(base):
        return shape
    parts = [one for one in get_args(base) if one is not types.NoneType]
    return _narrowed(kind, shape_of(parts[0]), more) if len(parts) == 1 else shape


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def _narrowed(kind: Any, shape: Shape, more: list[Any]) -> Shape:
    for one in more:
        if isinstance(one, Between):
            shape = _with(shape, _between(one), {"minimum": one.min, "maximum": one.max})
        elif isinstance(one, Length):
            is_list = shape.schema.get("type") == "array"
            what, names = (
                ("entries", ("minItems", "maxItems")) if is_list else ("characters", ("minLength", "maxLength"))
            )
            shape = _with(shape, _length(one, what), _lengths(one, *names))
        elif isinstance(one, Pattern):
            shape = _with(
                shape, _pattern(one), {"pattern": f"^(?:{one.text})$" if "|" in one.text else f"^{one.text}$"}
            )
        elif isinstance(one, Doc):
            shape = Shape(shape.read, {"description": one.text, **shape.schema})
        elif isinstance(one, Check):
            shape = _with(shape, one.refuse, {})
        else:
            raise TypeError(f"`{one!r}` says nothing of `{kind!r}` here: see `attorn_policy.shapes`")
    return shape


def _with(shape: Shape, refuse: Callable[[Any], str | None], schema: Schema) -> Shape:
    def read(value: object, path: str) -> object:
        good = shape.read(value, path)
        problem = refuse(good)
        if problem is not None:
            raise _wrong(path, problem)
        return good

    return Shape(read, {**shape.schema, **schema})


def _lengths(limits: Length, lower: str, upper: str) -> Schema:
    bounds: Schema = {lower: limits.min} if limits.min else {}
    return bounds if limits.max == NUMBER_MAX else {**bounds, upper: limits.max}


def _within(least: int, most: int) -> str:
    return f"{least} or more" if most == NUMBER_MAX else f"{least} to {most}"


def _between(limits: Between) -> Callable[[Any], str | None]:
    return lambda value: (
        None if limits.min <= value <= limits.max else f"{value}, expected {_within(limits.min, limits.max)}"
    )


def _length(limits: Length, what: str) -> Callable[[Any], str | None]:
    expected = _within(limits.min, limits.max)
    return lambda value: (
        None if limits.min <= len(value) <= limits.max else f"it has {len(value)} {what}, and {expected} are expected"
    )


def _pattern(pattern: Pattern) -> Callable[[Any], str | None]:
    compiled = re.compile(pattern.text, re.ASCII)
    return lambda value: None if compiled.fullmatch(value) else f"{json.dumps(value)} does not match `{pattern.text}`"
