package cache

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// The numbers of a queue's keys lie between the first and the last and begin
// in the middle. They are DiskCache's.
const (
	queueFirst  = 0
	queueLast   = 999_999_999_999_999
	queueMiddle = 500_000_000_000_000
	queueDigits = 15
)

// Queue is a queue among the entries of a collection, which can be used at
// both ends. Many goroutines and processes may use it at once.
type Queue[K, V any] struct {
	c      *Cache[K, V]
	prefix string
}

// Queue returns the queue with the given prefix. Its items are entries of the
// collection, with the keys that DiskCache gives them: integers around
// 500000000000000 for the prefix "", and otherwise texts of the prefix, a dash
// and such a number, "jobs-500000000000000". Queues of different prefixes,
// and other entries, are apart.
//
// Keys must be integers for the prefix "", and text for others; everything
// else is ErrInvalid when the queue is used. A queue in a collection that
// evicts can lose items: see Options.Persistent and package deque.
func (c *Cache[K, V]) Queue(prefix string) *Queue[K, V] {
	return &Queue[K, V]{c: c, prefix: prefix}
}

// In returns the same queue bound to a transaction: see [Cache.In].
func (q *Queue[K, V]) In(tx *Tx) *Queue[K, V] {
	return &Queue[K, V]{c: q.c.In(tx), prefix: q.prefix}
}

// PushBack adds v at the back and returns the key it was given. ErrOverflow means
// that the numbers at that end have been used up.
func (q *Queue[K, V]) PushBack(ctx context.Context, v V, opts ...Option) (K, error) {
	k, err := q.push(ctx, v, true, opts)
	return k, q.c.fail(ctx, "PushBack", err)
}

// PushFront adds v at the front and returns the key it was given.
func (q *Queue[K, V]) PushFront(ctx context.Context, v V, opts ...Option) (K, error) {
	k, err := q.push(ctx, v, false, opts)
	return k, q.c.fail(ctx, "PushFront", err)
}

// PopFront removes the item at the front and returns it, and false if the queue
// is empty. Each item is given to one caller. Expired ones on the way are
// removed; one that cannot be decoded stays. One whose value is lost, as its
// file is missing or damaged, is removed too, and is ErrCorrupt, once.
func (q *Queue[K, V]) PopFront(ctx context.Context) (Entry[K, V], bool, error) {
	e, ok, err := q.pop(ctx, false)
	return e, ok, q.c.fail(ctx, "PopFront", err)
}

// PopBack removes the item at the back and returns it: see PopFront.
func (q *Queue[K, V]) PopBack(ctx context.Context) (Entry[K, V], bool, error) {
	e, ok, err := q.pop(ctx, true)
	return e, ok, q.c.fail(ctx, "PopBack", err)
}

// PeekFront returns the item at the front, and false if the queue is empty.
// Expired ones on the way are removed. An item whose value is lost is
// ErrCorrupt, and stays: see Cache.First.
func (q *Queue[K, V]) PeekFront(ctx context.Context) (Entry[K, V], bool, error) {
	e, ok, err := q.peek(ctx, false)
	return e, ok, q.c.fail(ctx, "PeekFront", err)
}

// PeekBack returns the item at the back: see PeekFront.
func (q *Queue[K, V]) PeekBack(ctx context.Context) (Entry[K, V], bool, error) {
	e, ok, err := q.peek(ctx, true)
	return e, ok, q.c.fail(ctx, "PeekBack", err)
}

func (q *Queue[K, V]) pop(ctx context.Context, back bool) (e Entry[K, V], ok bool, err error) {
	if _, err := q.decode(queueMiddle); err != nil {
		return e, false, err
	}
	return q.c.take(ctx, q.scan(back), q.mine)
}

func (q *Queue[K, V]) peek(ctx context.Context, back bool) (e Entry[K, V], ok bool, err error) {
	if _, err := q.decode(queueMiddle); err != nil {
		return e, false, err
	}
	return q.c.peek(ctx, q.scan(back), q.mine)
}

