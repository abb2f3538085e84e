package pipeline

// CacheSpec says which folders of a step are kept for later runs, and which files of the commit name what is in them.
type CacheSpec struct {
	Kind  string   `json:"kind,omitempty"` // "npm" and the like, when the rest is ours
	Key   []string `json:"key"`            // globs of files, relative to the workspace
	Text  string   `json:"text,omitempty"` // what else tells it from others: a buildspec's own key
	Paths []string `json:"paths"`          // relative to the workspace, or below the home folder: "~/.npm"
}

// Name is what people call it.
func (c CacheSpec) Name() string {
	if c.Kind == "" {
		return "cache"
	}
	return "cache " + c.Kind
}

// CacheKinds are the caches that need no more than their name.
var CacheKinds = map[string]CacheSpec{
	"cargo": {Kind: "cargo", Key: []string{"**/Cargo.lock"}, Paths: []string{"~/.cargo/registry", "~/.cargo/git"}},
	"go":    {Kind: "go", Key: []string{"**/go.sum", "**/go.mod"}, Paths: []string{"~/go/pkg/mod", "~/.cache/go-build"}},
	"maven": {Kind: "maven", Key: []string{"**/pom.xml"}, Paths: []string{"~/.m2/repository"}},
	"npm":   {Kind: "npm", Key: []string{"**/package-lock.json", "**/npm-shrinkwrap.json"}, Paths: []string{"~/.npm"}},
	"pip":   {Kind: "pip", Key: []string{"**/requirements*.txt", "**/pyproject.toml", "**/poetry.lock"}, Paths: []string{"~/.cache/pip"}},
}

// MayFillCache reports whether what a run leaves in a cache may be kept for others: a push to the default branch, by
// someone who may write. What anyone else makes is thrown away, so that nobody can leave something for a run that is
// trusted further than their own. The zero state fills nothing.
func (s State) MayFillCache() bool {
	t := s.Trigger
	return s.Trust >= Writer && t.Kind == Push && !t.Fork && t.Branch != "" && t.Branch == t.Repo.Branch
}
