// Package box holds the parts of a step's box that are the same whichever runtime on this machine puts it together: the
// filter of system calls, what is masked of /proc, the watch on the disk, folders that are shown, the wait for services, the
// folder by which the next server knows what a killed one has left, and the listener in the box's network that is its way
// out. It starts no step, and knows no runtime.
package box
