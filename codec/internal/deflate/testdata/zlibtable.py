"""Prints the SHA-256 of zlib.compress for each file of a directory and each level.

zlib.txt was made with Python 3.11 and zlib 1.2.13; TestZlib says how.
"""

import hashlib
import pathlib
import sys
import zlib

for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    data = path.read_bytes()
    for level in range(-1, 10):
        print(path.name, level, hashlib.sha256(zlib.compress(data, level)).hexdigest())
