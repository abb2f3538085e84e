package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/conveyor-ci/conveyor/test/s3server"
)

// TestMain plays more stories at once than there are processors, for most of a story is waiting, and wants no goroutine to
// be left of all the servers that were started and stopped.
func TestMain(m *testing.M) {
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p.Value.String() == p.DefValue {
		if err := p.Value.Set(strconv.Itoa(16)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	code := s3server.Main(m)
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "a stopped server has left goroutines:", err)
		code = 1
	}
	if built.dir != "" {
		if err := os.RemoveAll(built.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
