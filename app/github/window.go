package github

import "time"

// window counts what was spent within the last span of time, exactly: GitHub's limits are of any sixty seconds, and a
// bucket that fills up would allow twice as much around its edge. What is under way counts, too.
type window struct {
	limit    int
	span     time.Duration
	spent    []spending
	sum      int // of spent
	underWay int
	promised [classes][]time.Time // when those who were told to come later come, the soonest first
}

// spending is noted when the answer is there: that is no earlier than when GitHub counted it.
type spending struct {
	at   time.Time
	cost int
}

// prune forgets what is older than the span.
func (w *window) prune(now time.Time) {
	n := 0
	for n < len(w.spent) && !now.Before(w.spent[n].at.Add(w.span)) {
		w.sum -= w.spent[n].cost
		n++
	}
	w.spent = append(w.spent[:0], w.spent[n:]...)
	for c, times := range w.promised {
		n = 0
		for n < len(times) && !now.Before(times[n]) {
			n++
		}
		w.promised[c] = append(times[:0], times[n:]...)
	}
}

// left is how much may still be spent by those who may use up most of it.
func (w *window) left(now time.Time, most int) int {
	w.prune(now)
	return most - w.sum - w.underWay
}

// later is when a class can pay a cost again. Each who is told so is promised a place of his own, behind those who are as
// urgent or more so: a thousand who wait do not all come back at once.
func (w *window) later(now time.Time, cost int, c Class) time.Time {
	at := w.when(now, cost, c)
	w.promised[c] = append(w.promised[c], at)
	return at
}

// when is later, without a promise.
func (w *window) when(now time.Time, cost int, c Class) time.Time {
	most, ahead := c.share(w.limit), 0
	left := w.left(now, most)
	for _, times := range w.promised[c:] {
		ahead += len(times)
	}
	need := cost*(ahead+1) - left
	free, at := 0, now.Add(w.span) // what is under way is noted at its end
	for _, s := range w.spent {
		if free += s.cost; free >= need {
			at = s.at.Add(w.span)
			break
		}
	}
	if over := need - free - w.underWay; over > 0 && most > 0 { // beyond all that is known: as many spans as it takes
		at = at.Add(time.Duration((over+most-1)/most) * w.span)
	}
	if n := len(w.promised[c]); n > 0 && at.Before(w.promised[c][n-1]) {
		at = w.promised[c][n-1]
	}
	return at
}

func (w *window) begin(cost int) { w.underWay += cost }

// end notes what was begun as spent; nothing when it was not asked after all.
func (w *window) end(now time.Time, cost int, asked bool) {
	w.underWay -= cost
	if asked && cost > 0 {
		w.spent = append(w.spent, spending{now, cost})
		w.sum += cost
	}
}
