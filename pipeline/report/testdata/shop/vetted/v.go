package vetted

import "fmt"

func Say() { fmt.Printf("%d\n", "x") }
