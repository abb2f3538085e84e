package kubernetes

import (
	"strings"
	"testing"
)

// good is what a step sees of itself where all is in force.
const good = "Uid:\t5000\t5000\t5000\t5000\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\n" +
	"NoNewPrivs:\t1\nSeccomp:\t2\nmemory: 268435456\n"

func TestAStepThatIsNotShutInIsNoticed(t *testing.T) {
	t.Parallel()
	if err := inForce(good, false); err != nil {
		t.Error(err)
	}
	for what, said := range map[string]string{
		"root":             strings.Replace(good, "5000", "0", 1),
		"a capability":     strings.Replace(good, "CapBnd:\t0000000000000000", "CapBnd:\t00000000a80425fb", 1),
		"new rights":       strings.Replace(good, "NoNewPrivs:\t1", "NoNewPrivs:\t0", 1),
		"no filter":        strings.Replace(good, "Seccomp:\t2", "Seccomp:\t0", 1),
		"no limit":         strings.Replace(good, "memory: 268435456", "memory: max", 1),
		"no limit is seen": strings.Replace(good, "memory: 268435456\n", "", 1),
		"a writable root":  good + "root: writable\n",
		"an account":       good + "account: there\n",
		"nothing was said": "",
	} {
		if inForce(said, false) == nil {
			t.Errorf("%s is not noticed", what)
		}
	}
	if err := inForce(strings.Replace(good, "memory: 268435456\n", "", 1), true); err != nil {
		t.Errorf("a kernel of its own: %v", err)
	}
}
