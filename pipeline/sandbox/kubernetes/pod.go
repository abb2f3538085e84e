package kubernetes

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"path"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/kubernetes/wire"
)

// Labels of a pod: which server's folder it is of, and which of the servers there; and that the network policy is for it.
const (
	labelManager  = "app.kubernetes.io/managed-by"
	labelFolder   = "conveyor/folder"
	labelInstance = "conveyor/server"
	labelNetwork  = "conveyor/network"
	noteStep      = "conveyor/step"

	manager = "conveyor"
)

// The names of a pod's containers. Services are called by their own, with a word before it.
const (
	layer         = "lay"
	keeper        = "keeper"
	stepContainer = "step"
	service       = "service-"
)

// What a pod takes beside its step.
const (
	keeperMemory = 512 << 20
	slack        = 128 << 20 // of the disk: the step's own limit is met before the cluster's
	toolSize     = 16 << 20
	givenSize    = 128 << 20
)

// podName is derived, so that one step has one pod.
func (s *Sandbox) podName(id string) string {
	sum := sha256.Sum256([]byte(id))
	return "conveyor-" + s.instance.Name + "-" + hex.EncodeToString(sum[:8])
}

// podUser is a user that no other pod has: what a cluster cannot count by pod, processes, a kernel counts by user.
func podUser() int64 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return 1_000_000 + int64(binary.BigEndian.Uint32(b[:])%1_000_000_000)&^1
}

// describe writes the pod of a step. holds is what its folders hold already.
func (s *Sandbox) pod(spec sandbox.Spec, l sandbox.Limits, holds wire.Most) *corev1.Pod {
	user := podUser()
	no, deadline := false, int64((s.options.Patience+l.Wall+2*patience)/time.Second)
	disk := l.Disk + holds.Bytes + holds.Files*4096 + slack
	p := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{
			Name: s.podName(spec.ID),
			Labels: map[string]string{
				labelManager: manager, labelFolder: s.folder, labelInstance: s.instance.Name, labelNetwork: "none",
			},
			Annotations: map[string]string{
				noteStep: spec.ID,
				"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", // a step cannot be moved
			},
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, ActiveDeadlineSeconds: &deadline, Hostname: "conveyor",
			AutomountServiceAccountToken: &no, EnableServiceLinks: &no,
			DNSPolicy: corev1.DNSNone, DNSConfig: &corev1.PodDNSConfig{Nameservers: []string{"127.0.0.1"}}, // there is nobody to ask
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: ptr(true), RunAsUser: &user, RunAsGroup: &user,
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Volumes: []corev1.Volume{
				onDisk("work", disk), inMemory("step", givenSize), inMemory("tool", toolSize),
				inMemory("home", l.Tmp), inMemory("tmp", l.Tmp), inMemory("shm", l.Tmp),
			},
		},
	}
	s.place(p)
	p.Spec.InitContainers = []corev1.Container{s.layer(spec)}
	p.Spec.Containers = []corev1.Container{s.keeper(spec), s.step(spec, l, disk)}
	for i, v := range spec.Services {
		l := v.Limits.Or(sandbox.DefaultService).Within(s.options.Limits)
		p.Spec.Volumes = append(p.Spec.Volumes, inMemory(fmt.Sprint("tmp", i), l.Disk), inMemory(fmt.Sprint("shm", i), l.Tmp))
		p.Spec.Containers = append(p.Spec.Containers, s.service(i, v, l, user+1))
		p.Spec.HostAliases = append(p.Spec.HostAliases, corev1.HostAlias{IP: "127.0.0.1", Hostnames: []string{v.Name}})
	}
	return p
}

// layer makes the folders that the others share, and puts the program there.
func (s *Sandbox) layer(spec sandbox.Spec) corev1.Container {
	command := []string{wire.Program, "lay", wire.Workspace}
	for i, f := range spec.Folders {
		at := path.Join(wire.Workspace, f.Target)
		if below, home := strings.CutPrefix(f.Target, "~/"); home {
			at = path.Join(wire.HomeDir, below)
		}
		command = append(command, wire.Folder(i), at)
	}
	return corev1.Container{
		Name: layer, Image: s.options.Image, Command: command, TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError, SecurityContext: shut(true), Resources: s.ours(),
		VolumeMounts: []corev1.VolumeMount{mount("work", wire.KeptDir), mount("step", wire.GivenDir), mount("tool", wire.ToolDir), mount("home", wire.HomeDir)},
	}
}

