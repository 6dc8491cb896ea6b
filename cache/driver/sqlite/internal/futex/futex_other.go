//go:build !linux

package futex

import (
	"errors"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// Supported says whether there are pages on this system.
const Supported = false

// Page does not exist on this system.
type Page struct{}

// Open fails with errors.ErrUnsupported.
func Open(*osfs.File) (*Page, error) { return nil, errors.ErrUnsupported }

func (p *Page) Close() error             { return nil }
func (p *Page) Join(int)                 {}
func (p *Page) Leave(int)                {}
func (p *Page) Signal(_, _ uint32)       {}
func (p *Page) Wake(uint32)              {}
func (p *Page) Alert(_, _ uint32)        {}
func (p *Page) Count(int) uint32         { return 0 }
func (p *Page) Ticket() uint32           { return 0 }
func (p *Page) Want(uint32)              {}
func (p *Page) Wait(uint32, uint32) bool { return false }
