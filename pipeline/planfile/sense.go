package planfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// makeSense checks what no single place shows: names that must be unique, and names that must exist.
func makeSense(root *value, m *mistakes) {
	var stages, steps, artifacts names
	count, buildspecs := 0, false
	for _, stage := range root.get("stages").list() {
		stages.add(stage.get("name"), "stage", m)
		for _, step := range stage.get("steps").list() {
			steps.add(step.get("name"), "step", m)
			artifacts.add(step.get("artifact").get("name"), "artifact", m)
			buildspecs = buildspecs || step.get("buildspec") != nil
			pathsSense(step, m)
			givenSense(step, m)
			serviceSense(step, m)
			besideBuildspec(step, m)
			before := count
			if count += matrixSense(step, m); before <= maxSteps && count > maxSteps {
				m.add(step.at, "join some of them", "the file has more than %d steps", maxSteps)
			}
		}
	}
	g := makeGraph(root)
	g.sense(m)
	for _, name := range g.order {
		n := g.nodes[name]
		g.takeSense(name, n, m)
		g.inputSense(name, n, buildspecs, m)
		g.conditionSense(root.get("stages").list()[n.stage], name, n, m)
	}
	sourceSense(root, m)
	manualSense(root, m)
	outsideSense(root.get("on").get("pull_request").get("outside"), stages.all, m)
	var earlier []*field
	for _, env := range root.get("environments").mapping() {
		environmentSense(env, earlier, artifacts, buildspecs, m)
		earlier = append(earlier, env)
	}
}

// besideBuildspec refuses what a buildspec says itself: where its commands run, and by which shell.
func besideBuildspec(step *value, m *mistakes) {
	if step.get("buildspec") == nil {
		return
	}
	for _, key := range []string{"shell", "dir"} {
		if f := step.field(key); f != nil {
			m.add(f.at, "remove it; the buildspec says it", "%s has no meaning beside buildspec", quote(key))
		}
	}
}

// outsideSense checks that what runs code from outside is there.
func outsideSense(outside *value, stages []string, m *mistakes) {
	seen := map[string]bool{}
	for _, item := range outside.list() {
		name := item.text()
		switch {
		case name == "":
		case seen[name]:
			m.add(item.at, "keep one", "%s stands here twice", quote(name))
		case !slices.Contains(stages, name):
			m.add(item.at, meant(name, stages, "the file's stages are", "write the name of a stage"), "there is no stage %s", quote(name))
		}
		seen[name] = true
	}
}

// names are the names of one kind that have been given, in order.
type names struct {
	all []string
	at  map[string]place
}

func (n *names) add(v *value, what string, m *mistakes) {
	name := v.text()
	if name == "" {
		return
	}
	if first, twice := n.at[name]; twice {
		m.add(v.at, "give it another name", "the %s %s is on line %d already", what, quote(name), first.line)
		return
	}
	if n.at == nil {
		n.at = map[string]place{}
	}
	n.at[name] = v.at
	n.all = append(n.all, name)
}

// pathsSense wants an artifact to say its files, unless a buildspec does.
func pathsSense(step *value, m *mistakes) {
	a := step.get("artifact")
	paths := a.get("paths")
	switch spec := step.get("buildspec"); {
	case !a.is(mapping):
	case spec == nil && paths == nil:
		m.add(a.at, "say which files belong to it, for example paths: [dist/**]", "%s is missing in %s", quote("paths"), quote("artifact"))
	case spec != nil && paths != nil:
		m.add(paths.at, "remove it: the artifacts of the buildspec say which files are kept", "%s has no meaning beside buildspec", quote("paths"))
	}
}

// environmentSense checks one environment. Which artifacts a buildspec makes is only known when it is read.
func environmentSense(env *field, earlier []*field, artifacts names, buildspecs bool, m *mistakes) {
	v := env.value
	if !v.is(mapping) {
		return
	}
	if v.get("on") == nil && v.get("after") == nil {
		m.add(env.at, "write on: pull_request, on: {branch: main}, or after: with the environment before it",
			"nothing brings an artifact to the environment %s", quote(env.key))
	}
	if artifact := v.get("artifact"); artifact.text() != "" && !buildspecs {
		if _, made := artifacts.at[artifact.text()]; !made {
			m.add(artifact.at, meant(artifact.text(), artifacts.all, "the file's artifacts are", "write artifact: {name: …, paths: […]} in a step"),
				"no step makes an artifact named %s", quote(artifact.text()))
		}
	}
	orderSense(env, earlier, m)
	addressSense(v, m)
	approveSense(v.get("approve"), m)
	placeSecretSense(v, m)
	if expires := v.get("expires"); expires != nil && !perPull(v) {
		m.add(expires.at, "remove it, or write on: pull_request", "only an environment with on: pull_request expires")
	}
}

