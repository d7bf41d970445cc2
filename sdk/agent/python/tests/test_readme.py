"""What the README shows is what is run against a server by `cargo xtask interop --only sdks`."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_examples_of_the_readme_are_those_that_are_run() -> None:
    readme = (ROOT / "README.md").read_text()
    ask = (ROOT / "examples" / "ask.py").read_text().split('"""\n\n', 1)[1]
    assert f"```python\n{ask}```" in readme
    guard = (ROOT / "examples" / "guard.py").read_text()
    begin, end = guard.index("@attorn.guard"), guard.index("\n\n\n@attorn.guard", guard.index("@attorn.guard"))
    assert f"```python\n{guard[begin:end]}\n```" in readme
    assert len(ask.splitlines()) <= 15
