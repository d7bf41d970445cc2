"""Requests made from Attorn's OpenAPI document, by PyPI `schemathesis`: right ones, wrong ones, and odd ones.

No answer may be a 5xx, and none may be other than the document says: status, type, and shape. The document
comes from the running server, so that what is tried is what is served.

The operator's token is read from `ATTORN_TOKEN`: an argument would be seen by all processes. Use a server made
for this, and an operator with all duties: agents, servers and operators are registered, and nothing is put back.
"""

import argparse
import collections
import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
]
# What would end the run before it has tried the rest: the operator's own token, and an answer that has no end.
LEFT_OUT = ["revokeOperator", "streamEntries"]
# What an operator can always do, one for each duty.
NEVER_EMPTY = {"listAgents", "listEntries", "listOperators", "listPolicies"}
PR_SET_PDEATHSIG = 1
HERE = pathlib.Path(__file__).resolve().parent
CONFIG = """hooks = "HOOKS"

[generation]
database = "none"

[auth.openapi.operator]
bearer = "${ATTORN_TOKEN}"
"""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True, help="its URL, on loopback")
    parser.add_argument("--examples", type=int, default=20, help="for each operation")
    parser.add_argument("--seed", type=int, default=20261127)
    parser.add_argument("--seconds-max", type=int, default=600)
    parser.add_argument("--leave-out", action="append", default=[], metavar="OPERATION")
    return parser.parse_args()


def command(program, config, arguments):
    left_out = [f"--exclude-operation-id={operation}" for operation in LEFT_OUT + arguments.leave_out]
    return [
        program, "--config-file", str(config), "run", f"{arguments.server}/v1/openapi.json",
        "--url", arguments.server, "--checks", ",".join(CHECKS), "--max-examples", str(arguments.examples),
        "--seed", str(arguments.seed), "--request-timeout", "30", "--wait-for-schema", "10", "--no-color",
        "--warnings", "off", "--suppress-health-check", "all", *left_out,
    ]


def run(arguments):
    program = pathlib.Path(sys.executable).with_name("schemathesis")
    if not program.is_file():
        return refuse("`schemathesis` is not there",
                      "`DIR/bin/pip install --require-hashes -r requirements.txt` in a virtual environment, "
                      "and run this with `DIR/bin/python`")
    if not os.environ.get("ATTORN_TOKEN"):
        return refuse("`ATTORN_TOKEN` is not set", "it is an operator's token: `attorn operator register …`")
    with tempfile.TemporaryDirectory(prefix="attorn-fuzz-") as directory:
        config = pathlib.Path(directory) / "schemathesis.toml"
        answers = pathlib.Path(directory) / "answers"
        config.write_text(CONFIG.replace("HOOKS", str(HERE / "fuzz_hooks.py")), encoding="utf-8")
        environment = {**os.environ, "ATTORN_FUZZ_ANSWERS": str(answers), "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(command(str(program), config, arguments), cwd=directory, env=environment,
                                   stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=end_with_parent)
        try:
            return process.wait(arguments.seconds_max) or judge(answers)
        except subprocess.TimeoutExpired:
            return refuse(f"it did not end within {arguments.seconds_max} seconds", "give fewer `--examples`")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def end_with_parent():
    """Have the kernel end it should this script be killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def judge(answers):
    """Say what came. If nothing was done as asked, the token was wrong, and the run has shown nothing."""
    statuses, done = collections.Counter(), set()
    for line in answers.read_text(encoding="utf-8").splitlines():
        operation, status = line.split()
        statuses[status] += 1
        if status.startswith("2"):
            done.add(operation)
    print(json.dumps({"answers": dict(sorted(statuses.items())), "done": sorted(done)}))
    unwatched = NEVER_EMPTY - done
    if unwatched:
        return refuse(f"none of `{'`, `'.join(sorted(unwatched))}` was ever answered with 2xx",
                      "`ATTORN_TOKEN` has to be of an operator with all duties")
    return 0


def refuse(what, help_):
    print(f"error: {what}\nhelp: {help_}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(run(parse_arguments()))
