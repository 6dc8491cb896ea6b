//go:build unix

// Command withserver runs a command beside a PostgreSQL server of its own, which the
// command finds in the environment variable DISKCACHE_POSTGRES_DSN.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/go-diskcache/diskcache/cache/driver/postgres/internal/pgtest"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "withserver:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: withserver COMMAND [ARGUMENT...]")
	}
	// The server is stopped also when a signal ends this command.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := pgtest.Start()
	if err != nil {
		return err
	}
	defer s.Stop()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = append(os.Environ(), "DISKCACHE_POSTGRES_DSN="+s.DSN())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
