package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/kubernetes/wire"
)

// watch follows a pod: whether it stands, and whether it has gone while its step ran.
type watch struct {
	cancel context.CancelFunc
	done   chan struct{}
	lost   chan struct{} // closed when the pod has ended, or is being ended, whoever does that

	mu    sync.Mutex
	pod   *corev1.Pod
	gone  bool
	grown chan struct{}
}

func (s *Sandbox) watch(ctx context.Context, name string) *watch {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{cancel: cancel, done: make(chan struct{}), lost: make(chan struct{}), grown: make(chan struct{})}
	go func() {
		defer close(w.done)
		once := sync.OnceFunc(func() { close(w.lost) })
		_ = s.cluster.follow(ctx, name, func(p *corev1.Pod) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			if p != nil {
				w.pod = p
			}
			w.gone = p == nil
			close(w.grown)
			w.grown = make(chan struct{})
			if p == nil || p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
				once()
			}
			return p == nil
		})
	}()
	return w
}

func (w *watch) stop() {
	w.cancel()
	<-w.done
}

func (w *watch) now() (p *corev1.Pod, gone bool, grown <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pod, w.gone, w.grown
}

// stands waits until every container runs. A verdict is one of which the plan is the cause; an error is the cluster's.
func (w *watch) stands(ctx context.Context, most time.Duration, spec sandbox.Spec) (v sandbox.Verdict, err error) {
	late := time.NewTimer(most)
	defer late.Stop()
	for {
		p, gone, grown := w.now()
		switch {
		case gone:
			return v, errors.New("its pod was removed before it stood")
		case p == nil:
		case p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded || p.DeletionTimestamp != nil:
			return v, fmt.Errorf("its pod ended before it stood: %s", tells(p))
		case allRun(p):
			return v, nil
		default:
			if v, is := unpulled(p, spec); is {
				return v, nil
			}
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return v, context.Cause(ctx)
		case <-late.C:
			why := "nothing is known of it"
			if p != nil {
				why = tells(p)
			}
			return v, fmt.Errorf("its pod did not stand within %s: %s", most, why)
		}
	}
}

func allRun(p *corev1.Pod) bool {
	if len(p.Status.ContainerStatuses) < len(p.Spec.Containers) {
		return false
	}
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Running == nil {
			return false
		}
	}
	return true
}

// unpulled tells that an image of the plan is one that its registry does not give: trying again would end in the same way.
func unpulled(p *corev1.Pod, spec sandbox.Spec) (v sandbox.Verdict, is bool) {
	for _, c := range p.Status.ContainerStatuses {
		wait := c.State.Waiting
		if wait == nil || wait.Reason != "ErrImagePull" && wait.Reason != "ImagePullBackOff" && wait.Reason != "InvalidImageName" && wait.Reason != "ErrImageNeverPull" {
			continue
		}
		says, no := strings.ToLower(wait.Message), wait.Reason == "InvalidImageName" || wait.Reason == "ErrImageNeverPull"
		for _, word := range []string{"not found", "manifest unknown", "denied", "unauthorized", "forbidden", "no match for platform"} {
			no = no || strings.Contains(says, word)
		}
		if !no || c.Name == keeper {
			continue
		}
		why := fmt.Sprintf("cannot be pulled by the cluster: %s", oneLine(wait.Message))
		if name, is := strings.CutPrefix(c.Name, service); is {
			for _, v := range spec.Services {
				if v.Name == name {
					return v.Unready("cannot be started: its image " + v.Root.Name + " " + why), true
				}
			}
		}
		return sandbox.Verdict{Outcome: sandbox.Exited, ExitCode: 127, Reason: fmt.Sprintf("the image %s %s", spec.Root.Name, why)}, true
	}
	return v, false
}

// tells is what a pod's status says, for an operator.
func tells(p *corev1.Pod) string {
	said := []string{string(p.Status.Phase)}
	if p.Status.Reason != "" || p.Status.Message != "" {
		said = append(said, p.Status.Reason+" "+p.Status.Message)
	}
	for _, c := range p.Status.Conditions {
		if c.Status != corev1.ConditionTrue && c.Type == corev1.PodScheduled || c.Status == corev1.ConditionTrue && c.Type == corev1.DisruptionTarget {
			said = append(said, string(c.Type)+": "+c.Reason+" "+c.Message)
		}
	}
	for _, all := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, c := range all {
			if wait := c.State.Waiting; wait != nil && wait.Reason != "PodInitializing" {
				said = append(said, c.Name+": "+wait.Reason+" "+wait.Message)
			}
			if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
				words := ""
				if c.Name == keeper || c.Name == layer { // others' are whatever runs in them likes
					words = t.Message
				}
				said = append(said, fmt.Sprintf("%s: %s, exit code %d %s", c.Name, t.Reason, t.ExitCode, words))
			}
		}
	}
	return oneLine(strings.Join(said, "; "))
}

// verdict is that of a step whose line was cut: the pod says whose doing that was. A limit of the step's is the step's; a
// node that is lost, a pod that was removed, moved or crowded out, and whatever else is not known, is the cluster's.
func (w *watch) verdict(ctx context.Context, cut error, l sandbox.Limits) (v sandbox.Verdict, err error) {
	if ctx.Err() != nil {
		return v, cut
	}
	late := time.NewTimer(15 * time.Second) // a status comes a little after what it tells
	defer late.Stop()
	for {
		p, gone, grown := w.now()
		if p != nil {
			if end, is := limited(p, l); is {
				return end.Verdict(), nil
			}
		}
		if gone || p != nil && (p.Status.Phase == corev1.PodFailed || disrupted(p)) {
			return v, errors.Join(fmt.Errorf("its pod was lost: %s", tellsIf(p)), cut)
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return v, cut
		case <-late.C:
			return v, fmt.Errorf("%w; its pod: %s", cut, tellsIf(p))
		}
	}
}

