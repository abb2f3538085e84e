package pipeline

// Service is a program of an image that runs beside a step, and ends with it: a database, a cache, a queue. The step reaches
// it under its name.
type Service struct {
	Name    string            `json:"name"`
	Image   string            `json:"image"`
	Command []string          `json:"command,omitempty"` // in place of the image's own; its entrypoint stays
	User    string            `json:"user,omitempty"`    // in place of the image's own
	Env     map[string]string `json:"env,omitempty"`
	Ready   Ready             `json:"ready"`
	Limits  Resources         `json:"resources,omitzero"` // zero values stand for what a service has by default
}

// Ready tells when a service can be used: one of Port and Command is there.
type Ready struct {
	Port    int      `json:"port,omitempty"`    // something accepts connections there
	Command []string `json:"command,omitempty"` // it ends with 0, in the service's own box
	Timeout Duration `json:"timeout"`           // always set: the parser fills in the default
}

// images are those that a step needs, its own first.
func (s Step) images() (names []string) {
	if s.Image != "" {
		names = append(names, s.Image)
	}
	for _, v := range s.Services {
		names = append(names, v.Image)
	}
	return names
}
