package github

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// store is one bare repository. Reads go through a `git cat-file` that stays
// open, because a process for every read would cost more than all the rest.
type store struct {
	dir string

	// writing is held by whoever changes refs, always before Server.mu.
	writing sync.Mutex

	reading sync.Mutex // guards what follows
	reader  *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	commits map[string]*commit // they never change, so they are kept
	closed  bool
}

// commit is a commit object, parsed.
type commit struct {
	sha, tree         string
	parents           []string
	author, committer signature
	message           string
}

type signature struct {
	name, email string
	at          time.Time
}

const noSHA = "0000000000000000000000000000000000000000"

func checkGit() error {
	if _, err := exec.LookPath("git"); err != nil {
		return errors.New("github: git is missing; install it (Debian: apt-get install git)")
	}
	return nil
}

// initStore makes a bare repository that serves what GitHub serves: any
// commit it has, by its SHA, and no push to refs/pull.
func initStore(dir, branch string) (*store, error) {
	g := &store{dir: dir, commits: map[string]*commit{}}
	// No template: its sample hooks cost files and mean nothing here.
	if _, err := g.runIn(filepath.Dir(dir), nil, "init", "--quiet", "--bare", "--template=", "--initial-branch="+branch, dir); err != nil {
		return nil, err
	}
	config := `[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
[http]
	receivepack = true
[uploadpack]
	allowAnySHA1InWant = true
	allowFilter = true
[receive]
	autogc = false
	hideRefs = refs/pull
	advertisePushOptions = true
[gc]
	auto = 0
`
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o644); err != nil {
		return nil, fmt.Errorf("configure %s: %w", dir, err)
	}
	return g, nil
}

// gitEnv keeps the machine's and the user's git configuration out.
func gitEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_TERMINAL_PROMPT=0", "GIT_ADVICE=0"}
}

func (g *store) run(stdin []byte, args ...string) ([]byte, error) {
	return g.runIn(g.dir, stdin, args...)
}

func (g *store) runIn(dir string, stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, gitEnv()
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return out.Bytes(), nil
}

// object reads one object. name is a SHA, or SHA:path; "" as kind means there
// is none.
func (g *store) object(name string) (sha, kind string, data []byte) {
	if strings.ContainsAny(name, "\n\x00") {
		return "", "", nil
	}
	g.reading.Lock()
	defer g.reading.Unlock()
	return g.read(name)
}

func (g *store) read(name string) (sha, kind string, data []byte) {
	if g.closed {
		return "", "", nil
	}
	if g.reader == nil {
		cmd := exec.Command("git", "cat-file", "--batch")
		cmd.Dir, cmd.Env = g.dir, gitEnv()
		in, err1 := cmd.StdinPipe()
		out, err2 := cmd.StdoutPipe()
		if err := errors.Join(err1, err2); err != nil || cmd.Start() != nil {
			return "", "", nil
		}
		g.reader, g.in, g.out = cmd, in, bufio.NewReader(out)
	}
	if _, err := io.WriteString(g.in, name+"\n"); err != nil {
		return "", "", nil
	}
	line, err := g.out.ReadString('\n')
	fields := strings.Fields(line)
	if err != nil || len(fields) != 3 || len(fields[0]) != 40 {
		return "", "", nil // "missing", "ambiguous"
	}
	size, err := strconv.Atoi(fields[2])
	if err != nil {
		return "", "", nil
	}
	data = make([]byte, size+1)
	if _, err := io.ReadFull(g.out, data); err != nil {
		return "", "", nil
	}
	return fields[0], fields[1], data[:size]
}

func (g *store) close() {
	g.reading.Lock()
	defer g.reading.Unlock()
	g.closed = true
	if g.reader != nil {
		_ = g.in.Close()
		_ = g.reader.Wait()
		g.reader = nil
	}
}

