package e2e

import (
	"testing"
)

func TestCodeFromOutsideHasTheSandboxThatIsSetForIt(t *testing.T) {
	t.Parallel()
	h := open(t, func(h *house) { h.config.Sandbox, h.config.SandboxOutside = "crun", "runc" })
	// crun hands its input down to the first process, and runc another file.
	first := h.push("main", "author", "first", plan("if [ -e /proc/1/fd/3 ]; then echo of runc; else echo of crun; fi"))
	h.becomes(first, "conveyor / test", "success")
	if log := h.logOf("unit"); log != "of crun\n" {
		t.Errorf("the writer's step was not crun's: %s", log)
	}
	h.quiet()
	p := h.stranger(map[string]string{"README.md": "from outside\n"})
	h.becomes(p.HeadSHA, "conveyor / test", "action_required")
	h.comment(p, "author", "/ok-to-test "+p.HeadSHA)
	h.becomes(p.HeadSHA, "conveyor / test", "success")
	if log := h.logOf("unit"); log != "of runc\n" {
		t.Errorf("the stranger's step was not runc's: %s", log)
	}
}
