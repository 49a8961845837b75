// Command sign attaches a signature to an image as cosign does with a key: a payload naming the digest, signed with
// ECDSA P-256, stored in the image's repository under the tag sha256-<digest>.sig. It serves demo and tests on a
// throwaway registry over plain http, where building cosign itself would take longer than all the rest.
//
//	sign KEY.pem REGISTRY/NAME@sha256:HEX...      KEY.pem: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	payloadType   = "application/vnd.dev.cosign.simplesigning.v1+json"
	signatureName = "dev.cosignproject.cosign/signature"
	manifestType  = "application/vnd.oci.image.manifest.v1+json"
	configType    = "application/vnd.oci.image.config.v1+json"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

var client = &http.Client{Timeout: 20 * time.Second}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: sign KEY.pem REGISTRY/NAME@sha256:HEX...")
	}
	key, err := readKey(os.Args[1])
	if err != nil {
		log.Fatalf("%s: %v", os.Args[1], err)
	}
	for _, reference := range os.Args[2:] {
		if err := sign(key, reference); err != nil {
			log.Fatalf("%s: %v", reference, err)
		}
	}
}

func readKey(file string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("not an ECDSA key")
	}
	return key, nil
}

func sign(key *ecdsa.PrivateKey, reference string) error {
	name, digest, found := strings.Cut(reference, "@")
	host, repository, slash := strings.Cut(name, "/")
	if !found || !slash {
		return errors.New("wanted REGISTRY/NAME@sha256:HEX")
	}
	payload, err := json.Marshal(map[string]any{
		"critical": map[string]any{
			"identity": map[string]string{"docker-reference": name},
			"image":    map[string]string{"docker-manifest-digest": digest},
			"type":     "cosign container image signature",
		},
		"optional": nil,
	})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(payload)
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		return err
	}
	layer := describe(payloadType, payload)
	layer.Annotations = map[string]string{signatureName: base64.StdEncoding.EncodeToString(signature)}
	config, err := json.Marshal(map[string]any{
		"architecture": "", "os": "", "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layer.Digest}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": describe(configType, config), "layers": []descriptor{layer},
	})
	if err != nil {
		return err
	}
	base := "http://" + host + "/v2/" + repository
	for _, blob := range [][]byte{payload, config} {
		if err := upload(base, blob); err != nil {
			return err
		}
	}
	return send(http.MethodPut, base+"/manifests/"+strings.Replace(digest, ":", "-", 1)+".sig", manifestType, manifest, nil)
}

func describe(mediaType string, content []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(content)), Size: len(content)}
}

func upload(base string, content []byte) error {
	var place string
	if err := send(http.MethodPost, base+"/blobs/uploads/", "", nil, &place); err != nil {
		return err
	}
	separator := "?"
	if strings.Contains(place, "?") {
		separator = "&"
	}
	return send(http.MethodPut, place+separator+"digest="+describe("", content).Digest, "application/octet-stream", content, nil)
}

// send makes a request that must be answered with 201 or 202; location receives where to go on, as an absolute address.
func send(method, url, contentType string, content []byte, location *string) error {
	request, err := http.NewRequest(method, url, bytes.NewReader(content))
	if err != nil {
		return err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
	if answer.StatusCode != http.StatusCreated && answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("%s %s: %s: %s", method, url, answer.Status, text)
	}
	if location != nil {
		next, err := answer.Location()
		if err != nil {
			return err
		}
		*location = next.String()
	}
	return nil
}
