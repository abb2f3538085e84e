package slow

import "testing"

func TestStuck(t *testing.T) {
	<-make(chan int)
}
