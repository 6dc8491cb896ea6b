package sync

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/go-diskcache/diskcache/codec"
)

// leaseCodec writes a lease as lines of text that a person can read:
//
//	1 1048581
//	+ 0c5e9a1f.1 17 1 0 1048581 1700000000000000000
//	- 77ab01c2.1 4 1 0 0 0
//
// The first line has the size and the last token. Each line after it is a
// claim, a plus for a hold and a minus for a place in the queue, with owner,
// seq, n, max, token and since. Empty lines fill it up, so that its length
// seldom changes: then the engine has no sizes of rows to add up, which would
// take as long as the row itself.
type leaseCodec struct{}

// leaseUnit is what the length of a lease is a multiple of. Six claims have
// room in one.
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
	for _, n := range [...]int64{c.Seq, c.N, c.Max, c.Token, c.Since} {
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
		c.Owner = owner
		if err := numbers(s, &c.Seq, &c.N, &c.Max, &c.Token, &c.Since); err != nil {
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

// numbers parses numbers with a space between them.
func numbers(s string, to ...*int64) error {
	for i, n := range to {
		var field string
		var more bool
		field, s, more = strings.Cut(s, " ")
		v, err := strconv.ParseInt(field, 10, 64)
		if err != nil || more != (i < len(to)-1) {
			return fmt.Errorf("%w: a lease is damaged", codec.ErrDecode)
		}
		*n = v
	}
	return nil
}
