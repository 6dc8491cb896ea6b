package sqlite

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// nfsForTest makes every directory lie on NFS, until the returned function is
// called.
func nfsForTest() (restore func()) {
	old := networkKind
	networkKind = func(*osfs.Dir) (string, error) { return "NFS", nil }
	return func() { networkKind = old }
}

func TestNetworkFileSystem(t *testing.T) {
	defer nfsForTest()()
	_, err := Open(t.Context(), t.TempDir(), nil)
	if !errors.Is(err, driver.ErrNetwork) || !strings.Contains(err.Error(), "NFS") {
		t.Errorf("got %v", err)
	}
	open(t, t.TempDir(), &Options{AllowNetwork: true})
}
