package app

import (
	"fmt"
	"net/netip"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/egress"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// registries is the word that stands for the list of the usual package registries.
const registries = "registries"

// egressPolicy reads the settings of what steps may reach. Nothing named allows the registries.
func (c Config) egressPolicy() (p egress.Policy, problems []string) {
	allow := c.EgressAllow
	if len(allow) == 0 {
		allow = []string{registries}
	}
	for _, text := range allow {
		if text == registries {
			p.Rules = append(p.Rules, egress.Registries()...)
			continue
		}
		r, err := egress.ParseRule(text)
		if err != nil {
			problems = append(problems, fmt.Sprintf("CONVEYOR_EGRESS_ALLOW names %s.", err))
			continue
		}
		p.Rules = append(p.Rules, r)
	}
	for _, text := range c.EgressPrivate {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			problems = append(problems, fmt.Sprintf("CONVEYOR_EGRESS_PRIVATE names %q; give ranges like 10.0.5.0/24, separated by commas.", text))
			continue
		}
		p.Private = append(p.Private, prefix)
	}
	return p, problems
}

func (c Config) checkEgress() (problems []string) {
	switch c.Network {
	case "", pipeline.NoNetwork, pipeline.ListedHosts, pipeline.AnyHost:
	default:
		problems = append(problems, fmt.Sprintf("CONVEYOR_NETWORK %q is unknown; give none, allowed or full: the most that a step gets.", c.Network))
	}
	_, wrong := c.egressPolicy()
	return append(problems, wrong...)
}

// wayOut gives a step what it may reach, and a word for the log when that is less than it asked for.
func (a *App) wayOut(trust pipeline.Trust, step pipeline.Step, spec *sandbox.Spec) (proxy *egress.Proxy, remark string) {
	network := trust.Network(step.Network, a.config.Network)
	if step.Network != "" && network != step.Network {
		remark = fmt.Sprintf("network: %s, not %s as the plan asks: %s\n", network, step.Network, narrower(trust, step.Network, a.config.Network))
	}
	in := a.boxFor(trust).Isolation()
	if in.Level == "gvisor" && network != pipeline.NoNetwork {
		return nil, remark + "network: none, for gVisor has a network of its own, in which there is no way out\n"
	}
	if network == pipeline.NoNetwork || !in.ShutsIn() {
		return nil, remark
	}
	policy := a.egress
	policy.Full = network == pipeline.AnyHost
	proxy = egress.New(policy)
	spec.Out = proxy.Serve
	return proxy, remark
}

// narrower says who gives less than what was asked for.
func narrower(trust pipeline.Trust, asked, most pipeline.Network) string {
	if trust.Network(asked, pipeline.AnyHost) != asked {
		return "the code comes from outside"
	}
	return fmt.Sprintf("the operator's CONVEYOR_NETWORK is %s", most)
}
