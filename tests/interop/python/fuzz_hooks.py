"""What schemathesis has to be told of Attorn: how bytes of a component are sent, and to count what came.

Loaded by schemathesis, from `fuzz_api.py`.
"""

import json
import os

import schemathesis


@schemathesis.serializer("application/wasm")
def component(_, value):
    """Whatever was made up, as bytes: nearly never a component, which is the point."""
    return value if isinstance(value, bytes) else json.dumps(value, default=str).encode()


@schemathesis.hook
def after_call(_, case, response):
    """Keep which operation got which status, for `fuzz_api.py` to look at."""
    operation = case.operation.definition.raw.get("operationId", "unknown")
    with open(os.environ["ATTORN_FUZZ_ANSWERS"], "a", encoding="utf-8") as answers:
        answers.write(f"{operation} {response.status_code}\n")
