#!/bin/sh
# Makes the keys and certificates of this directory anew. They are for tests only: everybody
# knows them.
set -eu
cd "$(dirname "$0")"
rm -f ./*.pem

# One key in each of its PEM forms.
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa-pkcs8.pem
openssl rsa -in rsa-pkcs8.pem -traditional -out rsa-pkcs1.pem
openssl ecparam -name prime256v1 -genkey -out p256-sec1.pem # with an EC PARAMETERS block
openssl pkcs8 -topk8 -nocrypt -in p256-sec1.pem -out p256-pkcs8.pem
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384-pkcs8.pem
openssl ec -in p384-pkcs8.pem -out p384-sec1.pem
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out p521-pkcs8.pem
openssl genpkey -algorithm ED25519 -out ed25519-pkcs8.pem

# What must be refused.
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa-1024.pem
openssl pkcs8 -topk8 -v2 aes-256-cbc -passout pass:test -in p256-sec1.pem -out p256-encrypted.pem
openssl rsa -in rsa-pkcs8.pem -traditional -aes128 -passout pass:test -out rsa-encrypted-pkcs1.pem

# An authority, a server's certificate, and one client certificate for each kind of key.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 \
    -subj "/O=tower-oauth tests/CN=Test CA" -keyout ca-key.pem -out ca.pem
printf 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost\n' >server.ext
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server-key.pem \
    -subj "/O=tower-oauth tests/CN=localhost" |
    openssl x509 -req -CA ca.pem -CAkey ca-key.pem -extfile server.ext -days 36500 -out server.pem
printf 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n' >client.ext
for key in rsa-pkcs8 p256-sec1 p384-pkcs8 p521-pkcs8 ed25519-pkcs8; do
    name=${key%-*}
    openssl req -new -key "$key.pem" -subj "/O=tower-oauth tests/CN=orders-service" |
        openssl x509 -req -CA ca.pem -CAkey ca-key.pem -extfile client.ext -days 36500 -out "$name-client.pem"
done
rm ca-key.pem client.ext server.ext
chmod 644 ./*.pem
