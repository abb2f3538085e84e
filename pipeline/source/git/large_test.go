package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
	"github.com/conveyor-ci/conveyor/pipeline/source/sourcetest"
)

func (b *bench) fetchLarge(t *testing.T, s *Source, commit pipeline.Commit) error {
	t.Helper()
	return s.FetchLarge(t.Context(), b.repo.Repo, commit, func(context.Context) (string, error) { return b.Token(), nil })
}

func TestFilesInGitLFSTakeThePlaceOfTheirPointers(t *testing.T) {
	t.Parallel()
	for _, own := range []bool{true, false} {
		b := newBench(t)
		large := b.ServeLarge(t)
		large.Own = own
		s := b.open(t)
		video := strings.Repeat("frame\n", 10000)
		pointer := large.Store(video)
		files := sourcetest.Files{
			".gitattributes": sourcetest.Text("*.mp4 filter=lfs diff=lfs merge=lfs -text\n"), "media/a.mp4": pointer, "same.mp4": pointer,
			"notes.txt": pointer, "plain.mp4": sourcetest.Text("was never put there\n"), "empty.mp4": sourcetest.Text(""), "link.mp4": sourcetest.Link("same.mp4"),
		}
		c := b.commit(t, "", files)
		b.fetch(t, s, c)
		if err := b.fetchLarge(t, s, c); err != nil {
			t.Fatal(err)
		}
		files["next"] = sourcetest.Text("x")
		next := b.commit(t, c, files)
		b.fetch(t, s, next)
		if err := b.fetchLarge(t, s, next); err != nil {
			t.Fatal(err)
		}
		asked, batches := large.Asked()
		if len(asked) != 1 || batches != 1 {
			t.Errorf("a file was asked for %d times, in %d batches", len(asked), batches)
		}
		if shown := asked[0].Get("Authorization") != ""; shown != own {
			t.Errorf("own host: %t, and the token was shown: %t", own, shown)
		}
		for i, commit := range []pipeline.Commit{c, next} {
			w, err := s.Workspace(t.Context(), b.repo.Repo, commit, "w"+string(rune('0'+i)), pipeline.Part{Repo: b.repo.Repo, LFS: true})
			if err != nil {
				t.Fatal(err)
			}
			for path, want := range map[string]string{"media/a.mp4": video, "same.mp4": video, "link.mp4": video, "notes.txt": pointerText(video), "plain.mp4": "was never put there\n", "empty.mp4": ""} {
				if got, err := os.ReadFile(filepath.Join(w.Dir(), path)); err != nil || string(got) != want {
					t.Errorf("%s holds %d bytes, not %d; %v", path, len(got), len(want), err)
				}
			}
			if err := os.WriteFile(filepath.Join(w.Dir(), "same.mp4"), []byte("spoilt"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		plain := b.workspace(t, s, c, "plain")
		if got, err := os.ReadFile(filepath.Join(plain.Dir(), "same.mp4")); err != nil || string(got) != pointerText(video) {
			t.Errorf("without them, the pointer is %q, %v", got, err)
		}
		if err := plain.Close(); err != nil {
			t.Error(err)
		}
	}
}

func pointerText(text string) string {
	return sourcetest.Content(sourcetest.Pointer(text))
}

func TestAFileInGitLFSThatIsNotWhatItsPointerSaysIsNotKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	large := b.ServeLarge(t)
	b.opts.MaxTree = 1000
	s := b.open(t)
	attributes := sourcetest.Text("*.bin filter=lfs\n")
	for name, c := range map[string]struct {
		text, given string
		stored      bool
		want        string
	}{
		"other bytes": {"right", "wrong", true, "not what its pointer says"},
		"longer":      {"right2", "right2 and more", true, "not what its pointer says"},
		"cut":         {"right3", "rig", true, "not what its pointer says"},
		"missing":     {"nowhere", "", false, "does not have the file"},
		"too big":     {strings.Repeat("x", 2000), "", true, "more than the 1000"},
	} {
		file := sourcetest.Pointer(c.text)
		if c.stored {
			file = large.Store(c.text)
		}
		if c.given != "" {
			large.Replace(c.text, c.given)
		}
		commit := b.commit(t, "", sourcetest.Files{".gitattributes": attributes, "a.bin": file})
		b.fetch(t, s, commit)
		err := b.fetchLarge(t, s, commit)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), b.Token()) {
			t.Errorf("%s: %v", name, err)
		}
		if permanent := c.given == ""; errors.Is(err, source.ErrUnusable) != permanent {
			t.Errorf("%s: it would be tried again: %t", name, !permanent)
		}
		if w, err := s.Workspace(t.Context(), b.repo.Repo, commit, "w", pipeline.Part{Repo: b.repo.Repo, LFS: true}); err == nil {
			t.Errorf("%s: there is a workspace", name)
			_ = w.Close()
		}
	}
}

func FuzzPointer(f *testing.F) {
	f.Add("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n")
	f.Add("version https://git-lfs.github.com/spec/v1\noid sha256:../../../../etc/passwd\nsize -1\n")
	f.Fuzz(func(t *testing.T, text string) {
		if oid, size, ok := readPointer(text); ok && (len(oid) != 64 || strings.Trim(oid, "0123456789abcdef") != "" || size < 0) {
			t.Errorf("%q, %d", oid, size)
		}
	})
}
