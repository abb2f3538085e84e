package store

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/image"
	"github.com/conveyor-ci/conveyor/test/images"
)

const first = 100000

// bounds are limits in the making.
type bounds struct{ bytes, entries int64 }

// laid unpacks a layer beside a folder that nothing may touch.
func laid(t *testing.T, l bounds, entries ...images.Entry) (dir string, size int64, err error) {
	t.Helper()
	top := t.TempDir()
	dir = filepath.Join(top, "fs")
	outside := filepath.Join(top, "outside")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Mkdir(outside, 0o755), os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if l.bytes == 0 {
		l.bytes = 1 << 30
	}
	if l.entries == 0 {
		l.entries = 1000
	}
	a, err := unpack(dir, bytes.NewReader(images.Archive(t, entries...)), first, newLimits(l.bytes, l.entries))
	size = a.Size
	if got, err := os.ReadFile(filepath.Join(outside, "secret")); err != nil || string(got) != "secret" {
		t.Errorf("what is outside was changed: %q, %v", got, err)
	}
	if all := images.Tree(t, top); slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, "outside/") && !strings.HasSuffix(s, "outside/secret") }) {
		t.Errorf("something was made outside: %q", all)
	}
	return dir, size, err
}

func kindOf(typeflag byte, to string) func(*tar.Header) {
	return func(h *tar.Header) { h.Typeflag, h.Linkname, h.Size = typeflag, to, 0 }
}

func withMode(mode int64) func(*tar.Header) { return func(h *tar.Header) { h.Mode = mode } }

func TestALayerThatReachesOutIsRefusedAndTouchesNothing(t *testing.T) {
	t.Parallel()
	for name, entries := range map[string][]images.Entry{
		"a name above":                   {{Name: "../outside/made", Text: "x"}},
		"a name above, deep":             {{Name: "a/b/"}, {Name: "a/b/../../../outside/made", Text: "x"}},
		"a whiteout of what is above":    {{Name: ".wh...", Text: ""}},
		"a whiteout of nothing":          {{Name: ".wh.", Text: ""}},
		"a whiteout of its folder":       {{Name: "a/.wh..", Text: ""}},
		"through an absolute link":       {{Name: "a", To: "/tmp"}, {Name: "a/made", Text: "x"}},
		"through a relative link":        {{Name: "a", To: "../outside"}, {Name: "a/made", Text: "x"}},
		"through a link within":          {{Name: "b/"}, {Name: "a", To: "b"}, {Name: "a/made", Text: "x"}},
		"a folder through a link":        {{Name: "a", To: "../outside"}, {Name: "a/made/"}},
		"a whiteout through a link":      {{Name: "a", To: "../outside"}, {Name: "a/.wh.secret"}},
		"opaque through a link":          {{Name: "a", To: "../outside"}, {Name: "a/.wh..wh..opq"}},
		"a hard link outside":            {{Name: "a", Header: kindOf(tar.TypeLink, "../outside/secret")}},
		"a hard link to an absolute one": {{Name: "a", Header: kindOf(tar.TypeLink, "/etc/passwd")}},
		"a hard link through a link":     {{Name: "l", To: "../outside"}, {Name: "a", Header: kindOf(tar.TypeLink, "l/secret")}},
		"a hard link to a folder":        {{Name: "d/"}, {Name: "a", Header: kindOf(tar.TypeLink, "d")}},
		"a hard link into its own place": {{Name: "d/"}, {Name: "d/f", Text: "x"}, {Name: "d", Header: kindOf(tar.TypeLink, "d/f")}},
		"below a file":                   {{Name: "a", Text: "x"}, {Name: "a/b", Text: "x"}},
		"a name that is too long":        {{Name: strings.Repeat("n", 300), Text: "x"}},
		"a path that is too deep":        {{Name: strings.Repeat("d/", 300) + "f", Text: "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := laid(t, bounds{}, entries...); !errors.Is(err, image.ErrRefused) {
				t.Errorf("it was not refused: %v", err)
			}
		})
	}
}

func TestALinkIsReplacedAndNotWrittenThrough(t *testing.T) {
	t.Parallel()
	for name, entries := range map[string][]images.Entry{
		"by a file":      {{Name: "a", To: "../outside/secret"}, {Name: "a", Text: "x"}},
		"by a folder":    {{Name: "a", To: "../outside"}, {Name: "a/"}, {Name: "a/made", Text: "x"}},
		"by a hard link": {{Name: "f", Text: "x"}, {Name: "a", To: "../outside/secret"}, {Name: "a", Header: kindOf(tar.TypeLink, "f")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _, err := laid(t, bounds{}, entries...)
			if err != nil {
				t.Fatal(err)
			}
			if st, err := os.Lstat(filepath.Join(dir, "a")); err != nil || st.Mode().Type() == fs.ModeSymlink {
				t.Errorf("%v, %v", st, err)
			}
		})
	}
}

