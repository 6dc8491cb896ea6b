package django_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/django"
)

// nginxConf sends /site/ to a Django site and /go/ to a Go server. Both leave it to nginx
// to send a file of the cache. It takes a directory for nginx, that of the cache, and the
// addresses of both.
const nginxConf = `
daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr warn;
events { }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen unix:%[1]s/socket;
		location /site/ { proxy_pass %[3]s; }
		location /go/ { proxy_pass %[4]s; }
		location /cached/ { internal; alias %[2]s/; }
	}
}
`

// startNginx returns a client of an nginx that ends with the test. It listens on a Unix
// socket: nobody else can have taken that.
func startNginx(t *testing.T, cacheDir, site, server string) *http.Client {
	t.Helper()
	const nginx = "/usr/sbin/nginx"
	if _, err := os.Stat(nginx); err != nil {
		t.Skip("nginx is not installed: apt-get install nginx")
	}
	dir, err := os.MkdirTemp("", "nginx-") // whose name is short, as that of a socket is
	ok(t, err)
	t.Cleanup(func() { ok(t, os.RemoveAll(dir)) })
	conf := filepath.Join(dir, "conf")
	ok(t, os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, cacheDir, site, server), 0o600))
	cmd := exec.Command(nginx, "-p", dir, "-c", conf, "-e", "stderr")
	var log strings.Builder
	cmd.Stderr = &log
	ok(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil || t.Failed() {
			t.Errorf("nginx: %v: %s", err, log.String())
		}
	})
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(dir, "socket"))
	}
	for {
		conn, err := dial(t.Context(), "", "")
		if err == nil {
			conn.Close()
			break
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx does not start: %v: %s", err, log.String())
		case <-time.After(5 * time.Millisecond): // it is going to listen, or to end
		}
	}
	transport := &http.Transport{DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// A Go server and a Django site have nginx send files of the cache, which either of them
// has stored.
func TestNginx(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	ctx := t.Context()
	media := open(t, s.dir, &django.Options[[]byte]{KeyPrefix: "site"})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, found, err := media.OpenValue(r.Context(), "media/"+strings.TrimPrefix(r.URL.Path, "/go/"))
		if err != nil || !found {
			http.Error(w, fmt.Sprint(err), http.StatusNotFound)
			return
		}
		defer f.Close()
		path, err := filepath.Rel(media.Cache().Store().Dir(), f.Name())
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("X-Accel-Redirect", "/cached/"+filepath.ToSlash(path))
	}))
	defer server.Close()
	client := startNginx(t, s.dir, s.url, server.URL)

	big := strings.Repeat("from Go ", 10_000)
	ok(t, media.SetFrom(ctx, "media/go", strings.NewReader(big)))
	s.run("cache.set('media/python', __import__('io').BytesIO(b'from Python'), read=True)")
	for path, want := range map[string]string{
		"/go/go": big, "/site/go": big,
		"/go/python": "from Python", "/site/python": "from Python",
	} {
		if body := get(t, client, "http://nginx"+path); body != want {
			t.Errorf("%s: %d bytes, %.20q", path, len(body), body)
		}
	}
	// It is nginx that has sent them, which does parts of a file by itself, too.
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://nginx/go/go", nil)
	r.Header.Set("Range", "bytes=0-3")
	part, err := client.Do(r)
	ok(t, err)
	part.Body.Close()
	equal(t, part.StatusCode, http.StatusPartialContent)
	equal(t, part.Header.Get("Content-Range"), fmt.Sprintf("bytes 0-3/%d", len(big)))
	if !strings.HasPrefix(part.Header.Get("Server"), "nginx") || part.Header.Get("X-Accel-Redirect") != "" {
		t.Errorf("%v", part.Header)
	}
	// Nobody gets at files by their names.
	f, _, err := media.OpenValue(ctx, "media/go")
	ok(t, err)
	defer f.Close()
	path, err := filepath.Rel(s.dir, f.Name())
	ok(t, err)
	for _, path := range []string{"/cached/" + filepath.ToSlash(path), "/go/none", "/site/none"} {
		r, err := client.Get("http://nginx" + path)
		ok(t, err)
		r.Body.Close()
		equal(t, r.StatusCode, http.StatusNotFound)
	}
}
