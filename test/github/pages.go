package github

import (
	"net/http"
	"strings"
)

func (s *Server) serveWeb(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/settings/apps/new":
		s.serveManifest(w, r, "")
	case r.Method == http.MethodPost && len(parts) == 5 && parts[0] == "organizations" && strings.HasSuffix(r.URL.Path, "/settings/apps/new"):
		s.serveManifest(w, r, parts[1])
	default:
		http.NotFound(w, r)
	}
}
