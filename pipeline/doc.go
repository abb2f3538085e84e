// Package pipeline is the pure heart of a run: what started it (Trigger), what was asked for (Plan), how far it came
// (State) and what the world is still owed (Next).
//
// It never touches the world: no I/O, no goroutine, no clock, no randomness. Times, names and answers come in as
// arguments and events, so that the same events always give the same state. It imports the standard library only.
//
// Start reading at State and its two functions, Apply and Next.
package pipeline
