package dashboard_test

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/test/browser"
)

// With UPDATE=1 the pictures are taken anew. Look at them before they are committed.
func TestThePicturesOfTheDocumentsAreTakenAndSmall(t *testing.T) {
	t.Parallel()
	pictures := []struct {
		file          string
		width, height int
	}{{"run-page.png", 1280, 960}, {"run-page-phone.png", 390, 844}}
	if os.Getenv("UPDATE") == "1" {
		s := newShop(t)
		s.now = time.Now().UTC().Add(-4 * time.Minute).Truncate(time.Second)
		s.define()
		run := green(s)
		server, b := s.serve(), browser.Start(t)
		for _, want := range pictures {
			p := b.Page(t, want.width, want.height)
			p.Open(server.URL + address(run))
			p.Until(`log.over && lines.last > 10 && !lines.queue.length`)
			must(t, os.WriteFile(filepath.Join("../../docs/images", want.file), smaller(t, p.Picture()), 0o644))
		}
	}
	for _, want := range pictures {
		file, err := os.ReadFile(filepath.Join("../../docs/images", want.file))
		must(t, err)
		shot, err := png.DecodeConfig(bytes.NewReader(file))
		must(t, err)
		if len(file) > 150_000 || shot.Width != want.width || shot.Height != want.height {
			t.Errorf("%s is %d by %d, %d bytes; want %d by %d, at most 150 kB", want.file, shot.Width, shot.Height, len(file), want.width, want.height)
		}
	}
}

// smaller packs a picture as tightly as PNG can.
func smaller(t *testing.T, file []byte) []byte {
	t.Helper()
	shot, err := png.Decode(bytes.NewReader(file))
	must(t, err)
	var packed bytes.Buffer
	must(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&packed, shot))
	if packed.Len() < len(file) {
		return packed.Bytes()
	}
	return file
}
