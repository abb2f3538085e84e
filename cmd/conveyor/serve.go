package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// settings are the server's flags. Secrets have none: the command line is there for everyone to see.
type settings struct {
	Config configFile `help:"A YAML file with these settings, named like the flags." placeholder:"FILE" env:"CONVEYOR_CONFIG"`

	Listen       string `help:"Address to listen on." default:"127.0.0.1:8080" env:"CONVEYOR_LISTEN"`
	PublicURL    string `help:"Where people and GitHub reach this server." name:"public-url" env:"CONVEYOR_PUBLIC_URL"`
	DataDir      string `help:"Folder for the journal, artifacts, logs and mirrors." default:"/var/lib/conveyor" env:"CONVEYOR_DATA_DIR"`
	GithubURL    string `help:"GitHub, or your GitHub Enterprise Server." name:"github-url" default:"https://github.com" env:"CONVEYOR_GITHUB_URL"`
	GithubAPIURL string `help:"Its API; of an Enterprise Server, https://HOST/api/v3." name:"github-api-url" default:"https://api.github.com" env:"CONVEYOR_GITHUB_API_URL"`
	AppID        int64  `help:"The GitHub App's number." env:"CONVEYOR_APP_ID"`

	PrivateKeyFile    string `help:"File with the App's private key (PEM). Or set CONVEYOR_PRIVATE_KEY." env:"CONVEYOR_PRIVATE_KEY_FILE"`
	WebhookSecretFile string `help:"File with the webhook secret; a second line holds the old one while it is changed. Or set CONVEYOR_WEBHOOK_SECRET." env:"CONVEYOR_WEBHOOK_SECRET_FILE"`
	LedgerKeyFile     string `help:"File with the key that signs the ledger, best not in the data folder. It is made when there is no ledger yet." env:"CONVEYOR_LEDGER_KEY_FILE"`
	RedisURLFile      string `help:"File with the address of a Redis that keeps the journal. Or set CONVEYOR_REDIS_URL." name:"redis-url-file" env:"CONVEYOR_REDIS_URL_FILE"`
	AcceptLoss        bool   `help:"Start on a Redis without appendfsync always, although it can lose what it has acknowledged." env:"CONVEYOR_ACCEPT_LOSS"`

	ArtifactsS3Endpoint   string        `help:"Address of an S3 server that keeps artifacts." name:"artifacts-s3-endpoint" env:"CONVEYOR_ARTIFACTS_S3_ENDPOINT"`
	ArtifactsS3Bucket     string        `help:"Its bucket. Left out, artifacts are in the data folder." name:"artifacts-s3-bucket" env:"CONVEYOR_ARTIFACTS_S3_BUCKET"`
	ArtifactsS3Prefix     string        `help:"What the names of all objects begin with." name:"artifacts-s3-prefix" env:"CONVEYOR_ARTIFACTS_S3_PREFIX"`
	ArtifactsS3Region     string        `help:"Its region; left out, the server is asked." name:"artifacts-s3-region" env:"CONVEYOR_ARTIFACTS_S3_REGION"`
	ArtifactsS3KeyID      string        `help:"The access key's name; left out, the machine's role is used." name:"artifacts-s3-key-id" env:"CONVEYOR_ARTIFACTS_S3_KEY_ID"`
	ArtifactsS3SecretFile string        `help:"File with the access key's secret. Or set CONVEYOR_ARTIFACTS_S3_SECRET." name:"artifacts-s3-secret-file" env:"CONVEYOR_ARTIFACTS_S3_SECRET_FILE"`
	KeepArtifacts         time.Duration `help:"How long artifacts are kept that no environment runs, waits for or could go back to; 0 is for ever." default:"2160h" env:"CONVEYOR_KEEP_ARTIFACTS"`

	ProvenanceKeyFile string `help:"File with the key that signs where artifacts come from; made when it is not there. Left out, it is in the data folder." env:"CONVEYOR_PROVENANCE_KEY_FILE"`

	Sandbox        string `help:"auto, crun, runc, runsc, docker (an engine on this machine), kubernetes (pods of a cluster), or none (no isolation, for trusted code only)." default:"auto" env:"CONVEYOR_SANDBOX"`
	SandboxOutside string `help:"Another one for code of people who may not write, such as runsc; left out, it is the same." env:"CONVEYOR_SANDBOX_OUTSIDE"`
	DockerHost     string `help:"With docker: where the engine listens, unix:// and a path. Left out, /var/run/docker.sock." env:"DOCKER_HOST"`
	DockerImage    string `help:"With docker: the image of steps that name none, for example debian:12. Left out, such a step fails." env:"CONVEYOR_DOCKER_IMAGE"`

	KubernetesKubeconfig   string   `help:"With kubernetes: the file that says how to reach the cluster. Left out, the account of the server's own pod, or KUBECONFIG." env:"CONVEYOR_KUBERNETES_KUBECONFIG"`
	KubernetesNamespace    string   `help:"With kubernetes: the namespace of the pods of steps." default:"conveyor-steps" env:"CONVEYOR_KUBERNETES_NAMESPACE"`
	KubernetesPodImage     string   `help:"With kubernetes: this server's own image, as the nodes pull it." env:"CONVEYOR_KUBERNETES_POD_IMAGE"`
	KubernetesImage        string   `help:"With kubernetes: the image of steps that name none, for example debian:12. Left out, such a step fails." env:"CONVEYOR_KUBERNETES_IMAGE"`
	KubernetesRuntimeClass string   `help:"With kubernetes: the runtime class of the pods, for example gvisor." env:"CONVEYOR_KUBERNETES_RUNTIME_CLASS"`
	KubernetesPullSecrets  []string `help:"With kubernetes: names of secrets of the namespace, with logins of registries." env:"CONVEYOR_KUBERNETES_PULL_SECRETS"`
	KubernetesPolicies     string   `help:"With kubernetes: tried (at the start it is found out whether network policies are enforced) or enforced (you know that they are)." enum:"tried,enforced" default:"tried" env:"CONVEYOR_KUBERNETES_POLICIES"`

	Tools         []string `help:"Folders outside of /usr that steps may see, read-only." env:"CONVEYOR_TOOLS"`
	Network       string   `help:"The most that a step may reach: none, allowed (the hosts on the list) or full (every public host)." default:"allowed" env:"CONVEYOR_NETWORK"`
	EgressAllow   []string `help:"Hosts that steps may reach, separated by semicolons: example.com, *.example.com, example.com:8443, GET,HEAD example.com:80. The word registries stands for those of the usual package managers." sep:";" default:"registries" env:"CONVEYOR_EGRESS_ALLOW"`
	EgressPrivate []string `help:"Ranges of private addresses that steps may reach, for a registry of your own: 10.0.5.0/24." env:"CONVEYOR_EGRESS_PRIVATE"`

	Images             string   `help:"on, or off: no step runs in an image." enum:"on,off" default:"on" env:"CONVEYOR_IMAGES"`
	SharedRepositories []string `help:"Private repositories, owner/name, that every trusted run may have in its workspace." env:"CONVEYOR_SHARED_REPOSITORIES"`
	ImageRegistries    []string `help:"Hosts that images may come from; all that are public when left out." env:"CONVEYOR_IMAGE_REGISTRIES"`
	ImageMirrors       []string `help:"Mirrors that are asked first: docker.io=mirror.example.com:5000." env:"CONVEYOR_IMAGE_MIRRORS"`
	ImageAuthFile      string   `help:"File with logins of registries, in the form of docker's config.json." env:"CONVEYOR_IMAGE_AUTH_FILE"`
	ImageDirs          []string `help:"Folders of tarballs and OCI layouts that plans may name." env:"CONVEYOR_IMAGE_DIRS"`
	ImageMaxBytes      int64    `help:"The largest image, unpacked, in bytes." default:"10000000000" env:"CONVEYOR_IMAGE_MAX_BYTES"`
	ImageStoreBytes    int64    `help:"How much of images is kept, in bytes, before the longest unused are removed." default:"50000000000" env:"CONVEYOR_IMAGE_STORE_BYTES"`

	SecretsKeyFile string `help:"File with the key (age) of the store of secrets, best on another disk than the data folder. Left out, it is made in the data folder." env:"CONVEYOR_SECRETS_KEY_FILE"`

	Workers     int           `help:"Steps that run at once; 0 means one for each processor." default:"0" env:"CONVEYOR_WORKERS"`
	CacheSize   int64         `help:"GiB that all caches of steps together may have." default:"10" env:"CONVEYOR_CACHE_SIZE"`
	DeployRoots []string      `help:"Absolute folders below which the static target may publish." env:"CONVEYOR_DEPLOY_ROOTS"`
	ExecDir     string        `help:"Folder of the exec target's scripts." env:"CONVEYOR_EXEC_DIR"`
	CommandApps []int64       `help:"Apps, by number, whose comments may command as people's do." env:"CONVEYOR_COMMAND_APPS"`
	OpenPages   bool          `help:"Show the list of runs to everyone who reaches this server." env:"CONVEYOR_OPEN_PAGES"`
	Grace       time.Duration `help:"How long running steps may go on when the server is stopped." default:"20s" env:"CONVEYOR_GRACE"`
	SweepEvery  time.Duration `help:"How often GitHub's log is searched for webhooks that did not arrive; 0 is never." default:"1m" env:"CONVEYOR_SWEEP_EVERY"`
	SweepHeads  time.Duration `help:"How often open pull requests and branches without a check are looked for; 0 is never." default:"1h" env:"CONVEYOR_SWEEP_HEADS"`

	CodeScanning bool `help:"Pass analyses (SARIF) on to GitHub's code scanning. The App then needs security_events: write." env:"CONVEYOR_CODE_SCANNING"`

	KeepLogs   time.Duration `help:"How long the logs of a finished run are kept; 0 is for ever." default:"2160h" env:"CONVEYOR_KEEP_LOGS"`
	KeepLogsMB int64         `help:"How many megabytes of logs are kept, the newest; 0 is all." name:"keep-logs-mb" default:"0" env:"CONVEYOR_KEEP_LOGS_MB"`

	LogFormat string `help:"text or json." enum:"text,json" default:"text" env:"CONVEYOR_LOG_FORMAT"`
}

