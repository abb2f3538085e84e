package webhook_test

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/handlers/webhook"
)

func hours(n float64) deploy.Span { return deploy.Span(n * float64(time.Hour)) }

func TestTheGrammarIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	sha, digest := strings.Repeat("1a2b", 10), strings.Repeat("0f", 32)
	for line, want := range map[string]deploy.Command{
		"/approve production":                   {Verb: deploy.Approve, Environment: "production"},
		"/approve production@1a2b3c4":           {Verb: deploy.Approve, Environment: "production", Commit: "1a2b3c4"},
		"/approve production@" + sha:            {Verb: deploy.Approve, Environment: "production", Commit: sha},
		"/approve preview/pr-12":                {Verb: deploy.Approve, Environment: "preview/pr-12"},
		"/approve   eu_west-1 \t ":              {Verb: deploy.Approve, Environment: "eu_west-1"},
		"/deploy staging":                       {Verb: deploy.Promote, Environment: "staging"},
		"/deploy staging@1a2b3c4":               {Verb: deploy.Promote, Environment: "staging", Commit: "1a2b3c4"},
		"/rollback production":                  {Verb: deploy.Rollback, Environment: "production"},
		"/rollback production 0f0f0f0":          {Verb: deploy.Rollback, Environment: "production", Digest: "0f0f0f0"},
		"/rollback production sha256:" + digest: {Verb: deploy.Rollback, Environment: "production", Digest: digest},
		"/retest":                               {Verb: deploy.Retest},
		"/cancel":                               {Verb: deploy.Cancel},
		"/help":                                 {Verb: deploy.Help},
		"/help what does all of this mean?":     {Verb: deploy.Help, Word: "what"},
		"/help /approve":                        {Verb: deploy.Help, Word: "approve"},
		"/help ok-to-test":                      {Verb: deploy.Help, Word: "ok-to-test"},
		"/help @everyone":                       {Verb: deploy.Help},
		"/test":                                 {Verb: deploy.Test},
		"/test unit":                            {Verb: deploy.Test, Word: "unit"},
		"/retest failed":                        {Verb: deploy.Retest, Word: "failed"},
		"/ok-to-test 1a2b3c4":                   {Verb: deploy.OkToTest, Commit: "1a2b3c4"},
		"/ok-to-test " + sha:                    {Verb: deploy.OkToTest, Commit: sha},
		"/reject production":                    {Verb: deploy.Reject, Environment: "production"},
		"/reject production@1a2b3c4 it is slow": {Verb: deploy.Reject, Environment: "production", Commit: "1a2b3c4", Reason: "it is slow"},
		"/promote production@1a2b3c4":           {Verb: deploy.Onward, Environment: "production", Commit: "1a2b3c4"},
		"/lock staging":                         {Verb: deploy.TakeLock, Environment: "staging"},
		"/lock staging for 2h":                  {Verb: deploy.TakeLock, Environment: "staging", For: hours(2)},
		"/lock staging the migration for 3d":    {Verb: deploy.TakeLock, Environment: "staging", Reason: "the migration", For: hours(72)},
		"/lock staging wait for the release":    {Verb: deploy.TakeLock, Environment: "staging", Reason: "wait for the release"},
		"/lock staging for 2h please":           {Verb: deploy.TakeLock, Environment: "staging", Reason: "for 2h please"},
		"/lock staging a\u202eb\u200bc | `x`":   {Verb: deploy.TakeLock, Environment: "staging", Reason: "abc | `x`"},
		"/unlock staging":                       {Verb: deploy.EndLock, Environment: "staging"},
		"/unlock staging they are on holiday":   {Verb: deploy.EndLock, Environment: "staging", Reason: "they are on holiday"},
		"/freeze":                               {Verb: deploy.TakeFreeze},
		"/freeze for 2h":                        {Verb: deploy.TakeFreeze, For: hours(2)},
		"/freeze production":                    {Verb: deploy.TakeFreeze, Environment: "production"},
		"/freeze production for 90m":            {Verb: deploy.TakeFreeze, Environment: "production", For: hours(1.5)},
		"/freeze production the fair for 2d":    {Verb: deploy.TakeFreeze, Environment: "production", Reason: "the fair", For: hours(48)},
		"/freeze We are moving":                 {Verb: deploy.TakeFreeze, Reason: "We are moving"},
		"/test build/unit":                      {Verb: deploy.Test, Word: "build/unit"},
		"/run release":                          {Verb: deploy.Start, Word: "release"},
		`/run release a=1 b-c="x = y" d= e=""`:  {Verb: deploy.Start, Word: "release", Inputs: []deploy.Input{{Name: "a", Value: "1"}, {Name: "b-c", Value: "x = y"}, {Name: "d"}, {Name: "e"}}},
		"/unfreeze":                             {Verb: deploy.EndFreeze},
		"/unfreeze production":                  {Verb: deploy.EndFreeze, Environment: "production"},
		"/preview keep":                         {Verb: deploy.Preview, Word: "keep"},
		"/preview keep 3d":                      {Verb: deploy.Preview, Word: "keep", For: hours(72)},
		"/preview keep for 3d":                  {Verb: deploy.Preview, Word: "keep", For: hours(72)},
		"/preview stop":                         {Verb: deploy.Preview, Word: "stop"},
		"/plan promote production":              {Verb: deploy.Plan, Word: "promote", Environment: "production"},
		"/plan deploy staging@1a2b3c4":          {Verb: deploy.Plan, Word: "deploy", Environment: "staging", Commit: "1a2b3c4"},
		"/why":                                  {Verb: deploy.Why},
		"/why unit":                             {Verb: deploy.Why, Word: "unit"},
		"/why preview/pr-12":                    {Verb: deploy.Why, Word: "preview/pr-12"},
		"/can":                                  {Verb: deploy.Can},
		"/can production":                       {Verb: deploy.Can, Environment: "production"},
	} {
		got := webhook.ParseComment(line)
		want.Line = strings.TrimRight(line, " \t")
		if len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("%q is read as %+v, want %+v", line, got, want)
		}
	}
}

