package stock

// Left tells how much is left.
func Left(stock map[string]int, name string) int {
	stock[name]--
	return stock[name]
}