func (q *Queue[K, V]) push(ctx context.Context, v V, back bool, opts []Option) (k K, err error) {
	c := q.c
	if _, err := q.decode(queueMiddle); err != nil {
		return k, err
	}
	w, err := parse(opts)
	if err == nil {
		err = w.only(false, false, true)
	}
	if err != nil {
		return k, err
	}
	p := driver.Put{Now: c.st.instant(), Tag: w.tag}
	p.Expire = w.expire(p.Now, c.shared.ttl)
	if err := c.prepareValue(ctx, &p, v); err != nil {
		return k, err
	}
	defer c.discard(&p)
	var n int64
	var gone []driver.Row
	err = c.write(ctx, driver.Shared, func(tx driver.Tx) (err error) {
		gone = nil
		if n, err = q.next(ctx, tx, back); err != nil {
			return err
		}
		p := p
		p.Key = q.key(n)
		gone, err = c.store(ctx, tx, p)
		return err
	})
	if err != nil {
		return k, err
	}
	c.notify(gone, p.Now)
	return q.decode(n)
}

// next returns the number of the next key at one end. Expired items count.
func (q *Queue[K, V]) next(ctx context.Context, tx driver.Tx, back bool) (int64, error) {
	s := q.scan(back)
	s.Keys = true
	f, err := q.c.find(ctx, tx, s, 0, false, q.mine) // at instant 0 nothing has expired
	if err != nil || !f.ok {
		return queueMiddle, err
	}
	n, _ := q.number(f.row.Key)
	if back {
		n++
	} else {
		n--
	}
	if n <= queueFirst || n >= queueLast {
		return 0, refuse(fmt.Errorf("%w: no number is left at this end of the queue", ErrOverflow))
	}
	return n, nil
}

// scan selects the queue's items, and perhaps others: see mine.
func (q *Queue[K, V]) scan(back bool) driver.Scan {
	return driver.Scan{
		Order: driver.ByKey,
		Desc:  back,
		Lower: &driver.Bound{Key: q.key(queueFirst), Open: true},
		Upper: &driver.Bound{Key: q.key(queueLast), Open: true},
	}
}

// mine reports whether a row between the first and the last key is one of the
// queue's: between p-000000000000000 and p-999999999999999 there may also be
// items of a queue with the prefix p-5.
func (q *Queue[K, V]) mine(r *driver.Row) bool {
	_, ok := q.number(r.Key)
	return ok && !r.ForeignKey
}

// key returns the key with the number n.
func (q *Queue[K, V]) key(n int64) codec.Value {
	if q.prefix == "" {
		return codec.IntegerValue(n)
	}
	return codec.TextValue(fmt.Sprintf("%s-%0*d", q.prefix, queueDigits, n))
}

// number is the inverse of key.
func (q *Queue[K, V]) number(key codec.Value) (int64, bool) {
	if q.prefix == "" {
		if f := key.Real(); f != 0 && f == math.Trunc(f) {
			return int64(f), true
		}
		return key.Integer(), key.Kind() == codec.Integer
	}
	digits, ok := strings.CutPrefix(key.Text(), q.prefix+"-")
	if !ok || len(digits) != queueDigits {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	return int64(n), err == nil
}

// decode returns the key with the number n, if K can hold such keys.
func (q *Queue[K, V]) decode(n int64) (K, error) {
	key := q.key(n)
	k, err := q.c.keys.Decode(key)
	if err == nil {
		var again codec.Value
		if again, err = q.c.keys.Encode(k); err == nil && !codec.Equal(key, again) {
			err = fmt.Errorf("codec %q changes it", q.c.keys.Name())
		}
	}
	if err != nil {
		var zero K
		return zero, invalid("the collection's type of keys cannot hold the %s keys of this queue: %w", key.Kind(), err)
	}
	return k, nil
}
