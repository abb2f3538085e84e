package stock_test

import (
	"testing"

	"example.com/shop/stock"
)

func TestLeft(t *testing.T) {
	var empty map[string]int
	if stock.Left(empty, "apple") != 0 {
		t.Fatal("nothing was there")
	}
}
