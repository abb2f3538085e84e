package cart

import "testing"

func TestTotalAddsUpEveryItem(t *testing.T) {
	items := []Item{{"tea", 450, 2}, {"cup", 1200, 1}}
	if got := Total(items); got != 2100 {
		t.Errorf("Total(%v) = %d, want 2100", items, got)
	}
}

func TestAnEmptyCartCostsNothing(t *testing.T) {
	if got := Total(nil); got != 0 {
		t.Errorf("Total(nil) = %d, want 0", got)
	}
}
