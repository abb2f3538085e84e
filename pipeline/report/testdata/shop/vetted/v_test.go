package vetted

import "testing"

func TestSay(t *testing.T) { Say() }
