package sandbox

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Service is a program that runs beside a step, in a box of its own: a database, a cache, a queue.
//
// It shares the step's network and nothing else: no process, no file, no variable. So the step reaches it on the loopback,
// under its Name, and two services that listen on one port clash. It is started before the step, which begins when all
// services are ready, and is gone with the step when Run returns.
type Service struct {
	Name    string   // what the step calls it: a host name
	Root    *Root    // its image; what it writes there is in memory, and gone with it
	Command []string // its program and arguments: the image's entrypoint, and after it the image's command or the plan's
	Dir     string   // its working directory, "/" when empty
	User    string   // as an image says it: a name or a number, and after a colon a group; root of its own box when empty
	Env     []string // "NAME=value", beside what the image sets
	Ready   Ready
	Limits  Limits // zero values are DefaultService's; Wall is not looked at, Disk is what it may write
}

// Ready tells when a service can be used. One of Port and Command is set.
type Ready struct {
	Port    int           // something accepts connections there
	Command []string      // a command that ends with 0, run in the service's box
	Timeout time.Duration // how long that may take
}

// DefaultReady is how long a service may take when nothing else is said.
const DefaultReady = time.Minute

// DefaultService is what a service may use when nothing else is said.
var DefaultService = Limits{Memory: 1 << 30, PIDs: 1024, CPUs: 1, Tmp: 1 << 30, Disk: 1 << 30, Files: 1 << 20}

// MaxServices is how many one step may have.
const MaxServices = 10

// ServiceName is the form of a service's name: it is a host name, in lower case.
const ServiceName = `^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`

var serviceForm = regexp.MustCompile(ServiceName)

// ServiceNameTaken reports whether a name means something else in a box.
func ServiceNameTaken(name string) bool { return name == "localhost" || name == hostName }

// hostName is what every box calls itself.
const hostName = "conveyor"

func (s Spec) checkServices() error {
	if len(s.Services) > MaxServices {
		return fmt.Errorf("there are %d services beside the step, and %d may be", len(s.Services), MaxServices)
	}
	names, ports := map[string]bool{}, map[int]string{}
	for _, v := range s.Services {
		if other, taken := ports[v.Ready.Port]; taken && v.Ready.Port > 0 {
			return fmt.Errorf("the services %s and %s share one network, and cannot both listen on port %d", other, v.Name, v.Ready.Port)
		}
		ports[v.Ready.Port] = v.Name
		if names[v.Name] {
			return fmt.Errorf("two services have the name %s", v.Name)
		}
		names[v.Name] = true
		if err := v.check(); err != nil {
			return fmt.Errorf("the service %q: %w", v.Name, err)
		}
	}
	return nil
}

func (v Service) check() error {
	switch {
	case !serviceForm.MatchString(v.Name) || ServiceNameTaken(v.Name):
		return errors.New("its name is no host name")
	case v.Root == nil:
		return errors.New("it has no image")
	case len(v.Command) > 0 && v.Command[0] == "":
		return errors.New("its program has no name")
	case (v.Ready.Port > 0) == (len(v.Ready.Command) > 0) || v.Ready.Port < 0 || v.Ready.Port > 65535:
		return errors.New("nothing says when it is ready: a port or a command, and one of them")
	case strings.ContainsRune(strings.Join(v.Command, "")+strings.Join(v.Ready.Command, "")+v.Dir+v.User, 0):
		return errors.New("it holds a NUL byte")
	}
	if err := v.Root.check(); err != nil {
		return err
	}
	return checkVariables(v.Env)
}

// Environ is what a service's program gets: where programs are and whose home it is, then the image, then the plan. out
// says whether the box has a way out.
func (v Service) Environ(home string, out bool, services []Service) []string {
	set := []string{"PATH=" + usualPath, "HOME=" + home}
	if out {
		set = append(set, proxies(services)...)
	}
	return lastOf(append(v.Root.environ(set), v.Env...))
}

// Unready is the verdict of a step that did not begin, because a service was not there for it. why goes on after the
// service's name: "ended with exit code 1 before it was ready".
func (v Service) Unready(why string) Verdict {
	return Verdict{Outcome: Unready, ExitCode: 1, Reason: "the service " + v.Name + " " + why}
}

// NotReady says that a service did not get ready in time.
func (v Service) NotReady() Verdict {
	what := "nothing listened on its port " + strconv.Itoa(v.Ready.Port)
	if v.Ready.Port == 0 {
		what = "its ready command did not pass"
	}
	return v.Unready(fmt.Sprintf("was not ready within %s: %s", v.Ready.Within(), what))
}

// Within is how long the service may take.
func (r Ready) Within() time.Duration {
	if r.Timeout <= 0 {
		return DefaultReady
	}
	return r.Timeout
}
