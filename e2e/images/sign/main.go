// Command sign attaches a signature to an image as cosign does with a key: a payload naming the digest, signed with
// ECDSA P-256, stored in the image's repository under the tag sha256-<digest>.sig. It serves demo and tests on a
// throwaway registry over plain http, where building cosign itself would take longer than all the rest.
//
//	sign [-attest] KEY.pem REGISTRY/NAME@sha256:HEX...   KEY.pem: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`
//
// With -attest a bill of materials and a provenance are stated as well, signed in envelopes under sha256-<digest>.att.
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
	statementType = "application/vnd.in-toto+json"
	envelopeType  = "application/vnd.dsse.envelope.v1+json"
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
	args := os.Args[1:]
	attested := len(args) > 0 && args[0] == "-attest"
	if attested {
		args = args[1:]
	}
	if len(args) < 2 {
		log.Fatal("usage: sign [-attest] KEY.pem REGISTRY/NAME@sha256:HEX...")
	}
	key, err := readKey(args[0])
	if err != nil {
		log.Fatalf("%s: %v", args[0], err)
	}
	for _, reference := range args[1:] {
		if err := sign(key, reference); err != nil {
			log.Fatalf("%s: %v", reference, err)
		}
		if attested {
			if err := attest(key, reference); err != nil {
				log.Fatalf("%s: %v", reference, err)
			}
		}
	}
}

// attest states what is inside an image and who built it, with as little as a statement needs.
func attest(key *ecdsa.PrivateKey, reference string) error {
	name, digest, _ := strings.Cut(reference, "@")
	host, repository, _ := strings.Cut(name, "/")
	predicates := map[string]any{
		"https://cyclonedx.org/bom": map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []any{}},
		"https://slsa.dev/provenance/v1": map[string]any{"runDetails": map[string]any{
			"builder":  map[string]string{"id": "https://ci.example"},
			"metadata": map[string]string{"finishedOn": time.Now().UTC().Format(time.RFC3339)},
		}},
	}
	base := "http://" + host + "/v2/" + repository
	var layers []descriptor
	for kind, predicate := range predicates {
		statement, err := json.Marshal(map[string]any{
			"_type": "https://in-toto.io/Statement/v1", "predicateType": kind, "predicate": predicate,
			"subject": []any{map[string]any{"name": name, "digest": map[string]string{"sha256": strings.TrimPrefix(digest, "sha256:")}}},
		})
		if err != nil {
			return err
		}
		// What is signed is the envelope's type and payload, each with its length before it.
		sum := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(statementType), statementType, len(statement), statement))
		signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
		if err != nil {
			return err
		}
		envelope, err := json.Marshal(map[string]any{
			"payloadType": statementType, "payload": base64.StdEncoding.EncodeToString(statement),
			"signatures": []any{map[string]string{"keyid": "", "sig": base64.StdEncoding.EncodeToString(signature)}},
		})
		if err != nil {
			return err
		}
		if err := upload(base, envelope); err != nil {
			return err
		}
		layer := describe(envelopeType, envelope)
		layer.Annotations = map[string]string{signatureName: "", "predicateType": kind}
		layers = append(layers, layer)
	}
	return attach(base, digest, ".att", layers)
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
	base := "http://" + host + "/v2/" + repository
	if err := upload(base, payload); err != nil {
		return err
	}
	return attach(base, digest, ".sig", []descriptor{layer})
}

// attach pushes a manifest over layers that are there, under the tag of a digest.
func attach(base, digest, ending string, layers []descriptor) error {
	var ids []string
	for _, layer := range layers {
		ids = append(ids, layer.Digest)
	}
	config, err := json.Marshal(map[string]any{
		"architecture": "", "os": "", "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": ids},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": describe(configType, config), "layers": layers,
	})
	if err != nil {
		return err
	}
	if err := upload(base, config); err != nil {
		return err
	}
	return send(http.MethodPut, base+"/manifests/"+strings.Replace(digest, ":", "-", 1)+ending, manifestType, manifest, nil)
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
