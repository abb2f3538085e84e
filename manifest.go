// Package conveyor holds what the binary takes from the top of the project: the App's manifest, so that what is
// registered, what is proven and what people read is one file.
package conveyor

import _ "embed"

// Manifest is manifest.yml.
//
//go:embed manifest.yml
var Manifest []byte
