package codec

import (
	"bytes"
	"unicode/utf8"
)

// pythonJSON appends to dst what Python's json.dumps would write for the JSON
// text src, which encoding/json wrote. p is the plan of its type.
func pythonJSON(dst, src []byte, p *jsonPlan) ([]byte, error) {
	w := jsonWriter{dst: dst, src: bytes.TrimSuffix(src, []byte("\n"))}
	w.value(p)
	switch {
	case w.lossy:
		return w.dst, notUnicode
	case w.deep:
		return w.dst, tooDeep
	}
	return w.dst, nil
}

type jsonWriter struct {
	dst, src []byte // src is what remains
	depth    int    // of the value that is being written
	lossy    bool   // a string was not valid UTF-8
	deep     bool   // a value was deeper than maxDepth
}

func (w *jsonWriter) value(p *jsonPlan) {
	if len(w.src) == 0 {
		return
	}
	switch c := w.src[0]; {
	case c == '{' || c == '[':
		if w.depth++; w.depth > maxDepth {
			w.deep, w.src = true, nil // the rest does not matter
			return
		}
		if c == '{' {
			w.object(p)
		} else {
			w.array(p)
		}
		w.depth--
	case c == '"':
		w.str(p != nil && p.opaque)
	case c == '-' || '0' <= c && c <= '9':
		w.number(p)
	default: // true, false, null
		n := 0
		for n < len(w.src) && 'a' <= w.src[n] && w.src[n] <= 'z' {
			n++
		}
		w.dst = append(w.dst, w.src[:n]...)
		w.src = w.src[n:]
	}
}

// take copies one byte and reports whether it is c.
func (w *jsonWriter) take(c byte) bool {
	if len(w.src) == 0 {
		return true
	}
	got := w.src[0]
	w.dst = append(w.dst, got)
	w.src = w.src[1:]
	return got == c
}

func (w *jsonWriter) peek(c byte) bool { return len(w.src) > 0 && w.src[0] == c }

func (w *jsonWriter) object(p *jsonPlan) {
	w.take('{')
	if w.peek('}') {
		w.take('}')
		return
	}
	for {
		start := w.src
		w.str(p != nil && p.opaque)
		name := start[1 : len(start)-len(w.src)-1]
		w.take(':')
		w.dst = append(w.dst, ' ')
		w.value(p.field(name))
		if w.take('}') {
			return
		}
		w.dst = append(w.dst, ' ')
	}
}

func (w *jsonWriter) array(p *jsonPlan) {
	w.take('[')
	if w.peek(']') {
		w.take(']')
		return
	}
	p = p.element()
	for {
		w.value(p)
		if w.take(']') {
			return
		}
		w.dst = append(w.dst, ' ')
	}
}

// str copies a string and escapes what is not printable ASCII. The escapes
// that encoding/json writes are Python's, too.
func (w *jsonWriter) str(opaque bool) {
	src := w.src
	done, i := 0, 1
	for src[i] != '"' {
		switch c := src[i]; {
		case c == '\\':
			n, ok := escape(src[i:])
			if !ok || marksInvalid && !opaque && bytes.HasPrefix(src[i:], []byte(`\ufffd`)) {
				w.lossy = true
			}
			i += n
		case c < 0x7f:
			i++
		default:
			r, n := utf8.DecodeRune(src[i:])
			if r == utf8.RuneError && n == 1 {
				w.lossy = true
			}
			w.dst = append(w.dst, src[done:i]...)
			w.dst = appendEscape(w.dst, r)
			i += n
			done = i
		}
	}
	i++
	w.dst = append(w.dst, src[done:i]...)
	w.src = src[i:]
}

// isUnicode reports whether each string of a JSON text is one of Unicode
// characters. encoding/json reads U+FFFD for what is none.
func isUnicode(text []byte) bool {
	if !utf8.Valid(text) {
		return false
	}
	for {
		at := bytes.IndexByte(text, '\\')
		if at < 0 {
			return true
		}
		n, ok := escape(text[at:])
		if !ok {
			return false
		}
		text = text[at+n:]
	}
}

