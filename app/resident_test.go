package app

import (
	"os"
	"reflect"
	"testing"
)

func TestOnlyMappingsThatHoldNothingOfTheirOwnAreGivenBack(t *testing.T) {
	t.Parallel()
	const smaps = `00400000-01bb4000 r-xp 00000000 fe:00 42 /usr/bin/conveyor
Rss:               17932 kB
Anonymous:             0 kB
01bb4000-0380a000 r--p 01bb4000 fe:00 42 /usr/bin/conveyor
Anonymous:             4 kB
0380a000-038cb000 rw-p 0340a000 fe:00 42 /usr/bin/conveyor
Anonymous:             0 kB
038cb000-038cc000 r--p 00000000 fe:00 42 /usr/bin/conveyor
Anonymous:             0 kB
038cc000-038cd000 r--p 00000000 fe:00 43 /usr/bin/other
Anonymous:             0 kB
038cd000-038ce000 r-xp 00000000 fe:00 42 /usr/bin/conveyor (deleted)
Anonymous:             0 kB
c000000000-c000400000 rw-p 00000000 00:00 0
Anonymous:          2048 kB
`
	want := [][2]uintptr{{0x400000, 0x1bb4000}, {0x38cb000, 0x38cc000}}
	if got := cleanMappings(smaps, "/usr/bin/conveyor"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// After it the program goes on: what is taken away here is mapped again as soon as it is touched.
func TestTheProgramGoesOnWhenItsPagesWereGivenBack(t *testing.T) {
	t.Parallel()
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	if len(cleanMappings(string(table), self)) == 0 {
		t.Fatal("nothing would be given back")
	}
	for range 3 {
		giveBack()
	}
}
