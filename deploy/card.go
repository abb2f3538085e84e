package deploy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// How much a card shows. What it counts, it counts all of.
const (
	CardCommits      = 30
	CardPulls        = 30
	CardContributors = 200
	CardRisky        = 40
	CardOwnerSets    = 50
)

// Card says what ships: the difference between what an environment runs and what waits for it. People see it before
// they approve, and their approval holds its hash. It is bounded, whatever ships.
type Card struct {
	Environment  string           `json:"environment"`
	From         CardSide         `json:"from"` // what the environment runs by then; empty when it is the first release
	To           CardSide         `json:"to"`
	Commits      []CardCommit     `json:"commits,omitempty"` // oldest first; of many, the newest
	CommitCount  int              `json:"commit_count"`
	Behind       int              `json:"behind,omitempty"`      // commits that the environment runs and would lose
	CommitsGap   string           `json:"commits_gap,omitempty"` // why the commits are not known, in words
	Pulls        []CardPull       `json:"pulls,omitempty"`
	Contributors []pipeline.Actor `json:"contributors,omitempty"` // who wrote or pushed it, as GitHub knows them
	Unknown      int              `json:"unknown,omitempty"`      // commits whose author GitHub knows nothing of
	FileCount    int              `json:"file_count"`
	FilesGap     string           `json:"files_gap,omitempty"` // why the files are not known, in words
	Risky        []CardFile       `json:"risky,omitempty"`
	RiskyCount   int              `json:"risky_count,omitempty"`
	Owners       []CardOwners     `json:"owners,omitempty"` // of the changed files, where the rule asks for them
	Lock         *CardLock        `json:"lock,omitempty"`   // who keeps the environment

	Guarded  bool            `json:"guarded,omitempty"`  // the lock was looked at
	Thorough bool            `json:"thorough,omitempty"` // the contributors were looked up, where the rule asks for them
	Rules    pipeline.Commit `json:"rules,omitempty"`    // the commit whose CODEOWNERS was read
}

// CardSide is one of the two things that are compared.
type CardSide struct {
	Deployment string          `json:"deployment,omitempty"`
	Commit     pipeline.Commit `json:"commit,omitempty"`
	Digest     pipeline.Digest `json:"digest,omitempty"`
}

// CardCommit is one commit.
type CardCommit struct {
	Commit pipeline.Commit `json:"commit"`
	Title  string          `json:"title"` // text from outside, for display
	Author string          `json:"author,omitempty"`
}

// CardPull is a pull request that brought some of it.
type CardPull struct {
	Number int            `json:"number"`
	Author pipeline.Actor `json:"author"`
}

// CardFile is a file that deserves a second look.
type CardFile struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

// CardOwners are the owners that some of the changed files share.
type CardOwners struct {
	Owners  []string `json:"owners"` // "@login" or "@organisation/team"; without @ those whom nobody can be recognised as
	Files   int      `json:"files"`
	Example string   `json:"example"`
}

