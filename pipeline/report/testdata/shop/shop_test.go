package shop

import "testing"

func TestName(t *testing.T) {
	if Name() != "Shop" {
		t.Errorf("got %q,\nwant %q\n\nlook at Name", Name(), "Shop")
	}
}