func TestAMistakeIsAnsweredWithTheLineToType(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]struct {
		verb deploy.Verb
		says string
	}{
		"/approve":                            {deploy.Approve, "`/approve ENV`"},
		"/run":                                {deploy.Start, "name of a pipeline"},
		"/run Release":                        {deploy.Start, "name of a pipeline"},
		"/run release now":                    {deploy.Start, "as KEY=VALUE"},
		"/run release $(id)=1":                {deploy.Start, "as KEY=VALUE"},
		`/run release a="x`:                   {deploy.Start, "`a` begins with a double quote"},
		`/run release a="x"y`:                 {deploy.Start, "`a` begins with a double quote"},
		"/run release a=1 a=2":                {deploy.Start, "`a` stands here twice"},
		"/approve production please":          {deploy.Approve, "`/approve production`"},
		"/approve production@1a2b3c4 now":     {deploy.Approve, "`/approve production@1a2b3c4`"},
		"/approve production@main":            {deploy.Approve, "`/approve production`"},
		"/approve production@1a2b3c":          {deploy.Approve, "7 to 40"},
		"/approve production@":                {deploy.Approve, "7 to 40"},
		"/approve production@1A2B3C4":         {deploy.Approve, "7 to 40"},
		"/approve production@1a2b3c4@5":       {deploy.Approve, "7 to 40"},
		"/approve Production":                 {deploy.Approve, "small letters"},
		"/approve ../production":              {deploy.Approve, "`/approve ENV`"},
		"/approve `production`":               {deploy.Approve, "`/approve ENV`"},
		"/approve **production**":             {deploy.Approve, "`/approve ENV`"},
		"/approve $(id)":                      {deploy.Approve, "`/approve ENV`"},
		"/approve prod\u200buction":           {deploy.Approve, "`/approve ENV`"},
		"/approve produ\u0441tion":            {deploy.Approve, "`/approve ENV`"}, // a Cyrillic letter
		"/approve production <!-- unless -->": {deploy.Approve, "`/approve production`"},
		"/approve preview/pr-0":               {deploy.Approve, "`/approve ENV`"},
		"/approve " + strings.Repeat("x", 41): {deploy.Approve, "`/approve ENV`"},
		"/deploy":                             {deploy.Promote, "`/deploy ENV`"},
		"/deploy to staging":                  {deploy.Promote, "`/deploy to`"},
		"/rollback":                           {deploy.Rollback, "`/rollback ENV`"},
		"/rollback production@1a2b3c4":        {deploy.Rollback, "`/rollback production DIGEST`"},
		"/rollback production v1.2":           {deploy.Rollback, "7 to 64"},
		"/rollback production 0f0f0f0 x":      {deploy.Rollback, "`/rollback production`"},
		"/retest all":                         {deploy.Retest, "`/retest`"},
		"/cancel please":                      {deploy.Cancel, "`/cancel`"},
		"/aprove production":                  {deploy.Unknown, "Did you mean `/approve production`?"},
		"/Approve production":                 {deploy.Unknown, "Did you mean `/approve production`?"},
		"/APPROVE production":                 {deploy.Unknown, "Did you mean `/approve production`?"},
		"/promote":                            {deploy.Onward, "`/promote ENV`"},
		"/promote production now":             {deploy.Onward, "`/promote production`"},
		"/test unit lint":                     {deploy.Test, "`/test STAGE`"},
		"/test $(id)":                         {deploy.Test, "`/test STAGE`"},
		"/retest FAILED":                      {deploy.Retest, "`/retest failed`"},
		"/reject":                             {deploy.Reject, "`/reject ENV`"},
		"/reject production@main slow":        {deploy.Reject, "7 to 40"},
		"/lock":                               {deploy.TakeLock, "`/lock ENV"},
		"/lock Staging":                       {deploy.TakeLock, "small letters"},
		"/lock staging@1a2b3c4":               {deploy.TakeLock, "small letters"},
		"/lock staging for 2":                 {deploy.TakeLock, "`/lock staging REASON for 2h`"},
		"/lock staging for 2weeks":            {deploy.TakeLock, "a number and one of"},
		"/unlock":                             {deploy.EndLock, "`/unlock ENV`"},
		"/freeze production for 0h":           {deploy.TakeFreeze, "a number and one of"},
		"/unfreeze production now":            {deploy.EndFreeze, "`/unfreeze ENV`"},
		"/preview":                            {deploy.Preview, "`/preview stop`"},
		"/preview keep forever":               {deploy.Preview, "`/preview keep 3d`"},
		"/preview stop 3d":                    {deploy.Preview, "`/preview stop`"},
		"/plan":                               {deploy.Plan, "`/plan promote ENV`"},
		"/plan rollback production":           {deploy.Plan, "`/plan promote ENV`"},
		"/plan promote":                       {deploy.Plan, "`/plan promote ENV`"},
		"/plan promote production@x":          {deploy.Plan, "7 to 40"},
		"/why is it red":                      {deploy.Why, "`/why STEP`"},
		"/ok-to-test main":                    {deploy.OkToTest, "`/ok-to-test SHA`"},
		"/ok-to-test 1a2b3c":                  {deploy.OkToTest, "7 to 40"},
		"/ok-to-test 1a2b3c4 1a2b3c5":         {deploy.OkToTest, "7 to 40"},
		"/unfreze production":                 {deploy.Unknown, "Did you mean `/unfreeze production`?"},
		"/lokc staging for 2h":                {deploy.Unknown, "Did you mean `/lock staging for 2h`?"},
		"/whi":                                {deploy.Unknown, "Did you mean `/why`?"},
		"/foo":                                {deploy.Unknown, "There is no command `/foo`. `/help`"},
		"/rerun":                              {deploy.Unknown, "Did you mean `/retest`?"},
		"/revert production":                  {deploy.Unknown, "Did you mean `/rollback production`?"},
		"/aprove `rm -rf` @everyone":          {deploy.Unknown, "Did you mean `/approve`?"},
		"/ok-to-test":                         {deploy.OkToTest, "`/ok-to-test SHA`"},
	} {
		got := webhook.ParseComment(line)
		if len(got) != 1 || got[0].Verb != want.verb || !strings.Contains(got[0].Problem, want.says) {
			t.Errorf("%q is read as %+v, want %q", line, got, want.says)
			continue
		}
		if c := got[0]; c.Environment+c.Commit+c.Digest+c.Word+c.Reason != "" || c.For != 0 {
			t.Errorf("%q is wrong, and filled in all the same: %+v", line, c)
		}
		if strings.Contains(got[0].Problem, "@everyone") || strings.Contains(got[0].Problem, "rm -rf") {
			t.Errorf("the answer repeats what was typed: %s", got[0].Problem)
		}
	}
}

