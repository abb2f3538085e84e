package buildspec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Parse reads a buildspec. It returns a Spec without mistakes, or mistakes and the zero Spec. The name is used in messages
// only.
func Parse(name string, data []byte) (Spec, Findings) {
	r := &reader{}
	var s Spec
	if top := r.document(name, data); top != nil && r.nodes <= maxNodes {
		s = r.spec(top)
	}
	r.found.Mistakes, r.found.Warnings = sorted(r.found.Mistakes), sorted(r.found.Warnings)
	if len(r.found.Mistakes) > 0 {
		return Spec{}, r.found
	}
	return s, r.found
}

// Recognised reports whether a text means to be a buildspec: version 0.x, and phases or batch.
func Recognised(data []byte) bool {
	r := &reader{}
	top := r.document("", data)
	if top == nil || find(top, "version") == nil || !strings.HasPrefix(find(top, "version").Value, "0.") {
		return false
	}
	for i := 0; i < len(top.Content); i += 2 { // in capitals they are a mistake, and of a buildspec
		if key := top.Content[i].Value; strings.EqualFold(key, "phases") || strings.EqualFold(key, "batch") {
			return true
		}
	}
	return false
}

func (r *reader) spec(top *yaml.Node) Spec {
	s := Spec{Shell: "/bin/sh"}
	if !r.mapping(top, "the file", "begin it with version: 0.2") {
		return s
	}
	known := []string{"version", "run-as", "env", "proxy", "batch", "phases", "reports", "artifacts", "cache"}
	s.Version = r.version(top)
	if s.Version == "0.1" { // what env/variables was called once
		s.Vars = r.variables(find(find(top, "environment_variables"), "plaintext"), "plaintext")
		known = append(known, "environment_variables")
	}
	r.keys(top, "", known...)
	r.runAs(find(top, "run-as"))
	r.env(find(top, "env"), &s)
	r.proxy(find(top, "proxy"))
	r.phases(find(top, "phases"), &s)
	r.reports(find(top, "reports"), &s)
	r.artifacts(find(top, "artifacts"), &s)
	s.Cache = r.cache(find(top, "cache"))
	s.Batch = r.batch(find(top, "batch"))
	if absent(find(top, "phases")) && s.Batch == nil {
		r.mistake(top, "write phases with build and its commands", "%s is missing", quote("phases"))
	}
	return s
}

func (r *reader) version(top *yaml.Node) string {
	v := find(top, "version")
	switch {
	case v == nil:
		r.mistake(top, "begin the file with version: 0.2", "%s is missing", quote("version"))
	case v.Kind == yaml.ScalarNode && (v.Value == "0.2" || v.Value == "0.1"):
		return v.Value
	case v.Kind == yaml.ScalarNode && (v.Value == "0.20" || v.Value == "0.10"):
		return v.Value[:3]
	default:
		r.mistake(v, "write version: 0.2", "there is no buildspec of version %s", quote(v.Value))
	}
	return ""
}

func (r *reader) runAs(n *yaml.Node) {
	if user, ok := r.text(n, "run-as"); ok {
		r.warn(n, "remove it, or leave it for CodeBuild", "run-as: %s has no effect: all of a step runs as one user, who is root where the plan says user: root", user)
	}
}

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	shells       = map[string]string{"bash": "bash", "/bin/bash": "bash", "sh": "/bin/sh", "/bin/sh": "/bin/sh"}
)

