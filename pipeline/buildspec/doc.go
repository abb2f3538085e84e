// Package buildspec reads the buildspec of AWS CodeBuild, version 0.2 and 0.1, and knows how it is run: which phase comes
// after which, and the one script that runs its commands in a sandbox.
//
// It is pure. The file may come from a stranger: it is read and nothing else, and what it may cost is bounded. Every key
// that AWS documents is known. What means nothing here is named with its place, as a warning or, when the build would go
// wrong without it, as a mistake; nothing is passed over in silence.
//
// Start reading at Parse, State (the phases) and Script (the run). docs/buildspec.md says the same for people.
package buildspec
