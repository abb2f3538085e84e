package github

import "context"

// Class says how much someone waits for a call. When not everything may be asked at once, the higher class goes first.
type Class int

// The classes, the least urgent first: a call that says nothing of itself can wait.
const (
	Background Class = iota
	Progress         // that something has begun, or goes on
	Conclusion       // how something ended, and what the work itself waits for
	Reply            // what a person has just asked
	classes
)

// Classes are all of them, for those who count by class.
func Classes() []Class { return []Class{Background, Progress, Conclusion, Reply} }

// String is the class as metrics name it.
func (c Class) String() string {
	return [...]string{"background", "progress", "conclusion", "reply"}[c]
}

// share is how much of a budget a class may use up. The last fifth is kept for people's answers, and the fifth before it
// for how things ended.
func (c Class) share(limit int) int {
	return limit * [...]int{2, 3, 4, 5}[c] / 5
}

type classKey struct{}

// As says of which class the calls are that are made with the context.
func As(ctx context.Context, c Class) context.Context { return context.WithValue(ctx, classKey{}, c) }

func classOf(ctx context.Context) Class {
	c, _ := ctx.Value(classKey{}).(Class)
	return c
}
