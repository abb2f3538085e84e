package app

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/image"
)

// Config is everything that an operator decides. It is read once, and checked before anything starts.
type Config struct {
	Listen    string // "127.0.0.1:8080"
	PublicURL string // where people and GitHub reach this server
	DataDir   string // journal, artifacts, logs, mirrors

	RedisURL   github.Secret // the journal's server; empty keeps the journal in DataDir
	AcceptLoss bool          // start on a Redis that may lose acknowledged writes

	GitHubURL      string // "https://github.com"
	GitHubAPIURL   string // "https://api.github.com"
	AppID          int64
	PrivateKey     github.Secret   // PEM
	WebhookSecrets []github.Secret // one or, while it is changed, two

	ArtifactsS3   S3            // where artifacts are kept, in place of DataDir
	KeepArtifacts time.Duration // how long what no environment needs is kept; 0 is for ever

	ProvenanceKeyFile string // the key that signs provenances; empty is in DataDir

	PrivateKeyFile    string // where the set-up puts the key; empty is in DataDir
	WebhookSecretFile string // where it puts the secret
	SecretsKeyFile    string // the key of the store of secrets; empty is in DataDir
	LedgerKeyFile     string // the key that signs the ledger; empty is in DataDir

	Sandbox        string           // "auto", "crun", "runc", "runsc", "docker", "kubernetes" or "none"
	SandboxOutside string           // an OCI runtime for code of people who may not write; empty when it is the same
	DockerHost     string           // with docker: the engine's socket on this machine; empty is the usual place
	DockerImage    string           // with docker: the image of steps that name none
	Kubernetes     Kubernetes       // with kubernetes: which cluster, and how
	Network        pipeline.Network // the most that a step may reach; empty is nothing
	EgressAllow    []string         // hosts on the list, as egress.ParseRule reads them, or "registries"; none are the registries
	EgressPrivate  []string         // ranges of addresses that are not public and may be reached all the same

	Tools       []string // folders of tools outside of /usr that steps may see, read-only
	Workers     int      // steps that run at once
	DeployRoots []string // absolute folders below which the static target may publish
	CacheSize   int64    // GiB that all caches of steps may have; 0 is 10
	ExecDir     string   // the folder of the exec target's scripts
	CommandApps []int64  // Apps, by number, whose comments may command
	OpenPages   bool     // the list of runs is shown to everyone who reaches the server

	Images             string   // "on", as when empty, or "off"
	SharedRepositories []string // private repositories, owner/name, that every trusted run of their installation may read
	ImageRegistries    []string // hosts that images may come from; all that are public when empty
	ImageMirrors       []string // "docker.io=mirror.example:5000": asked first
	ImageAuthFile      string   // logins of registries, as docker's config.json has them
	ImageDirs          []string // folders of tarballs and layouts that plans may name
	ImageMaxBytes      int64    // of one image, unpacked; 0 is the store's default
	ImageStoreBytes    int64    // of all that are kept; 0 is the store's default
	CodeScanning       bool     // analyses go on to GitHub's code scanning; the App needs security_events: write

	SweepEvery time.Duration // how often GitHub's log is searched for webhooks that did not arrive; 0 is never
	SweepHeads time.Duration // how often heads without a check are looked for; 0 is never

	Rehearsal   bool      // nothing is run: no sandbox is looked for, and no step gets a worker; see Rehearse
	RehearsedAt time.Time // when a rehearsal begins, by its own clock; zero is now

	KeepLogs      time.Duration // how long the logs of a finished run stay; 0 is for ever
	KeepLogsBytes int64         // how much of them stays, the newest; 0 is all

	Grace time.Duration // for running steps when the server stops

	Now func() time.Time // the clock; nil is the machine's
}

// clock is the time; of a rehearsal, the time at which what is rehearsed has happened, going on from there.
func (c Config) clock() func() time.Time {
	switch {
	case c.Now != nil:
		return c.Now
	case !c.Rehearsal || c.RehearsedAt.IsZero():
		return time.Now
	}
	ago := time.Since(c.RehearsedAt)
	return func() time.Time { return time.Now().Add(-ago) }
}

