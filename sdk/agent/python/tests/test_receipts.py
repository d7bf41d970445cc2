"""Receipts of the host's log, and every way in which they may be false."""

from __future__ import annotations

from typing import Any

import pytest
from fake_server import flipped, vectors

from attorn_agent import LogKey, ReceiptError, verify_receipt

SHARED = vectors("receipts.json")
KEY = LogKey(SHARED["key"])
GOLDEN = SHARED["good"][0]["receipt"]


@pytest.mark.parametrize("vector", SHARED["refused"], ids=lambda vector: vector["name"])
def test_a_receipt_that_proves_nothing_is_refused(vector: dict[str, str]) -> None:
    with pytest.raises(ReceiptError):
        verify_receipt(vector["receipt"], KEY)


def test_a_receipt_fails_whichever_byte_changes() -> None:
    for changed in flipped(GOLDEN):
        with pytest.raises(ReceiptError):
            verify_receipt(changed, KEY)


def test_a_receipt_fails_wherever_it_is_cut() -> None:
    whole = GOLDEN.encode()
    for at in range(len(whole)):
        with pytest.raises(ReceiptError):
            verify_receipt(whole[:at], KEY)


def test_a_receipt_that_is_too_long_is_not_read() -> None:
    with pytest.raises(ReceiptError, match="longer than 163840 bytes"):
        verify_receipt("x" * 163_841, KEY)


@pytest.mark.parametrize("vector", SHARED["good"], ids=lambda vector: vector["name"])
def test_the_host_s_receipts_verify(vector: dict[str, Any]) -> None:
    logged = verify_receipt(vector["receipt"], KEY)
    assert (str(logged.entry), logged.checkpoint_size) == (vector["entry"], vector["size"])
    assert logged.body["kind"] == vector["kind"]


def test_other_keys_are_refused() -> None:
    text = SHARED["key"]
    name, key_id, key = text.split("+", 2)
    for other in (
        "",
        f"{name}+{key_id}",
        f"other+{key_id}+{key}",
        f"{name}/x+{key_id}+{key}",
        f"{name}+00000000+{key}",
        f"{name}+{key_id.upper()}+{key}",
        f"{name}+\u00e9+{key}",
        f"{text}=",
        f"{text}\n\n",
        f"{name}+{key_id}+AAAA",
        f"{name}+{key_id}+{key[:-1]}",
        "x" * 300,
    ):
        with pytest.raises(ReceiptError):
            LogKey(other)
    # The key's id is made of its name, too.
    with pytest.raises(ReceiptError):
        LogKey(text.replace("main/1", "main/2"))
    assert LogKey(f"{text}\n").origin == "attorn/main/1"
