package kubernetes

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/secret"
	"github.com/conveyor-ci/conveyor/test/images"
)

// lines hands on what a step writes.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// started runs a step that says that it is ready, and waits until it has.
func started(t *testing.T, p *place, s *Sandbox, spec sandbox.Spec) (pod string, end <-chan came) {
	t.Helper()
	out, done := make(lines, 100), make(chan came, 1)
	spec.Workspace, spec.Output = t.TempDir(), out
	spec.Root = &sandbox.Root{Name: "tools", Ref: p.options.Image}
	if spec.Script == "" {
		spec.Script = "echo ready; sleep 1000\n"
	}
	go func() {
		v, err := s.Run(t.Context(), spec)
		done <- came{v, err}
	}()
	select {
	case <-out:
	case c := <-done:
		t.Fatalf("it ended before it was ready: %+v", c)
	}
	return s.podName(spec.ID), done
}

type came struct {
	verdict sandbox.Verdict
	err     error
}

func TestWhatTheClusterDoesToAPodIsNotTheStepsFailure(t *testing.T) {
	t.Parallel()
	p := standIn(t)
	s := p.probe(t)
	s.confirms = 100 * time.Millisecond // a node that is lost confirms nothing
	lost := func(reason, message string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, reason, message
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByTaintManager"})
		}
	}
	for name, status := range map[string]func(*corev1.Pod){
		"drained":  lost("", ""),
		"pressure": lost("Evicted", "The node was low on resource: memory. Threshold quantity: 100Mi, available: 10Mi. Container step was using 200Mi, request is 100Mi"),
		"disk":     lost("Evicted", "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 10Mi. Container step was using 5Gi, request is 256Mi"),
		"node":     lost("NodeLost", "Node n1 which was running pod is unresponsive"),
	} {
		pod, end := started(t, p, s, sandbox.Spec{ID: name})
		p.pods.Lose(pod, status)
		if c := <-end; c.err == nil || !strings.Contains(c.err.Error(), "pod was lost") || c.verdict.Outcome != "" {
			t.Errorf("%s: %+v, %v", name, c.verdict, c.err)
		}
	}
	pod, end := started(t, p, s, sandbox.Spec{ID: "deleted"})
	if err := s.cluster.remove(t.Context(), pod, 0); err != nil {
		t.Fatal(err)
	}
	if c := <-end; c.err == nil || c.verdict.Outcome != "" {
		t.Errorf("deleted: %+v", c)
	}
}

func TestALimitThatTheClusterSawIsTheSteps(t *testing.T) {
	t.Parallel()
	p := standIn(t)
	s := p.probe(t)
	s.confirms = 100 * time.Millisecond
	for message, words := range map[string]string{
		`Usage of EmptyDir volume "work" exceeds the limit "20Gi". `:                     "wrote more",
		`Pod ephemeral local storage usage exceeds the total limit of containers 21Gi. `: "wrote more",
		`Container step exceeded its local ephemeral storage limit "21Gi". `:             "wrote more",
	} {
		pod, end := started(t, p, s, sandbox.Spec{ID: "disk"})
		p.pods.Lose(pod, func(p *corev1.Pod) {
			p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "Evicted", message
		})
		if c := <-end; c.err != nil || c.verdict.Outcome != sandbox.Resource || !strings.Contains(c.verdict.Reason, words) {
			t.Errorf("%s: %+v, %v", message, c.verdict, c.err)
		}
	}
	pod, end := started(t, p, s, sandbox.Spec{ID: "memory"})
	p.pods.Lose(pod, func(p *corev1.Pod) {
		for i := range p.Status.ContainerStatuses {
			if c := &p.Status.ContainerStatuses[i]; c.Name == stepContainer {
				c.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}}
			}
		}
	})
	if c := <-end; c.err != nil || c.verdict.Outcome != sandbox.Resource || !strings.Contains(c.verdict.Reason, "memory") {
		t.Errorf("%+v", c)
	}
}

