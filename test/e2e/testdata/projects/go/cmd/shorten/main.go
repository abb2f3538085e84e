// Command shorten prints the short name of an address.
package main

import (
	"flag"
	"fmt"
	"os"

	"example.com/shorten/link"
)

var version = "unknown"

func main() {
	show := flag.Bool("version", false, "print the version")
	flag.Parse()
	if *show {
		fmt.Println("shorten", version)
		return
	}
	for _, address := range flag.Args() {
		short, err := link.Short(address)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", address, err)
			os.Exit(1)
		}
		fmt.Printf("<p>%s is %s</p>\n", address, short)
	}
}