func TestRightsAndOrdersToTheKernelAreLeftOut(t *testing.T) {
	t.Parallel()
	attrs := func(h *tar.Header) {
		h.Mode, h.Uid, h.Gid = 0o6755, 0, 7
		h.PAXRecords = map[string]string{
			"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\xff", "SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.user.overlay.opaque": "y", "SCHILY.xattr.user.mine": "kept",
		}
	}
	dir, _, err := laid(t, bounds{},
		images.Entry{Name: "su", Text: "#!", Header: attrs}, images.Entry{Name: "d/", Header: attrs}, images.Entry{Name: "t/", Header: withMode(0o1777)},
		images.Entry{Name: "far", Text: "x", Header: func(h *tar.Header) { h.Uid, h.Gid = 1<<30, 65536 }},
		images.Entry{Name: "disk", Header: func(h *tar.Header) { h.Typeflag, h.Size, h.Devmajor = tar.TypeBlock, 0, 8 }},
		images.Entry{Name: "null", Header: kindOf(tar.TypeChar, "")}, images.Entry{Name: "pipe", Header: kindOf(tar.TypeFifo, "")},
	)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][3]uint32{"su": {0o100755, first, first + 7}, "d": {0o40755, first, first + 7}, "t": {0o41777, first, first}, "far": {0o100644, first + nobody, first + nobody}} {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, name), &st); err != nil || [3]uint32{st.Mode, st.Uid, st.Gid} != want {
			t.Errorf("%s: %o %d %d, want %v: %v", name, st.Mode, st.Uid, st.Gid, want, err)
		}
	}
	for _, name := range []string{"su", "d"} {
		list := make([]byte, 1000)
		n, err := unix.Llistxattr(filepath.Join(dir, name), list)
		if err != nil || string(list[:n]) != "user.mine\x00" {
			t.Errorf("%s has the attributes %q, %v", name, list[:max(n, 0)], err)
		}
	}
	for _, name := range []string{"disk", "null", "pipe"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was made: %v", name, err)
		}
	}
}

func TestLimitsEndALayer(t *testing.T) {
	t.Parallel()
	many := make([]images.Entry, 1001)
	for i := range many {
		many[i] = images.Entry{Name: "same/"}
	}
	for name, c := range map[string]struct {
		limits  bounds
		entries []images.Entry
	}{
		"entries":      {bounds{entries: 1000}, many},
		"one file":     {bounds{bytes: 99}, []images.Entry{{Name: "a", Text: strings.Repeat("x", 100)}}},
		"all together": {bounds{bytes: 150}, []images.Entry{{Name: "a", Text: strings.Repeat("x", 100)}, {Name: "b", Text: strings.Repeat("x", 51)}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := laid(t, c.limits, c.entries...); !errors.Is(err, image.ErrRefused) {
				t.Errorf("%v", err)
			}
		})
	}
	if _, size, err := laid(t, bounds{bytes: 100, entries: 1}, images.Entry{Name: "a", Text: strings.Repeat("x", 100)}); err != nil || size != 100 {
		t.Errorf("what is just within the limits: %d, %v", size, err)
	}
}

func TestAnArchiveThatIsNoneIsRefusedAndOneThatEndsEarlyIsTriedAgain(t *testing.T) {
	t.Parallel()
	whole := images.Archive(t, images.Entry{Name: "a", Text: strings.Repeat("x", 5000)})
	if _, err := unpack(t.TempDir(), strings.NewReader(strings.Repeat("no archive at all ", 100)), first, newLimits(1<<20, 10)); !errors.Is(err, image.ErrRefused) {
		t.Errorf("%v", err)
	}
	if _, err := unpack(t.TempDir(), bytes.NewReader(whole[:3000]), first, newLimits(1<<20, 10)); err == nil || errors.Is(err, image.ErrRefused) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}

// bomb is an archive of one file of zeros: so large when it is unpacked, and a thousandth of it before.
func bomb(t *testing.T, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	err := w.WriteHeader(&tar.Header{Name: "zeros", Typeflag: tar.TypeReg, Mode: 0o644, Size: size})
	if err == nil {
		_, err = io.CopyN(w, zeros{}, size)
	}
	if err := errors.Join(err, w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
