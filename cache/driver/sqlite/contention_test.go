package sqlite

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
)

// A process that finds another one writing has the directory's lock for its
// transaction, and not after it.
func TestContention(t *testing.T) {
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
	lock, err := s.core.files.Shared(lockName)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	held := func() bool {
		ok, err := lock.TryLock()
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			lock.Unlock()
		}
		return !ok
	}
	set := func(s *Store, within *bool) error {
		err := s.Update(ctx, driver.Shared, func(t driver.Tx) error {
			*within = held()
			return errOf(t.Put(ctx, c, driver.Put{Key: key(1), Value: key(2), Now: at()}))
		})
		if held() {
			t.Error("the lock is held after the transaction")
		}
		return err
	}
	other, err := sqlite3.Open(filepath.Join(s.Dir(), databaseName), sqlite3.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	var within bool
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
}
