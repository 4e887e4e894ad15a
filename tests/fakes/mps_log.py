"""The log lines of the stand-ins, in the form that driver 580 writes them."""

import datetime
import os


def log(who: str, text: str) -> None:
    """One whole line at once, so that the lines of two processes never mix."""
    now = datetime.datetime.now(tz=datetime.UTC)
    stamp = f"{now:%Y-%m-%d %H:%M:%S}.{now.microsecond // 1000:03d}"
    os.write(1, f"[{stamp} {who} {os.getpid():>5}] {text}\n".encode())


def faults() -> dict[str, str]:
    """The misbehaviour that the test asks for, for example ``FAKE_MPS="slow_start=2 ignore_quit"``."""
    words = os.environ.get("FAKE_MPS", "").split()
    return {name: value for name, _, value in (word.partition("=") for word in words)}
