package price

// Total adds up.
func Total(prices ...int) int {
	sum := 0
	for _, p := range prices {
		sum += p
	}
	return sum + 1
}

// Share divides.
func Share(total, among int) int {
	return total / among
}
