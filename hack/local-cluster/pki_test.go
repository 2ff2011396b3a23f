package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"
)

func parse(t *testing.T, pair keyPair) *x509.Certificate {
	t.Helper()
	loaded, err := tls.X509KeyPair(pair.certificate, pair.key)
	if err != nil {
		t.Fatalf("load the pair: %v", err)
	}
	certificate, err := x509.ParseCertificate(loaded.Certificate[0])
	if err != nil {
		t.Fatalf("parse the certificate: %v", err)
	}
	return certificate
}

func TestServerCertificateHoldsForNamesAndAddresses(t *testing.T) {
	now := time.Now()
	ca, err := newAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.server(now, []string{"kubernetes"}, []net.IP{net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	for _, name := range []string{"kubernetes", "127.0.0.1"} {
		if _, err := parse(t, pair).Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClientCertificateNamesUserAndGroups(t *testing.T) {
	now := time.Now()
	ca, err := newAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.client(now, "someone", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	subject := parse(t, pair).Subject
	if subject.CommonName != "someone" || len(subject.Organization) != 1 || subject.Organization[0] != "system:masters" {
		t.Errorf("subject is %s", subject)
	}
}

func TestAuthoritiesDoNotTrustEachOther(t *testing.T) {
	now := time.Now()
	one, err := newAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := newAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := other.client(now, "someone", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(one.certificate)
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := parse(t, pair).Verify(x509.VerifyOptions{Roots: roots, KeyUsages: usages}); err == nil {
		t.Error("one cluster's authority accepts another's administrator")
	}
}
