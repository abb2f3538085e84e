package egress

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// refuse remembers what was not let through.
func (p *Proxy) refuse(address, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.refused[address]; !known && len(p.refused) >= mostHosts {
		p.overflow++
		return
	}
	p.refused[address] = reason
}

// count is where the bytes of a host are added up.
func (p *Proxy) count(host string, port int, out bool) *int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := net.JoinHostPort(host, strconv.Itoa(port))
	if p.reached[name] == nil && len(p.reached) >= mostHosts {
		name = "others"
	}
	if p.reached[name] == nil {
		p.reached[name] = &traffic{}
	}
	if out {
		return &p.reached[name].out
	}
	return &p.reached[name].in
}

// Report is what a step's log tells of the network, one line for each thing that somebody may have to act on, and none
// when the step reached for nothing. Names come from the step; they are quoted.
func (p *Proxy) Report() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, address := range slices.Sorted(maps.Keys(p.refused)) {
		fmt.Fprintf(&b, "network: %.200q was refused: it %s\n", address, why(p.refused[address]))
	}
	if p.overflow > 0 {
		fmt.Fprintf(&b, "network: %d more connections to other hosts were refused\n", p.overflow)
	}
	for _, name := range slices.Sorted(maps.Keys(p.reached)) {
		t := p.reached[name]
		fmt.Fprintf(&b, "network: %.200q: %s received, %s sent\n", name, size(atomic.LoadInt64(&t.in)), size(atomic.LoadInt64(&t.out)))
	}
	return b.String()
}

// why leaves out of a reason what the line has said already.
func why(reason string) string {
	if strings.HasSuffix(reason, errNotPublic.Error()) {
		return errNotPublic.Error()
	}
	return "is not on the list of what steps may reach; the operator's CONVEYOR_EGRESS_ALLOW names more hosts"
}

func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}
