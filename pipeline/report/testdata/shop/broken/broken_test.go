package broken

import "testing"

func TestBroken(t *testing.T) { Broken(1, 2) }
