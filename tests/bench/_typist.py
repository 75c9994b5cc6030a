"""A program that prompts and types as q does, and whose words tell when they were written.

`type COUNT MICROSECONDS [BYTES]` makes it answer with so many words, one write each, so far apart, on an absolute
schedule. A word is the microsecond of CLOCK_MONOTONIC at which it was written, in nine digits, and a space: ten bytes,
or as many as asked for, with letters before the digits. The answer is kept in the record that `TYPIST_DATABASE` names,
so a turn ends as with q. Only the standard library, no threads.
"""

import json
import os
import sqlite3
import sys
import termios
import time
import tty
import uuid
from pathlib import Path

WRAP = 1_000_000_000  # microseconds after which the words begin again
WORDS_A_LINE = 12
PROMPT = "\x1b[?2004h\r\x1b[K\x1b[35m> \x1b[0m\r\x1b[2C"
LINE_END = "\x1b[0m\x1b[0m\n"


def say(text: str) -> None:
    os.write(1, text.encode())


def ask() -> str:
    """A message, typed at a prompt as a paste and Enter. Ends the program when nobody is there any more."""
    cooked = termios.tcgetattr(0)
    tty.setraw(0, termios.TCSANOW)
    say(PROMPT)
    typed = b""
    while not typed.endswith(b"\r"):
        more = os.read(0, 65536)
        if not more:
            sys.exit(0)
        typed += more
    termios.tcsetattr(0, termios.TCSANOW, cooked)
    say("\x1b[?2004l\n")
    return typed.partition(b"\x1b[200~")[2].partition(b"\x1b[201~")[0].decode()


def answer(count: int, period: float, length: int) -> str:
    """Type that many words of `length` bytes, `period` seconds apart; return the text."""
    padding = "x" * (length - 10)
    say("\n\x1b[38;5;13m\x1b[0m\x1b[?25l")
    say("\r⠋ Thinking...")
    say("\x1b[2K\x1b[1G")
    say("\x1b[38;5;10m> \x1b[0m")
    text = ""
    begin = time.monotonic()
    for index in range(count):
        ahead = begin + index * period - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        if index and index % WORDS_A_LINE == 0:
            say(LINE_END)
            text += "\n"
        word = f"{padding}{time.monotonic_ns() // 1000 % WRAP:09} "
        say(word)
        text += word
    say(LINE_END * 2)
    return text


def keep(history: list[dict[str, object]]) -> None:
    """Write the record."""
    conversation = {"conversation_id": "typist", "history": history}
    with sqlite3.connect(os.environ["TYPIST_DATABASE"]) as database:
        database.execute("REPLACE INTO conversations VALUES (?, ?)", (str(Path.cwd()), json.dumps(conversation)))
    database.close()


def main() -> None:
    history: list[dict[str, object]] = []
    while True:
        message = ask()
        _, count, microseconds, *length = message.split()
        text = answer(int(count), int(microseconds) / 1e6, int(length[0]) if length else 10)
        said = {"content": {"Prompt": {"prompt": message}}, "timestamp": None}
        response = {"Response": {"message_id": str(uuid.uuid4()), "content": text}}
        history.append({"user": said, "assistant": response, "request_metadata": None})
        keep(history)
        say("\x1b[?25h\x1b[0m\x1b[0m")


if __name__ == "__main__":
    main()
