package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// cluster is the API server, and one namespace there. The few calls that are needed are written out: the library's full set
// of clients would cost the server a third of its memory.
type cluster struct {
	config    *rest.Config
	base      *url.URL
	http      *http.Client
	namespace string
}

// quiet keeps the library from writing to the process's error output what it also returns: each line that ends would be one.
var quiet = sync.OnceFunc(func() { klog.SetSlogLogger(slog.New(slog.DiscardHandler)) })

func connect(kubeconfig, namespace string) (*cluster, error) {
	quiet()
	config, err := configOf(kubeconfig)
	if err != nil {
		return nil, err
	}
	config.UserAgent, config.QPS = "conveyor", -1
	config.WarningHandler = rest.NoWarnings{}
	c := &cluster{config: config, namespace: namespace}
	if c.http, err = rest.HTTPClientFor(config); err != nil {
		return nil, fmt.Errorf("read how to reach the cluster: %w", err)
	}
	if c.base, _, err = rest.DefaultServerUrlFor(config); err != nil {
		return nil, fmt.Errorf("read how to reach the cluster: %w", err)
	}
	return c, nil
}

func configOf(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err == nil || !errors.Is(err, rest.ErrNotInCluster) {
			return config, err
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read how to reach the cluster: %w; set KUBECONFIG, or run the server in a pod with an account", err)
	}
	return config, nil
}

// refusal is what the API server says no with.
type refusal struct {
	Code            int
	Reason, Message string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("the API server says %d: %s", r.Code, oneLine(r.Message))
}

func isCode(err error, code int) bool {
	r, is := errors.AsType[*refusal](err)
	return is && r.Code == code
}

func (c *cluster) at(group string, parts ...string) *url.URL {
	u := *c.base
	root := "api/v1"
	if group != "" {
		root = "apis/" + group
	}
	u.Path = path.Join(append([]string{"/", u.Path, root, "namespaces", c.namespace}, parts...)...)
	return &u
}

func (c *cluster) do(ctx context.Context, method string, at *url.URL, body, into any) error {
	answer, err := c.send(ctx, method, at, body)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if into == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20))
		return err
	}
	return json.NewDecoder(io.LimitReader(answer.Body, 256<<20)).Decode(into)
}

func (c *cluster) send(ctx context.Context, method string, at *url.URL, body any) (*http.Response, error) {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		text = bytes.NewReader(b)
	}
	ask, err := http.NewRequestWithContext(ctx, method, at.String(), text)
	if err != nil {
		return nil, err
	}
	ask.Header.Set("Accept", "application/json")
	if body != nil {
		ask.Header.Set("Content-Type", "application/json")
		if method == http.MethodPatch {
			ask.Header.Set("Content-Type", "application/merge-patch+json")
		}
	}
	answer, err := c.http.Do(ask)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode < 300 {
		return answer, nil
	}
	defer func() { _ = answer.Body.Close() }()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	r := &refusal{Code: answer.StatusCode, Message: string(said)}
	var status metav1.Status
	if json.Unmarshal(said, &status) == nil && status.Message != "" {
		r.Reason, r.Message = string(status.Reason), status.Message
	}
	return nil, r
}

func (c *cluster) version(ctx context.Context) (string, error) {
	u := *c.base
	u.Path = path.Join("/", u.Path, "version")
	var v struct{ GitVersion string }
	err := c.do(ctx, http.MethodGet, &u, nil, &v)
	return strings.TrimPrefix(v.GitVersion, "v"), err
}

func (c *cluster) create(ctx context.Context, p *corev1.Pod) error {
	return c.do(ctx, http.MethodPost, c.at("", "pods"), p, p)
}

func (c *cluster) pod(ctx context.Context, name string) (*corev1.Pod, error) {
	var p corev1.Pod
	return &p, c.do(ctx, http.MethodGet, c.at("", "pods", name), nil, &p)
}

func (c *cluster) list(ctx context.Context, selector string) ([]corev1.Pod, error) {
	at := c.at("", "pods")
	at.RawQuery = url.Values{"labelSelector": {selector}}.Encode()
	var l corev1.PodList
	return l.Items, c.do(ctx, http.MethodGet, at, nil, &l)
}

func (c *cluster) remove(ctx context.Context, name string, grace int) error {
	err := c.do(ctx, http.MethodDelete, c.at("", "pods", name), map[string]any{"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": grace}, nil)
	if isCode(err, http.StatusNotFound) {
		return nil
	}
	return err
}

// follow tells each state of a pod, the present one first, until tell says that it is enough or ctx ends. A nil pod is gone.
func (c *cluster) follow(ctx context.Context, name string, tell func(*corev1.Pod) (enough bool)) error {
	for {
		p, err := c.pod(ctx, name)
		if isCode(err, http.StatusNotFound) {
			tell(nil)
			return nil
		}
		if err == nil {
			if tell(p) {
				return nil
			}
			if done, err := c.changes(ctx, name, p.ResourceVersion, tell); done || err != nil {
				return err
			}
		}
		// A connection that was cut says nothing about the pod: it is asked for again.
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func (c *cluster) changes(ctx context.Context, name, since string, tell func(*corev1.Pod) bool) (done bool, err error) {
	at := c.at("", "pods")
	at.RawQuery = url.Values{"watch": {"1"}, "fieldSelector": {"metadata.name=" + name}, "resourceVersion": {since}, "timeoutSeconds": {"300"}}.Encode()
	answer, err := c.send(ctx, http.MethodGet, at, nil)
	if err != nil {
		return false, nil
	}
	defer func() { _ = answer.Body.Close() }()
	events := json.NewDecoder(answer.Body)
	for {
		var e struct {
			Type   string
			Object corev1.Pod
		}
		if err := events.Decode(&e); err != nil {
			return false, nil
		}
		switch e.Type {
		case "DELETED":
			tell(nil)
			return true, nil
		case "ADDED", "MODIFIED":
			if tell(&e.Object) {
				return true, nil
			}
		default: // ERROR: what it has seen is too old
			return false, nil
		}
	}
}

// oneLine shortens what a cluster said to what an operator can read.
func oneLine(text string) string {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "?")
	if len(text) > 500 {
		text = text[:500] + "…"
	}
	if text == "" {
		return "it said nothing"
	}
	return text
}
