package sourcetest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Large is a small server of Git LFS: it answers the batch API beside the repositories of a Server, and gives the files
// themselves from another host, as GitHub does.
// https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
type Large struct {
	mu      sync.Mutex
	files   map[string]string // by hash
	media   *httptest.Server
	asked   []http.Header // of who asked for a file
	batches int

	given map[string]string // what is given in the place of a file, by its hash

	Own bool // the files lie on the repositories' own host
}

// ServeLarge adds files in Git LFS to a server.
func (s *Server) ServeLarge(t testing.TB) *Large {
	t.Helper()
	l := &Large{files: map[string]string{}, given: map[string]string{}}
	l.media = httptest.NewServer(http.HandlerFunc(l.give))
	t.Cleanup(l.media.Close)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.large = l
	return l
}

// Store keeps a file, and returns the pointer that a commit has in its place.
func (l *Large) Store(text string) Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files[hashOf(text)] = text
	return Pointer(text)
}

// Pointer is what a commit has in the place of a file in Git LFS, whether it is stored or not.
func Pointer(text string) Entry {
	return Text(fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", hashOf(text), len(text)))
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Replace lets something else come in the place of a file.
func (l *Large) Replace(text, by string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.given[hashOf(text)] = by
}

// Asked are the headers of all who asked for a file, and how many batches were asked for.
func (l *Large) Asked() ([]http.Header, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked, l.batches
}

// batch answers who has shown the token already.
func (l *Large) batch(w http.ResponseWriter, r *http.Request, base string) {
	const form = "application/vnd.git-lfs+json"
	var ask struct {
		Operation string   `json:"operation"`
		Transfers []string `json:"transfers"`
		Objects   []struct {
			OID  string `json:"oid"`
			Size int64  `json:"size"`
		} `json:"objects"`
	}
	if r.Method != http.MethodPost || r.Header.Get("Accept") != form || r.Header.Get("Content-Type") != form || json.NewDecoder(r.Body).Decode(&ask) != nil || ask.Operation != "download" {
		http.Error(w, `{"message":"this is no batch"}`, http.StatusUnprocessableEntity)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches++
	var objects []any
	for _, o := range ask.Objects {
		one := map[string]any{"oid": o.OID, "size": o.Size}
		if text, there := l.files[o.OID]; !there || int64(len(text)) != o.Size {
			one["error"] = map[string]any{"code": 404, "message": "Object does not exist on the server"}
		} else {
			href, header := l.media.URL+"/"+o.OID+"?signed=yes", map[string]string{"X-Key": "for this file"}
			if l.Own {
				href, header = base+"/large/"+o.OID, nil
			}
			one["actions"] = map[string]any{"download": map[string]any{"href": href, "header": header, "expires_in": 60}}
		}
		objects = append(objects, one)
	}
	w.Header().Set("Content-Type", form)
	_ = json.NewEncoder(w).Encode(map[string]any{"transfer": "basic", "objects": objects}) // a client that hung up is not told
}

func (l *Large) give(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, r.Header.Clone())
	oid := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	text, there := l.files[oid]
	if by, spoilt := l.given[oid]; spoilt {
		text = by
	}
	if !there || !l.Own && (r.Header.Get("X-Key") == "" || r.URL.Query().Get("signed") == "") {
		http.NotFound(w, r)
		return
	}
	_, _ = io.WriteString(w, text) // as above
}
