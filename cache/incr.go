package cache

import (
	"context"
	"math"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Number is what Incr and Decr count with.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 |
		~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 |
		~float32 | ~float64
}

// Incr adds delta to the number under k and returns the sum. Of several callers
// at once, in any processes, each adds its delta.
//
// Where there is no entry, the sum begins with 0, or with [Initial], and an entry is
// made that has the expiry and the tag of the options. With [MustExist] that is
// ErrNotFound. An entry that is there keeps its expiry and its tag, whatever the
// options say: a counter that is made with a TTL ends that long after its first
// Incr, however often it is counted up.
//
// A sum that N cannot hold is ErrOverflow; nothing is changed. A value that is no
// number is ErrCodecMismatch. To Python and in SQL the numbers are integers of 64
// bits, or floats.
func Incr[K any, N Number](ctx context.Context, c *Cache[K, N], k K, delta N, opts ...Option) (N, error) {
	return count(ctx, "Incr", c, k, delta, plus, opts)
}

// Decr is Incr with delta subtracted.
func Decr[K any, N Number](ctx context.Context, c *Cache[K, N], k K, delta N, opts ...Option) (N, error) {
	return count(ctx, "Decr", c, k, delta, minus, opts)
}

func count[K any, N Number](ctx context.Context, op string, c *Cache[K, N], k K, delta N, add func(a, b N) (N, bool), opts []Option) (N, error) {
	n, err := counted(ctx, c, k, delta, add, opts)
	if err != nil {
		return 0, c.fail(ctx, op, err)
	}
	return n, nil
}

func counted[K any, N Number](ctx context.Context, c *Cache[K, N], k K, delta N, add func(a, b N) (N, bool), opts []Option) (sum N, err error) {
	w, err := parse(opts)
	if err == nil {
		err = w.only(true, true, true)
	}
	if err != nil {
		return 0, err
	}
	initial, ok := numberOf[N](w.initial)
	if !ok {
		return 0, invalid("Initial does not fit the collection's type of numbers")
	}
	if delta != delta {
		return 0, invalid("delta is not a number")
	}
	p, err := c.put(k, &w)
	if err != nil {
		return 0, err
	}
	p.Keep = true
	var gone []driver.Row
	err = c.alter(ctx, func(tx driver.Tx, whole func(*driver.Row) error) error {
		gone = nil
		row, found, err := tx.Get(ctx, c.dc, p.Key, driver.Lookup{Now: p.Now, Quiet: true})
		if err != nil {
			return err
		}
		n := initial
		if found {
			if err := whole(&row); err != nil {
				return err
			}
			if n, err = c.decodeValue(&row); err != nil {
				if err = c.skipped(ctx, err); err != nil {
					return refuse(err)
				}
				n, found = initial, false
			}
		}
		if !found && w.mustExist {
			return refuse(ErrNotFound)
		}
		if sum, ok = add(n, delta); !ok {
			return refuse(ErrOverflow)
		}
		p := p
		if p.Value, err = c.encodeValue(p.Key, sum); err != nil {
			return refuse(err)
		}
		gone, err = c.store(ctx, tx, p)
		return err
	})
	if err == nil {
		c.notify(gone, p.Now)
	}
	return sum, err
}

// plus returns a+b and whether N can hold it.
func plus[N Number](a, b N) (N, bool) {
	sum := a + b
	if b >= 0 {
		return sum, sum >= a && fits(a, b, sum)
	}
	return sum, sum <= a && fits(a, b, sum)
}

// minus returns a-b and whether N can hold it.
func minus[N Number](a, b N) (N, bool) {
	diff := a - b
	if b >= 0 {
		return diff, diff <= a && fits(a, b, diff)
	}
	return diff, diff >= a && fits(a, b, diff)
}

// fits reports whether a float has not become infinite. A difference of equal
// numbers is 0, but for infinities.
func fits[N Number](a, b, sum N) bool {
	return sum-sum == 0 || a-a != 0 || b-b != 0
}

// isFloat reports whether N is a floating-point type.
func isFloat[N Number]() bool { return N(1)/N(2) != 0 }

// numberValue returns the Value of a number, Null if none can hold it.
func numberValue[N Number](n N) codec.Value {
	switch {
	case isFloat[N]():
		return codec.RealValue(float64(n))
	case n > 0 && uint64(n) > math.MaxInt64:
		return codec.Value{}
	}
	return codec.IntegerValue(int64(n))
}

// numberOf is the inverse of numberValue; Null is 0.
func numberOf[N Number](v codec.Value) (N, bool) {
	switch {
	case v.IsNull():
		return 0, true
	case v.Kind() == codec.Integer:
		n := N(v.Integer())
		return n, isFloat[N]() || int64(n) == v.Integer() && (n < 0) == (v.Integer() < 0)
	case isFloat[N]():
		return N(v.Real()), true
	}
	f := v.Real()
	if f != math.Trunc(f) || f < math.MinInt64 || f >= math.MaxInt64 {
		return 0, false
	}
	return numberOf[N](codec.IntegerValue(int64(f)))
}
