//go:build !linux

package postgres

import "net"

func limitSilence(*net.TCPConn) {}