type serve struct{ settings }

// Run serves until a signal.
func (s *serve) Run(ctx context.Context) error {
	c, err := s.config(os.Getenv)
	if err != nil {
		return err
	}
	var handler slog.Handler = slog.NewTextHandler(os.Stderr, nil)
	if s.LogFormat == "json" {
		handler = slog.NewJSONHandler(os.Stderr, nil)
	}
	log := slog.New(handler)
	var a *app.App
	if c.Unregistered() {
		a, err = app.SetUp(ctx, c, log, func(link string) {
			fmt.Printf("There is no App yet. Open this link, once, within the hour: %s\n", link)
		})
	} else {
		a, err = app.New(ctx, c, log)
	}
	if err != nil || a == nil {
		return err
	}
	log.Info("conveyor is ready", "listen", a.Addr(), "url", c.PublicURL, "isolation", a.Isolation().Level, "runtime", a.Isolation().Runtime)
	err = a.Run(ctx)
	if closeErr := a.Close(); err == nil {
		err = closeErr
	}
	log.Info("conveyor has stopped")
	return err
}

// config gathers the settings. Each secret comes from a variable or from a file, never from both.
func (s *settings) config(getenv func(string) string) (app.Config, error) {
	c := app.Config{
		Listen: s.Listen, PublicURL: s.PublicURL, DataDir: s.DataDir, GitHubURL: s.GithubURL, GitHubAPIURL: s.GithubAPIURL, AppID: s.AppID,
		AcceptLoss: s.AcceptLoss, Sandbox: s.Sandbox, SandboxOutside: s.SandboxOutside, DockerHost: s.DockerHost, DockerImage: s.DockerImage, Tools: s.Tools, Workers: s.Workers, DeployRoots: s.DeployRoots, ExecDir: s.ExecDir,
		Network: pipeline.Network(s.Network), EgressAllow: trimmed(s.EgressAllow), EgressPrivate: s.EgressPrivate,
		SharedRepositories: s.SharedRepositories, Images: s.Images, ImageRegistries: s.ImageRegistries, ImageMirrors: s.ImageMirrors, ImageAuthFile: absolute(s.ImageAuthFile), ImageDirs: s.ImageDirs,
		ImageMaxBytes: s.ImageMaxBytes, ImageStoreBytes: s.ImageStoreBytes,
		CommandApps: s.CommandApps, OpenPages: s.OpenPages, Grace: s.Grace, SweepEvery: s.SweepEvery, SweepHeads: s.SweepHeads,
		CodeScanning: s.CodeScanning, KeepLogs: s.KeepLogs, KeepLogsBytes: s.KeepLogsMB << 20,
	}
	c.Kubernetes = app.Kubernetes{
		Kubeconfig: absolute(s.KubernetesKubeconfig), Namespace: s.KubernetesNamespace, PodImage: s.KubernetesPodImage, Image: s.KubernetesImage,
		RuntimeClass: s.KubernetesRuntimeClass, PullSecrets: s.KubernetesPullSecrets, Policies: s.KubernetesPolicies,
	}
	c.ArtifactsS3 = app.S3{Endpoint: s.ArtifactsS3Endpoint, Bucket: s.ArtifactsS3Bucket, Prefix: s.ArtifactsS3Prefix, Region: s.ArtifactsS3Region, KeyID: s.ArtifactsS3KeyID}
	c.KeepArtifacts = s.KeepArtifacts
	if c.Workers == 0 {
		c.Workers = runtime.NumCPU()
	}
	if abs, err := filepath.Abs(c.DataDir); err == nil && c.DataDir != "" {
		c.DataDir = abs
	}
	c.PrivateKeyFile, c.WebhookSecretFile = absolute(s.PrivateKeyFile), absolute(s.WebhookSecretFile)
	c.ProvenanceKeyFile = absolute(s.ProvenanceKeyFile)
	c.SecretsKeyFile, c.CacheSize = absolute(s.SecretsKeyFile), s.CacheSize
	c.LedgerKeyFile = absolute(s.LedgerKeyFile)
	var problems, missing []string
	read := func(name, file string) string {
		value, err := fromEither(name, file, getenv)
		switch {
		case errors.Is(err, fs.ErrNotExist) && name != "CONVEYOR_REDIS_URL" && name != "CONVEYOR_ARTIFACTS_S3_SECRET":
			missing = append(missing, err.Error()) // the set-up writes it
		case err != nil:
			problems = append(problems, err.Error())
		}
		return value
	}
	c.PrivateKey = github.NewSecret(read("CONVEYOR_PRIVATE_KEY", s.PrivateKeyFile))
	c.ArtifactsS3.Secret = github.NewSecret(strings.TrimSpace(read("CONVEYOR_ARTIFACTS_S3_SECRET", s.ArtifactsS3SecretFile)))
	c.RedisURL = github.NewSecret(strings.TrimSpace(read("CONVEYOR_REDIS_URL", s.RedisURLFile)))
	for line := range strings.Lines(read("CONVEYOR_WEBHOOK_SECRET", s.WebhookSecretFile)) {
		if line = strings.TrimSpace(line); line != "" {
			c.WebhookSecrets = append(c.WebhookSecrets, github.NewSecret(line))
		}
	}
	c, err := app.Recall(c)
	if err != nil {
		problems = append(problems, strings.TrimPrefix(err.Error(), "app: "))
	}
	if !c.Unregistered() {
		problems = append(problems, missing...)
	}
	if len(problems) > 0 {
		return c, &app.ConfigError{Problems: append(problems, c.Check()...)}
	}
	return c, nil
}

