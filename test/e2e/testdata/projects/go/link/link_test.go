package link

import "testing"

func TestTheHostIsTheSameInCapitals(t *testing.T) {
	a, err := Short("https://Example.com/x")
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := Short("https://example.com/x"); a != b || len(a) != 8 {
		t.Errorf("%q and %q", a, b)
	}
}

func TestWhatIsNoAddressIsRefused(t *testing.T) {
	for _, address := range []string{"", "x", "ftp://example.com", "https://", "://"} {
		if short, err := Short(address); err == nil {
			t.Errorf("%q became %q", address, short)
		}
	}
}
