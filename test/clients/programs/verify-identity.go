// verify-identity JWKS AUDIENCE ISSUER: verifies the document on standard input with Go's standard library alone.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"
	"time"
)

type keySet struct {
	Keys []struct{ Kid, X, Y string }
}

type claims struct {
	Iss, Aud string
	Nbf, Exp int64
	Devlxd   struct{ Name string }
}

func decode(text string) []byte {
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return bytes
}

func number(text string) *big.Int { return new(big.Int).SetBytes(decode(text)) }

func verify(token string, keys keySet, audience, issuer string) (claims, error) {
	var header struct{ Alg, Kid string }
	var found claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 || json.Unmarshal(decode(parts[0]), &header) != nil || header.Alg != "ES256" {
		return found, errors.New("header")
	}
	signature := decode(parts[2])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	for _, key := range keys.Keys {
		public := ecdsa.PublicKey{Curve: elliptic.P256(), X: number(key.X), Y: number(key.Y)}
		if key.Kid != header.Kid || len(signature) != 64 {
			continue
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		if !ecdsa.Verify(&public, digest[:], r, s) {
			return found, errors.New("signature")
		}
		now := time.Now().Unix()
		if json.Unmarshal(decode(parts[1]), &found) != nil || found.Aud != audience || found.Iss != issuer {
			return found, errors.New("claims")
		}
		if now < found.Nbf || now >= found.Exp {
			return found, errors.New("time")
		}
		return found, nil
	}
	return found, errors.New("key")
}

func main() {
	text, _ := os.ReadFile(os.Args[1])
	var keys keySet
	if err := json.Unmarshal(text, &keys); err != nil {
		panic(err)
	}
	token, _ := io.ReadAll(os.Stdin)
	found, err := verify(string(token), keys, os.Args[2], os.Args[3])
	if err != nil {
		fmt.Println("refused", err)
		return
	}
	fmt.Println("accepted", found.Devlxd.Name)
}
