//go:build !goexperiment.jsonv2 && !go1.28

package codec

import (
	"bytes"
	"encoding/json"
)

// marksInvalid says that encoding/json writes the escape \ufffd for bytes that
// are no UTF-8, and for nothing else: it writes the character U+FFFD itself.
const marksInvalid = true

// jsonEncoder writes Go values as JSON.
type jsonEncoder struct{ enc *json.Encoder }

func newJSONEncoder(buf *bytes.Buffer) jsonEncoder {
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	return jsonEncoder{enc}
}

func (e jsonEncoder) encode(v any) error { return e.enc.Encode(v) }
