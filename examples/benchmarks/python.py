"""Carries out one job with Python's DiskCache: the counterpart of job.go.

The job is JSON in the first argument. Says "ready" and waits for a line, like
the children in Go, then works and prints the outcome as JSON.
"""

import json
import os
import random
import sys
import threading
import time

import diskcache

clock = time.perf_counter_ns
job = json.loads(sys.argv[1])
duration = job["nanoseconds"]
size = job.get("size", 0)
directory = os.path.join(job["dir"], "store")


def resident():
    try:
        with open("/proc/self/status") as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def on_disk():
    total = 0
    for root, _, names in os.walk(job["dir"]):
        for name in names:
            try:
                total += os.stat(os.path.join(root, name)).st_blocks * 512
            except OSError:
                pass
    return total


base = resident()


def ready():
    print("ready", flush=True)
    sys.stdin.readline()


class Phase:
    """What a part of the job has measured."""

    def __init__(self, name=""):
        self.name = name
        self.tallies = {}
        self.operations = self.hits = self.misses = 0
        self.holds = []
        self.disk = 0
        self.start = clock()

    def add(self, op, ns):
        # Eleven significant bits, so that there are few different ones.
        shift = max(ns.bit_length() - 11, 0)
        ns = ns >> shift << shift
        tally = self.tallies.setdefault(op, {})
        tally[ns] = tally.get(ns, 0) + 1

    def merge(self, other):
        self.operations += other.operations
        self.hits += other.hits
        self.misses += other.misses
        for op, tally in other.tallies.items():
            mine = self.tallies.setdefault(op, {})
            for ns, n in tally.items():
                mine[ns] = mine.get(ns, 0) + n

    def get(self, cache, key):
        start = clock()
        value = cache.get(key)
        now = clock()
        self.add("get", now - start)
        self.operations += 1
        if value is None:
            self.misses += 1
        else:
            self.hits += 1
        return now, value

    def set(self, cache, key, value, op="set"):
        start = clock()
        cache.set(key, value, **write)
        now = clock()
        self.add(op, now - start)
        self.operations += 1
        return now

    def delete(self, cache, key):
        start = clock()
        cache.delete(key, **write)
        now = clock()
        self.add("delete", now - start)
        self.operations += 1
        return now

    def step(self, cache, source, i):
        r = source.random.randrange(1000)
        if r < job.get("gets", 0):
            return self.get(cache, source.key(i))[0]
        if r < job.get("gets", 0) + job.get("sets", 0):
            return self.set(cache, source.key(i), source.value())
        return self.delete(cache, source.key(i))

    def end(self):
        return {
            "name": self.name,
            "nanoseconds": clock() - self.start,
            "operations": self.operations,
            "hits": self.hits,
            "misses": self.misses,
            "latencies": {op: list(t.items()) for op, t in self.tallies.items()},
            "holds": self.holds,
            "resident": resident(),
            "disk": self.disk,
        }


