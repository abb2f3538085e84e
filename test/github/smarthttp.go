package github

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cgi"
	"os/exec"
	"strings"
)

// isGit tells git's smart HTTP requests from those for pages.
func isGit(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/info/refs") || strings.HasSuffix(r.URL.Path, "/git-upload-pack") || strings.HasSuffix(r.URL.Path, "/info/lfs/objects/batch") ||
		strings.HasSuffix(r.URL.Path, "/git-receive-pack")
}

// serveGit serves /{owner}/{repo}.git/… through git's own http-backend, after
// GitHub's checks: a token as password, contents:read to fetch and
// contents:write to push; the anonymous fetch what is public.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request) {
	parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 3)
	if len(parts) != 3 || (parts[2] != "info/refs" && parts[2] != "info/lfs/objects/batch" && parts[2] != "git-upload-pack" && parts[2] != "git-receive-pack") {
		http.NotFound(w, r)
		return
	}
	pushing := parts[2] == "git-receive-pack" || r.URL.Query().Get("service") == "git-receive-pack"
	s.mu.Lock()
	repo, moved := s.lookup(parts[0], strings.TrimSuffix(parts[1], ".git"))
	var actor *User
	status, message := http.StatusOK, ""
	if r.Header.Get("Authorization") == "" {
		if repo == nil || repo.Private || pushing {
			status, message = http.StatusUnauthorized, "Repository not found."
		}
	} else {
		who, refusal := s.credential(bearer(r))
		if refusal != nil {
			status, message = http.StatusUnauthorized, "Invalid username or token. Password authentication is not supported for Git operations."
		} else if repo != nil {
			actor = who.actor()
			status, message = s.mayGit(who, repo, pushing)
		} else {
			status, message = http.StatusNotFound, "Repository not found."
		}
	}
	s.mu.Unlock()
	if status != http.StatusOK {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		}
		http.Error(w, message, status)
		return
	}
	if moved {
		http.Redirect(w, r, s.base+"/"+repo.FullName+".git/"+parts[2]+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
		return
	}
	if parts[2] == "info/lfs/objects/batch" {
		s.serveBatch(w, r)
		return
	}
	s.runGit(w, r, repo, actor, parts[2])
}

func (s *Server) mayGit(who *identity, repo *Repo, pushing bool) (int, string) {
	level, verb := "read", "pull"
	if pushing {
		level, verb = "write", "push"
	}
	denied := "Permission to " + repo.FullName + ".git denied"
	switch who.kind {
	case "installation":
		if who.reaches(repo) && allows(who.permissions, "contents", level) {
			return http.StatusOK, ""
		}
		if !who.reaches(repo) && repo.Private {
			return http.StatusNotFound, "Repository not found."
		}
		if verb == "pull" && !repo.Private {
			return http.StatusOK, ""
		}
		return http.StatusForbidden, denied + " to " + who.app.bot.Login + "."
	case "user":
		role := s.role(who.user, repo)
		if roles[role] >= roles[level] {
			return http.StatusOK, ""
		}
		if role == "" {
			return http.StatusNotFound, "Repository not found."
		}
		return http.StatusForbidden, denied + " to " + who.user.Login + "."
	}
	return http.StatusForbidden, denied + "."
}

// runGit hands the request to git http-backend. Bodies are read whole first:
// CGI knows no chunked requests, and git sends big packs so.
func (s *Server) runGit(w http.ResponseWriter, r *http.Request, repo *Repo, actor *User, tail string) {
	git, err := exec.LookPath("git")
	if err != nil {
		http.Error(w, "git is missing", http.StatusInternalServerError)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	in := r.Clone(r.Context())
	in.Body, in.ContentLength, in.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	in.Header.Del("Authorization") // not into the environment of a process
	in.URL.Path = "/" + tail
	backend := &cgi.Handler{Path: git, Args: []string{"http-backend"}, Dir: repo.Dir, Root: "/",
		Env: append(gitEnv(), "GIT_PROJECT_ROOT="+repo.Dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=token")}
	if tail != "git-receive-pack" {
		backend.ServeHTTP(w, in)
		return
	}
	// The push is answered only when its consequences stand, so that whoever
	// pushed sees them at once.
	out := &held{header: http.Header{}, code: http.StatusOK}
	repo.git.writing.Lock()
	backend.ServeHTTP(out, in)
	refs, err := repo.git.list()
	s.mu.Lock()
	if err == nil {
		s.refsChanged(repo, actor, repo.differences(refs))
	}
	s.mu.Unlock()
	repo.git.writing.Unlock()
	for k, v := range out.header {
		w.Header()[k] = v
	}
	w.WriteHeader(out.code)
	_, _ = w.Write(out.body.Bytes())
}

// held keeps an answer back.
type held struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (h *held) Header() http.Header         { return h.header }
func (h *held) WriteHeader(code int)        { h.code = code }
func (h *held) Write(p []byte) (int, error) { return h.body.Write(p) }

// differences are what a push did, branches before tags, in order of names.
func (r *Repo) differences(now map[string]string) []refChange {
	var out []refChange
	for _, ref := range sortedKeys(now, r.refs) {
		if now[ref] != r.refs[ref] && !strings.HasPrefix(ref, "refs/pull/") {
			out = append(out, refChange{ref, r.refs[ref], now[ref]})
		}
	}
	return out
}
