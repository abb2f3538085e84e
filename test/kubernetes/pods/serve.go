package pods

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (c *Cluster) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	refuse := c.refuse
	c.mu.Unlock()
	if refuse != nil {
		if code := refuse(r); code != 0 {
			refused(w, code, "it was told to refuse this")
			return
		}
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/version":
		answer(w, 200, map[string]string{"gitVersion": "v1.36.3-pods"})
	case len(parts) >= 6 && parts[0] == "apis" && parts[5] == "networkpolicies":
		c.policy(w, r, parts[6:])
	case len(parts) == 5 && parts[4] == "pods" && r.Method == http.MethodPost:
		c.make(w, r, parts[3])
	case len(parts) == 5 && parts[4] == "pods" && r.URL.Query().Get("watch") != "":
		c.watch(w, r)
	case len(parts) == 5 && parts[4] == "pods":
		c.list(w, r)
	case len(parts) == 7 && parts[6] == "exec":
		c.exec(w, r, parts[5])
	case len(parts) == 6 && parts[4] == "pods" && r.Method == http.MethodDelete:
		var o metav1.DeleteOptions
		_ = json.NewDecoder(r.Body).Decode(&o)
		grace := 30
		if o.GracePeriodSeconds != nil {
			grace = int(*o.GracePeriodSeconds)
		}
		if !c.delete(parts[5], grace) {
			refused(w, 404, "there is no such pod")
			return
		}
		answer(w, 200, map[string]string{})
	case len(parts) == 6 && parts[4] == "pods":
		c.mu.Lock()
		p := c.pods[parts[5]]
		c.mu.Unlock()
		if p == nil {
			refused(w, 404, "there is no such pod")
			return
		}
		answer(w, 200, p.state())
	default:
		refused(w, 404, "this cluster does not know "+r.URL.Path)
	}
}

func answer(w http.ResponseWriter, code int, word any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(word)
}

func refused(w http.ResponseWriter, code int, why string) {
	answer(w, code, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Message: why, Code: int32(code)})
}

func (c *Cluster) policy(w http.ResponseWriter, r *http.Request, name []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Method == http.MethodPost {
		var p map[string]any
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
			refused(w, 400, err.Error())
			return
		}
		c.policies[p["metadata"].(map[string]any)["name"].(string)] = p
		answer(w, 201, p)
		return
	}
	if len(name) == 1 && c.policies[name[0]] != nil {
		answer(w, 200, c.policies[name[0]])
		return
	}
	refused(w, 404, "there is no such policy")
}

func (c *Cluster) make(w http.ResponseWriter, r *http.Request, namespace string) {
	var p corev1.Pod
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
		refused(w, 400, err.Error())
		return
	}
	if err := restricted(&p); err != nil {
		refused(w, 403, err.Error())
		return
	}
	p.Namespace = namespace
	if !c.add(p.DeepCopy()) {
		refused(w, 409, fmt.Sprintf("pods %q already exists", p.Name))
		return
	}
	answer(w, 201, p)
}

// restricted is what the admission of a namespace with the restricted pod security standard asks for.
func restricted(p *corev1.Pod) error {
	s := p.Spec
	if s.HostNetwork || s.HostPID || s.HostIPC || s.SecurityContext == nil || s.SecurityContext.SeccompProfile == nil || s.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		return fmt.Errorf("violates PodSecurity \"restricted:latest\": the pod shares the host's namespaces, or has no seccompProfile")
	}
	for _, v := range s.Volumes {
		if v.EmptyDir == nil {
			return fmt.Errorf("this cluster has volumes of the kind emptyDir only")
		}
	}
	for _, c := range append(append([]corev1.Container{}, s.InitContainers...), s.Containers...) {
		x := c.SecurityContext
		if x == nil || x.AllowPrivilegeEscalation == nil || *x.AllowPrivilegeEscalation || x.RunAsNonRoot == nil || !*x.RunAsNonRoot || x.Capabilities == nil || len(x.Capabilities.Drop) != 1 || x.Capabilities.Drop[0] != "ALL" ||
			x.Privileged != nil && *x.Privileged || x.RunAsUser != nil && *x.RunAsUser == 0 {
			return fmt.Errorf("violates PodSecurity \"restricted:latest\": container %s", c.Name)
		}
	}
	return nil
}

func (c *Cluster) list(w http.ResponseWriter, r *http.Request) {
	l := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{}}
	for _, p := range c.Pods() {
		fits := true
		for _, want := range strings.FieldsFunc(r.URL.Query().Get("labelSelector"), func(r rune) bool { return r == ',' }) {
			name, value, _ := strings.Cut(want, "=")
			fits = fits && p.Labels[name] == value
		}
		if fits {
			l.Items = append(l.Items, p)
		}
	}
	answer(w, 200, l)
}

func (c *Cluster) watch(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name=")
	since, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
	for {
		c.mu.Lock()
		var news []event
		for _, e := range c.events {
			if e.version > since && e.pod.Name == name {
				news = append(news, e)
			}
		}
		grown := c.grown
		c.mu.Unlock()
		for _, e := range news {
			since = e.version
			if json.NewEncoder(w).Encode(map[string]any{"type": e.kind, "object": e.pod}) != nil {
				return
			}
		}
		w.(http.Flusher).Flush()
		select {
		case <-grown:
		case <-r.Context().Done():
			return
		}
	}
}

// exec runs a command in a container, over a web socket in which each message begins with the number of its stream.
func (c *Cluster) exec(w http.ResponseWriter, r *http.Request, name string) {
	q := r.URL.Query()
	c.mu.Lock()
	p := c.pods[name]
	c.mu.Unlock()
	if p == nil || !p.runs(q.Get("container")) {
		refused(w, 404, "there is no such container")
		return
	}
	up := websocket.Upgrader{Subprotocols: []string{"v5.channel.k8s.io"}, CheckOrigin: func(*http.Request) bool { return true }}
	socket, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = socket.Close() }()
	cmd := exec.Command("runc", append([]string{"--root", c.dir + "/runc", "exec", p.id(q.Get("container"))}, q["command"]...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return
	}
	var mu sync.Mutex
	say := func(stream byte) io.Writer {
		return writer(func(b []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return len(b), socket.WriteMessage(websocket.BinaryMessage, append([]byte{stream}, b...))
		})
	}
	cmd.Stdout, cmd.Stderr = say(1), say(2)
	if err := cmd.Start(); err != nil {
		return
	}
	go func() {
		defer func() { _ = stdin.Close() }()
		for {
			_, b, err := socket.ReadMessage()
			if err != nil {
				return
			}
			switch {
			case len(b) > 1 && b[0] == 0:
				if _, err := stdin.Write(b[1:]); err != nil {
					return
				}
			case len(b) == 2 && b[0] == 255 && b[1] == 0:
				return
			}
		}
	}()
	status := metav1.Status{Status: "Success"}
	if err := cmd.Wait(); err != nil {
		status = metav1.Status{Status: "Failure", Message: err.Error(), Reason: "NonZeroExitCode", Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: "ExitCode", Message: strconv.Itoa(cmd.ProcessState.ExitCode())}}}}
	}
	text, _ := json.Marshal(status)
	_, _ = say(3).Write(text)
	_ = socket.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
