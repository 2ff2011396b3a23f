package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

const (
	// The certificates outlive any cluster made here; nothing renews them.
	certificateLifetime = 365 * 24 * time.Hour
	// A machine's clock may step back a little between making and using a certificate.
	clockSkew = time.Hour
)

// keyPair is a certificate and its key, both in PEM.
type keyPair struct {
	certificate []byte
	key         []byte
}

// authority signs the certificates of one cluster. Each cluster has its own, so that a kubeconfig left over from another
// is refused rather than obeyed.
type authority struct {
	pair        keyPair
	certificate *x509.Certificate
	signer      crypto.Signer
}

func newAuthority(now time.Time) (*authority, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "local-cluster"},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(certificateLifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	pair, certificate, signer, err := issue(template, nil)
	if err != nil {
		return nil, fmt.Errorf("make the certificate authority: %w", err)
	}
	return &authority{pair: pair, certificate: certificate, signer: signer}, nil
}

func (a *authority) server(now time.Time, names []string, addresses []net.IP) (keyPair, error) {
	return a.leaf(&x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		DNSNames:    names,
		IPAddresses: addresses,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, now)
}

// client makes a certificate that the API server takes as that user in those groups.
func (a *authority) client(now time.Time, user string, groups ...string) (keyPair, error) {
	return a.leaf(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, now)
}

func (a *authority) leaf(template *x509.Certificate, now time.Time) (keyPair, error) {
	template.NotBefore = now.Add(-clockSkew)
	template.NotAfter = a.certificate.NotAfter
	template.KeyUsage = x509.KeyUsageDigitalSignature
	pair, _, _, err := issue(template, a)
	if err != nil {
		return keyPair{}, fmt.Errorf("make the certificate of %s: %w", template.Subject.CommonName, err)
	}
	return pair, nil
}

// issue makes a new key and a certificate for it, signed by the authority, or by itself where there is none.
func issue(template *x509.Certificate, by *authority) (keyPair, *x509.Certificate, crypto.Signer, error) {
	fail := func(err error) (keyPair, *x509.Certificate, crypto.Signer, error) {
		return keyPair{}, nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fail(err)
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return fail(err)
	}
	parent, signer := template, crypto.Signer(key)
	if by != nil {
		parent, signer = by.certificate, by.signer
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return fail(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return fail(err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return fail(err)
	}
	pair := keyPair{certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key: keyPEM}
	return pair, certificate, key, nil
}

// newServiceAccountKey makes the key that signs service account tokens, and its public half.
func newServiceAccountKey() (private, public []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make the service account key: %w", err)
	}
	if private, err = encodeKey(key); err != nil {
		return nil, nil, fmt.Errorf("encode the service account key: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, nil, fmt.Errorf("encode the public service account key: %w", err)
	}
	return private, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
