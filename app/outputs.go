package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

// outputFile is where a step writes what it puts out for others, below the top of its workspace. It is taken away when it
// has been read, so that no artifact holds it.
const outputFile = ".conveyor-output"

// What a step may put out. It is stored in the run's stream.
const (
	outputsLimit = 32 << 10
	outputsMany  = 100
)

var outputName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// readOutputs takes what a step has put out, as lines of name=value. What cannot be understood fails a step that passed:
// a later one would run without its value. The workspace is the step's own work, so that the file may be anything.
func readOutputs(dir string, words logs.Words, r *pipeline.Result) {
	text, err := takeOutputs(dir)
	if err == nil {
		r.Outputs, err = parseOutputs(text)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Outputs)) {
		if value := r.Outputs[name]; words.Masked(value) != value {
			r.Outputs = nil // nothing that holds a secret gets into the journal
			err = fmt.Errorf("%s holds the value of a secret; name the secret in the step that needs it", name)
			break
		}
	}
	if err != nil && r.Outcome == pipeline.Passed {
		r.Outcome, r.Reason = pipeline.Failed, "what it put out cannot be used: "+err.Error()
	}
}

func takeOutputs(dir string) (text []byte, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	switch info, err := root.Lstat(outputFile); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("$CONVEYOR_OUTPUT is not a file any more")
	case info.Size() > outputsLimit:
		return nil, fmt.Errorf("$CONVEYOR_OUTPUT is larger than %d KiB", outputsLimit>>10)
	}
	f, err := root.OpenFile(outputFile, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	if text, err = io.ReadAll(io.LimitReader(f, outputsLimit+1)); err != nil {
		return nil, err
	}
	return text, root.Remove(outputFile)
}

func parseOutputs(text []byte) (outputs map[string]string, err error) {
	if len(text) > outputsLimit || !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return nil, fmt.Errorf("$CONVEYOR_OUTPUT must be UTF-8 text of at most %d KiB", outputsLimit>>10)
	}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if line == "" {
			continue
		}
		name, word, ok := strings.Cut(line, "=")
		if !ok || !outputName.MatchString(name) {
			return nil, fmt.Errorf("line %d of $CONVEYOR_OUTPUT is not name=value, with a name of letters, digits and _", number)
		}
		if outputs == nil {
			outputs = map[string]string{}
		}
		if outputs[name] = word; len(outputs) > outputsMany {
			return nil, fmt.Errorf("$CONVEYOR_OUTPUT has more than %d names", outputsMany)
		}
	}
	return outputs, nil
}

// taken are a step's variables whose values other steps have put out. One that was not put out is not set.
func taken(s pipeline.State, spec pipeline.Step) (env []string) {
	for _, variable := range slices.Sorted(maps.Keys(spec.Take)) {
		from := spec.Take[variable]
		for _, st := range s.Steps {
			if word, ok := st.Result.Outputs[from.Name]; ok && st.Name == from.Step && st.Phase == pipeline.Done {
				env = append(env, variable+"="+word)
			}
		}
	}
	return env
}

// withTaken is a step with the words that it has taken as variables of its own: what goes into it.
func withTaken(s pipeline.State, spec pipeline.Step) pipeline.Step {
	env := taken(s, spec)
	if len(env) == 0 {
		return spec
	}
	spec.Env = maps.Clone(spec.Env)
	if spec.Env == nil {
		spec.Env = map[string]string{}
	}
	for _, e := range env {
		name, word, _ := strings.Cut(e, "=")
		spec.Env[name] = word
	}
	return spec
}

// unfit says why a step cannot start in its folder. The folder comes from a commit, where it may be a link.
func unfit(workspace, dir string) string {
	if dir == "" {
		return ""
	}
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return fmt.Sprintf("the workspace cannot be looked at: %v", err)
	}
	defer func() { _ = root.Close() }() // it was only looked at
	switch info, err := root.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("there is no folder %s at this commit, and the step's dir names it", dir)
	case err != nil:
		return fmt.Sprintf("the step's dir %s cannot be used: it leaves the workspace, or cannot be read", dir)
	case !info.IsDir():
		return fmt.Sprintf("the step's dir %s is not a folder at this commit", dir)
	}
	return ""
}
