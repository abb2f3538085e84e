// Package condition reads and asks the conditions of a plan, which are written in CEL (https://cel.dev).
//
// A condition is typed, has no side effects, and its cost is bounded: by the length of its text, by the size of what it
// is parsed to, and by what asking it may cost. All that it knows are facts, which come in as values: text from outside
// is compared, and never read as a part of the condition.
//
// Start reading at Compile and Holds.
package condition

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/parser"
)

// The limits of one condition.
const (
	MaxLength = 1000 // characters
	maxDepth  = 60
	maxCost   = 1_000_000 // of CEL's own units: a comparison costs about one
)

// Facts are what a condition may ask. The names in the tags are those that people write.
type Facts struct {
	Event         string            // push, pull_request, merge_group, …
	Branch        string            // the pushed branch, or the pull request's head branch
	Base          string            // the base branch of a pull request or merge group
	DefaultBranch string            //
	Commit        string            // the full id
	Title         string            // the first line of the commit or pull request; text from outside
	Repository    string            // owner/name
	Actor         string            // a login
	Trust         string            // outside, allowed or writer
	Pull          int               // the pull request's number, else 0
	Fork          bool              // the head lives in another repository
	Env           map[string]string // the step's variables, as the plan says them
	Changed       []string          // the changed paths; filled in when Asks says so
	Steps         map[string]Step
	Failed        bool // something that the step waits for is not good
}

// Step is how another step has ended.
type Step struct {
	Outcome string            `cel:"outcome"`
	Outputs map[string]string `cel:"outputs"`
}

// Condition is one that has been compiled.
type Condition struct {
	program cel.Program
	After   bool  // it says itself what becomes of it after a failure: always(), failure() or success()
	Changed bool  // it asks for the changed paths
	Steps   []Ref // the steps that it names
}

// Ref is a name at a place of the condition's text.
type Ref struct {
	Name string
	At   int // characters before it
}

// Fault is a mistake at a place of the condition's text.
type Fault struct {
	At      int // characters before it
	Message string
	Unknown string // the name that is not known, when that is the mistake
}

// Names are all that a condition can ask for.
func Names() []string {
	return []string{"event", "branch", "base", "default_branch", "commit", "title", "repository", "actor", "trust", "pull", "fork", "env", "changed", "steps",
		"always", "failure", "success"}
}

// failed is what failure() and success() stand for. Nobody would write it.
const failed = "__failed"

var environment = sync.OnceValues(func() (*cel.Env, error) {
	stands := func(name string, make func(parser.ExprHelper) ast.Expr) cel.Macro {
		return cel.GlobalMacro(name, 0, func(h parser.ExprHelper, _ ast.Expr, _ []ast.Expr) (ast.Expr, *cel.Error) { return make(h), nil })
	}
	text := cel.StringType
	return cel.NewEnv(
		ext.NativeTypes(reflect.TypeFor[Step](), ext.ParseStructTags(true)),
		ext.Strings(),
		cel.Variable("event", text), cel.Variable("branch", text), cel.Variable("base", text), cel.Variable("default_branch", text),
		cel.Variable("commit", text), cel.Variable("title", text), cel.Variable("repository", text), cel.Variable("actor", text),
		cel.Variable("trust", text), cel.Variable("pull", cel.IntType), cel.Variable("fork", cel.BoolType),
		cel.Variable("env", cel.MapType(text, text)), cel.Variable("changed", cel.ListType(text)),
		cel.Variable("steps", cel.MapType(text, cel.ObjectType("condition.Step"))), cel.Variable(failed, cel.BoolType),
		cel.Macros(
			stands("failure", func(h parser.ExprHelper) ast.Expr { return h.NewIdent(failed) }),
			stands("success", func(h parser.ExprHelper) ast.Expr { return h.NewCall(operators.LogicalNot, h.NewIdent(failed)) }),
			stands("always", func(h parser.ExprHelper) ast.Expr {
				return h.NewCall(operators.LogicalOr, h.NewIdent(failed), h.NewCall(operators.LogicalNot, h.NewIdent(failed)))
			}),
		),
		cel.ParserRecursionLimit(maxDepth), cel.ParserExpressionSizeLimit(MaxLength),
	)
})

