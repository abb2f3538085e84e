// Package cart adds up what a customer owes.
package cart

// Item is something in the cart.
type Item struct {
	Name  string
	Price int // cents
	Count int
}

// Total is what the cart costs, in cents.
func Total(items []Item) int {
	total := 0
	for _, item := range items {
		total += item.Price * item.Count
	}
	return total
}
