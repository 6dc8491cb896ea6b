package inspect

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/codec"
)

// JSON is indented as package json does it, up to a bound.
func TestIndent(t *testing.T) {
	for _, text := range []string{
		`1`, `"a"`, `null`, `[]`, `{}`, ` [ ] `, "{\t\n}", `[1,2,[3,[]],{}]`, `{"a":{"b":[1,-2.5e3,true,"x,y:z{}[]"]},"c":""}`,
		`["\"","\\","\\\"[",": , {"]`, "{\r\n\"ü\" : \"\u2028\" }", `[[[[{"a":[{"b":{}}]}]]]]`,
	} {
		var want bytes.Buffer
		if err := json.Indent(&want, []byte(text), "", "  "); err != nil {
			t.Fatal(err)
		}
		whole := strings.TrimSpace(want.String())
		if got := string(indent([]byte(text), 1000)); got != whole {
			t.Errorf("%s is\n%s\nwant\n%s", text, got, whole)
		}
		for most := range len(whole) {
			if got := string(indent([]byte(text), most)); !strings.HasPrefix(whole, got) || len(got) < most {
				t.Errorf("%d bytes of %s are\n%s", most, text, got)
			}
		}
	}
	deep := strings.Repeat("[", 5000) + "0" + strings.Repeat(",0", 2000) + strings.Repeat("]", 5000)
	if n := len(indent([]byte(deep), shownValue)); n > shownValue+2*5000+2 {
		t.Errorf("%d bytes", n)
	}
	if text, form := preview(codec.TextValue(deep), "json"); len(text) > 2*shownValue || form != "text, JSON" {
		t.Errorf("%d bytes of %s", len(text), form)
	}
}
