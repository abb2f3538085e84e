package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox/kubernetes/wire"
)

// policyName is the network policy that the driver keeps.
const policyName = "conveyor-steps"

// shut makes sure that there is a policy by which the pods of steps neither reach anything nor are reached. What a step may
// reach it is given through the line to the server, which is no part of the pods' network.
func (c *cluster) shut(ctx context.Context) error {
	const group = "networking.k8s.io/v1"
	policy := map[string]any{
		"apiVersion": group, "kind": "NetworkPolicy",
		"metadata": map[string]any{"name": policyName, "labels": map[string]string{labelManager: manager}},
		"spec": map[string]any{
			"podSelector": map[string]any{"matchLabels": map[string]string{labelNetwork: "none"}},
			"policyTypes": []string{"Ingress", "Egress"},
		},
	}
	var there struct {
		Spec struct {
			PodSelector struct {
				MatchLabels      map[string]string
				MatchExpressions []any
			}
			PolicyTypes     []string
			Ingress, Egress []any
		}
	}
	err := c.do(ctx, http.MethodGet, c.at(group, "networkpolicies", policyName), nil, &there)
	if isCode(err, http.StatusNotFound) {
		err = c.do(ctx, http.MethodPost, c.at(group, "networkpolicies"), policy, nil)
		if isCode(err, http.StatusConflict) {
			return nil // another server's, just now
		}
		return err
	}
	if err != nil {
		return err
	}
	of := there.Spec.PodSelector
	if len(of.MatchLabels) == 1 && of.MatchLabels[labelNetwork] == "none" && len(of.MatchExpressions) == 0 &&
		len(there.Spec.PolicyTypes) == 2 && len(there.Spec.Ingress)+len(there.Spec.Egress) == 0 {
		return nil
	}
	return errors.New("there is a policy " + policyName + " that is another one, and lets steps out; remove it, and the server makes its own")
}

// network is whether the cluster holds to the policy. The zero value is no.
type network int

const (
	unheld network = iota
	held
)

// tryNetwork looks whether the policy is enforced: a pod that it is not for reaches another one, and a pod that it is for does
// not. Where the first one reaches nothing either, nothing is proven.
func (s *Sandbox) tryNetwork(ctx context.Context) (n network, err error) {
	listens := s.trial("listens", "trial", "listen")
	if err := s.cluster.create(ctx, listens); err != nil {
		return unheld, fmt.Errorf("try the network: %w", err)
	}
	defer func() { err = errors.Join(err, s.forget(ctx, listens.Name)) }()
	address := ""
	if err := s.until(ctx, listens.Name, func(p *corev1.Pod) bool {
		address = p.Status.PodIP
		return address != "" && allRun(p)
	}); err != nil {
		return unheld, fmt.Errorf("try the network: %w", err)
	}
	for _, of := range []struct {
		name, label string
		reaches     bool
	}{{"free", "trial", true}, {"shut", "none", false}} {
		reached, err := s.reaches(ctx, s.trial(of.name, of.label, "reach", address, of.name))
		if err != nil {
			return unheld, fmt.Errorf("try the network: %w", err)
		}
		if reached != of.reaches {
			return unheld, nil
		}
	}
	return held, nil
}

// reaches runs a pod that tries, and says whether it did.
func (s *Sandbox) reaches(ctx context.Context, p *corev1.Pod) (yes bool, err error) {
	name := p.Name
	if err := s.cluster.create(ctx, p); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.forget(ctx, name)) }()
	code := int32(-1)
	err = s.until(ctx, name, func(p *corev1.Pod) bool {
		for _, c := range p.Status.ContainerStatuses {
			if t := c.State.Terminated; t != nil {
				code = t.ExitCode
			}
		}
		return code >= 0
	})
	if err == nil && code != wire.Reached && code != wire.Shut {
		err = fmt.Errorf("the pod that tries it ended with exit code %d", code)
	}
	return code == wire.Reached, err
}

// until waits for something of a pod.
func (s *Sandbox) until(ctx context.Context, name string, is func(*corev1.Pod) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.options.Patience, fmt.Errorf("the pod %s did not get there within %s", name, s.options.Patience))
	defer cancel()
	gone := false
	err := s.cluster.follow(ctx, name, func(p *corev1.Pod) bool {
		gone = p == nil
		return !gone && is(p)
	})
	if gone {
		return fmt.Errorf("the pod %s was removed", name)
	}
	return err
}

// trial is a small pod with our own program.
func (s *Sandbox) trial(name, label string, command ...string) *corev1.Pod {
	user, no, deadline := podUser(), false, int64((s.options.Patience+5*time.Minute)/time.Second)
	c := corev1.Container{Name: keeper, Image: s.options.Image, Command: append([]string{wire.Program}, command...), SecurityContext: shut(true), Resources: s.ours()}
	p := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{
			Name:        "conveyor-" + s.instance.Name + "-" + name,
			Labels:      map[string]string{labelManager: manager, labelFolder: s.folder, labelInstance: s.instance.Name, labelNetwork: label},
			Annotations: map[string]string{noteStep: "trial of the network"},
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, ActiveDeadlineSeconds: &deadline, AutomountServiceAccountToken: &no, EnableServiceLinks: &no,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: ptr(true), RunAsUser: &user, RunAsGroup: &user, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{c},
		},
	}
	s.place(p)
	return p
}

// place says where a pod runs, and what its node may pull.
func (s *Sandbox) place(p *corev1.Pod) {
	if s.options.RuntimeClass != "" {
		p.Spec.RuntimeClassName = &s.options.RuntimeClass
	}
	for _, name := range s.options.PullSecrets {
		p.Spec.ImagePullSecrets = append(p.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
}