// Hash names what the card says. What it was read with, and is not shown, makes no difference.
func (c Card) Hash() string {
	c.Guarded, c.Thorough, c.Rules = false, false, ""
	canonical, err := json.Marshal(c) // fields in the order of the type
	if err != nil {
		panic("deploy: a card holds only what JSON can say: " + err.Error())
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// shipsFrom is what an environment runs when the turn of what waits comes: what is on its way, else what is live.
func (p Place) shipsFrom() CardSide {
	switch {
	case p.Flight != nil:
		return CardSide{p.Flight.ID, p.Flight.Commit, p.Flight.Digest}
	case p.Live != nil:
		return CardSide{p.Live.Deployment, p.Live.Commit, p.Live.Digest}
	}
	return CardSide{}
}

// OwesCard reports whether what waits for people's approval has no card yet, or one that is not true any more. A rollback
// has none: its bytes ran there before.
func (s State) OwesCard(p Place) bool {
	w, rule := p.Waiting, p.Spec.Approve
	if w == nil || p.Closing || w.Rollback || rule == nil {
		return false
	}
	return w.Card == nil || w.Card.From != p.shipsFrom() || w.Card.Guarded && !w.Card.Lock.equal(s.cardLock(p)) ||
		rule.Names(pipeline.Codeowners) && w.Card.Rules != s.DefinedAt || rule.NotContributor && !w.Card.Thorough
}

// comparedWith names what a card is drawn from, so that the effect of drawing it is a new one when that changes.
func (s State) comparedWith(p Place) string {
	name := p.shipsFrom().Deployment
	if p.Spec.Approve.Names(pipeline.Codeowners) {
		name += "/" + s.DefinedAt.Short()
	}
	return name + s.cardLock(p).name()
}

// Blank is a card with nothing on it but what is compared.
func (s State) Blank(p Place) Card {
	c := Card{Environment: p.Name, From: p.shipsFrom(), Lock: s.cardLock(p), Guarded: true}
	if w := p.Waiting; w != nil {
		c.To = CardSide{w.ID, w.Commit, w.Digest}
	}
	return c
}

// CardPulls are the pull requests that brought some of these commits, as far as webhooks told, and who wrote or pushed
// them: authors of pull requests, who pushed their heads, and who pushed a commit without one.
func (s State) CardPulls(commits map[pipeline.Commit]bool) (pulls []CardPull, people []pipeline.Actor) {
	brought := map[pipeline.Commit]bool{}
	for _, n := range s.pullNumbers() {
		p := s.Pulls[n]
		if !commits[p.MergeCommit] && !commits[p.Head] {
			continue
		}
		brought[p.MergeCommit], brought[p.Head] = true, true
		if len(pulls) < CardPulls {
			pulls = append(pulls, CardPull{n, p.Author})
		}
		people = append(people, p.Author) // and whoever merged it is none of them
		for _, h := range p.Heads {
			people = append(people, h.By)
		}
	}
	for _, b := range s.Builds {
		if commits[b.Commit] && !brought[b.Commit] && b.Kind == pipeline.Push {
			people = append(people, b.Actor)
		}
	}
	return pulls, people
}

// WithPeople is the card with more contributors, each once, by number. Beyond the bound it says that it does not know
// them all.
func (c Card) WithPeople(people ...pipeline.Actor) Card {
	all := slices.Clone(c.Contributors)
	for _, a := range people {
		if a.ID != 0 && !slices.ContainsFunc(all, func(b pipeline.Actor) bool { return a.ID == b.ID }) {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b pipeline.Actor) int { return cmp.Compare(a.ID, b.ID) })
	if len(all) > CardContributors {
		all, c.CommitsGap = all[:CardContributors], fmt.Sprintf("more than %d people contributed", CardContributors)
	}
	c.Contributors = all
	return c
}

// cardComes reports whether the card of what a command may approve is still being drawn.
func (s State) cardComes(c Command) bool {
	if c.Verb != Approve || c.Problem != "" || c.Actor.Bot {
		return false
	}
	_, name, no := s.environment(c)
	return no == nil && s.OwesCard(s.Places[name])
}

// cardKnown takes the card of what waits. Approvals that were given of another card are void.
func (s State) cardKnown(e CardKnown) State {
	return s.onPlace(e.Environment, func(p *Place) {
		blank := s.Blank(*p)
		if p.Waiting == nil || p.Waiting.ID != e.Promotion || e.Card.From != blank.From || e.Card.To != blank.To {
			return
		}
		w := p.Waiting.shown(e.Card)
		p.Waiting = &w
	})
}

// risks are the kinds of files that deserve a second look, in the order in which they are asked.
var risks = []struct {
	why string
	is  func(file, base string) bool
}{
	{"the pipeline itself", func(f, _ string) bool { return f == pipeline.PlanPath || within(f, pipeline.PlanFolder) }},
	{"continuous integration", func(f, b string) bool {
		return within(f, ".github") || within(f, ".circleci") || within(f, ".ci") || b == ".gitlab-ci.yml" || b == "Jenkinsfile" || strings.HasPrefix(b, "buildspec") && strings.Contains(b, ".y") || b == "appspec.yml"
	}},
	{"owners", func(_, b string) bool { return b == "CODEOWNERS" }},
	{"migration", func(f, b string) bool {
		for dir := range strings.SplitSeq(strings.ToLower(path.Dir(f)), "/") {
			if dir == "migrations" || dir == "migration" || dir == "migrate" {
				return true
			}
		}
		return strings.HasSuffix(strings.ToLower(b), ".sql")
	}},
	{"dependencies", func(_, b string) bool {
		return slices.Contains([]string{"go.sum", "go.mod", "package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lockb", "bun.lock",
			"Cargo.lock", "Gemfile.lock", "composer.lock", "poetry.lock", "Pipfile.lock", "uv.lock", "requirements.txt", "gradle.lockfile", "pom.xml", "mix.lock", "packages.lock.json", "flake.lock"}, b)
	}},
	{"image", func(_, b string) bool {
		l := strings.ToLower(b)
		return l == "dockerfile" || strings.HasPrefix(l, "dockerfile.") || strings.HasSuffix(l, ".dockerfile") || l == "containerfile" ||
			strings.HasPrefix(l, "docker-compose") || l == "compose.yml" || l == "compose.yaml"
	}},
}

func within(file, dir string) bool { return strings.HasPrefix(file, dir+"/") }

// Risk says why a file deserves a second look, or nothing.
func Risk(file string) string {
	base := path.Base(file)
	for _, r := range risks {
		if r.is(file, base) {
			return r.why
		}
	}
	return ""
}

// WithFiles is the card with the changed files counted, the risky ones named, and their owners, if there are any to ask.
func (c Card) WithFiles(files []string, owners *Owners) Card {
	c.FileCount = len(files)
	files = slices.Sorted(slices.Values(files))
	at := map[string]int{}
	for _, f := range files {
		if why := Risk(f); why != "" {
			if c.RiskyCount++; len(c.Risky) < CardRisky {
				c.Risky = append(c.Risky, CardFile{shortPath(f), why})
			}
		}
		if owners == nil {
			continue
		}
		who := owners.Of(f)
		if len(who) == 0 {
			continue
		}
		key := strings.Join(who, " ")
		i, known := at[key]
		if !known {
			i = len(c.Owners)
			at[key] = i
			c.Owners = append(c.Owners, CardOwners{Owners: who, Example: shortPath(f)})
		}
		c.Owners[i].Files++
	}
	if len(c.Owners) > CardOwnerSets { // cut off, some owner's word would not be asked for
		c.Owners, c.FilesGap = nil, fmt.Sprintf("the changed files have more than %d kinds of owners", CardOwnerSets)
	}
	return c
}

// ownedBy reports whether someone owns some of the changed files.
func (c *Card) ownedBy(login string, teams []string) bool {
	return c != nil && slices.ContainsFunc(c.Owners, func(set CardOwners) bool { return owns(set.Owners, login, teams) })
}

func owns(owners []string, login string, teams []string) bool {
	for _, o := range owners {
		name, known := strings.CutPrefix(o, "@")
		if !known {
			continue
		}
		if _, team, isTeam := strings.Cut(name, "/"); isTeam && slices.Contains(teams, team) || !isTeam && strings.EqualFold(name, login) {
			return true
		}
	}
	return false
}

// shortPath is a path as a card shows it.
func shortPath(p string) string {
	p = strings.ToValidUTF8(p, "\ufffd")
	if runes := []rune(p); len(runes) > 200 {
		p = "…" + string(runes[len(runes)-199:])
	}
	return plainPath(p)
}

// plainPath is a path that cannot end the code that it stands in.
func plainPath(p string) string {
	return strings.Map(func(r rune) rune {
		if r == '`' || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return '\ufffd'
		}
		return r
	}, p)
}
