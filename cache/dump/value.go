package dump

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/go-diskcache/diskcache/codec"
)

// Value is a key, a value or a tag in JSON, in the form that Export writes.
type Value struct{ codec.Value }

// MarshalJSON implements json.Marshaler.
func (i Value) MarshalJSON() ([]byte, error) {
	switch i.Kind() {
	case codec.Integer:
		return strconv.AppendInt(nil, i.Integer(), 10), nil
	case codec.Real:
		f := i.Real()
		if math.IsInf(f, 0) {
			return fmt.Appendf(nil, `{"real":"%+v"}`, f), nil
		}
		b := strconv.AppendFloat(nil, f, 'g', -1, 64)
		if !bytes.ContainsAny(b, ".e") {
			b = append(b, ".0"...)
		}
		return b, nil
	case codec.Text:
		s := i.Text()
		if !utf8.ValidString(s) {
			return json.Marshal(map[string]string{"text64": base64.StdEncoding.EncodeToString([]byte(s))})
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		err := enc.Encode(s)
		return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
	case codec.Blob:
		return json.Marshal(map[string]string{"base64": base64.StdEncoding.EncodeToString(i.Blob())})
	}
	return []byte("null"), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (i *Value) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) == 0:
		return ErrFormat
	case b[0] == '"':
		var s string
		err := json.Unmarshal(b, &s)
		i.Value = codec.TextValue(s)
		return err
	case b[0] == '{':
		var form struct {
			Base64 []byte  `json:"base64"`
			Text64 []byte  `json:"text64"`
			Real   *string `json:"real"`
		}
		if err := json.Unmarshal(b, &form); err != nil {
			return err
		}
		switch {
		case form.Base64 != nil:
			i.Value = codec.BlobValue(form.Base64)
		case form.Text64 != nil:
			i.Value = codec.TextValue(string(form.Text64))
		case form.Real != nil:
			f, err := strconv.ParseFloat(*form.Real, 64)
			i.Value = codec.RealValue(f)
			return err
		default:
			return ErrFormat
		}
	case string(b) == "null":
		i.Value = codec.Value{}
	case bytes.ContainsAny(b, ".eE"):
		f, err := strconv.ParseFloat(string(b), 64)
		i.Value = codec.RealValue(f)
		return err
	default:
		n, err := strconv.ParseInt(string(b), 10, 64)
		i.Value = codec.IntegerValue(n)
		return err
	}
	return nil
}
