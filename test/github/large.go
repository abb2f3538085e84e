package github

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const largeType = "application/vnd.git-lfs+json"

// StoreLarge keeps a file in Git LFS, and returns the pointer that a commit
// has in its place.
func (s *Server) StoreLarge(text string) (pointer string) {
	sum := sha256.Sum256([]byte(text))
	oid := hex.EncodeToString(sum[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.large == nil {
		s.large = map[string]string{}
	}
	s.large[oid] = text
	return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, len(text))
}

// serveBatch answers Git LFS, after the same checks as a fetch. What it names
// can be had without a token, as the signed addresses of GitHub's media host.
// https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
func (s *Server) serveBatch(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Objects []struct {
			OID  string `json:"oid"`
			Size int64  `json:"size"`
		} `json:"objects"`
	}
	if r.Method != http.MethodPost || r.Header.Get("Accept") != largeType || json.NewDecoder(r.Body).Decode(&ask) != nil {
		http.Error(w, `{"message":"Invalid JSON"}`, http.StatusUnprocessableEntity)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	objects := []any{}
	for _, o := range ask.Objects {
		one := obj{"oid": o.OID, "size": o.Size}
		if text, there := s.large[o.OID]; there && int64(len(text)) == o.Size {
			one["actions"] = obj{"download": obj{"href": s.html("/large-media/%s", o.OID), "expires_in": 3600}}
		} else {
			one["error"] = obj{"code": http.StatusNotFound, "message": "Object does not exist on the server"}
		}
		objects = append(objects, one)
	}
	w.Header().Set("Content-Type", largeType)
	_ = json.NewEncoder(w).Encode(obj{"transfer": "basic", "objects": objects}) // a client that hung up is not told
}

func (s *Server) serveLarge(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	text, there := s.large[strings.TrimPrefix(r.URL.Path, "/large-media/")]
	s.mu.Unlock()
	if !there {
		http.NotFound(w, r)
		return
	}
	_, _ = io.WriteString(w, text) // as above
}