func TestTalkAboutCommandsIsNoCommand(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing":                "",
		"in the middle":          "please /approve production",
		"a path":                 "/etc/hosts is wrong",
		"a slash":                "/ approve production",
		"two slashes":            "//approve production",
		"an escaped slash":       "\\/approve production",
		"a number":               "/2 approve",
		"an entity":              "&#47;approve production",
		"indented":               "  /approve production",
		"indented code":          "    /approve production",
		"behind a tab":           "text\n\t/approve production",
		"a fence":                "```\n/approve production\n```",
		"a tilde fence":          "~~~ text\n/approve production\n~~~",
		"a fence left open":      "```\n/approve production",
		"a code span":            "`/approve production`",
		"a long code span":       "see `\n/approve production\n` there",
		"a quote":                "> /approve production",
		"a lazy quote":           "> he said\n/approve production",
		"a list":                 "- /approve production",
		"a lazy list":            "- todo\n/approve production",
		"a numbered list":        "1. /approve production",
		"below a list item":      "- todo\n\n  /approve production",
		"a heading":              "# /approve production",
		"an underlined heading":  "/approve production\n===",
		"another heading":        "/approve production\n---",
		"a table":                "|a|\n|-|\n/approve production",
		"a table's head":         "/approve production|x\n-|-",
		"a footnote":             "[^1]\n\n[^1]: note\n/approve production",
		"an HTML comment":        "<!--\n/approve production\n-->",
		"a comment in a text":    "text <!--\n/approve production\n-->",
		"an open comment":        "<!--\n\n/approve production",
		"an HTML block":          "<div>\n/approve production\n</div>",
		"details":                "<details><summary>log</summary>\n\n/approve production\n\n</details>",
		"details in a text":      "text <details>\n\n/approve production",
		"details left open":      "<details>\n\n/approve production",
		"a quote in HTML":        "<blockquote>\n\n/approve production\n\n</blockquote>",
		"nested HTML":            "<div><div>\n\n</div>\n\n/approve production\n\n</div>",
		"pre":                    "<pre>\n\n/approve production\n\n</pre>",
		"a link's text":          "[see\n/approve production\n](https://example.com)",
		"a link's title":         "[see](https://example.com \"\n/approve production\n\")",
		"a link's definition":    "[x]:\n/approve\n",
		"an emphasis":            "**never\n/approve production\nnow**",
		"an attribute":           "text <a title=\"\n/approve production\n\">",
		"a form feed before":     "\f/approve production",
		"a byte order mark":      "\ufeff/approve production",
		"an invisible before":    "\u200b/approve production",
		"too long a verb":        "/" + strings.Repeat("a", 40),
		"a comment that is long": "/approve production\n" + strings.Repeat("x", 16<<10),
	} {
		if got := webhook.ParseComment(body); len(got) != 0 {
			t.Errorf("%s: %q is taken for %+v", name, body, got)
		}
	}
}

