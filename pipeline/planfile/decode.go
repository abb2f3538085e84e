package planfile

import (
	"strconv"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// decode makes the plan of a file that has no mistakes.
func decode(root *value) pipeline.Plan {
	p := pipeline.Plan{Version: 1, Name: root.get("name").text(), Timeout: orDefault(root.get("timeout"), 0)}
	p.On.Push = filter(root.get("on").get("push"))
	p.On.PullRequest = filter(root.get("on").get("pull_request"))
	p.On.MergeGroup = filter(root.get("on").get("merge_group"))
	if word := pipeline.Concurrency(root.get("concurrency").text()); word != pipeline.Parallel {
		p.Concurrency = word
	}
	for _, v := range root.get("on").get("schedule").list() {
		p.On.Schedule = append(p.On.Schedule, pipeline.Time{Cron: strings.Join(strings.Fields(v.get("cron").text()), " "), Zone: v.get("timezone").text()})
	}
	p.On.Manual = manual(root.get("on").get("manual"))
	names := stageNames(root)
	if p.On.PullRequest != nil {
		p.On.PullRequest.Outside = outside(root.get("on").get("pull_request").get("outside"), names)
	}
	g := makeGraph(root)
	for _, v := range root.get("stages").list() {
		stage := pipeline.Stage{Name: v.get("name").text()}
		for _, s := range v.get("steps").list() {
			stage.Steps = append(stage.Steps, steps(root, v, s, g)...)
		}
		p.Stages = append(p.Stages, stage)
	}
	p.Source = sourceOf(root.get("source"))
	for _, f := range root.get("environments").mapping() {
		p.Environments = append(p.Environments, environment(f.key, f.value))
	}
	return p
}

func filter(v *value) *pipeline.Filter {
	if v == nil {
		return nil
	}
	return &pipeline.Filter{
		Branches: texts(v.get("branches"), false), Without: texts(v.get("branches_ignore"), false),
		Paths: texts(v.get("paths"), true), Ignore: texts(v.get("paths_ignore"), true),
	}
}

// outside is which stages run code from outside: none when nothing is said, all of them, or those that are named.
func outside(v *value, stages []string) []string {
	switch {
	case v.is(list):
		return texts(v, false)
	case v.text() == "run":
		return stages
	}
	return nil
}

func stageNames(root *value) (names []string) {
	for _, v := range root.get("stages").list() {
		if name := v.get("name").text(); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func reports(v *value) pipeline.Reports {
	glob := func(form string) string { return strings.TrimPrefix(v.get(form).text(), "./") }
	return pipeline.Reports{
		JUnit: glob("junit"), Go: glob("go"), TRX: glob("trx"), Cucumber: glob("cucumber"),
		SARIF: glob("sarif"), Cobertura: glob("cobertura"), JaCoCo: glob("jacoco"), LCOV: glob("lcov"),
	}
}

func environment(name string, v *value) pipeline.Environment {
	return pipeline.Environment{
		Name:     name,
		On:       pipeline.EnvOn{PullRequest: perPull(v), Branch: v.get("on").get("branch").text()},
		After:    v.get("after").text(),
		Artifact: v.get("artifact").text(),
		URL:      tidy(v.get("url").text()),
		Expires:  orDefault(v.get("expires"), 0),
		Target:   target(v.get("target").fields[0]),
		Verify:   pipeline.Verify{HTTP: v.get("verify").get("http").text(), Contains: v.get("verify").get("contains").text()},
		Approve:  approve(v.get("approve")),
		Secrets:  secrets(v.get("secrets")),
	}
}

// target reads the short form, a text, as the adapter's first setting.
func target(f *field) pipeline.Target {
	t := pipeline.Target{Kind: f.key, Settings: map[string]string{}}
	if f.value.is(text) {
		first := map[string]string{"static": "root", "exec": "script"}
		t.Settings[first[f.key]] = f.value.text()
		return t
	}
	for _, setting := range f.value.mapping() {
		t.Settings[setting.key] = setting.value.word
	}
	return t
}

func approve(v *value) *pipeline.Approve {
	if v == nil {
		return nil
	}
	a := &pipeline.Approve{
		By: texts(v.get("by"), false), Count: countOf(v.get("count")),
		NotAuthor: isTrue(v.get("not_author")), NotContributor: isTrue(v.get("not_contributor")),
		Expires: orDefault(v.get("expires"), pipeline.Duration(defaultApproval)), UnsafeWindow: orDefault(v.get("unsafe_window"), 0),
	}
	for _, group := range v.get("groups").list() {
		a.Groups = append(a.Groups, pipeline.ApproveGroup{By: texts(group.get("by"), false), Count: countOf(group.get("count"))})
	}
	return a
}

func texts(v *value, files bool) (all []string) {
	for _, item := range v.list() {
		word := item.text()
		if files {
			word = strings.TrimPrefix(word, "./")
		}
		all = append(all, word)
	}
	return all
}

func orDefault(v *value, otherwise pipeline.Duration) pipeline.Duration {
	if d, ok := parseDuration(v.text()); ok {
		return d
	}
	return otherwise
}

func countOf(v *value) int {
	if n, err := strconv.Atoi(wordOf(v)); err == nil {
		return n
	}
	return 1
}

func isTrue(v *value) bool { return strings.EqualFold(wordOf(v), "true") } // YAML knows True and TRUE, too
