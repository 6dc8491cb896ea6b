package sqlite

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// statfsForTest makes every directory lie on NFS, until the returned function
// is called.
func statfsForTest() (restore func()) {
	old := statfs
	statfs = func(path string, st *unix.Statfs_t) error {
		err := unix.Statfs(path, st)
		st.Type = 0x6969
		return err
	}
	return func() { statfs = old }
}

func TestNetworkFileSystem(t *testing.T) {
	old := statfsForTest()
	defer old()
	_, err := Open(t.Context(), t.TempDir(), nil)
	if !errors.Is(err, driver.ErrNetwork) || !strings.Contains(err.Error(), "NFS") {
		t.Errorf("got %v", err)
	}
	open(t, t.TempDir(), &Options{AllowNetwork: true})
}
