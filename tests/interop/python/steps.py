"""What a client of Attorn's token service is told, and what it did: a line of JSON for each step.

Knows no library for OAuth: what such a library does is the point of the scripts beside it.
"""

import argparse
import base64
import hashlib
import json
import pathlib
import sys

# The longest life of a grant, in seconds.
LIFETIME_S_MAX = 60


class NotAsExpected(Exception):
    """Something came, and is not what had to come."""


class Steps:
    """Takes steps; `error_of` says which OAuth error an exception of the library stands for."""

    def __init__(self, error_of):
        self._error_of = error_of
        self._failures = 0

    def take(self, step, what):
        try:
            value = what()
        except Exception as error:  # A step that fails in any way has failed.
            self._fail(step, f"{self._error_of(error) or ''} {type(error).__name__}: {error}".strip())
            return None
        say({"step": step, "ok": True, **(value.get("shown", {}) if isinstance(value, dict) else {})})
        return value

    def refused(self, step, expected, what):
        try:
            what()
        except Exception as error:
            code = self._error_of(error)
            if code == expected:
                say({"step": step, "ok": True, "error": code})
            else:
                self._fail(step, f"{code or f'{type(error).__name__}: {error}'}, not {expected}")
            return
        self._fail(step, f"this was answered, and not with {expected}")

    def finish(self):
        if self._failures:
            print(f"error: {self._failures} of the steps failed", file=sys.stderr)
            sys.exit(1)

    def _fail(self, step, why):
        self._failures += 1
        say({"step": step, "ok": False, "why": why})


def say(line):
    print(json.dumps(line), flush=True)


def demand(holds, what):
    if not holds:
        raise NotAsExpected(what)


def read_options(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--issuer", required=True)
    parser.add_argument("--client-id", required=True, help="the agent")
    parser.add_argument("--key", required=True, type=read_key, help="the agent's private JWK, of ES256")
    parser.add_argument("--action", required=True)
    parser.add_argument("--resource", required=True, metavar="TYPE/ID")
    parser.add_argument("--purpose", required=True)
    parser.add_argument("--arguments", default={}, type=json.loads, metavar="JSON")
    parser.add_argument("--audience", required=True, help="of the resource server, which the token has to be for")
    parser.add_argument("--denied-action", help="what the policies deny")
    parser.add_argument("--denied-error", default="access_denied")
    parser.add_argument("--login", type=read_json, help="what `login.mjs` printed: act for that user, too")
    parser.add_argument("--login-purpose", help="what for")
    parser.add_argument("--user", help="who is to be asked, as Attorn calls them")
    parser.add_argument("--delegation", help="what they delegated")
    parser.add_argument("--amounts", type=lambda text: [int(one) for one in text.split(",")], metavar="YES,NO")
    parser.add_argument("--resource-server", help="who may introspect")
    parser.add_argument("--resource-server-key", type=read_key)
    options = parser.parse_args()
    if bool(options.login) != bool(options.login_purpose):
        parser.error("who acts for a user has a purpose")
    if bool(options.resource_server) != bool(options.resource_server_key):
        parser.error("a resource server needs a name and a key")
    return options


def details(options, *actions, purpose=None):
    """`authorization_details` with an element for each of these actions."""
    return json.dumps([{
        "type": "attorn_action", "actions": [action], "identifier": options.resource,
        "purpose": purpose or options.purpose, "arguments": options.arguments,
    } for action in actions])


def delegated(options, amount):
    """`authorization_details` of what is asked by a delegation, and needs its user's yes."""
    return json.dumps([{
        "type": "attorn_action", "actions": [options.action], "identifier": options.resource,
        "purpose": options.purpose, "delegation": options.delegation,
        "arguments": {"amount": amount, "currency": "EUR"},
    }])


def read_json(path):
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))


def read_key(path):
    """A private JWK of ES256, with the name that Attorn gives it: its thumbprint (RFC 7638)."""
    jwk = read_json(path)
    if (jwk.get("kty"), jwk.get("crv")) != ("EC", "P-256") or "d" not in jwk:
        raise argparse.ArgumentTypeError(f"`{path}` is no private JWK of ES256")
    public = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    digest = hashlib.sha256(json.dumps(public, sort_keys=True, separators=(",", ":")).encode()).digest()
    kid = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return {**public, "d": jwk["d"], "kid": kid, "alg": "ES256"}


def decode(token):
    """Header and claims, unverified."""
    parts = [part + "=" * (-len(part) % 4) for part in token.split(".")[:2]]
    return tuple(json.loads(base64.urlsafe_b64decode(part)) for part in parts)


def check_token(token, options, user):
    """What a token has to be. `user` is whether the agent acts for one."""
    header, claims = decode(token)
    demand(header.get("typ") == "at+jwt", f"the header has `typ` `{header.get('typ')}`")
    expected = {"iss": options.issuer.rstrip("/"), "aud": options.audience, "client_id": options.client_id}
    for name, value in expected.items():
        demand(claims.get(name) == value, f"`{name}` is `{claims.get(name)}`")
    demand(claims.get("cnf", {}).get("jkt") == options.key["kid"], "the token is not bound to the key of the proof")
    demand(claims["exp"] - claims["iat"] <= LIFETIME_S_MAX, f"the token lives {claims['exp'] - claims['iat']} seconds")
    if user:
        demand(claims.get("act", {}).get("sub") == options.client_id, f"`act` is `{claims.get('act')}`")
        demand(claims["sub"] != options.client_id, f"`sub` is `{claims['sub']}`")
    else:
        demand("act" not in claims and claims["sub"] == options.client_id, f"`sub` is `{claims['sub']}`")
    return {"token": token, "claims": claims, "shown": {"claims": claims}}


def check_active(said, claims):
    demand(said.get("active") is True, f"introspection says {said}")
    for name in ("iss", "sub", "client_id", "jti", "exp", "act", "cnf"):
        demand(said.get(name) == claims.get(name), f"introspection says `{name}` is `{said.get(name)}`")


def check_inactive(said):
    demand(said == {"active": False}, f"introspection says {said}")
