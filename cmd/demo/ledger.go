package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/conveyor-ci/conveyor/test/github"
)

// chapter is one step of the story, and whether it came true.
type chapter struct {
	Step    string  `json:"step"`
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
}

// served is what an environment really answers at the end.
type served struct {
	Digest string `json:"digest"`
	Serves string `json:"serves"`
}

// writeLedger writes what the local GitHub recorded, and what each place serves now.
func (c *company) writeLedger(path string) error {
	for _, env := range []string{"staging", "production"} {
		c.targets[env], _ = c.look(env) // what does not answer serves nothing
	}
	data, err := json.MarshalIndent(struct {
		github.Ledger
		Targets map[string]served `json:"targets"`
		Story   []chapter         `json:"story"`
	}{c.github.Ledger(), c.targets, c.story}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// look asks an environment which digest it is, and for its first page.
func (c *company) look(env string) (served, error) {
	page, err := fetch(c.sites.url + "/" + env + "/")
	if err != nil {
		return served{}, err
	}
	release, err := fetch(c.sites.url + "/" + env + "/.well-known/release")
	if err != nil {
		return served{}, err
	}
	s := served{Serves: string(page)}
	err = json.Unmarshal(release, &s)
	return s, err
}

func fetch(url string) ([]byte, error) {
	res, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s answered %s", url, res.Status)
	}
	return io.ReadAll(io.LimitReader(res.Body, 1<<20))
}
