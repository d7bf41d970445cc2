"""What an administrator of Keycloak does, over its REST interface.

Signs nobody in: that is for the users, on Keycloak's pages.
"""

import json
import time
import urllib.error
import urllib.parse
import urllib.request

from distribution import Refusal

REALM = "attorn"
REQUEST_SECONDS_MAX = 60
KEY_PROVIDER = "org.keycloak.keys.KeyProvider"


class Admin:
    def __init__(self, url, secret):
        self._url = url
        self._secret = secret
        self._token = None
        self._token_until = 0.0

    def create_realm(self, realm):
        self._call("POST", "/admin/realms", realm)

    def rotate_keys(self, keep_old=True):
        """Make a new RS256 key the first choice; withdraw the others unless `keep_old`."""
        old = self._signing_components()
        priority = 1 + max((int(one["config"].get("priority", ["0"])[0]) for one in old), default=100)
        self._call("POST", f"/admin/realms/{REALM}/components", {
            "name": f"signing-{priority}", "providerId": "rsa-generated", "providerType": KEY_PROVIDER,
            "config": {"priority": [str(priority)], "algorithm": ["RS256"], "active": ["true"], "enabled": ["true"]},
        })
        if not keep_old:
            for one in old:
                self._call("DELETE", f"/admin/realms/{REALM}/components/{one['id']}")
        keys = self._call("GET", f"/admin/realms/{REALM}/keys")
        published = [key["kid"] for key in keys["keys"] if key["use"] == "SIG" and key["algorithm"] == "RS256"]
        return {"signs_with": keys["active"]["RS256"], "published": published}

    def log_out(self, user):
        """End all sessions of this user, of which Keycloak tells the clients."""
        found = self._call("GET", f"/admin/realms/{REALM}/users?exact=true&username={urllib.parse.quote(user)}")
        if not found:
            raise Refusal(f"there is no user `{user}`")
        path = f"/admin/realms/{REALM}/users/{found[0]['id']}"
        sessions = self._call("GET", f"{path}/sessions")
        self._call("POST", f"{path}/logout")
        return {"sessions": len(sessions)}

    def _signing_components(self):
        query = urllib.parse.urlencode({"type": KEY_PROVIDER})
        components = self._call("GET", f"/admin/realms/{REALM}/components?{query}")
        return [one for one in components if one["providerId"] == "rsa-generated"]

    def _call(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self._bearer()}"}
        encoded = None
        if body is not None:
            encoded = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        return self._send(urllib.request.Request(self._url + path, data=encoded, headers=headers, method=method))

    def _bearer(self):
        if time.monotonic() > self._token_until:
            form = urllib.parse.urlencode({
                "grant_type": "client_credentials", "client_id": "attorn-interop", "client_secret": self._secret,
            }).encode()
            token = self._send(urllib.request.Request(
                f"{self._url}/realms/master/protocol/openid-connect/token", data=form))
            self._token = token["access_token"]
            self._token_until = time.monotonic() + token["expires_in"] / 2
        return self._token

    def _send(self, request):
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS_MAX) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            said = error.read(2000).decode(errors="replace")
            path = urllib.parse.urlsplit(request.full_url).path
            raise Refusal(f"Keycloak answered {error.code} to `{request.get_method()} {path}`: {said}") from None
        return json.loads(text) if text else None
