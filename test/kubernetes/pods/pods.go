// Package pods is a stand-in for a Kubernetes cluster of one node: an API server over HTTP that knows pods, their exec and
// network policies, and a node that really runs the pods' containers, with runc. What it shares with a cluster is what a
// driver can see: the same answers, statuses in the same order, the same limits. What it lacks is all the rest.
//
// Needs root and runc. Start reading at Start; node.go runs containers, serve.go answers.
package pods

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Cluster is one of them.
type Cluster struct {
	Enforces bool // it holds to network policies; set it before the first pod

	dir, group string
	api        *httptest.Server
	shared     *namespace // of pods that reach each other

	mu       sync.Mutex
	images   map[string]image
	pods     map[string]*pod
	policies map[string]any
	events   []event
	version  int
	grown    chan struct{}
	nodes    sync.WaitGroup
	refuse   func(*http.Request) int
	hold     string
}

type image struct {
	root string
	env  []string
}

type event struct {
	version int
	kind    string
	pod     corev1.Pod
}

// Start starts an empty one.
func Start() (*Cluster, error) {
	if _, err := exec.LookPath("runc"); err != nil {
		return nil, fmt.Errorf("%w (test/setup/packages.sh runtimes installs it)", err)
	}
	dir, err := os.MkdirTemp("", "pods-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, err
	}
	c := &Cluster{
		Enforces: true, dir: dir, group: "/" + filepath.Base(dir) + strings.ToLower(rand.Text()[:6]),
		images: map[string]image{}, pods: map[string]*pod{}, policies: map[string]any{}, grown: make(chan struct{}),
	}
	if c.shared, err = newNamespace(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	c.api = httptest.NewServer(http.HandlerFunc(c.serve))
	return c, nil
}

// Stop ends every pod that is left.
func (c *Cluster) Stop() error {
	for _, name := range c.Names() {
		c.delete(name, 0)
	}
	c.nodes.Wait()
	c.api.CloseClientConnections()
	c.api.Close()
	c.shared.close()
	err := removeGroups(c.group)
	return errors.Join(err, os.RemoveAll(c.dir))
}

// Kubeconfig writes a file by which the cluster is reached.
func (c *Cluster) Kubeconfig() (string, error) {
	path := filepath.Join(c.dir, "kubeconfig")
	text := "apiVersion: v1\nkind: Config\nclusters: [{name: it, cluster: {server: \"" + c.api.URL + "\"}}]\nusers: [{name: me, user: {}}]\ncontexts: [{name: it, context: {cluster: it, user: me}}]\ncurrent-context: it\n"
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// Names are those of the pods that there are.
func (c *Cluster) Names() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.pods {
		names = append(names, name)
	}
	return names
}

// Pods are those that there are.
func (c *Cluster) Pods() (all []corev1.Pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pods {
		all = append(all, *p.now.DeepCopy())
	}
	return all
}

// Refuse has the API server answer some requests with an error of this code; 0 is none.
func (c *Cluster) Refuse(which func(*http.Request) int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = which
}

// Hold leaves pods that come from now on without a node, and says why.
func (c *Cluster) Hold(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hold = why
}

// Policy puts a network policy there.
func (c *Cluster) Policy(p map[string]any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.policies[p["metadata"].(map[string]any)["name"].(string)] = p
}

// Lose ends what runs of a pod as a node does that fails, or that moves it away; status says what is known of that.
func (c *Cluster) Lose(name string, status func(*corev1.Pod)) {
	c.mu.Lock()
	p := c.pods[name]
	c.mu.Unlock()
	if p == nil {
		return
	}
	p.mute.Store(true)
	p.kill()
	p.change(status)
}

// Image gives the node an image.
func (c *Cluster) Image(ref string, env []string, layers ...v1.Layer) error {
	root, err := os.MkdirTemp(c.dir, "image-")
	if err != nil {
		return err
	}
	if err := os.Chmod(root, 0o755); err != nil {
		return err
	}
	for _, l := range layers {
		if err := unpack(l, root); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.images[ref] = image{root, env}
	return nil
}

func unpack(l v1.Layer, root string) error {
	r, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		at := filepath.Join(root, h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(at, 0o755)
		case tar.TypeSymlink:
			_ = os.RemoveAll(at)
			err = os.Symlink(h.Linkname, at)
		case tar.TypeReg:
			if h.Size == 0 && strings.HasSuffix(h.Name, "/") {
				err = os.MkdirAll(at, 0o755)
				break
			}
			var b bytes.Buffer
			if _, err = io.Copy(&b, archive); err == nil {
				err = errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, b.Bytes(), os.FileMode(h.Mode).Perm()))
			}
		}
		if err != nil {
			return err
		}
	}
}

// sizeOf is what a limit says; 0 when there is none.
func sizeOf(q *resource.Quantity) int64 {
	if q == nil {
		return 0
	}
	return q.Value()
}
