package postgres

import (
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestSilence: connections by TCP notice a dead path.
func TestSilence(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	config, err := pgx.ParseConfig("host=127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	c, err := newConns(config, Options{Conns: 1}).config.DialFunc(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for option, want := range map[int]int{userTimeout: 10000, syscall.TCP_KEEPIDLE: 5, syscall.TCP_KEEPINTVL: 2, syscall.TCP_KEEPCNT: 3} {
		if err := raw.Control(func(fd uintptr) {
			got, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, option)
			if err != nil || got != want {
				t.Errorf("option %d is %d, want %d, %v", option, got, want, err)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
}
