package sync

import (
	"encoding/binary"
	"errors"
)

// A ring is a message that a claim of another process has become a hold, or that its
// row is to be looked at. It saves the waiter reading the row, and is believed for two
// reasons together: it has the claim's id, which is in the row and cannot be guessed,
// and the store says that the user of this process has sent it. With the id alone, from
// another user who may read the row, it is a reason to look at the row. Without the id
// it changes nothing. Rings that are lost are replaced by a shout or seen within
// longRest.

// ringHead is the length of what is in front of the key in a ring: the id of a
// claim, its token, which is 0 if it has not become a hold, and since when it is
// one.
const ringHead = len(id{}) + 2*8

func encodeRing(b []byte, c *claim) []byte {
	b = append(b, c.ID[:]...)
	b = binary.NativeEndian.AppendUint64(b, uint64(c.Token))
	return binary.NativeEndian.AppendUint64(b, uint64(c.Since))
}

func decodeRing(b []byte) (c claim) {
	b = b[copy(c.ID[:], b):]
	c.Token = int64(binary.NativeEndian.Uint64(b))
	c.Since = int64(binary.NativeEndian.Uint64(b[8:]))
	return c
}

// hearRings has the rings of a session be heard. It returns nil if there can be none.
func (s *space) hearRings(p *session) (remove func()) {
	remove, err := s.st.Listen(p.owner, func(message []byte, own bool) {
		if len(message) < ringHead {
			return
		}
		c := decodeRing(message)
		c.Owner = p.owner
		if !own {
			c.Token = 0
		}
		s.hear(string(message[ringHead:]), &c)
	})
	if err != nil {
		return nil
	}
	return remove
}

// ring tells a claim's owner, and reports whether that need not be told otherwise.
// Where there are no rings all watch the rows.
func (s *space) ring(key string, c *claim) bool {
	message := append(encodeRing(make([]byte, 0, ringHead+len(key)), c), key...)
	err := s.st.Signal(c.Owner, message)
	return err == nil || errors.Is(err, errors.ErrUnsupported)
}
