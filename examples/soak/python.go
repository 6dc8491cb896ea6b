//go:build linux

package main

// pythonWorker counts, as a process of Python, until its standard input ends.
const pythonWorker = `
import random, sys, threading, time, diskcache
path, name = sys.argv[1:]
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
cache = diskcache.Cache(path)
seen = 0
while not stop.is_set():
    with cache.transact(retry=True):
        total = cache.incr("total", default=0)
        n = cache.incr(name, default=0)
    print("shared", name, n, flush=True)
    if total <= seen:
        sys.exit("the total was %d and is %d now" % (seen, total))
    seen = total
    time.sleep(random.expovariate(100))
cache.close()
`
