// Package github is a small GitHub with state, spoken to over real HTTP: it
// keeps users, repositories (bare git repositories on disk), pull requests,
// checks, deployments and Apps, answers the REST API under /api/v3/, serves
// git over smart HTTP and delivers signed webhooks. End-to-end tests and the
// demo drive it; go-github, octokit and the gh command accept it.
//
// It never keeps anything across a restart (except the git directories the
// caller gave it), never talks to the real GitHub. Of the product, only
// `conveyor replay` uses it; the server never does.
//
// Driving it takes a few lines:
//
//	gh, err := github.Start(github.Options{Dir: t.TempDir()})
//	defer gh.Close()
//	gh.AddUser("ada")                                    // User{Login, ID, Token}
//	gh.AddOrg("acme", "ada")                             // ada owns the organisation
//	gh.AddTeam("acme", "release", "grace")
//	repo, err := gh.CreateRepo("acme", "shop", true)     // repo.FullName, repo.CloneURL
//	gh.Grant("acme/shop", "grace", "maintain")           // read triage write maintain admin
//	app, err := gh.RegisterApp("acme", github.Manifest{Name: "Conveyor", …}) // app.PEM, app.WebhookSecret
//	installation, err := gh.InstallApp(app.Slug, "acme") // all repositories, or name some
//	sha, err := gh.Commit("acme/shop", "main", "ada", "first", map[string]string{"README.md": "hi\n"})
//	pull, err := gh.OpenPull("acme/shop", "ada", "Title", "topic", "main")
//	comment, err := gh.Comment("acme/shop", int(pull.Number), "grace", "/approve production")
//	err = gh.Wait(ctx, func(v *github.View) bool {       // no sleeping, no polling
//		run, ok := v.CheckRun("acme/shop", sha, "unit")
//		return ok && run.Conclusion == "success"
//	})
//	err = gh.Quiet(ctx)                                  // no webhook waits or is in flight
//
// A browser (or a client of the product's set-up pages) may register the App
// instead: POST the manifest to /settings/apps/new or
// /organizations/{org}/settings/apps/new and follow the redirect.
//
// What goes wrong is asked for with Inject (REST calls), InjectHook (webhooks)
// and SetRateLimit; what happened is told by View, Calls, Deliveries and
// Ledger.
//
// Start reading at server.go, then router.go for the way of a call.
package github