func TestCommandsAreFoundBetweenOtherText(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"alone":            "/retest",
		"with Windows":     "thanks\r\n/retest\r\n",
		"with an old Mac":  "thanks\r/retest\r",
		"below text":       "thanks\n/retest",
		"above text":       "/retest\nthanks",
		"between":          "thanks\n\n/retest\n\nagain",
		"after a fence":    "```\n/approve production\n```\n/retest",
		"after a quote":    "> /approve production\n\n/retest",
		"after a list":     "- /approve production\n\n/retest",
		"after HTML":       "<details>\n\n/approve production\n\n</details>\n\n/retest",
		"after a picture":  "<img src=\"x\">\n\n/retest",
		"after a remark":   "<!-- a <b> template -->\n\n/retest",
		"after code":       "`x`\n/retest",
		"before a heading": "/retest\n# heading",
	} {
		got := webhook.ParseComment(body)
		if len(got) != 1 || got[0].Verb != deploy.Retest || got[0].Line != "/retest" {
			t.Errorf("%s: %q is read as %+v", name, body, got)
		}
	}
}

func TestACommentHoldsTenCommandsAtMost(t *testing.T) {
	t.Parallel()
	got := webhook.ParseComment(strings.Repeat("/retest\n\n/cancel\n", 20))
	if len(got) != 10 || got[0].Verb != deploy.Retest || got[9].Verb != deploy.Cancel {
		t.Fatalf("%d commands: %+v", len(got), got)
	}
}

func TestALongReasonIsCut(t *testing.T) {
	t.Parallel()
	got := webhook.ParseComment("/lock staging " + strings.Repeat("é ", 300) + "for 2h")
	if len(got) != 1 || got[0].Problem != "" || got[0].For != hours(2) || utf8.RuneCountInString(got[0].Reason) != 120 {
		t.Fatalf("%+v", got)
	}
}

