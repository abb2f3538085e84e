package sandboxtest

// own are the ways out that a kernel of the step's own goes with it, among the step's own processes. None of them leads to
// this machine; they are not tried there, for some only end the one who tries.
var own = map[string]bool{
	"a user namespace": true, "a user and a network namespace": true, "clone3": true, "join a namespace": true,
	"be traced": true, "read another's memory": true, "write another's memory": true, "take another's file": true,
	"read a keyring": true, "request a key": true, "count events": true, "read the kernel's log": true,
	"open a file by its number": true, "type into a terminal": true, "type into a terminal past the filter": true,
	"paste into a console": true, "its place in the out-of-memory order": true,
}
