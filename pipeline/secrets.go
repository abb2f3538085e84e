package pipeline

// SecretUse is a secret that a step or a deployment wants. The value is never in a plan.
type SecretUse struct {
	Name     string `json:"name"`               // of the file that holds it, and of the variable
	From     string `json:"from"`               // its name in the store
	Env      bool   `json:"env,omitempty"`      // also as a variable of the environment
	Optional bool   `json:"optional,omitempty"` // where it cannot be had, it is left out
}
