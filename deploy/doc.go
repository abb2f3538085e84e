// Package deploy decides what may go where, and when: environments in order, gates, approvals, promotions, rollbacks.
//
// There is one stream per repository. Order, supersession and "one deployment at a time in an environment" are decided
// by folding that stream, never by locks held in memory. Like pipeline, the package is pure: no I/O, no goroutine, no
// clock, no randomness; standard library and pipeline only. Gates fail shut: the zero value of everything is "no".
//
// Start reading at State and its two functions, Apply and Next; Gate and Decide are what the product is about.
package deploy
