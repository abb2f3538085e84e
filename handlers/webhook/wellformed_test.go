package webhook_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/handlers/webhook"
)

// want is the verdict of the standard library, narrowed to objects that are not too deep.
func want(b []byte) bool {
	return json.Valid(b) && bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) && depth(b) <= webhook.MaxDepth
}

// depth is how deep a valid document is nested.
func depth(b []byte) (deepest int) {
	d := json.NewDecoder(bytes.NewReader(b))
	for now := 0; ; {
		t, err := d.Token()
		if err != nil {
			return deepest
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			now++
			deepest = max(deepest, now)
		case json.Delim('}'), json.Delim(']'):
			now--
		}
	}
}

var documents = []string{
	"", " ", "{}", " {} ", "{}x", "{}{}", "[]", "null", "1", `"a"`, "{", "}", "{]", "[}", `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a" : 1 , "b" : [ ] }`,
	`{"a":[1,2,[],{}]}`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":1 "b":2}`, `{"a":{"b":{"c":[{"d":null}]}}}`, `{"a":true,"b":false,"c":null}`,
	`{"a":tru}`, `{"a":nulll}`, `{"a":True}`, `{a:1}`, `{'a':1}`, `{"a":-}`, `{"a":-1}`, `{"a":01}`, `{"a":0}`, `{"a":-0.5e+10}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":1E5}`, `{"a":+1}`, `{"a":0x1}`, `{"a":NaN}`,
	`{"a":"\u00e9\n\"\\\/\b\f\r\t"}`, `{"a":"\u00EG"}`, `{"a":"\u00e"}`, `{"a":"\u`, `{"a":"\x"}`, `{"a":"\`, `{"a":"`, "{\"a\":\"\n\"}", "{\"a\":\"\x00\"}", "{\"a\":\"\x1f\"}", "{\"a\":\"\x7f\x80\xff\"}",
	`{"a":"ünï-🚀 long enough to be read eight bytes at a time, with a \" in it"}`, "{\"long enough to be read in eights\x01\":1}", "{\"a\":1}\x00", "\ufeff{}", "{\"a\":1}\v", "{\"a\"\u00a0:1}",
	`{"":""}`, `{"a":1,"a":2}`, `{"a":1}//`, `/**/{}`,
}

func TestABodyIsJSONWhenTheStandardLibrarySaysSo(t *testing.T) {
	t.Parallel()
	for _, s := range documents {
		if got := webhook.WellFormed([]byte(s)); got != want([]byte(s)) {
			t.Errorf("%q: %v, want %v", s, got, !got)
		}
	}
}

func TestEveryPayloadIsJSONAndNoCutOneIs(t *testing.T) {
	t.Parallel()
	for name, body := range examples(t) {
		if !webhook.WellFormed(body) {
			t.Errorf("%s is not taken for JSON", name)
		}
		body = bytes.TrimSpace(body)
		for cut := 1; cut < len(body); cut += 997 {
			if webhook.WellFormed(body[:cut]) {
				t.Errorf("%s cut to %d bytes is taken for JSON", name, cut)
			}
		}
	}
}

func TestADepthBombIsNoJSON(t *testing.T) {
	t.Parallel()
	nested := func(n int) []byte {
		return []byte(`{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + "}")
	}
	if !webhook.WellFormed(nested(webhook.MaxDepth)) || webhook.WellFormed(nested(webhook.MaxDepth+1)) {
		t.Errorf("the limit is not at a depth of %d", webhook.MaxDepth)
	}
	if webhook.WellFormed(nested(1_000_000)) || webhook.WellFormed([]byte(strings.Repeat(`{"a":`, 5_000_000))) {
		t.Error("a bomb is taken for JSON")
	}
}

func FuzzWellFormed(f *testing.F) {
	for _, s := range documents {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := webhook.WellFormed(b); got != want(b) {
			t.Fatalf("%q: %v, want %v", b, got, !got)
		}
	})
}
