package store

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/image"
)

// record is an image that lies here: a small file beside the layers, whose time is that of its last use.
type record struct {
	Form    int           `json:"form"`
	Digest  string        `json:"digest"`
	Name    string        `json:"name"` // as it was called when it was pulled, for people
	Layers  []string      `json:"layers"`
	Env     []string      `json:"env"`
	Program image.Program `json:"program"`

	used time.Time
	held int
}

// recordForm is that of the records. An image with an earlier one is asked for again, and its layers are found here: before 1,
// there was no Program.
const recordForm = 1

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func (s *Store) recordFile(digest string) string {
	return filepath.Join(s.o.Dir, imagesDir, strings.TrimPrefix(digest, "sha256:")+".json")
}

// take holds an image that is here already.
func (s *Store) take(digest string) (image.Held, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.images[digest]
	if !ok || r.Form != recordForm {
		return image.Held{}, false
	}
	r.held++
	r.used = s.o.Now()
	_ = os.Chtimes(s.recordFile(digest), time.Time{}, r.used) // after a restart it would seem older, that is all
	h := image.Held{Digest: digest, Env: r.Env, Program: r.Program}
	for _, l := range r.Layers {
		h.Layers, h.Size = append(h.Layers, s.root(l)), h.Size+s.layers[l].Size
	}
	return image.NewHeld(h, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		r.held--
	}), true
}

// keep notes an image whose layers are all in use by the caller. From then on they are here for it.
func (s *Store) keep(r *record) error {
	file := s.recordFile(r.Digest)
	fresh := filepath.Join(s.o.Dir, freshDir, filepath.Base(file))
	if err := writeJSON(fresh, r); err != nil {
		return err
	}
	if err := os.Rename(fresh, file); err != nil {
		return err
	}
	if err := syncFolder(filepath.Dir(file)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.images[r.Digest] = r
	return nil
}

// read finds what an earlier server has left: what is complete is taken over, the rest goes.
func (s *Store) read() error {
	fresh := filepath.Join(s.o.Dir, freshDir)
	if err := errors.Join(os.RemoveAll(fresh), os.Mkdir(fresh, 0o700)); err != nil {
		return err
	}
	layers, err := os.ReadDir(filepath.Join(s.o.Dir, layersDir))
	if err != nil {
		return err
	}
	for _, e := range layers {
		l, digest := &layer{}, "sha256:"+e.Name()
		if !digestForm.MatchString(digest) || readJSON(filepath.Join(s.layerDir(digest), "about"), &l.about) != nil {
			continue
		}
		s.layers[digest] = l
	}
	images, err := os.ReadDir(filepath.Join(s.o.Dir, imagesDir))
	if err != nil {
		return err
	}
	for _, e := range images {
		file := filepath.Join(s.o.Dir, imagesDir, e.Name())
		if r := s.readRecord(file); r != nil {
			s.images[r.Digest] = r
		} else if err := os.Remove(file); err != nil {
			return err
		}
	}
	return s.Collect()
}

// readRecord is nil when the file, or a layer that it names, is not whole.
func (s *Store) readRecord(file string) *record {
	st, err := os.Stat(file)
	if err != nil {
		return nil
	}
	r := &record{used: st.ModTime()}
	if readJSON(file, r) != nil || !digestForm.MatchString(r.Digest) || file != s.recordFile(r.Digest) {
		return nil
	}
	for _, l := range r.Layers {
		if s.layers[l] == nil {
			return nil
		}
	}
	return r
}

// writeJSON writes a file that is durable when it returns.
func writeJSON(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func readJSON(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}