class Source:
    """Makes keys and values, as source.go does."""

    def __init__(self, keys, seed):
        self.keys = keys
        self.random = random.Random(seed)
        self.noise = os.urandom(1 << 20)
        self.multiplier = 1
        for m in range(keys * 618 // 1000 | 1, 1, -2):
            if gcd(m, keys) == 1:
                self.multiplier = m
                break

    def key(self, i):
        return "key-%d" % i

    def value(self):
        n = size or self.random.randint(1, 600)
        at = self.random.randrange(len(self.noise) - n)
        return self.noise[at : at + n]

    def any(self):
        return self.random.randrange(self.keys)

    def scattered(self, i):
        return i * self.multiplier % self.keys


def gcd(a, b):
    while b:
        a, b = b, a % b
    return a


write = {}


def open_cache():
    options = {"size_limit": job.get("limit") or 1 << 50}
    if job.get("policy") == "lru":
        options["eviction_policy"] = "least-recently-used"
    if job["engine"] == "python-fanout":
        # By default its writes are dropped when they would have to wait.
        write["retry"] = True
        return diskcache.FanoutCache(directory, shards=8, **options)
    return diskcache.Cache(directory, **options)


def load(cache, source, start, stop):
    for begin in range(start, stop, 1000):
        with cache.transact():
            for i in range(begin, min(begin + 1000, stop)):
                cache.set(source.key(i), source.value())


def run_load():
    cache = open_cache()
    ready()
    phase = Phase("load")
    load(cache, Source(job["keys"], job["seed"]), 0, job["keys"])
    phase.operations = job["keys"]
    return [phase.end()]


def run_mix():
    cache = open_cache()
    n = job.get("goroutines") or 1
    sources = [Source(job["keys"], job["seed"] * 1000 + i) for i in range(n)]
    barrier = threading.Barrier(n + 1)
    phases = []

    def warm_up(source):
        phase = Phase()
        while phase.operations < 500 and clock() - phase.start < duration // 4:
            phase.step(cache, source, source.any())

    def measure(source):
        phase = Phase()
        end = phase.start + duration
        while phase.step(cache, source, source.any()) <= end:
            pass
        return phase

    if n == 1:
        warm_up(sources[0])
        ready()
        return [measure(sources[0]).end()]

    def work(source):
        warm_up(source)
        barrier.wait()
        barrier.wait()
        phases.append(measure(source))

    threads = [threading.Thread(target=work, args=(s,)) for s in sources]
    for t in threads:
        t.start()
    barrier.wait()
    ready()
    total = Phase()
    barrier.wait()
    for t in threads:
        t.join()
    if len(phases) != n:
        raise SystemExit("a thread has failed")
    for phase in phases:
        total.merge(phase)
    return [total.end()]


def run_keys():
    cache = open_cache()
    source = Source(job["keys"], job["seed"])
    ready()
    cold = Phase("cold")
    first = source.any()
    for i in range(job["keys"]):
        now = cold.step(cache, source, source.scattered((first + i) % job["keys"]))
        if now - cold.start > duration:
            break
    phases = [cold.end()]
    some = min(max(job["keys"] // 100, 1), 1000)
    for i in range(some):
        cache.get(source.key(source.scattered(i)))
    hot = Phase("hot")
    while True:
        now = hot.step(cache, source, source.scattered(source.random.randrange(some)))
        if now - hot.start > duration:
            break
    return phases + [hot.end()]


def run_lru():
    cache = open_cache()
    source = Source(job["keys"], job["seed"])
    if job.get("load"):
        load(cache, source, 0, job["keys"])
    weights, total = [], 0.0
    for k in range(job["keys"]):
        total += (1 + k) ** -1.1
        weights.append(total)

    def run(phase):
        while True:
            for i in source.random.choices(range(job["keys"]), cum_weights=weights, k=100):
                key = source.key(source.scattered(i))
                now, value = phase.get(cache, key)
                if value is None:
                    now = phase.set(cache, key, source.value())
                if now - phase.start > duration:
                    return

    if job.get("limit"):
        run(Phase())
    ready()
    phase = Phase()
    run(phase)
    return [phase.end()]


def run_growth():
    cache = open_cache()
    ready()
    phases, have, rows = [], 0, 1000
    while rows <= job["keys"]:
        source = Source(rows, job["seed"])
        load(cache, source, have, rows)
        have = rows
        phase = Phase("rows=%d" % rows)
        now = phase.start
        while now - phase.start < duration:
            i = source.any()
            now = phase.step(cache, source, i)
            if source.random.randrange(10) == 0:
                phase.delete(cache, source.key(i))
                now = phase.set(cache, source.key(i), source.value(), "insert")
        phase.disk = on_disk()
        phases.append(phase.end())
        rows *= 10
    return phases


def run_queue():
    queue = diskcache.Deque(directory=directory)
    role = job["role"]

    def item(last):
        return time.time_ns().to_bytes(8, "big") + bytes([last]) + bytes(91)

    def push(phase):
        start = clock()
        queue.append(item(False))
        now = clock()
        phase.add("push", now - start)
        return now

    if role == "alone":
        for _ in range(100):
            queue.append(item(False))
    ready()
    phase = Phase(role)
    if role == "alone":
        now = phase.start
        while now - phase.start < duration:
            start = push(phase)
            queue.popleft()
            now = clock()
            phase.add("pop", now - start)
            phase.operations += 1
    elif role == "consumer":
        while True:
            try:
                got = queue.popleft()
            except IndexError:
                time.sleep(0.001)  # as often as DiskCache's own lock looks
                continue
            if got[8]:
                break
            phase.add("wake", max(time.time_ns() - int.from_bytes(got[:8], "big"), 0))
            phase.operations += 1
    else:
        now = phase.start
        while now - phase.start < duration:
            if role == "caller":
                time.sleep(0.003)
            now = push(phase)
        queue.append(item(True))
    return [phase.end()]


def run_lock():
    lock = diskcache.Lock(diskcache.Cache(directory), "lock")
    ready()
    phase = Phase()
    now = phase.start
    while now - phase.start < duration:
        before = clock()
        lock.acquire()
        locked, taken = clock(), time.time_ns()
        while clock() - locked < 50_000:
            pass
        unlocking, given_up = clock(), time.time_ns()
        lock.release()
        now = clock()
        phase.operations += 1
        phase.add("lock", locked - before)
        phase.add("unlock", now - unlocking)
        phase.holds.append((taken, given_up))
    return [phase.end()]


kinds = {
    "load": run_load,
    "mix": run_mix,
    "keys": run_keys,
    "lru": run_lru,
    "growth": run_growth,
    "queue": run_queue,
    "lock": run_lock,
}
json.dump({"base": base, "phases": kinds[job["kind"]]()}, sys.stdout)
print()
