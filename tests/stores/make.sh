#!/bin/bash
# Makes the key stores of this directory anew, with the tools that people have: OpenSSL 3 and the
# keytool of JDK 17. They are for tests only: everybody knows their keys. The password is
# `changeit`, that of a key with one of its own `keypass1`.
set -euo pipefail
cd "$(dirname "$0")"
export TZ=UTC LC_ALL=C.UTF-8
rm -f ./*.jks ./*.jceks ./*.p12 ./*.pem

subject="CN=orders-service,O=tower-oauth tests"
years=(-validity 36500)
pass=(-passout pass:changeit)

# generate FILE ALIAS [KEYTOOL'S ARGUMENTS]
generate() {
    local file=$1 alias=$2
    shift 2
    keytool -genkeypair -keystore "$file" -alias "$alias" -dname "$subject" -storepass changeit \
        "${years[@]}" "$@" 2>&1 | { grep -v -e '^$' -e 'Generating' -e 'for: CN' -e '^Warning' -e 'proprietary' || true; }
}
jks=(-storetype JKS -keypass changeit)
rsa=(-keyalg RSA -keysize 2048)
p256=(-keyalg EC -groupname secp256r1)
p384=(-keyalg EC -groupname secp384r1)

# keytool, JKS
generate keytool-rsa.jks orders "${jks[@]}" "${rsa[@]}"
generate keytool-p256.jks orders "${jks[@]}" "${p256[@]}"
generate keytool-ed25519.jks orders "${jks[@]}" -keyalg Ed25519
generate keytool-key-password.jks orders -storetype JKS -keypass keypass1 "${p256[@]}"
generate keytool-two-keys.jks orders "${jks[@]}" "${p256[@]}"
generate keytool-two-keys.jks billing "${jks[@]}" "${p384[@]}"
generate keytool.jceks orders -storetype JCEKS -keypass changeit "${p256[@]}"

# keytool, PKCS#12
generate keytool-rsa.p12 orders -storetype PKCS12 "${rsa[@]}"
generate keytool-p256.p12 orders -storetype PKCS12 "${p256[@]}"
generate keytool-p384.p12 orders -storetype PKCS12 "${p384[@]}"
generate keytool-ed25519.p12 orders -storetype PKCS12 -keyalg Ed25519
generate keytool-legacy.p12 orders -storetype PKCS12 "${p256[@]}" -J-Dkeystore.pkcs12.legacy
generate keytool-two-keys.p12 orders -storetype PKCS12 "${p256[@]}"
generate keytool-two-keys.p12 billing -storetype PKCS12 "${p384[@]}"
generate keytool-no-mac.p12 orders -storetype PKCS12 "${p256[@]}" \
    -J-Dkeystore.pkcs12.macAlgorithm=NONE -J-Dkeystore.pkcs12.certProtectionAlgorithm=NONE
generate keytool-expired.p12 orders -storetype PKCS12 "${p256[@]}" \
    -startdate "2020/01/01 00:00:00" -validity 30
generate keytool-not-yet-valid.p12 orders -storetype PKCS12 "${p256[@]}" \
    -startdate "2120/01/01 00:00:00" -validity 30

# A chain of three: root, intermediate, orders. What imports it gets it in this order.
generate authorities.p12 root -storetype PKCS12 "${p256[@]}" -ext bc:c
generate authorities.p12 issuing -storetype PKCS12 "${p256[@]}"
generate keytool-chain.p12 orders -storetype PKCS12 "${p256[@]}"
key_tool() { keytool "$@" -storepass changeit 2>/dev/null; }
key_tool -exportcert -rfc -keystore authorities.p12 -alias root >root.pem
key_tool -certreq -keystore authorities.p12 -alias issuing |
    key_tool -gencert -rfc -keystore authorities.p12 -alias root "${years[@]}" -ext bc:c >issuing.pem
cat issuing.pem root.pem >issuing-chain.pem
key_tool -importcert -noprompt -keystore authorities.p12 -alias issuing -file issuing-chain.pem
key_tool -certreq -keystore keytool-chain.p12 -alias orders |
    key_tool -gencert -rfc -keystore authorities.p12 -alias issuing "${years[@]}" >leaf.pem
cat leaf.pem issuing.pem root.pem >chain.pem
key_tool -importcert -noprompt -keystore keytool-chain.p12 -alias orders -file chain.pem
keytool -importkeystore -noprompt -srckeystore keytool-chain.p12 -srcstorepass changeit \
    -destkeystore keytool-chain.jks -deststoretype JKS -deststorepass changeit 2>/dev/null

# keytool, truststores
for name in keytool-trust.jks keytool-trust.p12; do
    type=${name##*.}
    [ "$type" = p12 ] && type=PKCS12
    key_tool -importcert -noprompt -storetype "$type" -keystore "$name" -alias root -file root.pem
    key_tool -importcert -noprompt -storetype "$type" -keystore "$name" -alias tests -file ../keys/ca.pem
done

# OpenSSL, PKCS#12. `-legacy` is what OpenSSL 1 wrote.
openssl_p12() {
    local file=$1
    shift
    openssl pkcs12 -export -out "$file" "$@"
}
p256_pair=(-inkey ../keys/p256-pkcs8.pem -in ../keys/p256-client.pem)
openssl_p12 openssl-rsa.p12 -inkey ../keys/rsa-pkcs8.pem -in ../keys/rsa-client.pem -name orders "${pass[@]}"
openssl_p12 openssl-p256.p12 "${p256_pair[@]}" -name orders "${pass[@]}"
openssl_p12 openssl-p384.p12 -inkey ../keys/p384-pkcs8.pem -in ../keys/p384-client.pem -name orders "${pass[@]}"
openssl_p12 openssl-ed25519.p12 -inkey ../keys/ed25519-pkcs8.pem -in ../keys/ed25519-client.pem -name orders "${pass[@]}"
openssl_p12 openssl-legacy.p12 -legacy "${p256_pair[@]}" -name orders "${pass[@]}"
openssl_p12 openssl-rc2-128.p12 -legacy "${p256_pair[@]}" -keypbe PBE-SHA1-RC2-128 -certpbe PBE-SHA1-RC2-128 "${pass[@]}"
openssl_p12 openssl-3des.p12 "${p256_pair[@]}" -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES "${pass[@]}"
openssl_p12 openssl-aes-128.p12 "${p256_pair[@]}" -keypbe AES-128-CBC -certpbe AES-128-CBC -macalg sha512 "${pass[@]}"
openssl_p12 openssl-no-name.p12 "${p256_pair[@]}" "${pass[@]}"
openssl_p12 openssl-empty-password.p12 "${p256_pair[@]}" -passout pass:
openssl_p12 openssl-empty-password-3des.p12 "${p256_pair[@]}" -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -passout pass:
openssl_p12 openssl-utf8-password.p12 "${p256_pair[@]}" -keypbe PBE-SHA1-3DES -certpbe AES-256-CBC -passout "pass:schlüssel🔑"
openssl_p12 openssl-no-encryption.p12 "${p256_pair[@]}" -keypbe NONE -certpbe NONE "${pass[@]}"
openssl_p12 openssl-no-mac.p12 "${p256_pair[@]}" -nomac "${pass[@]}"
openssl_p12 openssl-chain.p12 -inkey ../keys/p256-pkcs8.pem -in ../keys/p256-client.pem -certfile ../keys/ca.pem -name orders "${pass[@]}"
openssl_p12 openssl-no-certificate.p12 -inkey ../keys/p256-pkcs8.pem -nocerts "${pass[@]}"
openssl_p12 openssl-no-key.p12 -nokeys -in ../keys/ca.pem "${pass[@]}"
openssl_p12 openssl-many-rounds.p12 "${p256_pair[@]}" -iter 6000000 -nomaciter "${pass[@]}"

# OpenSSL, encrypted PKCS#8
pkcs8=(openssl pkcs8 -topk8 -in ../keys/p256-pkcs8.pem "${pass[@]}")
"${pkcs8[@]}" -v2 aes-256-cbc -out openssl-aes-256.pem
"${pkcs8[@]}" -v2 aes-128-cbc -v2prf hmacWithSHA1 -out openssl-aes-128-sha1.pem
"${pkcs8[@]}" -v2 aes-192-cbc -v2prf hmacWithSHA512 -out openssl-aes-192-sha512.pem
"${pkcs8[@]}" -v2 des3 -out openssl-pbes2-3des.pem
"${pkcs8[@]}" -v1 PBE-SHA1-3DES -out openssl-pbes1-3des.pem
"${pkcs8[@]}" -v1 PBE-MD5-DES -provider legacy -provider default -out openssl-md5-des.pem
"${pkcs8[@]}" -scrypt -out openssl-scrypt.pem
cat openssl-aes-256.pem ../keys/p256-client.pem >openssl-combined.pem

# Certificates of servers that Java takes and others don't, and the authority that issued them.
issue() { # NAME CSR'S KEY, THEN OPENSSL'S ARGUMENTS
    local name=$1 key=$2
    shift 2
    openssl req -new -key "$key" -subj "/O=tower-oauth tests/CN=localhost" |
        openssl x509 -req -days 36500 -out "server-$name.pem" "$@" 2>/dev/null
}
server_key=../keys/p256-pkcs8.pem
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out authority.key
openssl req -x509 -new -key authority.key -days 36500 -subj "/O=tower-oauth tests/CN=Server CA" -out server-authority.pem
by_authority=(-CA server-authority.pem -CAkey authority.key)
printf 'basicConstraints=CA:FALSE\n' >no-name.ext
printf 'basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost\n' >name.ext
printf 'basicConstraints=CA:TRUE\nsubjectAltName=DNS:localhost\n' >authority.ext
issue good "$server_key" "${by_authority[@]}" -extfile name.ext
issue no-alternative-name "$server_key" "${by_authority[@]}" -extfile no-name.ext
issue version-1 "$server_key" "${by_authority[@]}"
issue sha1 "$server_key" "${by_authority[@]}" -extfile name.ext -sha1
issue self-signed "$server_key" -signkey "$server_key" -extfile name.ext
issue self-signed-authority "$server_key" -signkey "$server_key" -extfile authority.ext
# Issued by the self-signed one, which has no right to.
openssl req -new -key authority.key -subj "/CN=other" |
    openssl x509 -req -days 36500 -CA server-self-signed.pem -CAkey "$server_key" -extfile name.ext \
        -out server-issued-by-leaf.pem 2>/dev/null
rm -f authority.key ./*.ext

rm -f authorities.p12 root.pem issuing.pem issuing-chain.pem leaf.pem chain.pem
chmod 644 ./*.jks ./*.jceks ./*.p12 ./*.pem
