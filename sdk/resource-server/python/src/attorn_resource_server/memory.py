"""What was seen before, for as long as that matters, within a limit. It is lost when the process ends."""

from __future__ import annotations

import threading

_SWEEP_S = 1


class Full(Exception):
    """So much is remembered that nothing more is taken until some of it expires."""


class Memory:
    """Ids that were taken, each until a time. May be used by many threads."""

    def __init__(self, entries_max: int) -> None:
        self._entries_max = entries_max
        self._until_s: dict[str, int] = {}
        self._swept_at_s = 0
        self._lock = threading.Lock()

    def take(self, id: str, until_s: int, now_s: int) -> bool:  # noqa: A002
        """Take an id; false if it was taken before. `Full`."""
        with self._lock:
            if now_s >= self._swept_at_s + _SWEEP_S or now_s < self._swept_at_s:
                self._until_s = {key: until for key, until in self._until_s.items() if until >= now_s}
                self._swept_at_s = now_s
            if id in self._until_s:
                return False
            if len(self._until_s) >= self._entries_max:
                raise Full
            self._until_s[id] = until_s
            return True
