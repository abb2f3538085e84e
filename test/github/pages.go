package github

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// serveWeb serves what a browser is shown: repositories, pull requests and
// commits, the manifest form and the installation of an App. Everybody is the
// signed-in user here and sees everything, private or not.
func (s *Server) serveWeb(w http.ResponseWriter, r *http.Request) {
	p := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	post := r.Method == http.MethodPost
	switch {
	case post && r.URL.Path == "/settings/apps/new":
		s.serveManifest(w, r, "")
	case post && len(p) == 5 && p[0] == "organizations" && strings.Join(p[2:], "/") == "settings/apps/new":
		s.serveManifest(w, r, p[1])
	case post && foreign(r):
		// A page elsewhere must not press buttons here.
		http.Error(w, "this form may only be sent from here", http.StatusForbidden)
	case len(p) >= 2 && (p[0] == "apps" || p[0] == "github-apps"):
		s.serveInstall(w, r, p[1])
	case post && len(p) == 5 && p[2] == "pull":
		s.servePress(w, r, p[0]+"/"+p[1], p[3], p[4])
	case len(p) == 2 && !post:
		s.servePage(w, repoPage, func() any { return s.repoView(p[0], p[1]) })
	case len(p) == 4 && p[2] == "pull" && !post:
		s.servePage(w, pullPage, func() any { return s.pullView(p[0], p[1], p[3]) })
	case len(p) == 4 && p[2] == "commit" && !post:
		s.servePage(w, commitPage, func() any { return s.commitView(p[0], p[1], p[3]) })
	case len(p) == 4 && p[2] == "runs" && !post:
		s.mu.Lock()
		r, _ := s.lookup(p[0], p[1])
		id, _ := strconv.ParseInt(p[3], 10, 64)
		s.mu.Unlock()
		s.servePage(w, commitPage, func() any {
			if r != nil && r.run(id) != nil {
				return s.commitView(p[0], p[1], r.run(id).HeadSHA)
			}
			return nil
		})
	default:
		http.NotFound(w, r)
	}
}

func foreign(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	u, err := url.Parse(origin)
	return origin != "" && (err != nil || u.Host != r.Host)
}

