// Package link makes short names of long addresses.
package link

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"net/url"
	"strings"
)

// ErrAddress means that there is nothing to shorten.
var ErrAddress = errors.New("not an address of the web")

// Short is the name of an address: the same for the same one, always.
func Short(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", ErrAddress
	}
	u.Host = strings.ToLower(u.Host)
	sum := sha256.Sum256([]byte(u.String()))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5])), nil
}
