"""A service that keeps articles: `ATTORN_URL=… ATTORN_KEY=faq.key ATTORN_AUDIENCE=… PORT=8080 python articles.py`."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer

from attorn_resource_server import AgentKey, Refused, ResourceServer

key, port = AgentKey.load(os.environ["ATTORN_KEY"]), int(os.environ["PORT"])
own_url = f"http://127.0.0.1:{port}"
service = ResourceServer(os.environ["ATTORN_URL"], os.environ["ATTORN_AUDIENCE"], key, public_url=own_url)


class Articles(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        asked = {"action": "faq.read", "resource": self.path.lstrip("/"), "arguments": {}}
        try:
            who = service.accept("GET", self.path, self.headers, **asked).agent
        except Refused as refused:
            self.send_error(refused.status, refused.code)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"{self.path}, for {who}\n".encode())


HTTPServer(("127.0.0.1", port), Articles).serve_forever()
