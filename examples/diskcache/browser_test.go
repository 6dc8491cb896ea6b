package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// browser is a headless Chromium, driven by chromedriver over WebDriver's HTTP protocol.
type browser struct {
	t       *testing.T
	session string // its URL
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	driver, err := exec.LookPath("chromedriver")
	if err == nil {
		_, err = exec.LookPath("chromium")
	}
	if err != nil {
		t.Skip("there is no chromium with a chromedriver (Debian: chromium, chromium-driver)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	profile, err := os.MkdirTemp("", "chromium-") // not t.TempDir, which is removed while the browser runs
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(profile) }) // perhaps not all of it, as its processes end on their own
	c := exec.Command(driver, fmt.Sprintf("--port=%d", port))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, session: fmt.Sprintf("http://127.0.0.1:%d", port)}
	t.Cleanup(func() {
		if strings.Contains(b.session, "/session/") {
			b.call("DELETE", "", nil)
		}
		c.Process.Kill()
		c.Wait()
	})
	for start := time.Now(); ; { // it tells nobody when it listens
		res, err := http.Get(b.session + "/status")
		if err == nil {
			res.Body.Close()
			break
		}
		if time.Since(start) > time.Minute {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	args := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--disable-dev-shm-usage", "--user-data-dir=" + profile,
	}
	v := b.call("POST", "/session", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName":        "chrome",
		"goog:chromeOptions": map[string]any{"args": args},
		"goog:loggingPrefs":  map[string]string{"browser": "ALL"},
	}}})
	var s struct {
		SessionID string `json:"sessionId"`
	}
	if err := json.Unmarshal(v, &s); err != nil || s.SessionID == "" {
		t.Fatalf("no session: %s", v)
	}
	b.session += "/session/" + s.SessionID
	return b
}

func (b *browser) call(method, path string, body any) json.RawMessage {
	b.t.Helper()
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	r, err := http.NewRequest(method, b.session+path, in)
	if err != nil {
		b.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct{ Value json.RawMessage }
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		b.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %s: %s", method, path, out.Value)
	}
	return out.Value
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.call("POST", "/url", map[string]string{"url": url})
}

// run runs JavaScript, also where a page forbids it to others.
func (b *browser) run(script string) string {
	b.t.Helper()
	v := b.call("POST", "/execute/sync", map[string]any{"script": script, "args": []any{}})
	var s any
	if err := json.Unmarshal(v, &s); err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprint(s)
}

func (b *browser) text() string { b.t.Helper(); return b.run("return document.body.innerText") }

// click clicks what a CSS selector or, with kind "link text", the text of a link finds.
func (b *browser) click(kind, what string) {
	b.t.Helper()
	v := b.call("POST", "/element", map[string]string{"using": kind, "value": what})
	var e map[string]string
	if err := json.Unmarshal(v, &e); err != nil {
		b.t.Fatal(err)
	}
	for _, id := range e {
		b.call("POST", "/element/"+id+"/click", map[string]any{})
	}
}

// has waits until the page shows a text.
func (b *browser) has(text string) {
	b.t.Helper()
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		got := b.text()
		if strings.Contains(got, text) {
			return
		}
		if time.Since(start) > time.Minute {
			b.t.Fatalf("the page has no %q:\n%s", text, got)
		}
	}
}

// command sends one of DevTools' commands.
func (b *browser) command(cmd string, params map[string]any) json.RawMessage {
	b.t.Helper()
	return b.call("POST", "/goog/cdp/execute", map[string]any{"cmd": cmd, "params": params})
}

// size sets the size of the page, and light or dark.
func (b *browser) size(width, height int, scheme string) {
	b.t.Helper()
	b.command("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
	b.command("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}})
}

func (b *browser) screenshot(path string) {
	b.t.Helper()
	var s string
	if err := json.Unmarshal(b.call("GET", "/screenshot", nil), &s); err != nil {
		b.t.Fatal(err)
	}
	png, err := base64.StdEncoding.DecodeString(s)
	if err == nil {
		err = os.WriteFile(path, png, 0o666)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// TestScreenshots makes the pictures of the README, of a store that DISKCACHE_SCREENSHOTS
// names and into the directory that DISKCACHE_PICTURES names.
func TestScreenshots(t *testing.T) {
	store, into := os.Getenv("DISKCACHE_SCREENSHOTS"), os.Getenv("DISKCACHE_PICTURES")
	if store == "" {
		t.Skip("only on demand: DISKCACHE_SCREENSHOTS names a store")
	}
	b := startBrowser(t)
	url := startPage(t, "-values", "-write", store)
	for _, p := range []struct {
		name, path, scheme string
		width, height      int
	}{
		{"overview", "", "light", 1100, 850},
		{"overview-dark", "", "dark", 1100, 850},
		{"entries", "collection?name=cache/pages", "light", 1100, 640},
		{"queue", "queue?name=crawl", "dark", 1100, 640},
		{"locks", "locks", "light", 1100, 830},
		{"live", "live", "dark", 1100, 560},
		{"phone", "", "light", 390, 780},
		{"phone-entries", "collection?name=cache/pages", "dark", 390, 780},
	} {
		b.size(p.width, p.height, p.scheme)
		b.open(url + p.path)
		if p.name == "live" {
			time.Sleep(4 * time.Second) // for something to show
		}
		b.screenshot(filepath.Join(into, p.name+".png"))
	}
}

// startPage runs the command serve and returns the URL that it prints.
func startPage(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"serve", "-json", "-addr", "localhost:0"}, args...), nil, w, io.Discard)
		w.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if got := <-ended; got != exitInterrupted {
			t.Errorf("serve: exit status %d", got)
		}
	})
	var line struct{ URL string }
	if err := json.NewDecoder(r).Decode(&line); err != nil {
		t.Fatal(err)
	}
	return line.URL
}
