package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// request is what the go command writes, an object a line. Behind a put with a
// BodySize stands a line with the body, as base64 in quotes. The comments in
// cmd/go/internal/cacheprog are the protocol's definition.
type request struct {
	ID       int64
	Command  string
	ActionID []byte
	OutputID []byte
	BodySize int64

	body []byte
}

// response is what is written back, in any order.
type response struct {
	ID            int64
	Err           string     `json:",omitempty"`
	KnownCommands []string   `json:",omitempty"`
	Miss          bool       `json:",omitempty"`
	OutputID      []byte     `json:",omitempty"`
	Size          int64      `json:",omitempty"`
	Time          *time.Time `json:",omitempty"`
	DiskPath      string     `json:",omitempty"`
}

// server speaks with the go command.
type server struct {
	in     io.Reader
	builds *builds

	mu  sync.Mutex
	out io.Writer
}

// serve answers until the go command says close, or ends, or ctx does, and closes
// the builds.
func (s *server) serve(ctx context.Context) error {
	// At once, since the go command waits for it. The cache is being opened meanwhile.
	s.write(response{KnownCommands: []string{"get", "put", "close"}})
	requests, ended := make(chan request), make(chan error, 1)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for r := bufio.NewReaderSize(s.in, 64<<10); ; {
			req, err := read(r)
			if err != nil {
				ended <- err
				return
			}
			select {
			case requests <- req:
			case <-done:
				return
			}
		}
	}()

	var err error
	var last *request
	// What has begun is finished, whatever happens.
	unhurried := context.WithoutCancel(ctx)
	var running sync.WaitGroup
	for last == nil && err == nil {
		select {
		case req := <-requests:
			if req.Command == "close" {
				last = &req
				break
			}
			running.Go(func() { s.write(s.answer(unhurried, req)) })
		case err = <-ended:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	running.Wait()
	// Go list ends without a close. What it has printed may name paths.
	s.builds.close(unhurried, err == io.EOF)
	if last != nil {
		s.write(response{ID: last.ID})
	}
	if err == io.EOF {
		err = nil
	}
	return err
}

func (s *server) answer(ctx context.Context, req request) response {
	var res response
	switch {
	case req.Command != "get" && req.Command != "put":
		res.Err = fmt.Sprintf("unknown command %q", req.Command)
	case len(req.ActionID) == 0:
		res.Err = "no ActionID"
	case req.Command == "get":
		res = s.builds.get(ctx, req.ActionID)
	case len(req.OutputID) == 0:
		res.Err = "no OutputID"
	default:
		res = s.builds.put(ctx, req)
	}
	res.ID = req.ID
	return res
}

// write sends a response. If that fails nobody is there to be told, and the input
// ends.
func (s *server) write(res response) {
	line, err := json.Marshal(res)
	if err != nil {
		line, _ = json.Marshal(response{ID: res.ID, Err: err.Error()})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.Write(append(line, '\n'))
}

var errProtocol = errors.New("standard input is not what the go command writes to a GOCACHEPROG")

// read reads a request with its body. The error is io.EOF if the input ends before
// one.
func read(r *bufio.Reader) (req request, err error) {
	var line []byte
	for len(line) == 0 {
		if line, err = r.ReadBytes('\n'); err == io.EOF && len(bytes.TrimSpace(line)) > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return req, err
		}
		line = bytes.TrimSpace(line)
	}
	if err := json.Unmarshal(line, &req); err != nil || req.BodySize < 0 {
		return req, errProtocol
	}
	if req.BodySize > 0 {
		req.body, err = readBody(r, req.BodySize)
	}
	return req, err
}

func readBody(r *bufio.Reader, size int64) ([]byte, error) {
	for {
		c, err := r.ReadByte()
		if err != nil {
			return nil, unexpected(err)
		}
		if c == '"' {
			break
		}
		if c != '\n' {
			return nil, errProtocol
		}
	}
	// The size is not to be trusted with memory.
	length := (size + 2) / 3 * 4
	var text bytes.Buffer
	text.Grow(int(min(length, 64<<20)) + bytes.MinRead)
	if n, err := text.ReadFrom(io.LimitReader(r, length)); err != nil || n < length {
		return nil, unexpected(err)
	}
	body := make([]byte, base64.StdEncoding.DecodedLen(text.Len()))
	n, err := base64.StdEncoding.Decode(body, text.Bytes())
	if err != nil || int64(n) != size {
		return nil, errProtocol
	}
	switch c, err := r.ReadByte(); {
	case err != nil:
		return nil, unexpected(err)
	case c != '"':
		return nil, errProtocol
	}
	return body[:n], nil
}

// unexpected is the error where the input ends and must not.
func unexpected(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
