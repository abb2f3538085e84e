package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/secret"
	"github.com/conveyor-ci/conveyor/pipeline/secret/age"
)

func TestTheDoctorLooksWhetherSecretsCanBeRead(t *testing.T) {
	t.Parallel()
	c := Config{DataDir: t.TempDir()}
	if found := secretsFinding(c); found != nil {
		t.Errorf("%+v", found)
	}
	if err := Secrets(c).Set(age.Entry{Name: "TOKEN", Scope: age.Scope{Repository: 7}}, secret.New("word")); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(c.DataDir, "secrets", "key.txt")
	if found := secretsFinding(c); len(found) != 1 || found[0].Level != Warning || !strings.Contains(found[0].Fix, "CONVEYOR_SECRETS_KEY_FILE") {
		t.Errorf("%+v", found)
	}
	c.SecretsKeyFile = filepath.Join(t.TempDir(), "key")
	if found := secretsFinding(c); len(found) != 1 || found[0].Level != Failed {
		t.Errorf("%+v", found)
	}
	if err := os.Rename(key, c.SecretsKeyFile); err != nil {
		t.Fatal(err)
	}
	if found := secretsFinding(c); len(found) != 1 || found[0].Level != OK {
		t.Errorf("%+v", found)
	}
}
