package planfile

import (
	"fmt"
	"strconv"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

const (
	maxServices  = 10 // beside one step
	defaultReady = time.Minute
	maxReady     = 10 * time.Minute
	proxyPort    = 3128 // of the box's loopback: the step's way out
)

// servicesRule is the form of what runs beside a step.
func servicesRule() *rule {
	const says = "write for example services: {db: {image: postgres:17, ready: {port: 5432}}}"
	const shellOrWords = "write it as you would type it: pg_isready -U postgres, or as a list of a program and its arguments"
	word := func(example string) *rule {
		return &rule{about: "A program or an argument, passed on as it is.", example: example, kind: text, scalar: true, words: &wording{lines: true, longest: 8 << 10}}
	}
	return &rule{
		about:   "Programs of images that run beside the step, from before it begins until it ends: a database, a cache. The commands reach each under its name, on its own port. It has its own files and processes, and the step's network.",
		example: `{"db": {"image": "postgres:17", "env": {"POSTGRES_PASSWORD": "test"}, "ready": {"port": 5432}}}`,
		kind:    mapping, least: 1, most: maxServices, hint: says, called: "the service", names: &wording{
			pattern: `^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`, longest: 100, says: "use lower-case letters, digits and -, a letter first: it is a host name",
			never: `^(localhost|conveyor)$`, taken: "it is a name of the step's own machine",
		},
		rest: &rule{
			about: "One service.", example: `{"image": "redis:7", "ready": {"port": 6379}}`, kind: mapping, hint: says,
			keys: []key{
				{name: "image", needed: true, missing: "say which image it is, for example image: postgres:17", rule: &rule{
					about: "The image that the service runs: its entrypoint and command, as its user, in its folder. What it writes is in memory, and gone with the step. A tag is looked up once in a run.", example: `"postgres:17"`,
					kind: text, words: &wording{check: imageName, longest: 512, says: "write a name and a tag, for example postgres:17, or a digest: postgres@sha256:…"},
				}},
				{name: "command", rule: &rule{
					about: "Arguments in place of the image's command, behind its entrypoint; where the image has none, the program and its arguments.", example: `["redis-server", "--save", ""]`,
					kind: list, least: 1, most: 100, hint: `write a list, for example command: [redis-server, --save, ""]`, item: word(`"--save"`),
				}},
				{name: "user", rule: &rule{
					about: "The user that it runs as, by a name or number of the image, in place of the image's own.", example: `"postgres"`,
					kind: text, scalar: true, words: &wording{pattern: `^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?$`, says: "write a name or a number, with a group behind it or without: postgres, 999, 999:999"},
				}},
				{name: "env", rule: envRule("Environment variables of the service, in plain text. It has none of the step's, and no secrets.", nil)},
				{name: "ready", needed: true, missing: "say how to know that it is ready, for example ready: {port: 5432}", rule: &rule{
					about: "When the step may begin: a port is open, or a command passes.", example: `{"port": 5432}`,
					kind: mapping, hint: "write for example ready: {port: 5432}", either: []string{"port", "command"}, lacks: "say on which port it listens, for example port: 5432",
					keys: []key{
						{name: "port", rule: &rule{about: "The TCP port on which it listens. The step connects to it there, too.", example: `5432`, kind: number, least: 1, most: 65535}},
						{name: "command", rule: &rule{
							about: "A command that passes when it is ready, run in the service itself, again and again. A text is for the image's shell; a list is a program and its arguments.", example: `"pg_isready -U postgres"`,
							kind: text, words: &wording{lines: true, longest: 8 << 10, says: shellOrWords}, hint: shellOrWords, or: &rule{
								kind: list, least: 1, most: 100, hint: shellOrWords, item: word(`"pg_isready"`),
							},
						}},
						{name: "timeout", rule: &rule{
							about: "How long it may take to be ready, 1m when left out and 10m at most. When it takes longer, the step fails.", example: `"2m"`,
							kind: text, words: between(time.Second, maxReady),
						}},
					},
				}},
				{name: "resources", rule: resourcesRule("What the service may use, up to the server's own limits: 1G of memory, 1 processor and 1024 processes when it is left out. What it writes counts as memory.", `{"memory": "2G"}`)},
			},
		},
	}
}

func services(v *value) (all []pipeline.Service) {
	for _, f := range v.mapping() {
		ready := f.value.get("ready")
		one := pipeline.Service{
			Name: f.key, Image: f.value.get("image").text(), Command: words(f.value.get("command")), User: wordOf(f.value.get("user")),
			Env: variables(f.value.get("env")), Limits: resources(f.value.get("resources")),
			Ready: pipeline.Ready{Command: words(ready.get("command")), Timeout: orDefault(ready.get("timeout"), pipeline.Duration(defaultReady))},
		}
		if ready.get("command").is(text) {
			one.Ready.Command = []string{"/bin/sh", "-c", ready.get("command").text()}
		}
		if port := ready.get("port"); port != nil {
			one.Ready.Port = countOf(port)
		}
		all = append(all, one)
	}
	return all
}

// words are the items of a list as they are written, numbers too.
func words(v *value) (all []string) {
	for _, item := range v.list() {
		all = append(all, item.word)
	}
	return all
}

// serviceSense wants each port once: services have one network with their step.
func serviceSense(step *value, m *mistakes) {
	taken := map[string]string{strconv.Itoa(proxyPort): ""}
	for _, f := range step.get("services").mapping() {
		port := f.value.get("ready").get("port")
		if port == nil {
			continue
		}
		switch other, is := taken[port.word]; {
		case is && other == "":
			m.add(port.at, "let it listen on another one", "port %d is taken by the proxy through which a step reaches the network", proxyPort)
		case is:
			m.add(port.at, fmt.Sprintf("let %s listen on another one, for example by its command", f.key), "the services %s and %s cannot both listen on port %s: they have one network", quote(other), quote(f.key), port.word)
		default:
			taken[port.word] = f.key
		}
	}
}
