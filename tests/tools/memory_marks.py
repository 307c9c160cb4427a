"""Counts marks in the whole memory of a process."""

from lines import serve


def regions(pid):
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            span, access, _, _, _, *name = line.split(None, 5)
            start, end = (int(number, 16) for number in span.split("-"))
            # The kernel's own pages cannot be read this way, and hold nothing.
            if access[0] == "r" and not "".join(name).startswith("[vv"):
                yield start, end, "".join(name).strip() or "anonymous"


def answer(request):
    marks = {name: bytes.fromhex(mark) for name, mark in request["marks"].items()}
    counts = dict.fromkeys(marks, 0)
    places, total = [], 0
    try:
        memory = open(f"/proc/{request['pid']}/mem", "rb", 0)
    except PermissionError as error:
        raise PermissionError("run the tests as root, who may read memory") from error
    with memory:
        for start, end, place in regions(request["pid"]):
            try:
                memory.seek(start)
                held = memory.read(end - start)
            except OSError:
                continue
            total += len(held)
            for name, mark in marks.items():
                found = held.count(mark)
                counts[name] += found
                if found:
                    places.append(f"{name} in {place}")
    return {"counts": counts, "bytes": total, "places": places}


if __name__ == "__main__":
    serve(answer)
