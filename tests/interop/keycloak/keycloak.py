"""Keycloak on loopback, with the realm of `realm.json`: the second provider of the tests.

It prints one line of JSON when it is ready, and then answers commands on its standard input:

  {"do":"rotate_keys","keep_old":true}   sign with a new key; `false` withdraws the old ones at once
  {"do":"log_out","user":"alice"}        end a user's sessions, and tell the clients by back-channel logout
  {"do":"asked","user":"alice"}          what a user is asked on their device (CIBA)
  {"do":"answer","user":"alice","says":"yes"}   have them answer that: `yes`, `no`, or `nothing`

It ends, and Keycloak with it, when its input ends. It keeps nothing but the distribution, unpacked in the
cache: the database is in memory. It is for tests only: passwords are printed, and there is no TLS.
"""

import argparse
import json
import os
import pathlib
import secrets
import signal
import sys
import time

from admin import Admin
from device import Devices
from distribution import Refusal, fetch, lock
from server import Server

HERE = pathlib.Path(__file__).resolve().parent
LINE_BYTES_MAX = 16 * 1024


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", required=True, type=pathlib.Path,
                        help="where Keycloak is kept: 200 MB, and twice that at first")
    parser.add_argument("--port", type=int, default=0, help="0, which is the default, takes a free one")
    parser.add_argument("--audience", default="https://attorn.example", help="what Attorn is called in `aud`")
    parser.add_argument("--users-audience", default="https://attorn.example/users",
                        help="what its users' face is called")
    parser.add_argument("--logout-url", default="", help="where Attorn takes logout tokens")
    parser.add_argument("--approvals-jwks", default="", help="where the keys are with which Attorn asks users")
    parser.add_argument("--start-seconds-max", type=int, default=240)
    return parser.parse_args()


def realm(arguments):
    """The realm, with the places of this run filled in."""
    places = {
        '"AUDIENCE"': arguments.audience,
        '"USERS_AUDIENCE"': arguments.users_audience,
        '"LOGOUT_URL"': arguments.logout_url,
    }
    text = (HERE / "realm.json").read_text(encoding="utf-8")
    for place, value in places.items():
        text = text.replace(place, json.dumps(value))
    made = json.loads(text)
    if arguments.approvals_jwks:
        add_approvals(made, arguments.approvals_jwks)
    return made


def add_approvals(made, jwks):
    """A client by which users are asked, and the name that Keycloak knows them by in what they delegate with."""
    made["clients"].append({
        "clientId": "approvals", "enabled": True, "publicClient": False, "standardFlowEnabled": False,
        "directAccessGrantsEnabled": False, "serviceAccountsEnabled": False, "fullScopeAllowed": False,
        "clientAuthenticatorType": "client-jwt",
        "attributes": {
            "oidc.ciba.grant.enabled": "true", "ciba.backchannel.token.delivery.mode": "poll",
            "use.jwks.url": "true", "jwks.url": jwks, "token.endpoint.auth.signing.alg": "ES256",
        },
        "defaultClientScopes": ["basic"], "optionalClientScopes": [],
    })
    basic = next(scope for scope in made["clientScopes"] if scope["name"] == "basic")
    basic["protocolMappers"].append({
        "name": "username", "protocol": "openid-connect", "protocolMapper": "oidc-usermodel-attribute-mapper",
        "config": {
            "user.attribute": "username", "claim.name": "preferred_username", "jsonType.label": "String",
            "access.token.claim": "true", "id.token.claim": "false", "userinfo.token.claim": "false",
        },
    })


def answer(commands, line):
    """What is said to one line."""
    try:
        if len(line) > LINE_BYTES_MAX:
            raise Refusal(f"a line has more than {LINE_BYTES_MAX} bytes")
        asked = json.loads(line)
        name = asked.pop("do", None)
        if name not in commands:
            raise Refusal(f"`{name}` is none of {', '.join(f'`{one}`' for one in commands)}")
        return {"done": name, **commands[name](**asked)}
    except (Refusal, OSError, ValueError, TypeError) as error:
        return {"error": str(error)}


def say(line):
    print(json.dumps(line), flush=True)


def serve(arguments):
    home, fetched_seconds = fetch(arguments.cache)
    secret = secrets.token_urlsafe(24)
    began = time.monotonic()
    with (
        lock(arguments.cache),
        Devices() as devices,
        Server(home, arguments.port, secret, arguments.start_seconds_max, devices.url) as server,
    ):
        admin = Admin(server.url, secret)
        admin.create_realm(realm(arguments))
        say({
            "ready": True,
            "issuer": f"{server.url}/realms/attorn",
            "pid": os.getpid(),
            "fetch_seconds": round(fetched_seconds, 1),
            "start_seconds": round(time.monotonic() - began, 1),
            "memory_mib": server.memory_mib(),
        })
        callback = f"{server.url}/realms/attorn/protocol/openid-connect/ext/ciba/auth/callback"
        commands = {
            "rotate_keys": admin.rotate_keys,
            "log_out": admin.log_out,
            "asked": devices.asked,
            "answer": lambda user, says: devices.answer(callback, user, says),
        }
        for line in sys.stdin:
            if line.strip():
                say(answer(commands, line))


def main():
    # As an exception, so that what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        serve(parse_arguments())
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
