package main

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// serve serves a folder on a free port of the loopback interface, until stop.
func serve(folder string) (root *url.URL, stop func(), err error) {
	info, err := os.Stat(folder)
	if err != nil {
		return nil, nil, err
	}
	if !info.IsDir() {
		return nil, nil, fmt.Errorf("%s is neither a folder nor a URL", folder)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	s := &http.Server{Handler: http.FileServer(http.Dir(folder)), ReadHeaderTimeout: 10 * time.Second}
	go s.Serve(l)
	return &url.URL{Scheme: "http", Host: l.Addr().String()}, func() { s.Close() }, nil
}
