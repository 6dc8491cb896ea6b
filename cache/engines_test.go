package cache_test

import (
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
)

// diskEngines are the engines that keep a store in a directory.
var diskEngines = []engine{{"sqlite", func(t *testing.T) func(time.Duration, bool) (driver.Store, error) {
	dir := t.TempDir()
	return func(timeout time.Duration, readOnly bool) (driver.Store, error) {
		return sqlite.Open(t.Context(), dir, &sqlite.Options{Timeout: timeout, ReadOnly: readOnly})
	}
}}}
