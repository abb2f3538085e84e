package house

import (
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/planfile"
)

const top = "../.."

// document is a page of Markdown, named by its path from the top of the repository.
type document struct {
	name, text string
}

// fence is a block of code: what stands behind the backticks, and what is in it.
type fence struct {
	word, text string
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func documents(t *testing.T) (all []document) {
	t.Helper()
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"} {
		all = append(all, document{name, read(t, name)})
	}
	err := filepath.WalkDir(filepath.Join(top, "docs"), func(at string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(at) != ".md" {
			return err
		}
		name, err := filepath.Rel(top, at)
		all = append(all, document{filepath.ToSlash(name), read(t, filepath.ToSlash(name))})
		return err
	})
	if err != nil || len(all) < 10 {
		t.Fatalf("only %d documents were found: %v", len(all), err)
	}
	return all
}

// split takes the blocks of code out of a page, and returns what is left.
func (d document) split() (blocks []fence, prose string) {
	var b strings.Builder
	var open *fence
	for line := range strings.Lines(d.text) {
		word, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case isFence && open == nil:
			open = &fence{word: word}
		case isFence:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.text += line
		default:
			b.WriteString(line)
		}
	}
	return blocks, b.String()
}

func TestEveryPlanInTheDocumentsIsGood(t *testing.T) {
	t.Parallel()
	plans := 0
	for _, d := range documents(t) {
		blocks, _ := d.split()
		for _, b := range blocks {
			if b.word != "yaml" || !strings.HasPrefix(b.text, "version: 1") {
				continue
			}
			plans++
			if _, problems := planfile.Parse(d.name, []byte(b.text)); len(problems) > 0 {
				t.Errorf("a plan in %s has mistakes:\n%s", d.name, planfile.Format(d.name, []byte(b.text), problems))
			}
		}
	}
	if plans < 3 {
		t.Errorf("only %d plans were found", plans)
	}
}

func TestAMistakeIsShownAsValidatePrintsIt(t *testing.T) {
	t.Parallel()
	shown := 0
	for _, d := range documents(t) {
		blocks, _ := d.split()
		for i, b := range blocks {
			if b.word != "yaml mistake" {
				continue
			}
			shown++
			_, problems := planfile.Parse(".github/conveyor.yml", []byte(b.text))
			want := planfile.Format(".github/conveyor.yml", []byte(b.text), problems)
			if i+1 >= len(blocks) || want == "" || blocks[i+1].text != want {
				t.Errorf("the block after the mistake in %s must be:\n%s", d.name, want)
			}
		}
	}
	if shown == 0 {
		t.Error("no mistake is shown anywhere")
	}
}

var (
	linkForm    = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"`)
	headingForm = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the names under which GitHub links to a page's headings.
func anchors(d document) (names []string) {
	_, prose := d.split()
	for _, m := range headingForm.FindAllStringSubmatch(prose, -1) {
		name := notInAnchor.ReplaceAllString(strings.ToLower(m[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	all := documents(t)
	for _, d := range all {
		_, prose := d.split()
		for _, m := range linkForm.FindAllStringSubmatch(prose, -1) {
			link, err := url.Parse(m[1] + m[2])
			if err != nil {
				t.Errorf("%s: %v", d.name, err)
				continue
			}
			if link.Scheme != "" {
				continue // the net is not asked in a test
			}
			to := d.name
			if link.Path != "" {
				to = path.Join(path.Dir(d.name), link.Path)
			}
			if _, err := os.Stat(filepath.Join(top, filepath.FromSlash(to))); err != nil {
				t.Errorf("%s links to %s, which is not there", d.name, to)
				continue
			}
			if link.Fragment == "" {
				continue
			}
			at := slices.IndexFunc(all, func(other document) bool { return other.name == to })
			if at < 0 || !slices.Contains(anchors(all[at]), link.Fragment) {
				t.Errorf("%s links to #%s of %s, which has no such heading", d.name, link.Fragment, to)
			}
		}
	}
}

var pathForm = regexp.MustCompile("`((?:app|cmd|deploy|docs|handlers|pipeline|test)/[A-Za-z0-9_./-]+)`")

func TestEveryFileThatADocumentNamesIsThere(t *testing.T) {
	t.Parallel()
	named := 0
	for _, d := range documents(t) {
		for _, m := range pathForm.FindAllStringSubmatch(d.text, -1) {
			named++
			if _, err := os.Stat(filepath.Join(top, filepath.FromSlash(strings.TrimSuffix(m[1], "/...")))); err != nil {
				t.Errorf("%s names %s, which is not there", d.name, m[1])
			}
		}
	}
	if named < 20 {
		t.Errorf("only %d files are named", named)
	}
}

var (
	makeForm     = regexp.MustCompile("(?m)(?:^|`|[A-Z]=\\S+ )make ([a-z-]+)")
	conveyorForm = regexp.MustCompile("(?m)(?:^|`|bin/)conveyor ([a-z]+)")
	targetForm   = regexp.MustCompile(`(?m)^([a-z-]+):`)
	commandForm  = regexp.MustCompile("`cmd:\"\"")
)

func TestEveryCommandThatADocumentNamesExists(t *testing.T) {
	t.Parallel()
	var targets, commands []string
	for _, m := range targetForm.FindAllStringSubmatch(read(t, "Makefile"), -1) {
		targets = append(targets, m[1])
	}
	for line := range strings.Lines(read(t, "cmd/conveyor/main.go")) {
		if commandForm.MatchString(line) {
			commands = append(commands, strings.ToLower(strings.Fields(line)[0]))
		}
	}
	if len(targets) < 5 || len(commands) < 3 {
		t.Fatalf("only these were found: %v %v", targets, commands)
	}
	for _, d := range documents(t) {
		for _, m := range makeForm.FindAllStringSubmatch(d.text, -1) {
			if !slices.Contains(targets, m[1]) {
				t.Errorf("%s says `make %s`, which the Makefile does not know", d.name, m[1])
			}
		}
		for _, m := range conveyorForm.FindAllStringSubmatch(d.text, -1) {
			if !slices.Contains(commands, m[1]) {
				t.Errorf("%s says `conveyor %s`, which there is not", d.name, m[1])
			}
		}
	}
}

func TestThePicturesAreSoundAndSayWhatTheyShow(t *testing.T) {
	t.Parallel()
	pictures, err := filepath.Glob(filepath.Join(top, "docs/images/*.svg"))
	if err != nil || len(pictures) == 0 {
		t.Fatalf("there are no pictures: %v", err)
	}
	for _, name := range pictures {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for d := xml.NewDecoder(f); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
			if e, ok := token.(xml.StartElement); ok {
				seen[e.Name.Local]++
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if seen["title"] == 0 || seen["desc"] == 0 {
			t.Errorf("%s needs a title and a desc, for those who cannot see it", name)
		}
		if seen["script"]+seen["image"]+seen["foreignObject"] > 0 {
			t.Errorf("%s must be drawn only: no script, no image, no foreign object", name)
		}
	}
}
