package oci

import (
	"os"
	"path/filepath"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// etcFolders are shown to steps as they are: programs do not work without them, and there is no secret in them.
var etcFolders = []string{
	"/etc/alternatives", "/etc/ca-certificates", "/etc/crypto-policies", "/etc/fonts", "/etc/java-*", "/etc/ld.so.conf.d",
	"/etc/perl", "/etc/pki/ca-trust", "/etc/pki/tls/certs", "/etc/python3*", "/etc/ssl/certs", "/etc/terminfo",
}

// etcCopied are taken over when they are there and everyone may read them.
var etcCopied = []string{
	"ca-certificates.conf", "host.conf", "ld.so.cache", "ld.so.conf", "localtime", "mime.types", "protocols", "services",
	"ssl/openssl.cnf", "timezone",
}

// maxEtcFile is far more than any of them has, in bytes; each run writes them into memory.
const maxEtcFile = 1 << 20

// etcFiles is the rest of a step's /etc. The names of this machine's users are not in it.
func etcFiles() []file {
	files := []file{
		{"passwd", []byte("root:x:0:0:root:/:/bin/sh\nbuild:x:1000:1000:build:" + homeDir + ":/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")},
		{"group", []byte("root:x:0:\ntty:x:5:\nbuild:x:1000:\nnogroup:x:65534:\n")},
		{"hosts", hosts(nil)},
		{"hostname", []byte(hostName + "\n")},
		{"nsswitch.conf", []byte("passwd: files\ngroup: files\nshadow: files\nhosts: files\nservices: files\nprotocols: files\n")},
	}
	for _, name := range etcCopied {
		path := filepath.Join("/etc", name)
		st, err := os.Stat(path)
		if err != nil || !st.Mode().IsRegular() || st.Mode().Perm()&0o004 == 0 || st.Size() > maxEtcFile {
			continue
		}
		if content, err := os.ReadFile(path); err == nil {
			files = append(files, file{name, content})
		}
	}
	return files
}

// hosts is the file by which a box knows itself and the services beside it.
func hosts(services []sandbox.Service) []byte {
	text := "127.0.0.1 localhost " + hostName + "\n::1 localhost\n"
	for _, v := range services {
		text += "127.0.0.1 " + v.Name + "\n"
	}
	return []byte(text)
}
