package powercut

import (
	"path/filepath"
	"syscall"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// recordFiles has what is done beside SQLite recorded, until the returned
// function is called.
func (d *Disk) recordFiles() (stop func()) { return osfs.SetHook(d.root, d.hook) }

func (d *Disk) hook(op *osfs.Op, do func() error) error {
	if op.Kind == osfs.OpLink && d.NoLinks {
		return syscall.EPERM
	}
	switch op.Kind {
	case osfs.OpCreate, osfs.OpMkdir, osfs.OpLink, osfs.OpRemove:
		// Recorded in the order in which they are done.
		d.names.Lock()
		defer d.names.Unlock()
	}
	d.mu.Lock()
	upto := len(d.log)
	d.mu.Unlock()
	err := do()
	rel, ok := d.rel(filepath.Join(op.Dir, op.Name))
	if err != nil || !ok {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch op.Kind {
	case osfs.OpCreate, osfs.OpMkdir:
		d.add(rel, op.Kind == osfs.OpMkdir)
	case osfs.OpLink:
		if to, ok := d.rel(filepath.Join(op.Dir, op.To)); ok {
			d.link(rel, to)
		}
	case osfs.OpRemove:
		d.remove(rel)
	}
	n, ok := d.find(rel)
	if !ok {
		return nil
	}
	switch op.Kind {
	case osfs.OpWrite:
		d.write(n, op.Offset, op.Data)
	case osfs.OpTruncate:
		d.truncate(n, op.Offset)
	case osfs.OpSync, osfs.OpSyncFolder:
		d.sync(n, upto)
	}
	return nil
}
