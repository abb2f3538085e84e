package pipeline

// Reused is a run whose evidence counts for another one: it has tested the same tree, by the same plan, whole.
type Reused struct {
	Run    RunID  `json:"run"`
	Commit Commit `json:"commit"`
	Tree   string `json:"tree"` // Git's id of the tree that both commits have
}
