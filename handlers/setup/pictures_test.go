package setup_test

import (
	"bytes"
	"context"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/conveyor-ci/conveyor/handlers/setup"
	"github.com/conveyor-ci/conveyor/test/browser"
)

// With UPDATE=1 the picture is taken anew. Look at it before it is committed.
func TestThePictureOfTheSetUpIsTakenAndSmall(t *testing.T) {
	t.Parallel()
	const name, width, height = "../../docs/images/setup-page.png", 1280, 960
	if os.Getenv("UPDATE") == "1" {
		b, link := open(t)
		b.register = func(string) (setup.Made, error) {
			return setup.Made{Slug: "shop-conveyor", URL: "https://github.com/apps/shop-conveyor"}, nil
		}
		p := browser.Start(t).Page(t, width, height)
		p.Open(link)
		p.Eval(`document.querySelector("form button").click()`, nil)
		p.Until(`document.querySelector("form[method=post]")`)
		var state string
		p.Eval(`new URL(document.querySelector("form[method=post]").action).searchParams.get("state")`, &state)
		b.pages.Live(func(context.Context) setup.Proof {
			return setup.Proof{Installed: true, Findings: []setup.Finding{
				{Name: "Required checks of octo/shop", Level: "failed", Says: "`conveyor / test` on `main` is taken from anyone: whoever can write a status can pass it.", Fix: "In the branch's protection or ruleset, choose `shop-conveyor` as the source of that check."},
				{Name: "Sandbox", Level: "ok", Says: "Steps are shut in by crun, at the level ns."},
				{Name: "Journal", Level: "ok", Says: "A write was made durable."},
				{Name: "Clock", Level: "ok", Says: "It agrees with GitHub's."},
				{Name: "App", Level: "ok", Says: "GitHub knows App 123456 as `shop-conveyor`, and takes its key."},
				{Name: "Permissions", Level: "ok", Says: "They are those of `manifest.yml`."},
				{Name: "Webhook round trip", Level: "ok", Says: "GitHub sent a `ping` at 09:14:31 UTC, and this server took it."},
				{Name: "Installation in octo", Level: "ok", Says: "The App may work in 3 repositories, with all that it asks for."},
			}}
		})
		p.Open(b.server.URL + "/setup/callback?code=c&state=" + state)
		p.Until(`document.querySelector(".findings")`)
		shot, err := png.Decode(bytes.NewReader(p.Picture()))
		if err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&packed, shot); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.FromSlash(name), packed.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	shot, err := png.DecodeConfig(bytes.NewReader(file))
	if err != nil || len(file) > 150_000 || shot.Width != width || shot.Height != height {
		t.Errorf("the picture is %d by %d, %d bytes, %v; want %d by %d, at most 150 kB", shot.Width, shot.Height, len(file), err, width, height)
	}
}
