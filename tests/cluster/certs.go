package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	api "k8s.io/client-go/tools/clientcmd/api"
)

// validity is far longer than a test run and far shorter than a certificate
// that anybody could come to rely on.
const validity = 7 * 24 * time.Hour

// adminGroup is bound to cluster-admin by the API server itself.
const adminGroup = "system:masters"

// authority is a certificate authority that lives as long as its process.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

// keyPair is a certificate and its key, both in PEM.
type keyPair struct {
	certificate, key []byte
}

func newAuthority() (*authority, error) {
	template, err := newTemplate("testcluster")
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage |= x509.KeyUsageCertSign
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{certificate, key, block("CERTIFICATE", der)}, nil
}

// server issues a certificate for every name and address under which the API
// server of a loopback cluster is called.
func (a *authority) server(name string) (keyPair, error) {
	return a.issue(name, func(template *x509.Certificate) {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)}
		template.DNSNames = []string{
			"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		}
	})
}

// client issues a certificate that authenticates as the user `name` of `groups`.
func (a *authority) client(name string, groups ...string) (keyPair, error) {
	return a.issue(name, func(template *x509.Certificate) {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		template.Subject.Organization = groups
	})
}

func (a *authority) issue(name string, shape func(*x509.Certificate)) (keyPair, error) {
	template, err := newTemplate(name)
	if err != nil {
		return keyPair{}, err
	}
	shape(template)
	key, err := newKey()
	if err != nil {
		return keyPair{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return keyPair{}, err
	}
	private, err := encodeKey(key)
	return keyPair{block("CERTIFICATE", der), private}, err
}

// writeIdentity writes everything the components need to know and trust each other.
// Each file is named by a flag in launch.go.
func writeIdentity(dir, server string) error {
	ca, err := newAuthority()
	if err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	files := map[string][]byte{"ca.crt": ca.pem}

	serving, err := ca.server("kube-apiserver")
	if err != nil {
		return fmt.Errorf("serving certificate: %w", err)
	}
	files["apiserver.crt"], files["apiserver.key"] = serving.certificate, serving.key

	proxy, err := ca.client(frontProxyName)
	if err != nil {
		return fmt.Errorf("front proxy certificate: %w", err)
	}
	files["front-proxy.crt"], files["front-proxy.key"] = proxy.certificate, proxy.key

	if files["sa.key"], files["sa.pub"], err = newTokenKey(); err != nil {
		return fmt.Errorf("service account key: %w", err)
	}

	for file, user := range map[string]string{
		"admin.kubeconfig":       "kubernetes-admin",
		"controllers.kubeconfig": "system:kube-controller-manager",
		"scheduler.kubeconfig":   "system:kube-scheduler",
		"kwok.kubeconfig":        "kwok",
	} {
		pair, err := ca.client(user, adminGroup)
		if err != nil {
			return fmt.Errorf("certificate of %s: %w", user, err)
		}
		if files[file], err = kubeconfig(server, user, ca.pem, pair); err != nil {
			return fmt.Errorf("kubeconfig of %s: %w", user, err)
		}
	}

	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func kubeconfig(server, user string, ca []byte, pair keyPair) ([]byte, error) {
	const name = "testcluster"
	config := api.NewConfig()
	config.CurrentContext = name
	config.Clusters[name] = &api.Cluster{Server: server, CertificateAuthorityData: ca}
	config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: user, Namespace: "default"}
	config.AuthInfos[user] = &api.AuthInfo{
		ClientCertificateData: pair.certificate,
		ClientKeyData:         pair.key,
	}
	return clientcmd.Write(*config)
}

// newTokenKey makes the pair that signs and checks service account tokens.
func newTokenKey() (private, public []byte, err error) {
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	if private, err = encodeKey(key); err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return private, block("PUBLIC KEY", der), err
}

func newTemplate(name string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(validity),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}, nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	return block("EC PRIVATE KEY", der), err
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
