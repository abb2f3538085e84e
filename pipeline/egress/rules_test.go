package egress

import (
	"reflect"
	"strings"
	"testing"
)

func TestARuleNamesAHostAndNothingElse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rule{
		"example.com":                {Host: "example.com"},
		"Example.COM":                {Host: "example.com"},
		"*.example.com":              {Host: "*.example.com"},
		"example.com:8443":           {Host: "example.com", Port: 8443},
		"GET,HEAD deb.debian.org:80": {Methods: []string{"GET", "HEAD"}, Host: "deb.debian.org", Port: 80},
		"10.0.0.7:5000":              {Host: "10.0.0.7", Port: 5000},
		"nexus":                      {Host: "nexus"},
	} {
		if got, err := ParseRule(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "*", "*.com", "*.", "https://example.com", "example.com/path", "example.com:0", "example.com:x", "a*b.example", "get example.com",
		"GET, example.com", "GET example.com extra", "user@example.com", "..", "example..com", "[::1]:80",
	} {
		if r, err := ParseRule(text); err == nil {
			t.Errorf("%q is read as %+v", text, r)
		} else if !strings.Contains(err.Error(), `"`) {
			t.Errorf("%q: the error does not show it: %v", text, err)
		}
	}
}

func TestTheRegistriesAreRules(t *testing.T) {
	t.Parallel()
	for _, r := range Registries() {
		if _, err := ParseRule(r.Host); err != nil || r.Port == 0 {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
