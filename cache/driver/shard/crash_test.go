package shard

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// crashEnv makes the test binary a process that dies while it commits.
const crashEnv = "DISKCACHE_TEST_CRASH"

const crashShards = 4

// crashChild runs a transaction over all shards and a collection with a store
// of its own, stops before one of the commits, and waits to be killed.
func crashChild(arg string) error {
	var before int
	var dir string
	if _, err := fmt.Sscanf(arg, "%d %s", &before, &dir); err != nil {
		return err
	}
	ctx := context.Background()
	s, err := onDisk(ctx, dir, crashShards, 0, false)
	if err != nil {
		return err
	}
	c, err := s.Open(ctx, "", driver.Spec{Settings: driver.PersistentSettings()})
	if err != nil {
		return err
	}
	jobs, err := s.Open(ctx, "deque/jobs", driver.Spec{Settings: driver.PersistentSettings()})
	if err != nil {
		return err
	}
	commits := 0
	s.committing = func(*member) {
		if commits == before {
			fmt.Println("now")
			select {}
		}
		commits++
	}
	return s.Update(ctx, driver.Alone, func(tx driver.Tx) error { return everywhere(ctx, tx, crashShards, c, jobs) })
}

// When a process dies between two commits of a transaction, what was committed
// is there and the rest is not, nothing stays locked, and no shard is damaged.
func TestCrashBetweenCommits(t *testing.T) {
	exe, err := os.Executable()
	ok(t, err)
	// The order of the commits: the first shard, which keeps other
	// transactions out, is the last.
	order := []string{"001", "002", "003", "deque/jobs", "000"}
	for before := range order {
		if raceEnabled && before%2 == 0 {
			continue
		}
		dir := t.TempDir()
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", crashEnv, before, dir))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		ok(t, err)
		ok(t, cmd.Start())
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatalf("the child says %q, %v", line, err)
		}
		ok(t, cmd.Process.Kill())
		_ = cmd.Wait()

		s, err := onDisk(t.Context(), dir, crashShards, 0, false)
		ok(t, err)
		c, jobs := open(t, s, ""), open(t, s, "deque/jobs")
		for i, rel := range order {
			var found bool
			if rel == "deque/jobs" {
				found = has(t, s, jobs, number(1))
			} else {
				var shard int
				_, err := fmt.Sscan(rel, &shard)
				ok(t, err)
				found = has(t, s, c, keyIn(shard, crashShards, 0))
			}
			if found != (i < before) {
				t.Errorf("killed before commit %d: row in %s: %v", before, rel, found)
			}
		}
		ok(t, s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error { return everywhere(t.Context(), tx, crashShards, c, jobs) }))
		ok(t, s.Check(t.Context(), false, func(p driver.Problem) { t.Errorf("Check found %+v", p) }))
		ok(t, s.Close())
	}
}