// orderSense checks that a promotion can ever get here.
func orderSense(env *field, earlier []*field, m *mistakes) {
	after := env.value.get("after")
	name := after.text()
	if name == "" {
		return
	}
	var before []string
	for _, e := range earlier {
		if e.key == name {
			if perPull(e.value) {
				m.add(after.at, "name an environment that there is once", "%s is there once for each pull request, so that nothing can come after it", quote(name))
			}
			if perPull(env.value) {
				m.add(after.at, "remove after or on", "an environment with on: pull_request comes after no other")
			}
			return
		}
		if !perPull(e.value) {
			before = append(before, e.key)
		}
	}
	if name == env.key {
		m.add(after.at, "name the environment before it", "an environment cannot come after itself")
		return
	}
	m.add(after.at, meant(name, before, "earlier in the file are", "environments stand in promotion order; write the first one with on"),
		"there is no environment %s earlier in the file", quote(name))
}

func perPull(env *value) bool { return env.get("on").text() == "pull_request" }

func addressSense(env *value, m *mistakes) {
	address := env.get("url")
	if http := env.get("verify").get("http"); http != nil && address == nil {
		m.add(http.at, "write url: https://… in the environment", "verify asks the environment's address, and it has no url")
	}
	if address.text() == "" {
		return
	}
	pr, _ := holds(address.text(), "pr")
	_, envInHost := holds(address.text(), "env")
	switch {
	case perPull(env) && !pr:
		m.add(address.at, "write for example http://pr-{{ pr }}.preview.example.com", "all pull requests would share this address")
	case !perPull(env) && pr:
		m.add(address.at, "use {{ pr }} with on: pull_request only", "there is no pull request here")
	case perPull(env) && envInHost:
		m.add(address.at, "use {{ pr }} in the host's name", "{{ env }} holds a slash here, as in preview/pr-12")
	}
}

// approveSense refuses a gate that nobody could ever open, or that does not say who opens it.
func approveSense(approve *value, m *mistakes) {
	if !approve.is(mapping) {
		return
	}
	by, groups := approve.get("by"), approve.field("groups")
	switch {
	case by == nil && groups == nil:
		m.add(approve.at, "say who may approve, for example by: [maintain]", "%s is missing in %s", quote("by"), quote("approve"))
	case by != nil && groups != nil:
		m.add(groups.at, "write by: inside of the groups", "%s has both by and groups", quote("approve"))
	case groups != nil && approve.get("count") != nil:
		m.add(approve.get("count").at, "write count: inside of the groups", "%s has no meaning beside groups", quote("count"))
	}
	enoughPeople(approve, m)
	for _, group := range approve.get("groups").list() {
		enoughPeople(group, m)
	}
}

// enoughPeople wants each kind of people once, and as many as must approve.
func enoughPeople(part *value, m *mistakes) {
	seen := map[string]bool{}
	people := 0
	for _, item := range part.get("by").list() {
		word := strings.ToLower(item.text())
		switch {
		case word == "":
		case seen[word]:
			m.add(item.at, "keep one", "%s stands here twice", quote(item.text()))
		case strings.HasPrefix(word, "user:"):
			people++
		}
		seen[word] = true
	}
	count := part.get("count")
	if n, err := strconv.Atoi(wordOf(count)); err == nil && people > 0 && people == len(seen) && n > people {
		m.add(count.at, "name more people, a team or a role", "%d people must approve, and by names %d", n, people)
	}
}

func wordOf(v *value) string {
	if v == nil {
		return ""
	}
	return v.word
}

// meant proposes the name that was meant, or lists those that there are.
func meant(name string, known []string, list, none string) string {
	if best := near(name, known); best != "" {
		return fmt.Sprintf("did you mean %s?", quote(best))
	}
	if len(known) == 0 {
		return none
	}
	return list + " " + strings.Join(known[:min(len(known), 10)], ", ")
}
