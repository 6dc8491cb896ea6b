package sync

import (
	"context"
	"time"
)

const (
	// fastLook is the least time between two looks at rows after a change of any of
	// them, in a store without messages.
	fastLook = 5 * time.Millisecond

	// listenerIdle is how long the listener stays when nobody waits any more.
	listenerIdle = time.Second
)

// slowLook is the least time between two such looks in a store with messages. There,
// a look only finds what no message tells, such as a row that somebody has deleted: if
// every change of a row woke every process that waits for any, most would wake in vain.
// Tests make it long.
var slowLook = time.Second

// listener is the goroutine that tells waiters and holds of this process to look at
// their rows. It runs while there are any, and listenerIdle longer. It waits for
//
//   - a change of the collection of broadcasts, by a process that could not send a
//     wake-up,
//   - a change of the collection of rows: see fastLook and slowLook,
//   - the loss of the session.
type listener struct {
	broadcasts *watch
	rows       *watch
	wakes      bool          // wake-ups are received
	idle       chan struct{} // has room for one: the last interest has ended
	ended      chan struct{} // the goroutine has ended
}

// listen registers interest in changes. If it returns nil, unlisten has to
// follow.
func (m *manager) listen() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.current.Load(); m.stopWakes == nil && p != nil {
		m.stopWakes = m.receiveWakes(p)
	}
	if m.listener == nil {
		l := &listener{
			broadcasts: &watch{of: m.broadcasts.Watch}, rows: &watch{of: m.rows.Watch},
			idle: make(chan struct{}, 1), ended: make(chan struct{}),
		}
		l.wakes = m.stopWakes != nil
		err := l.rows.begin()
		if err == nil && l.wakes {
			err = l.broadcasts.begin()
		}
		if err != nil {
			l.end()
			return err
		}
		m.listener = l
		go m.run(l)
	}
	m.interests++
	return nil
}

func (m *manager) unlisten() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.interests--
	if m.interests == 0 && m.listener != nil {
		signal(m.listener.idle)
	}
}

func (m *manager) run(l *listener) {
	defer close(l.ended)
	defer l.end()
	pause := time.NewTimer(time.Hour) // reset by the first change of a row
	defer pause.Stop()
	var idling <-chan time.Time
	changed := l.rows.changed
	var handled *session
	for {
		var lost <-chan struct{}
		p := m.current.Load()
		if p != nil && p != handled {
			lost = p.lost
		}
		select {
		case <-lost:
			m.loseHolds(p)
			handled = p
		case <-l.broadcasts.changed:
			m.lookAll()
		case <-changed:
			changed = nil
			if !l.wakes {
				m.lookAll()
				pause.Reset(fastLook)
			} else {
				l.rows.end()
				pause.Reset(slowLook)
			}
		case <-pause.C:
			if l.wakes && l.rows.begin() == nil {
				m.lookAll() // at what has changed during the pause
			}
			changed = l.rows.changed
		case <-l.idle:
			idling = time.After(listenerIdle)
		case <-idling:
			idling = nil
			if m.retire(l) {
				return
			}
		case <-m.closed:
			return
		}
	}
}

// watch is a Watch that can be ended and begun again.
type watch struct {
	of      func() (<-chan struct{}, func(), error)
	changed <-chan struct{} // nil while it does not watch
	stop    func()
}

func (w *watch) begin() (err error) {
	w.changed, w.stop, err = w.of()
	return err
}

func (w *watch) end() {
	if w.changed != nil {
		w.stop()
		w.changed = nil
	}
}

func (l *listener) end() {
	l.rows.end()
	l.broadcasts.end()
}

// broadcast tells the listeners of all processes to look. If it fails, they look
// after slowLook all the same.
func (m *manager) broadcast() {
	_ = m.broadcasts.Set(context.Background(), "", "")
}

// retire removes the listener if there is no interest.
func (m *manager) retire(l *listener) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.interests > 0 {
		return false
	}
	m.listener = nil
	return true
}

// lookAll tells every waiter of this process to look at its row, and looks at the
// rows of the holds whose context was asked for.
func (m *manager) lookAll() {
	m.mu.Lock()
	for _, l := range m.queues {
		signal(l.changed)
	}
	observed := make([]*hold, 0, len(m.observed))
	for h := range m.observed {
		observed = append(observed, h)
	}
	m.mu.Unlock()
	for _, h := range observed {
		h.look()
	}
}