func TestALongLineIsCutAndStillAnswered(t *testing.T) {
	t.Parallel()
	got := webhook.ParseComment("/approve production " + strings.Repeat("é", 500))
	if len(got) != 1 || got[0].Problem == "" || utf8.RuneCountInString(got[0].Line) != 200 || !utf8.ValidString(got[0].Line) {
		t.Fatalf("%+v", got)
	}
}

// TestNoCommentTakesLong parses texts that take a Markdown parser quadratic time, as long as they may be.
func TestNoCommentTakesLong(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{">", "1. ", "[a](", "*a_ "} {
		body := "|a|\n|-|\n" + strings.Repeat(piece, (16<<10)/len(piece)-10) + "\n/retest"
		start := time.Now()
		webhook.ParseComment(body)
		if took := time.Since(start); took > 10*time.Second { // far less on an idle machine
			t.Errorf("%q, repeated, takes %s", piece, took)
		}
	}
}

var (
	safeEnv  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*(/pr-[0-9]+)?$`)
	safeWord = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*(/pr-[0-9]+)?$`)
	safeHex  = regexp.MustCompile(`^[0-9a-f]{7,64}$`)
)

// FuzzComment holds what the house relies on: nothing that is passed on is of another form than it must be, and nothing
// is a command that does not stand at the beginning of a line.
func FuzzComment(f *testing.F) {
	for _, s := range []string{"/approve production@1a2b3c4", "/rollback a 0f0f0f0\r\n/help x", "> /deploy a", "```\n/cancel\n```", "<details>\n\n/retest", "a `\n/retest\n`", "|a|\n|-|\n/x", "[x]:\n/approve", "/Aprove x y z",
		"/test unit\n/retest failed", "/ok-to-test 1a2b3c4", "/reject production@1a2b3c4 it `is` slow", "/promote production@1a2b3c4", "/lock staging a\u202eb for 2h",
		"/unlock a why", "/freeze for 2h", "/freeze x y for 99999d", "/unfreeze a", "/preview keep for 3d\n/preview stop", "/plan promote a@1a2b3c4", "/why a/pr-1", "/can a", "/help /why"} {
		f.Add(s)
	}
	about := []deploy.Verb{deploy.Approve, deploy.Promote, deploy.Rollback, deploy.Reject, deploy.Onward, deploy.TakeLock, deploy.EndLock, deploy.Plan}
	verbs := append([]deploy.Verb{deploy.Test, deploy.Retest, deploy.Cancel, deploy.OkToTest, deploy.TakeFreeze, deploy.EndFreeze, deploy.Preview, deploy.Why, deploy.Can, deploy.Help, deploy.Unknown}, about...)
	f.Fuzz(func(t *testing.T, body string) {
		commands := webhook.ParseComment(body)
		if len(commands) > 10 {
			t.Fatalf("%d commands", len(commands))
		}
		lines := strings.FieldsFunc(body, func(r rune) bool { return r == '\n' || r == '\r' })
		for _, c := range commands {
			began := slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, c.Line) })
			switch {
			case !began || !strings.HasPrefix(c.Line, "/") || utf8.RuneCountInString(c.Line) > 200:
				t.Fatalf("%+v is no line of %q", c, body)
			case !slices.Contains(verbs, c.Verb), (c.Verb == deploy.Unknown) && c.Problem == "":
				t.Fatalf("%+v", c)
			case c.Problem != "" && (c.Environment+c.Commit+c.Digest+c.Word+c.Reason != "" || c.For != 0):
				t.Fatalf("%+v is wrong, and filled in all the same", c)
			case c.Environment != "" && !safeEnv.MatchString(c.Environment), c.Commit != "" && !safeHex.MatchString(c.Commit), c.Digest != "" && !safeHex.MatchString(c.Digest):
				t.Fatalf("%+v is passed on", c)
			case c.Word != "" && !safeWord.MatchString(c.Word) && c.Verb != deploy.Help, c.For < 0, utf8.RuneCountInString(c.Reason) > 120, strings.ContainsFunc(c.Reason, unicode.IsControl):
				t.Fatalf("%+v is passed on", c)
			case c.Verb == deploy.OkToTest && c.Problem == "" && c.Commit == "":
				t.Fatalf("%+v is about nothing", c)
			case c.Problem == "" && c.Environment == "" && slices.Contains(about, c.Verb):
				t.Fatalf("%+v is about nothing", c)
			}
		}
	})
}