// Compile reads a condition. It returns one without faults, or its faults.
func Compile(text string) (*Condition, []Fault) {
	env, err := environment()
	if err != nil {
		return nil, []Fault{{Message: err.Error()}}
	}
	if len([]rune(text)) > MaxLength {
		return nil, []Fault{{Message: fmt.Sprintf("is longer than %d characters", MaxLength)}}
	}
	read, issues := env.Compile(text)
	if issues != nil && issues.Err() != nil {
		return nil, faults(text, issues)
	}
	if read.OutputType() != cel.BoolType {
		return nil, []Fault{{Message: fmt.Sprintf("is %s, and must be true or false", read.OutputType())}}
	}
	c := &Condition{}
	c.look(read)
	c.program, err = env.Program(read, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(1000))
	if err != nil {
		return nil, []Fault{{Message: err.Error()}}
	}
	return c, nil
}

func faults(text string, issues *cel.Issues) (all []Fault) {
	for _, e := range issues.Errors() {
		f := Fault{At: max(e.Location.Column(), 0), Message: sentence(e.Message)}
		if name, ok := strings.CutPrefix(e.Message, "undeclared reference to '"); ok {
			f.Unknown, _, _ = strings.Cut(name, "'")
			// Of a function, the place is that of its bracket.
			if before := string([]rune(text)[:min(f.At, len([]rune(text)))]); strings.HasSuffix(before, f.Unknown) {
				f.At -= len([]rune(f.Unknown))
			}
		}
		all = append(all, f)
		if strings.HasPrefix(e.Message, "Syntax error") {
			break // what follows the first one is noise
		}
	}
	return all
}

// sentence puts the two messages of the parser that people meet most into words.
func sentence(message string) string {
	switch rest, _ := strings.CutPrefix(message, "Syntax error: "); {
	case strings.HasPrefix(rest, "token recognition error at: '= '"), strings.HasPrefix(rest, "token recognition error at: '='"):
		return "compares with ==, and this is ="
	case strings.Contains(rest, "'<EOF>' expecting"):
		return "ends too early"
	default:
		return rest
	}
}

// look finds what the condition asks for.
func (c *Condition) look(read *cel.Ast) {
	info := read.NativeRep().SourceInfo()
	step := func(operand ast.Expr, name string) {
		if operand.Kind() == ast.IdentKind && operand.AsIdent() == "steps" {
			at := info.GetStartLocation(operand.ID()).Column()
			c.Steps = append(c.Steps, Ref{name, max(at, 0)})
		}
	}
	ast.PostOrderVisit(read.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			c.After = c.After || e.AsIdent() == failed
			c.Changed = c.Changed || e.AsIdent() == "changed"
		case ast.SelectKind:
			step(e.AsSelect().Operand(), e.AsSelect().FieldName())
		case ast.CallKind:
			call := e.AsCall()
			if call.FunctionName() == operators.Index && len(call.Args()) == 2 && call.Args()[1].Kind() == ast.LiteralKind {
				if name, ok := call.Args()[1].AsLiteral().Value().(string); ok {
					step(call.Args()[0], name)
				}
			}
		}
	}))
}

// Holds asks the condition. An error says, in words for people, why it cannot be asked.
func (c *Condition) Holds(ctx context.Context, f Facts) (bool, error) {
	steps := map[string]*Step{}
	for name, s := range f.Steps {
		if s.Outputs == nil {
			s.Outputs = map[string]string{}
		}
		steps[name] = &s
	}
	if f.Env == nil {
		f.Env = map[string]string{}
	}
	value, _, err := c.program.ContextEval(ctx, map[string]any{
		"event": f.Event, "branch": f.Branch, "base": f.Base, "default_branch": f.DefaultBranch, "commit": f.Commit, "title": f.Title,
		"repository": f.Repository, "actor": f.Actor, "trust": f.Trust, "pull": f.Pull, "fork": f.Fork, "env": f.Env, "changed": f.Changed,
		"steps": steps, failed: f.Failed,
	})
	if err != nil {
		return false, err
	}
	holds, ok := value.Value().(bool)
	if !ok {
		return false, errors.New("it is neither true nor false")
	}
	return holds, nil
}
