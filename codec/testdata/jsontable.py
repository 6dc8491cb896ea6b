"""Writes json.txt, what Python's json.dumps makes of many values.

    python3 jsontable.py > json.txt

Each line is a kind, the value, and json.dumps of it, with tabs between:

    float   the bits of a float64, in hex
    string  the UTF-8 bytes, in hex
    value   JSON with sorted keys and without spaces, to be read into an any
    disk    JSON as above, the level, and DiskCache's JSONDisk encoding in hex
"""

import json
import random
import struct
import zlib

random.seed(1)


def compact(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def line(*fields):
    print("\t".join(fields))


floats = [0.0, -0.0, 1.0, -1.0, 0.1, 1e-4, 9.999e-5, 1e-5, 1e-6, 1e-7, 5e-324, 1e15, 1e16, 1e17, 1e20, 1e21, 1e22]
floats += [9999999999999998.0, 123456789012345680.0, 1.7976931348623157e308, 2.2250738585072014e-308, 2.0**53, 1e100]
floats += [random.uniform(-1, 1) * 10 ** random.randint(-25, 25) for _ in range(150)]
floats += [float(random.randint(-(10**n), 10**n)) for n in range(25) for _ in range(3)]
while len(floats) < 450:
    f = struct.unpack("<d", random.randbytes(8))[0]
    if f == f and abs(f) != float("inf"):
        floats.append(f)
for f in floats:
    line("float", struct.pack(">d", f).hex(), json.dumps(f))

strings = ["", "plain", "<script>&amp;</script>", "\u2028\u2029", "\U0001f600 \U00010000 \U0010ffff", "\ufffd", "\\\"/'"]
strings += [chr(c) for c in range(0x101)] + [chr(c) for c in (0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF)]
strings += ["".join(chr(random.choice([random.randrange(0xD800), random.randrange(256)])) for _ in range(9)) for _ in range(50)]
for s in strings:
    line("string", s.encode().hex(), json.dumps(s))


def tree(depth):
    kind = random.randrange(8 if depth else 6)
    if kind == 0:
        return random.choice([None, True, False])
    if kind <= 2:
        return random.randint(-1000, 1000)
    if kind == 3:
        return random.choice([0.5, 1.5e-7, -2.25, 1e-5, 0.0001, 123.456])
    if kind <= 5:
        return random.choice(strings)
    if kind == 6:
        return [tree(depth - 1) for _ in range(random.randrange(4))]
    return {random.choice(strings): tree(depth - 1) for _ in range(random.randrange(4))}


for _ in range(150):
    value = tree(4)
    line("value", compact(value), json.dumps(value, sort_keys=True))

for level in range(-1, 10):
    for value in ["key", 42, ["a", 1], {"name": "x" * 100, "tags": ["é"] * 20}, list(range(500))]:
        line("disk", compact(value), str(level), zlib.compress(json.dumps(value).encode("utf-8"), level).hex())
