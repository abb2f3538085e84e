package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// dial speaks to registries. A plan chooses whom it speaks to, and so does a registry that sends elsewhere; addresses
// that only this machine or its network can reach are open to neither, but where the operator names the host.
func dial(o Options) *http.Transport {
	var trusted sync.Map // host:port
	trust := func(host string) {
		if host = hostOf(host); host == "docker.io" {
			return // public, like all that is not named
		}
		for _, port := range []string{"", ":443", ":80"} {
			trusted.Store(host+port, true)
		}
	}
	for _, host := range o.Registries {
		trust(host)
	}
	for _, mirrors := range o.Mirrors {
		for _, host := range mirrors {
			trust(host)
		}
	}
	plain := &net.Dialer{Timeout: 30 * time.Second}
	public := &net.Dialer{Timeout: 30 * time.Second, Control: func(_, address string, _ syscall.RawConn) error { return isPublic(address) }}
	return &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			proxy, err := http.ProxyFromEnvironment(r)
			if proxy != nil {
				trust(proxy.Host)
			}
			return proxy, err
		},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if _, ok := trusted.Load(address); ok {
				return plain.DialContext(ctx, network, address)
			}
			return public.DialContext(ctx, network, address)
		},
		ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2 * atOnce, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: time.Minute,
	}
}

// shared is the part of IPv4 that providers use within their own networks.
var shared = netip.MustParsePrefix("100.64.0.0/10")

func isPublic(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || shared.Contains(ip) {
		return refused("%s is an address of this machine or its network, and CONVEYOR_IMAGE_REGISTRIES does not name the host", ip)
	}
	return nil
}

// logins reads the operator's logins anew each time: they may be short-lived.
type logins string

// Resolve finds the login of a registry. Without one, nobody is logged in.
func (file logins) Resolve(target authn.Resource) (authn.Authenticator, error) {
	if file == "" {
		return authn.Anonymous, nil
	}
	f, err := os.Open(string(file))
	if err != nil {
		return nil, fmt.Errorf("the logins of registries cannot be read: %w", err)
	}
	all, err := config.LoadFromReader(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("the logins of registries in %s cannot be read", file) // what is in it is not for logs
	}
	for _, key := range []string{target.String(), target.RegistryStr()} {
		if key == name.DefaultRegistry {
			key = authn.DefaultAuthKey
		}
		login, err := all.GetAuthConfig(key)
		if err != nil {
			return nil, fmt.Errorf("the login of %s cannot be had: %s", target.RegistryStr(), strings.TrimSpace(err.Error()))
		}
		login.ServerAddress = "" // is always set, and says nothing
		if login != (types.AuthConfig{}) {
			return authn.FromConfig(authn.AuthConfig{
				Username: login.Username, Password: login.Password, Auth: login.Auth, IdentityToken: login.IdentityToken, RegistryToken: login.RegistryToken,
			}), nil
		}
	}
	return authn.Anonymous, nil
}
