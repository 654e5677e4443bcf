// The server of the manual's page "first token": npm's oidc-provider with two clients of one
// certificate, and a resource. Its arguments are the directory where the page's commands have left
// the client's `client.crt` and its authority's `ca.crt`; there it leaves `server-ca.crt`. Says
// where it is in one line of JSON, and ends when its standard input does.

import { createPublicKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { calculateJwkThumbprint } from 'jose';
import { Provider } from 'oidc-provider';

import { makePki } from './pki.mjs';

const [directory] = process.argv.slice(2);
const client = readFileSync(join(directory, 'client.crt'));
const clientAuthority = readFileSync(join(directory, 'ca.crt'));
const pki = makePki({
  server: { kind: 'p256', usage: 'extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost' },
});
writeFileSync(join(directory, 'server-ca.crt'), pki.ca);

const certificate = ({ raw }) => raw && new X509Certificate(raw);
const tls = {
  ...pki.server,
  ca: [clientAuthority],
  requestCert: true,
  rejectUnauthorized: false,
};
const authority = createServer(tls);
authority.listen(0, '127.0.0.1');
await once(authority, 'listening');
const issuer = `https://localhost:${authority.address().port}`;

const jwk = createPublicKey(client).export({ format: 'jwk' });
const keys = [{ ...jwk, kid: await calculateJwkThumbprint(jwk), alg: 'ES256', use: 'sig' }];
const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
const provider = new Provider(issuer, {
  clients: [
    {
      ...machine,
      client_id: 'orders-mtls',
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: 'CN=orders-service',
      tls_client_certificate_bound_access_tokens: true,
    },
    {
      ...machine,
      client_id: 'orders-jwt',
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks: { keys },
    },
  ],
  scopes: ['orders.read'],
  ttl: { ClientCredentials: 600 },
  clientAuthMethods: ['private_key_jwt', 'tls_client_auth'],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      tlsClientAuth: true,
      getCertificate: ({ socket }) => certificate(socket.getPeerCertificate()),
      certificateAuthorized: ({ socket }) => socket.authorized,
      certificateSubjectMatches: ({ socket }, property, expected) => (
        property === 'tls_client_auth_subject_dn'
          && certificate(socket.getPeerCertificate())?.subject === expected
      ),
    },
  },
});
provider.on('grant.error', (_, error) => console.error(error.error_detail ?? error.message));
authority.on('request', provider.callback());

const resource = createServer(tls, async (request, response) => {
  const [, value] = /^Bearer (\S+)$/u.exec(request.headers.authorization ?? '') ?? [];
  const token = value && await provider.ClientCredentials.find(value);
  const shown = certificate(request.socket.getPeerCertificate())?.fingerprint256;
  const thumbprint = shown && Buffer.from(shown.replaceAll(':', ''), 'hex').toString('base64url');
  const bound = token?.['x5t#S256'];
  if (token?.isValid && token.scope === 'orders.read' && (!bound || bound === thumbprint)) {
    response.end('the orders');
  } else {
    response.writeHead(401, { 'WWW-Authenticate': 'Bearer error="invalid_token"' }).end();
  }
});
resource.listen(0, '127.0.0.1');
await once(resource, 'listening');

process.stdin.resume().on('end', () => process.exit());
console.log(JSON.stringify({ issuer, api: `https://localhost:${resource.address().port}` }));
