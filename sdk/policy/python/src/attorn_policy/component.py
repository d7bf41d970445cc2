"""The component around a policy: what the host calls. For the toolchain; policies do not import it.

It is imported once, while a policy is built, and then stands still. All that a policy will ever import has to be
there by then, so what its functions import later is imported now.
"""

# The order is the point, and the host looks for the types of the contract here.
from . import sandbox

sandbox.close()

import _ast
import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, ClassVar, TypeVar

from _attorn_project import MODULES, VERSION
from componentize_py_runtime import call_import
from componentize_py_types import Err

from . import contract, log
from .context import Context
from .contract import *
from .errors import PolicyError, text_of
from .policy import Policy as Written, Started

T = TypeVar("T")

# The one function of the host, by its number.
_LOG = 0

# What Python's own modules and the interpreter import at their first call, when the files are gone. Of encodings these
# are the usual ones: there are more than a hundred.
_LATER = (
    "_pylong",
    "_strptime",
    "copy",
    "decimal",
    "hashlib",
    "heapq",
    "unicodedata",
    "weakref",
    *(
        f"encodings.{name}"
        for name in (
            "ascii",
            "base64_codec",
            "cp1252",
            "hex_codec",
            "idna",
            "iso8859_1",
            "iso8859_15",
            "latin_1",
            "punycode",
            "raw_unicode_escape",
            "unicode_escape",
            "utf_16",
            "utf_16_be",
            "utf_16_le",
            "utf_32",
            "utf_8_sig",
        )
    ),
)


class Refused(BaseException):
    """Why nothing can be made of a policy; the toolchain takes its text."""


def _policy() -> Written[Any]:
    for name in MODULES:
        # What is built in is found before anything else, and the project's own never would be.
        if name.split(".")[0] in sys.builtin_module_names:
            raise Refused(f"`{name.split('.')[0]}` is the name of a module that is there already: give it another one")
    try:
        module = __import__("policy")
        _all_imported()
    except BaseException as error:  # Also what ends a program: it must not end here without a word.
        raise Refused(_said(error)) from None
    written = getattr(module, "decide", None)
    if not isinstance(written, Written):
        raise Refused("`src/policy.py` has to define `decide`, with `@define_policy(…)` above it")
    version = written.description.version
    if VERSION not in (None, version):
        raise Refused(f"`pyproject.toml` says version `{VERSION}`, and the policy `{version}`: make them the same")
    return written


def _all_imported() -> None:
    """Import whatever stands in an `import` anywhere in the project's modules, until there is nothing new."""
    seen: set[str] = set()
    while True:
        waiting = [name for name in MODULES if name in sys.modules and name not in seen]
        if not waiting:
            return
        for name in waiting:
            seen.add(name)
            _import_later(sys.modules[name])


def _import_later(module: ModuleType) -> None:
    assert module.__spec__ is not None
    assert module.__spec__.loader is not None
    source = module.__spec__.loader.get_source(module.__name__)  # type: ignore[attr-defined]
    tree = compile(source, module.__file__ or module.__name__, "exec", _ast.PyCF_ONLY_AST)
    for node, is_optional in _imports(tree, False):
        try:
            _import(module, node)
        except ImportError as error:
            # Who catches that goes on without it, here as there.
            if not is_optional:
                place = f"{module.__name__.replace('.', '/')}.py:{node.lineno}"
                raise PolicyError(f"{type(error).__name__}: {error} (at {place})") from None


def _import(module: ModuleType, node: Any) -> None:
    if isinstance(node, _ast.Import):
        for alias in node.names:
            __import__(alias.name)
        return
    names = [alias.name for alias in node.names]
    found = __import__(node.module or "", vars(module), None, names, node.level)
    for name in names:
        if name != "*" and not hasattr(found, name):
            raise ImportError(f"cannot import name '{name}' from '{found.__name__}'")


def _imports(tree: Any, is_optional: bool) -> Iterator[tuple[Any, bool]]:
    """Each import below, and whether somebody counts with its failure, or it is for a checker of types alone.

    Where a `try` catches anything, so is what stands in its `except`: that is imported where the other is not there.
    """
    is_caught = isinstance(tree, _ast.Try | _ast.TryStar) and bool(tree.handlers)
    for name in tree._fields:
        value = getattr(tree, name, None)
        within = is_optional or is_caught or (name == "body" and _is_for_types(tree))
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, _ast.Import | _ast.ImportFrom):
                yield node, within
            elif isinstance(node, _ast.AST):
                yield from _imports(node, within)


def _is_for_types(tree: Any) -> bool:
    if not isinstance(tree, _ast.If):
        return False
    test = tree.test
    return getattr(test, "id", getattr(test, "attr", "")) == "TYPE_CHECKING"


def _said(error: BaseException) -> str:
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return f"it ends the program while it is imported: {type(error).__name__}"
    return text_of(error)


class Policy:
    """What the host calls. Whatever is raised becomes an error of the contract: anything else would trap.

    The interpreter makes an instance for each function, so what they have in common is the class's.
    """

    started: ClassVar[Started[Any] | None] = None

    def describe(self) -> contract.Description:
        return _WRITTEN.description

    def init(self, settings: str) -> contract.Requirements:
        def init() -> contract.Requirements:
            if Policy.started is not None:
                raise PolicyError("init was called twice")
            Policy.started = _WRITTEN.start(settings)
            return Policy.started.requirements

        return _clean(init)

    def evaluate(self, context: Context) -> contract.RawVerdict:
        def evaluate() -> contract.RawVerdict:
            if Policy.started is None:
                raise PolicyError("evaluate was called before init")
            return Policy.started.decide(context).raw()

        return _clean(evaluate)


def _clean(call: Callable[[], T]) -> T:
    try:
        return call()
    except BaseException as error:
        raise Err(_said(error)) from None
    finally:
        sandbox.flush()


for _name in _LATER:
    importlib.import_module(_name)
_WRITTEN = _policy()
# What is written while a policy is built belongs to no decision.
sandbox.flush()
log.connect(lambda level, message: call_import(_LOG, [level, message]))
