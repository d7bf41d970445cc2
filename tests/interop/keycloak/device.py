"""The users' devices: where Keycloak sends what it asks them (its HTTP authentication channel), and from where they
answer when whoever started it says so.

Keycloak decides by itself who is asked, and checks what is asked. Nothing is kept but what was asked.
"""

import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from distribution import Refusal

REQUEST_BYTES_MAX = 64 * 1024
REQUEST_SECONDS_MAX = 20
STATUSES = {"yes": "SUCCEED", "no": "UNAUTHORIZED", "nothing": "CANCELLED"}


class Devices:
    """Listens as long as it is entered."""

    def __init__(self):
        self._asked = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/ask"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def asked(self, user):
        """What a user is asked now."""
        with self._lock:
            own = [one for one in self._asked if one["user"] == user]
        return {"asked": [{"message": one["message"], "details": None} for one in own]}

    def answer(self, callback, user, says):
        """Have a user answer what they were asked last."""
        with self._lock:
            own = [one for one in self._asked if one["user"] == user]
            if not own:
                raise Refusal(f"`{user}` is asked nothing")
            one = own[-1]
            self._asked.remove(one)
        body = json.dumps({"status": STATUSES[says]}).encode()
        headers = {"Authorization": one["bearer"], "Content-Type": "application/json"}
        request = urllib.request.Request(callback, data=body, headers=headers, method="POST")
        with urllib.request.urlopen(request, timeout=REQUEST_SECONDS_MAX):
            return {}

    def _take(self, bearer, said):
        with self._lock:
            self._asked.append({"user": said["login_hint"], "message": said.get("binding_message"), "bearer": bearer})

    def _handler(self):
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):  # The name is the library's.
                length = int(self.headers.get("Content-Length", "0"))
                if length > REQUEST_BYTES_MAX:
                    self.send_error(413)
                    return
                take(self.headers["Authorization"], json.loads(self.rfile.read(length)))
                # Anything else Keycloak takes for a failure.
                self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler
