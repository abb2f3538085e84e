package dashboard

import (
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// placeView is an environment, as far as it concerns the run's commit.
type placeView struct {
	Name, Key, URL string
	State          state
	Is             string // the state's name: "live", "waiting", "later", …
	Digest         string
	At             time.Time
	Detail         string // why it stands so
	Then           string // the same as a sentence that names the environment, where there is one
	Approved       []string
	Ships          *shipsView // what ships, while it waits for people
	Command        string     // what a person can say about it, complete
	Where          string     // where to say it
	WhereURL       string
}

// places are all environments that the run's commit has reached, waits for, or can still reach.
func (p *Pages) places(s pipeline.State, repo deploy.State) (views []placeView) {
	reached := map[string]bool{} // and whether its artifact is still on its way there
	for _, row := range repo.Standing(s.Trigger.Commit) {
		reached[row.Environment] = row.State == "waiting" || row.State == "deploying"
		v := placeView{Name: row.Environment, State: states[row.State], Is: row.State, Digest: row.Digest.Short(), At: row.At, Detail: sentence(plain(row.Detail))}
		if strings.HasPrefix(row.URL, "https://") || strings.HasPrefix(row.URL, "http://") {
			v.URL = row.URL
		}
		if row.Ships != nil {
			v.Ships = p.ships(s.Trigger.Repo, *row.Ships)
		}
		switch place := repo.Places[row.Environment]; {
		case row.State == "waiting" && place.Waiting != nil:
			p.waiting(s, repo, place, &v)
		case row.State == "live" && row.Detail != "":
			v.Detail = "A later deployment failed: " + sentence(plain(row.Detail))
		}
		views = append(views, v)
	}
	if c := s.Conclusion(); c != "" && c != pipeline.Success {
		return views
	}
	views = append(views, later(s, repo, reached)...)
	return append(views, unlucky(s, repo, reached)...)
}

// waiting says what a promotion waits for, and what opens its way.
func (p *Pages) waiting(s pipeline.State, repo deploy.State, place deploy.Place, v *placeView) {
	w := place.Waiting
	// Whether an approval has run out is asked with the clock when the deployment starts; here all are shown.
	gate := repo.Gate(place, time.Time{})
	rule := place.Spec.Approve
	for _, a := range w.Approvals {
		v.Approved = append(v.Approved, fmt.Sprintf("@%s (%s)", a.Actor.Login, a.Role))
	}
	switch {
	case w.Held != "":
		v.Detail = "It could not start: " + sentence(plain(w.Held))
	case gate.Open && w.Delayed != "":
		v.Detail = "It could not start yet: " + sentence(plain(w.Delayed))
	case gate.Open && place.Flight != nil:
		v.Detail = "It starts when the deployment before it has ended."
	case gate.Open:
		v.Detail = "It starts now."
	case gate.Need == 0:
		v.Detail = sentence(gate.Missing)
	default:
		v.Detail = need(gate.Need-gate.Have, *rule)
		if author := repo.Author(w.Commit); rule.NotAuthor && !w.Rollback && author.Login != "" {
			v.Detail += " @" + author.Login + " wrote the change, and does not count."
		}
		for _, void := range w.Void {
			v.Detail += " The approval of @" + void.Actor.Login + " is void: " + sentence(plain(void.Why))
		}
	}
	if rule == nil || gate.Open && w.Held == "" || gate.Need == 0 {
		return
	}
	v.Command = "/approve " + place.Name + "@" + w.Commit.Short()
	v.Where, v.WhereURL = "any pull request", p.github(s.Trigger.Repo, "pulls")
	if n := pull(s, repo); n != 0 {
		v.Where, v.WhereURL = fmt.Sprintf("pull request #%d", n), p.github(s.Trigger.Repo, "pull", fmt.Sprint(n))
	}
}

func need(missing int, rule pipeline.Approve) string {
	if len(rule.Groups) > 0 {
		var words []string
		for _, part := range rule.Parts() {
			words = append(words, fmt.Sprintf("%d of %s", max(part.Count, 1), people(part.By)))
		}
		return "It needs the approval of " + list(words, "and") + "."
	}
	approvals := "It needs the approval of " + people(rule.By) + "."
	if missing > 1 {
		approvals = fmt.Sprintf("It needs %d more approvals, each by %s.", missing, people(rule.By))
	}
	return approvals
}

// pull is the pull request that the run's commit belongs to, 0 when none is known.
func pull(s pipeline.State, repo deploy.State) int {
	if s.Trigger.Pull != 0 {
		return s.Trigger.Pull
	}
	for n, p := range repo.Pulls {
		if p.MergeCommit == s.Trigger.Commit || p.Head == s.Trigger.Commit {
			return n
		}
	}
	return 0
}

// later are the environments that the run's artifacts will be wanted in. It asks deploy itself what a good end of this
// run would change, so that there is one truth about it.
func later(s pipeline.State, repo deploy.State, reached map[string]bool) (views []placeView) {
	end := deploy.RunEnded{Run: s.Run, Conclusion: pipeline.Success, At: s.Ended}
	made := map[string]bool{}
	for _, stage := range s.Plan.Stages {
		for _, step := range stage.Steps {
			if step.Artifact != nil && !made[step.Artifact.Name] {
				made[step.Artifact.Name] = true
				end.Artifacts = append(end.Artifacts, pipeline.Artifact{Name: step.Artifact.Name, Digest: "sha256:not made yet"})
			}
		}
	}
	then := deploy.Apply(repo, end)
	for _, name := range then.PlaceNames() {
		before, after := repo.Places[name], then.Places[name]
		if _, known := reached[name]; known || after.Waiting == nil || before.Waiting != nil && before.Waiting.ID == after.Waiting.ID {
			continue
		}
		reached[name] = true
		views = append(views, notYet(after.Spec, name, func(who, verb string) string {
			return fmt.Sprintf("If the run passes, %s %s the artifact %s.", who, verb, after.Spec.Artifact)
		}))
	}
	for _, spec := range repo.Definitions {
		if _, known := reached[spec.Name]; known || spec.After == "" || !reached[spec.After] || !made[spec.Artifact] {
			continue
		}
		reached[spec.Name] = true
		views = append(views, notYet(spec, spec.Name, func(who, verb string) string {
			return fmt.Sprintf("When %s runs it, %s %s the same artifact.", spec.After, who, verb)
		}))
	}
	return views
}

// notYet puts into words what brings an artifact to an environment.
func notYet(spec pipeline.Environment, name string, words func(who, verb string) string) placeView {
	verb, gate := "gets", ""
	if spec.Approve != nil {
		verb, gate = "is offered", " "+need(max(spec.Approve.Count, 1), *spec.Approve)
	}
	return placeView{
		Name: name, State: states["later"], Is: "later",
		Detail: words("it", verb) + gate, Then: words(name, verb) + gate,
	}
}

// unlucky are the environments of the newest build whose last deployment failed, and that nothing is on its way to. A
// place does not remember of which commit that was, so the words do not say it either.
func unlucky(s pipeline.State, repo deploy.State, reached map[string]bool) (views []placeView) {
	for _, b := range repo.Feeding() {
		if b.Branch == s.Trigger.Branch && b.Kind == s.Trigger.Kind {
			if b.Run != s.Run {
				return nil
			}
			break
		}
	}
	for _, name := range repo.PlaceNames() {
		place := repo.Places[name]
		if _, known := reached[name]; known || place.Failed == "" || place.Pull != 0 || place.Flight != nil || place.Waiting != nil {
			continue
		}
		v := placeView{Name: name, State: states["failed"], Is: "failed", Detail: "The last deployment to it failed: " + sentence(plain(place.Failed))}
		if place.Live != nil {
			v.Detail += " It still runs " + place.Live.Commit.Short() + "."
		}
		v.Then = strings.Replace(v.Detail, "to it", "to "+name, 1)
		views = append(views, v)
	}
	return views
}