// absolute is a file's path that does not depend on where the server was started.
// trimmed are the values without the blanks around them, and without empty ones.
func trimmed(values []string) (all []string) {
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			all = append(all, v)
		}
	}
	return all
}

func absolute(file string) string {
	if abs, err := filepath.Abs(file); err == nil && file != "" {
		return abs
	}
	return file
}

func fromEither(name, file string, getenv func(string) string) (string, error) {
	value := getenv(name)
	switch {
	case file == "":
		return value, nil
	case value != "":
		return "", fmt.Errorf("%s and %s_FILE are both set; keep one of them", name, name)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s_FILE cannot be read: %w", name, err)
	}
	return string(data), nil
}

// configFile is read when its flag is: what it says comes after flags and variables.
type configFile string

// BeforeResolve adds the file to where kong looks for values.
func (f configFile) BeforeResolve(k *kong.Kong, ctx *kong.Context, trace *kong.Path) error {
	name := string(ctx.FlagValue(trace.Flag).(configFile))
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("the settings file cannot be read: %w", err)
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(data, &values); err != nil {
		return fmt.Errorf("%s: %s", name, yaml.FormatError(err, false, true))
	}
	var known []string
	for _, flag := range ctx.Flags() {
		known = append(known, flag.Name)
	}
	for key := range values {
		if !slices.Contains(known, strings.ReplaceAll(key, "_", "-")) {
			slices.Sort(known)
			return fmt.Errorf("%s: unknown setting %q; there are: %s", name, key, strings.Join(known, ", "))
		}
	}
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range flag.Envs {
			if _, set := os.LookupEnv(name); set {
				return nil, nil // a variable comes before the file
			}
		}
		for _, key := range []string{flag.Name, strings.ReplaceAll(flag.Name, "-", "_")} {
			if v, ok := values[key]; ok {
				return v, nil
			}
		}
		return nil, nil
	}))
	return nil
}