func (s *Sandbox) keeper(spec sandbox.Spec) corev1.Container {
	return corev1.Container{
		Name: keeper, Image: s.options.Image, TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError, SecurityContext: shut(true), Resources: s.ours(),
		Command:      []string{wire.Program, "keep", "-services", fmt.Sprint(len(spec.Services)), "-patience", s.options.Patience.String()},
		VolumeMounts: []corev1.VolumeMount{mount("work", wire.KeptDir), mount("step", wire.GivenDir)},
	}
}

func (s *Sandbox) step(spec sandbox.Spec, l sandbox.Limits, disk int64) corev1.Container {
	given := mount("step", wire.GivenDir)
	given.ReadOnly = true
	work := mount("work", wire.WorkDir)
	work.SubPath = "workspace"
	c := corev1.Container{
		Name: stepContainer, Image: spec.Root.Ref, WorkingDir: "/", SecurityContext: shut(true),
		Command:      []string{wire.Tool, "first", "-patience", s.options.Patience.String()},
		Resources:    resources(l.CPUs, l.Memory, disk),
		VolumeMounts: []corev1.VolumeMount{given, work, mount("home", wire.HomeDir), mount("tmp", "/tmp"), mount("shm", "/dev/shm")},
	}
	for i, f := range spec.Folders {
		at := path.Join(wire.WorkDir, f.Target)
		if below, home := strings.CutPrefix(f.Target, "~/"); home {
			at = path.Join(wire.HomeDir, below)
		}
		m := mount("work", at)
		m.SubPath = path.Base(wire.Folder(i))
		c.VolumeMounts = append(c.VolumeMounts, m)
	}
	return c
}

// service is one beside the step. Its files are its own, and it is nobody special in them.
func (s *Sandbox) service(i int, v sandbox.Service, l sandbox.Limits, user int64) corev1.Container {
	tool := mount("tool", wire.ToolDir)
	tool.ReadOnly = true
	security := shut(false)
	security.RunAsUser, security.RunAsGroup = serviceUser(v.User, user)
	return corev1.Container{
		Name: service + v.Name, Image: v.Root.Ref, WorkingDir: "/", SecurityContext: security,
		Command:      []string{wire.ToolDir + "/pod", "first", "-service", v.Name, "-tool", wire.ToolDir + "/pod", "-patience", s.options.Patience.String()},
		Resources:    resources(l.CPUs, l.Memory, l.Disk+slack),
		VolumeMounts: []corev1.VolumeMount{tool, mount(fmt.Sprint("tmp", i), "/tmp"), mount(fmt.Sprint("shm", i), "/dev/shm")},
	}
}

// ours is what a container with our own program may use.
func (s *Sandbox) ours() corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Limits:   corev1.ResourceList{corev1.ResourceMemory: sized(keeperMemory), corev1.ResourceCPU: cpus(1)},
		Requests: corev1.ResourceList{corev1.ResourceMemory: sized(64 << 20), corev1.ResourceCPU: cpus(0.05)},
	}
}

// resources asks for all the memory that there may be, so that nobody else's takes it away, and for a quarter of the
// processors: what is not used is others'.
func resources(processors float64, memory, disk int64) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Limits:   corev1.ResourceList{corev1.ResourceMemory: sized(memory), corev1.ResourceCPU: cpus(processors), corev1.ResourceEphemeralStorage: sized(disk)},
		Requests: corev1.ResourceList{corev1.ResourceMemory: sized(memory), corev1.ResourceCPU: cpus(processors / 4), corev1.ResourceEphemeralStorage: sized(min(disk, 256<<20))},
	}
}

// shut is what no container of a pod may.
func shut(readonly bool) *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr(false), Privileged: ptr(false), RunAsNonRoot: ptr(true), ReadOnlyRootFilesystem: &readonly,
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

func mount(name, at string) corev1.VolumeMount {
	return corev1.VolumeMount{Name: name, MountPath: at}
}

func onDisk(name string, size int64) corev1.Volume {
	most := sized(size)
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &most}}}
}

func inMemory(name string, size int64) corev1.Volume {
	v := onDisk(name, size)
	v.EmptyDir.Medium = corev1.StorageMediumMemory
	return v
}

func sized(n int64) resource.Quantity { return *resource.NewQuantity(n, resource.BinarySI) }

func cpus(n float64) resource.Quantity {
	return *resource.NewMilliQuantity(int64(math.Max(1, math.Round(n*1000))), resource.DecimalSI)
}

func ptr[T any](v T) *T { return &v }
