package sqlite

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
)

// Who meets nobody does not take the directory's lock; who does keeps it until
// the transaction ends, for a while.
func TestCrowd(t *testing.T) {
	ctx := t.Context()
	s, err := Open(ctx, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	impatient, err := Open(ctx, s.Dir(), &Options{Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer impatient.Close()
	c, err := s.Open(ctx, "", driver.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	line, err := openFileLock(filepath.Join(s.Dir(), lockName))
	if err != nil {
		t.Fatal(err)
	}
	defer line.close()
	held := func() bool {
		ok, err := tryLockFile(line.f)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			line.unlock()
		}
		return !ok
	}
	set := func(s *Store, within *bool) error {
		err := s.Update(ctx, driver.Shared, func(t driver.Tx) error {
			*within = held()
			return t.Put(c, driver.Put{Key: key(1), Value: key(2), Now: at()})
		})
		if held() {
			t.Error("the lock is held after the transaction")
		}
		return err
	}
	var within bool
	s.core.writer.crowd = crowd{}
	if err := set(s, &within); err != nil || within {
		t.Error("alone:", err, "locked:", within)
	}

	other, err := lite.Open(filepath.Join(s.Dir(), databaseName), lite.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if err := set(impatient, &within); !errors.Is(err, driver.ErrTimeout) {
		t.Error("while another program writes:", err)
	}
	result := make(chan error)
	go func() { result <- set(s, &within) }()
	for !held() {
		time.Sleep(time.Millisecond)
	}
	if err := other.Exec("COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil || !within {
		t.Error("after another program wrote:", err, "locked:", within)
	}
	s.core.writer.crowd.until = time.Now().Add(time.Hour)
	if err := set(s, &within); err != nil || !within {
		t.Error("soon after another program wrote:", err, "locked:", within)
	}
	s.core.writer.crowd.until = time.Now()
	if err := set(s, &within); err != nil || within {
		t.Error("long after another program wrote:", err, "locked:", within)
	}
}

func TestCrowdSpan(t *testing.T) {
	var c crowd
	now := time.Now()
	for i, want := range []time.Duration{minCrowded, 2 * minCrowded, 4 * minCrowded} {
		c.met(now)
		if c.span != want || c.until != now.Add(want) {
			t.Errorf("meeting %d: %v, want %v", i, c.span, want)
		}
		now = c.until.Add(minCrowded)
	}
	for range 20 {
		c.met(now)
		now = c.until
	}
	if c.span != maxCrowded {
		t.Errorf("meeting others all the time: %v", c.span)
	}
	c.met(now.Add(maxCrowded + 1))
	if c.span != minCrowded {
		t.Errorf("after a quiet time: %v", c.span)
	}
}