func TestAPodThatNeverStandsIsTheClusters(t *testing.T) {
	t.Parallel()
	p := standIn(t)
	s := p.probe(t)
	s.options.Patience = 300 * time.Millisecond
	p.pods.Hold("0/3 nodes are available: 3 Insufficient memory.")
	v, err := s.Run(t.Context(), sandbox.Spec{ID: "waits", Script: "true", Workspace: t.TempDir(), Output: make(lines, 100), Root: &sandbox.Root{Name: "tools", Ref: p.options.Image}})
	if err == nil || !strings.Contains(err.Error(), "Insufficient memory") || v.Outcome != "" {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestAnImageThatTheRegistryDoesNotGiveIsThePlans(t *testing.T) {
	t.Parallel()
	p := standIn(t)
	s := p.probe(t)
	spec := sandbox.Spec{ID: "none", Script: "true", Workspace: t.TempDir(), Output: make(lines, 100), Root: &sandbox.Root{Name: "no/such:1", Ref: "no/such@sha256:0"}}
	if v, err := s.Run(t.Context(), spec); err != nil || v.Outcome != sandbox.Exited || v.ExitCode != 127 || !strings.Contains(v.Reason, "no/such:1 cannot be pulled") {
		t.Errorf("%+v, %v", v, err)
	}
	spec.Root = &sandbox.Root{Name: "tools", Ref: p.options.Image}
	spec.Services = []sandbox.Service{{Name: "db", Root: &sandbox.Root{Name: "no/db:1", Ref: "no/db@sha256:0"}, Command: []string{"db"}, Ready: sandbox.Ready{Port: 1}}}
	if v, err := s.Run(t.Context(), spec); err != nil || v.Outcome != sandbox.Unready || !strings.Contains(v.Reason, "no/db:1 cannot be pulled") {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestNothingOfAStepIsInItsPodsDescription(t *testing.T) {
	t.Parallel()
	p := standIn(t)
	s := p.probe(t)
	const words = "canary-of-the-description"
	pod, end := started(t, p, s, sandbox.Spec{
		ID: "told", Script: "echo ready; echo " + words + "; sleep 1000\n", Env: []string{"NAME=" + words}, Secrets: []secret.Given{{Name: "KEY", Value: secret.New(words), Env: true}},
	})
	now, err := s.cluster.pod(t.Context(), pod)
	if err != nil {
		t.Fatal(err)
	}
	if text := now.String(); strings.Contains(text, words) {
		t.Error("it is in the pod's description")
	}
	if err := s.cluster.remove(t.Context(), pod, 0); err != nil {
		t.Fatal(err)
	}
	<-end
}

func TestAPodIsRemovedAlthoughTheAPIServerIsAway(t *testing.T) {
	t.Parallel()
	p := standIn(t)
	s := p.probe(t)
	asked := make(chan struct{}, 1000)
	p.pods.Refuse(func(r *http.Request) int {
		if r.Method != http.MethodDelete {
			return 0
		}
		asked <- struct{}{}
		if len(asked) == 1 {
			return http.StatusServiceUnavailable
		}
		return 0
	})
	v, err := s.Run(t.Context(), sandbox.Spec{ID: "away", Script: "true", Workspace: t.TempDir(), Output: make(lines, 100), Root: &sandbox.Root{Name: "tools", Ref: p.options.Image}})
	if err != nil || !v.Passed() || len(asked) != 2 {
		t.Errorf("%+v, %v, asked %d times", v, err, len(asked))
	}
	if left := s.left(""); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func TestWhetherPoliciesAreEnforcedIsTried(t *testing.T) {
	t.Parallel()
	for _, enforced := range []bool{true, false} {
		p := standIn(t)
		p.pods.Enforces, p.options.Enforced = enforced, false
		s := p.probe(t)
		if fit := s.Isolation().FitForStrangers(); fit != enforced {
			t.Errorf("a cluster that enforces policies (%t): %+v", enforced, s.Isolation())
		}
	}
}

func TestWhetherThisClusterEnforcesPoliciesIsTried(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.options.Enforced = false
	s := p.probe(t)
	if fit, enforced := s.Isolation().FitForStrangers(), p.pods != nil; fit != enforced { // the real one has a bridge, which enforces nothing
		t.Errorf("it enforces policies (%t): %+v", enforced, s.Isolation())
	}
}

func TestFilesThatAreLargerThanTheyTakeAreBoundToo(t *testing.T) {
	t.Parallel()
	p := standIn(t)
	s := p.probe(t)
	root := &sandbox.Root{Name: "sparse", Ref: p.image(t, "sparse", nil, images.FromHost(t, append([]string{"truncate"}, images.Tools...)...), images.Layer(t, images.Entry{Name: "home/"}))}
	v, err := s.Run(t.Context(), sandbox.Spec{
		ID: "sparse", Script: "for i in 1 2 3 4; do truncate -s 60M f$i; done\n", Workspace: t.TempDir(), Output: make(lines, 100), Root: root, Limits: sandbox.Limits{Disk: 64 << 20},
	})
	if err != nil || v.Outcome != sandbox.Resource || !strings.Contains(v.Reason, "64 MiB") {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestAPolicyThatLetsStepsOutIsNotTakenForOurs(t *testing.T) {
	t.Parallel()
	p := standIn(t)
	p.pods.Policy(map[string]any{
		"metadata": map[string]any{"name": policyName},
		"spec": map[string]any{
			"podSelector": map[string]any{"matchLabels": map[string]string{labelNetwork: "none"}}, "policyTypes": []string{"Ingress", "Egress"},
			"egress": []any{map[string]any{}},
		},
	})
	if _, err := Probe(t.Context(), p.options); err == nil || !strings.Contains(err.Error(), "lets steps out") {
		t.Errorf("got %v", err)
	}
}

func TestAProgramOfAnotherVersionIsToldSo(t *testing.T) {
	t.Parallel()
	p := standIn(t)
	s := p.probe(t)
	s.options.Image = p.image(t, "older", nil, tools(t)...) // which has no such program at all
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := s.Run(ctx, sandbox.Spec{ID: "older", Script: "true", Workspace: t.TempDir(), Output: make(lines, 100), Root: &sandbox.Root{Name: "tools", Ref: p.options.Image}})
	if err == nil || !strings.Contains(err.Error(), "conveyor-pod") {
		t.Errorf("got %v", err)
	}
}

func TestNoStepIsRootOfItsPod(t *testing.T) {
	t.Parallel()
	p := standIn(t)
	s := p.probe(t)
	spec := sandbox.Spec{ID: "root", Superuser: true, Script: "true", Workspace: t.TempDir(), Output: make(lines, 100), Root: &sandbox.Root{Name: "tools", Ref: p.options.Image}}
	if v, err := s.Run(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "root of its pod") {
		t.Errorf("%+v, %v", v, err)
	}
}
