package codec

import "time"

const timeLayout = "2006-01-02T15:04:05.000000000Z"

// Time returns the codec of times, named "time". It writes text in RFC 3339
// form, always in UTC and always with nine digits of fraction
// ("2006-01-02T15:04:05.000000000Z"), so that the order of the texts is the
// order of the times. Times that are the same instant are equal keys.
//
// The time zone and the monotonic clock reading are dropped, and Decode
// returns times in UTC. Encode fails for years outside 0000 to 9999, which
// have no such text, and Decode takes no other form.
func Time() Codec[time.Time] { return timeCodec{} }

type timeCodec struct{ pure }

func (timeCodec) Name() string { return "time" }

func (c timeCodec) Encode(v time.Time) (Value, error) {
	v = v.UTC()
	if y := v.Year(); y < 0 || y > 9999 {
		return Value{}, encodeError(c.Name(), outOfRange)
	}
	var buf [len(timeLayout)]byte
	return TextValue(string(v.AppendFormat(buf[:0], timeLayout))), nil
}

func (c timeCodec) Decode(enc Value) (time.Time, error) {
	s, ok := textOf(enc)
	if !ok {
		return time.Time{}, decodeError(c.Name(), enc, wrongKind)
	}
	// time.Parse takes a comma for the point, and fewer digits.
	if len(s) != len(timeLayout) || s[19] != '.' {
		return time.Time{}, decodeError(c.Name(), enc, malformed)
	}
	t, err := time.Parse(timeLayout, s)
	if err != nil {
		return time.Time{}, decodeError(c.Name(), enc, joined{malformed, err})
	}
	return t, nil
}
