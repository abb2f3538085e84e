package app

import (
	"strings"
	"testing"
)

func TestSettingsOfImagesThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	good := Config{
		Images: "on", ImageRegistries: []string{"ghcr.io", "localhost:5000", "http://registry.example"}, ImageDirs: []string{"/srv/images"}, ImageAuthFile: "/etc/conveyor/docker.json",
		ImageMirrors: []string{"docker.io=mirror.example:5000", "ghcr.io=http://mirror.example/ghcr"}, ImageMaxBytes: 1, ImageStoreBytes: 1,
	}
	for _, c := range []Config{{}, good} {
		if problems := c.checkImages(); len(problems) > 0 {
			t.Errorf("%q", problems)
		}
	}
	for name, spoil := range map[string]func(*Config){
		"CONVEYOR_IMAGES ": func(c *Config) { c.Images = "yes" }, "CONVEYOR_IMAGE_REGISTRIES": func(c *Config) { c.ImageRegistries = []string{"ghcr.io/octo"} },
		"CONVEYOR_IMAGE_MIRRORS": func(c *Config) { c.ImageMirrors = []string{"mirror.example:5000"} }, "CONVEYOR_IMAGE_DIRS": func(c *Config) { c.ImageDirs = []string{"/"} },
		"CONVEYOR_IMAGE_AUTH_FILE": func(c *Config) { c.ImageAuthFile = "docker.json" }, "CONVEYOR_IMAGE_MAX_BYTES": func(c *Config) { c.ImageMaxBytes = -1 },
	} {
		c := good
		spoil(&c)
		if problems := c.checkImages(); len(problems) != 1 || !strings.HasPrefix(problems[0], name) {
			t.Errorf("%s: %q", name, problems)
		}
	}
}
