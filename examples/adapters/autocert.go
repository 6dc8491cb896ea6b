package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/adapter"
)

var _ autocert.Cache = (*adapter.Autocert)(nil)

// certificates has a manager serve a certificate that another process has stored.
func certificates(ctx context.Context, st *cache.Store) (string, error) {
	c, err := cache.New(ctx, st, "certificates", &cache.Options[string, []byte]{Persistent: true})
	if err != nil {
		return "", err
	}
	certs := adapter.NewAutocert(c, autocert.ErrCacheMiss)
	const host = "example.com"
	stored, err := selfSigned(host)
	if err != nil {
		return "", err
	}
	if err := certs.Put(ctx, host, stored); err != nil {
		return "", err
	}
	manager := &autocert.Manager{Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(host), Cache: certs}
	cert, err := manager.GetCertificate(&tls.ClientHelloInfo{
		ServerName:       host,
		CipherSuites:     []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		SupportedCurves:  []tls.CurveID{tls.CurveP256},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("certificate of %s", cert.Leaf.DNSNames[0]), nil
}

// selfSigned returns a key and a certificate as autocert stores them.
func selfSigned(host string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = pem.Encode(&b, &pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	if err == nil {
		err = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: cert})
	}
	return b.Bytes(), err
}
