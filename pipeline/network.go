package pipeline

// Network is what a step may reach beyond its box.
type Network string

// The networks, from the narrowest. Words are stored, and never renamed.
const (
	NoNetwork   Network = "none"
	ListedHosts Network = "allowed" // the hosts on the operator's list
	AnyHost     Network = "full"    // every public host
)

var networks = []Network{NoNetwork, ListedHosts, AnyHost}

// width orders them. What is unknown is the narrowest.
func (n Network) width() int {
	for i, known := range networks {
		if n == known {
			return i
		}
	}
	return 0
}

// Network is what a step gets that asked for a network, or for none in particular (""), where the operator gives no more
// than most: code from outside that nobody has allowed reaches nothing, and allowed code no more than the list.
func (t Trust) Network(asked, most Network) Network {
	if asked == "" {
		asked = ListedHosts
	}
	own := NoNetwork
	switch {
	case t >= Writer:
		own = AnyHost
	case t == Allowed:
		own = ListedHosts
	}
	return networks[min(asked.width(), most.width(), own.width())]
}
