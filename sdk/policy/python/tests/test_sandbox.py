"""What is taken away in a sandbox, in an interpreter of its own: it does not come back."""

import subprocess
import sys
import unittest
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"
CLOCK = "a policy has no clock: the time of the decision is `context.time`"
CHANCE = "a policy has no source of random numbers: each decision has to come out the same when it is asked again"


def closed(code):
    """What a program says that runs after the sandbox was closed."""
    text = f"import sys; sys.path.insert(0, {str(SRC)!r})\nfrom attorn_policy import errors, log, sandbox\n"
    text += "out = sys.stdout\nsandbox.close()\nlog.info('nobody listens'); print('nor now')\n"
    text += "lines = []; log.connect(lambda level, text: lines.append((level.name, text)))\n"
    text += "try:\n" + "".join(f"    {line}\n" for line in code.splitlines())
    text += "except BaseException as error:\n    out.write(errors.text_of(error))\nout.write(repr(lines))\n"
    done = subprocess.run([sys.executable, "-B", "-c", text], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    return done.stdout


class Sandbox(unittest.TestCase):
    def test_there_is_no_clock(self):
        for call in (
            "time.time()",
            "time.time_ns()",
            "time.monotonic()",
            "time.perf_counter_ns()",
            "time.sleep(1)",
            "time.gmtime()",
            "time.localtime(None)",
            "time.strftime('%Y')",
            "time.ctime()",
        ):
            assert closed(f"import time\n{call}").startswith(CLOCK), call
        assert closed("import time\nprint(time.gmtime(0).tm_year, time.strftime('%Y', time.gmtime(0)))").endswith(
            "[('INFO', '1970 1970')]"
        )

    def test_there_is_no_chance(self):
        for call in (
            "random.random()",
            "random.choice([1])",
            "random.seed(1)",
            "random.Random()",
            "random.Random(None)",
            "random.SystemRandom()",
            "os.urandom(1)",
            "uuid.uuid4()",
            "__import__('secrets')",
        ):
            assert closed(f"import os, random, uuid\n{call}").startswith(CHANCE), call
        same = "import random\nprint(random.Random(7).random())"
        assert closed(same) == closed(same)
        assert "0.32383276483316237" in closed(same)

    def test_what_is_printed_is_logged(self):
        assert closed("print('a', 1)\nprint('b', end='')\nprint('c')\nprint('d', file=sys.stderr)") == str(
            [("INFO", "a 1"), ("INFO", "bc"), ("WARN", "d")]
        )
        # What nobody ended is a line when the call ends, and once.
        assert closed("print('a', end='')") == "[]"
        ended = "print('a', end='')\nprint('b\\nc', end='', file=sys.stderr)\nsandbox.flush(); sandbox.flush()"
        assert closed(ended) == str([("WARN", "b"), ("INFO", "a"), ("WARN", "c")])
        flushed = "print('a', end='')\nprint(end='', flush=True)\nprint('b')"
        assert closed(flushed) == str([("INFO", "a"), ("INFO", "b")])
        # Half a character is none, and no line grows for ever.
        assert closed("print('\\ud800')") == str([("INFO", "?")])
        long = "for _ in range(9): print('a' * 9000, end='')\nsandbox.flush()\nlines = len(lines[0][1])"
        assert closed(long) == "16384"
        assert closed("class A:\n    __str__ = None\nlog.info(A())\nprint(A())").startswith("TypeError")
        assert closed("input()").startswith("a policy is asked once, and asks nobody")
