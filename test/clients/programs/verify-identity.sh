#!/bin/sh
# verify-identity.sh JWKS AUDIENCE ISSUER: verifies the document on standard input with openssl, as docs/identity.md says.
set -eu
jwks=$1 audience=$2 issuer=$3
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
refuse() { echo "refused $1"; exit 0; }
# base64url, with the padding that basenc wants
decode() { printf '%s%.*s' "$1" $(((4 - ${#1} % 4) % 4)) === | basenc --base64url -d; }
hex() { decode "$1" | basenc --base16 -w 0; }
token=$(cat)
signature=${token##*.} signed=${token%.*}
head=$(decode "${signed%.*}") claims=$(decode "${signed#*.}") || refuse form
key=$(jq -e --arg kid "$(echo "$head" | jq -r .kid)" '.keys[] | select(.kid == $kid)' "$jwks") || refuse key
[ "$(echo "$head" | jq -r .alg)" = ES256 ] || refuse alg
# The key and the signature in the form that openssl reads.
x=$(hex "$(echo "$key" | jq -r .x)") y=$(hex "$(echo "$key" | jq -r .y)") rs=$(hex "$signature")
echo "3059301306072A8648CE3D020106082A8648CE3D03010703420004$x$y" | basenc --base16 -d |
  openssl pkey -pubin -inform DER -out "$work/key.pem"
[ ${#rs} = 128 ] || refuse signature
r=$(printf %.64s "$rs")
printf 'asn1=SEQUENCE:s\n[s]\nr=INTEGER:0x%s\ns=INTEGER:0x%s\n' "$r" "${rs#"$r"}" >"$work/signature"
openssl asn1parse -genconf "$work/signature" -noout -out "$work/signature.der"
printf %s "$signed" | openssl dgst -sha256 -verify "$work/key.pem" -signature "$work/signature.der" >/dev/null 2>&1 || refuse signature
echo "$claims" | jq -e --arg aud "$audience" '.aud == $aud' >/dev/null || refuse audience
echo "$claims" | jq -e --arg iss "$issuer" '.iss == $iss' >/dev/null || refuse issuer
echo "$claims" | jq -e '.nbf <= now and now < .exp' >/dev/null || refuse time
echo "accepted $(echo "$claims" | jq -r .devlxd.name)"