func tellsIf(p *corev1.Pod) string {
	if p == nil {
		return "nothing is known of it"
	}
	return tells(p)
}

func disrupted(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return p.DeletionTimestamp != nil
}

// limited tells that a limit of the step's ended its pod.
func limited(p *corev1.Pod, l sandbox.Limits) (end sandbox.End, is bool) {
	end.Limits = l
	for _, c := range p.Status.ContainerStatuses {
		if t := c.State.Terminated; c.Name == stepContainer && t != nil && t.Reason == "OOMKilled" {
			end.OOM, end.ExitCode = true, 137
			return end, true
		}
	}
	said := strings.ToLower(p.Status.Message)
	switch {
	case p.Status.Reason == "Evicted" && (strings.Contains(said, "emptydir volume") || strings.Contains(said, "local ephemeral storage") || strings.Contains(said, "ephemeral local storage")) && strings.Contains(said, "exceed") && !strings.Contains(said, keeper):
		end.Disk = true
	case p.Status.Reason == "DeadlineExceeded":
		end.TimedOut = true
	default:
		return end, false
	}
	return end, true
}

// sort makes a verdict of what the keeper saw.
func (r *run) sort(ctx context.Context, end wire.End, over sandbox.End) (v sandbox.Verdict, err error) {
	over.ExitCode, over.OOM, over.PIDs, over.Memory = end.ExitCode, end.OOM, end.PIDs, end.Memory
	over.Disk = end.Disk && !over.TimedOut
	switch {
	case over.TimedOut:
	case end.Unready != "":
		for _, service := range r.spec.Services {
			if service.Name == end.Unready {
				return r.unready(service, end, over.Wall), nil
			}
		}
	case end.Lost && end.Unfit != "":
		return v, errors.New(oneLine(end.Unfit))
	case end.Lost:
		return r.watch.verdict(ctx, errors.New("its first process has gone"), r.limits)
	case end.Unfit != "":
		return sandbox.Verdict{Outcome: sandbox.Exited, ExitCode: 127, Reason: fmt.Sprintf(
			"nothing can run in the image %s: it has no shell at /bin/sh that can be started, and without one no commands can run in it: choose an image with a shell", r.spec.Root.Name)}, nil
	}
	v = over.Verdict()
	for _, g := range end.Ended {
		how := r.how(g)
		r.out.Say("The service %s ended while the step ran: %s.", g.Name, how)
		if v.Outcome == sandbox.Exited && v.ExitCode != 0 {
			v.Reason += fmt.Sprintf("; its service %s had ended: %s", g.Name, how)
		}
	}
	return v, nil
}

func (r *run) how(g wire.Gone) string {
	var l sandbox.Limits
	for _, v := range r.spec.Services {
		if v.Name == g.Name {
			l = v.Limits.Or(sandbox.DefaultService).Within(r.s.options.Limits)
		}
	}
	if g.Code < 0 {
		return "its container ended"
	}
	if reason := (sandbox.End{ExitCode: g.Code, OOM: g.OOM, Limits: l}).Verdict().Reason; reason != "" {
		return reason
	}
	return "exit code 0"
}

func (r *run) unready(service sandbox.Service, end wire.End, wall time.Duration) (v sandbox.Verdict) {
	switch {
	case end.NotReady:
		v = service.NotReady()
	case end.Why != "":
		v = service.Unready("cannot be started: " + end.Why)
	default:
		v = service.Unready("ended before it was ready: " + r.how(wire.Gone{Name: service.Name, Code: end.ExitCode, OOM: end.OOM}))
	}
	v.Wall = wall
	return v
}

// unfitService tells of a service that cannot run in a pod as the plan wants it.
func unfitService(spec sandbox.Spec) (v sandbox.Verdict, is bool) {
	for _, s := range spec.Services {
		if len(s.Command) == 0 {
			return s.Unready("cannot be started: its image " + s.Root.Name + " has no command: say one"), true
		}
		user, _, _ := strings.Cut(s.User, ":")
		if user == "" || user == "root" {
			continue // it is nobody special
		}
		if _, err := strconv.ParseInt(user, 10, 64); err != nil {
			return s.Unready(fmt.Sprintf("cannot be started: in a pod its user has to be a number, and %s is a name", s.User)), true
		}
	}
	return v, false
}

// serviceUser is who a service is. Root it never is, for a pod has no users of its own: without a number it is one that no
// other pod has.
func serviceUser(said string, own int64) (user, group *int64) {
	name, of, _ := strings.Cut(said, ":")
	u, err := strconv.ParseInt(name, 10, 64)
	if err != nil || u <= 0 {
		return &own, &own
	}
	g, err := strconv.ParseInt(of, 10, 64)
	if err != nil {
		g = 0
	}
	return &u, &g
}

// leftover is what could not be cleaned up: that is told even of a step that was cancelled.
type leftover struct{ error }

func left(err error) error {
	if err == nil {
		return nil
	}
	return leftover{err}
}

func onlyLeft(err error) error {
	if l, is := errors.AsType[leftover](err); is {
		return l
	}
	return nil
}

// leftIf removes a pod of which the API server did not say whether it made it.
func (s *Sandbox) leftIf(ctx context.Context, err error, name string) error {
	if _, said := errors.AsType[*refusal](err); said {
		return nil
	}
	return left(s.forget(ctx, name))
}
