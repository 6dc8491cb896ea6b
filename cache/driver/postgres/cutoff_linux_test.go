package postgres_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/postgres"
	"github.com/go-diskcache/diskcache/cache/driver/postgres/internal/pgtest"
)

// TestCutOff: the server gives up a transaction soon whose client is cut off from the
// network, with the locks that others wait for.
func TestCutOff(t *testing.T) {
	dsn(t) // skips
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	server, err := pgtest.Start("listen_addresses=127.0.0.1", fmt.Sprint("port=", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	s, err := postgres.Open(t.Context(), fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable", port), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Update(t.Context(), driver.Own, func(tx driver.Tx) error {
		for name, want := range map[string]string{"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3", "tcp_user_timeout": "10000"} {
			got, err := postgres.Setting(t.Context(), tx, name)
			if err != nil {
				return err
			}
			if got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
