// Command sigstore proves bundles with Sigstore's own library, so that tests can tell whether others believe what Conveyor
// signs, and refuse what it refuses. It is a module of its own: nothing of it is in the product.
//
//	sigstore -key provenance.pub -digest HEX BUNDLE...
//
// It prints a line for each bundle, "ok" or why not, and exits with 1 when one was refused.
package main

import (
	"crypto"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

func main() {
	key := flag.String("key", "", "file with the public key, in PEM form")
	digest := flag.String("digest", "", "SHA-256 of the artifact, in hex")
	flag.Parse()
	verifier, err := open(*key)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	sum, err := hex.DecodeString(*digest)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	code := 0
	for _, name := range flag.Args() {
		if err := prove(verifier, name, sum); err != nil {
			code = 1
			fmt.Printf("refused: %.200q\n", err.Error())
			continue
		}
		fmt.Println("ok")
	}
	os.Exit(code)
}

func open(file string) (*verify.Verifier, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(data)
	if err != nil {
		return nil, err
	}
	loaded, err := signature.LoadVerifier(public, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	always := root.NewExpiringKey(loaded, time.Time{}, time.Time{})
	trusted := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return always, nil })
	return verify.NewVerifier(trusted, verify.WithNoObserverTimestamps())
}

func prove(v *verify.Verifier, name string, sum []byte) error {
	b, err := bundle.LoadJSONFromPath(name)
	if err != nil {
		return err
	}
	result, err := v.Verify(b, verify.NewPolicy(verify.WithArtifactDigest("sha256", sum), verify.WithKey()))
	if err != nil {
		return err
	}
	if result.Statement == nil || result.Statement.PredicateType != "https://slsa.dev/provenance/v1" {
		return errors.New("it holds no SLSA provenance")
	}
	return nil
}
