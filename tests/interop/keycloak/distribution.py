"""Keycloak's distribution: from Maven, of one version and digest, unpacked in a cache.

Looks for no newer version, and trusts no file in the cache that it did not finish itself.
"""

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import time
import zipfile

VERSION = "26.7.4"
SHA256 = "a286e98b4296d4e75ee88d8527c7cd463b307caa022f088c9f22cffccc741fa1"
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
FETCH_SECONDS_MAX = 900


class Refusal(Exception):
    """What the caller can mend."""


def fetch(cache):
    """The directory of Keycloak in `cache`, and the seconds that it took to get it there."""
    need("java", "Java 17 or later (Debian: `apt-get install openjdk-17-jre-headless`)")
    began = time.monotonic()
    home = cache / f"keycloak-{VERSION}"
    if not home.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with lock(cache):
            unpack(download(cache), home)
    return home, time.monotonic() - began


def download(cache):
    archive = cache / f"keycloak-quarkus-dist-{VERSION}.zip"
    if not archive.is_file():
        need("mvn", "Maven (Debian: `apt-get install maven`), and Maven Central once")
        command = ["mvn", "-B", "-q", PLUGIN, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={cache}"]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=FETCH_SECONDS_MAX, check=False)
        except subprocess.TimeoutExpired:
            raise Refusal(f"Maven did not bring `{ARTIFACT}` within {FETCH_SECONDS_MAX} seconds") from None
        if done.returncode != 0 or not archive.is_file():
            raise Refusal(f"Maven did not bring `{ARTIFACT}`:\n{(done.stdout + done.stderr)[-2000:]}")
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise Refusal(f"`{archive}` has the SHA-256 `{found}`, not `{SHA256}`\nhelp: remove it, and try again")
    return archive


def unpack(archive, home):
    part = home.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    with zipfile.ZipFile(archive) as file:
        file.extractall(part)
    # Last, so that what was interrupted is done again.
    (part / home.name).rename(home)
    part.rmdir()
    archive.unlink()


def need(program, what):
    if shutil.which(program) is None:
        raise Refusal(f"`{program}` is not there\nhelp: install {what}")


@contextlib.contextmanager
def lock(cache):
    """One at a time: Keycloak writes into its own distribution when it starts."""
    with (cache / "lock").open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refusal(f"another Keycloak runs from `{cache}`\nhelp: end it, or give another `--cache`") from None
        yield
