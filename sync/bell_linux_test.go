package sync

import (
	"net"
	"testing"
	"time"
)

// What is no ring is not heard and does not deafen, and a bell that was removed
// can be hung again.
func TestBell(t *testing.T) {
	type ring struct {
		key     string
		granted *claim
	}
	for range 3 {
		rings := make(chan ring, 10)
		b := hang("test.1", func(key string, granted *claim) { rings <- ring{key, granted} })
		if b == nil {
			t.Fatal("there can be no bell")
		}
		stranger, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: address("test.1")})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, ringHead - 1, 0} {
			if _, err := stranger.Write(make([]byte, n)); err != nil {
				t.Fatal(err)
			}
		}
		var r ringer
		c := claim{Owner: "test.1", Seq: 1, N: 2, Max: 3, Token: 4, Since: 5}
		if !r.ring("k", &c) {
			t.Fatal("the bell cannot be rung")
		}
		select {
		case got := <-rings:
			if got.key != "k" || got.granted == nil || *got.granted != c {
				t.Errorf("heard %+v", got)
			}
		case <-time.After(time.Minute):
			t.Fatal("the bell is deaf")
		}
		b.remove()
		if len(rings) > 0 {
			t.Errorf("heard %+v as well", <-rings)
		}
		if r.ring("k", &c) {
			t.Error("a bell that was removed can be rung")
		}
		r.close()
		stranger.Close()
	}
}
