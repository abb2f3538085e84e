package sandboxtest

// unbounded are the tests of what only a cgroup can bound or count. Steps without one do not take them: they would take all
// that the machine has.
var unbounded = map[string]bool{
	"WhatUsesUpItsMemoryIsToldSo":       true,
	"WhatCopesWithItsMemoryLimitPasses": true,
	"FilesInMemoryCountAsMemory":        true,
	"ItSeesItsOwnMemoryLimit":           true,
	"ItSeesItsOwnShareOfTheProcessors":  true,
}