// escape returns the length of the escape that s begins with, and whether it is
// a character's. That of half a surrogate pair is not.
func escape(s []byte) (n int, ok bool) {
	const half = len(`\u0000`)
	switch surrogate(s) {
	case 'h':
		if surrogate(s[half:]) == 'l' {
			return 2 * half, true
		}
		return 2, false
	case 'l':
		return 2, false
	}
	return min(2, len(s)), true // what follows in a longer one is plain text
}

// surrogate returns which half of a surrogate pair s begins with an escape for:
// 'h' for the high one, 'l' for the low one, and 0 for neither.
func surrogate(s []byte) byte {
	if len(s) < len(`\u0000`) || s[1] != 'u' || s[0] != '\\' || s[2]|0x20 != 'd' {
		return 0
	}
	switch c := s[3] | 0x20; {
	case s[3] == '8' || s[3] == '9' || c == 'a' || c == 'b':
		return 'h'
	case c >= 'c' && c <= 'f':
		return 'l'
	}
	return 0
}

func appendEscape(dst []byte, r rune) []byte {
	if r >= 0x10000 {
		r -= 0x10000
		dst = appendEscape(dst, 0xd800+r>>10)
		r = 0xdc00 + r&0x3ff
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

func (w *jsonWriter) number(p *jsonPlan) {
	n, float := 0, p != nil && p.float
	for ; n < len(w.src); n++ {
		c := w.src[n]
		if c == '.' || c == 'e' || c == 'E' {
			float = true
		} else if (c < '0' || c > '9') && c != '-' && c != '+' {
			break
		}
	}
	token := w.src[:n]
	w.src = w.src[n:]
	if float && (p == nil || !p.opaque) {
		w.dst = appendPythonFloat(w.dst, token)
	} else {
		w.dst = append(w.dst, token...)
	}
}

// appendPythonFloat appends a JSON number the way Python's repr prints a
// float. Both languages print the shortest digits that read back as the same
// number, so only their arrangement changes: the digits stay.
func appendPythonFloat(dst, token []byte) []byte {
	if token[0] == '-' {
		dst, token = append(dst, '-'), token[1:]
	}
	// The number is 0.digits times ten to the power of point.
	var buf [32]byte
	digits, point, exp := buf[:0], 0, 0
	fraction := false
	for i, c := range token {
		if c == 'e' || c == 'E' {
			exp = atoi(token[i+1:])
			break
		}
		switch {
		case c == '.':
			fraction = true
			continue
		case c == '0' && len(digits) == 0: // a leading zero
			if fraction {
				point--
			}
			continue
		}
		digits = append(digits, c)
		if !fraction {
			point++
		}
	}
	digits = bytes.TrimRight(digits, "0")
	if len(digits) == 0 {
		return append(dst, "0.0"...)
	}
	point += exp
	switch {
	case point > 16 || point < -3:
		dst = append(dst, digits[0])
		if len(digits) > 1 {
			dst = append(append(dst, '.'), digits[1:]...)
		}
		return appendExponent(dst, point-1)
	case point <= 0:
		dst = append(dst, "0.000"[:2-point]...)
		return append(dst, digits...)
	case point >= len(digits):
		dst = append(dst, digits...)
		for range point - len(digits) {
			dst = append(dst, '0')
		}
		return append(dst, ".0"...)
	}
	dst = append(append(dst, digits[:point]...), '.')
	return append(dst, digits[point:]...)
}

func appendExponent(dst []byte, e int) []byte {
	dst = append(dst, 'e')
	if e < 0 {
		dst, e = append(dst, '-'), -e
	} else {
		dst = append(dst, '+')
	}
	var buf [20]byte
	i := len(buf)
	for n := 0; e > 0 || n < 2; n++ {
		i--
		buf[i] = byte('0' + e%10)
		e /= 10
	}
	return append(dst, buf[i:]...)
}

// atoi reads an exponent. One beyond all floats stays there without
// overflowing.
func atoi(b []byte) int {
	neg, n := false, 0
	for _, c := range b {
		switch {
		case c == '-':
			neg = true
		case c >= '0' && c <= '9' && n < 1e6:
			n = n*10 + int(c-'0')
		}
	}
	if neg {
		return -n
	}
	return n
}
