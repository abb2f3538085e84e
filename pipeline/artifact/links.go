package artifact

import (
	"fmt"
	"strings"
)

// checkLinks follows every link as the kernel would, through other links, and refuses one that could leave the folder
// or that leads nowhere but in circles. A target that is not part of the artifact is taken for a plain folder, so that
// "missing/../../x" is refused, too.
func checkLinks(files []File) error {
	links := make(map[string]string)
	for _, f := range files {
		if f.Link != "" {
			links[f.Path] = f.Link
		}
	}
	if len(links) == 0 {
		return nil
	}
	// Honest links take a few steps each. The bound is on all of them together, because a hostile manifest can make
	// each link walk through all others.
	steps := 10_000 + 64*len(files)
	for _, f := range files {
		if f.Link == "" {
			continue
		}
		if err := follow(f.Path, links, &steps); err != nil {
			return err
		}
	}
	return nil
}

// maxHops is how many links Linux follows in one path, path_resolution(7).
const maxHops = 40

func follow(path string, links map[string]string, steps *int) error {
	at, rest, hops := parentOf(path), links[path], 1
	if strings.HasPrefix(rest, "/") {
		return fmt.Errorf("%w: the link %q is absolute", ErrUnsafe, path)
	}
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if *steps--; *steps < 0 {
			return fmt.Errorf("%w: the links are too tangled to follow", ErrUnsafe)
		}
		switch name {
		case "", ".":
			continue
		case "..":
			if at == "" {
				return fmt.Errorf("%w: the link %q leads outside", ErrUnsafe, path)
			}
			at = parentOf(at)
			continue
		}
		next := name
		if at != "" {
			next = at + "/" + name
		}
		target, isLink := links[next]
		if !isLink {
			at = next
			continue
		}
		if hops++; hops > maxHops || len(rest) > 8*maxPath {
			return fmt.Errorf("%w: the link %q leads in circles", ErrUnsafe, path)
		}
		if strings.HasPrefix(target, "/") {
			return fmt.Errorf("%w: the link %q is absolute", ErrUnsafe, next)
		}
		rest = target + "/" + rest // relative to the folder that holds the link, which is where we are
	}
	return nil
}
