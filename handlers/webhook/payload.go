package webhook

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// payload is the little that is read of a payload. GitHub adds fields and leaves others out, and go-github's own structs
// refuse some of its payloads; what is not needed is not looked at, so that no odd value elsewhere makes a delivery
// unreadable.
type payload struct {
	Action       string        `json:"action"`
	Ref          string        `json:"ref"`
	Before       string        `json:"before"`
	After        string        `json:"after"`
	Deleted      bool          `json:"deleted"`
	HeadCommit   *commit       `json:"head_commit"`
	Sender       *account      `json:"sender"`
	Repository   *repository   `json:"repository"`
	Installation *installation `json:"installation"`
	PullRequest  *pull         `json:"pull_request"`
	Issue        *issue        `json:"issue"`
	Comment      *comment      `json:"comment"`
	CheckRun     *check        `json:"check_run"`
	CheckSuite   *check        `json:"check_suite"`
	Pressed      *struct {
		Identifier string `json:"identifier"`
	} `json:"requested_action"`
	MergeGroup *group `json:"merge_group"`
	Reason     string `json:"reason"` // why a merge group is no more
	Changes    struct {
		Body *struct {
			From string `json:"from"`
		} `json:"body"`
		Base *struct{} `json:"base"`
	} `json:"changes"` // of what was edited: what it was before

	Repositories []repository `json:"repositories"` // of an installation; without their owners
	Added        []repository `json:"repositories_added"`
	Removed      []repository `json:"repositories_removed"`
}

type installation struct {
	ID int64 `json:"id"`
}

type commit struct {
	Message string `json:"message"`
}

// check is a check run, or a suite of them, which has neither a name nor an external id. Its times are not read: GitHub
// writes some of them in a form of their own.
type check struct {
	Name       string `json:"name"`
	HeadSHA    string `json:"head_sha"`
	ExternalID string `json:"external_id"`
	App        struct {
		ID int64 `json:"id"`
	} `json:"app"`
}

// group is what the merge queue would make of the base.
type group struct {
	HeadSHA    string  `json:"head_sha"`
	HeadRef    string  `json:"head_ref"`
	BaseSHA    string  `json:"base_sha"`
	BaseRef    string  `json:"base_ref"`
	HeadCommit *commit `json:"head_commit"`
}

type account struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Type  string `json:"type"`
}

type repository struct {
	ID            int64   `json:"id"`
	Name          string  `json:"name"`
	FullName      string  `json:"full_name"`
	Owner         account `json:"owner"`
	DefaultBranch string  `json:"default_branch"`
	PushedAt      stamp   `json:"pushed_at"`
	Archived      bool    `json:"archived"`
}

type pull struct {
	Number         int      `json:"number"`
	State          string   `json:"state"`
	Title          string   `json:"title"`
	Merged         bool     `json:"merged"`
	MergeCommitSHA string   `json:"merge_commit_sha"`
	User           *account `json:"user"` // null when the account is gone
	UpdatedAt      stamp    `json:"updated_at"`
	Head           side     `json:"head"`
	Base           side     `json:"base"`
}

type side struct {
	Ref  string      `json:"ref"`
	SHA  string      `json:"sha"`
	Repo *repository `json:"repo"` // null when the fork is gone
}

type issue struct {
	Number      int       `json:"number"`
	PullRequest *struct{} `json:"pull_request"` // there when the issue is a pull request
}

type comment struct {
	ID        int64    `json:"id"`
	Body      string   `json:"body"`
	User      *account `json:"user"`
	CreatedAt stamp    `json:"created_at"`
	UpdatedAt stamp    `json:"updated_at"`
	Via       *struct {
		ID int64 `json:"id"`
	} `json:"performed_via_github_app"` // the App that wrote it
}

// app is the number of the App that wrote a comment, 0 when it was none.
func (c *comment) app() int64 {
	if c.Via == nil {
		return 0
	}
	return c.Via.ID
}

// parse reads a payload. A field of another type than expected stays empty, and is missed where it is needed.
func parse(body []byte) (p payload) {
	_ = json.Unmarshal(body, &p)
	return p
}

// stamp is a time, which GitHub writes as RFC 3339 in most events, and as seconds in a push.
type stamp struct{ time.Time }

// UnmarshalJSON reads both forms, and takes anything else for no time at all.
func (s *stamp) UnmarshalJSON(data []byte) error {
	if seconds, err := strconv.ParseInt(string(data), 10, 64); err == nil {
		s.Time = time.Unix(seconds, 0).UTC()
	} else if t, err := time.Parse(time.RFC3339, strings.Trim(string(data), `"`)); err == nil {
		s.Time = t.UTC()
	}
	if y := s.Year(); y < 1970 || y > 9999 { // what no journal could store
		s.Time = time.Time{}
	}
	return nil
}

// or is the time, or another when there is none.
func (s stamp) or(t time.Time) time.Time {
	if s.IsZero() {
		return t
	}
	return s.Time
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

// repo is where the event happened. Owner and name become parts of addresses, so only plain ones count.
func (p payload) repo() (r pipeline.Repo, problem string) {
	if p.Repository == nil || p.Repository.ID <= 0 {
		return r, "it names no repository"
	}
	r = pipeline.Repo{ID: p.Repository.ID, Owner: p.Repository.Owner.Login, Name: p.Repository.Name, Branch: p.Repository.DefaultBranch}
	if r.Owner == "" {
		r.Owner, _, _ = strings.Cut(p.Repository.FullName, "/")
	}
	for _, name := range []string{r.Owner, r.Name} {
		if !nameForm.MatchString(name) || name == "." || name == ".." {
			return pipeline.Repo{}, "it names no repository that GitHub could have"
		}
	}
	if p.Installation == nil || p.Installation.ID <= 0 {
		return r, "it names no installation of the App, so nothing could be read or told there"
	}
	r.Installation = p.Installation.ID
	return r, ""
}

// actor is a person or App. Rights hang on the id alone.
func (a account) actor() pipeline.Actor {
	return pipeline.Actor{ID: a.ID, Login: a.Login, Bot: a.Type == "Bot" || strings.HasSuffix(a.Login, "[bot]")}
}

// ghost is the account that GitHub shows in place of one that is gone.
var ghost = account{ID: 10137, Login: "ghost", Type: "User"}

// title is the first line of a text from outside, for display only: without control characters, and without those that
// turn the direction of what follows.
func title(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, s)
	if short := cut(s, 200); short != s {
		return short + "…"
	}
	return s
}
