"""Answers each JSON line of standard input with one JSON line."""

import json
import sys


def serve(answer):
    for line in sys.stdin.buffer:
        try:
            reply = answer(json.loads(line))
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)