func (r *reader) env(n *yaml.Node, s *Spec) {
	if absent(n) || !r.mapping(n, "env", "write for example env: {variables: {KEY: value}}") {
		return
	}
	r.keys(n, "env", "shell", "variables", "parameter-store", "secrets-manager", "exported-variables", "git-credential-helper")
	if shell, ok := r.text(find(n, "shell"), "shell"); ok {
		switch known := shells[shell]; {
		case known != "":
			s.Shell = known
		case strings.HasPrefix(shell, "powershell") || strings.HasPrefix(shell, "pwsh") || strings.HasPrefix(shell, "cmd"):
			r.mistake(find(n, "shell"), "write bash or /bin/sh, and commands of it", "there is no Windows here, so that %s cannot run", quote(shell))
		default:
			r.mistake(find(n, "shell"), "write bash or /bin/sh", "shell cannot be %s", quote(shell))
		}
	}
	s.Vars = append(s.Vars, r.variables(find(n, "variables"), "variables")...)
	for _, store := range []string{"parameter-store", "secrets-manager"} {
		of := find(n, store)
		for i, v := range r.variables(of, store) {
			at := of.Content[2*i]
			s.Secrets = append(s.Secrets, Secret{Name: v.Name, Store: store, Ref: v.Value, Line: at.Line, Column: at.Column})
		}
	}
	s.Exported = r.texts(find(n, "exported-variables"), "exported-variables")
	for _, name := range s.Exported {
		at := find(n, "exported-variables")
		switch {
		case !variableName.MatchString(name):
			r.mistake(at, "use letters, digits and _", "%s is no name of a variable", quote(name))
		case strings.HasPrefix(name, "AWS_"):
			r.mistake(at, "give it another name", "%s cannot be exported: names that begin with AWS_ are not", quote(name))
		case slices.ContainsFunc(s.Secrets, func(secret Secret) bool { return secret.Name == name }):
			r.mistake(at, "remove it from the list", "%s cannot be exported: it is a secret", quote(name))
		}
	}
	if helper := find(n, "git-credential-helper"); r.flag(helper, "git-credential-helper") {
		r.warn(helper, "fetch what is private in a step that has a credential", "git-credential-helper has no effect: a step has no credential of the repository")
	}
}

// variables reads names and values. It keeps the order of the file, and stays in step with it: what is wrong is kept, too.
func (r *reader) variables(n *yaml.Node, key string) (vars []Var) {
	if absent(n) || !r.mapping(n, key, "write names and values, for example KEY: value") {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		switch {
		case !variableName.MatchString(name.Value):
			r.mistake(name, "use letters, digits and _, and no digit first", "%s is no name of a variable", quote(name.Value))
		case strings.HasPrefix(name.Value, "CODEBUILD_"):
			r.warn(name, "choose another name", "%s begins with CODEBUILD_, which is reserved", quote(name.Value))
		case strings.HasPrefix(name.Value, "CONVEYOR_"):
			r.mistake(name, "choose another name", "%s begins with CONVEYOR_, which is reserved", quote(name.Value))
		}
		word := ""
		if !absent(value) {
			word, _ = r.text(value, name.Value)
		}
		vars = append(vars, Var{Name: name.Value, Value: word})
	}
	return vars
}

func (r *reader) proxy(n *yaml.Node) {
	if absent(n) || !r.mapping(n, "proxy", "write for example proxy: {logs: yes}") {
		return
	}
	r.keys(n, "proxy", "upload-artifacts", "logs")
	upload, logs := r.flag(find(n, "upload-artifacts"), "upload-artifacts"), r.flag(find(n, "logs"), "logs")
	if upload || logs {
		r.warn(n, "", "proxy has no effect: artifacts and logs do not leave the machine")
	}
}

func (r *reader) phases(n *yaml.Node, s *Spec) {
	if absent(n) || !r.mapping(n, "phases", "write for example phases: {build: {commands: [make]}}") {
		return
	}
	names := []string{"install", "pre_build", "build", "post_build"}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := slices.Index(names, key.Value)
		if at < 0 {
			hint := "the phases are " + strings.Join(names, ", ")
			if meant := near(key.Value, names); meant != "" {
				hint = fmt.Sprintf("did you mean %s?", quote(meant))
			}
			r.mistake(key, hint, "there is no phase %s", quote(key.Value))
			continue
		}
		into := [...]*Section{&s.Install, &s.PreBuild, &s.Build, &s.PostBuild}[at]
		*into = r.section(value, key.Value, s)
	}
}

func (r *reader) section(n *yaml.Node, name string, s *Spec) (section Section) {
	if absent(n) || !r.mapping(n, name, "write commands: and a list below it") {
		return section
	}
	known := []string{"run-as", "on-failure", "commands", "finally"}
	if name == "install" {
		known = append(known, "runtime-versions")
	}
	r.keys(n, name, known...)
	r.runAs(find(n, "run-as"))
	if text, ok := r.text(find(n, "on-failure"), "on-failure"); ok {
		on, message, hint := parseOnFailure(text)
		if message != "" {
			r.mistake(find(n, "on-failure"), hint, "%s", message)
		}
		section.OnFailure = on
	}
	if name == "install" {
		s.Runtimes = r.runtimes(find(n, "runtime-versions"))
	}
	section.Commands, section.Finally = r.commands(find(n, "commands"), "commands"), r.commands(find(n, "finally"), "finally")
	return section
}

