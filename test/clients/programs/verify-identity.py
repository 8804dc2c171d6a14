# verify-identity.py JWKS AUDIENCE ISSUER: verifies the document on standard input with PyJWT, as docs/identity.md says.
import json
import sys

import jwt

jwks, audience, issuer = sys.argv[1:]
token = sys.stdin.read()
keys = {key["kid"]: jwt.PyJWK(key).key for key in json.load(open(jwks))["keys"]}
try:
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience=audience, issuer=issuer)
    print("accepted", claims["devlxd"]["name"])
except (KeyError, jwt.PyJWTError) as error:
    print("refused", type(error).__name__)
