"""The process of Keycloak: started, waited for, and ended whatever happens.

Knows nothing of realms.
"""

import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from distribution import Refusal

STOP_SECONDS_MAX = 15
PR_SET_PDEATHSIG = 1
# Enough for a few users, and what it takes is known.
HEAP = "-Xms64m -Xmx384m"


class Server:
    """Keycloak, as a context: outside it, nothing runs."""

    def __init__(self, home, port, secret, start_seconds_max, devices_url):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._home = home
        self._secret = secret
        self._start_seconds_max = start_seconds_max
        self._devices_url = devices_url
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")
        self._process = None

    def __enter__(self):
        if not is_free(self.port):
            raise Refusal(f"port `{self.port}` is taken\nhelp: give another `--port`, or 0 for a free one")
        command = ["bash", str(self._home / "bin/kc.sh"), "start-dev", "--db=dev-mem", "--cache=local",
                   "--http-host=127.0.0.1", f"--http-port={self.port}", "--log-level=warn",
                   "--spi-ciba-auth-channel--ciba-http-auth-channel--http-authentication-channel-uri="
                   + self._devices_url]
        environment = {
            **os.environ,
            "KC_BOOTSTRAP_ADMIN_CLIENT_ID": "attorn-interop",
            "KC_BOOTSTRAP_ADMIN_CLIENT_SECRET": self._secret,
            "JAVA_OPTS_KC_HEAP": HEAP,
        }
        # A session of its own, because `kc.sh` starts Java more than once and all of it has to end.
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
                                         env=environment, start_new_session=True, preexec_fn=end_with_parent)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self._process is not None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                end_group(self._process.pid, number)
                if self._ended():
                    break
            self._process.wait()
        self._log.close()

    def _ended(self):
        """Whether the whole group is gone, waited for as long as it may take."""
        until = time.monotonic() + STOP_SECONDS_MAX
        while time.monotonic() < until:
            self._process.poll()
            if not processes_of(self._process.pid):
                return True
            time.sleep(0.1)
        return False

    def _wait(self):
        until = time.monotonic() + self._start_seconds_max
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise Refusal(f"Keycloak ended by itself:\n{self._last_words()}")
            try:
                with urllib.request.urlopen(f"{self.url}/realms/master", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.25)
        raise Refusal(f"Keycloak was not ready within {self._start_seconds_max} seconds:\n{self._last_words()}")

    def _last_words(self):
        self._log.seek(0)
        return self._log.read()[-2000:]

    def memory_mib(self):
        """What its processes hold in memory now."""
        kib = 0
        for process in processes_of(self._process.pid):
            status = pathlib.Path(f"/proc/{process}/status").read_text(encoding="utf-8")
            kib += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
        return kib // 1024


def end_with_parent():
    """Have the kernel end `kc.sh` should this script be killed; it passes the signal on to Java."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def end_group(group, number):
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def processes_of(group):
    """The processes of this group that still run."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            # After the name, which may hold anything: state, parent, group.
            state, _, process_group = stat.read_text(encoding="utf-8").rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(process_group) == group and state != "Z":
            found.append(stat.parent.name)
    return found


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def is_free(port):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
