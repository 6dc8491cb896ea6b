package django_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/django"
	"github.com/go-diskcache/diskcache/codec"
	"github.com/go-diskcache/diskcache/deque"
)

var ctx = context.Background()

// tempDir stands for the LOCATION of the site's cache.
func tempDir() string {
	dir, err := os.MkdirTemp("", "django-example-")
	check(err)
	return dir
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func Example() {
	dir := tempDir()
	defer os.RemoveAll(dir)

	c, err := django.Open[string](ctx, dir, &django.Options[string]{KeyPrefix: "shop"})
	check(err)
	defer c.Close()

	check(c.Set(ctx, "greeting", "Hello"))                       // cache.set("greeting", "Hello")
	check(c.Set(ctx, "motto", "Go", cache.NoExpiry()))           // cache.set("motto", "Go", None)
	check(c.Set(ctx, "news", "none", cache.TTL(10*time.Second))) // cache.set("news", "none", 10)
	check(c.Version(2).Set(ctx, "greeting", "Hi"))               // cache.set("greeting", "Hi", version=2)
	v, ok, err := c.Get(ctx, "greeting")                         // cache.get("greeting")
	fmt.Println(v, ok, err)
	fmt.Println(c.Key("greeting"), c.Version(2).Key("greeting"))
	// Output:
	// Hello true <nil>
	// shop:1:greeting shop:2:greeting
}

// A site that keeps its sessions in a cache with JSONDisk, and a Go server that knows who
// is logged in:
//
//	SESSION_ENGINE = "django.contrib.sessions.backends.cache"
//	SESSION_CACHE_ALIAS = "shared"
func ExampleOpen_jsonDisk() {
	dir := tempDir()
	defer os.RemoveAll(dir)

	type Session struct {
		UserID string `json:"_auth_user_id"`
	}
	sessions, err := django.Open(ctx, dir, &django.Options[Session]{
		Keys:   codec.Zlib(codec.JSON[string](), 1),
		Values: codec.Zlib(codec.JSON[Session](), 1),
	})
	check(err)
	defer sessions.Close()

	user := func(r *http.Request) (string, error) {
		cookie, err := r.Cookie("sessionid")
		if err != nil {
			return "", err
		}
		s, _, err := sessions.Get(r.Context(), "django.contrib.sessions.cache"+cookie.Value)
		return s.UserID, err
	}

	check(sessions.Set(ctx, "django.contrib.sessions.cachek7x", Session{UserID: "42"})) // as Django does
	r, _ := http.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: "sessionid", Value: "k7x"})
	fmt.Println(user(r))
	// Output: 42 <nil>
}

// A directory is opened once for each type of its values. What one transaction is to
// change together is in one store.
func ExampleNew() {
	dir := tempDir()
	defer os.RemoveAll(dir)

	texts, err := django.Open[string](ctx, dir, nil)
	check(err)
	defer texts.Close()
	numbers, err := django.New[int](ctx, texts.Cache().Store(), nil)
	check(err)
	check(numbers.Set(ctx, "visits", 41))
	check(texts.Cache().Update(ctx, func(tx *cache.Tx) error {
		if err := texts.In(tx).Set(ctx, "last", "/about"); err != nil {
			return err
		}
		_, err := django.Incr(ctx, numbers.In(tx), "visits", 1)
		return err
	}))
	fmt.Println(numbers.Get(ctx, "visits"))
	_, _, err = numbers.Get(ctx, "last")
	fmt.Println(errors.Is(err, cache.ErrCodecMismatch))
	// Output:
	// 42 true <nil>
	// true
}

// A server behind nginx leaves it to that to send a file. This is for
//
//	location /cached/ { internal; alias /var/cache/site/; }
//
// where nginx may read the directory.
func ExampleCache_OpenValue() {
	dir := tempDir()
	defer os.RemoveAll(dir)

	media, err := django.Open[[]byte](ctx, dir, nil)
	check(err)
	defer media.Close()
	check(media.SetFrom(ctx, "/cat.jpg", strings.NewReader("a picture"))) // always a file

	serve := func(w http.ResponseWriter, r *http.Request) {
		f, ok, err := media.OpenValue(r.Context(), r.URL.Path)
		switch {
		case err != nil:
			http.Error(w, "the cache fails", http.StatusInternalServerError)
			return
		case !ok:
			http.NotFound(w, r)
			return
		}
		defer f.Close()
		w.Header().Set("Content-Type", "image/jpeg")
		path, err := filepath.Rel(media.Cache().Store().Dir(), f.Name())
		if f.Name() == "" || err != nil { // it is in the database
			http.ServeContent(w, r, "", f.Stored, f)
			return
		}
		w.Header().Set("X-Accel-Redirect", "/cached/"+filepath.ToSlash(path))
	}
	http.HandleFunc("/media/", serve)
}

// DjangoCache's cache(name), deque(name) and index(name) are collections of its store.
func ExampleCache_Cache() {
	dir := tempDir()
	defer os.RemoveAll(dir)

	c, err := django.Open[string](ctx, dir, nil)
	check(err)
	defer c.Close()
	jobs, err := deque.New[string](ctx, c.Cache().Store(), "jobs", nil) // cache.deque("jobs")
	check(err)
	check(jobs.PushBack(ctx, "resize cat.jpg"))
	fmt.Println(jobs.Len(ctx))

	check(c.Set(ctx, "k", "v", cache.Tag("animals")))
	fmt.Println(c.Cache().Evict(ctx, cache.Tag("animals"))) // cache.evict("animals")
	// Output:
	// 1 <nil>
	// 1 <nil>
}

func ExampleTimeout() {
	dir := tempDir()
	defer os.RemoveAll(dir)

	c, err := django.Open(ctx, dir, &django.Options[string]{Timeout: cache.NoExpiry()}) // 'TIMEOUT': None
	check(err)
	defer c.Close()
	check(c.Set(ctx, "k", "v"))
	ok, err := c.Touch(ctx, "k", django.Timeout(0)) // cache.touch("k", 0)
	fmt.Println(ok, err)
	fmt.Println(c.Contains(ctx, "k"))
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleIncr() {
	dir := tempDir()
	defer os.RemoveAll(dir)

	c, err := django.Open[int](ctx, dir, nil)
	check(err)
	defer c.Close()
	_, err = django.Incr(ctx, c, "n", 1)
	fmt.Println(errors.Is(err, cache.ErrNotFound))
	check(c.Set(ctx, "n", 1))
	fmt.Println(django.Incr(ctx, c, "n", 1))
	// Output:
	// true
	// 2 <nil>
}

func ExampleCache_IncrVersion() {
	dir := tempDir()
	defer os.RemoveAll(dir)

	c, err := django.Open[string](ctx, dir, nil)
	check(err)
	defer c.Close()
	check(c.Set(ctx, "k", "v"))
	version, err := c.IncrVersion(ctx, "k", 1)
	fmt.Println(version, err)
	fmt.Println(c.Version(version).Get(ctx, "k"))
	// Output:
	// 2 <nil>
	// v true <nil>
}
