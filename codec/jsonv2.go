//go:build go1.28 || (go1.27 && goexperiment.jsonv2)

package codec

import (
	"bytes"
	"encoding/json"
	"encoding/json/jsontext"
	jsonv2 "encoding/json/v2"
)

// Since Go 1.27 encoding/json is built on encoding/json/v2. It writes U+FFFD for
// bytes that are no UTF-8, as it does for that character, so that nobody can
// tell afterwards; but it can be asked to refuse them.
const marksInvalid = false

var jsonOptions = jsonv2.JoinOptions(
	json.DefaultOptionsV1(), jsontext.EscapeForHTML(false), jsontext.AllowInvalidUTF8(false))

// jsonEncoder writes Go values as JSON.
type jsonEncoder struct{ buf *bytes.Buffer }

func newJSONEncoder(buf *bytes.Buffer) jsonEncoder { return jsonEncoder{buf} }

func (e jsonEncoder) encode(v any) error { return jsonv2.MarshalWrite(e.buf, v, jsonOptions) }
