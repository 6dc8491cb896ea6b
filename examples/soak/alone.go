//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

var errTwo = errors.New("two are where one may be")

// enter begins what only one may be doing at a time, which the store has seen to,
// and fails if another one is at it. leave ends it.
//
// It takes a lock of the kernel on a file beside the store. One who has that lock
// and is killed loses it some moments later than what it held in the store: the
// next one may have to wait, and then finds that nobody has left.
func (t *tables) enter(name string) (leave func() error, err error) {
	f, err := os.OpenFile(filepath.Join(t.dir, name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	fd := int(f.Fd())
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		for err = unix.EINTR; err == unix.EINTR; {
			err = unix.Flock(fd, unix.LOCK_EX)
		}
		last := make([]byte, len("inside"))
		if _, rerr := f.ReadAt(last, 0); rerr == nil && string(last) != "inside" {
			err = fmt.Errorf("%w: %s", errTwo, name)
		}
	}
	if err == nil {
		_, err = f.WriteAt([]byte("inside"), 0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		_, err := f.WriteAt([]byte("left  "), 0)
		return errors.Join(err, f.Close())
	}, nil
}
