package egress

import (
	"net/netip"
	"slices"
)

// metadata are the addresses at which clouds give away the machine's identity. They are never reached, whatever is
// allowed: AWS, Azure and Google share the first; then AWS over version 6, Azure's own, Alibaba's, Oracle's.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("169.254.170.2"),
	netip.MustParseAddr("168.63.129.16"), netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("192.0.0.192"),
}

// notPublic are ranges that belong to a machine, a network or nobody, beside those that netip knows.
// https://www.iana.org/assignments/iana-ipv4-special-registry
var notPublic = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"240.0.0.0/4", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "64:ff9b:1::/48", "3fff::/20", "5f00::/16", "fec0::/10",
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// nat64 hides an address of version 4 in its last four bytes.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// mayReach says whether a step may be connected with an address. private are the ranges that the operator has opened.
func mayReach(a netip.Addr, private []netip.Prefix) bool {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	within := func(ranges []netip.Prefix) bool {
		return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	switch {
	case !a.IsValid(), slices.Contains(metadata, a), a.IsMulticast(), a.IsUnspecified():
		return false
	case within(private):
		return true
	}
	return a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !within(notPublic)
}