// runtimes are what AWS would choose in its images. A step has the tools of its image or of the machine: the run says which those are.
func (r *reader) runtimes(n *yaml.Node) (all []Var) {
	if absent(n) || !r.mapping(n, "runtime-versions", "write for example runtime-versions: {nodejs: 20}") {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		version, ok := r.text(value, name.Value)
		if !ok && !absent(value) {
			continue
		}
		r.warn(name, "give the step an image that has it; the log says which version there is", "runtime-versions cannot choose %s %s: a step has the tools of its image, or of this machine", name.Value, version)
		all = append(all, Var{Name: name.Value, Value: version})
	}
	return all
}

// commands are a list of texts. An item that is only a comment is none.
func (r *reader) commands(n *yaml.Node, key string) (all []string) {
	if absent(n) {
		return nil
	}
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	for _, item := range items {
		switch {
		case absent(item):
		case item.Kind == yaml.MappingNode:
			r.mistake(item, "put the whole command in quotes, or write it below - |", "YAML reads this command as a key and its value, because of the colon with a space after it or the braces")
		case item.Kind == yaml.SequenceNode:
			r.mistake(item, "put the whole command in quotes, or write each command as an item of its own", "YAML reads this command as a list")
		case strings.TrimSpace(item.Value) != "":
			all = append(all, item.Value)
		}
	}
	if n.Kind == yaml.MappingNode {
		return nil
	}
	return all
}

// mapping wants a mapping.
func (r *reader) mapping(n *yaml.Node, name, hint string) bool {
	if n.Kind == yaml.MappingNode {
		return true
	}
	if name != "the file" {
		name = quote(name)
	}
	r.mistake(n, hint, "%s must be a mapping, and this is %s", name, kindOf(n))
	return false
}

// text is what a text, a number or a flag says.
func (r *reader) text(n *yaml.Node, name string) (string, bool) {
	if absent(n) {
		return "", false
	}
	if n.Kind != yaml.ScalarNode {
		r.mistake(n, "put it in quotes", "%s must be text, and this is %s", quote(name), kindOf(n))
		return "", false
	}
	return n.Value, true
}

// texts is a list of texts; a text alone stands for a list of one.
func (r *reader) texts(n *yaml.Node, name string) (all []string) {
	for _, item := range items(n) {
		if word, ok := r.text(item, name); ok && strings.TrimSpace(word) != "" {
			all = append(all, strings.TrimSpace(word))
		}
	}
	return all
}

// items are those of a list, or the one thing that stands in the place of a list.
func items(n *yaml.Node) []*yaml.Node {
	switch {
	case absent(n):
		return nil
	case n.Kind == yaml.SequenceNode:
		return n.Content
	}
	return []*yaml.Node{n}
}

// flag reads yes and no as YAML 1.1 and AWS do.
func (r *reader) flag(n *yaml.Node, name string) bool {
	word, ok := r.text(n, name)
	if !ok {
		return false
	}
	switch strings.ToLower(word) {
	case "yes", "true", "on", "y":
		return true
	case "no", "false", "off", "n":
		return false
	}
	r.mistake(n, "write yes or no", "%s cannot be %s", quote(name), quote(word))
	return false
}

// keys names what is not known at a place. CodeBuild passes over it, so that it is a warning. What begins with x- or a
// dot, or is there to be repeated by an alias, is meant to be passed over.
func (r *reader) keys(n *yaml.Node, in string, known ...string) {
	var free []string
	for _, k := range known {
		if find(n, k) == nil {
			free = append(free, k)
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case slices.Contains(known, key.Value), strings.HasPrefix(key.Value, "x-"), strings.HasPrefix(key.Value, "."),
			in == "" && anchored(n.Content[i+1]):
			continue
		}
		place := ""
		if in != "" {
			place = " in " + quote(in)
		}
		hint := "known here: " + strings.Join(known, ", ")
		if meant := near(key.Value, free); meant != "" {
			hint = fmt.Sprintf("did you mean %s?", quote(meant))
		}
		r.warn(key, hint, "unknown key %s%s, which has no effect", quote(key.Value), place)
	}
}

// anchored reports whether a value, or what is right below it, has a name by which an alias repeats it.
func anchored(n *yaml.Node) bool {
	return n.Anchor != "" || slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return c.Anchor != "" })
}
