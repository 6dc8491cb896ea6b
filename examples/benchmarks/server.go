package main

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// server is the process of an engine that has one. It listens on the loopback
// interface only.
type server struct {
	cmd    *exec.Cmd
	log    *bytes.Buffer
	ended  chan error
	dir    string // its files
	addr   string // host and port, or ""
	socket string // or ""
}

// serve starts a server, and waits until it answers.
func serve(s *server, program string, args ...string) (*server, error) {
	s.log = &bytes.Buffer{}
	s.ended = make(chan error, 1)
	s.cmd = exec.Command(program, args...)
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Dir = s.log, s.log, s.dir
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.ended <- s.cmd.Wait() }()
	network, at := "tcp", s.addr
	if at == "" {
		network, at = "unix", s.socket
	}
	for give := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial(network, at)
		if err == nil {
			conn.Close()
			return s, nil
		}
		select {
		case err := <-s.ended:
			return nil, fmt.Errorf("%s: %v: %s", program, err, strings.TrimSpace(s.log.String()))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(give) {
			s.cmd.Process.Kill()
			<-s.ended
			return nil, fmt.Errorf("%s does not answer: %w", program, err)
		}
	}
}

// stop ends the server.
func (s *server) stop() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
		s.cmd.Process.Kill()
		<-s.ended
	}
}

// freePort returns a port of the loopback interface that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// notFound says why a program's engine is left out, or "" if it is there.
func notFound(program, debian string) string {
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Sprintf("`%s` is not installed (Debian's package is %s)", program, debian)
	}
	return ""
}

var versionPattern = regexp.MustCompile(`[0-9]+(\.[0-9]+)+`)

// versionOf returns the version that a program prints, or "".
func versionOf(program string) string {
	out, err := exec.Command(program, "--version").CombinedOutput()
	if err != nil {
		return ""
	}
	return versionPattern.FindString(string(out))
}

func socketIn(dir string) string { return filepath.Join(dir, "socket") }
