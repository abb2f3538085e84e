package buildspec_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/pipeline/buildspec"
)

// play folds the ends of phases, as a rule says of each whether it fails, until the build is over.
func play(on map[buildspec.Phase]buildspec.OnFailure, fails func(buildspec.Phase) bool) buildspec.State {
	s := buildspec.Prepared()
	for s.At != buildspec.Completed {
		s = s.Next(on[s.At], buildspec.End{Phase: s.At, Failed: fails(s.At), Matches: true})
	}
	return s
}

func TestAFailureLeadsWhereAWSSays(t *testing.T) {
	t.Parallel()
	const (
		install, pre, build, post, upload = buildspec.Install, buildspec.PreBuild, buildspec.Build, buildspec.PostBuild, buildspec.UploadArtifacts
	)
	for _, c := range []struct {
		fails buildspec.Phase
		word  string
		then  []buildspec.Phase // what runs after the phase that fails, before FINALIZING
	}{
		{install, "", nil},
		{pre, "", nil},
		{build, "", []buildspec.Phase{post, upload}},
		{post, "", []buildspec.Phase{upload}},
		{upload, "", nil},
		{install, "ABORT", nil},
		{pre, "ABORT", nil},
		{build, "ABORT", nil},
		{post, "ABORT", nil},
		{install, "CONTINUE", []buildspec.Phase{pre, build, post, upload}},
		{pre, "CONTINUE", []buildspec.Phase{build, post, upload}},
		{build, "CONTINUE", []buildspec.Phase{post, upload}},
		{post, "CONTINUE", []buildspec.Phase{upload}},
		{install, "RETRY", nil},
		{build, "RETRY", []buildspec.Phase{post, upload}},
	} {
		s := play(map[buildspec.Phase]buildspec.OnFailure{c.fails: {Word: c.word, Count: 2}}, func(p buildspec.Phase) bool { return p == c.fails })
		at := slices.Index(s.Ended, c.fails)
		if got := s.Ended[at+1 : len(s.Ended)-1]; !slices.Equal(got, c.then) || s.Status() != "FAILED" || s.First != c.fails {
			t.Errorf("%s fails with %q: then %v, want %v; %s by %s", c.fails, c.word, got, c.then, s.Status(), s.First)
		}
	}
	if s := play(nil, func(buildspec.Phase) bool { return false }); s.Status() != "SUCCEEDED" || len(s.Ended) != int(buildspec.Completed) {
		t.Errorf("a build in which nothing fails: %s, %v", s.Status(), s.Ended)
	}
}

func TestTheSourceThatCannotBeHadEndsTheBuild(t *testing.T) {
	t.Parallel()
	var s buildspec.State
	for s.At != buildspec.Completed {
		s = s.Next(buildspec.OnFailure{}, buildspec.End{Phase: s.At, Failed: s.At == buildspec.DownloadSource})
	}
	if slices.Contains(s.Ended, buildspec.Install) || s.Status() != "FAILED" {
		t.Errorf("%s, %v", s.Status(), s.Ended)
	}
}

func TestWhateverFailsAPhaseIsNeverRunOutOfOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		on := map[buildspec.Phase]buildspec.OnFailure{}
		for p := buildspec.Install; p <= buildspec.PostBuild; p++ {
			on[p] = buildspec.OnFailure{
				Word:    rapid.SampledFrom([]string{"", "ABORT", "CONTINUE", "RETRY"}).Draw(t, "word"),
				Count:   rapid.IntRange(0, 5).Draw(t, "count"),
				Pattern: rapid.SampledFrom([]string{"", "x"}).Draw(t, "pattern"),
			}
		}
		s, tries, failed := buildspec.Prepared(), map[buildspec.Phase]int{}, false
		for s.At != buildspec.Completed {
			e := buildspec.End{Phase: s.At, Failed: rapid.Bool().Draw(t, "failed"), Matches: rapid.Bool().Draw(t, "matches")}
			stray := e
			stray.Phase = buildspec.Phase(rapid.IntRange(0, int(buildspec.Completed)).Draw(t, "stray"))
			if after := s.Next(on[s.At], stray); stray.Phase != s.At && (after.At != s.At || after.Tries != s.Tries || after.Failed != s.Failed) {
				t.Fatalf("the end of %s changed a build that is at %s", stray.Phase, s.At)
			}
			before := s
			s = s.Next(on[s.At], e)
			tries[before.At]++
			switch {
			case s.At == before.At:
				if !e.Failed || tries[s.At] > on[s.At].Count || on[s.At].Word != "RETRY" {
					t.Fatalf("%s is run again for no reason", s.At)
				}
				continue
			case s.At < before.At:
				t.Fatalf("from %s back to %s", before.At, s.At)
			case !e.Failed && s.At != before.At+1:
				t.Fatalf("%s succeeded, and %s is next", before.At, s.At)
			}
			failed = failed || e.Failed
			if s.Succeeding() == failed {
				t.Fatalf("after %s: succeeding is %v", before.At, s.Succeeding())
			}
			if before.At == buildspec.Build && e.Failed && on[before.At].Word != "ABORT" && s.At != buildspec.PostBuild {
				t.Fatalf("after BUILD failed, %s is next", s.At)
			}
			if before.At < buildspec.Build && e.Failed && on[before.At].Word != "CONTINUE" && s.At != buildspec.Finalizing {
				t.Fatalf("after %s failed, %s is next", before.At, s.At)
			}
		}
		if !slices.IsSorted(s.Ended) || (s.Status() == "FAILED") != failed {
			t.Fatalf("%v, %s", s.Ended, s.Status())
		}
	})
}

func TestTheScriptGoesThroughThePhasesAsTheMachineDoes(t *testing.T) {
	t.Parallel()
	words := []string{"", "ABORT", "CONTINUE", "RETRY-1"}
	for mask := range 16 {
		for _, word := range words {
			text := "version: 0.2\nphases:\n"
			on := map[buildspec.Phase]buildspec.OnFailure{}
			for i, name := range []string{"install", "pre_build", "build", "post_build"} {
				p := buildspec.Install + buildspec.Phase(i)
				command := "true"
				if mask&(1<<i) != 0 {
					command = "exit " + string(rune('1'+i))
				}
				text += "  " + name + ": {commands: ['" + command + "'], finally: ['true']"
				if word != "" {
					text += ", on-failure: " + word
					on[p] = buildspec.OnFailure{Word: word[:min(len(word), 8)], Count: 1}
					if word == "RETRY-1" {
						on[p] = buildspec.OnFailure{Word: "RETRY", Count: 1}
					}
				}
				text += "}\n"
			}
			t.Run(fmt.Sprintf("%04b %s", mask, word), func(t *testing.T) {
				t.Parallel()
				r := run(t, text)
				wanted := play(on, func(p buildspec.Phase) bool {
					return p >= buildspec.Install && p <= buildspec.PostBuild && mask&(1<<(p-buildspec.Install)) != 0
				})
				if got := r.record.State; got.Failed != wanted.Failed || got.First != wanted.First || !slices.Equal(got.Ended, wanted.Ended[:len(got.Ended)]) || wanted.Ended[len(got.Ended)] != got.At {
					t.Errorf("%s\ngot %+v, want %+v\n%s", text, got, wanted, r.log)
				}
			})
		}
	}
}
