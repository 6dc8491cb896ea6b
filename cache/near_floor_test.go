//go:build linux

package cache_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/go-diskcache/diskcache/cache"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	floorKeys = 4
	// floorSlots is the number of those who note what they have seen: all Go
	// processes together, and each Python process for itself.
	floorSlots = 4
)

// floors is memory that processes share, where each notes the largest number
// that it has seen under a key. All numbers grow: whoever begins to read must
// not see less than what is noted there.
type floors []byte

func openFloors(path string) (floors, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return unix.Mmap(int(f.Fd()), 0, floorKeys*floorSlots*8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func (f floors) at(key, slot int) *atomic.Int64 {
	return (*atomic.Int64)(unsafe.Pointer(&f[(key*floorSlots+slot)*8]))
}

func (f floors) floor(key int) (n int64) {
	for slot := range floorSlots {
		n = max(n, f.at(key, slot).Load())
	}
	return n
}

func (f floors) seen(key int, n int64) {
	for a := f.at(key, 0); ; {
		old := a.Load()
		if old >= n || a.CompareAndSwap(old, n) {
			return
		}
	}
}

// floorChild reads numbers that grow, and has them grow, as fast as it can.
func floorChild(ch *inChild) error {
	f, err := openFloors(ch.arg(1))
	if err != nil {
		return err
	}
	c, err := cache.Open(ch.ctx, ch.arg(0), &cache.Options[string, int64]{Policy: cache.LeastRecentlyUsed})
	if err != nil {
		return err
	}
	seed, err := strconv.ParseUint(ch.arg(2), 10, 64)
	if err != nil {
		return err
	}
	ch.say("ready")
	reads := 0
	var group errgroup.Group
	group.Go(func() error {
		r := rand.New(rand.NewPCG(seed, 0))
		for ; ch.ctx.Err() == nil; reads++ {
			k := r.IntN(floorKeys)
			floor := f.floor(k)
			n, _, err := c.Get(ch.ctx, strconv.Itoa(k))
			if err != nil {
				return err
			}
			if n < floor {
				return fmt.Errorf("key %d: %d after somebody had seen %d", k, n, floor)
			}
			f.seen(k, n)
		}
		return nil
	})
	for id := range uint64(2) {
		group.Go(func() error {
			r := rand.New(rand.NewPCG(seed, 1+id))
			for ch.ctx.Err() == nil {
				if err := growFloor(ch, c, f, r); err != nil {
					return err
				}
				if r.IntN(4) == 0 {
					time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond) // for the others to have something in memory
				}
			}
			return nil
		})
	}
	err = group.Wait()
	if errors.Is(err, ch.ctx.Err()) {
		err = nil
	}
	ch.say("%d", reads)
	return errors.Join(err, c.Close())
}

// growFloor does something about a key that has its number grow, or stay.
func growFloor(ch *inChild, c *cache.Cache[string, int64], f floors, r *rand.Rand) error {
	k := r.IntN(floorKeys)
	key := strconv.Itoa(k)
	kind := r.IntN(10)
	switch {
	case kind < 3:
		n, err := cache.Incr(ch.ctx, c, key, 1)
		if err == nil {
			f.seen(k, n)
		}
		return err
	case kind < 7: // commits that write nothing
		_, err := c.Delete(ch.ctx, "missing")
		return err
	}
	failure := errors.New("rolled back")
	var n int64
	err := c.Update(ch.ctx, func(tx *cache.Tx) error {
		was, _, err := c.In(tx).Get(ch.ctx, key)
		n = was + 1
		if kind == 9 {
			n = was + 1_000_000
		}
		err = errors.Join(err, c.In(tx).Set(ch.ctx, key, n))
		if err == nil && kind == 9 {
			err = failure
		}
		return err
	})
	if err == nil {
		f.seen(k, n)
	}
	if errors.Is(err, failure) {
		return nil
	}
	return err
}

// floorPython has numbers grow that Go reads, and says what it has seen.
const floorPython = `
import sys, mmap, random, struct, time, diskcache
dir, floors, slot = sys.argv[1], sys.argv[2], int(sys.argv[3])
f = open(floors, "r+b")
m = mmap.mmap(f.fileno(), 0)
c = diskcache.Cache(dir)
print("ready", flush=True)
while True:
    k = random.randrange(4)
    n = c.incr(str(k))
    struct.pack_into("<q", m, (k * 4 + slot) * 8, n)
    if random.randrange(3) == 0:
        time.sleep(random.random() / 200)
    if random.randrange(50) == 0:
        c.close()
`

func startFloorPython(t *testing.T, dir, floors string, slot int) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(pythonPath, "-c", floorPython, dir, floors, strconv.Itoa(slot))
	cmd.Stderr = os.Stderr
	out := must(cmd.StdoutPipe())(t)
	ok(t, cmd.Start())
	_, err := io.ReadFull(out, make([]byte, len("ready\n")))
	ok(t, err)
	return cmd
}

// TestNearFloor: no process sees a number again that was followed by a larger
// one before, whoever wrote that: processes with near caches, which are killed
// and come again, and Python, which knows nothing of them.
func TestNearFloor(t *testing.T) {
	if err := exec.Command(pythonPath, "-c", "import diskcache").Run(); err != nil {
		t.Skip("Python's DiskCache is not installed: apt-get install python3-diskcache")
	}
	t.Parallel()
	r := random(t, 4)
	root := quickDir(t)
	dir, shared := filepath.Join(root, "store"), filepath.Join(root, "floors")
	ok(t, os.WriteFile(shared, make([]byte, floorKeys*floorSlots*8), 0o600))
	f := must(openFloors(shared))(t)
	defer unix.Munmap(f)
	st := must(cache.OpenStore(t.Context(), dir, nil))(t)

	start := func() *child {
		c := spawn(t, "floor", dir, shared, strconv.FormatUint(r.Uint64(), 10))
		c.expect("ready")
		return c
	}
	children := []*child{start(), start(), start()}
	pythons := []*exec.Cmd{startFloorPython(t, dir, shared, 1), startFloorPython(t, dir, shared, 2)}
	t.Cleanup(func() {
		for _, p := range pythons {
			p.Process.Kill()
			p.Wait()
		}
	})
	for i := range scaled(40) {
		time.Sleep(time.Duration(r.IntN(200)) * time.Millisecond)
		if i%8 == 7 {
			p := &pythons[r.IntN(len(pythons))]
			ok(t, (*p).Process.Kill())
			(*p).Wait()
			slot := 1
			if p == &pythons[1] {
				slot = 2
			}
			*p = startFloorPython(t, dir, shared, slot)
			continue
		}
		c := &children[r.IntN(len(children))]
		(*c).killed()
		*c = start()
	}
	reads := 0
	for _, c := range children {
		ok(t, c.in.Close())
		if n, err := c.out.ReadString('\n'); err == nil {
			var one int
			fmt.Sscan(n, &one)
			reads += one
		}
		if err := c.wait(); err != nil {
			t.Errorf("%v\n%s", err, c.errs.String())
		}
	}
	var grown []int64
	for k := range floorKeys {
		grown = append(grown, f.floor(k))
	}
	t.Logf("numbers grew to %d; the last three processes read %d times", grown, reads)
	c := open[string, int64](t, st, "", nil)
	for k := range floorKeys {
		before := f.floor(k) // Python goes on
		n, _, err := c.Get(t.Context(), strconv.Itoa(k))
		if after := f.floor(k); err != nil || n < before || n > after+100 {
			t.Errorf("key %d is %d in the end, %v, and %d was seen before, %d after", k, n, err, before, after)
		}
	}
	ok(t, st.Close())
}