// servePage renders with the state locked and writes afterwards; a nil view
// is 404.
func (s *Server) servePage(w http.ResponseWriter, page *template.Template, view func() any) {
	var b bytes.Buffer
	s.mu.Lock()
	v := view()
	var err error
	if v != nil {
		err = page.Execute(&b, v)
	}
	s.mu.Unlock()
	switch {
	case v == nil:
		http.Error(w, "404: there is no such page", http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(b.Bytes())
	}
}

// view is what the pages of a repository show.
type view struct {
	Repo, Base, Title, Sub, Me string
	Number                     int
	State, Body                string
	SHA                        string
	Runs                       []CheckRun
	Deployments                []Deployment
	Comments                   []Comment
	Pulls                      []Pull
	Branches                   []branchLine
}

type branchLine struct{ Name, SHA string }

func (s *Server) repoView(owner, name string) any {
	r, _ := s.lookup(owner, name)
	if r == nil {
		return nil
	}
	v := view{Repo: r.FullName, Base: "/" + r.FullName, Title: r.FullName, Sub: "clone " + r.CloneURL, Me: s.signedIn}
	for _, i := range newestFirst(r.issues) {
		if i.pull != nil {
			v.Pulls = append(v.Pulls, s.copyPull(r, i.pull))
		}
	}
	for _, ref := range sortedKeys(r.refs) {
		if branch, found := strings.CutPrefix(ref, "refs/heads/"); found {
			v.Branches = append(v.Branches, branchLine{branch, r.refs[ref]})
		}
	}
	v.Deployments = newestFirst((&View{s}).Deployments(r.FullName, ""))
	return v
}

func (s *Server) pullView(owner, name, number string) any {
	r, _ := s.lookup(owner, name)
	if r == nil {
		return nil
	}
	i := r.issue(atoi(number, 0))
	if i == nil || i.pull == nil {
		return nil
	}
	p := s.copyPull(r, i.pull)
	v := s.commitLines(r, p.HeadSHA)
	if p.Merged {
		v.Deployments = append(v.Deployments, s.commitLines(r, p.MergeCommitSHA).Deployments...)
	}
	v.Title, v.Number, v.Body, v.State = fmt.Sprintf("%s #%d", p.Title, p.Number), i.number, p.Body, p.State
	if p.Merged {
		v.State = "merged"
	}
	v.Sub = fmt.Sprintf("%s wants to merge %s into %s", p.Author, p.HeadRef, p.BaseRef)
	v.Comments = (&View{s}).Comments(r.FullName, p.Number)
	return v
}

func (s *Server) commitView(owner, name, sha string) any {
	r, _ := s.lookup(owner, name)
	if r == nil || !hexName.MatchString(sha) {
		return nil
	}
	k := r.git.commit(sha)
	if k == nil {
		return nil
	}
	v := s.commitLines(r, k.sha)
	v.Title, _, _ = strings.Cut(k.message, "\n")
	v.Sub = k.author.name + " committed " + k.sha
	return v
}

func (s *Server) commitLines(r *Repo, sha string) view {
	v := view{Repo: r.FullName, Base: "/" + r.FullName, SHA: sha, Me: s.signedIn}
	for _, run := range latestRuns(r.runs) {
		if run.HeadSHA == sha {
			v.Runs = append(v.Runs, *run)
		}
	}
	for _, d := range (&View{s}).Deployments(r.FullName, "") {
		if d.SHA == sha {
			v.Deployments = append(v.Deployments, d)
		}
	}
	return v
}

// servePress is what a person does on the page of a pull request: comment,
// merge, close, press a button of a check or run it again.
func (s *Server) servePress(w http.ResponseWriter, r *http.Request, repo, number, what string) {
	n, _ := strconv.ParseInt(number, 10, 64)
	run, _ := strconv.ParseInt(r.PostFormValue("run"), 10, 64)
	actor := r.PostFormValue("as")
	s.mu.Lock()
	if s.user(actor) == nil {
		actor = s.signedIn
	}
	s.mu.Unlock()
	var err error
	switch what {
	case "comment":
		_, err = s.Comment(repo, int(n), actor, r.PostFormValue("body"))
	case "merge":
		_, err = s.Merge(repo, n, actor)
	case "close":
		err = s.ClosePull(repo, n, actor)
	case "rerun":
		err = s.RerequestCheck(repo, run, actor)
	case "action":
		err = s.RequestAction(repo, run, r.PostFormValue("identifier"), actor)
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	http.Redirect(w, r, "/"+repo+"/pull/"+number, http.StatusSeeOther)
}

// serveInstall shows an App and installs it for an account, for all of its
// repositories, then sends the browser to the App's set-up page.
func (s *Server) serveInstall(w http.ResponseWriter, r *http.Request, slug string) {
	if r.Method != http.MethodPost {
		s.servePage(w, installPage, func() any {
			a := s.app(slug)
			if a == nil {
				return nil
			}
			var accounts []string
			for _, u := range s.people() {
				if u.Kind != "Bot" {
					accounts = append(accounts, u.Login)
				}
			}
			return map[string]any{"App": a, "Accounts": accounts}
		})
		return
	}
	s.mu.Lock()
	i, err := s.install(slug, r.PostFormValue("account"), nil)
	to := s.base
	if err == nil && i.app.SetupURL != "" {
		if u, bad := url.Parse(i.app.SetupURL); bad == nil {
			q := u.Query()
			q.Set("installation_id", strconv.FormatInt(i.ID, 10))
			q.Set("setup_action", "install")
			u.RawQuery = q.Encode()
			to = u.String()
		}
	}
	s.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}
