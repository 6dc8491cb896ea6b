//go:build !linux

package futex

import (
	"errors"
	"time"
)

// Page does not exist on this system.
type Page struct{}

// Open fails with errors.ErrUnsupported.
func Open(string) (*Page, error) { return nil, errors.ErrUnsupported }

func (p *Page) Close() error               { return nil }
func (p *Page) Signal()                    {}
func (p *Page) Prepare() uint32            { return 0 }
func (p *Page) Wait(uint32, time.Duration) {}
