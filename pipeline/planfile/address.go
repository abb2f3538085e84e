package planfile

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

var template = regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`)

// addressAlone checks an environment's url, apart from what the rest of the environment says.
func addressAlone(address string) (message, hint string) {
	known := map[string]string{"pr": "1", "sha": strings.Repeat("a", 40), "env": "env"}
	for _, found := range template.FindAllStringSubmatch(address, -1) {
		if _, ok := known[found[1]]; !ok {
			return fmt.Sprintf("holds %s, which means nothing here", quote(found[0])), "use {{ pr }}, {{ sha }} or {{ env }}"
		}
	}
	filled := fill(address, known)
	if strings.ContainsAny(filled, "{}") {
		return "holds braces that do not belong to a template", "use {{ pr }}, {{ sha }} or {{ env }}"
	}
	u, err := url.Parse(filled)
	switch {
	case err != nil:
		return fmt.Sprintf("cannot be %s", quote(address)), "write an address such as https://staging.example.com"
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return fmt.Sprintf("cannot be %s", quote(address)), "write an address that starts with https:// or http://"
	case u.User != nil:
		return "holds a user name or password", "leave it out: everyone who may read the repository sees the address"
	case u.RawQuery != "" || u.Fragment != "":
		return "holds a ? or #", "end it with the path"
	}
	return "", ""
}

// fill puts words in the place of the templates it knows.
func fill(address string, words map[string]string) string {
	return template.ReplaceAllStringFunc(address, func(found string) string {
		if word, ok := words[template.FindStringSubmatch(found)[1]]; ok {
			return word
		}
		return found
	})
}

// tidy writes templates in the one form that the machine of environments replaces.
func tidy(address string) string {
	return fill(address, map[string]string{"pr": "{{ pr }}", "sha": "{{ sha }}", "env": "{{ env }}"})
}

// holds tells whether an address has a template, and whether it has it in the host's name.
func holds(address, name string) (anywhere, inHost bool) {
	_, rest, _ := strings.Cut(address, "://")
	rest = fill(rest, map[string]string{name: "\x00"})
	host, _, _ := strings.Cut(rest, "/")
	return strings.Contains(rest, "\x00"), strings.Contains(host, "\x00")
}
