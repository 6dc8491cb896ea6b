package main

import (
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// site is what is crawled.
type site struct {
	name  string   // stays the same from run to run
	root  *url.URL // scheme and host
	first string   // path to begin with
	pause time.Duration
	close func()
}

// siteOf makes a site of the argument, a folder or a URL.
func siteOf(arg string) (*site, error) {
	if strings.HasPrefix(arg, "http://") || strings.HasPrefix(arg, "https://") {
		u, err := url.Parse(arg)
		if err != nil {
			return nil, err
		}
		if u.Host == "" || u.User != nil {
			return nil, errors.New("a URL with a host and without a user is wanted")
		}
		root := origin(u)
		return &site{name: root.String(), root: root, first: pathOf(u), pause: time.Second, close: func() {}}, nil
	}
	if arg == "" {
		out, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			return nil, fmt.Errorf("no folder given, and no documentation of Go found: %w", err)
		}
		arg = filepath.Join(strings.TrimSpace(string(out)), "doc")
	}
	folder, err := filepath.Abs(arg)
	if err != nil {
		return nil, err
	}
	root, stop, err := serve(folder)
	if err != nil {
		return nil, err
	}
	return &site{name: folder, root: root, first: "/", close: stop}, nil
}

// at returns the URL of a page. The path comes from the site's own pages and may
// look like a reference to another host, such as "//host/x", so that it is not
// resolved but put behind the host.
func (s *site) at(path string) (*url.URL, error) {
	u, err := url.ParseRequestURI(path)
	if err != nil || !strings.HasPrefix(u.Path, "/") || u.Host != "" {
		return nil, fmt.Errorf("%q is not the path of a page", path)
	}
	return &url.URL{Scheme: s.root.Scheme, Host: s.root.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}, nil
}

// within returns the path of a page, and whether it belongs to the same site as
// another one.
func within(u, page *url.URL) (path string, ok bool) {
	if u.Opaque != "" || u.User != nil || u.Host == "" {
		return "", false
	}
	a, b := origin(u), origin(page)
	return pathOf(u), a.Scheme == b.Scheme && a.Host == b.Host
}

// origin returns the scheme and the host of a URL, each written in one way.
func origin(u *url.URL) *url.URL {
	host := strings.ToLower(u.Host)
	if port := defaultPort[u.Scheme]; port != "" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.TrimSuffix(host, ":")}
}

var defaultPort = map[string]string{"http": "80", "https": "443"}

// pathOf returns what a page is called within its site.
func pathOf(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return path
}
