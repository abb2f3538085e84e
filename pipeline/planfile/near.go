package planfile

import "strings"

// near is the known word that someone may have meant, or nothing.
func near(word string, known []string) string {
	best, least := "", max(1, len([]rune(word))/3)+1
	if len(word) > maxKeyBytes {
		return ""
	}
	folded := fold(word)
	for _, k := range known {
		if d := distance(folded, fold(k)); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// fold drops what people write now this way, now that way: runOn, run-on and run_on are one word.
func fold(s string) []rune {
	return []rune(strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s)))
}

// distance counts the letters that are wrong, missing, too many or swapped with their neighbour (optimal string
// alignment, https://en.wikipedia.org/wiki/Damerau–Levenshtein_distance).
func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
