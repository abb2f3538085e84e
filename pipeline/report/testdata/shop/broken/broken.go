package broken

import "os"

func Broken() int {
	return undefinedThing
}
