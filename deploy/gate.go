package deploy

import (
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Opening is a gate's answer. The zero value is closed.
type Opening struct {
	Open    bool
	Missing string // what is missing, in words
	Have    int    // approvals that count
	Need    int
}

// Gate says whether the promotion that waits at a place may start at the given moment.
func (s State) Gate(p Place, now time.Time) Opening {
	if p.Waiting == nil {
		return Opening{Missing: "nothing waits here"}
	}
	if held := s.held(p, now); held != "" {
		return Opening{Missing: held}
	}
	w := *p.Waiting
	if after := p.Spec.After; after != "" && !w.Rollback {
		if live := s.Places[after].Live; live == nil || live.Commit != w.Commit || live.Digest != w.Digest {
			return Opening{Missing: fmt.Sprintf("%s does not run it", after)}
		}
	}
	rule := p.Spec.Approve
	if rule == nil {
		return Opening{Open: true}
	}
	if w.Card != nil && s.OwesCard(p) {
		return Opening{Missing: "what ships is being looked up anew"}
	}
	counted, void := s.count(p.Spec, w, now)
	o := asked(*rule, counted, w)
	if !o.Open {
		o.Missing += gone(noted(w.Void, void))
	}
	return o
}

// asked compares those who have approved with what a rule asks for.
func asked(rule pipeline.Approve, people []Approval, w Promotion) (o Opening) {
	if w.Rollback { // these very bytes have passed this gate before: one person who may open it is enough to go back
		o.Have, o.Need = min(len(people), 1), 1
		if o.Open = o.Have == 1; !o.Open {
			o.Missing = "0 of 1 approvals by " + whom(rule)
		}
		return o
	}
	var missing []string
	have := seats(rule, people, w)
	for i, part := range rule.Parts() {
		need := max(part.Count, 1)
		o.Have, o.Need = o.Have+have[i], o.Need+need
		if have[i] < need {
			missing = append(missing, fmt.Sprintf("%d of %d approvals by %s", have[i], need, strings.Join(part.By, ", ")))
		}
	}
	if len(missing) == 0 {
		for i, set := range unseen(rule, people, w) {
			if i == 3 {
				missing = append(missing, "more owners")
				break
			}
			missing = append(missing, fmt.Sprintf("an owner of `%s` (%s)", set.Example, strings.Join(set.Owners, ", ")))
		}
	}
	o.Open, o.Missing = len(missing) == 0, strings.Join(missing, ", and ")
	return o
}

// gone tells of approvals that were given and do not count any more.
func gone(void []Void) string {
	var words []string
	seen := map[Void]bool{}
	for _, v := range void {
		if !seen[v] {
			seen[v] = true
			words = append(words, fmt.Sprintf("the one of @%s is void: %s", v.Actor.Login, v.Why))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, "; ") + ")"
}

// URL is the address that a place has when it runs a commit.
func (p Place) URL(c pipeline.Commit) string {
	name := p.Name
	return strings.NewReplacer(
		"{{ pr }}", fmt.Sprint(p.Pull), "{{pr}}", fmt.Sprint(p.Pull),
		"{{ sha }}", string(c), "{{sha}}", string(c),
		"{{ env }}", name, "{{env}}", name,
	).Replace(p.Spec.URL)
}
