package sandboxtest

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const probeArg = "sandboxtest-probe"

// Main is for TestMain of a package whose Case is Isolated: inside the sandbox its test binary is the program that tries
// what must not be possible.
func Main(m *testing.M) {
	if len(os.Args) < 3 || os.Args[1] != probeArg {
		os.Exit(m.Run())
	}
	switch os.Args[2] {
	case "escape":
		for _, e := range escapes(os.Getenv("SOCKET")) {
			if os.Getenv("OWN_KERNEL") != "" && own[e.name] {
				continue
			}
			came := "done"
			if err := e.try(); err != nil {
				came = err.Error()
			}
			fmt.Printf("%s: %s\n", e.name, came)
		}
	case "processes":
		processes()
	case "files":
		files()
	case "zombies":
		zombies()
	case "loopback":
		loopback()
	case "listen":
		listen(os.Args[3], -1)
	case "listen-twice":
		listen(os.Args[3], 2)
	}
	os.Exit(0)
}

func probeCommand(what string) string { return "exec ./probe " + probeArg + " " + what + "\n" }

// processes starts processes until it is refused one.
func processes() {
	for n := range 200 {
		if err := exec.Command("/bin/sleep", "1000").Start(); err != nil {
			fmt.Printf("refused after %d: %v\n", n, err)
			os.Exit(1)
		}
	}
}

// listen says hello to so many that connect, or to all, and ends with 9.
func listen(port string, most int) {
	l, err := net.Listen("tcp", ":"+port)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("listens on " + port)
	for n := 0; n != most; n++ {
		conn, err := l.Accept()
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		_, _ = io.WriteString(conn, "hello\n")
		_ = conn.Close()
	}
	os.Exit(9)
}

// files opens files until it is refused one.
func files() {
	var open []*os.File
	for {
		f, err := os.Open("/dev/null")
		if err != nil {
			fmt.Println(err)
			fmt.Println(len(open))
			os.Exit(1)
		}
		open = append(open, f)
	}
}

// zombies starts processes that end, and waits for none of them to be gone.
func zombies() {
	name := zombie(os.Getenv("SANDBOXTEST"))
	all := make([]*exec.Cmd, 30)
	if err := os.Symlink("probe", name); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := range all {
		all[i] = exec.Command("./"+name, probeArg, "end")
		if err := all[i].Start(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	dead := 0
	for dead < len(all) {
		dead = 0
		for _, c := range all {
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process.Pid))
			if strings.Contains(string(text), ") Z ") {
				dead++
			}
		}
	}
	fmt.Println(dead, "zombies")
	os.Exit(3)
}

// zombie is the name of a run's processes that become zombies.
func zombie(id string) string { return "z" + id[len(id)-9:] }

// zombiesOf are those of a run that this machine still has.
func zombiesOf(id string) (found []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range all {
		if text, _ := os.ReadFile(path); strings.Contains(string(text), "("+zombie(id)+")") {
			found = append(found, string(text))
		}
	}
	return found
}

// loopback speaks to itself, as tests of servers do.
func loopback() {
	fail := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fail(err)
	to, err := net.Dial("tcp", listener.Addr().String())
	fail(err)
	from, err := listener.Accept()
	fail(err)
	_, err = io.WriteString(to, "hello")
	fail(err)
	fail(to.Close())
	got, err := io.ReadAll(from)
	fail(err)
	if string(got) != "hello" {
		fail(fmt.Errorf("heard %q", got))
	}
}