// commit reads a commit by its SHA; nil when there is none.
func (g *store) commit(sha string) *commit {
	if sha == "" {
		return nil
	}
	g.reading.Lock()
	defer g.reading.Unlock()
	if c := g.commits[sha]; c != nil {
		return c
	}
	full, kind, data := g.read(sha)
	if kind == "tag" {
		full, kind, data = g.read(sha + "^{commit}")
	}
	if kind != "commit" {
		return nil
	}
	c := &commit{sha: full}
	head, message, _ := strings.Cut(string(data), "\n\n")
	c.message = strings.TrimRight(message, "\n")
	for _, line := range strings.Split(head, "\n") {
		key, value, _ := strings.Cut(line, " ")
		switch key {
		case "tree":
			c.tree = value
		case "parent":
			c.parents = append(c.parents, value)
		case "author":
			c.author = parseSignature(value)
		case "committer":
			c.committer = parseSignature(value)
		}
	}
	g.commits[full] = c
	return c
}

func parseSignature(line string) signature {
	name, rest, _ := strings.Cut(line, " <")
	email, when, _ := strings.Cut(rest, "> ")
	unix, _, _ := strings.Cut(when, " ")
	n, _ := strconv.ParseInt(unix, 10, 64)
	return signature{name: name, email: email, at: time.Unix(n, 0).UTC()}
}

// entry is one line of a tree.
type entry struct{ mode, kind, sha, name string }

func (g *store) tree(name string) (sha string, entries []entry) {
	sha, kind, data := g.object(name)
	if kind != "tree" {
		return "", nil
	}
	entries = []entry{}
	for len(data) > 0 {
		mode, rest, _ := bytes.Cut(data, []byte(" "))
		file, rest, found := bytes.Cut(rest, []byte{0})
		if !found || len(rest) < 20 {
			break
		}
		e := entry{mode: fmt.Sprintf("%06s", mode), name: string(file), sha: fmt.Sprintf("%x", rest[:20]), kind: "blob"}
		switch e.mode {
		case "040000":
			e.kind = "tree"
		case "160000":
			e.kind = "commit"
		}
		entries, data = append(entries, e), rest[20:]
	}
	return sha, entries
}

// list reads all refs.
func (g *store) list() (map[string]string, error) {
	out, err := g.run(nil, "for-each-ref", "--format=%(objectname) %(refname)")
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if sha, name, found := strings.Cut(line, " "); found {
			refs[name] = sha
		}
	}
	return refs, nil
}

// update changes refs in one transaction; an empty SHA deletes.
func (g *store) update(refs map[string]string) error {
	var b strings.Builder
	for name, sha := range refs {
		if sha == "" {
			fmt.Fprintf(&b, "delete %s\n", name)
		} else {
			fmt.Fprintf(&b, "update %s %s\n", name, sha)
		}
	}
	_, err := g.run([]byte(b.String()), "update-ref", "--stdin")
	return err
}

// isAncestor tells whether old is reachable from new.
func (g *store) isAncestor(old, new string) bool {
	if old == new {
		return true
	}
	if c := g.commit(new); c != nil && slices.Contains(c.parents, old) {
		return true // the common case, without a process
	}
	_, err := g.run(nil, "merge-base", "--is-ancestor", old, new)
	return err == nil
}

func (g *store) mergeBase(a, b string) string {
	out, _ := g.run(nil, "merge-base", a, b)
	return strings.TrimSpace(string(out))
}

// mergeTree merges two commits; "" means they conflict.
func (g *store) mergeTree(base, head string) (tree string) {
	out, err := g.run(nil, "merge-tree", "--write-tree", "--no-messages", base, head)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// writeCommit makes a commit object from a tree.
func (g *store) writeCommit(tree string, parents []string, author, committer signature, message string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", tree)
	for _, p := range parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	fmt.Fprintf(&b, "author %s\ncommitter %s\n\n%s\n", author, committer, strings.TrimRight(message, "\n"))
	out, err := g.run([]byte(b.String()), "hash-object", "-t", "commit", "-w", "--stdin")
	return strings.TrimSpace(string(out)), err
}

func (s signature) String() string {
	clean := strings.NewReplacer("<", "", ">", "", "\n", " ", "\x00", "")
	return fmt.Sprintf("%s <%s> %d +0000", clean.Replace(s.name), clean.Replace(s.email), s.at.Unix())
}
