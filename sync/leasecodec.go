package sync

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-diskcache/diskcache/codec"
)

// leaseCodec writes a lease as lines of text that a person can read:
//
//	1 1048581
//	+ 0c5e9a1f.1 Yk3v0mJ8TzqWc1n5uRb7Xg 1 0 1048581 1700000000000000000
//	- 77ab01c2.1 pQ9sLd2aFh6eKo4xVt8iMw 1 0 0 0
//
// The first line has the size and the last token. Each line after it is a
// claim, with a plus if it is a hold and a minus if it waits in the queue, and
// with owner, id, n, max, token and since. Empty lines make the length a multiple
// of leaseUnit. So the length seldom changes, and the engine seldom has to update
// the collection's total size, which would cost as much as the row itself.
type leaseCodec struct{}

// leaseUnit is enough for five claims.
const leaseUnit = 512

func (leaseCodec) Name() string { return "lease" }

func (leaseCodec) Encode(l lease) (codec.Value, error) {
	b := make([]byte, 0, 2*leaseUnit)
	b = strconv.AppendInt(b, l.Size, 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, l.Token, 10)
	for i := range l.Holds {
		b = l.Holds[i].append(b, '+')
	}
	for i := range l.Queue {
		b = l.Queue[i].append(b, '-')
	}
	for len(b)%leaseUnit != 0 {
		b = append(b, '\n')
	}
	return codec.TextValue(string(b)), nil
}

func (c *claim) append(b []byte, mark byte) []byte {
	b = append(b, '\n', mark, ' ')
	b = append(b, c.Owner...)
	b = append(b, ' ')
	b = base64.RawURLEncoding.AppendEncode(b, c.ID[:])
	for _, n := range [...]int64{c.N, c.Max, c.Token, c.Since} {
		b = append(b, ' ')
		b = strconv.AppendInt(b, n, 10)
	}
	return b
}

func (leaseCodec) Decode(enc codec.Value) (l lease, err error) {
	if enc.Kind() != codec.Text {
		return l, fmt.Errorf("%w: a lease is text", codec.ErrDecode)
	}
	first, rest, more := strings.Cut(strings.TrimRight(enc.Text(), "\n"), "\n")
	if err := numbers(first, &l.Size, &l.Token); err != nil {
		return lease{}, err
	}
	for more {
		var s string
		s, rest, more = strings.Cut(rest, "\n")
		hold := strings.HasPrefix(s, "+ ")
		if !hold && !strings.HasPrefix(s, "- ") {
			return lease{}, fmt.Errorf("%w: a claim begins with + or -", codec.ErrDecode)
		}
		var c claim
		owner, s, _ := strings.Cut(s[2:], " ")
		id, s, _ := strings.Cut(s, " ")
		c.Owner = owner
		if err := c.ID.parse(id); err != nil {
			return lease{}, err
		}
		if err := numbers(s, &c.N, &c.Max, &c.Token, &c.Since); err != nil {
			return lease{}, err
		}
		if hold {
			l.Holds = append(l.Holds, c)
		} else {
			l.Queue = append(l.Queue, c)
		}
	}
	return l, nil
}

// parse reads an id. An earlier version has written a number instead, which also tells
// claims of one owner apart.
func (n *id) parse(s string) error {
	if base64.RawURLEncoding.DecodedLen(len(s)) == len(n) {
		if _, err := base64.RawURLEncoding.Decode(n[:], []byte(s)); err == nil {
			return nil
		}
	}
	old, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return errLease
	}
	binary.BigEndian.PutUint64(n[8:], old)
	return nil
}

var errLease = fmt.Errorf("%w: a lease is damaged", codec.ErrDecode)

// numbers parses numbers with a space between them.
func numbers(s string, to ...*int64) error {
	for i, n := range to {
		var field string
		var more bool
		field, s, more = strings.Cut(s, " ")
		v, err := strconv.ParseInt(field, 10, 64)
		if err != nil || more != (i < len(to)-1) {
			return errLease
		}
		*n = v
	}
	return nil
}
