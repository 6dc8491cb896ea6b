//go:build unix

// Package pgtest runs PostgreSQL servers for tests, each with a directory and a Unix
// socket of its own, so that test programs which run at once do not meet.
package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Required is an environment variable: if it is not empty, tests fail where there is
// no PostgreSQL, and are not skipped.
const Required = "DISKCACHE_POSTGRES"

// ErrNone means that there is no PostgreSQL on this machine.
var ErrNone = errors.New("no PostgreSQL 15 or later below /usr/lib/postgresql or in PATH: install it (Debian: postgresql), or set DISKCACHE_PGBIN to the directory of initdb and postgres")

// Server is a server that runs.
type Server struct {
	dir, bin string
	account  *syscall.Credential // nil: this process's
	settings []string
}

// Start makes a server with some settings, such as "max_connections=50", and starts it.
// It fails with ErrNone if PostgreSQL is not installed.
func Start(settings ...string) (_ *Server, err error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, settings: settings}
	if s.dir, err = os.MkdirTemp(place(), "diskcache-pg-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(s.dir)
		}
	}()
	if os.Getuid() == 0 { // it does not run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, err
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		s.account = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(s.dir, uid, gid); err != nil {
			return nil, err
		}
	}
	if err := s.run("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"); err != nil {
		return nil, err
	}
	return s, s.Up()
}

// place returns a directory for the server's, which an account of its own has to reach.
func place() string {
	for dir := os.TempDir(); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || os.Getuid() == 0 && info.Mode()&1 == 0 {
			return "/tmp"
		}
		if dir == filepath.Dir(dir) {
			return os.TempDir()
		}
	}
}

// find returns the directory of the newest PostgreSQL's programs.
func find() (string, error) {
	if dir := os.Getenv("DISKCACHE_PGBIN"); dir != "" {
		return dir, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	if n := len(found); n > 0 && version(found[n-1]) >= 15 {
		return filepath.Dir(found[n-1]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", ErrNone
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// run runs one of PostgreSQL's programs.
func (s *Server) run(name string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.account}
	// What runs on has no pipe of this process's, for whose end it would wait.
	out, err := os.CreateTemp(s.dir, name)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		return fmt.Errorf("%s: %w\n%s%s", name, err, said, tail(log))
	}
	return os.Remove(out.Name())
}

func tail(b []byte) []byte {
	lines := bytes.SplitAfter(b, []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-20):], nil)
}

// Up starts the server, and returns when it takes connections.
func (s *Server) Up() error {
	settings := append([]string{
		"listen_addresses=", "unix_socket_directories=" + s.dir, "fsync=off", "max_connections=300", "shared_buffers=32MB",
		"max_wal_size=256MB", "log_min_messages=fatal", "dynamic_shared_memory_type=mmap",
	}, s.settings...)
	var options strings.Builder
	for _, o := range settings {
		fmt.Fprintf(&options, "-c '%s' ", o)
	}
	return s.run("pg_ctl", "-D", s.data(), "-l", filepath.Join(s.dir, "log"), "-o", options.String(), "-w", "start")
}

// Down stops the server, in one of the modes "smart", "fast" and "immediate".
func (s *Server) Down(mode string) error {
	return s.run("pg_ctl", "-D", s.data(), "-m", mode, "-w", "stop")
}

// Stop stops the server and removes its directory.
func (s *Server) Stop() {
	_ = s.Down("immediate")
	os.RemoveAll(s.dir)
}

// Standby makes a server that follows s, and starts it.
func (s *Server) Standby() (_ *Server, err error) {
	n := &Server{bin: s.bin, account: s.account, settings: s.settings}
	if n.dir, err = os.MkdirTemp(place(), "diskcache-pg-"); err != nil {
		return nil, err
	}
	if a := s.account; a != nil {
		err = os.Chown(n.dir, int(a.Uid), int(a.Gid))
	}
	if err == nil {
		err = n.run("pg_basebackup", "-h", s.dir, "-U", "postgres", "-D", n.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync")
	}
	if err == nil {
		err = n.Up()
	}
	if err != nil {
		os.RemoveAll(n.dir)
		return nil, err
	}
	return n, nil
}

// Promote has a standby be a server that takes writes.
func (s *Server) Promote() error { return s.run("pg_ctl", "-D", s.data(), "-w", "promote") }

// Signal sends a signal to all processes of the server.
func (s *Server) Signal(sig syscall.Signal) error {
	b, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		return err
	}
	list, err := exec.Command("ps", "-o", "pid=", "--ppid", line).Output()
	if err != nil {
		return err
	}
	for _, f := range strings.Fields(string(list)) {
		if child, err := strconv.Atoi(f); err == nil {
			_ = syscall.Kill(child, sig) // it may have ended
		}
	}
	return syscall.Kill(pid, sig)
}

// Dir returns the server's directory, in which its socket is.
func (s *Server) Dir() string { return s.dir }

// DSN returns how to connect, as user postgres, who may do everything.
func (s *Server) DSN() string {
	return "host=" + s.dir + " user=postgres dbname=postgres sslmode=disable"
}

// Log returns the end of what the server has logged.
func (s *Server) Log() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(tail(b))
}
