package buildspec

import (
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// formats are the forms of reports that AWS knows.
// https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html#reports-buildspec-file
var formats = []string{
	"JUNITXML", "CUCUMBERJSON", "NUNITXML", "NUNIT3XML", "TESTNGXML", "VISUALSTUDIOTRX",
	"CLOVERXML", "COBERTURAXML", "JACOCOXML", "SIMPLECOV",
}

// The forms of reports that are read. Those of the others are named by a warning.
const (
	JUnit     = "JUNITXML"
	Cucumber  = "CUCUMBERJSON"
	TRX       = "VISUALSTUDIOTRX"
	Cobertura = "COBERTURAXML"
	JaCoCo    = "JACOCOXML"
)

const maxReports = 5 // groups, as in a project of AWS

func (r *reader) reports(n *yaml.Node, s *Spec) {
	if absent(n) || !r.mapping(n, "reports", "write for example reports: {unit: {files: [reports/*.xml]}}") {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if i/2 == maxReports {
			r.warn(key, "join some of them", "a build has at most %d groups of reports; this one and those below it are left out", maxReports)
			break
		}
		if absent(value) || !r.mapping(value, key.Value, "write files: and a list below it") {
			continue
		}
		r.keys(value, key.Value, "files", "base-directory", "discard-paths", "file-format")
		report := Report{Name: key.Value, Format: JUnit, Files: r.texts(find(value, "files"), "files")}
		report.Base, _ = r.text(find(value, "base-directory"), "base-directory")
		r.flag(find(value, "discard-paths"), "discard-paths")
		if word, ok := r.text(find(value, "file-format"), "file-format"); ok {
			report.Format = strings.ToUpper(word)
			switch at := find(value, "file-format"); {
			case !slices.Contains(formats, report.Format):
				hint := "the forms are " + strings.Join(formats, ", ")
				if meant := near(report.Format, formats); meant != "" {
					hint = "did you mean " + quote(meant) + "?"
				}
				r.mistake(at, hint, "there is no form of reports %s", quote(word))
			case !slices.Contains([]string{JUnit, Cucumber, TRX, Cobertura, JaCoCo}, report.Format):
				r.warn(at, "let the build write "+JUnit+" or "+Cobertura+" as well", "reports of the form %s are not shown", report.Format)
			}
		}
		if len(report.Files) == 0 {
			r.mistake(key, "say where the reports are, for example files: [reports/*.xml]", "%s is missing in %s", quote("files"), quote(key.Value))
		}
		s.Reports = append(s.Reports, report)
	}
}

// Globs are where a report's files are, from the top of the workspace.
func (p Report) Globs() (globs []string) {
	for _, f := range p.Files {
		globs = append(globs, path.Join(p.Base, f))
	}
	return globs
}

func (r *reader) artifacts(n *yaml.Node, s *Spec) {
	if absent(n) || !r.mapping(n, "artifacts", "write for example artifacts: {files: ['**/*']}") {
		return
	}
	primary := r.artifact(n, "artifacts", "secondary-artifacts")
	seconds := find(n, "secondary-artifacts")
	if len(primary.Files) > 0 {
		s.Artifacts = append(s.Artifacts, primary)
	} else if absent(seconds) {
		r.mistake(n, "say which files are kept, for example files: ['**/*']", "%s is missing in %s", quote("files"), quote("artifacts"))
	}
	if absent(seconds) || !r.mapping(seconds, "secondary-artifacts", "write an identifier and, below it, files") {
		return
	}
	for i := 0; i+1 < len(seconds.Content); i += 2 {
		key, value := seconds.Content[i], seconds.Content[i+1]
		if absent(value) || !r.mapping(value, key.Value, "write files: and a list below it") {
			continue
		}
		second := r.artifact(value, key.Value)
		if second.ID = ArtifactName(key.Value); second.ID == "" {
			r.mistake(key, "use letters, digits, - and _", "%s cannot name an artifact", quote(key.Value))
		}
		if slices.ContainsFunc(s.Artifacts, func(a Artifacts) bool { return a.ID == second.ID }) {
			r.mistake(key, "give one of them another name", "two artifacts are called %s, as small and capital letters are the same here", quote(second.ID))
		}
		if len(second.Files) == 0 {
			r.mistake(key, "say which files are kept, for example files: ['**/*']", "%s is missing in %s", quote("files"), quote(key.Value))
		}
		s.Artifacts = append(s.Artifacts, second)
	}
}

func (r *reader) artifact(n *yaml.Node, name string, more ...string) (a Artifacts) {
	r.keys(n, name, append([]string{"files", "name", "discard-paths", "base-directory", "exclude-paths", "enable-symlinks", "s3-prefix"}, more...)...)
	a.Files = r.texts(find(n, "files"), "files")
	a.Exclude = r.texts(find(n, "exclude-paths"), "exclude-paths")
	a.Name, _ = r.text(find(n, "name"), "name")
	a.Base, _ = r.text(find(n, "base-directory"), "base-directory")
	a.Flat = r.flag(find(n, "discard-paths"), "discard-paths")
	r.flag(find(n, "enable-symlinks"), "enable-symlinks") // links that stay inside are kept as links in any case
	if prefix := find(n, "s3-prefix"); !absent(prefix) {
		r.warn(prefix, "remove it, or leave it for CodeBuild", "s3-prefix has no effect: artifacts are kept by their digest, and not in S3")
	}
	return a
}

// ArtifactName turns an identifier of AWS into the name of an artifact here: the same, in small letters.
func ArtifactName(id string) string {
	name := strings.ToLower(id)
	for i, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (i == 0 || c != '-' && c != '_') {
			return ""
		}
	}
	if len(name) > 40 {
		return ""
	}
	return name
}
