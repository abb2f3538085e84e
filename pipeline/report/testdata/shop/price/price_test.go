package price

import (
	"fmt"
	"testing"
)

func TestTotal(t *testing.T) {
	for _, c := range []struct {
		name   string
		prices []int
		want   int
	}{
		{"nothing", nil, 0},
		{"two prices", []int{1, 2}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Log("adding up", c.prices)
			check(t, Total(c.prices...), c.want)
		})
	}
	t.Run("deeper", func(t *testing.T) {
		t.Run("still", func(t *testing.T) {
			t.Parallel()
			t.Error("one\ntwo\n\nthree")
		})
	})
}

func check(t *testing.T, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

func TestGood(t *testing.T) {
	t.Log("this is fine")
	fmt.Println("price_test.go:1: this is only printed")
}

func TestLater(t *testing.T) { t.Skip("not today") }
