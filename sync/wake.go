package sync

import (
	"encoding/binary"
	"errors"
)

// A wake-up is a message from one process to another: a claim of the receiver has
// become a hold, or the row of a claim is to be looked at. It saves the receiver
// from reading the row. The receiver takes a claim for granted only if the message
// has the claim's id, which is a random number in the row, and if the store says that
// the sender has the same user. With the id but from another user, who may be able to
// read the row, the message is a reason to look at the row. Without the id it changes
// nothing. If a wake-up cannot be sent, a broadcast is; a wake-up that is lost costs
// the receiver up to slowLook.

// wakeHead is the length of a message without its key, which comes last: the id of
// the claim, its token, which is 0 if it is no hold, and the time since when it is one.
const wakeHead = len(id{}) + 2*8

func encodeWake(b []byte, c *claim) []byte {
	b = append(b, c.ID[:]...)
	b = binary.NativeEndian.AppendUint64(b, uint64(c.Token))
	return binary.NativeEndian.AppendUint64(b, uint64(c.Since))
}

func decodeWake(b []byte) (c claim) {
	b = b[copy(c.ID[:], b):]
	c.Token = int64(binary.NativeEndian.Uint64(b))
	c.Since = int64(binary.NativeEndian.Uint64(b[8:]))
	return c
}

// receiveWakes begins to receive the wake-ups for the claims of a session. It returns
// nil if the store has no messages.
func (m *manager) receiveWakes(p *session) (stop func()) {
	stop, err := m.st.Listen(p.owner, func(message []byte, own bool) {
		if len(message) < wakeHead {
			return
		}
		c := decodeWake(message)
		c.Owner = p.owner
		if !own {
			c.Token = 0
		}
		m.notify(string(message[wakeHead:]), &c)
	})
	if err != nil {
		return nil
	}
	return stop
}

// wake sends a wake-up to a claim's owner. It reports false if the owner has to be
// told by a broadcast. In a store without messages every listener watches the rows.
func (m *manager) wake(key string, c *claim) bool {
	message := append(encodeWake(make([]byte, 0, wakeHead+len(key)), c), key...)
	err := m.st.Signal(c.Owner, message)
	return err == nil || errors.Is(err, errors.ErrUnsupported)
}