// S3 names a bucket. Without one, artifacts are kept in DataDir.
type S3 struct {
	Endpoint string // "https://s3.example.com"
	Bucket   string
	Prefix   string
	Region   string
	KeyID    string
	Secret   github.Secret
}

// minSecret is how short a webhook secret may be, in bytes: what GitHub makes itself is longer.
const minSecret = 16

// Check says what is wrong, a sentence for each value, with what to do about it. Nothing means that all is well.
func (c Config) Check() []string {
	return append(append(c.checkServer(), c.checkShared()...), c.checkApp()...)
}

// Unregistered reports whether no App is named at all, so that the set-up is due.
func (c Config) Unregistered() bool {
	return c.AppID == 0 && c.PrivateKey.Reveal() == "" && len(c.WebhookSecrets) == 0
}

// checkServer is Check without the App, which the set-up makes.
func (c Config) checkServer() (problems []string) {
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }

	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		say("CONVEYOR_LISTEN %q is not an address; give HOST:PORT, for example 127.0.0.1:8080.", c.Listen)
	}
	for _, v := range [][2]string{{"CONVEYOR_PUBLIC_URL", c.PublicURL}, {"CONVEYOR_GITHUB_URL", c.GitHubURL}, {"CONVEYOR_GITHUB_API_URL", c.GitHubAPIURL}} {
		if u, err := url.Parse(v[1]); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			say("%s %q is not an address; give an http or https URL without credentials.", v[0], v[1])
		}
	}
	if c.DataDir == "" || !filepath.IsAbs(c.DataDir) {
		say("CONVEYOR_DATA_DIR %q is not an absolute folder; give one that is kept over restarts, for example /var/lib/conveyor.", c.DataDir)
	}
	if u, err := url.Parse(c.RedisURL.Reveal()); c.RedisURL.Reveal() != "" && (err != nil || (u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix")) {
		say("CONVEYOR_REDIS_URL is not a Redis address; give redis://HOST:PORT/0, rediss:// or unix://.")
	}
	if s := c.ArtifactsS3; s.Bucket != "" {
		if u, err := url.Parse(s.Endpoint); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			say("CONVEYOR_ARTIFACTS_S3_ENDPOINT %q is not an address; give an http or https URL without a path, for example https://s3.eu-central-1.amazonaws.com.", s.Endpoint)
		}
		if (s.KeyID == "") != (s.Secret.Reveal() == "") {
			say("CONVEYOR_ARTIFACTS_S3_KEY_ID and CONVEYOR_ARTIFACTS_S3_SECRET_FILE belong together; give both, or neither to use the machine's role.")
		}
	} else if s.Endpoint != "" || s.Prefix != "" || s.KeyID != "" {
		say("CONVEYOR_ARTIFACTS_S3_BUCKET is missing, and other settings of S3 are there.")
	}
	if c.KeepArtifacts != 0 && c.KeepArtifacts < artifact.MinGrace {
		say("CONVEYOR_KEEP_ARTIFACTS is %s; give a time of %s at least, or 0 for ever.", c.KeepArtifacts, artifact.MinGrace)
	}
	switch c.Sandbox {
	case "auto", "crun", "runc", "runsc", "docker", "kubernetes", "none":
	default:
		say("CONVEYOR_SANDBOX %q is unknown; give auto, crun, runc, runsc, docker, kubernetes or none.", c.Sandbox)
	}
	if c.DockerImage != "" {
		if ref, err := image.Parse(c.DockerImage); err != nil || ref.Kind != image.Registry {
			say("CONVEYOR_DOCKER_IMAGE %q is no image of a registry; give a name and a tag, for example debian:12.", c.DockerImage)
		}
	}
	if c.Sandbox == "docker" && c.Images == "off" {
		say("CONVEYOR_IMAGES is off, and CONVEYOR_SANDBOX is docker, in which every step needs an image; change one of them.")
	}
	switch c.SandboxOutside {
	case "":
	case "crun", "runc", "runsc":
		if c.Sandbox == "none" || c.Sandbox == "docker" || c.Sandbox == "kubernetes" { // whose workspaces and images are prepared for other users
			say("CONVEYOR_SANDBOX_OUTSIDE is %s, which does not go with CONVEYOR_SANDBOX %s; choose auto, crun or runc there, or leave it out.", c.SandboxOutside, c.Sandbox)
		}
	default:
		say("CONVEYOR_SANDBOX_OUTSIDE %q is unknown; give crun, runc or runsc, or leave it out.", c.SandboxOutside)
	}
	problems = append(problems, c.checkKubernetes()...)
	if c.Workers < 1 {
		say("CONVEYOR_WORKERS is %d; at least one step must be able to run.", c.Workers)
	}
	if c.CacheSize < 0 || c.CacheSize > 1<<20 {
		say("CONVEYOR_CACHE_SIZE is %d; give how many GiB all caches together may have, for example 10.", c.CacheSize)
	}
	if c.SweepEvery < 0 || c.SweepEvery > 0 && c.SweepEvery < time.Second/10 {
		say("CONVEYOR_SWEEP_EVERY is %s; give a time like 1m, or 0 for never.", c.SweepEvery)
	}
	if c.SweepHeads < 0 {
		say("CONVEYOR_SWEEP_HEADS is %s; give a time like 1h, or 0 for never.", c.SweepHeads)
	}
	if c.KeepLogs < 0 || c.KeepLogsBytes < 0 {
		say("CONVEYOR_KEEP_LOGS is %s and CONVEYOR_KEEP_LOGS_MB %d; give a time like 2160h and a number, or 0 for no end.", c.KeepLogs, c.KeepLogsBytes>>20)
	}
	for _, root := range c.DeployRoots {
		if !filepath.IsAbs(root) || filepath.Clean(root) == "/" {
			say("CONVEYOR_DEPLOY_ROOTS names %q; give absolute folders, and not the whole disk.", root)
		}
	}
	for _, id := range c.CommandApps {
		if id <= 0 || id == c.AppID {
			say("CONVEYOR_COMMAND_APPS names %d; give the numbers of other Apps, separated by commas. This App never commands itself.", id)
		}
	}
	if c.ExecDir != "" && !filepath.IsAbs(c.ExecDir) {
		say("CONVEYOR_EXEC_DIR %q is not an absolute folder.", c.ExecDir)
	}
	problems = append(problems, c.checkEgress()...)
	return append(problems, c.checkImages()...)
}

func (c Config) checkApp() (problems []string) {
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if c.AppID <= 0 {
		say("CONVEYOR_APP_ID is missing; the App's page at GitHub shows it as a number.")
	}
	switch key := c.PrivateKey.Reveal(); {
	case key == "":
		say("CONVEYOR_PRIVATE_KEY_FILE is missing; make a private key on the App's page at GitHub and name its file.")
	case !strings.Contains(key, "PRIVATE KEY-----"):
		say("CONVEYOR_PRIVATE_KEY is not a key in PEM form; it begins with -----BEGIN RSA PRIVATE KEY-----.")
	}
	if len(c.WebhookSecrets) == 0 {
		say("CONVEYOR_WEBHOOK_SECRET_FILE is missing; without a secret anyone could pretend to be GitHub.")
	}
	if len(c.WebhookSecrets) > 2 {
		say("CONVEYOR_WEBHOOK_SECRET holds %d secrets; at most two are in force while one replaces the other.", len(c.WebhookSecrets))
	}
	for _, s := range c.WebhookSecrets {
		if n := len(s.Reveal()); n < minSecret {
			say("A webhook secret has %d bytes; give at least %d random ones, for example from `openssl rand -hex 32`.", n, minSecret)
		}
	}
	return problems
}
