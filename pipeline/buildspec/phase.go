package buildspec

// Phase is a phase of a build. AWS calls them so, and people look for these words in logs.
type Phase int

// The phases, in order: https://docs.aws.amazon.com/codebuild/latest/APIReference/API_BuildPhase.html
const (
	Submitted Phase = iota
	Queued
	Provisioning
	DownloadSource
	Install
	PreBuild
	Build
	PostBuild
	UploadArtifacts
	Finalizing
	Completed
)

var phaseNames = [...]string{
	"SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD",
	"UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED",
}

func (p Phase) String() string { return phaseNames[p] }

// Ours reports whether it is one of the four phases whose commands stand in the buildspec.
func (p Phase) Ours() bool { return p >= Install && p <= PostBuild }

// sections are the four phases, in order.
var sections = [...]Phase{Install, PreBuild, Build, PostBuild}

// named is the phase of a word, as the record of a run has it.
func named(word string) (Phase, bool) {
	for p, name := range phaseNames {
		if name == word {
			return Phase(p), true
		}
	}
	return 0, false
}

// after is the phase that comes next, once no further try is due.
//
// A failure of BUILD does not keep POST_BUILD from running, and neither of them keeps artifacts from being uploaded. A
// failure before BUILD ends the build. ABORT ends it from everywhere, CONTINUE lets it go on from everywhere.
// https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html
func after(p Phase, failed bool, on OnFailure) Phase {
	switch {
	case p >= Finalizing:
		return Completed
	case !failed, p.Ours() && on.Word == Continue:
		return p + 1
	case p.Ours() && on.Word == Abort:
		return Finalizing
	case p == Build, p == PostBuild, p == UploadArtifacts:
		return p + 1
	}
	return Finalizing
}
